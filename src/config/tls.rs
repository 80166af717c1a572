//! The files of TLS: the CA to trust, and the certificate by which servers know us.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::UsageError;

const CA_FILE: &str = "--ca-file (TLS_CA_FILE)";
const CLIENT_CERT: &str = "--client-cert (TLS_CLIENT_CERT)";
const CLIENT_KEY: &str = "--client-key (TLS_CLIENT_KEY)";

/// The certificates for connections with TLS.
#[derive(clap::Args, Clone)]
pub struct TlsArgs {
    /// PEM file of CA certificates to trust besides the system's, for amqps://, rediss:// and https:// [the system's alone when not
    /// given]
    #[arg(long, global = true, env = "TLS_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// PEM file of our certificate, with those between it and its CA, for servers that require one; needs --client-key
    #[arg(long, global = true, env = "TLS_CLIENT_CERT", value_name = "FILE")]
    client_cert: Option<PathBuf>,

    /// PEM file of the key of --client-cert, without a passphrase
    #[arg(long, global = true, env = "TLS_CLIENT_KEY", value_name = "FILE")]
    client_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Reads the files and checks them.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag, the variable and the file.
    pub fn read(&self) -> Result<Tls, UsageError> {
        let own_ca = self.ca_file.as_deref().map(read_ca).transpose()?.unwrap_or_default();
        let client = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Some(Client::read(certificate, key)?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(UsageError(format!("{CLIENT_CERT} needs {CLIENT_KEY}: give both")));
            }
            (None, Some(_)) => {
                return Err(UsageError(format!("{CLIENT_KEY} needs {CLIENT_CERT}: give both")));
            }
        };
        Ok(Tls(Arc::new(Files { own_ca, client, trusted: OnceLock::new() })))
    }
}

/// Whom to trust, and how to prove who we are, on connections with TLS. Cheap to clone. The default trusts the system's CAs.
#[derive(Clone, Default)]
pub struct Tls(Arc<Files>);

#[derive(Default)]
struct Files {
    own_ca: Vec<CertificateDer<'static>>,
    client: Option<Client>,
    /// Those of the system and our own. Read when the first connection with TLS is set up.
    trusted: OnceLock<Vec<CertificateDer<'static>>>,
}

/// The certificate by which servers know us, and its key.
struct Client {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    chain_pem: Vec<u8>,
    key_pem: Vec<u8>,
}

impl Tls {
    /// The settings of a client.
    ///
    /// # Errors
    /// [`UsageError`] when there is no CA to trust.
    pub fn client_config(&self) -> Result<ClientConfig, UsageError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.trusted()?.iter().cloned());
        let config = ClientConfig::builder().with_root_certificates(roots);
        match &self.0.client {
            None => Ok(config.with_no_client_auth()),
            Some(client) => client.checked(config),
        }
    }

    /// The CA certificates to trust: the system's, and those of `--ca-file`.
    ///
    /// # Errors
    /// [`UsageError`] when there is none.
    pub fn trusted(&self) -> Result<&[CertificateDer<'static>], UsageError> {
        let trusted = self.0.trusted.get_or_init(|| {
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::warn!("read the system's CA certificates: {error}");
            }
            // A system may have certificates that no client here can use.
            let system = system.certs.into_iter().filter(is_usable);
            self.0.own_ca.iter().cloned().chain(system).collect()
        });
        if trusted.is_empty() {
            return Err(UsageError(format!(
                "TLS: this system has no CA certificates: install them (ca-certificates), or give {CA_FILE}"
            )));
        }
        Ok(trusted)
    }

    /// The client's certificates and key, each as the text of its file.
    pub fn client_pem(&self) -> Option<(&[u8], &[u8])> {
        self.0.client.as_ref().map(|client| (&*client.chain_pem, &*client.key_pem))
    }
}

impl Client {
    fn read(certificate: &Path, key: &Path) -> Result<Self, UsageError> {
        let (chain_pem, key_pem) = (read(CLIENT_CERT, certificate)?, read(CLIENT_KEY, key)?);
        let chain = certificates(CLIENT_CERT, certificate, &chain_pem)?;
        let key_found = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| {
            let reason = match error {
                // Its text begins so, whatever the cipher.
                pem::Error::NoItemsFound if has_passphrase(&key_pem) => "its key has a passphrase".to_owned(),
                pem::Error::NoItemsFound => "no private key in it".to_owned(),
                error => format!("not PEM: {error}"),
            };
            UsageError(format!(
                "{CLIENT_KEY}: {}: {reason}; it must hold a private key in PEM, without a passphrase",
                key.display()
            ))
        })?;
        let client = Self { chain, key: key_found, chain_pem, key_pem };
        client.checked(ClientConfig::builder().with_root_certificates(RootCertStore::empty()))?;
        Ok(client)
    }

    /// `config` with our certificate, if its key belongs to it.
    fn checked(
        &self,
        config: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    ) -> Result<ClientConfig, UsageError> {
        config.with_client_auth_cert(self.chain.clone(), self.key.clone_key()).map_err(|error| {
            UsageError(format!(
                "{CLIENT_CERT} and {CLIENT_KEY}: {error}; the key must be that of the file's first certificate"
            ))
        })
    }
}

fn has_passphrase(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).contains("ENCRYPTED PRIVATE KEY")
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, UsageError> {
    std::fs::read(path)
        .map_err(|error| UsageError(format!("{flag}: cannot read {}: {error}", path.display())))
}

fn read_ca(path: &Path) -> Result<Vec<CertificateDer<'static>>, UsageError> {
    let found = certificates(CA_FILE, path, &read(CA_FILE, path)?)?;
    for (number, certificate) in (1..).zip(&found) {
        if !is_usable(certificate) {
            return Err(UsageError(format!(
                "{CA_FILE}: {}: certificate {number} in it is damaged; replace the file",
                path.display()
            )));
        }
    }
    Ok(found)
}

fn certificates(flag: &str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, UsageError> {
    let wrong = |reason: String| {
        UsageError(format!(
            "{flag}: {}: {reason}; it must hold certificates in PEM, each from -----BEGIN CERTIFICATE----- on",
            path.display()
        ))
    };
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong(format!("not PEM: {error}")))?;
    if found.is_empty() { Err(wrong("no certificate in it".into())) } else { Ok(found) }
}

fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}
