//! Calls as Docker makes them, in kuryr's place.

use crate::network::kuryr_names;
use crate::network::kuryr_names::{DEVICE_OWNER, EXISTING_PORT};
use crate::network::observed::Suspects;
use crate::network::tests::{Fixture, view};
use serde_json::{Value, json};
use stackyard_openstack::{Network, NewNetwork, NewPort, NewSubnet, Port, Subnet, SubnetPool};

const NET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const END: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const MAC: &str = "02:42:0a:03:00:02";
const ZUN: &str = "9f3c1a52-1111-4222-8333-444455556666";

impl Fixture {
    /// A Docker network as kuryr's tests make it: a range, and what `options` say; the pool's id.
    async fn kuryr_network(&self, options: Value, ipam: Value) -> String {
        let pool = json!({"Pool": "10.3.0.0/16", "SubPool": "10.3.0.0/24", "Options": ipam, "V6": false});
        let answer = self.call("IpamDriver.RequestPool", pool).await;
        assert_eq!(answer["Pool"], "10.3.0.0/24");
        let gateway = json!({"PoolID": answer["PoolID"], "Address": "10.3.0.1",
            "Options": {"RequestAddressType": "com.docker.network.gateway"}});
        assert_eq!(self.call("IpamDriver.RequestAddress", gateway).await["Address"], "10.3.0.1/24");
        let body = json!({"NetworkID": NET, "Options": {"com.docker.network.generic": options},
            "IPv4Data": [{"Pool": "10.3.0.0/24", "Gateway": "10.3.0.1/24"}], "IPv6Data": []});
        self.call("NetworkDriver.CreateNetwork", body).await;
        answer["PoolID"].as_str().unwrap().to_owned()
    }

    /// What Docker asks for a container; `address` if a user wants one.
    async fn connect(&self, pool: &str, address: &str) -> Value {
        let mac = json!({"com.docker.network.endpoint.macaddress": MAC});
        let asked = json!({"PoolID": pool, "Address": address, "Options": mac});
        let given = self.call("IpamDriver.RequestAddress", asked).await["Address"].clone();
        let interface = json!({"Address": given, "MacAddress": MAC});
        let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}]);
        let options = json!({"com.docker.network.portmap": ports, "com.docker.network.endpoint.exposedports": []});
        let of = json!({"NetworkID": NET, "EndpointID": END, "Interface": interface, "Options": options});
        let made = self.call("NetworkDriver.CreateEndpoint", of).await;
        assert_eq!(made, json!({"Interface": {}}), "Docker knows it all");
        self.call("NetworkDriver.Join", json!({"NetworkID": NET, "EndpointID": END, "SandboxKey": "/x"})).await;
        self.call("NetworkDriver.ProgramExternalConnectivity", json!({"EndpointID": END, "Options": options})).await;
        given
    }

    async fn disconnect(&self, pool: &str, address: &Value) {
        let address = address.as_str().unwrap().split('/').next().unwrap();
        for method in ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint"] {
            self.call(&format!("NetworkDriver.{method}"), json!({"NetworkID": NET, "EndpointID": END})).await;
        }
        self.call("IpamDriver.ReleaseAddress", json!({"PoolID": pool, "Address": address})).await;
    }

    async fn remove_network(&self, pool: &str) {
        self.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": NET})).await;
        self.call("IpamDriver.ReleasePool", json!({"PoolID": pool})).await;
    }

    async fn only<T: stackyard_openstack::Resource>(&self) -> T {
        let mut all: Vec<T> = self.manager.cloud().unwrap().list(&[]).await.unwrap();
        all.retain(|t| t.name() != "public");
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// A Neutron network with the subnet 10.3.0.0/24 that is nobody's; the subnet's id.
    async fn neutron(&self) -> String {
        let cloud = self.manager.cloud().unwrap();
        let network: Network = cloud.create(&NewNetwork { name: "theirs".into(), ..Default::default() }).await.unwrap();
        let subnet = NewSubnet {
            name: "theirs".into(),
            network_id: network.id,
            cidr: "10.3.0.0/24".into(),
            ip_version: 4,
            ..Default::default()
        };
        cloud.create::<Subnet>(&subnet).await.unwrap().id
    }
}

#[tokio::test]
async fn what_is_made_has_kuryrs_names_and_tags_and_goes_wholly() {
    let fixture = Fixture::in_place_of_kuryr().await;
    let pool = fixture.kuryr_network(json!({}), json!({})).await;
    let made: SubnetPool = fixture.only().await;
    assert_eq!((made.id.as_str(), made.name.as_str()), (pool.as_str(), "kuryrPool-10.3.0.0/24"));
    let network: Network = fixture.only().await;
    assert_eq!((network.name.as_str(), network.tags), ("kuryr-net-01234567", kuryr_names::id_tags(NET)));
    let subnet: Subnet = fixture.only().await;
    assert_eq!((subnet.name.as_str(), subnet.cidr.as_str()), ("kuryr-subnet-10.3.0.0/24", "10.3.0.0/24"));
    assert_eq!((subnet.subnetpool_id.as_deref(), subnet.tags), (Some(pool.as_str()), vec![pool.clone()]));

    fixture.requests();
    let address = fixture.connect(&pool, "").await;
    let asked: Vec<String> = fixture.requests().into_iter().filter(|r| !r.starts_with("GET")).collect();
    let port: Port = fixture.only().await;
    assert_eq!(asked, ["POST /ports".to_owned(), format!("PUT /ports/{}/tags", port.id)]);
    assert_eq!(port.tags, [vec![DEVICE_OWNER.to_owned()], kuryr_names::id_tags(END)].concat());
    assert_eq!((port.device_owner.as_str(), port.name.as_str()), (DEVICE_OWNER, kuryr_names::UNBOUND_PORT));
    fixture.disconnect(&pool, &address).await;

    // What a user chooses is known at once: one request.
    fixture.requests();
    let address = fixture.connect(&pool, "10.3.0.9").await;
    let asked: Vec<String> = fixture.requests().into_iter().filter(|r| !r.starts_with("GET")).collect();
    assert_eq!(asked, ["POST /ports"]);
    let port: Port = fixture.only().await;
    assert_eq!((port.name, port.device_id.as_str()), (format!("{END}-port"), END));
    assert_eq!(port.tags, [vec![DEVICE_OWNER.to_owned()], kuryr_names::id_tags(END)].concat());
    fixture.disconnect(&pool, &address).await;
    fixture.remove_network(&pool).await;
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
}

#[tokio::test]
async fn zuns_network_and_port_are_used_and_stay() {
    let fixture = Fixture::in_place_of_kuryr().await;
    let subnet = fixture.neutron().await;
    let theirs: Network = fixture.only().await;
    let before = fixture.fake.world().left();
    // As zun/network/kuryr_network.py makes it.
    let ipam = json!({"neutron.net.shared": "False", "neutron.subnet.uuid": subnet});
    let options = json!({"neutron.net.uuid": theirs.id, "neutron.net.shared": "False", "neutron.subnet.uuid": subnet});
    let pool = fixture.kuryr_network(options, ipam).await;
    assert_eq!(fixture.only::<SubnetPool>().await.tags, [subnet.as_str()]);
    let tagged: Network = fixture.only().await;
    assert_eq!(tagged.tags, [kuryr_names::id_tags(NET), vec![kuryr_names::existing_network_tag(NET)]].concat());
    assert_eq!(fixture.only::<Subnet>().await.tags, [pool.as_str()]);

    let new = NewPort { network_id: theirs.id.clone(), device_id: ZUN.into(), ..Default::default() };
    let port: Port = fixture.manager.cloud().unwrap().create(&new).await.unwrap();
    let address = fixture.connect(&pool, port.address().unwrap()).await;
    assert_eq!(address, format!("{}/24", port.address().unwrap()));
    let taken: Port = fixture.only().await;
    assert_eq!((taken.device_id.as_str(), taken.mac_address.as_str()), (ZUN, MAC), "found by IP and MAC address");
    assert_eq!(taken.host.as_deref(), Some("node-1"));
    assert_eq!(taken.tags, [vec![EXISTING_PORT.to_owned()], kuryr_names::id_tags(END)].concat());
    let again = json!({"NetworkID": NET, "EndpointID": "e2", "Options": {},
        "Interface": {"Address": address, "MacAddress": "02:42:0a:03:00:03"}});
    let error = fixture.try_call("NetworkDriver.CreateEndpoint", again).await.unwrap_err();
    assert!(error.contains("is in use: by compute:kuryr"), "{error}");

    fixture.disconnect(&pool, &address).await;
    let free: Port = fixture.only().await;
    assert_eq!((free.device_id.as_str(), free.host.as_deref(), free.tags.len()), (ZUN, Some(""), 0));
    fixture.manager.cloud().unwrap().delete::<Port>(&port.id).await.unwrap();
    fixture.remove_network(&pool).await;
    assert_eq!(fixture.fake.world().left(), before);
    assert!(fixture.only::<Network>().await.tags.is_empty() && fixture.only::<Subnet>().await.tags.is_empty());
}

#[tokio::test]
async fn an_existing_network_gets_the_subnet_that_it_lacks_and_loses_it_again() {
    let fixture = Fixture::in_place_of_kuryr().await;
    let new = NewNetwork { name: "theirs".into(), ..Default::default() };
    fixture.manager.cloud().unwrap().create::<Network>(&new).await.unwrap();
    let before = fixture.fake.world().left();
    let pool = fixture.kuryr_network(json!({"neutron.net.name": "theirs"}), json!({})).await;
    assert_eq!(fixture.only::<Subnet>().await.name, "kuryr-subnet-10.3.0.0/24");
    let second = json!({"Pool": "10.3.0.0/24", "Options": {}, "V6": false});
    let error = fixture.try_call("IpamDriver.RequestPool", second).await.unwrap_err();
    assert!(error.contains("neutron.subnet.uuid"), "{error}");
    fixture.remove_network(&pool).await;
    assert_eq!(fixture.fake.world().left(), before);
    let shared = json!({"NetworkID": NET, "Options": {"com.docker.network.generic":
        {"neutron.net.name": "theirs", "neutron.net.shared": "True"}}, "IPv4Data": [{"Pool": "10.3.0.0/24"}]});
    assert!(fixture.try_call("NetworkDriver.CreateNetwork", shared).await.unwrap_err().contains("shared"));
}

/// All that is known of the network, its pool and a container is in Neutron, as kuryr would have left it.
#[tokio::test]
async fn what_kuryr_made_is_taken_over_by_its_tags() {
    let mut fixture = Fixture::in_place_of_kuryr().await;
    let pool = fixture.kuryr_network(json!({}), json!({})).await;
    let address = fixture.connect(&pool, "").await;
    fixture.forget().await;
    let seen = view(&[(END, NET, MAC)]);
    fixture.manager.take_over(&seen).await.unwrap();
    let endpoint = fixture.manager.ledger.endpoints.get(END).unwrap();
    assert!(!endpoint.adopted && endpoint.mac == MAC);
    fixture.pass(&seen, &mut Suspects::default()).await;
    assert_eq!(fixture.ports(), 1, "it runs");
    fixture.disconnect(&pool, &address).await;
    assert_eq!(fixture.ports(), 0);
    // A further container after a restart, and the end.
    fixture.forget().await;
    let address = fixture.connect(&pool, "").await;
    fixture.forget().await;
    fixture.disconnect(&pool, &address).await;
    fixture.forget().await;
    fixture.remove_network(&pool).await;
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
}

#[tokio::test]
async fn killed_while_it_takes_a_port_or_makes_a_pool_nothing_is_left() {
    let mut fixture = Fixture::in_place_of_kuryr().await;
    let subnet = fixture.neutron().await;
    let theirs: Network = fixture.only().await;
    let new = NewPort { network_id: theirs.id.clone(), ..Default::default() };
    let port: Port = fixture.manager.cloud().unwrap().create(&new).await.unwrap();
    let before = fixture.fake.world().left();
    let options = json!({"neutron.net.uuid": theirs.id, "neutron.subnet.uuid": subnet});
    let pool = fixture.kuryr_network(options, json!({"neutron.subnet.uuid": subnet})).await;
    fixture.connect(&pool, port.address().unwrap()).await;
    fixture.forget().await;
    fixture.pass(&view(&[]), &mut Suspects::default()).await;
    let free: Port = fixture.only().await;
    assert_eq!((free.device_id.as_str(), free.host.as_deref(), free.tags.len()), ("", Some(""), 0));
    assert_eq!(fixture.fake.world().left(), before, "the subnet pool, of which no network is known, is gone, too");
}
