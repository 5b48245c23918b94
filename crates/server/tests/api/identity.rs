//! On a server a name is one yard's: that of the project and region that took it first.

use super::support::Running;
use reqwest::StatusCode;
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_catalog::manifest::Yard;
use stackyard_fake::Fake;
use stackyard_openstack::{Cloud, CloudConfig, Options, Sources};
use stackyard_server::daemon::Settings;
use stackyard_yard::{UpOperation, is_its_yard, scope};
use std::time::Duration;

const SHOP: &str = "/api/v1/yards/shop";

fn manifest(cloud: &str, more: &str) -> String {
    format!(
        "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  cloud: {cloud}\n  networks:\n    \
         - {{name: front, cidr: 10.20.0.0/24}}\n{more}"
    )
}

/// Runs a wish to its end.
async fn run(running: &Running, token: &str, wish: &Value) {
    let (status, run) = running.call("POST", &format!("{SHOP}/runs"), Some(token), Some(wish)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{run}");
    let path = format!("{SHOP}/runs/{}", run["id"].as_str().unwrap());
    for _ in 0..200 {
        let now = running.call("GET", &path, Some(token), None).await.1;
        match now["run"]["state"].as_str() {
            Some("running") => tokio::time::sleep(Duration::from_millis(50)).await,
            Some("done") => return,
            _ => panic!("{now}"),
        }
    }
    panic!("the run has no end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_one_projects_until_its_yard_is_gone() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.identity().grant("u", "q", &["member"]);
    let running = Running::start_with(&fake, &[("one", "p"), ("two", "q")], Settings::default()).await;
    let token = running.token("ann", Role::Operator).await;
    let [one, two] = ["one", "two"].map(|cloud| json!({"manifest": manifest(cloud, "")}));
    let shown = async || running.call("GET", &format!("{SHOP}/scope"), Some(&token), None).await.1["scope"].clone();
    assert_eq!(shown().await, Value::Null);
    run(&running, &token, &one).await;
    let taken = shown().await;
    assert!(taken.is_string(), "{taken}");

    for path in ["plan", "runs"] {
        let (status, said) = running.call("POST", &format!("{SHOP}/{path}"), Some(&token), Some(&two)).await;
        assert_eq!(status, StatusCode::CONFLICT, "{said}");
        assert!(said["detail"].as_str().unwrap().contains("another project or region"), "{said}");
    }
    assert_eq!(fake.world().count("networks"), 2, "the external one and that of the first");
    assert_eq!(running.admin.yard("shop").await.unwrap().0, manifest("one", ""));
    let other = json!({"scope": "0123456789ab"});
    let (status, said) = running.call("PUT", &format!("{SHOP}/scope"), Some(&token), Some(&other)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    for bad in [json!({"scope": null}), json!({"scope": "0123456789AB"})] {
        let (status, said) = running.call("PUT", &format!("{SHOP}/scope"), Some(&token), Some(&bad)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    }
    assert_eq!(shown().await, taken);

    // A secret of the name would be the other's to read.
    running.admin.set_secret("shop", "key", "geheim").await.unwrap();
    run(&running, &token, &json!({"remove": true})).await;
    assert_eq!(running.call("POST", &format!("{SHOP}/plan"), Some(&token), Some(&two)).await.0, StatusCode::CONFLICT);
    running.admin.remove_secret("shop", "key").await.unwrap();
    run(&running, &token, &one).await;
    run(&running, &token, &json!({"remove": true})).await;
    assert_eq!(shown().await, Value::Null);
    run(&running, &token, &two).await;
    assert_ne!(shown().await, taken);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_leaves_a_server_alone_whose_yard_is_another_one() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.identity().grant("u", "q", &["member"]);
    let entries = [("one", "p"), ("two", "q")];
    let running = Running::start_with(&fake, &entries, Settings::default()).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), fake.clouds_yaml(&entries)).unwrap();
    let cloud = async |name: &str| {
        let config = CloudConfig::load_from(Some(name), &Sources::of_process().with_file(Some(file.path()))).unwrap();
        Cloud::connect(config, Options::default()).await.unwrap()
    };
    let (one, two) = (cloud("one").await, cloud("two").await);
    let client = &running.admin;
    client.take_yard_scope("shop", &scope(&one).await.unwrap()).await.unwrap();
    assert!(is_its_yard(client, "shop", &scope(&one).await.unwrap()).await.unwrap());
    let read = |text: String| -> Yard {
        stackyard_catalog::manifest::read("yard.yaml", text, std::path::Path::new(".")).unwrap()
    };
    let bare = read(manifest("two", ""));
    let said = std::sync::Mutex::new(Vec::new());
    let say = |text: String| said.lock().unwrap().push(text);
    let bringing = UpOperation::look(&bare, &two, Some(client), None, &say).await.unwrap();
    assert!(bringing.service().is_none());
    assert!(said.lock().unwrap()[0].contains("left alone"), "{said:?}");
    let pool = "  hosts:\n    - {pool: web, flavor: m1.host, image: host-a, network: front}\n";
    let hosts = read(manifest("two", pool));
    let error = UpOperation::look(&hosts, &two, Some(client), None, &say).await.err().unwrap();
    assert!(error.to_string().contains("another project or region"), "{error}");
    running.stop().await;
}
