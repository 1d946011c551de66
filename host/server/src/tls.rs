//! TLS by rustls, with ring; its files are read when the service starts.

use std::path::Path;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tidemill_plan::{Code, Problem};

use crate::TlsFiles;

pub(crate) fn config(files: &TlsFiles) -> Result<RustlsConfig, Problem> {
    let unusable = |path: &Path, why: String| {
        let what = format!("`{}` cannot be used for TLS: {why}", path.display());
        let mend =
            "name PEM files with `tls_cert` (the certificate, then those that vouch for it) and `tls_key`";
        Problem::new(Code("tls-unusable"), what, mend)
    };
    let of_certificates = |why: String| unusable(&files.certificates, why);
    let certificates = CertificateDer::pem_file_iter(&files.certificates)
        .map_err(|e| of_certificates(e.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| of_certificates(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unusable(&files.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| of_certificates(e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|e| of_certificates(e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
