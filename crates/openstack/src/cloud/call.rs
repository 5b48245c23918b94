//! One request, put together: what the typed calls are made of, and open to callers for what has
//! no typed call yet.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cloud, url};
use crate::catalog::Service;
use crate::error::{Error, Result};
use crate::http::{Answer, Payload, Prepared};
use crate::json;

/// A request that is not sent yet.
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    cloud: &'a Cloud,
    method: Method,
    pub(crate) service: Service,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(Cow<'static, str>, String)>,
    payload: Payload,
    resource: String,
    idempotent: bool,
    pub(crate) microversion: Option<&'a str>,
    /// What is sent where less than this microversion is spoken.
    pub(crate) older: Option<(&'static str, Payload)>,
    timeout: Option<Duration>,
    streamed: bool,
    broken: Option<String>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(cloud: &'a Cloud, method: Method, service: Service, path: String) -> Self {
        let idempotent = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE].contains(&method);
        Self {
            cloud,
            method,
            service,
            resource: path.clone(),
            path,
            query: Vec::new(),
            headers: Vec::new(),
            payload: Payload::Empty,
            idempotent,
            microversion: None,
            older: None,
            timeout: None,
            streamed: false,
            broken: None,
        }
    }

    /// Names the resource for errors: `server "db"`.
    pub fn on(mut self, noun: &str, name: &str) -> Self {
        self.resource = if name.is_empty() { noun.to_owned() } else { format!("{noun} {name:?}") };
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query.push((key.to_owned(), value.into()));
        self
    }

    /// Adds query parameters.
    pub fn queries(mut self, pairs: &[(&str, &str)]) -> Self {
        self.query.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Asks for this microversion, or for the newest below it that the service speaks.
    pub fn microversion(mut self, version: Option<&'a str>) -> Self {
        self.microversion = version;
        self
    }

    /// Sends `body` as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.payload = Payload::Bytes(bytes),
            Err(e) => self.broken = Some(e.to_string()),
        }
        self.header("content-type", "application/json")
    }

    /// Sends `body` in place of the other one to a service whose newest microversion is less than `since`.
    pub fn json_below(mut self, since: &'static str, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.older = Some((since, Payload::Bytes(bytes))),
            Err(e) => self.broken = Some(e.to_string()),
        }
        self
    }

    /// Sends `bytes` as they are.
    pub fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.payload = Payload::Bytes(bytes);
        self
    }

    /// Sends a stream, which `make` begins anew for each attempt.
    pub fn stream(mut self, make: impl Fn() -> Body + Send + Sync + 'static) -> Self {
        self.payload = Payload::Stream(Arc::new(make));
        self
    }

    /// Says that sending it twice does no harm, so that it may be retried whatever happens.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Longest time for one exchange.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn prepare(&self, base: &str) -> Result<Prepared> {
        let what = format!("{} {} {}", self.method, self.service, self.resource);
        if let Some(message) = &self.broken {
            return Err(Error::Decode { what, message: format!("the request cannot be written: {message}") });
        }
        let mut url = url(&format!("{base}{}", self.path))?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        for (name, value) in &self.headers {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => headers.insert(name, value),
                _ => return Err(Error::Decode { what, message: format!("header {name} cannot be {value:?}") }),
            };
        }
        if matches!(self.payload, Payload::Bytes(_) | Payload::Stream(_)) && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        Ok(Prepared {
            mutating: self.method != Method::GET && self.method != Method::HEAD,
            method: self.method.clone(),
            url,
            headers,
            payload: self.payload.clone(),
            service: self.service.name(),
            what,
            idempotent: self.idempotent,
            timeout: self.timeout,
            attempts: None,
            streamed: self.streamed,
        })
    }

    async fn answer(&self) -> Result<(Prepared, Answer)> {
        self.cloud.send(self).await
    }

    /// Sends it; the answer's body does not matter.
    ///
    /// # Errors
    /// [`Error::Api`] for an error status, [`Error::Transport`] without an answer.
    pub async fn done(self) -> Result<()> {
        self.answer().await.map(drop)
    }

    /// Sends it and reads the answer's JSON.
    ///
    /// # Errors
    /// As of [`Call::done`], and [`Error::Decode`].
    pub async fn read<T: DeserializeOwned>(self) -> Result<T> {
        let (request, answer) = self.answer().await?;
        json::read(&answer.body).map_err(|e| Error::Decode { what: request.what, message: e.to_string() })
    }

    /// Sends it and hands back headers and body.
    ///
    /// # Errors
    /// As of [`Call::done`].
    pub async fn fetch(self) -> Result<(HeaderMap, Vec<u8>)> {
        let (_, answer) = self.answer().await?;
        Ok((answer.headers, answer.body))
    }

    /// Sends it and hands back the answer while its body is still coming.
    ///
    /// # Errors
    /// As of [`Call::done`].
    pub async fn download(mut self) -> Result<reqwest::Response> {
        self.streamed = true;
        let (request, answer) = self.answer().await?;
        answer.stream.ok_or_else(|| Error::Decode { what: request.what, message: "there is no body".to_owned() })
    }

    /// Sends a removal: whether there was something to remove.
    ///
    /// # Errors
    /// As of [`Call::done`], but 404 is none.
    pub async fn gone(self) -> Result<bool> {
        match self.done().await {
            Ok(()) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// A path segment: names of containers and objects may hold anything.
pub(crate) fn segment(text: &str) -> String {
    encode(text, false)
}

/// The same for an object's name, whose slashes stay.
pub(crate) fn path(text: &str) -> String {
    encode(text, true)
}

fn encode(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (slashes && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    // A segment of dots alone would be resolved away.
    if out == "." || out == ".." { out.replace('.', "%2E") } else { out }
}
