//! Measurements of the server, for Prometheus.
//!
//! What happens is counted where it happens, in [`Metrics`]. What is so at a moment is put together when someone asks,
//! in a [`Momentary`]. No label has a value that callers choose: routes are the templates of the router, and names of
//! yards, hosts and tokens are nowhere.

mod process;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use stackyard_api::{RunKind, RunState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Content type of the answer (Prometheus, "Exposition formats", text format 0.0.4).
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of latencies, in seconds.
const SECONDS: [f64; 9] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Of a request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    /// The template of the router, `console` for its pages and files, or `unknown`.
    route: String,
    method: &'static str,
    status: u16,
}

/// Of the time that requests take.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: &'static str,
}

/// Of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    outcome: &'static str,
}

/// Of a run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    kind: &'static str,
    state: &'static str,
}

/// Of connections that made room for others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

/// Of open connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OwnerLabels {
    owner: &'static str,
}

type SecondsGauge = Gauge<f64, AtomicU64>;

/// What has happened since the server started. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    requests: Family<RequestLabels, Counter>,
    latencies: Family<RouteLabels, Histogram, fn() -> Histogram>,
    handshakes: Family<HandshakeLabels, Counter>,
    runs: Family<RunLabels, Counter>,
    store_check: SecondsGauge,
    store_failures: Counter,
    hosts: Gauge,
}

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HandshakeOutcome {
    /// It was made.
    Done,
    /// The other side spoke no TLS, or does not trust the certificate.
    Failed,
    /// It took too long.
    TooSlow,
}

/// What is so when someone asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Momentary {
    /// Agents that are connected.
    pub agents: usize,
    /// Streams that callers with tokens have open.
    pub streams: usize,
    /// Large bodies that are being read.
    pub bodies: usize,
    /// Runs of yards that go on.
    pub runs: usize,
    /// Open connections of addresses over which no good token has come, and of known callers.
    pub connections: (usize, usize),
    /// Connections that made room, by limit.
    pub ended: Vec<(&'static str, u64)>,
    /// Requests that were sent to clouds.
    pub cloud_requests: u64,
    /// Those of them that were sent again after a failure.
    pub cloud_retries: u64,
    /// Sign-ins that failed.
    pub failed_sign_ins: u64,
    /// Connections of agents whose place another one took.
    pub replaced_connections: u64,
    /// Entries of the audit log that are missing in its file.
    pub audit_lost: u64,
    /// End of the server's certificate, in seconds since 1970.
    pub certificate_ends: i64,
    /// Start of the server, in milliseconds since 1970.
    pub started: i64,
}

fn latencies() -> Histogram {
    Histogram::new(SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        let counted = Counted {
            requests: Family::default(),
            latencies: Family::new_with_constructor(latencies),
            handshakes: Family::default(),
            runs: Family::default(),
            store_check: SecondsGauge::default(),
            store_failures: Counter::default(),
            hosts: Gauge::default(),
        };
        // A rate needs a zero to begin with.
        for outcome in [HandshakeOutcome::Done, HandshakeOutcome::Failed, HandshakeOutcome::TooSlow] {
            drop(counted.handshakes.get_or_create(&HandshakeLabels { outcome: outcome.word() }));
        }
        for kind in ["up", "down"] {
            for state in [RunState::Done, RunState::Failed, RunState::Cancelled, RunState::Interrupted] {
                drop(counted.runs.get_or_create(&RunLabels { kind, state: state.word() }));
            }
        }
        Self(Arc::new(counted))
    }
}

impl HandshakeOutcome {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TooSlow => "too_slow",
        }
    }
}

impl Metrics {
    /// A request was answered with `status`; `took` lasts to the head of the answer.
    pub(crate) fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        // Callers may invent methods.
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = known.into_iter().find(|m| *m == method).unwrap_or("other");
        let route = route.to_owned();
        let labels = RouteLabels { route: route.clone(), method };
        self.0.latencies.get_or_create(&labels).observe(took.as_secs_f64());
        self.0.requests.get_or_create(&RequestLabels { route, method, status }).inc();
    }

    /// A TLS handshake has ended.
    pub(crate) fn handshake(&self, outcome: HandshakeOutcome) {
        self.0.handshakes.get_or_create(&HandshakeLabels { outcome: outcome.word() }).inc();
    }

    /// A run of a yard has ended.
    pub(crate) fn run_ended(&self, kind: RunKind, state: RunState) {
        let kind = match kind {
            RunKind::Up => "up",
            RunKind::Down => "down",
        };
        self.0.runs.get_or_create(&RunLabels { kind, state: state.word() }).inc();
    }

    /// The store was looked at: it has so many hosts, or it did not answer.
    pub(crate) fn store_checked(&self, hosts: Option<i64>, took: Duration) {
        self.0.store_check.set(took.as_secs_f64());
        match hosts {
            Some(hosts) => drop(self.0.hosts.set(hosts)),
            None => drop(self.0.store_failures.inc()),
        }
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// None in practice: it is written to memory.
    pub(crate) fn text(&self, now: &Momentary) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("stackyard");
        self.register(own);
        now.register(own);
        process::register(&mut registry, now.started);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn register(&self, registry: &mut Registry) {
        let counted = &self.0;
        registry.register("http_requests", "Requests that were answered", counted.requests.clone());
        let help = "Time to the head of the answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, counted.latencies.clone());
        registry.register("tls_handshakes", "TLS handshakes, by how they ended", counted.handshakes.clone());
        registry.register("runs_ended", "Runs of yards that have ended", counted.runs.clone());
        let help = "Time that the last look at the store took, waiting for a connection included";
        registry.register_with_unit("store_check_duration", help, Unit::Seconds, counted.store_check.clone());
        let help = "Looks at the store that failed";
        registry.register("store_check_failures", help, counted.store_failures.clone());
        registry.register("hosts", "Hosts that have joined and are not removed", counted.hosts.clone());
    }
}

/// Registers a gauge with a value that is not counted here.
fn gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    let gauge: Gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

/// Registers a counter with a value that is counted elsewhere.
fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter: Counter = Counter::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

impl Momentary {
    fn register(&self, registry: &mut Registry) {
        gauge(registry, "agents_connected", "Agents that are connected", self.agents);
        gauge(registry, "streams", "Open streams of callers with a token: logs, events, programs", self.streams);
        gauge(registry, "large_requests", "Requests with more than 64 KiB that are being read", self.bodies);
        gauge(registry, "runs_active", "Runs of yards in progress", self.runs);
        counter(registry, "cloud_requests", "Requests that this process sent to clouds", self.cloud_requests);
        counter(registry, "cloud_retries", "Requests that were sent to clouds again", self.cloud_retries);
        counter(registry, "sign_ins_failed", "Sign-ins and tokens that were refused", self.failed_sign_ins);
        let help = "Connections of agents whose place another connection of the same host took";
        counter(registry, "agent_connections_replaced", help, self.replaced_connections);
        let help = "Entries of the audit log that could not be written to the file of --audit-file";
        counter(registry, "audit_file_lost", help, self.audit_lost);
        let connections = Family::<OwnerLabels, Gauge>::default();
        for (owner, count) in [("unknown", self.connections.0), ("known", self.connections.1)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            connections.get_or_create(&OwnerLabels { owner }).set(count);
        }
        let help = "Open HTTPS connections, without WebSockets, by whether a good token has come over them";
        registry.register("connections", help, connections);
        let ended = Family::<LimitLabels, Counter>::default();
        for &(limit, count) in &self.ended {
            ended.get_or_create(&LimitLabels { limit }).inc_by(count);
        }
        registry.register("connections_ended", "Connections that were closed to make room, by limit", ended);
        let ends: Gauge = Gauge::default();
        ends.set(self.certificate_ends);
        let help = "End of the server's certificate, in Unix time";
        registry.register_with_unit("certificate_expiry_timestamp", help, Unit::Seconds, ends);
        registry.register("build", "Version of the server", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_do_not_make_labels() {
        let metrics = Metrics::default();
        for n in 0..100 {
            metrics.request("unknown", &format!("M{n}"), 404, Duration::from_millis(3));
        }
        let text = metrics.text(&Momentary::default()).unwrap();
        let requests: Vec<_> = text.lines().filter(|l| l.starts_with("stackyard_http_requests_total{")).collect();
        assert_eq!(requests, [r#"stackyard_http_requests_total{route="unknown",method="other",status="404"} 100"#]);
        let count = r#"stackyard_http_request_duration_seconds_bucket{route="unknown",method="other",le="0.005"} 100"#;
        assert!(text.contains(count), "{text}");
    }

    #[test]
    fn every_metric_has_a_type_and_a_help() {
        let text = Metrics::default().text(&Momentary::default()).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
            for head in ["HELP", "TYPE"] {
                assert!(text.contains(&format!("# {head} {family} ")), "{head} {family}\n{text}");
            }
        }
    }
}
