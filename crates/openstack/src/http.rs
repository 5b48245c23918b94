//! One HTTP exchange with retries: what is transient, what may be sent twice, how long to wait.
//!
//! Sent again, with growing waits or as long as `Retry-After` says:
//!
//! | what happened | any method | only idempotent ones |
//! |---|---|---|
//! | connection not made | yes | |
//! | 429, or 503 with Retry-After: the service says it did nothing | yes | |
//! | 502, 503, 504 | | yes |
//! | connection lost, time ran out, after the request was sent | | yes |
//!
//! Idempotent are GET, HEAD, PUT and DELETE, and a POST whose caller says so (authentication). A
//! DELETE that is sent again may meet 404: callers take that for done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Body, Method, StatusCode, Url};

use crate::config::CloudConfig;
use crate::error::{ApiError, Error, Result, TransportError};
use crate::error_body;

/// Called after every exchange, retried or not.
pub type Observer = Arc<dyn Fn(&RequestEvent) + Send + Sync>;

/// One exchange.
#[derive(Debug, Clone)]
pub struct RequestEvent {
    /// HTTP method.
    pub method: Method,
    /// Service type.
    pub service: &'static str,
    /// Address without query.
    pub url: String,
    /// The answer's status; `None` if there was no answer.
    pub status: Option<u16>,
    /// First is 1.
    pub attempt: u32,
    /// Until the answer was read.
    pub elapsed: Duration,
    /// Why and after which wait it will be sent again, if so.
    pub retry: Option<(String, Duration)>,
}

/// Exchanges of this process with all clouds, and those of them that repeated one that failed.
static SENT: AtomicU64 = AtomicU64::new(0);
static RETRIED: AtomicU64 = AtomicU64::new(0);

/// Exchanges of this process with all clouds, since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloudTraffic {
    /// All.
    pub sent: u64,
    /// Those that repeated one that failed.
    pub retried: u64,
}

/// Exchanges of this process with all clouds, since it started.
pub fn traffic() -> CloudTraffic {
    CloudTraffic { sent: SENT.load(Ordering::Relaxed), retried: RETRIED.load(Ordering::Relaxed) }
}

/// How often and how long.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Exchanges at most, the first included.
    pub attempts: u32,
    /// Wait before the second; doubled each time.
    pub first_wait: Duration,
    /// Longest wait, `Retry-After` included: a service that wants more time gets an error instead.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, first_wait: Duration::from_millis(400), longest_wait: Duration::from_secs(30) }
    }
}

/// How a [`crate::Cloud`] talks.
#[derive(Clone)]
pub struct Options {
    /// Told of every exchange.
    pub observer: Option<Observer>,
    /// Retries.
    pub retry: RetryPolicy,
    /// Longest time for one exchange without a stream, unless clouds.yaml says otherwise.
    pub timeout: Duration,
    /// Longest time for an exchange with a streamed body.
    pub stream_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            observer: None,
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(120),
            stream_timeout: Duration::from_secs(4 * 3600),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("retry", &self.retry).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// How many exchanges there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them, authentication included.
    pub total: u64,
    /// Those that may change something: neither GET nor HEAD nor authentication.
    pub mutating: u64,
}

/// A body that can be sent more than once.
#[derive(Clone)]
pub(crate) enum Payload {
    Empty,
    Bytes(Vec<u8>),
    /// Makes the stream anew for each attempt.
    Stream(Arc<dyn Fn() -> Body + Send + Sync>),
}

/// A request, ready but for the token.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub payload: Payload,
    pub service: &'static str,
    /// For errors: method, service, resource.
    pub what: String,
    pub idempotent: bool,
    pub mutating: bool,
    pub timeout: Option<Duration>,
    /// Exchanges at most, if fewer than the policy says.
    pub attempts: Option<u32>,
    /// Whether a good answer's body is handed on unread.
    pub streamed: bool,
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The rest of a streamed answer.
    pub stream: Option<reqwest::Response>,
    /// How many exchanges it took.
    pub attempts: u32,
}

/// Client, policy and counters of one cloud.
pub(crate) struct Http {
    client: reqwest::Client,
    options: Options,
    total: AtomicU64,
    mutating: AtomicU64,
}

impl Http {
    pub fn new(config: &CloudConfig, mut options: Options) -> Result<Self> {
        if let Some(timeout) = config.timeout {
            options.timeout = timeout;
        }
        Ok(Self { client: client(config)?, options, total: AtomicU64::new(0), mutating: AtomicU64::new(0) })
    }

    pub fn counts(&self) -> Counts {
        Counts { total: self.total.load(Ordering::Relaxed), mutating: self.mutating.load(Ordering::Relaxed) }
    }

    /// Sends until there is an answer that is not transient. Error statuses are answers, too.
    pub async fn send(&self, request: &Prepared, token: Option<&str>) -> Result<Answer> {
        let most = request.attempts.unwrap_or(u32::MAX).min(self.options.retry.attempts);
        let mut attempt = 1;
        loop {
            let started = Instant::now();
            let outcome = self.once(request, token).await;
            let retry = self.judge(request, &outcome, attempt).filter(|_| attempt < most);
            self.tell(request, &outcome, attempt, started.elapsed(), retry.clone());
            let Some((reason, wait)) = retry else {
                return match outcome {
                    Ok(answer) => Ok(Answer { attempts: attempt, ..answer }),
                    Err(e) => Err(transport(request, &e, attempt)),
                };
            };
            RETRIED.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(what = request.what, reason, ?wait, "sending again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn once(&self, request: &Prepared, token: Option<&str>) -> reqwest::Result<Answer> {
        self.total.fetch_add(1, Ordering::Relaxed);
        SENT.fetch_add(1, Ordering::Relaxed);
        if request.mutating {
            self.mutating.fetch_add(1, Ordering::Relaxed);
        }
        let mut builder =
            self.client.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
        if let Some(token) = token {
            builder = builder.header("X-Auth-Token", token);
        }
        let (body, default) = match &request.payload {
            Payload::Empty => (None, self.options.timeout),
            Payload::Bytes(bytes) => (Some(Body::from(bytes.clone())), self.options.timeout),
            Payload::Stream(make) => (Some(make()), self.options.stream_timeout),
        };
        if let Some(body) = body {
            builder = builder.body(body);
        }
        let default = if request.streamed { self.options.stream_timeout } else { default };
        let response = builder.timeout(request.timeout.unwrap_or(default)).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if request.streamed && status.is_success() {
            return Ok(Answer { status, headers, body: Vec::new(), stream: Some(response), attempts: 0 });
        }
        let body = response.bytes().await?.to_vec();
        Ok(Answer { status, headers, body, stream: None, attempts: 0 })
    }

    /// Whether to send again: why, and after which wait.
    fn judge(&self, request: &Prepared, outcome: &reqwest::Result<Answer>, attempt: u32) -> Option<(String, Duration)> {
        let policy = &self.options.retry;
        let backoff = policy.first_wait.saturating_mul(1 << (attempt - 1).min(10)).min(policy.longest_wait);
        match outcome {
            Ok(answer) => {
                let status = answer.status;
                let asked = retry_after(&answer.headers);
                let refused = status == StatusCode::TOO_MANY_REQUESTS
                    || (status == StatusCode::SERVICE_UNAVAILABLE && asked.is_some());
                let gateway = matches!(status.as_u16(), 502..=504);
                if !(refused || (gateway && request.idempotent)) {
                    return None;
                }
                let wait = asked.unwrap_or(backoff);
                (wait <= policy.longest_wait).then(|| (format!("answer {status}"), wait))
            }
            Err(e) if e.is_builder() || e.is_redirect() => None,
            // A certificate does not become valid by trying.
            Err(e) if e.is_connect() && cause(e).contains("certificate") => None,
            Err(e) if e.is_connect() || request.idempotent => Some((cause(e), backoff)),
            Err(_) => None,
        }
    }

    fn tell(
        &self,
        request: &Prepared,
        outcome: &reqwest::Result<Answer>,
        attempt: u32,
        elapsed: Duration,
        retry: Option<(String, Duration)>,
    ) {
        let status = outcome.as_ref().ok().map(|a| a.status.as_u16());
        tracing::trace!(what = request.what, ?status, ?elapsed, attempt, "exchange");
        if let Some(observer) = &self.options.observer {
            observer(&RequestEvent {
                method: request.method.clone(),
                service: request.service,
                url: bare(&request.url),
                status,
                attempt,
                elapsed,
                retry,
            });
        }
    }
}

/// The error that an answer is.
pub(crate) fn refused(request: &Prepared, answer: &Answer) -> Error {
    let request_id = ["x-openstack-request-id", "x-compute-request-id", "x-trans-id", "x-amz-request-id"]
        .iter()
        .find_map(|name| answer.headers.get(*name)?.to_str().ok().map(str::to_owned));
    let mut said = error_body::read(&answer.body);
    // Not followed where it leads to another origin: the token, or a password, must not.
    let elsewhere = answer.headers.get(LOCATION).and_then(|l| l.to_str().ok());
    let elsewhere = elsewhere.filter(|_| answer.status.is_redirection());
    if let Some(address) = elsewhere {
        said.message = format!("it is at {address}");
    }
    let place = if request.service == "identity" { "auth_url" } else { "the service's endpoint_override" };
    let hint = elsewhere.map(|address| {
        let address = address.split_once("/auth/tokens").map_or(address, |(base, _)| base);
        format!("set {place} to the new address in clouds.yaml ({address})")
    });
    Error::Api(Box::new(ApiError {
        what: request.what.clone(),
        service: request.service,
        status: answer.status.as_u16(),
        message: said.message,
        kind: said.kind,
        request_id,
        attempts: answer.attempts,
        hint,
    }))
}

pub(crate) fn transport(request: &Prepared, error: &reqwest::Error, attempts: u32) -> Error {
    Error::Transport(Box::new(TransportError {
        what: request.what.clone(),
        url: bare(&request.url),
        message: if error.is_timeout() && !error.is_connect() { "time ran out".to_owned() } else { cause(error) },
        unsent: error.is_connect(),
        timed_out: error.is_timeout(),
        attempts,
    }))
}

/// Only seconds: no OpenStack service sends the date form.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse::<u64>().ok().map(Duration::from_secs)
}

/// The innermost cause: the outer ones only say that sending failed.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    let mut words = String::new();
    while let Some(next) = inner.source() {
        inner = next;
        let text = inner.to_string();
        if text.contains("certificate") {
            return text;
        }
        words = text;
    }
    if words.is_empty() { "the request failed".to_owned() } else { words }
}

fn bare(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

fn client(config: &CloudConfig) -> Result<reqwest::Client> {
    // The first caller in the process wins; they all want the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || -> Result<reqwest::ClientBuilder> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("stackyard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // Kept connections die first on the other side (uwsgi, haproxy): do not meet them then.
            .pool_idle_timeout(Duration::from_secs(3))
            // Heat redirects from a stack's id to its full path. Elsewhere the token must not follow.
            .redirect(reqwest::redirect::Policy::custom(|attempt| {
                let from = attempt.previous().last().map(|u| u.origin());
                if attempt.previous().len() < 3 && from == Some(attempt.url().origin()) {
                    attempt.follow()
                } else {
                    attempt.stop()
                }
            }))
            .tcp_nodelay(true);
        if is_loopback(&config.auth_url) {
            builder = builder.no_proxy();
        }
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })
        };
        let broken = |path: &std::path::Path, e: reqwest::Error| {
            Error::config(path.display().to_string(), format!("no PEM certificates: {}", cause(&e)))
        };
        // Where nothing is checked, the file need not be there.
        if let Some(path) = config.cacert.as_ref().filter(|_| config.verify) {
            let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|e| broken(path, e))?;
            if certificates.is_empty() {
                return Err(Error::config(path.display().to_string(), "no certificate in it"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((cert, key)) = &config.client_cert {
            let mut pem = read(cert)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(|e| broken(cert, e))?);
        }
        if !config.verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        Ok(builder)
    };
    let built = builder()?.build();
    // A machine without any CA can still talk plain HTTP.
    let built = if built.is_err() && config.auth_url.starts_with("http://") && config.cacert.is_none() {
        builder()?.tls_certs_only(Vec::new()).build()
    } else {
        built
    };
    built.map_err(|e| {
        Error::config("TLS", format!("the client cannot be set up: {}", cause(&e)))
            .with_hint("install the system's CA certificates (ca-certificates), or set cacert in clouds.yaml")
    })
}

fn is_loopback(url: &str) -> bool {
    Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned)).is_some_and(|host| {
        host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}
