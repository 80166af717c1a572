//! Redis behind Sentinel: the Sentinels name the primary, and `ROLE` on the connection that is kept shows that it is one.
//!
//! The Redis client has a search of its own. It looks at the role on one connection and gives another, to a server that may have been
//! demoted in between (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>).

use std::time::Duration;

use redis::ErrorKind;
use secrecy::SecretString;

use super::{Failures, Found, Turn, connect};
use crate::store::Fault;
use crate::store::server::Server;

/// How long connecting to a Sentinel may take, and its answer.
const SENTINEL_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Sentinels {
    sentinels: Turn,
    service: String,
    /// A server with the login for the primary.
    login: Server,
}

impl Sentinels {
    /// Sentinels at the addresses of `servers`, which ask for `password` or nothing.
    pub(super) fn new(
        servers: &[Server],
        login: Server,
        service: &str,
        password: Option<&SecretString>,
    ) -> Self {
        let sentinels = servers.iter().map(|server| server.with_login(password)).collect();
        Self { sentinels: Turn::of(sentinels), service: service.to_owned(), login }
    }

    /// Asks one Sentinel after the other until one names a server that says that it is the primary. A Sentinel may be cut off from
    /// the others and name an old one.
    pub(super) async fn find(&self) -> Result<Found, Fault> {
        let mut failures = Failures::default();
        for (place, sentinel) in self.sentinels.servers() {
            let primary = match self.ask(sentinel).await {
                Ok(primary) => primary,
                Err(fault) => {
                    failures.add(sentinel, fault);
                    continue;
                }
            };
            if failures.has(&primary) {
                continue;
            }
            match meet(&primary).await {
                Ok(connection) => {
                    self.sentinels.begin_with(place);
                    return Ok(Found { primary, connection });
                }
                Err(fault) => failures.add(&primary, fault),
            }
        }
        Err(failures.sum())
    }

    /// True if the first Sentinel that answers names another primary than `last`, and that one says that it is the primary.
    pub(super) async fn name_another_than(&self, last: &str) -> bool {
        for (_, sentinel) in self.sentinels.servers() {
            if let Ok(primary) = self.ask(sentinel).await {
                return primary.to_string() != last && meet(&primary).await.is_ok();
            }
        }
        false
    }

    /// The primary, as a Sentinel names it.
    async fn ask(&self, sentinel: &Server) -> Result<Server, Fault> {
        let asked = async {
            let mut connection = sentinel.connect(SENTINEL_TIMEOUT, SENTINEL_TIMEOUT).await?;
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
            ask.query_async::<Option<(String, u16)>>(&mut connection).await
        };
        match asked.await {
            Ok(Some((host, port))) => Ok(self.login.at(&host, port)),
            Ok(None) => Err(Fault::ServerAway(format!(
                "this Sentinel knows no '{}': check the name behind the hosts in --redis-url (REDIS_URL)",
                self.service
            ))),
            Err(error) => Err(fault_of_sentinel(&error, sentinel.explain(&error).await)),
        }
    }
}

fn fault_of_sentinel(error: &redis::RedisError, fault: Fault) -> Fault {
    match fault {
        Fault::Unusable(_) if error.kind() != ErrorKind::Parse => Fault::Unusable(format!(
            "this Sentinel refuses our login (check REDIS_SENTINEL_PASSWORD): {error}"
        )),
        Fault::Misconfigured(text) => Fault::Unusable(format!(
            "it does not answer as a Sentinel does, whose port is 26379 unless changed: {text}"
        )),
        fault => fault,
    }
}

/// Connects to a server that a Sentinel named, and checks that it is the primary.
async fn meet(server: &Server) -> Result<redis::aio::MultiplexedConnection, Fault> {
    let mut connection = connect(server).await?;
    let role: redis::RedisResult<Vec<redis::Value>> = redis::cmd("ROLE").query_async(&mut connection).await;
    let role = role.map_err(|error| Fault::from_redis(&error).of_server())?;
    match role.into_iter().next().and_then(|name| redis::from_redis_value::<String>(name).ok()) {
        Some(name) if name == "master" => Ok(connection),
        name => Err(Fault::ServerAway(format!(
            "its ROLE is {}, and a Sentinel names it as the primary: a failover is under way",
            name.as_deref().unwrap_or("unknown")
        ))),
    }
}
