//! Connections of the tests to the primary, wherever it is: one server, the one that Sentinels name, or the one that has the slot of a
//! namespace. It shares no code with the program.

use std::time::Duration;

use redis::{Client, Connection, ErrorKind, RedisError, RedisResult};

/// A server that is frozen must not hold up the test that froze it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The scheme of a URL of servers of which one says that it is the primary.
pub const PRIMARY_AMONG: &str = "primary-among";

/// Connects to the primary for the keys of `namespace`.
pub fn connect(url: &str, namespace: &str) -> RedisResult<Connection> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (hosts, service) = rest.split_once('/').unwrap_or((rest, ""));
    match scheme {
        "redis-sentinel" => behind_sentinel(hosts, service),
        "redis-cluster" => of_slot(hosts, namespace),
        PRIMARY_AMONG => first_good(hosts, primary_at),
        _ => Client::open(url)?.get_connection(),
    }
}

/// A connection to the server at `host:port` that waits for nothing long.
pub fn connect_soon(address: &str) -> RedisResult<Connection> {
    let connection = Client::open(format!("redis://{address}/"))?.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(5 * PATIENCE))?;
    Ok(connection)
}

/// `host:port` of the primary, as the first Sentinel that answers names it.
pub fn named_by_sentinels(hosts: &str, service: &str) -> RedisResult<String> {
    let ask = |sentinel: &str| -> RedisResult<String> {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let (host, port): (String, u16) = ask.query(&mut connect_soon(sentinel)?)?;
        Ok(format!("{host}:{port}"))
    };
    first_good(hosts, ask)
}

fn behind_sentinel(hosts: &str, service: &str) -> RedisResult<Connection> {
    primary_at(&named_by_sentinels(hosts, service)?)
}

/// A connection to the server at `host:port`, which must be a primary.
fn primary_at(address: &str) -> RedisResult<Connection> {
    let mut connection = connect_soon(address)?;
    let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection)?;
    match &role[0] {
        redis::Value::BulkString(name) if name == b"master" => Ok(connection),
        _ => Err(RedisError::from((ErrorKind::Io, "it is no primary"))),
    }
}

fn of_slot(hosts: &str, namespace: &str) -> RedisResult<Connection> {
    let key = format!("{namespace}:any");
    let ask = |node: &str| -> RedisResult<Connection> {
        let mut connection = connect_soon(node)?;
        redis::cmd("EXISTS").arg(&key).query::<bool>(&mut connection)?;
        Ok(connection)
    };
    let find = |node: &str| match ask(node) {
        Err(error) if error.code() == Some("MOVED") => ask(error.redirect_node().unwrap().0),
        answer => answer,
    };
    first_good(hosts, find)
}

fn first_good<T>(hosts: &str, ask: impl Fn(&str) -> RedisResult<T>) -> RedisResult<T> {
    let mut answers: Vec<RedisResult<T>> = Vec::new();
    for host in hosts.split(',') {
        match ask(host) {
            Ok(value) => return Ok(value),
            failed => answers.push(failed),
        }
    }
    answers.pop().expect("a URL has a host")
}
