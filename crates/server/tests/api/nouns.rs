//! Yards, secrets, hosts, and bodies that are none.

use super::support::Running;
use super::withstand::half_sent;
use reqwest::StatusCode;
use serde_json::json;
use stackyard_api::Role;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_do_not_write_over_each_other() {
    let running = Running::start().await;
    let client = running.client(&running.token("ann", Role::Operator).await);
    let first = client.keep_yard("shop", "a: 1", Some(0)).await.unwrap();
    assert_eq!(client.keep_yard("shop", "a: 2", Some(0)).await.unwrap_err().status(), Some(412));
    let (manifest, revision) = client.yard("shop").await.unwrap();
    assert_eq!((manifest.as_str(), revision), ("a: 1", first.revision));
    client.keep_yard("shop", "a: 3", Some(revision)).await.unwrap();
    let late = client.keep_yard("shop", "a: 4", Some(revision)).await.unwrap_err();
    assert_eq!(late.status(), Some(412));
    assert!(late.to_string().contains("changed by another caller"), "{late}");
    assert_eq!(client.yard("shop").await.unwrap().0, "a: 3");
    assert_eq!(client.yards().await.unwrap().len(), 1);
    assert_eq!(client.yard("none").await.unwrap_err().status(), Some(404));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yard_with_hosts_is_not_forgotten() {
    let running = Running::start().await;
    let admin = &running.admin;
    admin.keep_yard("shop", "a: 1", None).await.unwrap();
    running.host("shop", "web-1").await;
    let error = admin.forget_yard("shop").await.unwrap_err();
    assert_eq!(error.status(), Some(409));
    assert!(error.to_string().contains("host web-1"), "{error}");
    admin.remove_host("shop/web-1").await.unwrap();
    admin.set_secret("shop", "key", "x").await.unwrap();
    admin.forget_yard("shop").await.unwrap();
    assert_eq!(admin.forget_yard("shop").await.unwrap_err().status(), Some(404));
    assert!(admin.secrets("shop").await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_read_over_the_socket_alone() {
    let running = Running::start().await;
    let client = running.client(&running.token("root", Role::Admin).await);
    client.set_secret("shop", "key", "geheim\n").await.unwrap();
    assert_eq!(client.secrets("shop").await.unwrap()[0].name, "key");
    let error = client.secret("shop", "key").await.unwrap_err();
    assert!(error.status() == Some(403) && !error.to_string().contains("geheim"), "{error}");
    assert_eq!(running.admin.secret("shop", "key").await.unwrap(), "geheim\n");
    client.remove_secret("shop", "key").await.unwrap();
    assert_eq!(client.remove_secret("shop", "key").await.unwrap_err().status(), Some(404));
    assert_eq!(client.set_secret("shop", "../x", "y").await.unwrap_err().status(), Some(400));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_are_found_by_id_and_name() {
    let running = Running::start().await;
    let (a, _) = (running.host("shop", "web-1").await, running.host("depot", "web-1").await);
    let admin = &running.admin;
    assert_eq!(admin.host("shop/web-1").await.unwrap().id, a.host);
    assert_eq!(admin.host(&a.host).await.unwrap().yard, "shop");
    assert_eq!(admin.hosts(None, None).await.unwrap().len(), 2);
    assert_eq!(admin.hosts(Some("depot"), Some("web")).await.unwrap().len(), 1);
    assert!(admin.hosts(Some("depot"), Some("db")).await.unwrap().is_empty());
    admin.drain_host("shop/web-1", true).await.unwrap();
    assert!(admin.host(&a.host).await.unwrap().drain);
    admin.drain_host(&a.host, false).await.unwrap();
    assert!(!admin.host(&a.host).await.unwrap().drain);
    assert_eq!(admin.drain_host("shop/web-9", true).await.unwrap_err().status(), Some(404));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_a_problem() {
    let running = Running::start().await;
    let root = running.token("root", Role::Admin).await;
    let token = Some(root.as_str());
    for (method, path, body, status) in [
        ("POST", "/api/v1/tokens", json!({"name": "x", "role": "king"}), StatusCode::UNPROCESSABLE_ENTITY),
        ("POST", "/api/v1/tokens", json!({"name": "x", "role": "viewer", "more": 1}), StatusCode::UNPROCESSABLE_ENTITY),
        ("POST", "/api/v1/tokens", json!({"name": "", "role": "viewer"}), StatusCode::BAD_REQUEST),
        ("POST", "/api/v1/joins", json!([]), StatusCode::UNPROCESSABLE_ENTITY),
        ("POST", "/api/v1/nothing", json!({}), StatusCode::NOT_FOUND),
        ("PATCH", "/api/v1/tokens", json!({}), StatusCode::METHOD_NOT_ALLOWED),
        ("PUT", "/api/v1/yards/a%2Fb", json!({}), StatusCode::BAD_REQUEST),
    ] {
        let (got, answer) = running.call(method, path, token, Some(&body)).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
    }
    assert_eq!(running.call("GET", "/api/v1/audit?limit=many", token, None).await.0, StatusCode::BAD_REQUEST);
    let ca = reqwest::Certificate::from_pem(running.ca.as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
    let other = running.token("other", Role::Operator).await;
    let request = http.put(format!("{}/api/v1/yards/shop", running.url)).bearer_auth(other);
    let request = request.header("content-type", "application/yaml");
    let answer = request.body(vec![0xff, 0xfe]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let long = json!({"value": "x".repeat(600 << 10)});
    assert_eq!(running.call("PUT", "/api/v1/yards/a/secrets/b", token, Some(&long)).await.0, StatusCode::BAD_REQUEST);
    // The server answers before the body: a client that still writes may lose the answer with the connection.
    let (request, length) = ("PUT /api/v1/yards/a/secrets/b", format!("content-length: {}", 17 << 20));
    let (status, answer) = half_sent(&running, request, &root, &length, b"{").await;
    assert!(status.contains("413"), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("\"status\":413"), "{answer}");
    running.stop().await;
}
