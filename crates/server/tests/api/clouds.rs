//! What clouds have to choose from, and first manifests of it.

use super::support::Running;
use reqwest::StatusCode;
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_fake::Fake;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_chosen_becomes_a_manifest_that_can_be_planned() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let running = Running::start_with_cloud(&fake).await;
    let (viewer, operator) = (running.token("v", Role::Viewer).await, running.token("o", Role::Operator).await);
    let offer = "/api/v1/clouds/fake/offer";
    let (status, offered) = running.call("GET", offer, Some(&viewer), None).await;
    assert_eq!(status, StatusCode::OK, "{offered}");
    let names = |of: &str| -> Vec<&str> {
        offered[of].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect()
    };
    assert_eq!((names("images"), names("externals")), (vec!["host-a", "host-b", "tiny"], vec!["public"]));
    let nano = offered["flavors"].as_array().unwrap().iter().find(|f| f["name"] == "m1.nano").unwrap();
    assert_eq!((&nano["vcpus"], &nano["ram"], &nano["disk"]), (&json!(1), &json!(192), &json!(1)));

    let draft = async |token: &str, body: Value| {
        running.call("POST", "/api/v1/clouds/fake/draft", Some(token), Some(&body)).await
    };
    let good = json!({"name": "shop", "machine": "web", "count": 2, "image": "tiny", "flavor": "m1.nano",
        "external": "public", "floating_ip": true});
    assert_eq!(draft(&viewer, good.clone()).await.0, StatusCode::FORBIDDEN);
    let (status, written) = draft(&operator, good).await;
    assert_eq!((status, &written["faults"]), (StatusCode::OK, &json!([])), "{written}");
    let text = written["manifest"].as_str().unwrap();
    assert!(text.contains("image: \"tiny\"   # or host-a, host-b\n"), "{text}");
    let plan = json!({"manifest": text});
    let (status, plan) = running.call("POST", "/api/v1/yards/shop/plan", Some(&operator), Some(&plan)).await;
    assert_eq!((status, &plan["blockers"]), (StatusCode::OK, &json!([])), "{plan}");
    let steps = plan["plan"]["steps"].as_array().unwrap();
    let made = |kind: &str| steps.iter().filter(|s| s["key"]["kind"] == kind && s["action"] == "create").count();
    assert_eq!((made("server"), made("floating_ip"), made("router")), (2, 2, 1), "{plan}");
    // Nothing was kept.
    assert!(running.admin.yards().await.unwrap().is_empty());

    let (status, bad) =
        draft(&operator, json!({"name": "Shop!", "image": "tiny", "key": "me", "cidr": "10.0.0.1/24"})).await;
    assert_eq!((status, &bad["manifest"]), (StatusCode::OK, &Value::Null));
    let fields: Vec<&str> = bad["faults"].as_array().unwrap().iter().map(|f| f["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["key", "name", "cidr"], "{bad}");
    assert_eq!(draft(&operator, json!({"nmae": "x"})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, answer) = running.call("GET", "/api/v1/clouds/none/offer", Some(&viewer), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_that_does_not_answer_is_told() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let running = Running::start_with_cloud(&fake).await;
    let clouds = running.home.path().join("clouds.yaml");
    let text = std::fs::read_to_string(&clouds).unwrap();
    // Nobody listens at port 9 of this machine.
    std::fs::write(&clouds, text.replace(&fake.auth_url(), "http://127.0.0.1:9/v3")).unwrap();
    let viewer = running.token("v", Role::Viewer).await;
    let (status, answer) = running.call("GET", "/api/v1/clouds/fake/offer", Some(&viewer), None).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("127.0.0.1:9"), "{answer}");
    running.stop().await;
}
