//! Endpoints: an attach is one request, and what fails half way is taken back.

use crate::network::tests::Fixture;
use serde_json::json;
use stackyard_fake::Fault;

#[tokio::test]
async fn an_attach_is_one_request_and_a_detach_one() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    fixture.requests();
    let answer = fixture.attach("e1", json!({"com.docker.network.endpoint.exposedports": []})).await;
    assert_eq!(fixture.requests(), ["POST /ports"]);
    assert_eq!(answer["Interface"]["Address"], "10.5.0.50/24");
    assert!(answer["Interface"]["MacAddress"].is_string(), "Docker did not say one");
    let of = json!({"NetworkID": "n1", "EndpointID": "e1", "SandboxKey": "/x", "Options": {}});
    let joined = fixture.call("NetworkDriver.Join", of.clone()).await;
    assert_eq!(joined["Gateway"], "10.5.0.1");
    assert_eq!(joined["DisableGatewayService"], true);
    fixture.call("NetworkDriver.ProgramExternalConnectivity", of.clone()).await;
    fixture.call("NetworkDriver.EndpointOperInfo", of.clone()).await;
    // Asked again, since the answer was lost: the same, without a request.
    assert_eq!(fixture.attach("e1", json!({})).await, answer);
    fixture.call("NetworkDriver.Leave", of.clone()).await;
    assert_eq!(fixture.requests(), Vec::<String>::new());
    fixture.call("NetworkDriver.DeleteEndpoint", of.clone()).await;
    fixture.call("NetworkDriver.DeleteEndpoint", of).await;
    assert_eq!(fixture.requests().iter().map(|r| &r[..13]).collect::<Vec<_>>(), ["DELETE /ports"]);
    fixture.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n1"})).await;
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
    assert!(fixture.fake_wiring.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_fails_half_way_is_taken_back() {
    let fixture = Fixture::on_host("nowhere").await;
    fixture.network().await;
    let before = fixture.fake.world().left().len();
    let body = json!({"NetworkID": "n1", "EndpointID": "e1", "Interface": {}, "Options": {}});
    let error = fixture.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err();
    assert!(error.contains("binding_failed") && error.contains("nowhere"), "{error}");
    assert_eq!(fixture.fake.world().left().len(), before);

    let fixture = Fixture::new().await;
    fixture.network().await;
    let before = fixture.fake.world().left().len();
    fixture.fake.fail(|_, seen| (seen.path.ends_with("/floatingips")).then_some(Fault::Status(409)));
    let body = json!({"NetworkID": "n1", "EndpointID": "e1", "Interface": {}, "Options": {"floating-ip": "public"}});
    let error = fixture.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err();
    assert!(error.contains("floating IP"), "{error}");
    assert_eq!(fixture.fake.world().left().len(), before);
}

#[tokio::test]
async fn published_ports_are_forwarded_by_the_floating_ip() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    let before = fixture.fake.world().left();
    fixture.requests();
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}, {"Proto": 17, "Port": 53, "HostPort": 53}]);
    fixture.attach("e1", json!({"floating-ip": "public", "com.docker.network.portmap": ports})).await;
    let requests = fixture.requests();
    let forwarded = requests.iter().filter(|r| r.starts_with("POST /floatingips/") && r.ends_with("/port_forwardings"));
    assert_eq!(forwarded.count(), 2, "{requests:?}");
    let program = json!({"EndpointID": "e1", "Options": {"com.docker.network.portmap": ports}});
    fixture.call("NetworkDriver.ProgramExternalConnectivity", program).await;
    let ip: Vec<stackyard_openstack::FloatingIp> = fixture.manager.cloud().unwrap().list(&[]).await.unwrap();
    assert_eq!(ip[0].port_id, None, "only those ports lead here");
    // A floating IP that was there before stays, without the forwardings.
    let taken = fixture.manager.ledger.endpoints.get("e1").unwrap().forwardings;
    assert_eq!(taken.len(), 2);
    fixture.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e1"})).await;
    assert_eq!(fixture.fake.world().left(), before);
    let new = stackyard_openstack::NewFloatingIp { floating_network_id: "ext".into(), ..Default::default() };
    let kept: stackyard_openstack::FloatingIp = fixture.manager.cloud().unwrap().create(&new).await.unwrap();
    let with_kept = fixture.fake.world().left();
    fixture.attach("e2", json!({"floating-ip": kept.address, "com.docker.network.portmap": ports})).await;
    assert!(fixture.fake.world().left().len() > with_kept.len());
    fixture.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e2"})).await;
    assert_eq!(fixture.fake.world().left(), with_kept);
}

#[tokio::test]
async fn only_containers_that_ask_the_resolver_and_are_no_name_servers_are_announced() {
    let mut fixture = Fixture::new().await;
    fixture.network().await;
    let (announce, mut announced) = tokio::sync::mpsc::channel(8);
    fixture.manager.announce_sandbox = Some(announce);
    let exposed = |proto: u8, port: u16| json!({"Proto": proto, "Port": port});
    let ports = "com.docker.network.endpoint.exposedports";
    for (endpoint, options, is_announced) in [
        ("e1", json!({ports: [exposed(6, 80)]}), false),
        ("e2", json!({"resolver": "true", ports: [exposed(6, 80)]}), true),
        ("e3", json!({"resolver": "true", ports: [exposed(6, 53)]}), false),
        ("e4", json!({"resolver": "true", ports: [exposed(17, 52), exposed(17, 53)]}), false),
        ("e5", json!({"resolver": "false"}), false),
    ] {
        fixture.attach(endpoint, options).await;
        let sandbox = format!("/{endpoint}");
        let join = json!({"NetworkID": "n1", "EndpointID": endpoint, "SandboxKey": sandbox, "Options": {}});
        fixture.call("NetworkDriver.Join", join.clone()).await;
        assert_eq!(announced.try_recv().ok(), is_announced.then_some(sandbox.clone()), "{endpoint}");
        // The plugin was started again since.
        let announce = fixture.manager.announce_sandbox.take();
        fixture.restart().await;
        fixture.manager.announce_sandbox = announce;
        fixture.call("NetworkDriver.Join", join).await;
        assert_eq!(announced.try_recv().ok(), is_announced.then_some(sandbox), "{endpoint}");
    }
}
