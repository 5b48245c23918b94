//! What a browser gets: pages, sessions, news.

use super::support::{Browser, Running};
use futures_util::StreamExt;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_SECURITY_POLICY, COOKIE, ORIGIN};
use serde_json::{Value, json};
use stackyard_api::{AuditFilter, Revisions, Role};
use stackyard_server::stack::{Deployment, NetworkChoice};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_may_what_its_token_may_and_ends_with_it() {
    let running = Running::start().await;
    let (viewer, admin) = (running.token("v", Role::Viewer).await, running.token("a", Role::Admin).await);
    let browser = Browser::sign_in(&running, &viewer).await;
    let actor: Value = browser.get("/api/v1/session").await.json().await.unwrap();
    assert_eq!(actor, json!({"name": "v", "role": "viewer"}));
    assert_eq!(browser.get("/api/v1/hosts").await.status(), StatusCode::OK);
    assert_eq!(browser.get("/api/v1/tokens").await.status(), StatusCode::FORBIDDEN);
    let join = json!({"yard": "shop"});
    assert_eq!(browser.post("/api/v1/joins", &join).await.status(), StatusCode::FORBIDDEN);
    let root = Browser::sign_in(&running, &admin).await;
    assert_eq!(root.post("/api/v1/joins", &join).await.status(), StatusCode::CREATED);

    // The session is no token, and a token is no session.
    let text = browser.cookie.split_once('=').unwrap().1;
    assert_eq!(running.call("GET", "/api/v1/hosts", Some(text), None).await.0, StatusCode::UNAUTHORIZED);
    let forged = Browser { running: &running, cookie: format!("__Host-stackyard={admin}") };
    assert_eq!(forged.get("/api/v1/hosts").await.status(), StatusCode::UNAUTHORIZED);

    running.admin.revoke_token("v").await.unwrap();
    assert_eq!(browser.get("/api/v1/hosts").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(root.sign_out().await.status(), StatusCode::NO_CONTENT);
    assert_eq!(root.get("/api/v1/hosts").await.status(), StatusCode::UNAUTHORIZED);
    // Signing in is told as a change is.
    let entries = running.admin.audit(&AuditFilter::default(), None, 100).await.unwrap();
    let signed_in = entries.iter().filter(|e| e.verb == "POST /api/v1/session").map(|e| e.actor.as_str());
    assert_eq!(signed_in.collect::<Vec<_>>(), ["token a", "token v"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sites_pages_cannot_use_a_session() {
    let running = Running::start().await;
    let admin = running.token("a", Role::Admin).await;
    let browser = Browser::sign_in(&running, &admin).await;
    let url = format!("{}/api/v1/joins", running.url);
    let ask = || running.http().post(&url).json(&json!({"yard": "shop"})).header(COOKIE, &browser.cookie);
    let foreign = [
        ask(),
        ask().header(ORIGIN, "https://evil.example"),
        ask().header(ORIGIN, "null"),
        ask().header(ORIGIN, running.url.replace("https", "http")),
        ask().header(ORIGIN, &running.url).header("sec-fetch-site", "same-site"),
        ask().header("sec-fetch-site", "cross-site"),
    ];
    for request in foreign {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(ask().header(ORIGIN, &running.url).send().await.unwrap().status(), StatusCode::CREATED);
    // A WebSocket is opened by a GET, which any page may make a browser send.
    let exec = format!("{}/api/v1/yards/y/stacks/s/exec?replica=web&command=[]", running.url);
    let open = || {
        let request = running.http().get(&exec).header(COOKIE, &browser.cookie).header("connection", "upgrade");
        let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
        request.header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
    };
    assert_eq!(open().send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let evil = open().header(ORIGIN, "https://evil.example").send().await.unwrap();
    assert_eq!(evil.status(), StatusCode::FORBIDDEN);
    assert_eq!(open().header(ORIGIN, &running.url).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    // Nor may it sign a browser in.
    let login = running.http().post(format!("{}/api/v1/session", running.url)).json(&json!({"token": admin}));
    assert_eq!(login.header(ORIGIN, "https://evil.example").send().await.unwrap().status(), StatusCode::FORBIDDEN);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tries_to_sign_in_is_stopped() {
    let running = Running::start().await;
    let browser = Browser { running: &running, cookie: String::new() };
    let mut statuses = Vec::new();
    for n in 0..32 {
        statuses.push(browser.post("/api/v1/session", &json!({"token": format!("sya_{n:0>64}")})).await.status());
    }
    assert_eq!(statuses[..30], [StatusCode::UNAUTHORIZED; 30]);
    assert_eq!(statuses[30..], [StatusCode::TOO_MANY_REQUESTS; 2]);
    running.stop().await;
}

/// The next event's numbers.
async fn next(
    events: &mut (impl futures_util::Stream<Item = reqwest::Result<axum::body::Bytes>> + Unpin),
) -> Option<Revisions> {
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        let piece = tokio::time::timeout(Duration::from_secs(20), events.next()).await.expect("no event came")?;
        text += std::str::from_utf8(&piece.ok()?).unwrap();
    }
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let data = last.strip_prefix("event: revisions\ndata: ").unwrap_or_else(|| panic!("{last}"));
    Some(serde_json::from_str(data).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_told_at_once_and_to_nobody_whose_token_is_gone() {
    let running = Running::start().await;
    let viewer = running.token("v", Role::Viewer).await;
    let browser = Browser::sign_in(&running, &viewer).await;
    let answer = browser.get("/api/v1/events").await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut events = Box::pin(answer.bytes_stream());
    let first = next(&mut events).await.unwrap();
    running.host("shop", "web-1").await;
    let mut joined = next(&mut events).await.unwrap();
    while joined.hosts == first.hosts {
        joined = next(&mut events).await.unwrap();
    }
    running.admin.keep_yard("shop", "kind: Yard", None).await.unwrap();
    let mut kept = next(&mut events).await.unwrap();
    while kept.yards == first.yards {
        kept = next(&mut events).await.unwrap();
    }
    assert_eq!((kept.server, kept.stacks), (first.server, first.stacks));
    let stack = stackyard_core::stack::Stack { name: "site".into(), ..Default::default() };
    let deployment = Deployment { stack, pool: None, declared: false, networks: NetworkChoice::Kept };
    running.server.app().stacks().deploy("shop", deployment).await.unwrap();
    while next(&mut events).await.unwrap().stacks == first.stacks {}
    running.admin.revoke_token("v").await.unwrap();
    while next(&mut events).await.is_some() {}
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_its_news() {
    let running = Running::start().await;
    let viewer = running.token("v", Role::Viewer).await;
    let browser = Browser::sign_in(&running, &viewer).await;
    let mut events = Box::pin(browser.get("/api/v1/events").await.bytes_stream());
    next(&mut events).await.unwrap();
    let start = std::time::Instant::now();
    running.stop().await;
    assert!(next(&mut events).await.is_none());
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_come_with_a_strict_policy() {
    let running = Running::start().await;
    let browser = Browser { running: &running, cookie: String::new() };
    for path in ["/", "/hosts", "/stacks/shop/site"] {
        let page = browser.get(path).await;
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        assert_eq!(page.headers()["referrer-policy"], "no-referrer");
        assert!(page.text().await.unwrap().contains("Stackyard"));
    }
    // What is no page is no page.
    assert_eq!(running.call("GET", "/api/v1/nothing", None, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.call("GET", "/assets/nothing.js", None, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.call("GET", "/assets/../index.html.br", None, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.call("POST", "/hosts", None, Some(&json!({}))).await.0, StatusCode::METHOD_NOT_ALLOWED);
    running.stop().await;
}
