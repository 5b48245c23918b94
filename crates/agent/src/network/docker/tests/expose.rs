//! What a container exposes is let in by a security group of its own.

use super::{END, detach, seen, try_attach};
use crate::network::observed::Suspects;
use crate::network::tests::{Fixture, view};
use serde_json::{Value, json};
use stackyard_fake::Fault;
use stackyard_openstack::{Port, SecurityGroup};

fn exposing() -> Value {
    let port = |proto: u8, port: u16| json!({"Proto": proto, "Port": port});
    let exposed = json!([port(6, 80), port(6, 81), port(17, 53)]);
    json!({"expose": "true", "com.docker.network.endpoint.exposedports": exposed})
}

/// A network, and the project's group `default`.
async fn with_default() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.network().await;
    let new = stackyard_openstack::NewSecurityGroup { name: "default".into(), ..Default::default() };
    let _: SecurityGroup = fixture.manager.cloud().unwrap().create(&new).await.unwrap();
    fixture.requests();
    fixture
}

#[tokio::test]
async fn exposed_ports_are_let_in_by_a_group_of_the_containers_own() {
    let fixture = with_default().await;
    let before = fixture.fake.world().left();
    try_attach(&fixture, &exposing()).await.unwrap();
    let asked = fixture.requests();
    let asked: Vec<&str> = asked.iter().map(String::as_str).filter(|r| r.starts_with("POST")).collect();
    assert_eq!(asked, ["POST /security-groups", "POST /security-group-rules", "POST /ports"]);
    let endpoint = fixture.manager.ledger.endpoints.get(END).unwrap();
    let cloud = fixture.manager.cloud().unwrap();
    let groups = cloud.list::<SecurityGroup>(&[]).await.unwrap();
    let own = groups.iter().find(|g| Some(&g.id) == endpoint.options.own_group.as_ref()).unwrap();
    let ingress: Vec<_> = own.rules.iter().filter(|r| r.direction == "ingress").collect();
    let ranges: Vec<_> = ingress.iter().map(|r| (r.protocol.as_deref(), r.port_range_min, r.port_range_max)).collect();
    assert_eq!(ranges, [(Some("tcp"), Some(80), Some(81)), (Some("udp"), Some(53), Some(53))]);
    let port = fixture.fake.world().show("ports", &endpoint.port).unwrap();
    assert_eq!(port["security_groups"].as_array().unwrap().len(), 2, "beside the project's default group");
    // Its port is made anew with both.
    cloud.delete::<Port>(&endpoint.port).await.unwrap();
    fixture.pass(&seen(&fixture), &mut Suspects::default()).await;
    let endpoint = fixture.manager.ledger.endpoints.get(END).unwrap();
    let port = fixture.fake.world().show("ports", &endpoint.port).unwrap();
    assert_eq!(port["security_groups"].as_array().unwrap().len(), 2);
    detach(&fixture).await.unwrap();
    assert_eq!(fixture.fake.world().left(), before);
    // What an image exposes opens nothing by itself.
    let silent = json!({"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}]});
    fixture.requests();
    try_attach(&fixture, &silent).await.unwrap();
    assert_eq!(fixture.requests(), ["POST /ports"]);
    let error = try_attach_other(&fixture, &json!({"expose": "true", "port": "vip"})).await;
    assert!(error.contains("exclude each other"), "{error}");
}

async fn try_attach_other(fixture: &Fixture, options: &Value) -> String {
    let body = json!({"NetworkID": "n1", "EndpointID": "e9", "Interface": {}, "Options": options});
    fixture.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err()
}

#[tokio::test]
async fn killed_at_any_request_no_security_group_is_left() {
    for request in 0.. {
        let mut fixture = with_default().await;
        let before = fixture.fake.world().left();
        fixture.fake.fail(move |number, _| (number >= request).then_some(Fault::AnswerLost));
        let gone = try_attach(&fixture, &exposing()).await.is_ok() && detach(&fixture).await.is_ok();
        fixture.fake.fail(|_, _| None);
        fixture.restart().await;
        fixture.pass(&view(&[]), &mut Suspects::default()).await;
        assert_eq!(fixture.fake.world().left(), before, "killed at request {request}");
        if gone {
            break;
        }
    }
}
