//! Ports in a network's bridge of the kernel, in network namespaces. Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Container, own_namespace, run, until};
use serde_json::{Map, json};
use stackyard_wire::binding::{self, Driver, Found, Naming, Plug, Vif};
use stackyard_wire::link;
use std::time::Duration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const NEW: &str = "cccccccc-0000-4000-8000-000000000003";
const NETWORK: &str = "12345678-9abc-4000-8000-000000000009";
const MAC_A: &str = "fa:16:3e:00:00:0a";
const MAC_B: &str = "fa:16:3e:00:00:0b";
const OWNER: &str = "cni:test";

fn vif() -> Vif {
    Vif { vif_type: "bridge".into(), details: Map::new(), host: "node-1".into(), network: NETWORK.into() }
}

fn driver() -> Box<dyn Driver> {
    binding::driver(&vif(), None).unwrap()
}

fn devices(id: &str) -> (String, String) {
    Naming::Stackyard.devices(&vif(), id)
}

fn plug<'a>((host, container): &'a (String, String), port: &'a str, mac: &'a str) -> Plug<'a> {
    Plug { host, container, port, mac, mtu: 1450, owner: OWNER, ids: &[], home: None }
}

fn hears(from: &Container, to: &str) -> bool {
    // An IP header has 20 bytes, ICMP's 8.
    let ping = ["ping", "-c1", "-W1", "-M", "do", "-s", "1422", to];
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| from.run(&ping))).is_ok()
}

fn found() -> Vec<Found> {
    binding::find(None, OWNER, Naming::Stackyard).unwrap()
}

#[test]
fn packets_flow_within_the_bridge_which_is_made_if_it_is_not_there() {
    own_namespace();
    let driver = driver();
    let (one, two) = (Container::new(), Container::new());
    for (container, id, mac, address) in [(&one, A, MAC_A, "10.0.0.1/24"), (&two, B, MAC_B, "10.0.0.2/24")] {
        let ends = devices(id);
        driver.plug(&plug(&ends, id, mac)).unwrap();
        driver.plug(&plug(&ends, id, mac)).unwrap();
        driver.wait_ready(&ends.0, id, Duration::from_secs(1)).unwrap();
        container.take(&ends.1, mac, address);
    }
    let bridge = link::get("brq12345678-9a").unwrap().unwrap();
    assert!(bridge.bridge && bridge.up);
    let setting = |name: &str| run(&["ip", "-d", "link", "show", "brq12345678-9a"]).contains(name);
    assert!(setting("stp_state 0") && setting("forward_delay 0") && setting("ageing_time 30000"), "as Nova makes it");
    until("packets of full size", || hears(&one, "10.0.0.2"));
    let mut ports: Vec<_> = found().into_iter().map(|f| (f.device, f.port.unwrap())).collect();
    ports.sort();
    assert_eq!(ports, [("tapaaaaaaaa-00".to_owned(), A.to_owned()), ("tapbbbbbbbb-00".to_owned(), B.to_owned())]);

    // Taken out of the bridge.
    let ends = devices(A);
    run(&["ip", "link", "set", &ends.0, "nomaster"]);
    let error = driver.wait_ready(&ends.0, A, Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("not in bridge brq12345678-9a"), "{error}");
    assert!(found().contains(&Found { device: ends.0.clone(), port: None }));
    assert!(driver.rewire(&plug(&ends, A, MAC_A)).unwrap());
    until("put in again", || hears(&one, "10.0.0.2"));

    // Another port in its place: the agent knows it by its name.
    assert!(driver.rewire(&plug(&ends, NEW, MAC_A)).unwrap());
    let new = devices(NEW);
    assert!(found().contains(&Found { device: new.0.clone(), port: Some(NEW.into()) }));
    until("under another name", || hears(&two, "10.0.0.1"));

    driver.unplug(&new.0, &new.1).unwrap();
    driver.unplug(&new.0, &new.1).unwrap();
    binding::remove(None, &devices(B).0).unwrap();
    assert!(found().is_empty());
    assert!(!driver.rewire(&plug(&ends, NEW, MAC_A)).unwrap(), "its link is gone");
    assert!(link::get("brq12345678-9a").unwrap().is_some(), "it is the agent's to remove");
}

#[test]
fn a_bridge_that_is_there_stays_as_the_agent_made_it() {
    own_namespace();
    run(&["ip", "link", "add", "brq12345678-9a", "type", "bridge", "ageing_time", "12300"]);
    run(&["ip", "address", "add", "192.0.2.7/24", "dev", "brq12345678-9a"]);
    let ends = devices(A);
    driver().plug(&plug(&ends, A, MAC_A)).unwrap();
    let shown = run(&["ip", "-d", "address", "show", "brq12345678-9a"]);
    assert!(shown.contains("ageing_time 12300") && shown.contains("192.0.2.7"), "{shown}");
    let settings = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/arp_ignore")).unwrap();
    assert_eq!((settings("brq12345678-9a").trim(), settings(&ends.0).trim()), ("0", "8"));
}

#[test]
fn neutron_may_name_the_bridge_and_what_is_none_is_said() {
    own_namespace();
    let details = json!({"bridge_name": "br-lan"}).as_object().cloned().unwrap();
    let driver = binding::driver(&Vif { details, ..vif() }, None).unwrap();
    run(&["ip", "link", "add", "br-lan", "type", "veth", "peer", "name", "far"]);
    let ends = devices(A);
    let error = driver.plug(&plug(&ends, A, MAC_A)).unwrap_err();
    assert!(error.to_string().contains("make bridge br-lan"), "{error}");
    assert_eq!(found(), [Found { device: ends.0.clone(), port: None }], "for the next pass of a reconciler");
    run(&["ip", "link", "del", "br-lan"]);
    driver.plug(&plug(&ends, A, MAC_A)).unwrap();
    assert_eq!(link::get(&ends.0).unwrap().unwrap().master, Some(link::get("br-lan").unwrap().unwrap().index));
}
