//! A yard's networks: ports, what fits through, who can reach whom.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{connect, shop, up};
use serde_json::json;
use stackyard_api::{HostView, PortKind, PortView};
use stackyard_core::agent::{Facts, Report};
use stackyard_core::health::Health;
use stackyard_core::mtu::{Basis, Place, Verdict};
use stackyard_core::yard::intend::Intended;
use stackyard_fake::Fake;
use stackyard_openstack::{AddressPair, FixedIp, NewPort, Port, Resource};
use stackyard_yard::net::{mtu_paths, ports, reach};
use stackyard_yard::{GraphInput, Inventory, draw_graph};
use std::collections::BTreeMap;
use std::time::Duration;

fn yard() -> Intended {
    shop(json!({
        "networks": [
            {"name": "front", "cidr": "10.20.0.0/24", "mtu": 1442, "router": {"external": "public"}},
            {"name": "back", "cidr": "10.30.0.0/24", "portSecurity": false},
        ],
        "securityGroups": [
            {"name": "web", "rules": [{"proto": "tcp", "port": 80}, {"proto": "tcp", "port": 22, "from": "192.0.2.0/24"}]},
            {"name": "db", "rules": [{"proto": "tcp", "port": 5432, "from": "web"}]},
        ],
        "servers": [
            {"name": "web", "count": 2, "flavor": "m1.nano", "image": "tiny", "network": "front", "securityGroups": ["web"]},
            {"name": "db", "flavor": "m1.nano", "image": "tiny", "networks": ["front", "back"], "securityGroups": ["db"]},
            {"name": "run-1", "flavor": "m1.host", "image": "tiny", "network": "front", "securityGroups": ["web"]},
        ],
        "loadBalancers": [{"name": "all", "network": "front", "listeners": [{"port": 80, "servers": ["web"]}]}],
        "floatingIPs": [{"name": "all", "loadBalancer": "all"}, {"name": "db", "server": "db", "network": "front"}],
    }))
}

fn host(name: &str, address: &str, link: u32, containers: Option<u32>) -> HostView {
    HostView {
        id: format!("id-{name}"),
        yard: "shop".into(),
        pool: "run".into(),
        name: name.into(),
        labels: BTreeMap::new(),
        health: Health::Ready,
        reason: None,
        connected: true,
        drain: false,
        leaving: false,
        replace: None,
        joined: String::new(),
        last_seen: None,
        facts: Facts {
            mtu: link,
            addresses: address.parse().into_iter().collect(),
            ..Facts::default()
        },
        address: address.parse().ok(),
        revision: 1,
        report: Some(Report {
            mtu: containers,
            ..Report::default()
        }),
    }
}

/// A yard that is up, with a container that has a port of its own, and a port that nobody uses.
async fn there() -> (Inventory, Intended) {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.world().take_time(Duration::ZERO);
    let (cloud, intended) = (connect(&fake).await, yard());
    up(&cloud, &intended).await.unwrap();
    let inventory = Inventory::take(&cloud).await.unwrap();
    let front = inventory
        .networks
        .iter()
        .find(|n| n.name == "front")
        .unwrap();
    let group = inventory
        .security_groups
        .iter()
        .find(|g| g.name == "web")
        .unwrap();
    let subnet = inventory
        .subnets
        .iter()
        .find(|s| s.network_id == front.id)
        .unwrap();
    let port = |owner: &str, device: &str, host: Option<&str>| NewPort {
        network_id: front.id().to_owned(),
        name: format!("docker-{device}"),
        fixed_ips: vec![FixedIp {
            subnet_id: subnet.id.clone(),
            ip_address: None,
        }],
        security_groups: Some(vec![group.id.clone()]),
        device_owner: owner.into(),
        device_id: device.into(),
        host: host.map(str::to_owned),
        ..NewPort::default()
    };
    cloud
        .create::<Port>(&port("compute:stackyard", "e1", Some("run-1")))
        .await
        .unwrap();
    cloud.create::<Port>(&port("", "", None)).await.unwrap();
    let seen = fake.seen().len();
    let inventory = Inventory::take(&cloud).await.unwrap();
    let listed = fake.seen()[seen..]
        .iter()
        .filter(|s| s.path.contains("/ports"))
        .count();
    assert_eq!(listed, 1, "all ports come by one request");
    (inventory, intended)
}

fn find<'p>(ports: &'p [PortView], kind: PortKind, owner: &str) -> Vec<&'p PortView> {
    ports
        .iter()
        .filter(|p| p.kind == kind && p.owner.as_ref().is_none_or(|o| o.name == owner))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_of_all_kinds() {
    let (inventory, intended) = there().await;
    let run = inventory
        .servers
        .iter()
        .find(|s| s.name == "run-1")
        .unwrap();
    let hosts = [HostView {
        facts: Facts {
            server_id: Some(run.id.clone()),
            ..Facts::default()
        },
        ..host("run-1", "", 0, None)
    }];
    let sight = GraphInput {
        inventory: Some(&inventory),
        intended: Some(&intended),
        hosts: &hosts,
        stacks: &[],
    };
    let graph = draw_graph("shop", sight);
    let all = ports(&graph, &inventory);

    let [web] = find(&all, PortKind::Server, "web-1")[..] else {
        panic!("{all:#?}")
    };
    assert_eq!(
        (web.network.as_str(), web.mtu, web.port_security),
        ("front", Some(1442), true)
    );
    assert_eq!(web.security_groups, ["web"]);
    assert_eq!(
        web.owner.as_ref().unwrap().node.as_deref(),
        Some("server/web-1")
    );
    assert!(
        web.addresses[0].starts_with("10.20.0.") && web.mac.starts_with("fa:16:3e"),
        "{web:?}"
    );
    let db = find(&all, PortKind::Server, "db");
    assert_eq!(db.len(), 2);
    let back = db.iter().find(|p| p.network == "back").unwrap();
    assert!(!back.port_security || back.floating_ips.is_empty());
    assert_eq!(db.iter().flat_map(|p| &p.floating_ips).count(), 1);
    let [joined] = find(&all, PortKind::Host, "run-1")[..] else {
        panic!("{all:#?}")
    };
    assert_eq!(
        joined.owner.as_ref().unwrap().host.as_deref(),
        Some("id-run-1")
    );
    let [container] = find(&all, PortKind::Container, "run-1")[..] else {
        panic!("{all:#?}")
    };
    assert_eq!(
        (container.name.as_str(), container.bound.as_deref()),
        ("docker-e1", Some("run-1"))
    );
    assert_eq!(
        container.owner.as_ref().unwrap().host.as_deref(),
        Some("id-run-1")
    );
    let [router] = find(&all, PortKind::Router, "front")[..] else {
        panic!("{all:#?}")
    };
    assert_eq!(
        router.owner.as_ref().unwrap().node.as_deref(),
        Some("router/front")
    );
    let [vip] = find(&all, PortKind::LoadBalancer, "all")[..] else {
        panic!("{all:#?}")
    };
    assert_eq!(vip.floating_ips.len(), 1);
    assert_eq!(find(&all, PortKind::Unused, "").len(), 1);
    // Of another yard there is nothing.
    let other = draw_graph(
        "lab",
        GraphInput {
            intended: None,
            hosts: &[],
            ..sight
        },
    );
    assert!(ports(&other, &inventory).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_on_its_hosts_nic_has_the_links_mac_address() {
    let (mut inventory, intended) = there().await;
    let run = inventory
        .servers
        .iter()
        .find(|s| s.name == "run-1")
        .unwrap()
        .id
        .clone();
    let hosts = [HostView {
        facts: Facts {
            server_id: Some(run.clone()),
            ..Facts::default()
        },
        ..host("run-1", "", 0, None)
    }];
    // As the server makes it, bound to nothing.
    let place = inventory
        .ports
        .iter_mut()
        .find(|p| p.device_id == "e1")
        .unwrap();
    (place.device_owner, place.device_id) = ("stackyard:container".into(), "id-run-1/n1/e1".into());
    place.description = "stackyard:shop/port/run-1.e1".into();
    let (own, address) = (
        place.mac_address.clone(),
        place.fixed_ips[0].ip_address.clone().unwrap(),
    );
    let mut seen = |mac: Option<&str>| {
        let nic = inventory
            .ports
            .iter_mut()
            .find(|p| p.device_id == run)
            .unwrap();
        nic.allowed_address_pairs = mac
            .map(|mac| AddressPair {
                ip_address: address.clone(),
                mac_address: Some(mac.to_owned()),
            })
            .into_iter()
            .collect();
        let nic = nic.mac_address.clone();
        let sight = GraphInput {
            inventory: Some(&inventory),
            intended: Some(&intended),
            hosts: &hosts,
            stacks: &[],
        };
        let all = ports(&draw_graph("shop", sight), &inventory);
        let [container] = find(&all, PortKind::Container, "run-1")[..] else {
            panic!("{all:#?}")
        };
        assert_eq!(container.addresses, std::slice::from_ref(&address));
        (container.mac.clone(), nic)
    };
    assert_eq!(
        seen(Some("02:59:00:00:00:07")).0,
        "02:59:00:00:00:07",
        "a macvlan"
    );
    let (_, nic) = seen(None);
    assert_eq!(seen(Some(&nic)).0, nic, "an ipvlan");
    let (open, _) = seen(None);
    assert!(
        open.starts_with("02:59:") && open != own,
        "a macvlan on a NIC that lets all through: {open}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_from_the_underlay_to_the_containers() {
    let (mut inventory, intended) = there().await;
    for network in inventory.networks.iter_mut().filter(|n| !n.external) {
        network.network_type = Some("geneve".into());
    }
    let run = inventory
        .servers
        .iter()
        .find(|s| s.name == "run-1")
        .unwrap()
        .id
        .clone();
    let address = inventory
        .ports
        .iter()
        .find(|p| p.device_id == run)
        .unwrap()
        .address()
        .unwrap()
        .to_owned();
    let joined = |containers| {
        let mut host = host("run-1", &address, 1442, containers);
        host.facts.server_id = Some(run.clone());
        [host, host_elsewhere()]
    };
    let paths = |inventory: &Inventory, hosts: &[HostView], underlay| {
        let sight = GraphInput {
            inventory: Some(inventory),
            intended: Some(&intended),
            hosts,
            stacks: &[],
        };
        let graph = draw_graph("shop", sight);
        mtu_paths(
            &graph,
            Some(inventory),
            &ports(&graph, inventory),
            hosts,
            underlay,
        )
    };
    let all = paths(&inventory, &joined(Some(1500)), None);
    let broken = &all[0];
    assert_eq!(
        (broken.kind, broken.of[0].name.as_str(), broken.chain.breaks),
        (PortKind::Host, "run-1", true)
    );
    let hops: Vec<(Place, Option<u32>, Verdict)> = broken
        .chain
        .hops
        .iter()
        .map(|h| (h.place, h.set, h.verdict))
        .collect();
    assert_eq!(
        hops,
        [
            (Place::Underlay, Some(1500), Verdict::Fits),
            (Place::Network, Some(1442), Verdict::Fits),
            (Place::Link, Some(1442), Verdict::Fits),
            (Place::Containers, Some(1500), Verdict::TooLarge),
        ]
    );
    assert_eq!(
        (broken.chain.hops[0].basis, broken.chain.carries),
        (Basis::AtLeast, Some(1442))
    );
    // Servers that go the same way are one.
    let servers = all
        .iter()
        .find(|p| p.kind == PortKind::Server && p.network.as_deref() == Some("front"))
        .unwrap();
    let names: Vec<&str> = servers.of.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(
        (names, servers.chain.carries, servers.chain.breaks),
        (vec!["db", "web-1", "web-2"], Some(1442), false)
    );
    assert!(all.iter().any(|p| p.kind == PortKind::Container));
    // A machine that is in no network of the cloud.
    let elsewhere = all.iter().find(|p| p.network.is_none()).unwrap();
    assert_eq!(
        (elsewhere.of[0].name.as_str(), elsewhere.chain.carries),
        ("desk", Some(1500))
    );

    assert!(
        !paths(&inventory, &joined(Some(1442)), None)
            .iter()
            .any(|p| p.chain.breaks)
    );
    // Somebody knows better than Neutron.
    let given = paths(&inventory, &joined(Some(1442)), Some(1450));
    assert!(
        given
            .iter()
            .filter(|p| p.network.as_deref() == Some("front"))
            .all(|p| p.chain.breaks && p.chain.carries == Some(1392))
    );
    // Who is not told what a network is: the path begins there.
    for network in &mut inventory.networks {
        network.network_type = None;
    }
    let told = paths(&inventory, &joined(Some(1500)), None);
    assert_eq!(
        (told[0].chain.hops[0].place, told[0].chain.breaks),
        (Place::Network, true)
    );
}

fn host_elsewhere() -> HostView {
    host("desk", "198.51.100.7", 1500, None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_can_reach_whom() {
    let (inventory, intended) = there().await;
    let sight = GraphInput {
        inventory: Some(&inventory),
        intended: Some(&intended),
        hosts: &[],
        stacks: &[],
    };
    let graph = draw_graph("shop", sight);
    let table = reach(&graph, &inventory, &ports(&graph, &inventory)).table();
    let names: Vec<String> = table.targets.iter().map(|t| t.label()).collect();
    assert_eq!(
        names,
        [
            "server db",
            "server run-1",
            "server web (2)",
            "containers front (web)",
            "load balancer all"
        ]
    );
    let id = |name: &str| {
        table
            .targets
            .iter()
            .find(|t| t.name == name)
            .unwrap()
            .id
            .as_str()
    };
    let what = |from: &str, to: &str| {
        table
            .cell(from, to)
            .iter()
            .map(|g| g.label())
            .collect::<Vec<_>>()
    };
    assert_eq!(what("anywhere", id("web")), ["tcp 80"]);
    assert_eq!(what("net/192.0.2.0/24", id("web")), ["tcp 22", "tcp 80"]);
    assert_eq!(what(id("web"), id("db")), ["tcp 5432"]);
    assert_eq!(what(id("front (web)"), id("db")), ["tcp 5432"]);
    assert_eq!(what(id("db"), id("web")), ["tcp 80"]);
    assert_eq!(what("anywhere", id("all")), ["tcp 80"]);
    let by = &table.cell(id("web"), id("db"))[0].by;
    assert_eq!(
        serde_json::to_value(by).unwrap(),
        json!([{"kind": "rule", "text": "db: tcp 5432 from web"}])
    );
    let all = table.targets.iter().find(|t| t.name == "all").unwrap();
    assert_eq!(all.doors.len(), 1);
    // A balancer that hands packets on as they are is nobody who asks.
    assert!(
        table.sources.iter().all(|s| s.name != "all")
            || inventory.balancing.there().unwrap().balancers[0].provider != "ovn"
    );
}
