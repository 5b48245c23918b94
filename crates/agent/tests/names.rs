//! Names of services across hosts: real containers with links on a NIC, the agent's resolver in their namespaces, and
//! a hub that stands for the server and the other hosts.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Host, eventually, mode, part, service};
use stackyard_core::agent::{
    Answer, Ask, ContainerPort, HostNetwork, HostSubnet, NameUpdate, NamedContainer, NamedEndpoint, Part, PortAddress,
    PortLink, Replica, ToAgent,
};
use stackyard_core::stack::{Attachment, NETWORK_DRIVER, Network, NetworkMode, Service};
use stackyard_wire::namespace::Namespace;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// MAC address of the host's NIC.
const NIC: &str = "02:59:79:6e:00:01";

/// Not a test: the agent.
#[tokio::test]
#[ignore = "started by the other tests"]
async fn the_agent_process() {
    common::be_the_agent().await;
}

/// A NIC of the test's own: one end of a veth pair.
struct Nic(String);

impl Nic {
    fn new() -> Self {
        let nic = Self(format!("syn{}", std::process::id()));
        let peer = format!("{}p", nic.0);
        ip(&["link", "add", &nic.0, "address", NIC, "type", "veth", "peer", "name", &peer]);
        [&nic.0, &peer].into_iter().for_each(|link| ip(&["link", "set", link, "up"]));
        nic
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0]).status();
    }
}

/// Where Docker looks for plugins.
const PLUGINS: &str = "/run/docker/plugins";

/// Takes the agent's plugin away from Docker at the end.
struct Plugin;

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(Path::new(PLUGINS).join("stackyard.sock"));
    }
}

fn ip(words: &[&str]) {
    assert!(Command::new("ip").args(words).status().unwrap().success(), "ip {words:?}");
}

/// The server: ports with addresses from 10.99.0.11 on, whose links are macvlans.
#[derive(Default)]
struct Ports(Mutex<BTreeMap<String, ContainerPort>>);

impl Ports {
    fn answer(&self, ask: &Ask) -> Answer {
        let mut ports = self.0.lock().unwrap();
        match ask {
            Ask::Network { .. } => Answer::Network(HostNetwork {
                id: "net".into(),
                name: "front".into(),
                mtu: Some(1400),
                subnets: vec![HostSubnet {
                    id: "sub".into(),
                    name: String::new(),
                    cidr: "10.99.0.0/24".into(),
                    ip_version: 4,
                    gateway: None,
                    routes: Vec::new(),
                    dns: Vec::new(),
                }],
            }),
            Ask::Make(new) => {
                let number = (11..).find(|n| !ports.contains_key(&id(*n))).unwrap();
                let port = ContainerPort {
                    id: id(number),
                    docker_network: new.docker_network.clone(),
                    endpoint: new.endpoint.clone(),
                    network: new.network.clone(),
                    link: PortLink::Macvlan,
                    mac: new.mac.clone().unwrap_or(format!("02:59:79:6e:01:{number}")),
                    addresses: vec![PortAddress {
                        subnet: "sub".into(),
                        address: new.addresses[0].address.or(format!("10.99.0.{number}").parse().ok()),
                    }],
                    parent_mac: NIC.into(),
                    vlan: None,
                };
                ports.insert(port.id.clone(), port.clone());
                Answer::Port(port)
            }
            Ask::Remove { port, .. } => {
                ports.remove(port);
                Answer::Removed
            }
            Ask::Ports => Answer::Ports { ports: ports.values().cloned().collect() },
            Ask::Name { port, endpoint } => {
                ports.get_mut(port).unwrap().endpoint = endpoint.clone();
                Answer::Named
            }
            Ask::Members { .. } => Answer::Members { pools: BTreeMap::new() },
            _ => Answer::Refused { why: "it is unknown".into() },
        }
    }
}

fn id(number: u32) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

/// Puts the services of a part on a network that reaches across hosts.
fn on_front(part: &Part) -> Part {
    let mut stack = part.unpack();
    let name = format!("{}_front", stack.name);
    let network = Network { name, driver: Some(NETWORK_DRIVER.into()), ..Network::default() };
    stack.networks.insert("front".into(), network);
    for (name, service) in &mut stack.services {
        let alias = part.replicas[name].service.clone();
        let attachment = Attachment { aliases: vec![alias], ..Attachment::default() };
        service.network_mode = NetworkMode::Networks([("front".to_owned(), attachment)].into());
    }
    Part::pack(stack, part.replicas.clone(), part.generations.clone())
}

fn sleeper() -> Service {
    service("trap 'exit 0' TERM; while :; do sleep 0.2; done")
}

/// Another host has `db` at these addresses.
fn elsewhere(stack: &str, addresses: &[&str]) -> ToAgent {
    let of = |(index, address): (usize, &&str)| NamedContainer {
        stack: stack.to_owned(),
        replica: Replica { service: "db".into(), index: u32::try_from(index).unwrap() + 1 },
        ready: true,
        networks: [(
            format!("{stack}_front"),
            NamedEndpoint {
                names: ["db".to_owned(), "database".to_owned(), format!("{stack}_db")].into(),
                addresses: vec![address.parse().unwrap()],
            },
        )]
        .into(),
    };
    let list = addresses.iter().enumerate().map(of).collect();
    ToAgent::Names(Box::new(NameUpdate {
        hosts: ["other".to_owned()].into(),
        changed: [("other".to_owned(), list)].into(),
    }))
}

/// The addresses that a container finds for a name, in order of numbers.
async fn look_up(host: &Host, stack: &str, replica: &str, name: &str) -> Vec<String> {
    let argv = ["/bin/sh", "-c", &format!("nslookup {name}")].map(str::to_owned);
    let out = host.engine().exec(stack, replica, &argv, |_, _| {}).await.unwrap();
    addresses(&String::from_utf8_lossy(&out.stdout))
}

/// The addresses in what `nslookup` prints, after the name server's.
fn addresses(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|l| l.strip_prefix("Address: "));
    let mut all: Vec<String> = lines.map(|a| a.trim().to_owned()).filter(|a| !a.ends_with(":53")).collect();
    all.sort();
    all.dedup();
    all
}

async fn sandbox(host: &Host, stack: &str, replica: &str) -> PathBuf {
    let name = stackyard_core::stack::plan::container_name(stack, replica);
    let container = host.docker.api().inspect_container(&name, None).await.unwrap();
    container.network_settings.unwrap().sandbox_key.unwrap().into()
}

/// A name server inside a container that knows one address.
fn name_server(at: &Path, address: [u8; 4]) {
    let open = || UdpSocket::bind("127.0.0.2:53");
    let socket = Namespace::open(at).unwrap().open_sockets(open).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let is_a = bytes[length - 3] == 1;
            let mut answer = bytes[..length].to_vec();
            (answer[2], answer[3], answer[7]) = (0x81, 0x80, u8::from(is_a));
            if is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
                answer.extend(address);
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
}

#[tokio::test]
async fn names_resolve_across_hosts_and_outlive_agent_and_server() {
    let (_nic, _plugin) = (Nic::new(), Plugin);
    let mut host = Host::new("names").await;
    host.plugins = Some(PLUGINS.into());
    let ports = Ports::default();
    host.hub.answer_with(move |ask| ports.answer(ask));
    let (stack, second) = (host.stack.clone(), format!("{}-b", host.stack));
    // It asks before it does anything else; and its service has a name server.
    let mut web = service("nslookup db >/tmp/first 2>&1; trap 'exit 0' TERM; while :; do sleep 0.2; done");
    web.dns = vec!["127.0.0.2".into()];
    // Docker's resolver would forward no names without a dot.
    web.engine.dns_opt = vec!["ndots:1".into(), "timeout:3".into()];
    let name_server_of_its_own = Service { expose: vec!["53/udp".into()], ..sleeper() };
    let services = [("web", web), ("cache", sleeper()), ("dns", name_server_of_its_own)];
    let first = on_front(&part(&stack, 1, &services));
    let other = on_front(&part(&second, 1, &[("web", sleeper())]));
    host.want(1, Vec::new());
    host.start();
    host.settled(1).await;
    host.hub.order(elsewhere(&stack, &["10.99.0.101", "10.99.0.102"])).await;
    host.want(2, vec![first, other]);
    host.settled(2).await;

    let listen = || UdpSocket::bind("0.0.0.0:53");
    let dns = sandbox(&host, &stack, "dns-1").await;
    drop(Namespace::open(&dns).unwrap().open_sockets(listen).expect("its own port 53"));

    let cat = ["/bin/cat", "/tmp/first"].map(str::to_owned);
    let text = host.engine().exec(&stack, "web-1", &cat, |_, _| {}).await.unwrap().stdout;
    assert_eq!(addresses(&String::from_utf8(text).unwrap()), ["10.99.0.101", "10.99.0.102"], "the first question");
    for (name, found) in [
        ("db", vec!["10.99.0.101", "10.99.0.102"]),
        ("DataBase", vec!["10.99.0.101", "10.99.0.102"]),
        ("db-2", vec!["10.99.0.102"]),
        (&format!("{stack}_db"), vec!["10.99.0.101", "10.99.0.102"]),
    ] {
        assert_eq!(look_up(&host, &stack, "web-1", name).await, found, "{name}");
    }
    eventually("the neighbour", async || look_up(&host, &stack, "web-1", "cache").await.len() == 1).await;
    assert!(look_up(&host, &second, "web-1", "db").await.is_empty(), "it is not on that network");
    name_server(&sandbox(&host, &stack, "web-1").await, [192, 0, 2, 9]);
    assert_eq!(look_up(&host, &stack, "web-1", "example.org").await, ["192.0.2.9"], "its service's name server");

    let begun = Instant::now();
    host.hub.order(elsewhere(&stack, &["10.99.0.103"])).await;
    eventually("the change", async || look_up(&host, &stack, "web-1", "db").await == ["10.99.0.103"]).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    eventually("the file", async || {
        std::fs::read_to_string(host.state_file("names.json")).is_ok_and(|t| t.contains("10.99.0.103"))
    })
    .await;
    assert_eq!(mode(&host.state_file("names.json")), 0o600);

    let before = host.running().await;
    host.kill();
    host.hub.vanish().await;
    host.start();
    let begun = Instant::now();
    eventually("names again", async || look_up(&host, &stack, "web-1", "db").await == ["10.99.0.103"]).await;
    println!("names were there {:?} after the agent's start", begun.elapsed());
    assert_eq!(host.running().await, before, "no container was touched");

    host.hub.listen().await;
    host.want(3, Vec::new());
    host.hub.report("nothing", |r| r.revision == 3 && r.settled && r.parts.is_empty()).await;
    host.nothing_left().await;
}
