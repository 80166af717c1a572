//! What a TLS connection that cannot be made means, in words with the remedy. RabbitMQ, Redis, GitHub and mirrors fail in the same
//! ways, so all of them are told in the same words.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::config::Tls;

/// How long a server may take to show that it speaks TLS.
const PATIENCE: Duration = Duration::from_secs(1);
/// How a record of TLS begins: an alert or a handshake, of any version since SSL 3
/// (<https://www.rfc-editor.org/rfc/rfc8446#section-5.1>).
const RECORDS: [[u8; 2]; 2] = [[0x15, 0x03], [0x16, 0x03]];
/// Where the certificates of clients come from.
const CLIENT: &str = "--client-cert and --client-key (TLS_CLIENT_CERT, TLS_CLIENT_KEY)";

/// The reason why TLS failed, with the remedy, if `error` or a cause of it comes from TLS. `plain` is the scheme of addresses without
/// TLS, such as `redis://`.
pub fn reason(error: &(dyn Error + 'static), plain: &str) -> Option<String> {
    use rustls::Error as Tls;
    Some(match of_tls(error)? {
        Tls::InvalidCertificate(error) => of_certificate(error),
        Tls::AlertReceived(alert) => of_alert(*alert),
        // Not the bytes of TLS.
        Tls::InvalidMessage(_) => no_tls(plain),
        other => format!("TLS: {other}"),
    })
}

/// The reason for a server that speaks TLS where we do not. `tls` is the scheme of addresses with TLS, such as `rediss://`.
pub fn only_tls(tls: &str) -> String {
    format!("the server speaks TLS on this port: use {tls}")
}

/// The reason for a server that speaks no TLS where we do. `plain` is the scheme of addresses without TLS, such as `redis://`.
pub fn no_tls(plain: &str) -> String {
    format!("the server speaks no TLS on this port: check the port, or use {plain}")
}

/// True for the first bytes of a server that speaks TLS.
pub fn is_tls(bytes: &[u8]) -> bool {
    RECORDS.iter().any(|record| bytes.starts_with(record))
}

/// Finds out whether the server at `host` and `port` speaks TLS, by the first message of a handshake. Takes 1 s at most.
pub async fn speaks_tls(host: &str, port: u16) -> bool {
    let Some(hello) = hello(host) else { return false };
    first_answer(host, port, &hello).await.is_some_and(|answer| is_tls(&answer))
}

/// The reason why the server at `host` and `port` ends connections after our part of the handshake, such as a client certificate that
/// it requires. It says so in a message that is lost if we have sent something meanwhile. So this connects once more, and only listens.
/// Takes 2 s at most.
pub async fn refusal(config: ClientConfig, host: &str, port: u16, plain: &str) -> Option<String> {
    let host = bare_host(host);
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let connecting = async {
        let stream = TcpStream::connect((host, port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let refused = match tokio::time::timeout(PATIENCE, connecting).await.ok()? {
        Ok(mut stream) => tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await.ok()?.err()?,
        Err(error) => error,
    };
    reason(&refused, plain)
}

/// Why a web server gave no answer to a request that failed with `error`: TLS, or that one side has TLS and the other has not. Takes 2 s
/// at most.
pub async fn of_web_server(failed: Failed<'_>, tls: &Tls) -> Option<String> {
    let Failed { error, url, while_connecting, is_timeout } = failed;
    let known = reason(error, "http://");
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    match url.scheme() {
        _ if known.is_some() => known,
        "https" if while_connecting => {
            // A server with TLS answers, too, that this is not TLS.
            let has_none = !speaks_tls(host, port).await && speaks_http(host, port).await;
            has_none.then(|| no_tls("http://"))
        }
        _ if while_connecting || is_timeout => None,
        "https" => refusal(tls.client_config().ok()?, host, port, "http://").await,
        _ => speaks_tls(host, port).await.then(|| only_tls("https://")),
    }
}

/// A request to a web server that got no answer.
pub struct Failed<'a> {
    pub error: &'a (dyn Error + Send + Sync + 'static),
    pub url: &'a Url,
    pub while_connecting: bool,
    pub is_timeout: bool,
}

async fn speaks_http(host: &str, port: u16) -> bool {
    let answer = first_answer(host, port, b"HEAD / HTTP/1.0\r\n\r\n").await;
    answer.is_some_and(|answer| answer.starts_with(b"HTTP/"))
}

/// The first bytes that the server at `host` and `port` sends after `said`, if any come within 1 s.
pub async fn first_answer(host: &str, port: u16, said: &[u8]) -> Option<Vec<u8>> {
    let asking = async {
        let mut stream = TcpStream::connect((bare_host(host), port)).await?;
        stream.write_all(said).await?;
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).await?;
        bytes.truncate(length);
        io::Result::Ok(bytes)
    };
    let bytes = tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

/// The host without the brackets that an IPv6 address has in a URL.
fn bare_host(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The first message of a handshake. No certificate is looked at.
fn hello(host: &str) -> Option<Vec<u8>> {
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from(bare_host(host).to_owned()).ok()?;
    let mut handshake = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut bytes = Vec::new();
    handshake.write_tls(&mut bytes).ok()?;
    Some(bytes)
}

/// The error of TLS among `error` and its causes.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match (error.downcast_ref::<io::Error>(), error.downcast_ref::<Arc<dyn Error + Send + Sync>>())
        {
            // Both give the cause of what they hold, and not itself.
            (Some(io), _) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            (_, Some(shared)) => Some(&**shared),
            _ => error.source(),
        };
    }
    None
}

fn of_certificate(error: &CertificateError) -> String {
    use CertificateError as Wrong;
    match error {
        Wrong::UnknownIssuer => {
            "the server's certificate is signed by an unknown CA: give the CA with --ca-file (TLS_CA_FILE)".into()
        }
        Wrong::BadSignature => {
            "the server's certificate is not signed by the CA that it names: give the right CA with --ca-file (TLS_CA_FILE)"
                .into()
        }
        Wrong::ExpiredContext { not_after, .. } => {
            format!("the server's certificate has expired on {}: renew it there", day(*not_after))
        }
        Wrong::Expired => "the server's certificate has expired: renew it there".into(),
        Wrong::NotValidYetContext { not_before, .. } => format!(
            "the server's certificate is not valid before {}: check the clock here, and the certificate",
            day(*not_before)
        ),
        Wrong::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            format!(
                "the server's certificate is for {names} and not for {}: use a name of the certificate as the host, or renew the certificate with this name",
                expected.to_str()
            )
        }
        Wrong::Revoked => "the server's certificate is revoked: renew it there".into(),
        other => format!("the server's certificate is not valid ({other}): replace it there"),
    }
}

/// The server has ended the handshake.
fn of_alert(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => format!("the server requires a client certificate: give {CLIENT}"),
        // What a server says before TLS 1.3, for want of an alert of its own.
        Alert::HandshakeFailure => format!(
            "the server refuses the handshake: it may require a client certificate ({CLIENT}), or share no cipher with us"
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => {
            format!("the server refuses our client certificate ({alert:?}): check {CLIENT}")
        }
        Alert::UnrecognisedName => {
            "the server has no certificate for this host name: check the host in the address".into()
        }
        Alert::ProtocolVersion => {
            "the server speaks neither TLS 1.2 nor 1.3: enable one of them there".into()
        }
        other => format!("the server refuses the handshake ({other:?}): its log says why"),
    }
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    time.map_or_else(|| "a day out of range".to_owned(), |time| time.format("%Y-%m-%d").to_string())
}

/// The name in `DnsName("example.org")`, and `IpAddress(127.0.0.1)`, as rustls shows them.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, inside)| inside.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: rustls::Error) -> String {
        // As clients hand it on: in an I/O error, behind a pointer.
        let error: Arc<dyn Error + Send + Sync> = Arc::new(io::Error::other(error));
        reason(&error, "amqp://").unwrap()
    }

    #[test]
    fn every_reason_has_its_remedy() {
        let certificate = rustls::Error::InvalidCertificate;
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let name = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("mq.example").unwrap(),
            presented: vec!["DnsName(\"other.example\")".into(), "IpAddress(10.0.0.1)".into()],
        };
        for (error, words) in [
            (
                certificate(CertificateError::UnknownIssuer),
                "unknown CA: give the CA with --ca-file (TLS_CA_FILE)",
            ),
            (
                certificate(CertificateError::ExpiredContext { time: at(200_000), not_after: at(100_000) }),
                "has expired on 1970-01-02: renew",
            ),
            (
                certificate(CertificateError::NotValidYetContext { time: at(1), not_before: at(100_000) }),
                "not valid before 1970-01-02: check the clock",
            ),
            (certificate(name), "is for other.example, 10.0.0.1 and not for mq.example: use a name"),
            (certificate(CertificateError::BadEncoding), "is not valid"),
            (
                rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
                "requires a client certificate: give --client-cert",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
                "may require a client certificate",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::UnknownCA),
                "refuses our client certificate (UnknownCA)",
            ),
            (
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "speaks no TLS on this port: check the port, or use amqp://",
            ),
            (rustls::Error::DecryptError, "TLS: "),
        ] {
            let told = told(error);
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn an_error_that_is_not_of_tls_has_no_reason_here() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(reason(&refused, "amqp://"), None);
        assert_eq!(reason(&io::Error::other("it is full"), "amqp://"), None);
    }

    #[test]
    fn the_bytes_of_tls_are_told_from_others() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            assert!(is_tls(&hello(host).unwrap()), "{host}");
        }
        assert!(
            is_tls(b"\x15\x03\x03\x00\x02\x02\x46") && !is_tls(b"AMQP\x00\x00\x09\x01") && !is_tls(b"\x15")
        );
    }
}
