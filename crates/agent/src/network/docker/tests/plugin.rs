//! Docker's plugin: answers in time, and what a user is told.

use crate::network::docker::plugin;
use crate::network::tests::Fixture;
use serde_json::{Value, json};
use stackyard_fake::Fault;
use stackyard_openstack::{Network, NewPort, Port};
use std::sync::Arc;
use std::time::Duration;

/// Neutron takes the request and says nothing.
#[tokio::test]
async fn docker_gets_an_answer_in_time_and_the_call_is_finished_later() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    fixture.attach("e1", json!({})).await;
    fixture.fake.fail(|_, seen| (seen.method == "DELETE").then_some(Fault::DoneLate(Duration::from_millis(500))));
    let (fake, manager) = (fixture.fake, Arc::new(fixture.manager));
    let body = json!({"NetworkID": "n1", "EndpointID": "e1"}).to_string().into();
    let method = "NetworkDriver.DeleteEndpoint".to_owned();
    let answer = plugin::answer_within(Duration::from_millis(50), manager.clone(), method, body).await;
    assert_eq!(answer.status(), 500);
    let text = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
    assert!(String::from_utf8_lossy(&text).contains("cannot finish"), "{text:?}");
    let ports = || fake.world().left().iter().filter(|l| l.starts_with("ports/")).count();
    assert_eq!(ports(), 2, "the router has one");
    for _ in 0..100 {
        if manager.ledger.endpoints.get("e1").is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((ports(), manager.ledger.endpoints.get("e1")), (1, None));
}

#[tokio::test]
async fn mistakes_reach_the_user() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    let cloud = fixture.manager.cloud().unwrap();
    let network = fixture.manager.ledger.networks.get("n1").unwrap();
    let inside: Network = cloud.get(&network.neutron).await.unwrap();
    let of_yard = NewPort {
        network_id: network.neutron,
        description: "stackyard:shop@0123456789ab/port/web.front".into(),
        ..NewPort::default()
    };
    let of_yard: Port = cloud.create(&of_yard).await.unwrap();
    let before = fixture.ports();
    let create = |options: Value| json!({"NetworkID": "n1", "EndpointID": "e1", "Interface": {}, "Options": options});
    for (options, said) in [
        (json!({"securty-groups": "x"}), "did you mean `security-groups`"),
        (json!({"security-groups": "x"}), "there is no security group \"x\""),
        (
            json!({"floating-ip": "public", "com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostPort": 0}]}),
            "-p OUTSIDE:80",
        ),
        (json!({"ip": "10.99.0.1"}), "in no subnet"),
        (json!({"floating-ip": "203.0.113.99"}), "has no floating IP"),
        (json!({"floating-ip": inside.name}), "does not lead outside"),
        (json!({"port": of_yard.id}), "is a yard's own"),
    ] {
        let error = fixture.try_call("NetworkDriver.CreateEndpoint", create(options)).await.unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let empty = plugin::call(&fixture.manager, "NetworkDriver.CreateEndpoint", b"").await.unwrap_err();
    assert!(empty.to_string().contains("try again"), "a retry of Docker's has no body");
    assert!(plugin::call(&fixture.manager, "NetworkDriver.Unheard", b"{}").await.unwrap().is_none());
    assert_eq!(fixture.ports(), before, "the router's and the yard's");
}
