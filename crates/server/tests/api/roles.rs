//! Who may do what: every operation of the document, as everybody.

use super::support::Running;
use reqwest::StatusCode;
use serde_json::{Value, json};
use stackyard_api::{AuditFilter, Role};
use stackyard_fake::Fake;
use stackyard_server::stack::{Deployment, NetworkChoice};
use stackyard_store::NewRun;

/// What a caller is told who may not.
const REFUSED: [StatusCode; 2] = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];

/// Operations that need more than their method says: for reading, operator; for changing, admin.
fn needs(method: &str, path: &str) -> Option<Role> {
    Some(match (method, path) {
        (_, p) if p.starts_with("/api/v1/tokens") => Role::Admin,
        // The cloud of the server's machine is brought up by root.
        (_, p) if p.starts_with("/api/v1/local") => Role::Admin,
        (_, "/api/v1/audit") => Role::Admin,
        ("delete", "/api/v1/session") => Role::Viewer,
        ("get", "/api/v1/yards/{yard}/secrets/{name}") => return None,
        // Values of variables may be secret.
        ("get", p) if p.ends_with("/definition") => Role::Operator,
        // A program in a container changes what it likes.
        ("get", p) if p.ends_with("/exec") => Role::Operator,
        // Command lines of processes may hold passwords.
        ("get", p) if p.ends_with("/top") => Role::Operator,
        ("get", _) => Role::Viewer,
        _ => Role::Operator,
    })
}

fn operations() -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(&stackyard_server::api::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.clone(), path.clone(), operation.clone()));
        }
    }
    assert!(all.len() > 20, "{}", all.len());
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_does_what_is_not_theirs() {
    let fake = Fake::start(std::time::Duration::ZERO).await.unwrap();
    let running = Running::start_with_cloud(&fake).await;
    let victim = running.host("shop", "web-1").await;
    let thief = running.host("shop", "web-2").await;
    running.admin.keep_yard("shop", "kind: Yard", None).await.unwrap();
    running.admin.set_secret("shop", "key", "geheim").await.unwrap();
    running.admin.pool_key("shop", "web").await.unwrap();
    let stack = stackyard_core::stack::Stack { name: "site".into(), ..Default::default() };
    let run = NewRun {
        id: "0197-run".to_owned(),
        yard: "shop".to_owned(),
        kind: "up".to_owned(),
        revision: None,
        actor: "ann".to_owned(),
        began: 1_000,
        state: "done".to_owned(),
    };
    let store = running.server.app().store();
    store.begin_run(&run, &json!({"steps": [], "notes": []})).await.unwrap();
    store.end_run(&run.id, "done", None, &json!({"steps": [], "notes": []}), 2_000).await.unwrap();
    let local = NewRun { id: "0197-local".to_owned(), yard: "@local".to_owned(), kind: "plan".to_owned(), ..run };
    store.begin_run(&local, &json!({"steps": [], "notes": []})).await.unwrap();
    store.end_run(&local.id, "done", None, &json!({"steps": [], "notes": []}), 2_000).await.unwrap();
    let revision = store.yard("shop").await.unwrap().unwrap().revision.to_string();
    let deployment = Deployment { stack, pool: None, declared: false, networks: NetworkChoice::Kept };
    running.server.app().stacks().deploy("shop", deployment).await.unwrap();
    let (viewer, operator, admin) = (
        running.token("v", Role::Viewer).await,
        running.token("o", Role::Operator).await,
        running.token("a", Role::Admin).await,
    );
    let ticket = running.ticket(stackyard_api::NewJoin { yard: "shop".to_owned(), ..Default::default() }).await;

    for (method, path, operation) in operations() {
        let tag = operation["tags"][0].as_str().unwrap();
        let real = path
            .replace("{yard}", "shop")
            .replace("{name}", "key")
            .replace("{stack}", "site")
            .replace("{id}", if path.starts_with("/api/v1/tokens") { "v" } else { &victim.host })
            .replace("{pool}", "web")
            .replace("{run}", if path.starts_with("/api/v1/local") { "0197-local" } else { "0197-run" })
            .replace("{group}", "web")
            .replace("{cloud}", "fake")
            .replace("{revision}", &revision)
            .replace("{arch}", "amd64")
            .replace("{digest}", &"0".repeat(64));
        let (verb, body) = (method.to_uppercase(), json!({}));
        let body = (method != "get" && method != "delete").then_some(&body);
        let ask = async |token: Option<&str>| running.call(&verb, &real, token, body).await;
        let what = format!("{method} {path}");
        if operation["security"].is_null() {
            // Only what tells nothing is open.
            let signs_in =
                ["post /api/v1/session", "post /api/v1/session/token", "get /api/v1/sign-in"].contains(&what.as_str());
            assert!(["install", "server"].contains(&tag) || signs_in, "{what} is open to anywhere");
            continue;
        }
        let (status, _) = ask(None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}, without a token");
        if path == "/api/v1/join" {
            // It takes join tokens alone.
            for token in [&viewer, &operator, &admin, &thief.token] {
                assert!(REFUSED.contains(&ask(Some(token.as_str())).await.0), "{what}");
            }
            continue;
        }
        // A stolen agent's token, and a join token.
        if tag != "agent" {
            let (status, answer) = ask(Some(thief.token.as_str())).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{what}, with an agent's token: {answer}");
            assert!(!answer.to_string().contains("geheim"));
        }
        let (status, _) = ask(Some(ticket.token.as_str())).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{what}, with a join token");
        if tag == "agent" {
            for token in [&viewer, &operator, &admin] {
                assert_eq!(ask(Some(token.as_str())).await.0, StatusCode::FORBIDDEN, "{what} is for agents");
            }
            continue;
        }
        let needed = needs(&method, &path);
        for (role, token) in [(Role::Viewer, &viewer), (Role::Operator, &operator), (Role::Admin, &admin)] {
            if needed.is_none_or(|needed| role < needed) {
                let (status, answer) = ask(Some(token.as_str())).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{what}, as {}", role.name());
                assert!(!answer.to_string().contains("geheim"));
            } else if path.ends_with("/exec") {
                // It wants to be told which program, and in which container.
                assert_eq!(ask(Some(token.as_str())).await.0, StatusCode::BAD_REQUEST, "{what}");
            } else if path.ends_with("/console") {
                // The yard has no such server.
                assert_eq!(ask(Some(token.as_str())).await.0, StatusCode::NOT_FOUND, "{what}");
            } else if path == "/api/v1/events" || path.ends_with("/events/stream") {
                // It has no end.
                let answer = running.http().get(format!("{}{real}", running.url)).bearer_auth(token).send().await;
                assert_eq!(answer.unwrap().status(), StatusCode::OK, "{what}");
            } else if method == "get" {
                let (status, answer) = ask(Some(token.as_str())).await;
                assert_eq!(status, StatusCode::OK, "{what}, as {}: {answer}", role.name());
                assert!(!answer.to_string().contains("geheim"), "{what} tells a secret");
            }
        }
    }
    // Nothing of all that changed anything.
    assert_eq!(running.admin.hosts(None, None).await.unwrap().len(), 2);
    assert_eq!(running.admin.secret("shop", "key").await.unwrap(), "geheim");
    assert_eq!(running.admin.tokens().await.unwrap().len(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_end_and_are_revoked() {
    let running = Running::start().await;
    let token = running.token("ci", Role::Viewer).await;
    assert_eq!(running.call("GET", "/api/v1/hosts", Some(&token), None).await.0, StatusCode::OK);
    running.admin.revoke_token("ci").await.unwrap();
    let (status, answer) = running.call("GET", "/api/v1/hosts", Some(&token), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(answer["detail"].as_str().unwrap().contains("revoked"), "{answer}");

    let short = stackyard_api::NewToken { name: "short".to_owned(), role: Role::Viewer, ttl_s: Some(1) };
    let short = running.admin.new_token(&short).await.unwrap().token;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (status, answer) = running.call("GET", "/api/v1/hosts", Some(&short), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(answer["detail"].as_str().unwrap().contains("ended"), "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tries_tokens_is_stopped_and_no_neighbour_is() {
    let running = Running::start().await;
    let good = running.token("ann", Role::Viewer).await;
    let host = running.host("shop", "web-1").await;
    let mut statuses = Vec::new();
    for n in 0..40 {
        let token = format!("sya_{n:0>64}");
        statuses.push(running.call("GET", "/api/v1/hosts", Some(&token), None).await.0);
    }
    assert_eq!(statuses[..30], [StatusCode::UNAUTHORIZED; 30]);
    assert_eq!(statuses[30..], [StatusCode::TOO_MANY_REQUESTS; 10]);
    // Good tokens of the same address work: a container's host has its address, and so has all that is behind a proxy.
    assert_eq!(running.call("GET", "/api/v1/hosts", Some(&good), None).await.0, StatusCode::OK);
    let _agent = running.agent(&host.token, None).await;
    // The socket is not an address.
    running.admin.hosts(None, None).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_in_the_audit_log() {
    let running = Running::start().await;
    let operator = running.token("ann", Role::Operator).await;
    let host = running.host("shop", "web-1").await;
    running.client(&operator).drain_host("shop/web-1", true).await.unwrap();
    running.call("POST", "/api/v1/tokens", Some(&operator), Some(&json!({"name": "x", "role": "admin"}))).await;
    running.call("DELETE", &format!("/api/v1/hosts/{}", host.host), Some(&host.token), None).await;
    running.call("DELETE", &format!("/api/v1/hosts/{}", host.host), None, None).await;
    let entries = running.admin.audit(&AuditFilter::default(), None, 100).await.unwrap();
    let told: Vec<_> = entries.iter().rev().map(|e| (e.actor.as_str(), e.verb.as_str(), e.status.unwrap())).collect();
    assert_eq!(
        told,
        [
            ("socket", "POST /api/v1/tokens", 201),
            ("socket", "POST /api/v1/joins", 201),
            ("join shop/web-1", "POST /api/v1/join", 200),
            ("token ann", "POST /api/v1/hosts/{id}/drain", 204),
            ("token ann", "POST /api/v1/tokens", 403),
            ("agent shop/web-1", "DELETE /api/v1/hosts/{id}", 403),
        ]
    );
    let page = running.admin.audit(&AuditFilter::default(), Some(&entries[1].id), 2).await.unwrap();
    assert_eq!(page.iter().map(|e| &e.id).collect::<Vec<_>>(), [&entries[2].id, &entries[3].id]);
    running.stop().await;
}
