//! TLS before a server of ours that has none: takes connections with TLS and hands their bytes on.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificates::Identity;
use super::wait::block_on;

/// Takes connections for the server at `address`, and gives the port. With `client_ca`, clients need a certificate of that CA.
/// It lives as long as the tests.
pub fn before(address: &str, identity: &Identity, client_ca: Option<&Path>) -> u16 {
    let acceptor = TlsAcceptor::from(Arc::new(config(identity, client_ca)));
    let address = address.to_owned();
    block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, address) = (acceptor.clone(), address.clone());
                tokio::spawn(async move {
                    // A client that fails, or goes away, is its own affair.
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(address).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        port
    })
}

fn config(identity: &Identity, client_ca: Option<&Path>) -> ServerConfig {
    // The provider may be installed already, by another test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = CertificateDer::pem_file_iter(&identity.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
    let builder = ServerConfig::builder();
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        }
    };
    builder.with_single_cert(chain, key).unwrap()
}
