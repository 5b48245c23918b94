//! Docker networks: existing ones, those that are made, internal ones.

use crate::network::observed::Suspects;
use crate::network::tests::{Fixture, view};
use serde_json::json;
use stackyard_core::progress::Event;
use stackyard_fake::Fault;
use stackyard_openstack::{Network, NewNetwork, NewPort, NewSubnet, Port, Router, Subnet};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn existing_networks_and_ports_stay() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    let neutron = fixture.manager.ledger.networks.get("n1").unwrap().neutron;
    let pool = json!([{"Pool": "0.0.0.0/0"}]);
    let generic = json!({"network": neutron, "mtu": "1400"});
    let options = json!({"com.docker.network.generic": generic});
    fixture.call("NetworkDriver.CreateNetwork", json!({"NetworkID": "n3", "Options": options, "IPv4Data": pool})).await;
    assert_eq!(fixture.manager.ledger.networks.get("n3").unwrap().mtu, 1400);
    let new = stackyard_openstack::NewPort { network_id: neutron, name: "vip".into(), ..Default::default() };
    let port: stackyard_openstack::Port = fixture.manager.cloud().unwrap().create(&new).await.unwrap();
    let body = json!({"NetworkID": "n3", "EndpointID": "e3", "Interface": {}, "Options": {"port": "vip"}});
    let answer = fixture.call("NetworkDriver.CreateEndpoint", body.clone()).await;
    assert_eq!(answer["Interface"]["MacAddress"], port.mac_address.as_str());
    let second = json!({"NetworkID": "n3", "EndpointID": "e4", "Interface": {}, "Options": {"port": "vip"}});
    let error = fixture.try_call("NetworkDriver.CreateEndpoint", second).await.unwrap_err();
    assert!(error.contains("in use"), "{error}");
    fixture.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e3"})).await;
    let free: stackyard_openstack::Port = fixture.manager.cloud().unwrap().get(&port.id).await.unwrap();
    assert_eq!((free.device_id.as_str(), free.host.as_deref()), ("", Some("")));
    let before = fixture.fake.world().left().len();
    fixture.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n3"})).await;
    assert_eq!(fixture.fake.world().left().len(), before);
}

#[tokio::test]
async fn a_network_that_cannot_be_made_wholly_is_taken_back() {
    let fixture = Fixture::new().await;
    fixture
        .fake
        .fail(|_, seen| (seen.method == "POST" && seen.path.ends_with("/routers")).then_some(Fault::Status(403)));
    let generic = json!({"subnet": "10.5.0.0/24", "external": "public"});
    let options = json!({"com.docker.network.generic": generic});
    let body = json!({"NetworkID": "n1", "Options": options, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    fixture.try_call("NetworkDriver.CreateNetwork", body).await.unwrap_err();
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
    let none = json!({"NetworkID": "n1", "Options": {}, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    assert!(fixture.try_call("NetworkDriver.CreateNetwork", none).await.unwrap_err().contains("-o network=NAME"));
}

/// `docker network rm`, while a server is on the network or another network on its router.
#[tokio::test]
async fn a_network_that_others_use_stays_whole() {
    for by_router in [false, true] {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut fixture = Fixture::new().await;
        let heard = lines.clone();
        fixture.manager.onlooker = Arc::new(move |event: Event| heard.lock().unwrap().push(format!("{event:?}")));
        fixture.manager.pool = "1".parse().unwrap();
        fixture.network().await;
        let neutron = fixture.manager.ledger.networks.get("n1").unwrap().neutron;
        let cloud = fixture.manager.cloud().unwrap().clone();
        let router = cloud.list::<Router>(&[]).await.unwrap().remove(0).id;
        let (mut subnet, mut other, mut port) = (None, None, None);
        if by_router {
            let new = NewNetwork { name: "other".into(), ..NewNetwork::default() };
            let network: Network = cloud.create(&new).await.unwrap();
            let cidr = "10.77.0.0/24".into();
            let (name, network_id) = ("other".into(), network.id.clone());
            let new = NewSubnet { name, network_id, cidr, ip_version: 4, ..NewSubnet::default() };
            let made: Subnet = cloud.create(&new).await.unwrap();
            cloud.add_router_subnet(&router, &made.id).await.unwrap();
            (subnet, other) = (Some(made.id), Some(network.id));
        } else {
            let new = NewPort { network_id: neutron, name: "vm".into(), ..NewPort::default() };
            port = Some(cloud.create::<Port>(&new).await.unwrap().id);
        }
        let before = fixture.fake.world().left();
        fixture.manager.tend().await.unwrap();
        let error = fixture.try_call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n1"})).await.unwrap_err();
        assert!(error.contains("cannot remove network \"docker-n1\": 1 ports"), "{error}");
        let mut gone = view(&[]);
        gone.networks.clear();
        let mut suspects = Suspects::default();
        for _ in 0..3 {
            fixture.pass(&gone, &mut suspects).await;
            fixture.manager.tend().await.unwrap();
        }
        assert_eq!(fixture.fake.world().left(), before, "and no port of the pool is made again");
        let said = || lines.lock().unwrap().iter().filter(|l| l.contains("cannot remove network")).count();
        assert_eq!(said(), 0, "what answers Docker has said it");
        fixture.manager.left_in_use().clear();
        for _ in 0..3 {
            fixture.pass(&gone, &mut suspects).await;
        }
        assert_eq!(said(), 1, "once after a start");
        match (subnet, other, port) {
            (Some(subnet), Some(other), _) => {
                cloud.remove_router_subnet(&router, &subnet).await.unwrap();
                cloud.delete::<Network>(&other).await.unwrap();
            }
            (_, _, port) => drop(cloud.delete::<Port>(&port.unwrap()).await.unwrap()),
        }
        fixture.pass(&gone, &mut suspects).await;
        assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_internal_network_has_no_gateway() {
    let fixture = Fixture::new().await;
    let generic = json!({"subnet": "10.5.0.0/24"});
    let options = json!({"com.docker.network.generic": generic, "com.docker.network.internal": true});
    let body = json!({"NetworkID": "n1", "Options": options, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    fixture.call("NetworkDriver.CreateNetwork", body).await;
    fixture.attach("e1", json!({})).await;
    let of = json!({"NetworkID": "n1", "EndpointID": "e1", "SandboxKey": "/x", "Options": {}});
    let joined = fixture.call("NetworkDriver.Join", of).await;
    assert!(joined["Gateway"].is_null() && joined["DisableGatewayService"] == true, "{joined}");
    let floating =
        json!({"NetworkID": "n1", "EndpointID": "e2", "Interface": {}, "Options": {"floating-ip": "public"}});
    let error = fixture.try_call("NetworkDriver.CreateEndpoint", floating).await.unwrap_err();
    assert!(error.contains("`floating-ip` on an internal network"), "{error}");

    // A network that has a gateway: the containers of this Docker network do not use it.
    fixture.dual_network().await;
    let neutron = fixture.manager.ledger.networks.get("n2").unwrap().neutron;
    let options = json!({"com.docker.network.generic": {"network": neutron}, "com.docker.network.internal": true});
    let body = json!({"NetworkID": "n3", "Options": options, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    fixture.call("NetworkDriver.CreateNetwork", body).await;
    let subnets = fixture.manager.ledger.networks.get("n3").unwrap().subnets;
    assert!(subnets.len() == 2 && subnets.iter().all(|s| s.gateway.is_none()));
}
