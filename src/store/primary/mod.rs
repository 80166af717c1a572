//! Finds the primary, the server that takes writes to our keys, and connects to it. The kind of the URL says whom to ask:
//!
//! - one server is the primary itself;
//! - Sentinels name the primary of a service (`sentinels`);
//! - nodes of a Redis Cluster name the primary of a slot (`nodes`), and all our keys are in one slot.
//!
//! Whatever the kind, the result is a plain connection to one server, and it is checked on that connection that the server is the
//! primary. When the primary changes, the connection breaks or answers `READONLY` or `MOVED`. Both count as a server that is away:
//! the connection is dropped, and the next call asks again.

mod nodes;
mod sentinels;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;

use super::connection::ANSWER_TIMEOUT;
use super::server::Server;
use super::{Fault, Keys};
use crate::config::{RedisKind, RedisUrl, UsageError};
use nodes::Nodes;
use sentinels::Sentinels;

/// How long connecting to a primary and logging in there may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How to find the primary.
pub(super) struct Primary {
    search: Search,
    /// The address of the primary that was found last.
    last: Mutex<Option<String>>,
}

enum Search {
    Single(Server),
    Sentinels(Sentinels),
    Nodes(Nodes),
}

/// A primary, and a connection to it.
struct Found {
    primary: Server,
    connection: MultiplexedConnection,
}

impl Primary {
    /// The search that `url` asks for.
    pub(super) fn new(url: &RedisUrl, keys: &Keys) -> Result<Self, UsageError> {
        let parse = |server| Server::parse(server, url.tls());
        let servers: Vec<Server> = url.expose().map(parse).collect::<Result<_, _>>()?;
        let none = || UsageError("--redis-url (REDIS_URL): it names no server".into());
        let one = servers.first().ok_or_else(none)?.clone();
        let search = match url.kind() {
            RedisKind::Single => Search::Single(one),
            RedisKind::Sentinel { service, password } => {
                Search::Sentinels(Sentinels::new(&servers, one, service, password.as_ref()))
            }
            RedisKind::Cluster => Search::Nodes(Nodes::new(servers, keys.event_log_layout())),
        };
        Ok(Self { search, last: Mutex::new(None) })
    }

    /// True if another server can become the primary.
    pub(super) fn can_change(&self) -> bool {
        !matches!(self.search, Search::Single(_))
    }

    /// Finds the primary and connects to it.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, Fault> {
        let found = match &self.search {
            Search::Single(server) => return connect(server).await,
            Search::Sentinels(sentinels) => sentinels.find().await?,
            Search::Nodes(nodes) => nodes.find().await?,
        };
        self.tell_change(found.primary.to_string());
        Ok(found.connection)
    }

    /// True if Sentinels name another primary than the one that was found last, and it says that it is one. Only Sentinels are asked:
    /// every other kind of primary that is replaced says so itself.
    pub(super) async fn is_replaced(&self) -> bool {
        let Search::Sentinels(sentinels) = &self.search else { return false };
        let last = self.last.lock().clone();
        match last {
            Some(last) => sentinels.name_another_than(&last).await,
            None => false,
        }
    }

    fn tell_change(&self, primary: String) {
        let mut last = self.last.lock();
        match last.as_deref() {
            Some(before) if before == primary => return,
            Some(before) => {
                tracing::info!(primary, before, "Redis's primary is {primary} now; it was {before}")
            }
            None => tracing::info!(primary, "Redis's primary is {primary}"),
        }
        *last = Some(primary);
    }
}

/// Connects to a server that may be the primary.
async fn connect(server: &Server) -> Result<MultiplexedConnection, Fault> {
    match server.connect(CONNECT_TIMEOUT, ANSWER_TIMEOUT).await {
        Ok(connection) => Ok(connection),
        Err(error) => Err(server.explain(&error).await),
    }
}

/// The servers to ask, in turn: the one that led to the primary last is asked first.
struct Turn {
    servers: Vec<Server>,
    first: AtomicUsize,
}

impl Turn {
    fn of(servers: Vec<Server>) -> Self {
        Self { servers, first: AtomicUsize::new(0) }
    }

    /// Each server once, with its place.
    fn servers(&self) -> impl Iterator<Item = (usize, &Server)> {
        let first = self.first.load(Ordering::Relaxed);
        let places = (0..self.servers.len()).map(move |ahead| (first + ahead) % self.servers.len());
        places.map(|place| (place, &self.servers[place]))
    }

    fn begin_with(&self, place: usize) {
        self.first.store(place, Ordering::Relaxed);
    }
}

/// Why no server led to the primary: what happened at each.
#[derive(Default)]
struct Failures(Vec<(String, Fault)>);

impl Failures {
    fn add(&mut self, server: &Server, fault: Fault) {
        self.0.push((server.to_string(), fault));
    }

    /// True if `server` has failed in this search.
    fn has(&self, server: &Server) -> bool {
        let address = server.to_string();
        self.0.iter().any(|(failed, _)| *failed == address)
    }

    /// All of it as one fault. Waiting cannot help if it cannot help at one of the servers.
    fn sum(self) -> Fault {
        let cannot_help = self.0.iter().any(|(_, fault)| fault.waiting_cannot_help());
        let told: Vec<_> = self.0.into_iter().map(|(server, fault)| format!("{server}: {fault}")).collect();
        let told = told.join("; ");
        if cannot_help { Fault::Unusable(told) } else { Fault::ServerAway(told) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;

    fn server(address: &str) -> Server {
        Server::parse(&format!("redis://{address}/"), &Tls::default()).unwrap()
    }

    #[test]
    fn the_server_that_led_to_the_primary_is_asked_first() {
        let turn = Turn::of(["a:1", "b:2", "c:3"].map(server).to_vec());
        let order = || turn.servers().map(|(_, server)| server.to_string()).collect::<Vec<_>>();
        assert_eq!(order(), ["a:1", "b:2", "c:3"]);
        turn.begin_with(2);
        assert_eq!(order(), ["c:3", "a:1", "b:2"]);
    }

    #[test]
    fn failures_are_told_with_their_servers_and_a_refused_login_is_final() {
        let mut failures = Failures::default();
        failures.add(&server("a:1"), Fault::NoAnswer);
        assert!(failures.has(&server("a:1")) && !failures.has(&server("a:2")));
        failures.add(&server("[::1]:2"), Fault::ServerAway("connection refused".into()));
        let told = "a:1: no answer in time; [::1]:2: connection refused";
        assert_eq!(Failures(failures.0.clone()).sum(), Fault::ServerAway(told.into()));
        failures.add(&server("b:1"), Fault::Unusable("NOAUTH".into()));
        assert_eq!(failures.sum(), Fault::Unusable(format!("{told}; b:1: NOAUTH")));
    }
}
