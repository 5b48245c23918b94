//! A bridge of the kernel between container and switch, against a real Open vSwitch in a network namespace of each
//! test's own. Needs root, Debian's openvswitch-switch and iptables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Container, Vswitch, own_namespace, run, until};
use serde_json::json;
use stackyard_wire::Switch;
use stackyard_wire::binding::{self, Driver, Found, Naming, Plug, Vif};
use stackyard_wire::link;
use std::time::Duration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const NEW: &str = "cccccccc-0000-4000-8000-000000000003";
const MAC_A: &str = "fa:16:3e:00:00:0a";
const MAC_B: &str = "fa:16:3e:00:00:0b";
const OWNER: &str = "docker:test";

fn vif(hybrid: bool) -> Vif {
    let details = json!({"bridge_name": "br-x", "ovs_hybrid_plug": hybrid}).as_object().cloned().unwrap();
    Vif { vif_type: "ovs".into(), details, host: "node-1".into(), ..Vif::default() }
}

fn driver(switch: &Switch) -> Box<dyn Driver> {
    binding::driver(&vif(true), Some(switch)).unwrap()
}

/// A port's links, and what to plug.
fn devices(id: &str) -> (String, String) {
    Naming::Stackyard.devices(&vif(true), id)
}

fn plug<'a>((host, container): &'a (String, String), port: &'a str, mac: &'a str) -> Plug<'a> {
    Plug { host, container, port, mac, mtu: 1442, owner: OWNER, ids: &[], home: None }
}

fn start() -> Vswitch {
    own_namespace();
    run(&["ip", "link", "set", "lo", "up"]);
    let vswitch = Vswitch::whole();
    vswitch.control(&["add-br", "br-x", "--", "set", "bridge", "br-x", "datapath_type=netdev"]);
    vswitch
}

fn links() -> Vec<String> {
    let mut names: Vec<String> = link::list().unwrap().into_iter().map(|l| l.name).collect();
    names.retain(|n| ["tap", "q", "sc"].iter().any(|prefix| n.starts_with(prefix)));
    names.sort();
    names
}

fn hears(from: &Container, to: &str) -> bool {
    // An IP header has 20 bytes, ICMP's 8.
    let ping = ["ping", "-c1", "-W1", "-M", "do", "-s", "1414", to];
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| from.run(&ping))).is_ok()
}

#[test]
fn packets_go_through_the_bridge_where_rules_of_iptables_see_them() {
    let vswitch = start();
    let switch = vswitch.switch();
    let hybrid = driver(&switch);
    let (one, two) = (Container::new(), Container::new());
    let ends = devices(A);
    assert_eq!(ends.0, "tapaaaaaaaa-00");
    for _ in 0..2 {
        hybrid.plug(&plug(&ends, A, MAC_A)).unwrap();
    }
    assert_eq!(links(), ["qbraaaaaaaa-00", "qvbaaaaaaaa-00", "qvoaaaaaaaa-00", "scaaaaaaaa-00", "tapaaaaaaaa-00"]);
    one.take(&ends.1, MAC_A, "10.0.0.1/24");
    let plain = binding::driver(&vif(false), Some(&switch)).unwrap();
    let others = Naming::Stackyard.devices(&vif(false), B);
    plain.plug(&plug(&others, B, MAC_B)).unwrap();
    two.take(&others.1, MAC_B, "10.0.0.2/24");
    until("packets of full size", || hears(&one, "10.0.0.2"));
    assert!(hears(&two, "10.0.0.1"));

    // As Neutron's agent knows the port.
    let ids = vswitch.control(&["get", "Interface", "qvoaaaaaaaa-00", "external_ids"]);
    assert!(ids.contains(A) && ids.contains(MAC_A), "{ids}");
    assert_eq!(vswitch.control(&["list-ports", "br-x"]), "qvoaaaaaaaa-00\nsybbbbbbbb-00");
    let error = hybrid.wait_ready(&ends.0, A, Duration::from_millis(200)).unwrap_err();
    assert!(error.to_string().contains("qvoaaaaaaaa-00"), "{error}");
    vswitch.control(&["set", "Port", "qvoaaaaaaaa-00", "tag=7"]);
    hybrid.wait_ready(&ends.0, A, Duration::from_secs(10)).unwrap();
    vswitch.control(&["clear", "Port", "qvoaaaaaaaa-00", "tag"]);

    // As the agent's firewall driver drops.
    let rule =
        |action: &str| run(&["iptables", action, "FORWARD", "-m", "physdev", "--physdev-in", &ends.0, "-j", "DROP"]);
    rule("-A");
    assert!(!hears(&one, "10.0.0.2"), "dropped");
    rule("-D");
    assert!(hears(&one, "10.0.0.2"));

    // Somebody has taken it off the bridge; then it is found again.
    let found = || binding::find(Some(&switch), OWNER, Naming::Stackyard).unwrap();
    let of = |found: Vec<Found>| found.into_iter().find(|f| f.device == ends.0).unwrap().port;
    assert_eq!(of(found()).as_deref(), Some(A));
    run(&["ip", "link", "set", &ends.0, "nomaster"]);
    assert_eq!(of(found()), None);
    assert!(hybrid.rewire(&plug(&ends, A, MAC_A)).unwrap());
    assert_eq!(of(found()).as_deref(), Some(A));
    until("plugged again", || hears(&one, "10.0.0.2"));

    hybrid.unplug(&ends.0, &ends.1).unwrap();
    hybrid.unplug(&ends.0, &ends.1).unwrap();
    assert_eq!(links(), [""; 0]);
    assert_eq!(vswitch.control(&["list-ports", "br-x"]), "sybbbbbbbb-00");
    assert!(!hybrid.rewire(&plug(&ends, A, MAC_A)).unwrap(), "its link is gone");
}

#[test]
fn another_port_in_its_place_gives_the_link_its_name() {
    let vswitch = start();
    let switch = vswitch.switch();
    let hybrid = driver(&switch);
    let (one, two) = (Container::new(), Container::new());
    for (container, id, mac, address) in [(&one, A, MAC_A, "10.0.0.1/24"), (&two, B, MAC_B, "10.0.0.2/24")] {
        let ends = devices(id);
        hybrid.plug(&plug(&ends, id, mac)).unwrap();
        container.take(&ends.1, mac, address);
    }
    until("before", || hears(&one, "10.0.0.2"));
    // The links are still named after the old port.
    let ends = devices(A);
    for _ in 0..2 {
        assert!(hybrid.rewire(&plug(&ends, NEW, MAC_A)).unwrap());
    }
    let new = devices(NEW);
    assert_eq!(links().iter().filter(|l| l.contains("aaaaaaaa")).count(), 0);
    assert!(links().contains(&new.0));
    assert!(vswitch.control(&["get", "Interface", "qvocccccccc-00", "external_ids"]).contains(NEW));
    until("after", || hears(&one, "10.0.0.2"));
}

#[test]
fn what_is_stale_is_taken_over_and_what_a_killed_plugin_left_is_found() {
    let vswitch = start();
    let switch = vswitch.switch();
    let hybrid = driver(&switch);
    let ends = devices(A);
    // Half a pair, a link of another kind, and no way between them.
    run(&["ip", "link", "add", "qbraaaaaaaa-00", "type", "veth", "peer", "name", "far"]);
    run(&["ip", "link", "add", "qvoaaaaaaaa-00", "type", "veth", "peer", "name", "other"]);
    run(&["ip", "link", "add", &ends.0, "type", "veth", "peer", "name", &ends.1]);
    let found = || binding::find(Some(&switch), OWNER, Naming::Stackyard).unwrap();
    assert_eq!(found(), [Found { device: ends.0.clone(), port: None }], "by the container's end");
    hybrid.plug(&plug(&ends, A, MAC_A)).unwrap();
    assert!(link::get(&ends.0).unwrap().unwrap().up && link::get("qbraaaaaaaa-00").unwrap().unwrap().bridge);
    assert_eq!(found(), [Found { device: ends.0.clone(), port: Some(A.into()) }]);
    assert!(link::get("other").unwrap().is_none());
    // Killed within unplug.
    switch.remove("qvoaaaaaaaa-00").unwrap();
    assert_eq!(found(), [Found { device: ends.0.clone(), port: None }]);
    // The container is gone, and its end with it.
    link::delete(&ends.1).unwrap();
    assert_eq!(found(), [Found { device: ends.0.clone(), port: None }], "by what is between");
    binding::remove(Some(&switch), &ends.0).unwrap();
    assert!(found().is_empty());
    assert_eq!(links(), [""; 0]);
}
