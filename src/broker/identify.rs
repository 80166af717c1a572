//! Finds out which server answers at RabbitMQ's address, after an error that leaves this in doubt. lapin does not say; it waits.

use lapin::uri::AMQPUri;
use rustls::ClientConfig;

use super::BrokerError;
use super::error::DECLARE;
use crate::handshake::{self, first_answer};
use crate::terminal::Escaped;

/// The first bytes of AMQP 0-9-1; RabbitMQ answers with `connection.start`
/// (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, 4.2.2).
const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
/// How a frame of the method class begins, on channel 0.
const METHOD_FRAME: &[u8] = &[1, 0, 0];
/// Makes a server of a line protocol answer, if only with an error. To AMQP's header, Redis and web servers do not answer: they
/// wait for the end of the line.
const PING: &[u8] = b"PING\r\n\r\n";
/// The first that dead-letters from quorum queues at least once.
const VERSION_MIN: (u32, u32) = (3, 10);
/// How much of a stranger's greeting is shown.
const GREETING_BYTES_MAX: usize = 60;

/// `error`, or the reason behind it: another server there, a RabbitMQ that is too old, or a handshake that it ends.
pub(super) async fn explain(error: BrokerError, uri: &AMQPUri, tls: Option<&ClientConfig>) -> BrokerError {
    let is_in_doubt = match &error {
        // One that is too old refuses our queues' arguments.
        BrokerError::Lost { operation, .. } | BrokerError::Timeout { operation, .. } => {
            *operation == "connect" || *operation == DECLARE
        }
        _ => false,
    };
    if !is_in_doubt {
        return error;
    }
    let found = match tls {
        Some(tls) => handshake_of(uri, tls, &error).await,
        None => greeting(uri).await.and_then(|greeting| judge(&greeting)),
    };
    found.unwrap_or(error)
}

async fn handshake_of(uri: &AMQPUri, tls: &ClientConfig, error: &BrokerError) -> Option<BrokerError> {
    let BrokerError::Lost { operation, .. } = *error else { return None };
    let (host, port) = (&uri.authority.host, uri.authority.port);
    let reason = handshake::refusal(tls.clone(), host, port, "amqp://").await?;
    Some(BrokerError::Lost { operation, reason })
}

async fn greeting(uri: &AMQPUri) -> Option<Vec<u8>> {
    match answer_to(PROTOCOL_HEADER, uri).await {
        Some(greeting) => Some(greeting),
        // No AMQP greeting. Try a line protocol, to distinguish another server from one that hangs.
        None => answer_to(PING, uri).await.filter(|greeting| !greeting.starts_with(b"AMQP")),
    }
}

async fn answer_to(said: &[u8], uri: &AMQPUri) -> Option<Vec<u8>> {
    first_answer(&uri.authority.host, uri.authority.port, said).await
}

fn judge(greeting: &[u8]) -> Option<BrokerError> {
    // A first byte or two may come alone.
    if METHOD_FRAME.starts_with(greeting) {
        return None;
    }
    if handshake::is_tls(greeting) {
        return Some(BrokerError::Lost { operation: "connect", reason: handshake::only_tls("amqps://") });
    }
    if !greeting.starts_with(METHOD_FRAME) {
        let text = String::from_utf8_lossy(&greeting[..greeting.len().min(GREETING_BYTES_MAX)]);
        let line = text.lines().next().unwrap_or_default();
        return Some(BrokerError::NotRabbitMq { says: Escaped(line).to_string() });
    }
    let version = property(greeting, b"\x07version")?;
    let mut numbers = version.split('.').map_while(|part| part.parse().ok());
    let known = (numbers.next()?, numbers.next()?);
    (known < VERSION_MIN).then(|| BrokerError::TooOld { version: Escaped(version).to_string() })
}

/// A text among the server's properties: its name with its length, `S`, four bytes of length, the text.
fn property<'a>(frame: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let start = frame.windows(name.len()).position(|window| window == name)? + name.len();
    let (head, rest) = frame[start..].split_first_chunk::<5>()?;
    let [b'S', length @ ..] = *head else { return None };
    std::str::from_utf8(rest.get(..usize::try_from(u32::from_be_bytes(length)).ok()?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(version: &str) -> Vec<u8> {
        let mut frame = b"\x01\x00\x00\x00\x00\x01\xf7\x00\x0a\x00\x0a\x00\x09\x00\x00\x01\xd2\x07productS\x00\x00\x00\x08RabbitMQ\x07versionS".to_vec();
        frame.extend(u32::try_from(version.len()).unwrap().to_be_bytes());
        frame.extend(version.as_bytes());
        frame
    }

    #[test]
    fn a_rabbitmq_that_is_too_old_is_told_by_its_version() {
        for (version, is_too_old) in
            [("3.8.9", true), ("3.9.29", true), ("3.10.8", false), ("4.2.0", false), ("weird", false)]
        {
            let verdict = judge(&start(version));
            assert_eq!(matches!(verdict, Some(BrokerError::TooOld { .. })), is_too_old, "{version}");
            assert!(is_too_old || verdict.is_none(), "{version}");
        }
    }

    #[test]
    fn a_greeting_cut_anywhere_is_no_version() {
        let whole = start("3.8.9");
        for length in 0..whole.len() - 1 {
            assert!(judge(&whole[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn a_stranger_is_quoted_in_one_escaped_line() {
        let says = |greeting: &[u8]| match judge(greeting) {
            Some(BrokerError::NotRabbitMq { says }) => says,
            other => panic!("{other:?}"),
        };
        assert_eq!(says(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n"), "HTTP/1.1 400 Bad Request");
        assert!(!says(b"\x1b[2J-ERR").contains('\x1b'));
        assert!(says(&[b'x'; 4096]).len() <= GREETING_BYTES_MAX);
    }
}
