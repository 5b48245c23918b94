//! Lists in pages, and changes that are made only if nobody was quicker.

use super::support::Running;
use reqwest::header::{ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH, LINK};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_server::stack::{Deployment, NetworkChoice};

const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
const CHANGED: StatusCode = StatusCode::PRECONDITION_FAILED;

/// Somebody who asks with a token.
struct Asker<'a> {
    running: &'a Running,
    token: String,
}

impl Asker<'_> {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
        body: &Value,
    ) -> (StatusCode, HeaderMap, String) {
        let request = self.running.http().request(method, format!("{}{path}", self.running.url));
        let request =
            header.into_iter().fold(request.bearer_auth(&self.token), |r, (name, value)| r.header(name, value));
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.headers().clone(), answer.text().await.unwrap())
    }

    /// Whether a change is made; its tag, if the answer has one.
    async fn change(&self, method: Method, path: &str, header: (&str, &str), body: &Value) -> (StatusCode, String) {
        let (status, headers, text) = self.ask(method, path, Some(header), body).await;
        if status == CHANGED {
            assert_eq!(headers["content-type"], "application/problem+json", "{text}");
        }
        (status, headers.get(ETAG).map(|t| t.to_str().unwrap().to_owned()).unwrap_or_default())
    }

    async fn tag(&self, path: &str) -> String {
        let (status, headers, text) = self.ask(Method::GET, path, None, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        headers[ETAG].to_str().unwrap().to_owned()
    }

    /// A page, and where the next one is.
    async fn page(&self, path: &str) -> (Vec<Value>, Option<String>) {
        let (status, headers, text) = self.ask(Method::GET, path, None, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        let link = headers.get(LINK).map(|l| l.to_str().unwrap().to_owned());
        let next = link.map(|l| l.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned());
        (serde_json::from_str(&text).unwrap(), next)
    }

    /// Fields of all of a list, and how many pages it had.
    async fn all(&self, path: &str, key: &str) -> (Vec<String>, usize) {
        let (mut next, mut told, mut pages) = (Some(path.to_owned()), Vec::new(), 0);
        while let Some(path) = next {
            let (items, more) = self.page(&path).await;
            told.extend(items.iter().map(|one| one[key].as_str().unwrap().to_owned()));
            (next, pages) = (more, pages + 1);
        }
        (told, pages)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_has_pages() {
    let running = Running::start().await;
    let admin = Asker { token: running.token("root", Role::Admin).await, running: &running };
    for name in ["web-1", "web-2", "web-3"] {
        running.host("shop", name).await;
        running.admin.set_secret("shop", name, "x").await.unwrap();
        running.token(name, Role::Viewer).await;
    }
    running.host("depot", "web-1").await;
    for yard in ["shop", "depot", "lab"] {
        running.admin.keep_yard(yard, "spec: {cloud: local}", None).await.unwrap();
        running.admin.keep_yard(yard, "spec: {cloud: other}", None).await.unwrap();
    }
    let stack = |name: &str| stackyard_core::stack::Stack { name: name.to_owned(), ..Default::default() };
    for (yard, name) in [("shop", "a"), ("shop", "b"), ("depot", "c")] {
        let deployment = Deployment { stack: stack(name), pool: None, declared: false, networks: NetworkChoice::Kept };
        running.server.app().stacks().deploy(yard, deployment).await.unwrap();
    }
    for (path, key, all, pages) in [
        ("/api/v1/hosts?limit=3", "name", vec!["web-1", "web-1", "web-2", "web-3"], 2),
        ("/api/v1/hosts?yard=shop&limit=2", "name", vec!["web-1", "web-2", "web-3"], 2),
        ("/api/v1/hosts?connected=true", "name", vec![], 1),
        ("/api/v1/hosts?drain=false&yard=depot", "yard", vec!["depot"], 1),
        ("/api/v1/stacks?limit=1", "name", vec!["c", "a", "b"], 3),
        ("/api/v1/stacks?yard=shop&limit=2", "name", vec!["a", "b"], 1),
        ("/api/v1/yards/shop/stacks?limit=1", "name", vec!["a", "b"], 2),
        ("/api/v1/yards?limit=1", "name", vec!["depot", "lab", "shop"], 3),
        ("/api/v1/yards?cloud=local", "name", vec![], 1),
        ("/api/v1/yards?cloud=other&limit=2", "name", vec!["depot", "lab", "shop"], 2),
        ("/api/v1/yards/shop/secrets?limit=2", "name", vec!["web-1", "web-2", "web-3"], 2),
        ("/api/v1/tokens?limit=2", "name", vec!["root", "web-1", "web-2", "web-3"], 2),
        ("/api/v1/tokens?role=admin&limit=1", "name", vec!["root"], 1),
        ("/api/v1/yards/shop/manifests?limit=1", "actor", vec!["socket", "socket"], 2),
        ("/api/v1/yards/shop/runs?state=done", "id", vec![], 1),
    ] {
        let (told, number) = admin.all(path, key).await;
        assert_eq!((told.iter().map(String::as_str).collect::<Vec<_>>(), number), (all, pages), "{path}");
    }
    admin.ask(Method::DELETE, "/api/v1/tokens/web-3", None, &Value::Null).await;
    let (verbs, _) = admin.all("/api/v1/audit?limit=2&actor=token%20root", "verb").await;
    assert_eq!(verbs, ["DELETE /api/v1/tokens/{id}"]);
    let (everything, pages) = admin.all("/api/v1/audit?limit=7", "id").await;
    assert_eq!(pages, everything.len().div_ceil(7));
    let mut sorted = everything.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!(everything, sorted);
    for bad in
        ["hosts?limit=0", "tokens?limit=1001", "audit?limit=-1", "audit?marker=%00", "yards/shop/manifests?marker=x"]
    {
        let (status, ..) = admin.ask(Method::GET, &format!("/api/v1/{bad}"), None, &Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    // The client asks until it has all.
    let store = running.server.app().store();
    for n in 0..1001 {
        store.set_secret("many", &format!("s{n:04}"), "x", 1).await.unwrap();
    }
    assert_eq!(running.admin.secrets("many").await.unwrap().len(), 1001);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_slower_changes_nothing() {
    let running = Running::start().await;
    let admin = Asker { token: running.token("root", Role::Admin).await, running: &running };
    let (if_match, if_none) = (IF_MATCH.as_str(), IF_NONE_MATCH.as_str());
    let drain = |on: bool| json!({"on": on});

    let id = running.host("shop", "web-1").await.host;
    let host = format!("/api/v1/hosts/{id}");
    let first = admin.tag(&host).await;
    assert_eq!(admin.tag("/api/v1/hosts/shop%2Fweb-1").await, first);
    let (status, second) = admin.change(Method::POST, &format!("{host}/drain"), (if_match, &first), &drain(true)).await;
    assert_eq!((status, second == first, &second), (NO_CONTENT, false, &admin.tag(&host).await));
    let late = admin.change(Method::POST, &format!("{host}/drain"), (if_match, &first), &drain(false)).await;
    assert_eq!(late.0, CHANGED);
    assert!(running.admin.host(&id).await.unwrap().drain);
    assert_eq!(admin.change(Method::DELETE, &host, (if_match, &first), &Value::Null).await.0, CHANGED);
    assert_eq!(admin.change(Method::DELETE, &host, (if_match, "7"), &Value::Null).await.0, StatusCode::BAD_REQUEST);
    let both = format!("{first}, {second}");
    assert_eq!(admin.change(Method::DELETE, &host, (if_match, &both), &Value::Null).await.0, NO_CONTENT);

    let secret = "/api/v1/yards/shop/secrets/key";
    let value = json!({"value": "x"});
    assert_eq!(admin.change(Method::PUT, secret, (if_match, "*"), &value).await.0, CHANGED);
    let (status, first) = admin.change(Method::PUT, secret, (if_none, "*"), &value).await;
    assert_eq!(status, NO_CONTENT);
    assert_eq!(admin.change(Method::PUT, secret, (if_none, "*"), &value).await.0, CHANGED);
    let (status, second) = admin.change(Method::PUT, secret, (if_match, &first), &value).await;
    assert_eq!((status, first == second), (NO_CONTENT, false));
    assert_eq!(second, format!("\"{}\"", running.admin.secrets("shop").await.unwrap()[0].revision));
    assert_eq!(admin.change(Method::DELETE, secret, (if_match, &first), &Value::Null).await.0, CHANGED);
    assert_eq!(admin.change(Method::DELETE, secret, (if_match, &second), &Value::Null).await.0, NO_CONTENT);

    running.token("ci", Role::Viewer).await;
    let first = admin.tag("/api/v1/tokens/ci").await;
    running.admin.revoke_token("ci").await.unwrap();
    running.token("ci", Role::Operator).await;
    assert_eq!(admin.change(Method::DELETE, "/api/v1/tokens/ci", (if_match, &first), &Value::Null).await.0, CHANGED);
    let second = admin.tag("/api/v1/tokens/ci").await;
    assert_eq!(
        admin.change(Method::DELETE, "/api/v1/tokens/ci", (if_match, &second), &Value::Null).await.0,
        NO_CONTENT
    );

    let mut stack = stackyard_core::stack::Stack { name: "site".to_owned(), ..Default::default() };
    let service = stackyard_core::stack::Service { image: "busybox".to_owned(), ..Default::default() };
    stack.services.insert("web".to_owned(), service);
    let deployment = Deployment { stack, pool: None, declared: false, networks: NetworkChoice::Kept };
    running.server.app().stacks().deploy("shop", deployment).await.unwrap();
    let stack = "/api/v1/yards/shop/stacks/site";
    let first = admin.tag(stack).await;
    let two = json!({"services": {"web": 2}});
    let (status, second) = admin.change(Method::POST, &format!("{stack}/scale"), (if_match, &first), &two).await;
    assert_eq!((status, first == second, &second), (NO_CONTENT, false, &admin.tag(stack).await));
    assert_eq!(admin.change(Method::POST, &format!("{stack}/scale"), (if_match, &first), &two).await.0, CHANGED);
    assert_eq!(
        admin.change(Method::POST, &format!("{stack}/rollback"), (if_match, &first), &json!({})).await.0,
        CHANGED
    );
    assert_eq!(admin.change(Method::DELETE, stack, (if_match, &first), &Value::Null).await.0, CHANGED);
    assert_eq!(admin.change(Method::DELETE, stack, (if_match, &second), &Value::Null).await.0, StatusCode::ACCEPTED);
    running.stop().await;
}
