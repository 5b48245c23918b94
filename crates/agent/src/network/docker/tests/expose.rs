//! What a container exposes is let in by a security group of its own.

use super::{END, detach, seen, try_attach};
use crate::network::observed::Suspects;
use crate::network::tests::{Ground, view};
use serde_json::{Value, json};
use stackyard_fake::Fault;
use stackyard_openstack::{Port, SecurityGroup};

fn exposing() -> Value {
    let port = |proto: u8, port: u16| json!({"Proto": proto, "Port": port});
    let exposed = json!([port(6, 80), port(6, 81), port(17, 53)]);
    json!({"expose": "true", "com.docker.network.endpoint.exposedports": exposed})
}

/// A network, and the project's group `default`.
async fn with_default() -> Ground {
    let ground = Ground::new().await;
    ground.network().await;
    let new = stackyard_openstack::NewSecurityGroup { name: "default".into(), ..Default::default() };
    let _: SecurityGroup = ground.plugin.cloud().unwrap().create(&new).await.unwrap();
    ground.requests();
    ground
}

#[tokio::test]
async fn exposed_ports_are_let_in_by_a_group_of_the_containers_own() {
    let ground = with_default().await;
    let before = ground.fake.world().left();
    try_attach(&ground, &exposing()).await.unwrap();
    let asked = ground.requests();
    let asked: Vec<&str> = asked.iter().map(String::as_str).filter(|r| r.starts_with("POST")).collect();
    assert_eq!(asked, ["POST /security-groups", "POST /security-group-rules", "POST /ports"]);
    let endpoint = ground.plugin.ledger.endpoints.get(END).unwrap();
    let cloud = ground.plugin.cloud().unwrap();
    let groups = cloud.list::<SecurityGroup>(&[]).await.unwrap();
    let own = groups.iter().find(|g| Some(&g.id) == endpoint.options.own_group.as_ref()).unwrap();
    let ingress: Vec<_> = own.rules.iter().filter(|r| r.direction == "ingress").collect();
    let ranges: Vec<_> = ingress.iter().map(|r| (r.protocol.as_deref(), r.port_range_min, r.port_range_max)).collect();
    assert_eq!(ranges, [(Some("tcp"), Some(80), Some(81)), (Some("udp"), Some(53), Some(53))]);
    let port = ground.fake.world().show("ports", &endpoint.port).unwrap();
    assert_eq!(port["security_groups"].as_array().unwrap().len(), 2, "beside the project's default group");
    // Its port is made anew with both.
    cloud.delete::<Port>(&endpoint.port).await.unwrap();
    ground.pass(&seen(&ground), &mut Suspects::default()).await;
    let endpoint = ground.plugin.ledger.endpoints.get(END).unwrap();
    let port = ground.fake.world().show("ports", &endpoint.port).unwrap();
    assert_eq!(port["security_groups"].as_array().unwrap().len(), 2);
    detach(&ground).await.unwrap();
    assert_eq!(ground.fake.world().left(), before);
    // What an image exposes opens nothing by itself.
    let silent = json!({"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}]});
    ground.requests();
    try_attach(&ground, &silent).await.unwrap();
    assert_eq!(ground.requests(), ["POST /ports"]);
    let error = try_attach_other(&ground, &json!({"expose": "true", "port": "vip"})).await;
    assert!(error.contains("exclude each other"), "{error}");
}

async fn try_attach_other(ground: &Ground, options: &Value) -> String {
    let body = json!({"NetworkID": "n1", "EndpointID": "e9", "Interface": {}, "Options": options});
    ground.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err()
}

#[tokio::test]
async fn killed_at_any_request_no_security_group_is_left() {
    for request in 0.. {
        let mut ground = with_default().await;
        let before = ground.fake.world().left();
        ground.fake.fail(move |number, _| (number >= request).then_some(Fault::AnswerLost));
        let gone = try_attach(&ground, &exposing()).await.is_ok() && detach(&ground).await.is_ok();
        ground.fake.fail(|_, _| None);
        ground.restart().await;
        ground.pass(&view(&[]), &mut Suspects::default()).await;
        assert_eq!(ground.fake.world().left(), before, "killed at request {request}");
        if gone {
            break;
        }
    }
}
