//! Published ports, and the way out of containers that have some.

use super::{END, detach, try_attach};
use crate::network::tests::Fixture;
use serde_json::{Value, json};
use stackyard_wire::WayOut;

#[tokio::test]
async fn ports_published_on_the_host_are_dockers_and_the_way_out_is_neutrons() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}, {"Proto": 132, "Port": 9, "HostPort": 0}]);
    fixture.requests();
    try_attach(&fixture, &json!({"com.docker.network.portmap": ports})).await.unwrap();
    assert_eq!(fixture.requests(), ["POST /ports"]);
    let of = json!({"NetworkID": "n1", "EndpointID": END, "SandboxKey": "/x",
        "Options": {"com.docker.network.portmap": ports}});
    let joined = fixture.call("NetworkDriver.Join", of.clone()).await;
    assert_eq!((&joined["DisableGatewayService"], &joined["Gateway"]), (&json!(false), &Value::Null));
    assert_eq!(joined["StaticRoutes"], json!([]), "Docker refuses later networks whose addresses are in such a route");
    assert_eq!(fixture.manager.ways_out("/x"), [way_out(0, "10.5.0.50", "10.5.0.1")]);
    fixture.call("NetworkDriver.ProgramExternalConnectivity", of).await;
    detach(&fixture).await.unwrap();

    // Docker's bridge has addresses of the container's network.
    let generic = json!({"subnet": "172.18.7.0/24"});
    let body = json!({"NetworkID": "n9", "Options": {"com.docker.network.generic": generic},
        "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    fixture.call("NetworkDriver.CreateNetwork", body).await;
    let ports = json!({"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostPort": 8080}]});
    let body = json!({"NetworkID": "n9", "EndpointID": END, "Interface": {}, "Options": ports});
    let error = fixture.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err();
    assert!(error.contains("docker_gwbridge has the addresses 172.18.0.0/16"), "{error}");
}

/// Docker takes a gateway of IPv6 for a way out, too, and then publishes nothing.
#[tokio::test]
async fn with_ipv6_too_docker_publishes_and_the_way_out_is_neutrons() {
    let fixture = Fixture::new().await;
    fixture.dual_network().await;
    let ports = json!({"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostPort": 8080}]});
    let of = json!({"NetworkID": "n2", "EndpointID": END, "Interface": {}, "SandboxKey": "/x", "Options": ports});
    fixture.call("NetworkDriver.CreateEndpoint", of.clone()).await;
    let joined = fixture.call("NetworkDriver.Join", of).await;
    assert_eq!((&joined["Gateway"], &joined["GatewayIPv6"]), (&Value::Null, &Value::Null));
    let ways = [way_out(0, "10.6.0.50", "10.6.0.1"), way_out(0, "fd00:6::32", "fd00:6::1")];
    assert_eq!(fixture.manager.ways_out("/x"), ways);
}

fn way_out(rank: u32, address: &str, gateway: &str) -> WayOut {
    WayOut { rank, address: address.parse().unwrap(), gateway: gateway.parse().ok() }
}

/// Joins the container with the namespace `/x`.
async fn join(fixture: &Fixture, network: &str, endpoint: &str, ports: &Value) -> Value {
    let of = json!({"NetworkID": network, "EndpointID": endpoint, "SandboxKey": "/x",
        "Options": {"com.docker.network.portmap": ports}});
    let joined = fixture.call("NetworkDriver.Join", of.clone()).await;
    fixture.call("NetworkDriver.ProgramExternalConnectivity", of).await;
    joined
}

fn has_no_gateway(joined: &Value) -> bool {
    joined["Gateway"].is_null() && joined["GatewayIPv6"].is_null() && joined["DisableGatewayService"] == false
}

/// Docker tells what is published with the first network alone.
#[tokio::test]
async fn no_network_of_a_container_takes_the_published_ports_from_the_first() {
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}]);
    let map = json!({"com.docker.network.portmap": ports});
    for first_is_here in [true, false] {
        let fixture = Fixture::new().await;
        fixture.network().await;
        fixture.dual_network().await;
        if first_is_here {
            fixture.attach("e1", map.clone()).await;
            assert!(has_no_gateway(&join(&fixture, "n1", "e1", &ports).await));
        }
        let second = json!({"NetworkID": "n2", "EndpointID": "e2", "Interface": {}, "Options": {}});
        fixture.call("NetworkDriver.CreateEndpoint", second.clone()).await;
        assert!(has_no_gateway(&join(&fixture, "n2", "e2", &ports).await));
        let mut ways: Vec<_> =
            fixture.manager.ways_out("/x").into_iter().map(|w| (w.rank, w.address.is_ipv6())).collect();
        ways.sort_unstable();
        let both = [(0, false), (1, false), (1, true)];
        assert_eq!(ways, if first_is_here { &both[..] } else { &[(0, false), (0, true)] });
        // Asked again, and after a kill: the same.
        let mut fixture = fixture;
        fixture.restart().await;
        assert!(has_no_gateway(&join(&fixture, "n2", "e2", &ports).await));
        assert_eq!(fixture.manager.ways_out("/x").len(), ways.len());
        for (network, end) in [("n1", "e1"), ("n2", "e2")] {
            fixture.call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": network, "EndpointID": end})).await;
        }
        assert_eq!(fixture.manager.ways_out("/x"), []);
    }
}

#[tokio::test]
async fn what_a_floating_ip_publishes_leaves_a_container_its_gateways() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    fixture.dual_network().await;
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}]);
    fixture.attach("e1", json!({"com.docker.network.portmap": ports, "floating-ip": "public"})).await;
    assert_eq!(join(&fixture, "n1", "e1", &ports).await["Gateway"], "10.5.0.1");
    let second = json!({"NetworkID": "n2", "EndpointID": "e2", "Interface": {}, "Options": {}});
    fixture.call("NetworkDriver.CreateEndpoint", second).await;
    assert_eq!(join(&fixture, "n2", "e2", &ports).await["Gateway"], "10.6.0.1");
    assert_eq!(fixture.manager.ways_out("/x"), []);
}
