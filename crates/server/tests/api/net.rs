//! A yard's networks, over the API.

use super::support::Running;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH, LINK};
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_fake::Fake;
use std::time::Duration;

const MANIFEST: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  cloud: fake\n  \
    networks:\n    - {name: front, cidr: 10.20.0.0/24, router: {external: public}}\n  securityGroups:\n    \
    - name: web   # shop\n      rules:\n        - {proto: tcp, port: 80}   # for all\n  servers:\n    \
    - {name: web, count: 3, flavor: m1.nano, image: tiny, securityGroups: [web]}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_paths_and_reach() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.world().take_time(Duration::ZERO);
    let running = Running::start_with_cloud(&fake).await;
    let (viewer, operator) = (running.token("v", Role::Viewer).await, running.token("o", Role::Operator).await);
    let get = async |path: &str| running.call("GET", &format!("/api/v1/yards/shop/{path}"), Some(&viewer), None).await;
    for path in ["ports", "mtu", "reach"] {
        assert_eq!(get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let wish = json!({"manifest": MANIFEST});
    let (status, run) = running.call("POST", "/api/v1/yards/shop/runs", Some(&operator), Some(&wish)).await;
    assert!(status.is_success(), "{run}");
    let done = async {
        while running.call("GET", "/api/v1/yards", Some(&viewer), None).await.1[0]["run"]["state"] != "done" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done).await.unwrap();

    let (status, all) = get("ports").await;
    assert_eq!((status, &all["cloud"]["name"]), (StatusCode::OK, &json!("fake")), "{all}");
    let ids = |list: &Value| -> Vec<String> {
        list["ports"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap().to_owned()).collect()
    };
    // Page by page they are the same.
    let (mut next, mut pages) = (Some("/api/v1/yards/shop/ports?limit=3".to_owned()), Vec::new());
    while let Some(path) = next {
        let answer = running.http().get(format!("{}{path}", running.url)).bearer_auth(&viewer).send().await.unwrap();
        let link = answer.headers().get(LINK).map(|l| l.to_str().unwrap().to_owned());
        next = link.map(|l| l.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned());
        pages.push(ids(&answer.json().await.unwrap()));
    }
    assert_eq!((pages.concat(), pages.len(), pages[1].len()), (ids(&all), 2, 1));
    // What a marker names may be gone by then.
    assert_eq!(ids(&get("ports?marker=front/9").await.1), Vec::<String>::new());
    for (filter, count) in [
        ("kind=server", 3),
        ("kind=router", 1),
        ("network=front", 4),
        ("network=back", 0),
        ("group=web", 3),
        ("q=WEB-2", 1),
        ("q=10.20.0.", 4),
        ("kind=router&q=10.20.0.1", 1),
        ("kind=router&q=web", 0),
    ] {
        let (_, found) = get(&format!("ports?{filter}")).await;
        assert_eq!(ids(&found).len(), count, "{filter}: {found}");
    }
    for bad in ["ports?limit=0", "ports?limit=1001", "ports?kind=shoe", "mtu?underlay=7"] {
        assert_eq!(get(bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }

    // Whoever has it is not sent it again.
    let url = format!("{}/api/v1/yards/shop/ports", running.url);
    let first = running.http().get(&url).bearer_auth(&viewer).send().await.unwrap();
    let tag = first.headers()[ETAG].clone();
    let again = running.http().get(&url).bearer_auth(&viewer).header(IF_NONE_MATCH, tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    let (_, paths) = get("mtu?underlay=1500").await;
    assert_eq!(paths["paths"][0]["of"].as_array().unwrap().len(), 3, "{paths}");
    assert_eq!(paths["paths"][0]["chain"]["hops"][0]["basis"], "given");

    let (_, reach) = get("reach").await;
    assert_eq!(
        reach["groups"],
        json!([{"name": "web", "rules": [
        {"proto": "tcp", "port": "80", "egress": false, "peer": "", "ipv6": null}]}])
    );
    let cell = &reach["table"]["cells"][0];
    assert_eq!((&cell["from"], &cell["grants"][0]["what"]), (&json!("anywhere"), &json!("tcp 80")), "{reach}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_changed_in_the_text() {
    let running = Running::start().await;
    running.admin.keep_yard("shop", MANIFEST, None).await.unwrap();
    let operator = running.token("o", Role::Operator).await;
    let post = async |group: &str, body: Value| {
        let path = format!("/api/v1/yards/shop/security-groups/{group}/rules");
        running.call("POST", &path, Some(&operator), Some(&body)).await
    };
    let kept = json!({"was": 0, "rule": {"proto": "tcp", "port": "443"}});
    let new = json!({"rule": {"proto": "tcp", "port": " 22 ", "peer": "10.0.0.0/8"}});
    let (status, answer) = post("web", json!({"rules": [kept, new]})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let wanted = MANIFEST.replace(
        "{proto: tcp, port: 80}   # for all\n",
        "{proto: tcp, port: 443}   # for all\n        - {proto: tcp, port: 22, from: 10.0.0.0/8}\n",
    );
    assert_eq!(answer, json!({"manifest": wanted, "faults": []}));
    // Also of a text that nobody has kept.
    let (_, again) = post("web", json!({"manifest": wanted, "rules": []})).await;
    assert!(again["manifest"].as_str().unwrap().contains("      rules: []\n"), "{again}");

    let bad = json!({"was": 0, "rule": {"proto": "icmp", "port": "80"}});
    let (status, answer) = post("web", json!({"rules": [bad]})).await;
    assert_eq!((status, &answer["manifest"]), (StatusCode::OK, &Value::Null));
    assert_eq!((&answer["faults"][0]["rule"], &answer["faults"][0]["field"]), (&json!(0), &json!("port")));
    assert_eq!(post("nope", json!({"rules": []})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(post("web", json!({"rules": [{"was": 5, "rule": {}}]})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post("web", json!({"rules": [{"rule": {"pot": "1"}}]})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, answer) = post("web", json!({"manifest": "a: [", "rules": []})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["mistakes"][0]["line"].is_number(), "{answer}");
    // Nothing was kept.
    assert_eq!(running.admin.yard("shop").await.unwrap().0, MANIFEST);
    running.stop().await;
}
