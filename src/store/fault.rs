//! Classes of Redis errors, by error code. Pure.

use redis::{ErrorKind, RedisError};

use crate::handshake;

/// An error of Redis, in the classes that the loader distinguishes.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// The server is away, or cannot serve anyone now. It is not the message's fault. Wait and retry.
    #[error("{0}")]
    ServerAway(String),
    /// No answer in time. The request may have been too large for that time.
    #[error("no answer in time")]
    NoAnswer,
    /// The server refuses our login, is too old, or is not Redis. Waiting does not help.
    #[error("{0}")]
    Unusable(String),
    /// The namespace's event log has the other layout: loading would count events twice. The loader ends.
    #[error("{0}")]
    OtherEventLog(String),
    /// The script or the configuration is wrong: it would fail for every message. Stop loading until it is repaired.
    #[error("the script or Redis's configuration is wrong: {0}")]
    Misconfigured(String),
    /// Redis does not know the script (any more): load it again.
    #[error("Redis does not know the script")]
    ScriptMissing,
    /// It fails for this message only.
    #[error("{0}")]
    ThisMessage(String),
    /// The error code is unknown: from a newer Redis, or from a proxy. The message may be at fault or not.
    #[error("{0}")]
    Unknown(String),
}

impl Fault {
    /// True when the connection must be dropped.
    pub fn is_server_away(&self) -> bool {
        matches!(self, Self::ServerAway(_) | Self::NoAnswer | Self::Unusable(_) | Self::OtherEventLog(_))
    }

    /// True for faults that waiting does not remove. At the start they end the program. Later they are retried like the others.
    pub fn waiting_cannot_help(&self) -> bool {
        matches!(self, Self::Unusable(_) | Self::OtherEventLog(_))
    }

    /// The same fault for a call without a message: then the server is at fault.
    pub(super) fn of_server(self) -> Self {
        match self {
            Self::ThisMessage(text) | Self::Unknown(text) => Self::ServerAway(text),
            other => other,
        }
    }

    pub(super) fn from_redis(error: &RedisError) -> Self {
        let text = describe(error);
        match error.code() {
            Some(code) => Self::from_code(code, text),
            // Without a code the error did not come from the server's answer.
            None if error.is_timeout() => Self::NoAnswer,
            None => match error.kind() {
                ErrorKind::AuthenticationFailed => Self::Unusable(text),
                ErrorKind::Parse => Self::Unusable(format!(
                    "the server there is not Redis: check host and port in --redis-url (REDIS_URL): {text}"
                )),
                _ => Self::ServerAway(text),
            },
        }
    }

    /// Codes are the first word of an error reply
    /// (<https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).
    fn from_code(code: &str, text: String) -> Self {
        match code {
            "NOSCRIPT" => Self::ScriptMissing,
            "WRONGTYPE" => Self::ThisMessage(text),
            // Busy, full, not writable, not the primary, or not ours to use until a person has changed something: none of it is
            // about this message, all of it may be over any moment.
            "OOM" | "BUSY" | "LOADING" | "MISCONF" | "READONLY" | "MASTERDOWN" | "NOREPLICAS"
            | "CLUSTERDOWN" | "UNKILLABLE" | "DENIED" => Self::ServerAway(text),
            "MOVED" => Self::ServerAway(format!(
                "another node of the Redis Cluster has our keys ({text}); if this lasts, --redis-url (REDIS_URL) must begin with redis-cluster://"
            )),
            // The script has keys that are not there yet, which no node takes while the slot is at two of them.
            "TRYAGAIN" | "ASK" => Self::ServerAway(format!(
                "our slot is being moved to another node: loading waits until it is there ({text})"
            )),
            "NOPERM" => Self::ServerAway(no_right(&text)),
            // A command in the script.
            "ERR" if text.contains("user executing the script") || text.contains("ACL failure in script") => {
                Self::Misconfigured(no_right(&text))
            }
            "NOAUTH" | "WRONGPASS" => {
                Self::Unusable(format!("{text} (check user and password in --redis-url, REDIS_PASSWORD)"))
            }
            "ERR" if text.contains("DB index") => Self::Unusable(format!(
                "{text} (the number behind the host in --redis-url, REDIS_URL, must be below its setting databases, 16 unless changed)"
            )),
            "ERR" if text.contains("max number of clients") => Self::ServerAway(text),
            "ERR" | "CROSSSLOT" | "NOPROTO" | "EXECABORT" => Self::Misconfigured(text),
            _ => Self::Unknown(text),
        }
    }
}

/// Redis's text names the command.
fn no_right(text: &str) -> String {
    format!("the user lacks a right: {text}: grant it with ACL SETUSER (docs/SECURITY.md)")
}

/// The error's text in one line; redis-rs keeps the server's code and detail apart.
fn describe(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            format!("it refuses our login (check user and password in --redis-url, REDIS_PASSWORD): {error}")
        }
        // An error of a pipeline has its detail inside. Some of redis-rs's texts have several lines.
        _ => handshake::reason(error, "redis://")
            .unwrap_or_else(|| error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_class() {
        use Fault::{Misconfigured, ScriptMissing, ServerAway, ThisMessage, Unknown};
        let text = || "the text".to_owned();
        for (code, class) in [
            ("OOM", ServerAway(text())),
            ("BUSY", ServerAway(text())),
            ("LOADING", ServerAway(text())),
            ("MISCONF", ServerAway(text())),
            ("READONLY", ServerAway(text())),
            ("MASTERDOWN", ServerAway(text())),
            ("NOREPLICAS", ServerAway(text())),
            ("CLUSTERDOWN", ServerAway(text())),
            ("NOPERM", ServerAway(no_right("the text"))),
            ("DENIED", ServerAway(text())),
            ("NOSCRIPT", ScriptMissing),
            ("WRONGTYPE", ThisMessage(text())),
            ("SOMETHINGNEW", Unknown(text())),
            ("no", Unknown(text())),
            ("ERR", Misconfigured(text())),
            ("CROSSSLOT", Misconfigured(text())),
        ] {
            assert_eq!(Fault::from_code(code, text()), class, "{code}");
        }
        for code in ["NOAUTH", "WRONGPASS"] {
            let fault = Fault::from_code(code, text());
            assert!(fault.waiting_cannot_help() && fault.is_server_away(), "{code}");
        }
        for code in ["MOVED", "ASK", "TRYAGAIN"] {
            let fault = Fault::from_code(code, text());
            assert!(matches!(&fault, ServerAway(told) if told.contains("the text")), "{code}: {fault}");
        }
        let full = "ERR max number of clients reached".to_owned();
        assert_eq!(Fault::from_code("ERR", full.clone()), ServerAway(full));
    }

    #[test]
    fn without_a_message_in_sight_no_refusal_is_about_a_message() {
        for odd in [Fault::ThisMessage("no upstream host".into()), Fault::Unknown("no upstream host".into())]
        {
            assert_eq!(odd.of_server(), Fault::ServerAway("no upstream host".into()));
        }
        let unusable = Fault::Unusable("NOAUTH".into());
        assert_eq!(unusable.clone().of_server(), unusable);
    }

    #[test]
    fn an_error_without_a_code_means_the_server_is_away() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(Fault::from_redis(&RedisError::from(refused)).is_server_away());
        let timeout = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let fault = Fault::from_redis(&RedisError::from(timeout));
        assert!(fault == Fault::NoAnswer && fault.is_server_away());
    }
}
