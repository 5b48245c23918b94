//! The plugin's calls as Docker makes them, against the fake cloud; what it plugs is only noted down.

use super::paper::{Paper, device};
use super::reconcile::{Suspects, View};
use super::{Front, PLUGIN, Plugin, Source, plugin};
use crate::state::StateDir;
use serde_json::{Value, json};
use stackyard_core::progress::Event;
use stackyard_core::text::error_chain;
use stackyard_fake::{Fake, Fault};
use stackyard_openstack::{Cloud, CloudConfig, CloudEntry, Options, RetryPolicy};
use stackyard_openstack::{Network, NewNetwork, NewPort, NewSubnet, Port, Router, Subnet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A cloud, a host, and a plugin that can be killed.
pub(super) struct Ground {
    pub(super) fake: Fake,
    dir: tempfile::TempDir,
    pub(super) paper: Paper,
    pub(super) plugin: Plugin,
}

const MAC: &str = "02:42:0a:00:00:07";

impl Ground {
    pub(super) async fn new() -> Self {
        Self::on_host("node-1").await
    }

    async fn on_host(host: &str) -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        fake.fail(|_, _| None);
        let (dir, paper) = (tempfile::tempdir().unwrap(), Paper::default());
        let plugin = start(&fake, dir.path(), &paper, host).await;
        Self { fake, dir, paper, plugin }
    }

    /// The same in kuryr's place.
    pub(super) async fn in_place_of_kuryr() -> Self {
        let mut ground = Self::new().await;
        ground.plugin.kuryr = true;
        ground
    }

    /// Starts again in kuryr's place, knowing nothing.
    pub(super) async fn forget(&mut self) {
        self.dir = tempfile::tempdir().unwrap();
        self.restart().await;
        self.plugin.kuryr = true;
    }

    /// Kills the plugin and starts it again: what it had in memory is gone.
    pub(super) async fn restart(&mut self) {
        self.plugin = start(&self.fake, self.dir.path(), &self.paper, "node-1").await;
    }

    /// Kills it, and what it has written down of some kinds is lost.
    pub(super) async fn lose(&mut self, kinds: &[&str]) {
        for kind in kinds {
            std::fs::remove_dir_all(self.dir.path().join(kind)).unwrap();
        }
        self.restart().await;
    }

    pub(super) async fn try_call(&self, method: &str, body: Value) -> Result<Value, String> {
        let answer = plugin::call(&self.plugin, method, body.to_string().as_bytes()).await;
        answer.map(|a| a.expect("a method that there is")).map_err(|e| error_chain(&e))
    }

    pub(super) async fn call(&self, method: &str, body: Value) -> Value {
        self.try_call(method, body).await.unwrap()
    }

    /// A Docker network with IPAM `null`, on a new Neutron network.
    pub(super) async fn network(&self) {
        let generic = json!({"subnet": "10.5.0.0/24", "external": "public"});
        let options = json!({"com.docker.network.generic": generic});
        let pool = json!([{"AddressSpace": "null", "Pool": "0.0.0.0/0"}]);
        self.call(
            "NetworkDriver.CreateNetwork",
            json!({"NetworkID": "n1", "Options": options, "IPv4Data": pool, "IPv6Data": null}),
        )
        .await;
    }

    /// One with this plugin's IPAM and both IP versions; ids of the pools.
    pub(super) async fn dual_network(&self) -> (String, String) {
        let mut ids = Vec::new();
        for (pool, v6) in [("10.6.0.0/24", false), ("fd00:6::/64", true)] {
            let answer = self.call("IpamDriver.RequestPool", json!({"Pool": pool, "V6": v6, "Options": {}})).await;
            assert_eq!(answer["Pool"], pool);
            let id = answer["PoolID"].as_str().unwrap().to_owned();
            let gateway = json!({"PoolID": id, "Options": {"RequestAddressType": "com.docker.network.gateway"}});
            self.call("IpamDriver.RequestAddress", gateway).await;
            ids.push(id);
        }
        self.call(
            "NetworkDriver.CreateNetwork",
            json!({
                "NetworkID": "n2", "Options": {},
                "IPv4Data": [{"Pool": "10.6.0.0/24", "Gateway": "10.6.0.1/24"}],
                "IPv6Data": [{"Pool": "fd00:6::/64", "Gateway": "fd00:6::1/64"}],
            }),
        )
        .await;
        (ids[0].clone(), ids[1].clone())
    }

    pub(super) async fn attach(&self, endpoint: &str, options: Value) -> Value {
        let body = json!({"NetworkID": "n1", "EndpointID": endpoint, "Interface": {}, "Options": options});
        self.call("NetworkDriver.CreateEndpoint", body).await
    }

    /// Methods and paths of requests since the last time.
    pub(super) fn requests(&self) -> Vec<String> {
        let seen = self.fake.seen();
        self.fake.fail(|_, _| None);
        seen.iter().map(|s| format!("{} {}", s.method, s.path.trim_start_matches("/network/v2.0"))).collect()
    }

    pub(super) async fn pass(&self, view: &View, suspects: &mut Suspects) {
        let cloud = self.plugin.look_at_cloud().await.unwrap();
        self.plugin.mend(&cloud, view, suspects, Duration::ZERO).await;
    }

    pub(super) fn ports(&self) -> usize {
        // The network's router has one, too.
        self.fake.world().left().iter().filter(|l| l.starts_with("ports/")).count()
    }
}

pub(crate) async fn start(fake: &Fake, dir: &std::path::Path, paper: &Paper, host: &str) -> Plugin {
    let entry = CloudEntry {
        auth_url: fake.auth_url(),
        username: "u".into(),
        password: "p".into(),
        project_name: "p".into(),
        domain_name: "Default".into(),
        region_name: "R".into(),
        cacert: None,
    };
    let config = CloudConfig::from_entry("fake", &entry);
    let retry = RetryPolicy { attempts: 2, first_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let cloud = Cloud::connect(config, Options { retry, ..Options::default() }).await.unwrap();
    let state = StateDir::open(dir).unwrap();
    let (source, wiring) = (Source::Cloud(cloud), Box::new(paper.clone()));
    let plugin = Plugin::new(Front::Docker, PLUGIN, source, wiring, &state, Arc::new(())).unwrap();
    Plugin { host: host.to_owned(), pools: super::pool::Pools::default(), ..plugin }
}

pub(super) fn view(endpoints: &[(&str, &str, &str)]) -> View {
    let own = ["n1", "n2"].into_iter().chain(endpoints.iter().map(|(_, n, _)| *n));
    View {
        networks: own.map(str::to_owned).collect(),
        endpoints: endpoints.iter().map(|(e, n, m)| ((*e).to_owned(), ((*n).to_owned(), (*m).to_owned()))).collect(),
    }
}

#[tokio::test]
async fn an_attach_is_one_request_and_a_detach_one() {
    let ground = Ground::new().await;
    ground.network().await;
    ground.requests();
    let answer = ground.attach("e1", json!({"com.docker.network.endpoint.exposedports": []})).await;
    assert_eq!(ground.requests(), ["POST /ports"]);
    assert_eq!(answer["Interface"]["Address"], "10.5.0.50/24");
    assert!(answer["Interface"]["MacAddress"].is_string(), "Docker did not say one");
    let of = json!({"NetworkID": "n1", "EndpointID": "e1", "SandboxKey": "/x", "Options": {}});
    let joined = ground.call("NetworkDriver.Join", of.clone()).await;
    assert_eq!(joined["Gateway"], "10.5.0.1");
    assert_eq!(joined["DisableGatewayService"], true);
    ground.call("NetworkDriver.ProgramExternalConnectivity", of.clone()).await;
    ground.call("NetworkDriver.EndpointOperInfo", of.clone()).await;
    // Asked again, since the answer was lost: the same, without a request.
    assert_eq!(ground.attach("e1", json!({})).await, answer);
    ground.call("NetworkDriver.Leave", of.clone()).await;
    assert_eq!(ground.requests(), Vec::<String>::new());
    ground.call("NetworkDriver.DeleteEndpoint", of.clone()).await;
    ground.call("NetworkDriver.DeleteEndpoint", of).await;
    assert_eq!(ground.requests().iter().map(|r| &r[..13]).collect::<Vec<_>>(), ["DELETE /ports"]);
    ground.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n1"})).await;
    assert_eq!(ground.fake.world().left(), Vec::<String>::new());
    assert!(ground.paper.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn with_addresses_asked_for_first_it_is_one_request_for_both_versions() {
    let ground = Ground::new().await;
    let (v4, v6) = ground.dual_network().await;
    ground.requests();
    let ask =
        |pool: &str| json!({"PoolID": pool, "Address": "", "Options": {"com.docker.network.endpoint.macaddress": MAC}});
    let first = ground.call("IpamDriver.RequestAddress", ask(&v4)).await;
    let second = ground.call("IpamDriver.RequestAddress", ask(&v6)).await;
    assert_eq!((&first["Address"], &second["Address"]), (&json!("10.6.0.50/24"), &json!("fd00:6::32/64")));
    let interface = json!({"Address": first["Address"], "AddressIPv6": second["Address"], "MacAddress": MAC});
    let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {}});
    let answer = ground.call("NetworkDriver.CreateEndpoint", body).await;
    assert_eq!(answer, json!({"Interface": {}}), "Docker knows all");
    assert_eq!(ground.requests(), ["POST /ports"]);
    ground.call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": "n2", "EndpointID": "e1"})).await;
    ground.call("IpamDriver.ReleaseAddress", json!({"PoolID": v4, "Address": "10.6.0.50"})).await;
    assert_eq!(ground.requests().len(), 1, "one DELETE");
    assert_eq!(ground.ports(), 0);
}

#[tokio::test]
async fn a_chosen_address_waits_for_what_the_endpoint_says() {
    let ground = Ground::new().await;
    let (v4, v6) = ground.dual_network().await;
    ground.requests();
    let mac = json!({"com.docker.network.endpoint.macaddress": MAC});
    let chosen =
        ground.call("IpamDriver.RequestAddress", json!({"PoolID": v4, "Address": "10.6.0.9", "Options": mac})).await;
    assert_eq!(chosen["Address"], "10.6.0.9/24");
    assert_eq!(ground.requests(), Vec::<String>::new());
    // The other version is not chosen: the port is made, with the chosen one in it.
    let other = ground.call("IpamDriver.RequestAddress", json!({"PoolID": v6, "Address": "", "Options": mac})).await;
    let interface = json!({"Address": "10.6.0.9/24", "AddressIPv6": other["Address"], "MacAddress": MAC});
    let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {"dns-name": "db"}});
    ground.call("NetworkDriver.CreateEndpoint", body).await;
    let requests = ground.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[1].starts_with("PUT /ports/"), "its name came later: {requests:?}");
    let wrong = json!({"PoolID": v4, "Address": "10.7.0.9", "Options": mac});
    assert!(ground.try_call("IpamDriver.RequestAddress", wrong).await.unwrap_err().contains("not in 10.6.0.0/24"));
}

/// `--ip --ip6 --mac-address`: Docker tells the MAC address of its user's when it has the addresses.
#[tokio::test]
async fn what_is_chosen_for_one_is_not_for_the_next() {
    let ground = Ground::new().await;
    let (v4, v6) = ground.dual_network().await;
    for (pool, address) in [(&v4, "10.6.0.9"), (&v6, "fd00:6::9")] {
        ground.call("IpamDriver.RequestAddress", json!({"PoolID": pool, "Address": address})).await;
    }
    let interface = json!({"Address": "10.6.0.9/24", "AddressIPv6": "fd00:6::9/64", "MacAddress": MAC});
    let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {}});
    ground.call("NetworkDriver.CreateEndpoint", body).await;
    for pool in [&v4, &v6] {
        let next = ground.call("IpamDriver.RequestAddress", json!({"PoolID": pool, "Address": ""})).await;
        assert!(!["10.6.0.9/24", "fd00:6::9/64"].contains(&next["Address"].as_str().unwrap()), "{next}");
    }
}

#[tokio::test]
async fn an_address_that_no_endpoint_came_of_is_given_back() {
    let ground = Ground::new().await;
    let (v4, _) = ground.dual_network().await;
    let ask = json!({"PoolID": v4, "Address": "", "Options": {"com.docker.network.endpoint.macaddress": MAC}});
    ground.call("IpamDriver.RequestAddress", ask).await;
    assert_eq!(ground.ports(), 1);
    ground.call("IpamDriver.ReleaseAddress", json!({"PoolID": v4, "Address": "10.6.0.50"})).await;
    assert_eq!(ground.ports(), 0);
}

/// Neutron takes the request and says nothing.
#[tokio::test]
async fn docker_gets_an_answer_in_time_and_the_call_is_finished_later() {
    let ground = Ground::new().await;
    ground.network().await;
    ground.attach("e1", json!({})).await;
    ground.fake.fail(|_, seen| (seen.method == "DELETE").then_some(Fault::DoneLate(Duration::from_millis(500))));
    let (fake, plugin) = (ground.fake, Arc::new(ground.plugin));
    let body = json!({"NetworkID": "n1", "EndpointID": "e1"}).to_string().into();
    let method = "NetworkDriver.DeleteEndpoint".to_owned();
    let answer = plugin::answer_within(Duration::from_millis(50), plugin.clone(), method, body).await;
    assert_eq!(answer.status(), 500);
    let text = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
    assert!(String::from_utf8_lossy(&text).contains("cannot finish"), "{text:?}");
    let ports = || fake.world().left().iter().filter(|l| l.starts_with("ports/")).count();
    assert_eq!(ports(), 2, "the router has one");
    for _ in 0..100 {
        if plugin.ledger.endpoints.get("e1").is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((ports(), plugin.ledger.endpoints.get("e1")), (1, None));
}

#[tokio::test]
async fn what_fails_half_way_is_taken_back() {
    let ground = Ground::on_host("nowhere").await;
    ground.network().await;
    let before = ground.fake.world().left().len();
    let body = json!({"NetworkID": "n1", "EndpointID": "e1", "Interface": {}, "Options": {}});
    let error = ground.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err();
    assert!(error.contains("binding_failed") && error.contains("nowhere"), "{error}");
    assert_eq!(ground.fake.world().left().len(), before);

    let ground = Ground::new().await;
    ground.network().await;
    let before = ground.fake.world().left().len();
    ground.fake.fail(|_, seen| (seen.path.ends_with("/floatingips")).then_some(Fault::Status(409)));
    let body = json!({"NetworkID": "n1", "EndpointID": "e1", "Interface": {}, "Options": {"floating-ip": "public"}});
    let error = ground.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err();
    assert!(error.contains("floating IP"), "{error}");
    assert_eq!(ground.fake.world().left().len(), before);
}

#[tokio::test]
async fn published_ports_are_forwarded_by_the_floating_ip() {
    let ground = Ground::new().await;
    ground.network().await;
    let before = ground.fake.world().left();
    ground.requests();
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}, {"Proto": 17, "Port": 53, "HostPort": 53}]);
    ground.attach("e1", json!({"floating-ip": "public", "com.docker.network.portmap": ports})).await;
    let requests = ground.requests();
    let forwarded = requests.iter().filter(|r| r.starts_with("POST /floatingips/") && r.ends_with("/port_forwardings"));
    assert_eq!(forwarded.count(), 2, "{requests:?}");
    let program = json!({"EndpointID": "e1", "Options": {"com.docker.network.portmap": ports}});
    ground.call("NetworkDriver.ProgramExternalConnectivity", program).await;
    let ip: Vec<stackyard_openstack::FloatingIp> = ground.plugin.cloud().unwrap().list(&[]).await.unwrap();
    assert_eq!(ip[0].port_id, None, "only those ports lead here");
    // A floating IP that was there before stays, without the forwardings.
    let taken = ground.plugin.ledger.endpoints.get("e1").unwrap().forwardings;
    assert_eq!(taken.len(), 2);
    ground.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e1"})).await;
    assert_eq!(ground.fake.world().left(), before);
    let new = stackyard_openstack::NewFloatingIp { floating_network_id: "ext".into(), ..Default::default() };
    let kept: stackyard_openstack::FloatingIp = ground.plugin.cloud().unwrap().create(&new).await.unwrap();
    let with_kept = ground.fake.world().left();
    ground.attach("e2", json!({"floating-ip": kept.address, "com.docker.network.portmap": ports})).await;
    assert!(ground.fake.world().left().len() > with_kept.len());
    ground.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e2"})).await;
    assert_eq!(ground.fake.world().left(), with_kept);
}

#[tokio::test]
async fn mistakes_reach_the_user() {
    let ground = Ground::new().await;
    ground.network().await;
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
    ] {
        let error = ground.try_call("NetworkDriver.CreateEndpoint", create(options)).await.unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let empty = plugin::call(&ground.plugin, "NetworkDriver.CreateEndpoint", b"").await.unwrap_err();
    assert!(empty.to_string().contains("try again"), "a retry of Docker's has no body");
    assert!(plugin::call(&ground.plugin, "NetworkDriver.Unheard", b"{}").await.unwrap().is_none());
    assert_eq!(ground.ports(), 1, "the router's");
}

#[tokio::test]
async fn a_cloud_without_routers_is_looked_at_too() {
    let ground = Ground::new().await;
    ground.network().await;
    ground.attach("e1", json!({})).await;
    ground.fake.fail(|_, seen| seen.path.ends_with("/floatingips").then_some(Fault::Status(404)));
    assert_eq!(ground.plugin.look_at_cloud().await.unwrap().ports.len(), 1);
}

/// The plugin is killed after each call of an attach in turn, and Docker does not come back to it.
#[tokio::test]
async fn killed_after_any_call_nothing_is_left_after_the_next_pass() {
    for calls in 1..=4 {
        let mut ground = Ground::new().await;
        let (v4, _) = ground.dual_network().await;
        ground.network().await;
        let before = ground.fake.world().left();
        let mac = json!({"com.docker.network.endpoint.macaddress": MAC});
        let address =
            ground.call("IpamDriver.RequestAddress", json!({"PoolID": v4, "Address": "", "Options": mac})).await;
        if calls > 1 {
            let interface = json!({"Address": address["Address"], "MacAddress": MAC});
            let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {}});
            ground.call("NetworkDriver.CreateEndpoint", body).await;
        }
        if calls > 2 {
            ground.attach("e2", json!({"floating-ip": "public"})).await;
        }
        if calls > 3 {
            // The records are lost, too.
            std::fs::remove_dir_all(ground.dir.path().join("endpoints")).unwrap();
        }
        ground.restart().await;
        let mut suspects = Suspects::default();
        // While Docker knows the endpoints nothing happens to them.
        let mac2 = "fa:16:3e:00:00:02";
        let known = view(&[("e0", "n2", MAC), ("e1", "n2", MAC), ("e2", "n1", mac2)]);
        ground.pass(&known, &mut suspects).await;
        assert!(ground.fake.world().left().len() > before.len());
        ground.pass(&view(&[]), &mut suspects).await;
        assert_eq!(ground.fake.world().left(), before, "killed after call {calls}");
        assert!(ground.paper.0.lock().unwrap().is_empty(), "killed after call {calls}");
        assert!(ground.plugin.ledger.endpoints.all().is_empty());
    }
}

#[tokio::test]
async fn what_is_being_made_is_not_removed() {
    let ground = Ground::new().await;
    ground.network().await;
    ground.attach("e1", json!({})).await;
    let (mut suspects, grace) = (Suspects::default(), Duration::from_secs(3600));
    let cloud = ground.plugin.look_at_cloud().await.unwrap();
    ground.plugin.mend(&cloud, &view(&[]), &mut suspects, grace).await;
    assert_eq!(ground.ports(), 2, "suspected, no more");
    let turn = ground.plugin.turns.take("e1").await;
    ground.plugin.mend(&cloud, &view(&[]), &mut suspects, Duration::ZERO).await;
    assert_eq!(ground.ports(), 2, "somebody is at work on it");
    drop(turn);
    ground.plugin.mend(&cloud, &view(&[]), &mut suspects, Duration::ZERO).await;
    assert_eq!(ground.ports(), 1);
}

#[tokio::test]
async fn a_container_whose_port_is_gone_gets_one_with_its_addresses() {
    let ground = Ground::new().await;
    ground.network().await;
    let answer = ground.attach("e1", json!({"ip": "10.5.0.77"})).await;
    let before = ground.plugin.ledger.endpoints.get("e1").unwrap();
    ground.plugin.cloud().unwrap().delete::<stackyard_openstack::Port>(&before.port).await.unwrap();
    let seen = view(&[("e1", "n1", &before.mac)]);
    ground.pass(&seen, &mut Suspects::default()).await;
    let after = ground.plugin.ledger.endpoints.get("e1").unwrap();
    assert_ne!(after.port, before.port);
    assert_eq!((&after.mac, &after.ips, &after.link), (&before.mac, &before.ips, &before.link));
    assert_eq!(answer["Interface"]["Address"], "10.5.0.77/24");
    assert_eq!(ground.paper.0.lock().unwrap().get(&device(&before)), Some(&after.port));
    ground.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e1"})).await;
    assert_eq!(ground.ports(), 1);
}

#[tokio::test]
async fn a_port_that_its_agent_knows_by_name_gives_the_link_its_own() {
    let ground = Ground::on_host("linuxbridge-1").await;
    ground.network().await;
    ground.attach("e1", json!({})).await;
    let before = ground.plugin.ledger.endpoints.get("e1").unwrap();
    assert!(device(&before).starts_with("tap") && !before.vif.network.is_empty());
    ground.plugin.cloud().unwrap().delete::<stackyard_openstack::Port>(&before.port).await.unwrap();
    ground.pass(&view(&[("e1", "n1", &before.mac)]), &mut Suspects::default()).await;
    let after = ground.plugin.ledger.endpoints.get("e1").unwrap();
    assert_eq!(after.link, after.port);
    let plugged = ground.paper.0.lock().unwrap().clone();
    assert_eq!(plugged, [(device(&after), after.port)].into());
}

#[tokio::test]
async fn existing_networks_and_ports_stay() {
    let ground = Ground::new().await;
    ground.network().await;
    let neutron = ground.plugin.ledger.networks.get("n1").unwrap().neutron;
    let pool = json!([{"Pool": "0.0.0.0/0"}]);
    let generic = json!({"network": neutron, "mtu": "1400"});
    let options = json!({"com.docker.network.generic": generic});
    ground.call("NetworkDriver.CreateNetwork", json!({"NetworkID": "n3", "Options": options, "IPv4Data": pool})).await;
    assert_eq!(ground.plugin.ledger.networks.get("n3").unwrap().mtu, 1400);
    let new = stackyard_openstack::NewPort { network_id: neutron, name: "vip".into(), ..Default::default() };
    let port: stackyard_openstack::Port = ground.plugin.cloud().unwrap().create(&new).await.unwrap();
    let body = json!({"NetworkID": "n3", "EndpointID": "e3", "Interface": {}, "Options": {"port": "vip"}});
    let answer = ground.call("NetworkDriver.CreateEndpoint", body.clone()).await;
    assert_eq!(answer["Interface"]["MacAddress"], port.mac_address.as_str());
    let second = json!({"NetworkID": "n3", "EndpointID": "e4", "Interface": {}, "Options": {"port": "vip"}});
    let error = ground.try_call("NetworkDriver.CreateEndpoint", second).await.unwrap_err();
    assert!(error.contains("in use"), "{error}");
    ground.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e3"})).await;
    let free: stackyard_openstack::Port = ground.plugin.cloud().unwrap().get(&port.id).await.unwrap();
    assert_eq!((free.device_id.as_str(), free.host.as_deref()), ("", Some("")));
    let before = ground.fake.world().left().len();
    ground.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n3"})).await;
    assert_eq!(ground.fake.world().left().len(), before);
}

#[tokio::test]
async fn a_network_that_cannot_be_made_wholly_is_taken_back() {
    let ground = Ground::new().await;
    ground
        .fake
        .fail(|_, seen| (seen.method == "POST" && seen.path.ends_with("/routers")).then_some(Fault::Status(403)));
    let generic = json!({"subnet": "10.5.0.0/24", "external": "public"});
    let options = json!({"com.docker.network.generic": generic});
    let body = json!({"NetworkID": "n1", "Options": options, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    ground.try_call("NetworkDriver.CreateNetwork", body).await.unwrap_err();
    assert_eq!(ground.fake.world().left(), Vec::<String>::new());
    let none = json!({"NetworkID": "n1", "Options": {}, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    assert!(ground.try_call("NetworkDriver.CreateNetwork", none).await.unwrap_err().contains("-o network=NAME"));
}

/// `docker network rm`, while a server is on the network or another network on its router.
#[tokio::test]
async fn a_network_that_others_use_stays_whole() {
    for by_router in [false, true] {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut ground = Ground::new().await;
        let heard = lines.clone();
        ground.plugin.onlooker = Arc::new(move |event: Event| heard.lock().unwrap().push(format!("{event:?}")));
        ground.plugin.pool = "1".parse().unwrap();
        ground.network().await;
        let neutron = ground.plugin.ledger.networks.get("n1").unwrap().neutron;
        let cloud = ground.plugin.cloud().unwrap().clone();
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
        let before = ground.fake.world().left();
        ground.plugin.tend().await.unwrap();
        let error = ground.try_call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n1"})).await.unwrap_err();
        assert!(error.contains("cannot remove network \"docker-n1\": 1 ports"), "{error}");
        let mut gone = view(&[]);
        gone.networks.clear();
        let mut suspects = Suspects::default();
        for _ in 0..3 {
            ground.pass(&gone, &mut suspects).await;
            ground.plugin.tend().await.unwrap();
        }
        assert_eq!(ground.fake.world().left(), before, "and no port of the pool is made again");
        let said = || lines.lock().unwrap().iter().filter(|l| l.contains("cannot remove network")).count();
        assert_eq!(said(), 0, "what answers Docker has said it");
        ground.plugin.left_in_use().clear();
        for _ in 0..3 {
            ground.pass(&gone, &mut suspects).await;
        }
        assert_eq!(said(), 1, "once after a start");
        match (subnet, other, port) {
            (Some(subnet), Some(other), _) => {
                cloud.remove_router_subnet(&router, &subnet).await.unwrap();
                cloud.delete::<Network>(&other).await.unwrap();
            }
            (_, _, port) => drop(cloud.delete::<Port>(&port.unwrap()).await.unwrap()),
        }
        ground.pass(&gone, &mut suspects).await;
        assert_eq!(ground.fake.world().left(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_internal_network_has_no_gateway() {
    let ground = Ground::new().await;
    let generic = json!({"subnet": "10.5.0.0/24"});
    let options = json!({"com.docker.network.generic": generic, "com.docker.network.internal": true});
    let body = json!({"NetworkID": "n1", "Options": options, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    ground.call("NetworkDriver.CreateNetwork", body).await;
    ground.attach("e1", json!({})).await;
    let of = json!({"NetworkID": "n1", "EndpointID": "e1", "SandboxKey": "/x", "Options": {}});
    let joined = ground.call("NetworkDriver.Join", of).await;
    assert!(joined["Gateway"].is_null() && joined["DisableGatewayService"] == true, "{joined}");
    let floating =
        json!({"NetworkID": "n1", "EndpointID": "e2", "Interface": {}, "Options": {"floating-ip": "public"}});
    let error = ground.try_call("NetworkDriver.CreateEndpoint", floating).await.unwrap_err();
    assert!(error.contains("`floating-ip` on an internal network"), "{error}");

    // A network that has a gateway: the containers of this Docker network do not use it.
    ground.dual_network().await;
    let neutron = ground.plugin.ledger.networks.get("n2").unwrap().neutron;
    let options = json!({"com.docker.network.generic": {"network": neutron}, "com.docker.network.internal": true});
    let body = json!({"NetworkID": "n3", "Options": options, "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    ground.call("NetworkDriver.CreateNetwork", body).await;
    let subnets = ground.plugin.ledger.networks.get("n3").unwrap().subnets;
    assert!(subnets.len() == 2 && subnets.iter().all(|s| s.gateway.is_none()));
}

/// Without `--ipam-driver` Docker gives out addresses itself.
#[tokio::test]
async fn addresses_of_dockers_own_are_refused() {
    let ground = Ground::new().await;
    ground.network().await;
    let neutron = ground.plugin.ledger.networks.get("n1").unwrap().neutron;
    for pool in ["172.18.0.0/16", "10.5.0.0/24"] {
        let options = json!({"com.docker.network.generic": {"network": neutron}});
        let data = json!([{"AddressSpace": "LocalDefault", "Pool": pool, "Gateway": ""}]);
        let body = json!({"NetworkID": "n3", "Options": options, "IPv4Data": data});
        let error = ground.try_call("NetworkDriver.CreateNetwork", body).await.unwrap_err();
        assert!(error.contains("add --ipam-driver stackyard") && error.contains(pool), "{error}");
    }
}

/// Docker's calls for a container on the network with both IP versions, until it runs; its MAC address.
pub(super) async fn run_container(ground: &Ground, pools: &(String, String), endpoint: &str) -> String {
    let ask = |pool: &str| json!({"PoolID": pool, "Address": "", "Options": {}});
    let v4 = ground.call("IpamDriver.RequestAddress", ask(&pools.0)).await["Address"].clone();
    let v6 = ground.call("IpamDriver.RequestAddress", ask(&pools.1)).await["Address"].clone();
    let interface = json!({"Address": v4, "AddressIPv6": v6});
    let of = json!({"NetworkID": "n2", "EndpointID": endpoint, "Interface": interface, "Options": {}});
    let made = ground.call("NetworkDriver.CreateEndpoint", of.clone()).await;
    ground.call("NetworkDriver.Join", json!({"NetworkID": "n2", "EndpointID": endpoint, "SandboxKey": "/x"})).await;
    made["Interface"]["MacAddress"].as_str().expect("the port's").to_owned()
}

#[tokio::test]
async fn without_mac_addresses_calls_of_one_endpoint_are_told_by_their_order() {
    let ground = Ground::new().await;
    let pools = ground.dual_network().await;
    ground.requests();
    run_container(&ground, &pools, "e1").await;
    run_container(&ground, &pools, "e2").await;
    assert_eq!(ground.requests(), ["POST /ports", "POST /ports"]);
    let ends = ground.plugin.ledger.endpoints.all();
    assert_eq!(ends.keys().collect::<Vec<_>>(), ["e1", "e2"]);
    assert_ne!(ends["e1"].port, ends["e2"].port);
    // One that fails after its first address, and is told so; then one with an address of its own.
    let ask = json!({"PoolID": pools.0, "Address": "", "Options": {}});
    let given = ground.call("IpamDriver.RequestAddress", ask).await["Address"].clone();
    let address = given.as_str().unwrap().split('/').next().unwrap();
    ground.call("IpamDriver.ReleaseAddress", json!({"PoolID": pools.0, "Address": address})).await;
    ground.requests();
    let ask = json!({"PoolID": pools.0, "Address": "10.6.0.99", "Options": {}});
    ground.call("IpamDriver.RequestAddress", ask).await;
    let ask = json!({"PoolID": pools.1, "Address": "", "Options": {}});
    let v6 = ground.call("IpamDriver.RequestAddress", ask).await["Address"].clone();
    // `--mac-address` is known last: the port is made anew.
    let interface = json!({"Address": "10.6.0.99/24", "AddressIPv6": v6, "MacAddress": MAC});
    let of = json!({"NetworkID": "n2", "EndpointID": "e3", "Interface": interface, "Options": {}});
    assert_eq!(ground.call("NetworkDriver.CreateEndpoint", of).await, json!({"Interface": {}}));
    let third = ground.plugin.ledger.endpoints.get("e3").unwrap();
    assert!(third.mac == MAC && third.has("10.6.0.99".parse().unwrap()));
    assert_eq!(ground.ports(), 3);
}

#[tokio::test]
async fn ports_that_are_ready_cost_no_request() {
    let mut ground = Ground::new().await;
    ground.plugin.pool = "2-3".parse().unwrap();
    let pools = ground.dual_network().await;
    let before = ground.fake.world().left();
    ground.requests();
    ground.plugin.tend().await.unwrap();
    assert_eq!(ground.requests(), ["POST /ports"], "three at once");
    assert_eq!(ground.ports(), 3);
    assert_eq!(ground.paper.0.lock().unwrap().len(), 3, "plugged");
    let seen = view(&[]);
    ground.pass(&seen, &mut Suspects::default()).await;
    assert_eq!(ground.ports(), 3, "they belong here");

    ground.requests();
    let mac = run_container(&ground, &pools, "e1").await;
    assert_eq!(ground.requests(), Vec::<String>::new(), "not one before it runs");
    let (port, ready) = (ground.plugin.ledger.endpoints.get("e1").unwrap().port, ground.plugin.ledger.spares.all());
    assert!(ready.len() == 2 && !ready.contains_key(&port));
    // Killed before the port was told whose it is: it is the container's by its MAC address.
    ground.restart().await;
    ground.plugin.pool = "2-3".parse().unwrap();
    let seen = view(&[("e1", "n2", &mac)]);
    ground.pass(&seen, &mut Suspects::default()).await;
    assert_eq!(ground.ports(), 3);
    ground.requests();
    ground.plugin.tend().await.unwrap();
    assert_eq!(ground.requests(), ["POST /ports".to_owned(), format!("PUT /ports/{port}")], "one more, and its name");
    let named: stackyard_openstack::Port = ground.plugin.cloud().unwrap().get(&port).await.unwrap();
    assert_eq!(named.device_id, "e1");

    // Own addresses and a name in DNS need a port of their own; options that only change one change one.
    ground.requests();
    let interface = json!({"Address": "10.6.0.200/24"});
    let of = json!({"NetworkID": "n2", "EndpointID": "e2", "Interface": interface, "Options": {}});
    ground.call("NetworkDriver.CreateEndpoint", of).await;
    assert_eq!(ground.requests(), ["POST /ports"]);
    for id in ["e1", "e2"] {
        ground.call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": "n2", "EndpointID": id})).await;
    }
    ground.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n2"})).await;
    assert_eq!(ground.fake.world().left(), Vec::<String>::new(), "with the network all of them: {before:?}");
    assert!(ground.paper.0.lock().unwrap().is_empty() && ground.plugin.ledger.spares.all().is_empty());
}

#[tokio::test]
async fn a_pool_is_filled_for_what_endpoints_ask_for() {
    let mut ground = Ground::new().await;
    ground.network().await;
    ground.plugin.pool = "1".parse().unwrap();
    ground.plugin.tend().await.unwrap();
    let none = json!({"security-groups": ""});
    ground.attach("e1", none.clone()).await;
    assert_eq!(ground.plugin.ledger.spares.all().len(), 1, "it has other groups");
    ground.plugin.tend().await.unwrap();
    assert_eq!(ground.plugin.ledger.spares.all().len(), 2);
    ground.requests();
    let answer = ground.attach("e2", none).await;
    assert!(answer["Interface"]["MacAddress"].is_string());
    ground.attach("e3", json!({})).await;
    assert_eq!(ground.requests(), Vec::<String>::new());
    ground.attach("e4", json!({})).await;
    assert_eq!(ground.requests(), ["POST /ports"], "an empty pool is no pool");
}

/// Wherever a plugin is killed while it fills a pool or gives it back, the next one finds its ports.
#[tokio::test]
async fn killed_while_a_pool_is_filled_nothing_is_left() {
    for at in 0..4 {
        let mut ground = Ground::new().await;
        let _pools = ground.dual_network().await;
        let before = ground.fake.world().left();
        ground.plugin.pool = "3".parse().unwrap();
        // The answer is lost, or all is there but the network is not Docker's any more.
        if at == 0 {
            ground.fake.fail(|_, seen| (seen.method == "POST").then_some(Fault::AnswerLost));
            ground.plugin.tend().await.unwrap_err();
            ground.requests();
        } else {
            ground.plugin.tend().await.unwrap();
        }
        if at == 1 {
            // Before the ports were written down.
            std::fs::remove_dir_all(ground.dir.path().join("spares")).unwrap();
        }
        if at == 2 {
            // Before they were plugged.
            ground.paper.0.lock().unwrap().clear();
        }
        ground.restart().await;
        if at == 2 {
            ground.plugin.pool = "3".parse().unwrap();
            let mut spares = ground.plugin.ledger.spares.all();
            let (port, spare) = spares.pop_first().unwrap();
            ground.plugin.ledger.spares.put(&port, &super::ledger::Spare { ready: false, ..spare }).unwrap();
            ground.plugin.tend().await.unwrap();
            assert!(ground.plugin.ledger.spares.all().values().all(|s| s.ready));
            assert_eq!(ground.ports(), 3);
        }
        let mut nothing = view(&[]);
        if at > 1 {
            nothing.networks.clear();
        }
        let mut suspects = Suspects::default();
        ground.pass(&nothing, &mut suspects).await;
        if at > 1 {
            // The network goes in the same pass, and after its ports in the next.
            ground.pass(&nothing, &mut suspects).await;
            assert_eq!(ground.fake.world().left(), Vec::<String>::new(), "killed at {at}");
        } else {
            assert_eq!(ground.fake.world().left(), before, "killed at {at}");
        }
        assert!(ground.paper.0.lock().unwrap().is_empty(), "killed at {at}");
    }
}
