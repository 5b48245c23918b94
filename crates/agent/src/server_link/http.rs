//! Talking to the server: TLS that trusts one CA, and plain requests.

use crate::Error;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stackyard_core::text::error_chain;
use std::sync::Arc;
use std::time::Duration;

/// Time to reach a server.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// Time that a server may be silent in an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// Requests to servers whose certificate the configured CA signed; no other CA is trusted and
/// no proxy is asked.
#[derive(Clone)]
pub(crate) struct ServerClient {
    http: reqwest::Client,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

impl ServerClient {
    /// `ca` is PEM.
    pub(crate) fn new(ca: &str) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            let certificate = certificate.map_err(|e| format!("`ca` is no PEM: {e}"))?;
            roots.add(certificate).map_err(|e| format!("`ca` is no certificate of a CA: {e}"))?;
        }
        if roots.is_empty() {
            return Err("`ca` holds no certificate".into());
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .no_proxy()
            .https_only(true)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| error_chain(&e))?;
        Ok(Self { http, tls: Arc::new(tls) })
    }

    /// Posts JSON and reads JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        server: &str,
        path: &str,
        token: &str,
        body: &impl Serialize,
        doing: &'static str,
    ) -> Result<T, Error> {
        let request = self.http.post(url(server, path)).bearer_auth(token).json(body);
        let answer = checked(request, server, doing).await?;
        answer.json().await.map_err(|e| failed(server, doing, &e))
    }

    /// Gets a body that comes piece by piece.
    pub(crate) async fn get(
        &self,
        server: &str,
        path: &str,
        query: &[(&str, &str)],
        token: &str,
        doing: &'static str,
    ) -> Result<reqwest::Response, Error> {
        let request = self.http.get(url(server, path)).bearer_auth(token).query(query);
        checked(request, server, doing).await
    }
}

fn url(server: &str, path: &str) -> String {
    format!("{}{path}", server.trim_end_matches('/'))
}

async fn checked(
    request: reqwest::RequestBuilder,
    server: &str,
    doing: &'static str,
) -> Result<reqwest::Response, Error> {
    let answer = request.send().await.map_err(|e| failed(server, doing, &e))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let said = answer.bytes().await.map(|b| said(&b)).unwrap_or_default();
    Err(refused(server, doing, status.as_u16(), said))
}

/// An answer that is no success.
pub(crate) fn refused(server: &str, doing: &'static str, status: u16, said: String) -> Error {
    if status >= 500 || status == 429 {
        let problem = format!("{said} (HTTP status {status})");
        return Error::Server { doing, server: server.to_owned(), problem };
    }
    Error::Refused { doing, server: server.to_owned(), status, said, hint: hint(doing, status) }
}

fn hint(doing: &str, status: u16) -> &'static str {
    match (doing, status) {
        (JOIN, 401 | 403 | 409 | 410) => {
            "; a join token is good for one host and for a short time: get a new one with `stackyard host join`, where \
             the server runs"
        }
        (_, 401 | 403) => {
            "; the host was removed, or another one took its place: join again with `stackyard host join`, where the \
             server runs"
        }
        _ => "",
    }
}

/// What joining is called in errors.
pub(crate) const JOIN: &str = "join";

fn failed(server: &str, doing: &'static str, error: &reqwest::Error) -> Error {
    // The address is in our own words already.
    let mut problem = error_chain(error);
    if let Some(url) = error.url() {
        problem = problem.replace(&format!(" for url ({url})"), "");
    }
    Error::Server { doing, server: server.to_owned(), problem }
}

/// What an error's body says: the text of its `error` or `message`, else its first line.
pub(crate) fn said(body: &[u8]) -> String {
    const MOST: usize = 300;
    let text = String::from_utf8_lossy(body);
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let named = json.as_ref().and_then(|j| {
        let error = j.get("error").or_else(|| j.get("message"))?;
        error.as_str().or_else(|| error.get("message")?.as_str())
    });
    let line = named.unwrap_or_else(|| text.lines().next().unwrap_or_default()).trim();
    if line.is_empty() { "(no words)".to_owned() } else { line.chars().take(MOST).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_must_be_one() {
        for (pem, problem) in [("", "no certificate"), ("-----BEGIN CERTIFICATE-----\nx\n", "no PEM")] {
            let error = ServerClient::new(pem).err().unwrap();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn what_servers_say() {
        assert_eq!(said(br#"{"error": "used up"}"#), "used up");
        assert_eq!(said(br#"{"error": {"message": "used up"}}"#), "used up");
        assert_eq!(said(b"plain\nmore"), "plain");
        assert_eq!(said(b""), "(no words)");
    }
}
