//! Ports of containers, as agents ask for them, against a fake cloud.

use super::support::{Agent, Running};
use serde_json::{Value, json};
use stackyard_core::agent::{
    Answer, Ask, ContainerPort, Joined, NewContainerPort, PortAddress, PortLink, ToAgent, ToServer,
};
use stackyard_core::yard::Scope;
use stackyard_core::yard::intend::intend;
use stackyard_core::yard::manifest::Manifest;
use stackyard_fake::{Fake, Fault};
use stackyard_openstack::{
    AddressPair, Cloud, CloudConfig, Network, NewNetwork, NewPort, NewSecurityGroup, NewServer, NewSubnet, Options,
    Port, SecurityGroup, Server, Sources, Subnet,
};
use stackyard_yard::{DataLoss, Inventory, remove_yard};
use std::time::Duration;

/// A mark of the yard `shop` in the cloud's project and region, from the kind on.
pub fn mark(rest: &str) -> String {
    format!("stackyard:shop@{}/{rest}", Scope::of("p1", "R"))
}

const MANIFEST: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  cloud: fake\n  \
    networks:\n    - {name: front, cidr: 10.20.0.0/24}\n  hosts:\n    \
    - {pool: web, count: 2, flavor: m1.host, image: host-a, network: front}\n";

const NETWORK: &str = "aa11";

/// A server, a cloud, and two hosts that are servers of it.
pub(super) struct Ground {
    pub(super) fake: Fake,
    pub(super) running: Running,
    pub(super) cloud: Cloud,
    pub(super) network: String,
    pub(super) subnet: String,
    /// Ids of the NICs' ports.
    pub(super) nics: Vec<String>,
    pub(super) hosts: Vec<Joined>,
}

impl Ground {
    pub(super) async fn new() -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        fake.world().take_time(Duration::ZERO);
        let running = Running::start_with_cloud(&fake).await;
        running.admin.keep_yard("shop", MANIFEST, None).await.unwrap();
        let sources = Sources { folders: vec![running.home.path().to_owned()], ..Sources::default() };
        let config = CloudConfig::load_from(Some("fake"), &sources).unwrap();
        let cloud = Cloud::connect(config, Options::default()).await.unwrap();
        let network: Network = cloud.create(&NewNetwork { name: "front".into(), ..Default::default() }).await.unwrap();
        let new = NewSubnet {
            name: "front".into(),
            network_id: network.id.clone(),
            cidr: "10.20.0.0/24".into(),
            ip_version: 4,
            ..NewSubnet::default()
        };
        let subnet: Subnet = cloud.create(&new).await.unwrap();
        let group = NewSecurityGroup { name: "web".into(), ..NewSecurityGroup::default() };
        let group: SecurityGroup = cloud.create(&group).await.unwrap();
        let (mut nics, mut hosts) = (Vec::new(), Vec::new());
        for name in ["web-1", "web-2"] {
            let new = NewPort {
                network_id: network.id.clone(),
                security_groups: Some(vec![group.id.clone()]),
                ..NewPort::default()
            };
            let nic: Port = cloud.create(&new).await.unwrap();
            let mark = [("stackyard", format!("stackyard:shop/server/{name}")), ("stackyard.pool", "web".to_owned())];
            let new = NewServer {
                name: name.into(),
                metadata: mark.map(|(k, v)| (k.to_owned(), v)).into(),
                ..NewServer::default()
            };
            let server: Server = cloud.create(&new).await.unwrap();
            let its = json!({"device_id": server.id, "device_owner": "compute:nova"});
            cloud.update::<Port>(&nic.id, &its).await.unwrap();
            nics.push(nic.id);
            hosts.push(running.host("shop", name).await);
        }
        fake.fail(|_, _| None);
        Self { fake, running, cloud, network: network.id, subnet: subnet.id, nics, hosts }
    }

    pub(super) async fn agent(&self, host: usize) -> Agent {
        self.running.agent(&self.hosts[host].token, None).await
    }

    pub(super) fn new_port(&self, endpoint: &str) -> Ask {
        Ask::Make(Box::new(NewContainerPort {
            network: self.network.clone(),
            docker_network: NETWORK.into(),
            endpoint: endpoint.into(),
            addresses: vec![PortAddress { subnet: self.subnet.clone(), address: None }],
            ..NewContainerPort::default()
        }))
    }

    pub(super) async fn nic(&self, host: usize) -> Port {
        self.cloud.get(&self.nics[host]).await.unwrap()
    }

    /// Addresses that a NIC lets through, in their order.
    pub(super) async fn through(&self, host: usize) -> Vec<String> {
        let mut all: Vec<String> =
            self.nic(host).await.allowed_address_pairs.into_iter().map(|p| p.ip_address).collect();
        all.sort();
        all
    }

    pub(super) async fn containers(&self) -> Vec<Port> {
        self.cloud.list(&[("device_owner", "stackyard:container")]).await.unwrap()
    }

    /// Requests since the last time, as `PUT ports`.
    pub(super) fn requests(&self) -> Vec<String> {
        let seen = self.fake.seen();
        self.fake.fail(|_, _| None);
        let short = |path: &str| path.split('/').nth(3).unwrap_or_default().to_owned();
        seen.iter().map(|s| format!("{} {}", s.method, short(&s.path))).collect()
    }
}

pub(super) async fn answer(agent: &mut Agent) -> (u64, Answer) {
    loop {
        match agent.next().await {
            Some(ToAgent::Answer { number, answer }) => return (number, answer),
            Some(_) => {}
            None => panic!("the connection has ended"),
        }
    }
}

pub(super) async fn ask(agent: &mut Agent, ask: Ask) -> Answer {
    agent.send(&ToServer::Ask { number: 7, ask }).await;
    let (number, answer) = answer(agent).await;
    assert_eq!(number, 7);
    answer
}

pub(super) async fn made(agent: &mut Agent, wanted: Ask) -> ContainerPort {
    match ask(agent, wanted).await {
        Answer::Port(port) => port,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn refused(agent: &mut Agent, wanted: Ask) -> String {
    match ask(agent, wanted).await {
        Answer::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

pub(super) fn address(port: &ContainerPort) -> String {
    port.addresses[0].address.unwrap().to_string()
}

pub(super) fn removal(port: &ContainerPort) -> Ask {
    let addresses = port.addresses.iter().filter_map(|a| a.address).collect();
    Ask::Remove { port: port.id.clone(), network: port.network.clone(), addresses, floating_ip: false, exposed: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_gets_a_port_and_its_address_is_let_through() {
    let ground = Ground::new().await;
    let mut agent = ground.agent(0).await;
    let Answer::Network(network) = ask(&mut agent, Ask::Network { network: None, links: Vec::new() }).await else {
        panic!()
    };
    assert_eq!((network.name.as_str(), network.subnets[0].cidr.as_str()), ("front", "10.20.0.0/24"));
    let why = refused(&mut agent, Ask::Network { network: Some("public".into()), links: Vec::new() }).await;
    assert!(why.contains("public") && why.contains("front"), "{why}");

    ground.requests();
    let port = made(&mut agent, ground.new_port("e1")).await;
    assert_eq!(ground.requests(), ["POST ports", "PUT ports"]);
    let nic = ground.nic(0).await;
    assert_eq!((port.link, port.parent_mac.as_str()), (PortLink::Macvlan, nic.mac_address.as_str()));
    let pair = AddressPair { ip_address: address(&port), mac_address: Some(port.mac.clone()) };
    assert_eq!(nic.allowed_address_pairs, [pair]);
    let kept: Port = ground.cloud.get(&port.id).await.unwrap();
    assert_ne!(kept.mac_address, port.mac, "a cloud would look for that port's machine");
    assert_eq!(kept.security_groups, nic.security_groups);
    assert!(kept.description.starts_with(&mark("port/web-1.")), "{}", kept.description);
    let Answer::Ports { ports } = ask(&mut agent, Ask::Ports).await else { panic!() };
    assert_eq!(ports, std::slice::from_ref(&port));

    // What is another host's, or no container's, is not this host's to touch.
    let mut other = ground.agent(1).await;
    assert!(refused(&mut other, removal(&port)).await.contains("no port of a container of host web-2"));
    assert_eq!(ask(&mut other, Ask::Ports).await, Answer::Ports { ports: Vec::new() });
    let own = Ask::Remove {
        port: ground.nics[0].clone(),
        network: String::new(),
        addresses: Vec::new(),
        floating_ip: false,
        exposed: false,
    };
    assert!(refused(&mut agent, own).await.contains("no port of a container"));
    let Ask::Make(new) = ground.new_port("e2") else { panic!() };
    let elsewhere = Ask::Make(Box::new(NewContainerPort { network: "ext".into(), ..(*new).clone() }));
    assert!(refused(&mut agent, elsewhere).await.contains("no NIC of host web-1"));
    let forged = Ask::Make(Box::new(NewContainerPort { endpoint: "e2/x".into(), ..*new }));
    assert!(refused(&mut agent, forged).await.contains("Docker's ids"));

    assert_eq!(ask(&mut agent, removal(&port)).await, Answer::Removed);
    assert_eq!(ask(&mut agent, removal(&port)).await, Answer::Removed, "asked again");
    assert!(ground.containers().await.is_empty() && ground.through(0).await.is_empty());

    // A port that somebody else has removed leaves no address.
    let port = made(&mut agent, ground.new_port("e3")).await;
    ground.cloud.delete::<Port>(&port.id).await.unwrap();
    assert_eq!(ask(&mut agent, removal(&port)).await, Answer::Removed);
    assert!(ground.through(0).await.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_lose_nobodys_changes() {
    let ground = Ground::new().await;
    let mut agents = [ground.agent(0).await, ground.agent(1).await];
    for agent in &mut agents {
        for number in 0..12 {
            agent.send(&ToServer::Ask { number, ask: ground.new_port(&format!("e{number}")) }).await;
        }
    }
    // Somebody beside the server changes the same list.
    let (cloud, nic) = (ground.cloud.clone(), ground.nics[0].clone());
    let stranger = tokio::spawn(async move {
        let mut done = 0;
        while done < 8 {
            let port: Port = cloud.get(&nic).await.unwrap();
            let mut pairs = port.allowed_address_pairs.clone();
            pairs.push(AddressPair { ip_address: format!("10.20.0.{}", 200 + done), mac_address: None });
            let wanted = json!({"allowed_address_pairs": pairs});
            match cloud.update_at::<Port>(&nic, port.revision_number, &wanted).await {
                Ok(_) => done += 1,
                Err(e) => assert_eq!(e.status(), Some(412), "{e}"),
            }
        }
    });
    let mut ports = Vec::new();
    for agent in &mut agents {
        let mut its = Vec::new();
        for _ in 0..12 {
            let (_, answer) = answer(agent).await;
            let Answer::Port(port) = answer else { panic!("{answer:?}") };
            its.push(port);
        }
        ports.push(its);
    }
    stranger.await.unwrap();
    for (host, its) in ports.iter().enumerate() {
        let mut wanted: Vec<String> = its.iter().map(address).collect();
        wanted.extend((0..8).filter(|_| host == 0).map(|n| format!("10.20.0.{}", 200 + n)));
        wanted.sort();
        assert_eq!(ground.through(host).await, wanted, "host {host}");
    }
    for (agent, its) in agents.iter_mut().zip(&ports) {
        for (number, port) in its.iter().enumerate() {
            agent.send(&ToServer::Ask { number: number as u64, ask: removal(port) }).await;
        }
        for _ in its {
            assert_eq!(answer(agent).await.1, Answer::Removed);
        }
    }
    assert_eq!(ground.through(0).await.len(), 8, "the stranger's stay");
    assert!(ground.through(1).await.is_empty() && ground.containers().await.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_nic_may_use_its_own_mac_address_alone_it_is_an_ipvlan() {
    let ground = Ground::new().await;
    ground.fake.world().own_mac_alone();
    let mut agent = ground.agent(0).await;
    let first = made(&mut agent, ground.new_port("e1")).await;
    let nic = ground.nic(0).await.mac_address;
    assert_eq!((first.link, &first.mac, &first.parent_mac), (PortLink::Ipvlan, &nic, &nic));
    ground.requests();
    let second = made(&mut agent, ground.new_port("e2")).await;
    assert_eq!(ground.requests(), ["POST ports", "PUT ports"], "it knows that now");
    let Answer::Ports { ports } = ask(&mut agent, Ask::Ports).await else { panic!() };
    assert!(ports.contains(&first) && ports.contains(&second), "{ports:?}");
    for port in [first, second] {
        assert_eq!(ask(&mut agent, removal(&port)).await, Answer::Removed);
    }
    assert!(ground.through(0).await.is_empty() && ground.containers().await.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nic_without_port_security_lets_all_through() {
    let ground = Ground::new().await;
    ground.fake.world().own_mac_alone();
    let mut agent = ground.agent(0).await;
    let secured = made(&mut agent, ground.new_port("e1")).await;
    assert_eq!(ask(&mut agent, removal(&secured)).await, Answer::Removed);
    let set = async |on: bool| {
        let wanted = json!({"port_security_enabled": on});
        ground.cloud.update::<Port>(&ground.nics[0], &wanted).await.unwrap()
    };
    set(false).await;
    // What the server knows of the NIC is of before; it learns by being refused.
    let open = made(&mut agent, ground.new_port("e2")).await;
    assert_eq!(open.link, PortLink::Macvlan);
    assert!(ground.through(0).await.is_empty());
    assert_eq!(ground.containers().await.len(), 1, "the port that was refused is gone");
    let kept = ground.fake.world().show("ports", &open.id).unwrap();
    assert_eq!((&kept["admin_state_up"], &kept["port_security_enabled"]), (&json!(false), &json!(false)));
    assert_ne!(kept["mac_address"], open.mac);
    let Answer::Ports { ports } = ask(&mut agent, Ask::Ports).await else { panic!() };
    assert!(ports.contains(&open), "{ports:?}");

    set(true).await;
    let secured = made(&mut agent, ground.new_port("e3")).await;
    assert_eq!((secured.link, ground.through(0).await), (PortLink::Ipvlan, vec![address(&secured)]));
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_half_way_is_taken_back() {
    let ground = Ground::new().await;
    let mut agent = ground.agent(0).await;
    ground.fake.fail(|_, seen| (seen.method == "PUT").then_some(Fault::Status(409)));
    let why = refused(&mut agent, ground.new_port("e1")).await;
    assert!(why.contains("a fault was injected"), "{why}");
    ground.fake.fail(|_, _| None);
    assert!(ground.containers().await.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_servers_of_the_yards_pools_get_ports() {
    let ground = Ground::new().await;
    for (yard, name, word) in [("shop", "laptop", "no server of a pool"), ("lab", "web-1", "no manifest of yard lab")] {
        let host = ground.running.host(yard, name).await;
        let mut agent = ground.running.agent(&host.token, None).await;
        let why = refused(&mut agent, ground.new_port("e1")).await;
        assert!(why.contains(word), "{why}");
        assert_eq!(ask(&mut agent, Ask::Ports).await, Answer::Ports { ports: Vec::new() });
    }
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_goes_leaves_no_port_and_neither_does_its_yard() {
    let ground = Ground::new().await;
    let mut agents = [ground.agent(0).await, ground.agent(1).await];
    for agent in &mut agents {
        made(agent, ground.new_port("e1")).await;
    }
    ground.running.admin.remove_host(&ground.hosts[0].host).await.unwrap();
    let gone = async {
        while ground.containers().await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the removed host's port stays");
    assert!(ground.through(0).await.is_empty());
    assert_eq!(ground.through(1).await.len(), 1);

    // `up` lets containers' ports be, `down` and a sweep find them.
    let manifest: Value = json!({
        "apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"},
        "spec": {"networks": [{"name": "front", "cidr": "10.20.0.0/24"}]},
    });
    let intended = intend(&serde_json::from_value::<Manifest>(manifest).unwrap()).unwrap();
    let inventory = Inventory::take(&ground.cloud).await.unwrap();
    let is_container = |key: &stackyard_core::yard::Key| key.name.starts_with("web-2.");
    assert!(!inventory.observe("shop", Some(&intended)).resources.iter().any(|r| is_container(&r.key)));
    assert!(inventory.owned().iter().any(|o| is_container(&o.mark.key)));
    remove_yard(&ground.cloud, "shop", None, &DataLoss::Allowed, &()).await.unwrap();
    assert!(ground.containers().await.is_empty());
    ground.running.stop().await;
}
