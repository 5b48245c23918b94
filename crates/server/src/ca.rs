//! The server's own CA, and the certificate that it gives the server.
//!
//! Hosts trust this CA and no other: its certificate travels with the join token. So it is made
//! once and kept; the server's certificate is made anew at a start when it nears its end or when
//! the server has other names.

use crate::files;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DAY: i64 = 86_400;

/// How long the CA lasts, in days: 20 years.
const CA_DAYS: i64 = 7300;

/// How long the server's certificate lasts, in days, and when it is made anew.
const SERVER_DAYS: i64 = 1095;
const RENEW_DAYS: i64 = 365;

/// Certificates begin so many days ago: clocks of hosts may be slow.
const EARLIER_DAYS: i64 = 7;

/// What went wrong with the CA.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// A file of it.
    #[error("{doing} {}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A certificate or key cannot be made or read.
    #[error("{doing}")]
    Certificate {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CaError {
    let path = path.to_owned();
    move |source| CaError::File { doing, path, source }
}

fn certificate<E: std::error::Error + Send + Sync + 'static>(doing: impl Into<String>) -> impl FnOnce(E) -> CaError {
    let doing = doing.into();
    move |source| CaError::Certificate { doing, source: Box::new(source) }
}

/// The CA and the server's certificate.
pub struct Ca {
    /// The CA's certificate, PEM.
    pub pem: String,
    /// SHA-256 of that text, in hexadecimal digits: what `sha256sum ca.pem` prints.
    pub sha256: String,
    /// Names and addresses in the server's certificate.
    pub names: BTreeSet<String>,
    /// End of the server's certificate, in seconds since 1970.
    pub ends: i64,
    tls: Arc<rustls::ServerConfig>,
}

/// Shows no key.
impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("sha256", &self.sha256).field("names", &self.names).finish_non_exhaustive()
    }
}

/// The server's certificate with its key, in one file so that they never differ.
#[derive(Serialize, Deserialize)]
struct ServerCertificate {
    names: BTreeSet<String>,
    /// End, in seconds since 1970.
    ends: i64,
    /// CA that signed it, by the SHA-256 of its certificate.
    ca: String,
    certificate: String,
    key: String,
}

impl Ca {
    /// Opens the CA in `dir`, or makes it; sees to it that the server has a certificate for `names`
    /// (host names and addresses) that does not end soon.
    ///
    /// # Errors
    /// [`CaError`]
    pub fn open(dir: &Path, names: BTreeSet<String>) -> Result<Self, CaError> {
        Self::open_at(dir, names, jiff::Timestamp::now().as_second())
    }

    fn open_at(dir: &Path, names: BTreeSet<String>, now: i64) -> Result<Self, CaError> {
        files::make_dir(dir).map_err(file("making", dir))?;
        let (pem, key) = ca(dir, now)?;
        let sha256 = stackyard_core::text::hex(&Sha256::digest(pem.as_bytes()));
        let path = dir.join("certificate.json");
        let kept = files::read(&path).map_err(file("reading", &path))?;
        let kept = kept.and_then(|text| serde_json::from_str::<ServerCertificate>(&text).ok());
        let good = kept.filter(|l| l.names == names && l.ends > now + RENEW_DAYS * DAY && l.ca == sha256);
        let leaf = match good {
            Some(leaf) => leaf,
            None => {
                let leaf = leaf(&names, &key, &sha256, now)?;
                let text = serde_json::to_vec_pretty(&leaf).map_err(certificate("writing the certificate down"))?;
                files::write_private(&path, &text).map_err(file("writing", &path))?;
                leaf
            }
        };
        let tls = Arc::new(tls(&leaf).map_err(|e| match e {
            CaError::Certificate { doing, source } => {
                CaError::Certificate { doing: format!("{doing} of {}", path.display()), source }
            }
            other => other,
        })?);
        Ok(Self { pem, sha256, names, ends: leaf.ends, tls })
    }

    /// TLS as the server speaks it.
    pub(crate) fn tls(&self) -> Arc<rustls::ServerConfig> {
        self.tls.clone()
    }

    /// Whether the server's certificate is good for a host name or address.
    pub fn covers(&self, host: &str) -> bool {
        self.names.contains(host.trim_matches(['[', ']']))
    }
}

/// The CA's certificate and key. The key is written first, and what lacks is made from it, so that
/// a process that is killed here leaves no half of a CA.
fn ca(dir: &Path, now: i64) -> Result<(String, KeyPair), CaError> {
    let (key_path, pem_path) = (dir.join("ca.key"), dir.join("ca.pem"));
    let key = match files::read(&key_path).map_err(file("reading", &key_path))? {
        Some(text) => {
            KeyPair::from_pem(&text).map_err(certificate(format!("reading the key {}", key_path.display())))?
        }
        None => {
            let key = KeyPair::generate().map_err(certificate("making the CA's key"))?;
            files::write_private(&key_path, key.serialize_pem().as_bytes()).map_err(file("writing", &key_path))?;
            key
        }
    };
    let pem = match files::read(&pem_path).map_err(file("reading", &pem_path))? {
        Some(pem) => pem,
        None => {
            let doing = "making the CA's certificate";
            let pem = ca_params(now)?.self_signed(&key).map_err(certificate(doing))?.pem();
            files::write_private(&pem_path, pem.as_bytes()).map_err(file("writing", &pem_path))?;
            pem
        }
    };
    Ok((pem, key))
}

fn ca_params(now: i64) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Stackyard server CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    period(&mut params, now, CA_DAYS)?;
    Ok(params)
}

fn leaf(names: &BTreeSet<String>, ca_key: &KeyPair, ca: &str, now: i64) -> Result<ServerCertificate, CaError> {
    let doing = "making the server's certificate";
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Stackyard server");
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(certificate(format!("{doing} for {name}")))?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    period(&mut params, now, SERVER_DAYS)?;
    let key = KeyPair::generate().map_err(certificate(doing))?;
    let issuer = Issuer::new(ca_params(now)?, ca_key);
    let signed = params.signed_by(&key, &issuer).map_err(certificate(doing))?;
    let ends = now + SERVER_DAYS * DAY;
    Ok(ServerCertificate {
        names: names.clone(),
        ends,
        ca: ca.to_owned(),
        certificate: signed.pem(),
        key: key.serialize_pem(),
    })
}

/// Validity in whole days (UTC), which is what every parser of certificates agrees on.
fn period(params: &mut CertificateParams, now: i64, days: i64) -> Result<(), CaError> {
    let day = |at: i64| {
        let date = jiff::Timestamp::from_second(at).map(|t| t.to_zoned(jiff::tz::TimeZone::UTC).date());
        let date = date.map_err(certificate("reckoning the certificate's end"))?;
        Ok(rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs()))
    };
    params.not_before = day(now - EARLIER_DAYS * DAY)?;
    params.not_after = day(now + days * DAY)?;
    Ok(())
}

fn tls(leaf: &ServerCertificate) -> Result<rustls::ServerConfig, CaError> {
    let doing = "using the certificate";
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).map_err(certificate(doing))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(certificate(doing))?
        .with_no_client_auth()
        .with_single_cert(chain.map_err(certificate(doing))?, key)
        .map_err(certificate(doing))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Agents stay connected; what is kept to resume sessions would only cost memory.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn certificate_in(dir: &Path) -> ServerCertificate {
        serde_json::from_str(&std::fs::read_to_string(dir.join("certificate.json")).unwrap()).unwrap()
    }

    #[test]
    fn the_ca_stays_and_the_certificate_follows_names_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let now = 1_800_000_000;
        let first = Ca::open_at(dir, names(&["localhost", "127.0.0.1", "::1"]), now).unwrap();
        let leaf = certificate_in(dir);
        for name in ["ca.key", "ca.pem", "certificate.json"] {
            assert_eq!(std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert!(first.covers("127.0.0.1") && first.covers("[::1]") && !first.covers("stackyard.example"));

        Ca::open_at(dir, names(&["localhost", "127.0.0.1", "::1"]), now + 700 * DAY).unwrap();
        assert_eq!(certificate_in(dir).certificate, leaf.certificate);
        Ca::open_at(dir, names(&["localhost", "127.0.0.1", "::1"]), now + 731 * DAY).unwrap();
        let renewed = certificate_in(dir);
        assert_ne!(renewed.certificate, leaf.certificate);
        let other = Ca::open_at(dir, names(&["stackyard.example"]), now + 731 * DAY).unwrap();
        assert_ne!(certificate_in(dir).certificate, renewed.certificate);
        assert_eq!((&other.pem, &other.sha256), (&first.pem, &first.sha256));
    }

    #[test]
    fn what_a_killed_process_left_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        Ca::open(dir, names(&["localhost"])).unwrap();
        let key = std::fs::read(dir.join("ca.key")).unwrap();
        // Killed before the CA's certificate was there, and while the server's was written.
        std::fs::remove_file(dir.join("ca.pem")).unwrap();
        std::fs::write(dir.join("certificate.new"), b"{").unwrap();
        Ca::open(dir, names(&["localhost"])).unwrap();
        assert_eq!(std::fs::read(dir.join("ca.key")).unwrap(), key);
        std::fs::write(dir.join("certificate.json"), b"{").unwrap();
        Ca::open(dir, names(&["localhost"])).unwrap();
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = Ca::open(dir.path(), names(&["ü"])).unwrap_err();
        assert!(error.to_string().contains('ü'), "{error}");
    }
}
