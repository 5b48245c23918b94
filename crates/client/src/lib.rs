//! A client of the API: over the server's Unix socket or over HTTPS.
//!
//! One method an endpoint, in the files of their nouns; bodies and answers are the types that the
//! handlers use.

mod archive;
mod doctor;
mod error;
mod event;
mod host;
mod join;
mod server;
mod ssh;
mod stack;
mod token;
mod volume;
mod wait;
mod yard;

pub use archive::ArchiveContents;
pub use error::ClientError;
pub use event::{EventQuery, EventReader, EventsOf};
pub use stack::{ExecQuery, ExecSession, ExecSink, LogQuery};
pub use wait::{Patience, WaitError};

use reqwest::header::LINK;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stackyard_api::Problem;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time for an answer to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time for the answer to an upload to begin: longer than the server waits for the largest.
const UPLOAD: Duration = Duration::from_secs(20 * 60);

/// So many of a list are asked for at once.
const PAGE: u32 = 1000;

/// A client. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// As `http`, with the time that large bodies take.
    uploads: reqwest::Client,
    base: String,
    token: Option<String>,
    /// For people.
    shown: String,
}

/// Shows no token.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.shown)
            .finish_non_exhaustive()
    }
}

/// Where a server is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// On this machine, at this socket.
    Socket(PathBuf),
    /// At a URL, with a token for it, and its CA (PEM) where no public CA vouches for it.
    Url {
        /// `https://host:port`
        url: String,
        /// The token.
        token: String,
        /// Certificate of the server's CA, PEM.
        ca: Option<String>,
    },
}

/// Shows no token.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => f.debug_tuple("Socket").field(path).finish(),
            Self::Url { url, .. } => f.debug_tuple("Url").field(url).finish(),
        }
    }
}

impl Client {
    /// A client of the server at `address`.
    ///
    /// # Errors
    /// [`ClientError::Build`]
    pub fn new(address: &Address) -> Result<Self, ClientError> {
        match address {
            Address::Socket(path) => Self::socket(path),
            Address::Url { url, token, ca } => Self::https(url, token, ca.as_deref()),
        }
    }

    /// A client of the server with a socket.
    ///
    /// # Errors
    /// [`ClientError::Build`]
    pub fn socket(path: &Path) -> Result<Self, ClientError> {
        let build = || builder().unix_socket(path);
        let (http, uploads) = both(build)?;
        let shown = path.display().to_string();
        Ok(Self {
            http,
            uploads,
            base: "http://stackyard".to_owned(),
            token: None,
            shown,
        })
    }

    /// A client of the server at `url`. With `ca` (PEM) that CA is trusted and no other.
    ///
    /// # Errors
    /// [`ClientError::Build`]
    pub fn https(url: &str, token: &str, ca: Option<&str>) -> Result<Self, ClientError> {
        Ok(Self {
            token: Some(token.to_owned()),
            ..Self::https_without(url, ca)?
        })
    }

    /// The same without a token, as somebody who signs in.
    ///
    /// # Errors
    /// [`ClientError::Build`]
    pub fn https_without(url: &str, ca: Option<&str>) -> Result<Self, ClientError> {
        let certificates = ca
            .map(|ca| reqwest::Certificate::from_pem_bundle(ca.as_bytes()))
            .transpose()
            .map_err(|source| ClientError::Build { source })?;
        let build = || {
            let builder = builder().https_only(true);
            match &certificates {
                Some(only) => builder.tls_certs_only(only.clone()),
                None => builder,
            }
        };
        let (http, uploads) = both(build)?;
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self {
            http,
            uploads,
            shown: base.clone(),
            base,
            token: None,
        })
    }

    /// Where the server is, for people.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A request, `path` below the server's address.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.authorized(self.http.request(method, format!("{}{path}", self.base)))
    }

    /// A request with a large body, `path` below the server's address.
    pub(crate) fn upload(&self, method: Method, path: &str) -> RequestBuilder {
        self.authorized(self.uploads.request(method, format!("{}{path}", self.base)))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; an answer that is a problem is an error. `doing` is for people.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        doing: &str,
    ) -> Result<Response, ClientError> {
        let unreachable = |source| ClientError::Unreachable {
            doing: doing.to_owned(),
            server: self.shown.clone(),
            source,
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() || status == reqwest::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let server = self.shown.clone();
        let text = response.text().await.unwrap_or_default();
        let problem = serde_json::from_str::<Problem>(&text);
        let detail = problem.map_or_else(|_| text.chars().take(500).collect(), |p| p.detail);
        Err(ClientError::Refused {
            doing: doing.to_owned(),
            server,
            status: status.as_u16(),
            detail,
        })
    }

    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        doing: &str,
    ) -> Result<T, ClientError> {
        let response = self.send(request, doing).await?;
        let strange = |source| ClientError::Strange {
            doing: doing.to_owned(),
            server: self.shown.clone(),
            source,
        };
        response.json().await.map_err(strange)
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        doing: &str,
    ) -> Result<T, ClientError> {
        self.json(self.request(Method::GET, path), doing).await
    }

    /// All of a list, page by page.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        doing: &str,
    ) -> Result<Vec<T>, ClientError> {
        let more = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{path}{more}limit={PAGE}"));
        let mut all = Vec::new();
        while let Some(path) = next {
            let response = self.send(self.request(Method::GET, &path), doing).await?;
            next = response
                .headers()
                .get(LINK)
                .and_then(|l| next_page(l.to_str().ok()?))
                .map(str::to_owned);
            let strange = |source| ClientError::Strange {
                doing: doing.to_owned(),
                server: self.shown.clone(),
                source,
            };
            all.extend(response.json::<Vec<T>>().await.map_err(strange)?);
        }
        Ok(all)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        doing: &str,
    ) -> Result<T, ClientError> {
        self.json(self.request(Method::POST, path).json(body), doing)
            .await
    }

    pub(crate) async fn delete(&self, path: &str, doing: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, path), doing)
            .await
            .map(drop)
    }
}

/// The path in `<PATH>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<&str> {
    Some(link.strip_prefix('<')?.split_once(">; rel=\"next\"")?.0)
}

/// A client for requests, and one for uploads.
fn both(
    build: impl Fn() -> reqwest::ClientBuilder,
) -> Result<(reqwest::Client, reqwest::Client), ClientError> {
    let failed = |source| ClientError::Build { source };
    let http = build().build().map_err(failed)?;
    let uploads = build().read_timeout(UPLOAD).build().map_err(failed)?;
    Ok((http, uploads))
}

fn builder() -> reqwest::ClientBuilder {
    // The process's provider may have been chosen already; it is the same one then.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .no_proxy()
}
