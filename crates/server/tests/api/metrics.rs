//! Metrics and probes, and the alert rules and the dashboard that use them.

use crate::support::Running;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use stackyard_api::Role;
use stackyard_server::daemon::Settings;
use stackyard_server::hub::HubTiming;
use stackyard_store::{Database, SCHEMA, StoreLoader};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server that shows its metrics without TLS.
async fn open() -> (Running, String) {
    let settings = Settings { metrics_listen: Some(vec!["127.0.0.1:0".parse().unwrap()]), ..Settings::default() };
    let running = Running::start_as(tempfile::tempdir().unwrap(), settings, HubTiming::default()).await;
    let url = format!("http://{}", running.server.metrics_listening()[0]);
    (running, url)
}

async fn get(running: &Running, url: &str) -> Response {
    running.http().get(url).send().await.unwrap()
}

/// The value of a sample, by its name and labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(head, _)| head == name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_measured() {
    let (running, url) = open().await;
    let viewer = running.token("ann", Role::Viewer).await;
    let hosts = [running.host("shop", "web-1").await, running.host("shop", "web-2").await];
    let _agent = running.agent(&hosts[0].token, None).await;
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    for _ in 0..3 {
        running.call("GET", "/api/v1/yards/shop/stacks", Some(&viewer), None).await;
    }
    running.call("GET", "/api/v1/yards/shop/stacks", None, None).await;
    running.call("GET", "/api/v1/nothing", None, None).await;
    // No TLS.
    let mut stream = TcpStream::connect(running.server.listening()[0]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.ok();

    let text = get(&running, &format!("{url}/metrics")).await.text().await.unwrap();
    let route = r#"route="/api/v1/yards/{yard}/stacks",method="GET""#;
    for (name, expected) in [
        (format!("stackyard_http_requests_total{{{route},status=\"200\"}}"), 3.0),
        (format!("stackyard_http_requests_total{{{route},status=\"401\"}}"), 1.0),
        (format!("stackyard_http_request_duration_seconds_count{{{route}}}"), 4.0),
        (r#"stackyard_http_requests_total{route="unknown",method="GET",status="404"}"#.to_owned(), 1.0),
        ("stackyard_agents_connected".to_owned(), 1.0),
        (r#"stackyard_tls_handshakes_total{outcome="failed"}"#.to_owned(), 1.0),
        (r#"stackyard_connections_ended_total{limit="address"}"#.to_owned(), 0.0),
        (r#"stackyard_runs_ended_total{kind="up",state="failed"}"#.to_owned(), 0.0),
        ("stackyard_store_check_failures_total".to_owned(), 0.0),
    ] {
        assert_eq!(sample(&text, &name), Some(expected), "{name}\n{text}");
    }
    assert!(sample(&text, r#"stackyard_tls_handshakes_total{outcome="done"}"#).unwrap() >= 5.0, "{text}");
    assert!(sample(&text, "process_resident_memory_bytes").unwrap() > 1e6);
    assert!(sample(&text, "process_open_fds").unwrap() > 5.0);
    let now = stackyard_api::now() as f64 / 1000.0;
    let year = 365.0 * 86_400.0;
    assert!(sample(&text, "stackyard_certificate_expiry_timestamp_seconds").unwrap() > now + 2.0 * year);
    assert!((now - sample(&text, "process_start_time_seconds").unwrap()).abs() < 60.0);
    for name in ["shop", "web-1", "ann"] {
        assert!(!text.contains(name), "{name} is in\n{text}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_for_viewers_and_for_those_who_reach_the_open_address() {
    let (running, url) = open().await;
    let viewer = running.token("ann", Role::Viewer).await;
    let host = running.host("shop", "web-1").await;
    for (token, expected) in
        [(None, StatusCode::UNAUTHORIZED), (Some(&host.token), StatusCode::FORBIDDEN), (Some(&viewer), StatusCode::OK)]
    {
        let (status, _) = running.call("GET", "/metrics", token.map(String::as_str), None).await;
        assert_eq!(status, expected);
    }
    let answer = get(&running, &format!("{url}/metrics")).await;
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    // Nothing else is there.
    for path in ["/", "/api/v1/health", "/api/v1/hosts", "/ca.pem", "/join.sh"] {
        assert_eq!(get(&running, &format!("{url}{path}")).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    // Connections that stay silent hold their places for ten seconds.
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(running.server.metrics_listening()[0])).collect();
    let silent = futures_util::future::join_all(silent).await;
    let begun = Instant::now();
    assert_eq!(get(&running, &format!("{url}/livez")).await.status(), StatusCode::OK);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    drop(silent);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_store_cannot_write_is_not_ready() {
    let (running, url) = open().await;
    let ready = async |base: &str| {
        let answer = get(&running, &format!("{base}/readyz")).await;
        (answer.status(), answer.text().await.unwrap())
    };
    for base in [&url, &running.url] {
        assert_eq!(ready(base).await, (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(get(&running, &format!("{base}/livez")).await.status(), StatusCode::OK);
    }
    // Many that ask at once are one write.
    let changes = || std::fs::metadata(running.home.path().join("server/stackyard.db-wal")).unwrap().len();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    ready(&url).await;
    let before = changes();
    for _ in 0..50 {
        ready(&url).await;
    }
    assert!(changes() - before <= 3 * 8_192, "{} bytes were written", changes() - before);

    // Another one writes to the database, and does not end.
    let database = Database::File(running.home.path().join("server/stackyard.db"));
    let writer = StoreLoader::begin(&database, SCHEMA, true).await.unwrap();
    let start = Instant::now();
    let refused = loop {
        let (status, text) = ready(&url).await;
        if status != StatusCode::OK {
            break (status, text);
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it is still ready");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(refused.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.1.contains("has not written within 2 s"), "{}", refused.1);
    // It lives, and its metrics can be read.
    let asked = Instant::now();
    assert_eq!(get(&running, &format!("{url}/livez")).await.status(), StatusCode::OK);
    assert_eq!(get(&running, &format!("{url}/metrics")).await.status(), StatusCode::OK);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    drop(writer);
    let start = Instant::now();
    while ready(&url).await.0 != StatusCode::OK {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not become ready again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    running.stop().await;
}

/// Words of an expression that are names of metrics.
fn metric_names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("stackyard_") || word.starts_with("process_"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alert_rules_and_dashboard_use_metrics_that_exist() {
    let (running, url) = open().await;
    // Families without a sample have none before the first request.
    get(&running, &format!("{}/livez", running.url)).await;
    let text = get(&running, &format!("{url}/metrics")).await.text().await.unwrap();
    let there: BTreeSet<&str> = text.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib");
    let alerts = std::fs::read_to_string(contrib.join("prometheus/alerts.yaml")).unwrap();
    let alerts: Value = serde_saphyr::from_str(&alerts).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let mut expressions = Vec::new();
    for rule in rules {
        for text in [&rule["alert"], &rule["annotations"]["summary"], &rule["annotations"]["description"]] {
            assert!(text.as_str().is_some_and(|t| !t.is_empty()), "{rule}");
        }
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
        expressions.push(rule["expr"].as_str().unwrap().to_owned());
    }
    let dashboard = std::fs::read_to_string(contrib.join("grafana/stackyard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    expressions.push(dashboard["templating"]["list"][1]["query"].as_str().unwrap().to_owned());
    let used: BTreeSet<&str> = expressions.iter().flat_map(|e| metric_names(e)).collect();
    assert!(used.len() > 15 && rules.len() > 8, "{used:?}");
    for name in &used {
        assert!(there.contains(name), "{name} does not exist; there are {there:?}");
    }
    running.stop().await;
}
