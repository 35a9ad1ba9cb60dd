//! By which certificates brokers are recognised.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use crate::broker_url::Tls;

/// Why nobody could be recognised.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTls {
    /// This machine has none.
    #[error("this machine knows no certificate authorities ({0}): set ca= to a PEM file")]
    NoAuthorities(String),
    /// The file has none, or cannot be read.
    #[error(
        "ca={file} has no certificate that can be used ({error}): give the PEM file of the authority"
    )]
    File {
        /// Its path.
        file: String,
        /// What is wrong.
        error: String,
    },
    /// The library has no version of TLS.
    #[error("TLS cannot be used: {0}")]
    Library(#[from] tokio_rustls::rustls::Error),
}

pub(super) fn open_connector(tls: &Tls) -> Result<Option<TlsConnector>, InvalidTls> {
    let roots = match tls {
        Tls::Off => return Ok(None),
        Tls::System => system_roots()?,
        Tls::Private(file) => private_roots(file)?,
    };
    // With a second provider linked, the builder without one panics.
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

fn system_roots() -> Result<RootCertStore, InvalidTls> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let said: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(InvalidTls::NoAuthorities(said.join(", ")));
    }
    Ok(roots)
}

fn private_roots(file: &Path) -> Result<RootCertStore, InvalidTls> {
    let invalid = |error: String| InvalidTls::File { file: file.display().to_string(), error };
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| invalid(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("there is none in it".to_owned()));
    }
    Ok(roots)
}
