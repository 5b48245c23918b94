//! A host of a yard whose server makes ports of numbers.

use super::rpc::ServerBroker;
use super::*;
use crate::network::PLUGIN;
use crate::network::docker::plugin;
use crate::network::observed::Suspects;
use crate::network::port_manager::Frontend;
use crate::network::port_manager::port_demand::PortDemand;
use crate::network::tests::fake_wiring::FakeWiring;
use crate::network::tests::view;
use crate::network::yard_host::use_null_ipam;
use crate::server_link::rpc::AskServer;
use crate::state::StateDir;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use stackyard_core::agent::{Answer, Ask, ExposedPorts, HostSubnet, PoolMember};
use stackyard_core::stack::Stack;
use stackyard_core::text::error_chain;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn networks_of_the_driver_get_no_addresses_of_the_engine() {
    let network = |driver: &str| stackyard_core::stack::Network { driver: Some(driver.into()), ..Default::default() };
    let service = |name: &str| {
        let attachment = (name.to_owned(), stackyard_core::stack::Attachment::default());
        stackyard_core::stack::Service {
            network_mode: stackyard_core::stack::NetworkMode::Networks([attachment].into()),
            ..Default::default()
        }
    };
    let mut stack = Stack { name: "s".into(), ..Stack::default() };
    stack.networks.extend([("front".into(), network(PLUGIN)), ("back".into(), network("bridge"))]);
    stack.services.extend([("web-1".into(), service("front")), ("db-1".into(), service("back"))]);
    use_null_ipam(&mut stack);
    assert_eq!(stack.networks["front"].ipam_driver.as_deref(), Some("null"));
    assert_eq!(stack.networks["back"].ipam_driver, None);
}

/// A yard's server that makes ports of numbers.
#[derive(Default)]
struct FakeServer {
    kind: Mutex<Option<PortLink>>,
    ports: Mutex<BTreeMap<String, ContainerPort>>,
    asked: Mutex<Vec<Ask>>,
    made: AtomicUsize,
    away: AtomicBool,
    /// Members of the pool `web`.
    members: Mutex<Vec<PoolMember>>,
    /// Whether its load balancer is just changing.
    changes: AtomicBool,
}

const NIC: &str = "fa:16:3e:00:00:01";

impl FakeServer {
    fn answer(&self, ask: Ask) -> Answer {
        self.asked.lock().unwrap().push(ask.clone());
        let mut ports = self.ports.lock().unwrap();
        match ask {
            Ask::Network { network: Some(other), .. } if other != "front" => {
                Answer::Refused { why: format!("no NIC is in {other}") }
            }
            Ask::Network { .. } => Answer::Network(HostNetwork {
                id: "net".into(),
                name: "front".into(),
                mtu: Some(1442),
                subnets: vec![HostSubnet {
                    id: "sub".into(),
                    name: String::new(),
                    cidr: "10.20.0.0/24".into(),
                    ip_version: 4,
                    gateway: Some("10.20.0.1".into()),
                    routes: Vec::new(),
                    dns: Vec::new(),
                }],
            }),
            Ask::Make(new) => {
                let number = 10 + self.made.fetch_add(1, Ordering::Relaxed);
                let link = self.kind.lock().unwrap().unwrap_or(PortLink::Macvlan);
                let own = format!("02:59:00:00:00:{number}");
                let port = ContainerPort {
                    id: format!("{number:08}-0000-4000-8000-000000000000"),
                    docker_network: new.docker_network,
                    endpoint: new.endpoint,
                    network: new.network,
                    link,
                    mac: if link == PortLink::Ipvlan { NIC.into() } else { new.mac.unwrap_or(own) },
                    addresses: vec![PortAddress {
                        subnet: "sub".into(),
                        address: new.addresses[0].address.or(format!("10.20.0.{number}").parse().ok()),
                    }],
                    parent_mac: NIC.into(),
                    vlan: (link == PortLink::Vlan).then_some(new.vlan.unwrap_or(number as u16)),
                };
                ports.insert(port.id.clone(), port.clone());
                Answer::Port(port)
            }
            Ask::Remove { port, .. } => {
                ports.remove(&port);
                Answer::Removed
            }
            Ask::Ports => Answer::Ports { ports: ports.values().cloned().collect() },
            Ask::Name { port, endpoint } => {
                ports.get_mut(&port).unwrap().endpoint = endpoint;
                Answer::Named
            }
            Ask::Pool { pool } if pool == "web" => {
                Answer::Pool { id: "pool".into(), address: "10.20.0.5".parse().unwrap() }
            }
            Ask::Pool { pool } => Answer::Refused { why: format!("there is no pool {pool:?}") },
            Ask::Enlist { .. } | Ask::Dismiss { .. } if self.changes.load(Ordering::Relaxed) => {
                Answer::Refused { why: "it is immutable (409)".into() }
            }
            Ask::Members { .. } => {
                Answer::Members { pools: [("pool".to_owned(), self.members.lock().unwrap().clone())].into() }
            }
            Ask::Enlist { members, .. } => {
                let mut all = self.members.lock().unwrap();
                all.retain(|m| !members.contains(&m.of));
                all.extend(members.into_iter().map(|of| PoolMember { id: format!("{}-{}", of.endpoint, of.port), of }));
                Answer::Enlisted
            }
            Ask::Dismiss { member, .. } => {
                self.members.lock().unwrap().retain(|m| m.id != member);
                Answer::Dismissed
            }
            Ask::Volume(_) | Ask::Unknown => Answer::Refused { why: "it is unknown".into() },
            Ask::OtherVlan { port, taken } => {
                let port = ports.get_mut(&port).unwrap();
                port.vlan = (100..).find(|id| !taken.contains(id));
                Answer::Port(port.clone())
            }
        }
    }
}

impl AskServer for Arc<FakeServer> {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, String>> {
        let away = self.away.load(Ordering::Relaxed);
        let answer = if away { Err("the server is not connected".to_owned()) } else { Ok(self.answer(ask)) };
        async { answer }.boxed()
    }
}

struct Fixture {
    fake_server: Arc<FakeServer>,
    dir: tempfile::TempDir,
    fake_wiring: FakeWiring,
    manager: PortManager,
}

fn start(fake_server: &Arc<FakeServer>, dir: &Path, fake_wiring: &FakeWiring) -> PortManager {
    let state = StateDir::open(dir).unwrap();
    let (source, wiring) =
        (PortSource::Broker(Arc::new(ServerBroker::new(Arc::new(fake_server.clone())))), Box::new(fake_wiring.clone()));
    PortManager::new(Frontend::Docker, PLUGIN, source, wiring, &state, Arc::new(())).unwrap()
}

impl Fixture {
    fn new() -> Self {
        let (fake_server, dir, fake_wiring) = (Arc::default(), tempfile::tempdir().unwrap(), FakeWiring::default());
        let manager = start(&fake_server, dir.path(), &fake_wiring);
        Self { fake_server, dir, fake_wiring, manager }
    }

    fn restart(&mut self) {
        self.manager = start(&self.fake_server, self.dir.path(), &self.fake_wiring);
    }

    async fn call(&self, method: &str, body: Value) -> Result<Value, String> {
        let method = format!("NetworkDriver.{method}");
        let answer = plugin::call(&self.manager, &method, body.to_string().as_bytes()).await;
        answer.map(|a| a.unwrap()).map_err(|e| error_chain(&e))
    }

    async fn network(&self, generic: Value) -> Result<Value, String> {
        let pool = json!([{"AddressSpace": "null", "Pool": "0.0.0.0/0"}]);
        let options = json!({"com.docker.network.generic": generic});
        self.call("CreateNetwork", json!({"NetworkID": "n1", "Options": options, "IPv4Data": pool})).await
    }

    async fn attach(&self, endpoint: &str, options: Value) -> Result<Value, String> {
        let body = json!({"NetworkID": "n1", "EndpointID": endpoint, "Interface": {}, "Options": options});
        self.call("CreateEndpoint", body).await
    }
}

#[tokio::test]
async fn a_container_is_plugged_into_what_the_server_made() {
    let mut fixture = Fixture::new();
    assert!(fixture.network(json!({"network": "back"})).await.unwrap_err().contains("no NIC is in back"));
    fixture.network(json!({})).await.unwrap();
    let answer = fixture.attach("e1", json!({})).await.unwrap();
    assert_eq!(answer, json!({"Interface": {"Address": "10.20.0.10/24", "MacAddress": "02:59:00:00:00:10"}}));
    fixture.restart();
    assert_eq!(fixture.attach("e1", json!({})).await.unwrap(), answer, "asked again");
    let of = json!({"NetworkID": "n1", "EndpointID": "e1"});
    let joined = fixture.call("Join", of.clone()).await.unwrap();
    assert_eq!(joined["InterfaceName"]["SrcName"], "sc00000010-00");
    assert_eq!(joined["Gateway"], "10.20.0.1");
    let chosen = fixture.attach("e2", json!({"ip": "10.20.0.77"})).await.unwrap();
    assert_eq!(chosen["Interface"]["Address"], "10.20.0.77/24");
    let port = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}]);
    fixture.attach("e3", json!({"com.docker.network.portmap": port})).await.unwrap();
    let shown = json!({"NetworkID": "n1", "EndpointID": "e3", "SandboxKey": "/run/docker/netns/e3",
        "Options": {"com.docker.network.portmap": port}});
    let joined = fixture.call("Join", shown).await.unwrap();
    assert_eq!(joined["DisableGatewayService"], false, "Docker publishes by its bridge");
    assert!(joined.get("Gateway").is_none());
    fixture.call("DeleteEndpoint", json!({"NetworkID": "n1", "EndpointID": "e3"})).await.unwrap();

    fixture.fake_server.away.store(true, Ordering::Relaxed);
    assert!(fixture.attach("e4", json!({})).await.unwrap_err().contains("not connected"));
    assert!(fixture.call("DeleteEndpoint", of.clone()).await.unwrap_err().contains("not connected"));
    fixture.fake_server.away.store(false, Ordering::Relaxed);
    fixture.call("DeleteEndpoint", of).await.unwrap();
    assert_eq!(fixture.fake_server.ports.lock().unwrap().len(), 1);
    let removed = fixture.fake_server.asked.lock().unwrap().pop();
    let addresses = vec!["10.20.0.10".parse().unwrap()];
    let port = "00000010-0000-4000-8000-000000000000".to_owned();
    assert_eq!(
        removed,
        Some(Ask::Remove { port, network: "net".into(), addresses, floating_ip: false, exposed: false })
    );
}

#[tokio::test]
async fn an_ipvlan_has_no_mac_address_that_docker_could_set() {
    let fixture = Fixture::new();
    *fixture.fake_server.kind.lock().unwrap() = Some(PortLink::Ipvlan);
    fixture.network(json!({})).await.unwrap();
    let answer = fixture.attach("e1", json!({})).await.unwrap();
    assert_eq!(answer, json!({"Interface": {"Address": "10.20.0.10/24"}}));
}

#[tokio::test]
async fn a_killed_agent_leaves_no_port_and_lost_ones_come_back() {
    let mut fixture = Fixture::new();
    fixture.network(json!({})).await.unwrap();
    fixture.attach("e1", json!({})).await.unwrap();
    fixture.attach("e2", json!({})).await.unwrap();
    // Killed after the server had made a port and before it was written down.
    let addresses = vec![PortAddress { subnet: "sub".into(), address: None }];
    let new = NewContainerPort {
        network: "net".into(),
        docker_network: "n1".into(),
        endpoint: "e3".into(),
        mac: None,
        addresses,
        links: Vec::new(),
        vlan: None,
        options: PortOptions::default(),
    };
    fixture.fake_server.answer(Ask::Make(Box::new(new)));
    fixture.restart();
    // Somebody has removed a port of a container that runs; another container is gone without a word.
    fixture.fake_server.ports.lock().unwrap().remove("00000010-0000-4000-8000-000000000000");
    let view = view(&[("e1", "n1", "02:59:00:00:00:10")]);
    let mut suspects = Suspects::default();
    for _ in 0..2 {
        let cloud = fixture.manager.look_at_cloud().await.unwrap();
        fixture.manager.mend(&cloud, &view, &mut suspects, Duration::ZERO).await;
    }
    let left: Vec<ContainerPort> = fixture.fake_server.ports.lock().unwrap().values().cloned().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0].endpoint.as_str(), left[0].mac.as_str()), ("e1", "02:59:00:00:00:10"));
    assert_eq!(left[0].addresses[0].address, "10.20.0.10".parse().ok());
}

#[tokio::test]
async fn what_a_server_takes_no_notice_of_is_refused_and_given_back() {
    let fixture = Fixture::new();
    fixture.network(json!({})).await.unwrap();
    for (option, value) in [("floating-ip", "public"), ("security-groups", "web"), ("link", "trunk")] {
        let why = fixture.attach("e1", json!({option: value})).await.unwrap_err();
        assert!(why.contains(option) && why.contains("older than this agent"), "{why}");
        assert!(fixture.fake_server.ports.lock().unwrap().is_empty(), "{option}");
    }
    let body = json!({"NetworkID": "n1", "EndpointID": "e1", "Interface": {"MacAddress": "02:42:00:00:00:07"}});
    *fixture.fake_server.kind.lock().unwrap() = Some(PortLink::Ipvlan);
    let why = fixture.call("CreateEndpoint", body).await.unwrap_err();
    assert!(why.contains("--mac-address"), "{why}");
    assert!(fixture.fake_server.ports.lock().unwrap().is_empty());
}

#[tokio::test]
async fn behind_a_trunk_a_container_has_what_a_port_can_have() {
    let fixture = Fixture::new();
    *fixture.fake_server.kind.lock().unwrap() = Some(PortLink::Vlan);
    fixture.network(json!({"security-groups": "web"})).await.unwrap();
    let options = json!({"floating-ip": "public", "dns-name": "www", "link": "trunk"});
    let answer = fixture.attach("e1", options).await.unwrap();
    assert_eq!(answer["Interface"]["MacAddress"], "02:59:00:00:00:10");
    let asked = fixture.fake_server.asked.lock().unwrap().pop();
    let Some(Ask::Make(new)) = asked else { panic!("{asked:?}") };
    assert_eq!(new.links, [PortLink::Vlan]);
    assert_eq!(new.options.named(), ["security-groups", "floating-ip", "dns-name"]);
    let endpoint = fixture.manager.ledger.endpoints.get("e1").unwrap();
    assert_eq!((endpoint.vif.vif_type.as_str(), &endpoint.vif.details[VLAN_ID]), (VLAN, &json!(10)));
    fixture.call("DeleteEndpoint", json!({"NetworkID": "n1", "EndpointID": "e1"})).await.unwrap();
    let removed = fixture.fake_server.asked.lock().unwrap().pop();
    assert!(matches!(removed, Some(Ask::Remove { floating_ip: true, .. })), "{removed:?}");
}

#[tokio::test]
async fn from_a_pool_a_container_has_a_port_that_the_server_made_before() {
    let mut fixture = Fixture::new();
    fixture.manager.port_demand = PortDemand::default();
    *fixture.fake_server.kind.lock().unwrap() = Some(PortLink::Vlan);
    fixture.fake_wiring.occupy(&[11]);
    fixture.network(json!({"pool": "2"})).await.unwrap();
    assert!(fixture.manager.tend().await.unwrap_err().vlan_taken().is_some(), "it is given back");
    fixture.manager.tend().await.unwrap();
    let spares = |fixture: &Fixture| {
        let all = fixture.fake_server.ports.lock().unwrap().clone();
        all.into_values().filter(|p| p.endpoint.starts_with(SPARE)).count()
    };
    assert_eq!((spares(&fixture), fixture.manager.ledger.spares.all().len()), (2, 2));
    fixture.fake_server.asked.lock().unwrap().clear();
    fixture.attach("e1", json!({})).await.unwrap();
    fixture.call("Join", json!({"NetworkID": "n1", "EndpointID": "e1"})).await.unwrap();
    assert_eq!(*fixture.fake_server.asked.lock().unwrap(), [], "before the container runs");
    // One with a floating IP is the server's to make.
    fixture.attach("e2", json!({"floating-ip": "public"})).await.unwrap();
    assert!(matches!(fixture.fake_server.asked.lock().unwrap().as_slice(), [Ask::Make(_)]));
    fixture.manager.tend().await.unwrap();
    let port = fixture.manager.ledger.endpoints.get("e1").unwrap().port;
    assert_eq!(fixture.fake_server.ports.lock().unwrap()[&port].endpoint, "e1");
    assert_eq!((spares(&fixture), fixture.fake_server.ports.lock().unwrap().len()), (2, 4));
    // Killed after the server had made one and before it was written down.
    let (lost, _) = fixture.manager.ledger.spares.all().pop_first().unwrap();
    fixture.manager.ledger.spares.remove(&lost).unwrap();
    fixture.restart();
    let mac = |key: &str| fixture.manager.ledger.endpoints.get(key).unwrap().mac;
    let view = view(&[("e1", "n1", &mac("e1")), ("e2", "n1", &mac("e2"))]);
    let mut suspects = Suspects::default();
    for _ in 0..2 {
        let cloud = fixture.manager.look_at_cloud().await.unwrap();
        fixture.manager.mend(&cloud, &view, &mut suspects, Duration::ZERO).await;
    }
    assert!(!fixture.fake_server.ports.lock().unwrap().contains_key(&lost));
    assert_eq!(fixture.fake_server.ports.lock().unwrap().len(), 3);
    for endpoint in ["e1", "e2"] {
        fixture.call("DeleteEndpoint", json!({"NetworkID": "n1", "EndpointID": endpoint})).await.unwrap();
    }
    fixture.call("DeleteNetwork", json!({"NetworkID": "n1"})).await.unwrap();
    assert!(fixture.fake_server.ports.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_container_is_a_member_of_a_load_balancers_pool_while_it_runs() {
    let mut fixture = Fixture::new();
    fixture.network(json!({})).await.unwrap();
    let why = fixture.attach("e1", json!({"load-balancer": "db:80"})).await.unwrap_err();
    assert!(why.contains("there is no pool \"db\"") && fixture.fake_server.ports.lock().unwrap().is_empty(), "{why}");
    for endpoint in ["e1", "e2"] {
        fixture.attach(endpoint, json!({"load-balancer": "web:8080=5"})).await.unwrap();
    }
    fixture.manager.tend_members().await.unwrap();
    let there = |fixture: &Fixture| {
        let all = fixture.fake_server.members.lock().unwrap().clone();
        all.into_iter().map(|m| (m.of.endpoint, m.of.address.to_string(), m.of.port, m.of.weight)).collect::<Vec<_>>()
    };
    let of = |endpoint: &str, address: &str| (endpoint.to_owned(), address.to_owned(), 8080, Some(5));
    assert_eq!(there(&fixture), [of("e1", "10.20.0.10"), of("e2", "10.20.0.11")]);
    let asked = fixture.fake_server.asked.lock().unwrap().iter().filter(|a| matches!(a, Ask::Enlist { .. })).count();
    assert_eq!(asked, 1, "together");
    // Somebody removes one, and the agent is killed.
    fixture.fake_server.members.lock().unwrap().remove(0);
    fixture.restart();
    let pass = async |fixture: &Fixture, ends: &[&str]| {
        let all: Vec<_> = ends.iter().map(|e| (*e, fixture.manager.ledger.endpoints.get(e).unwrap().mac)).collect();
        let all: Vec<_> = all.iter().map(|(e, mac)| (*e, "n1", mac.as_str())).collect();
        let mut suspects = Suspects::default();
        for _ in 0..2 {
            let cloud = fixture.manager.look_at_cloud().await.unwrap();
            fixture.manager.mend(&cloud, &view(&all), &mut suspects, Duration::ZERO).await;
            fixture.manager.tend_members().await.unwrap();
        }
    };
    pass(&fixture, &["e1", "e2"]).await;
    assert_eq!(there(&fixture).len(), 2);
    // A load balancer that is changing does not keep a container: its member goes later.
    fixture.fake_server.changes.store(true, Ordering::Relaxed);
    fixture.call("DeleteEndpoint", json!({"NetworkID": "n1", "EndpointID": "e1"})).await.unwrap();
    assert_eq!(there(&fixture).len(), 2);
    assert!(fixture.manager.tend_members().await.unwrap_err().to_string().contains("409"));
    fixture.fake_server.changes.store(false, Ordering::Relaxed);
    fixture.manager.tend_members().await.unwrap();
    assert_eq!(there(&fixture), [of("e2", "10.20.0.11")]);
    // It has lost what it wrote down.
    let key = fixture.manager.ledger.members.all().into_keys().next().unwrap();
    fixture.manager.ledger.members.alter(&key, |_| None).unwrap();
    fixture.manager.ledger.endpoints.remove("e2").unwrap();
    fixture.restart();
    pass(&fixture, &[]).await;
    assert_eq!(there(&fixture), []);
}

#[tokio::test]
async fn what_a_container_exposes_is_for_the_server_to_let_in() {
    let mut fixture = Fixture::new();
    fixture.manager.port_demand = PortDemand::default();
    *fixture.fake_server.kind.lock().unwrap() = Some(PortLink::Vlan);
    fixture.network(json!({"pool": "1", "expose": "true"})).await.unwrap();
    fixture.manager.tend().await.unwrap();
    let exposed = json!([{"Proto": 6, "Port": 80}, {"Proto": 6, "Port": 81}]);
    fixture.attach("e1", json!({"com.docker.network.endpoint.exposedports": exposed})).await.unwrap();
    let asked = fixture.fake_server.asked.lock().unwrap().pop();
    let Some(Ask::Make(new)) = asked else { panic!("{asked:?}") };
    assert_eq!(new.options.exposed, [ExposedPorts { protocol: "tcp".into(), first: 80, last: 81 }], "none of the pool");
    fixture.call("DeleteEndpoint", json!({"NetworkID": "n1", "EndpointID": "e1"})).await.unwrap();
    let removed = fixture.fake_server.asked.lock().unwrap().pop();
    assert!(matches!(removed, Some(Ask::Remove { exposed: true, .. })), "{removed:?}");
    // One that exposes nothing takes a port that is ready.
    fixture.fake_server.asked.lock().unwrap().clear();
    fixture.attach("e2", json!({})).await.unwrap();
    assert_eq!(*fixture.fake_server.asked.lock().unwrap(), []);
    let why = fixture.attach("e3", json!({"firewall-group": "guard"})).await.unwrap_err();
    assert!(why.contains("of servers and of routers alone"), "{why}");
}

#[tokio::test]
async fn where_a_vlan_is_in_use_the_server_gives_another() {
    let fixture = Fixture::new();
    *fixture.fake_server.kind.lock().unwrap() = Some(PortLink::Vlan);
    fixture.fake_wiring.occupy(&[10, 100, 101]);
    fixture.network(json!({})).await.unwrap();
    fixture.attach("e1", json!({})).await.unwrap();
    let endpoint = fixture.manager.ledger.endpoints.get("e1").unwrap();
    assert_eq!(endpoint.vif.details[VLAN_ID], json!(102));
    let asked = fixture.fake_server.asked.lock().unwrap().pop();
    assert!(matches!(asked, Some(Ask::OtherVlan { taken, .. }) if taken == [10, 100, 101]));
}

#[tokio::test]
async fn a_container_that_has_lost_its_port_keeps_its_vlan() {
    let fixture = Fixture::new();
    *fixture.fake_server.kind.lock().unwrap() = Some(PortLink::Vlan);
    fixture.fake_wiring.occupy(&[10]);
    fixture.network(json!({})).await.unwrap();
    fixture.attach("e1", json!({})).await.unwrap();
    fixture.fake_wiring.occupy(&[]);
    fixture.fake_server.ports.lock().unwrap().clear();
    let mut suspects = Suspects::default();
    for _ in 0..2 {
        let cloud = fixture.manager.look_at_cloud().await.unwrap();
        let view = view(&[("e1", "n1", "02:59:00:00:00:10")]);
        fixture.manager.mend(&cloud, &view, &mut suspects, Duration::ZERO).await;
    }
    let made: Vec<ContainerPort> = fixture.fake_server.ports.lock().unwrap().values().cloned().collect();
    assert_eq!((made.len(), made[0].vlan, made[0].link), (1, Some(100), PortLink::Vlan), "{made:?}");
    let asked = fixture.fake_server.asked.lock().unwrap().clone();
    let last = asked.into_iter().rev().find(|a| matches!(a, Ask::Make(_)));
    assert!(matches!(last, Some(Ask::Make(new)) if new.links == [PortLink::Vlan] && new.mac.is_some()));
}

#[test]
fn what_a_host_cannot_have_is_named() {
    let network = NetworkOptions { router: Some("r".into()), ..NetworkOptions::default() };
    assert!(network.check_for_yard().unwrap_err().to_string().contains("`router`"));
    assert!(NetworkOptions { network: Some("n".into()), ..Default::default() }.check_for_yard().is_ok());
}
