//! A container with a bridge of Docker's next to the links of its networks. Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{own_namespace, run};
use stackyard_wire::WayOut;
use stackyard_wire::namespace::Namespace;
use std::net::IpAddr;
use std::path::Path;

const BRIDGE: &str = "172.18.";

fn is_bridges(address: IpAddr) -> bool {
    address.to_string().starts_with(BRIDGE)
}

fn way(rank: u32, address: &str, gateway: Option<&str>) -> WayOut {
    WayOut { rank, address: address.parse().unwrap(), gateway: gateway.map(|g| g.parse().unwrap()) }
}

/// Adds a link as Docker does.
fn link(name: &str, addresses: &[&str]) {
    let peer = format!("{name}p");
    run(&["ip", "link", "add", name, "type", "veth", "peer", "name", &peer]);
    run(&["ip", "link", "set", &peer, "up"]);
    for address in addresses {
        let mut words = vec!["ip", "address", "add", address, "dev", name];
        words.extend(address.contains(':').then_some("nodad"));
        run(&words);
    }
    run(&["ip", "link", "set", name, "up"]);
}

/// The link by which packets leave; none if they do not.
fn leaves_by(words: &[&str]) -> Option<String> {
    let output = std::process::Command::new("ip").args(["route", "get"]).args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words = text.split_whitespace().skip_while(|word| *word != "dev").skip(1);
    words.next().filter(|_| output.status.success()).map(str::to_owned)
}

#[test]
fn a_container_leaves_by_its_networks_and_not_by_the_bridge() {
    own_namespace();
    let here = Namespace::open(Path::new("/proc/thread-self/ns/net")).unwrap();
    let back = [way(0, "10.5.0.9", Some("10.5.0.1")), way(0, "fd00:5::9", Some("fd00:5::1"))];
    // Docker has not moved a link yet.
    assert!(!here.keep_ways_out(&back, &is_bridges).unwrap());
    assert_eq!(leaves_by(&["198.51.100.1"]), None);
    link("eth0", &["10.5.0.9/24", "fd00:5::9/64"]);
    link("eth1", &["172.18.0.2/16"]);
    run(&["ip", "route", "add", "default", "via", "172.18.0.1"]);
    for _ in 0..2 {
        assert!(here.keep_ways_out(&back, &is_bridges).unwrap());
        assert_eq!(leaves_by(&["198.51.100.1"]).as_deref(), Some("eth0"));
        assert_eq!(leaves_by(&["2001:db8::1"]).as_deref(), Some("eth0"));
        assert_eq!(leaves_by(&["172.18.0.1"]).as_deref(), Some("eth1"), "answers to what Docker publishes");
    }
    let rules = run(&["ip", "rule"]).lines().count();

    // A second network: packets leave by its gateway that come from its address.
    link("eth2", &["10.6.0.9/24"]);
    let both = [&back[..], &[way(1, "10.6.0.9", Some("10.6.0.1"))]].concat();
    assert!(here.keep_ways_out(&both, &is_bridges).unwrap());
    assert_eq!(leaves_by(&["198.51.100.1"]).as_deref(), Some("eth0"));
    assert_eq!(leaves_by(&["198.51.100.1", "from", "10.6.0.9"]).as_deref(), Some("eth2"));
    assert_eq!(run(&["ip", "rule"]).lines().count(), rules + 2);
    // Docker refuses an address that is in a route of the main table.
    let main = run(&["ip", "-o", "route"]);
    assert!(main.lines().all(|r| r.contains("scope link") || r.starts_with("default via 172.18.0.1")), "{main}");

    // A network of Docker's with a gateway: Docker takes its bridge away.
    run(&["ip", "link", "del", "eth1"]);
    link("eth3", &["172.20.0.3/16"]);
    run(&["ip", "route", "add", "default", "via", "172.20.0.1"]);
    assert_eq!(leaves_by(&["198.51.100.1"]).as_deref(), Some("eth3"));
    assert!(here.keep_ways_out(&both, &is_bridges).unwrap());
    assert_eq!(leaves_by(&["198.51.100.1"]).as_deref(), Some("eth3"));
    // It is disconnected, and the bridge comes back.
    run(&["ip", "link", "del", "eth3"]);
    link("eth4", &["172.18.0.5/16"]);
    run(&["ip", "route", "add", "default", "via", "172.18.0.1"]);
    assert!(here.keep_ways_out(&both, &is_bridges).unwrap());
    assert_eq!(leaves_by(&["198.51.100.1"]).as_deref(), Some("eth0"));
    // The first network is disconnected.
    run(&["ip", "link", "del", "eth0"]);
    assert_eq!(leaves_by(&["198.51.100.1"]).as_deref(), Some("eth2"));
    run(&["ip", "link", "del", "eth2"]);
    assert_eq!(leaves_by(&["198.51.100.1"]), None, "not by the bridge");
}

#[test]
fn a_network_without_a_gateway_has_no_way_out_by_the_bridge() {
    own_namespace();
    let here = Namespace::open(Path::new("/proc/thread-self/ns/net")).unwrap();
    link("eth0", &["10.5.0.9/24"]);
    link("eth1", &["172.18.0.2/16"]);
    run(&["ip", "route", "add", "default", "via", "172.18.0.1"]);
    assert!(here.keep_ways_out(&[way(0, "10.5.0.9", None)], &is_bridges).unwrap());
    assert_eq!(leaves_by(&["198.51.100.1"]), None);
    assert_eq!(leaves_by(&["10.5.0.7"]).as_deref(), Some("eth0"));
}
