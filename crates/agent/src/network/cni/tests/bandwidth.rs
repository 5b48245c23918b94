//! Limits of bandwidth, by Neutron and by the kernel.

use super::{Fixture, map, request};
use crate::network::bandwidth::Bandwidth;
use crate::network::cni::failure::code;
use crate::network::cni::protocol::{Command, Reply};
use crate::network::cni::verbs;
use serde_json::{Value, json};
use stackyard_fake::Fault;

/// 8 and 4 Mbit/s.
fn limited(more: Value) -> Value {
    let bandwidth = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 4_000_000});
    let mut config = map(json!({"runtimeConfig": {"bandwidth": bandwidth}}));
    config.extend(map(more));
    Value::Object(config)
}

#[tokio::test]
async fn limits_that_are_alike_share_a_policy_that_goes_with_the_last_of_them() {
    let fixture = Fixture::new().await;
    let policies = || fixture.fake.world().list_all("policies");
    assert_eq!(fixture.add("a", limited(json!({}))).await.limits, Bandwidth::default(), "not for the kernel");
    fixture.requests();
    fixture.add("b", limited(json!({}))).await;
    assert_eq!(fixture.requests(), ["POST /ports"]);
    assert_eq!(policies().len(), 1);
    let limit = |direction, rate, burst| json!({"type": "bandwidth_limit", "direction": direction, "max_kbps": rate, "max_burst_kbps": burst});
    assert_eq!(policies()[0]["rules"], json!([limit("ingress", 8000, 6400), limit("egress", 4000, 3200)]));
    let policy = policies()[0]["id"].clone();
    assert!(fixture.fake.world().list_all("ports").iter().all(|p| p["qos_policy_id"] == policy));
    let check = |more: Value| request(Command::Check, "b", more);
    assert!(matches!(fixture.ask(&check(limited(json!({})))).await, Reply::Attached(_)));
    let other = json!({"runtimeConfig": {"bandwidth": {"egressRate": 5_000_000}}});
    let Reply::Failed(failure) = fixture.ask(&check(other)).await else { panic!() };
    assert!(failure.code == code::DIFFERENT && failure.msg.contains("4000 kbit/s"), "{failure:?}");

    for (container, left) in [("a", 1), ("b", 0)] {
        assert_eq!(fixture.ask(&request(Command::Del, container, json!({}))).await, Reply::Done);
        fixture.pass().await;
        assert_eq!(policies().len(), left, "after {container}");
    }
    fixture.add("c", limited(json!({}))).await;
    assert_eq!(fixture.ask(&request(Command::Del, "c", json!({}))).await, Reply::Done);
    // An administrator was faster.
    let policy = policies()[0]["id"].as_str().unwrap().to_owned();
    fixture.manager.cloud().unwrap().delete::<stackyard_openstack::QosPolicy>(&policy).await.unwrap();
    fixture.add("d", limited(json!({}))).await;
    assert_eq!(policies().len(), 1, "made anew");
}

#[tokio::test]
async fn a_policy_that_is_not_whole_is_nobodys() {
    let fixture = Fixture::new().await;
    fixture.fake.fail(|_, seen| seen.path.ends_with("/bandwidth_limit_rules").then_some(Fault::Status(409)));
    let failure =
        verbs::add(&fixture.manager, &request(Command::Add, "c", limited(json!({}))), None).await.unwrap_err();
    assert!(failure.msg.contains("bandwidth ingress-8000-6400-egress-4000-3200"), "{failure:?}");
    fixture.fake.fail(|_, _| None);
    assert_eq!((fixture.ports(), fixture.fake.world().count("policies")), (0, 1));
    fixture.pass().await;
    assert_eq!(fixture.fake.world().count("policies"), 0);
}

#[tokio::test]
async fn where_the_cloud_does_not_limit_the_kernel_does() {
    let fixture = Fixture::new().await;
    fixture
        .fake
        .fail(|_, seen| (seen.method == "POST" && seen.path.ends_with("/qos/policies")).then_some(Fault::Status(403)));
    let limits = fixture.add("a", limited(json!({}))).await.limits;
    let (ingress, egress) = (limits.ingress.unwrap(), limits.egress.unwrap());
    assert_eq!((ingress.rate, ingress.burst, egress.rate), (8_000_000, 800_000, 4_000_000));
    assert_eq!(fixture.manager.ledger.endpoints.get("a@eth0").unwrap().limits, limits);
    fixture.requests();
    assert_eq!(fixture.add("b", limited(json!({}))).await.limits, limits);
    assert_eq!(fixture.requests(), ["POST /ports"], "not asked again");
    let Reply::Attached(checked) = fixture.ask(&request(Command::Check, "b", limited(json!({})))).await else {
        panic!()
    };
    assert_eq!(checked.limits, limits, "for the plugin to look at");
    // Whoever wants Neutron's limits, or none of them, has them or an error.
    assert_eq!(fixture.add("c", limited(json!({"bandwidth": "tc"}))).await.limits, limits);
    let wanted = request(Command::Add, "d", limited(json!({"bandwidth": "neutron", "port": "vip"})));
    let failure = verbs::add(&fixture.manager, &wanted, None).await.unwrap_err();
    assert!(failure.code == code::CONFIG && failure.msg.contains("`port`"), "{failure:?}");
}
