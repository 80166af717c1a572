//! TLS on the way to Redis: the certificates as the client takes them, and the reason if one side has TLS and the other has not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::{ClientTlsConfig, ConnectionAddr, ErrorKind, RedisError, TlsCertificates};

use super::fault::Fault;
use crate::config::{Tls, UsageError};
use crate::handshake;

/// Every server that speaks Redis's protocol answers this line at once, if only with an error.
const PING: &[u8] = b"PING\r\n";

/// The CA certificates to trust, and our own certificate. Without them the client reads the system's for every connection.
pub(super) fn certificates(tls: &Tls) -> Result<TlsCertificates, UsageError> {
    let pem = tls.trusted()?.iter().map(|certificate| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
    });
    let client_tls = tls.client_pem().map(|(certificate, key)| ClientTlsConfig {
        client_cert: certificate.to_vec(),
        client_key: key.to_vec(),
    });
    Ok(TlsCertificates { client_tls, root_cert: Some(pem.collect::<String>().into_bytes()) })
}

/// Why no connection to `address` came about. The client does not say that the server speaks TLS and we do not, or the reverse.
pub(super) async fn explain(error: &RedisError, address: &ConnectionAddr, tls: &Tls) -> Fault {
    let is_refused_bytes = error.is_connection_dropped() || error.kind() == ErrorKind::Parse;
    let told = match address {
        ConnectionAddr::Tcp(host, port) if error.code().is_none() && is_refused_bytes => {
            handshake::speaks_tls(host, *port).await.then(|| handshake::only_tls("rediss://"))
        }
        // To a handshake, Redis does not answer: it waits for the end of the line.
        ConnectionAddr::TcpTls { host, port, .. } if error.is_timeout() => {
            let answer = handshake::first_answer(host, *port, PING).await.unwrap_or_default();
            matches!(answer.first(), Some(b'+' | b'-')).then(|| handshake::no_tls("redis://"))
        }
        ConnectionAddr::TcpTls { host, port, .. } if error.is_connection_dropped() => {
            match tls.client_config() {
                Ok(config) => handshake::refusal(config, host, *port, "redis://").await,
                Err(_) => None,
            }
        }
        _ => None,
    };
    told.map_or_else(|| Fault::from_redis(error).of_server(), Fault::ServerAway)
}
