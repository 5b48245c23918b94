//! A yard as it is, over the API: looked at for those who watch.

use super::support::Running;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_fake::{Fake, Fault};
use std::time::Duration;

const GRAPH: &str = "/api/v1/yards/shop/graph";
const MANIFEST: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  cloud: fake\n  \
    networks:\n    - {name: front, cidr: 10.20.0.0/24, router: {external: public}}\n  keypairs:\n    \
    - {name: ann, publicKeyFile: ann.pub}\n  servers:\n    - {name: web, flavor: m1.nano, image: tiny}\n";

/// The state of a node; nothing if there is none.
fn health<'g>(graph: &'g Value, id: &str) -> Option<&'g str> {
    graph["nodes"].as_array().unwrap().iter().find(|n| n["id"] == id)?["health"].as_str()
}

/// Waits for an event in which `clouds` is another number.
async fn turn(events: &mut reqwest::Response, last: &mut Option<u64>) {
    let before = *last;
    let waiting = async {
        while *last == before {
            let chunk = events.chunk().await.unwrap().expect("the events have ended");
            let text = String::from_utf8_lossy(&chunk).into_owned();
            let data =
                text.lines().filter_map(|l| serde_json::from_str::<Value>(l.strip_prefix("data:")?).ok()).next_back();
            *last = data.and_then(|d| d["clouds"].as_u64()).or(*last);
        }
    };
    tokio::time::timeout(Duration::from_secs(40), waiting).await.expect("no look at the cloud was told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_is_looked_at_for_those_who_watch() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.world().take_time(Duration::ZERO);
    let running = Running::start_with_cloud(&fake).await;
    let (viewer, operator) = (running.token("v", Role::Viewer).await, running.token("o", Role::Operator).await);
    let ask = async || running.call("GET", GRAPH, Some(&viewer), None).await;
    let (status, said) = ask().await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{said}");

    // What the manifest says is missing, also where a file that it names is elsewhere.
    running.admin.keep_yard("shop", MANIFEST, None).await.unwrap();
    let (status, graph) = ask().await;
    assert_eq!((status, &graph["cloud"]["name"]), (StatusCode::OK, &json!("fake")), "{graph}");
    assert!(graph["cloud"]["observed_at"].is_string() && graph["cloud"]["error"].is_null(), "{graph}");
    assert_eq!((health(&graph, "server/web"), health(&graph, "keypair/ann")), (Some("missing"), Some("missing")));
    let seen = fake.seen().len();
    ask().await;
    assert_eq!(fake.seen().len(), seen, "what was just looked at is not looked at again");

    // Whoever has it is not sent it again.
    let get = async |tag: Option<&str>| {
        let request = running.http().get(format!("{}{GRAPH}", running.url)).bearer_auth(&viewer);
        tag.iter().fold(request, |r, tag| r.header(IF_NONE_MATCH, *tag)).send().await.unwrap()
    };
    let tag = get(None).await.headers()[ETAG].to_str().unwrap().to_owned();
    let again = get(Some(&tag)).await;
    assert_eq!((again.status(), again.headers()[ETAG].to_str().unwrap()), (StatusCode::NOT_MODIFIED, tag.as_str()));
    assert_eq!(get(Some("W/\"other\"")).await.status(), StatusCode::OK);

    // What is made is told to who watches.
    let request = running.http().get(format!("{}/api/v1/events", running.url)).bearer_auth(&viewer);
    let (mut events, mut clouds) = (request.send().await.unwrap(), None);
    turn(&mut events, &mut clouds).await;
    let wish = json!({"manifest": MANIFEST.replace("publicKeyFile: ann.pub", "publicKey: 'ssh-ed25519 AAAA ann'")});
    let (status, run) = running.call("POST", "/api/v1/yards/shop/runs", Some(&operator), Some(&wish)).await;
    assert!(status.is_success(), "{run}");
    ask().await;
    let mut graph = Value::Null;
    for _ in 0..10 {
        turn(&mut events, &mut clouds).await;
        graph = ask().await.1;
        if health(&graph, "server/web") == Some("ready") && health(&graph, "keypair/ann") == Some("ready") {
            break;
        }
    }
    assert_eq!(
        (health(&graph, "server/web"), health(&graph, "network/front")),
        (Some("ready"), Some("ready")),
        "{graph}"
    );
    assert_eq!(get(Some(&tag)).await.status(), StatusCode::OK);

    // A cloud that refuses is told; what it had stays.
    fake.fail(|_, _| Some(Fault::Status(400)));
    turn(&mut events, &mut clouds).await;
    let (_, graph) = ask().await;
    assert!(graph["cloud"]["error"].as_str().unwrap().contains("fake"), "{graph}");
    assert_eq!(health(&graph, "server/web"), Some("ready"));
    fake.fail(|_, _| None);
    turn(&mut events, &mut clouds).await;
    assert!(ask().await.1["cloud"]["error"].is_null());
    drop(events);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yard_without_a_cloud_or_with_a_bad_manifest_has_its_hosts() {
    let running = Running::start().await;
    running.host("shop", "web-1").await;
    let graph = running.admin.graph("shop").await.unwrap();
    assert_eq!((graph.cloud, graph.nodes.len()), (None, 1));
    assert_eq!(graph.nodes[0].id, "host/web-1");
    running.admin.keep_yard("shop", "kind: Yard", None).await.unwrap();
    let graph = running.admin.graph("shop").await.unwrap();
    let error = graph.cloud.unwrap().error.unwrap();
    assert!(error.contains("mistakes") && graph.nodes.len() == 1, "{error}");
    running.stop().await;
}
