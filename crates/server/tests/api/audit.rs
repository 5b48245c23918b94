//! The audit log has what happens, from where, and how it ended; and nobody fills it.

use crate::stacks::obey;
use crate::support::{Browser, Running};
use reqwest::StatusCode;
use serde_json::json;
use stackyard_api::{AuditEntry, AuditFilter, AuditKind, AuditResult, Role, StackDeploy};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{Service, Stack};
use stackyard_server::daemon::Settings;
use stackyard_server::hub::HubTiming;
use stackyard_store::{Database, NewEntry, Store};
use std::time::Duration;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

async fn entries(running: &Running, filter: AuditFilter) -> Vec<AuditEntry> {
    running.admin.audit(&filter, None, 1000).await.unwrap()
}

async fn of_kind(running: &Running, kind: AuditKind) -> Vec<AuditEntry> {
    entries(running, AuditFilter { kind: Some(kind), ..AuditFilter::default() }).await
}

async fn targets(running: &Running, filter: AuditFilter) -> Vec<String> {
    entries(running, filter).await.into_iter().map(|e| e.target).collect()
}

/// Waits until the metrics have this line.
async fn until_measured(running: &Running, line: &str) {
    let viewer = running.token("prometheus", Role::Viewer).await;
    let mut text = serde_json::Value::Null;
    for _ in 0..50 {
        text = running.call("GET", "/metrics", Some(&viewer), None).await.1;
        if text.as_str().is_some_and(|text| text.lines().any(|l| l == line)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no {line} in {text}");
}

fn site(image: &str, password: &str) -> StackDeploy {
    let environment = [("PASSWORD".to_owned(), password.to_owned())].into();
    let mut web = Service { image: image.to_owned(), environment, ..Service::default() };
    web.deploy.update.monitor = Duration::ZERO;
    let stack = Stack { name: "site".to_owned(), services: [("web".to_owned(), web)].into(), ..Stack::default() };
    StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None }
}

/// A server with a host that runs the stack `site`.
async fn with_a_stack() -> Running {
    let running = Running::start().await;
    let host = running.host("shop", "web-1").await;
    obey(running.agent(&host.token, None).await);
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    running.admin.deploy_stack("shop", "site", &site("registry.example/web:1", "hush-1")).await.unwrap();
    let runs = async {
        loop {
            let stacks = running.admin.stacks("shop").await.unwrap();
            let mut replicas = stacks[0].status.services.iter().flat_map(|s| &s.replicas);
            if replicas.any(|r| r.state == "running") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), runs).await.expect("the container does not run");
    running
}

/// Asks for a program in a container; the status of the answer.
async fn exec(running: &Running, token: &str, command: &str) -> u16 {
    let path = format!("/api/v1/yards/shop/stacks/site/exec?replica=web&tty=true&command={command}");
    let mut request = format!("{}{path}", running.url.replace("https", "wss")).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    match tokio_tungstenite::client_async(request, running.connection().await.unwrap()).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_in_containers_are_in_the_log_with_their_command() {
    let running = with_a_stack().await;
    let (operator, viewer) = (running.token("ann", Role::Operator).await, running.token("vera", Role::Viewer).await);
    assert_eq!(exec(&running, &operator, "[%22sh%22,%22-c%22,%22id%22]").await, 101);
    assert_eq!(exec(&running, &viewer, "[%22cat%22,%22/etc/shadow%22]").await, 403);
    let told = of_kind(&running, AuditKind::Exec).await;
    assert_eq!(told.len(), 2, "{told:?}");
    let (refused, done) = (&told[0], &told[1]);
    assert_eq!((done.actor.as_str(), done.result, done.status), ("token ann", Some(AuditResult::Done), Some(101)));
    assert_eq!(done.address.as_deref(), Some("127.0.0.1"));
    assert_eq!(done.target, "/api/v1/yards/shop/stacks/site/exec");
    assert_eq!(done.detail.as_deref(), Some(r#"web-1 on host web-1 with a terminal: ["sh","-c","id"]"#));
    assert_eq!((refused.actor.as_str(), refused.result), ("token vera", Some(AuditResult::Refused)));
    assert_eq!(refused.detail.as_deref(), Some(r#"web: ["cat","/etc/shadow"]"#));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_secrets_and_variables_is_in_the_log_without_their_values() {
    let running = with_a_stack().await;
    let operator = running.token("ann", Role::Operator).await;
    running.client(&operator).set_secret("shop", "key", "hush-2").await.unwrap();
    assert_eq!(running.admin.secret("shop", "key").await.unwrap(), "hush-2");
    assert_eq!(running.admin.secret("shop", "key").await.unwrap(), "hush-2");
    let path = "/api/v1/yards/shop/secrets/key";
    assert_eq!(running.call("GET", path, Some(&operator), None).await.0, StatusCode::FORBIDDEN);
    let definition = "/api/v1/yards/shop/stacks/site/definition";
    let (status, answer) = running.call("GET", definition, Some(&operator), None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer.to_string().contains("hush-1"));
    let told = of_kind(&running, AuditKind::Secret).await;
    let told_of: Vec<_> =
        told.iter().rev().map(|e| (e.actor.as_str(), e.verb.as_str(), e.status.unwrap_or_default())).collect();
    assert_eq!(
        told_of,
        [
            ("socket", "POST /api/v1/joins", 201),
            ("socket", "POST /api/v1/tokens", 201),
            ("token ann", "PUT /api/v1/yards/{yard}/secrets/{name}", 204),
            // The same read is one entry an hour.
            ("socket", "GET /api/v1/yards/{yard}/secrets/{name}", 200),
            ("token ann", "GET /api/v1/yards/{yard}/secrets/{name}", 403),
            ("token ann", "GET /api/v1/yards/{yard}/stacks/{stack}/definition", 200),
        ]
    );
    let details: Vec<_> = told.iter().rev().filter_map(|e| e.detail.as_deref()).collect();
    assert!(
        details[0].starts_with("join token ") && details[0].contains("for a host web-1 of yard shop"),
        "{details:?}"
    );
    assert_eq!(details[1..3], ["token ann with the role operator", "a new secret"]);
    assert_eq!(
        told.iter().find(|e| e.actor == "socket" && e.verb.starts_with("GET")).unwrap().address.as_deref(),
        Some("server")
    );
    // The count is written in the end at the latest.
    let home = running.stop().await;
    let running = Running::start_in(home, HubTiming::default()).await;
    let told = of_kind(&running, AuditKind::Secret).await;
    let read = told.iter().find(|e| e.actor == "socket" && e.verb.starts_with("GET")).unwrap();
    assert_eq!((read.times, read.last.is_some()), (2, true));
    assert!(!serde_json::to_string(&entries(&running, AuditFilter::default()).await).unwrap().contains("hush"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_are_told_by_what_they_change() {
    let running = with_a_stack().await;
    running.admin.deploy_stack("shop", "site", &site("registry.example/web:2", "hush-2")).await.unwrap();
    let operator = running.token("ann", Role::Operator).await;
    let body = json!({"services": {"web": {"environment": {"MODE": "fast"}}}});
    let path = "/api/v1/yards/shop/stacks/site/update";
    assert_eq!(running.call("POST", path, Some(&operator), Some(&body)).await.0, StatusCode::OK);
    let manifest = |cidr: &str| {
        json!({"manifest": format!(
            "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  networks:\n  - {{name: front, cidr: {cidr}}}\n"
        )})
    };
    for cidr in ["10.0.0.0/24", "10.1.0.0/24"] {
        let (status, answer) = running.call("PUT", "/api/v1/yards/shop", Some(&operator), Some(&manifest(cidr))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let told = of_kind(&running, AuditKind::Definition).await;
    let details: Vec<_> = told.iter().rev().map(|e| e.detail.as_deref().unwrap_or_default()).collect();
    assert!(details[0].starts_with("version 1: services web added (image registry.example/web:1)"), "{details:?}");
    let changed = "version 1 -> 2: services web changed: environment ~PASSWORD, image registry.example/web:1 -> \
                   registry.example/web:2";
    assert_eq!(details[1], changed);
    assert_eq!(details[2], "version 2 -> 3: services web changed: environment +MODE");
    // A revision is a time.
    assert!(details[3].starts_with("revision ") && details[3].ends_with(": networks front added"), "{details:?}");
    let (old, new) = details[4].split_once(" -> ").unwrap();
    assert!(
        details[3].starts_with(&format!("{old}: ")) && new.ends_with(": networks front changed: cidr"),
        "{details:?}"
    );
    let of_yard = AuditFilter { resource: Some("yards/shop/stacks".to_owned()), ..AuditFilter::default() };
    assert_eq!(entries(&running, of_yard).await.len(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_failed_sign_ins_are_a_few_entries() {
    let running = Running::start().await;
    let http = running.http();
    let attempts = |from: usize| {
        let (http, url) = (http.clone(), format!("{}/api/v1/hosts", running.url));
        async move {
            for n in from..from + 1000 {
                let token = format!("sya_{n:0>64}");
                http.get(&url).bearer_auth(token).send().await.unwrap();
            }
        }
    };
    let all: Vec<_> = (0..10).map(|n| tokio::spawn(attempts(n * 1000))).collect();
    for one in all {
        one.await.unwrap();
    }
    let told = of_kind(&running, AuditKind::SignIn).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let failed = &told[0];
    assert_eq!(
        (failed.actor.as_str(), failed.verb.as_str(), failed.result),
        ("token", "SIGN-IN", Some(AuditResult::Refused))
    );
    assert_eq!(failed.address.as_deref(), Some("127.0.0.1"));
    assert!(!serde_json::to_string(failed).unwrap().contains("sya_"));
    until_measured(&running, "stackyard_sign_ins_failed_total 10000").await;
    let running = Running::start_in(running.stop().await, HubTiming::default()).await;
    assert_eq!(of_kind(&running, AuditKind::SignIn).await[0].times, 10_000);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_an_attacker_chooses_do_not_fill_the_log() {
    let fake = stackyard_fake::Fake::start(Duration::ZERO).await.unwrap();
    fake.world().take_time(Duration::ZERO);
    let settings = Settings { sign_in_clouds: Some(vec!["fake".to_owned()]), ..Settings::default() };
    let running = Running::start_with(&fake, &[("fake", "p")], settings).await;
    let out = Browser::out(&running);
    for n in 0..600 {
        let with = json!({"cloud": "fake", "user": format!("user-{n}"), "password": "hush", "project": "p"});
        assert!(out.post("/api/v1/session", &json!({"password": with})).await.status().is_client_error());
    }
    let told = of_kind(&running, AuditKind::SignIn).await;
    assert!((100..=201).contains(&told.len()), "{}", told.len());
    assert_eq!(told.iter().filter(|e| e.actor == "others").count(), 1);
    assert!(told.iter().any(|e| e.actor == "user \"user-0\""), "{told:?}");
    assert!(!serde_json::to_string(&told).unwrap().contains("hush"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_refused_again_and_again_is_one_entry() {
    let running = Running::start().await;
    let viewer = running.token("vera", Role::Viewer).await;
    for _ in 0..50 {
        let body = json!({"name": "evil", "role": "admin"});
        assert_eq!(running.call("POST", "/api/v1/tokens", Some(&viewer), Some(&body)).await.0, StatusCode::FORBIDDEN);
    }
    let refused =
        entries(&running, AuditFilter { actor: Some("token vera".to_owned()), ..AuditFilter::default() }).await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    // What is for admins alone stays so.
    assert_eq!(running.call("GET", "/api/v1/audit", Some(&viewer), None).await.0, StatusCode::FORBIDDEN);
    let operator = running.token("ann", Role::Operator).await;
    assert_eq!(running.call("GET", "/api/v1/audit?kind=secret", Some(&operator), None).await.0, StatusCode::FORBIDDEN);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_takes_the_place_of_another_is_in_the_log() {
    let running = Running::start().await;
    let host = running.host("shop", "web-1").await;
    let mut first = running.agent(&host.token, None).await;
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    assert_eq!(of_kind(&running, AuditKind::Agent).await.len(), 1, "it joined, and replaced nobody");
    for _ in 0..5 {
        let second = running.agent(&host.token, None).await;
        first.closed().await;
        first = second;
    }
    let told = of_kind(&running, AuditKind::Agent).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((told[0].actor.as_str(), told[0].verb.as_str()), ("agent shop/web-1", "CONNECT"));
    assert_eq!(told[0].target, format!("/api/v1/hosts/{}", host.host));
    let detail = told[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("took the place of the connection from 127.0.0.1, "), "{detail}");
    until_measured(&running, "stackyard_agent_connections_replaced_total 5").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_a_problem_and_the_log_have_the_same_id() {
    let running = Running::start().await;
    let viewer = running.token("vera", Role::Viewer).await;
    let url = format!("{}/api/v1/tokens", running.url);
    let ask = running.http().post(&url).bearer_auth(&viewer).header("x-request-id", "mine");
    let answer = ask.json(&json!({"name": "x", "role": "admin"})).send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_ne!(id, "mine", "callers do not choose it");
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["request_id"], json!(id));
    let told = of_kind(&running, AuditKind::Secret).await;
    assert_eq!(told[0].request_id.as_deref(), Some(id.as_str()));
    let page = running.http().get(&running.url).send().await.unwrap();
    assert!(page.headers().contains_key("x-request-id"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_found_by_what_is_known_of_them() {
    let running = Running::start().await;
    let operator = running.token("ann", Role::Operator).await;
    let secret = |yard: &str| format!("/api/v1/yards/{yard}/secrets/key");
    for (yard, token) in [("shop", Some(operator.as_str())), ("shop2", Some(operator.as_str())), ("shop", None)] {
        running.call("PUT", &secret(yard), token, Some(&json!({"value": "v"}))).await;
    }
    running.call("POST", "/api/v1/tokens", Some(&operator), Some(&json!({"name": "x", "role": "admin"}))).await;
    let all = AuditFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let told = |filter| targets(&running, filter);
    assert_eq!(told(AuditFilter { resource: text("yards/shop"), ..all() }).await, [secret("shop")]);
    assert_eq!(told(AuditFilter { result: Some(AuditResult::Refused), ..all() }).await, ["/api/v1/tokens"]);
    assert_eq!(told(AuditFilter { address: text("127.0.0.1"), actor: text("token ann"), ..all() }).await.len(), 3);
    assert!(told(AuditFilter { address: text("192.0.2.1"), ..all() }).await.is_empty());
    let now = stackyard_api::now() / 1000;
    assert!(told(AuditFilter { until: Some(now - 60), ..all() }).await.is_empty());
    assert_eq!(told(AuditFilter { since: Some(now - 60), ..all() }).await.len(), 4);
    for bad in ["kind=none", "result=maybe", "since=yesterday", "what=x%00"] {
        let root = running.token(bad, Role::Admin).await;
        let status = running.call("GET", &format!("/api/v1/audit?{bad}"), Some(&root), None).await.0;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_entries_go_and_the_file_has_new_ones() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&Database::File(home.path().join("server/stackyard.db"))).await.unwrap();
    let day = 86_400_000;
    for n in 0..1200 {
        let at = stackyard_api::now() - if n < 1100 { 91 * day } else { 89 * day };
        let new = NewEntry { at, actor: "old".to_owned(), kind: "change".to_owned(), ..NewEntry::default() };
        store.audit_begin(&new).await.unwrap();
    }
    store.close().await;
    drop(store);
    let file = home.path().join("audit.jsonl");
    let settings = Settings { audit_keep: Some(90), audit_file: Some(file.clone()), ..Settings::default() };
    let running = Running::start_as(home, settings, HubTiming::default()).await;
    let old = || entries(&running, AuditFilter { actor: Some("old".to_owned()), ..AuditFilter::default() });
    let pruned = async {
        while old().await.len() > 100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), pruned).await.expect("old entries stay");
    assert_eq!(old().await.len(), 100);
    let operator = running.token("ann", Role::Operator).await;
    running.call("POST", "/api/v1/tokens", Some(&operator), Some(&json!({"name": "x", "role": "admin"}))).await;
    let told = entries(&running, AuditFilter { kind: Some(AuditKind::Secret), ..AuditFilter::default() }).await;
    let home = running.stop().await;
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<AuditEntry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, told.into_iter().rev().collect::<Vec<_>>());
    // A number of entries, too.
    let settings = Settings { audit_rows: Some(40), ..Settings::default() };
    let running = Running::start_as(home, settings, HubTiming::default()).await;
    let pruned = async {
        while entries(&running, AuditFilter::default()).await.len() != 40 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), pruned).await.expect("too many entries stay");
    running.stop().await;
}
