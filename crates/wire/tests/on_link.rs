//! Links on a host's own link, in network namespaces. Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Container, own_namespace, run, until};
use serde_json::json;
use stackyard_wire::Error;
use stackyard_wire::binding::{self, Driver, IPVLAN, MACVLAN, PARENT_MAC, Plug, VLAN, VLAN_ID, Vif};
use stackyard_wire::link::{self, Home, OnLink};
use stackyard_wire::namespace::Namespace;
use std::net::IpAddr;
use std::path::Path;

const NIC: &str = "fa:16:3e:00:00:01";

/// A host whose NIC `eth0` leads to a plain machine; this thread is in the host.
fn host_and_machine() -> Container {
    own_namespace();
    let machine = Container::new();
    run(&["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far"]);
    run(&["ip", "link", "set", "eth0", "address", NIC, "mtu", "1442", "up"]);
    machine.take("far", "fa:16:3e:00:00:02", "10.20.0.2/24");
    machine
}

fn on(mac: &str) -> Box<dyn Driver> {
    driver(MACVLAN, mac)
}

fn driver(kind: &str, mac: &str) -> Box<dyn Driver> {
    let details = json!({PARENT_MAC: mac}).as_object().cloned().unwrap();
    binding::driver(&Vif { vif_type: kind.into(), details, ..Vif::default() }, None).unwrap()
}

fn plug<'a>(container: &'a str, mac: &'a str) -> Plug<'a> {
    Plug { host: "", container, port: "p", mac, mtu: 1500, owner: "docker:test", ids: &[], home: None }
}

#[test]
fn containers_reach_a_machine_and_each_other() {
    let machine = host_and_machine();
    let driver = on(NIC);
    let ends = [("sc1", "02:59:00:00:00:0a", "10.20.0.10"), ("sc2", "02:59:00:00:00:0b", "10.20.0.11")];
    let containers = ends.map(|(name, mac, address)| {
        let container = Container::new();
        if name == "sc1" {
            driver.plug(&plug(name, mac)).unwrap();
            let made = link::get(name).unwrap().unwrap();
            assert_eq!((made.mac.as_str(), made.mtu, made.alias.as_deref()), (mac, 1442, Some("docker:test")));
            container.take(name, mac, &format!("{address}/24"));
        } else {
            let namespace = Namespace::open(Path::new(&container.namespace())).unwrap();
            driver.plug(&Plug { home: Some(Home { namespace: &namespace, name: "eth0" }), ..plug(name, mac) }).unwrap();
            container.set_up("eth0", mac, &format!("{address}/24"));
        }
        container
    });
    let ping = |from: &Container, to: &str| from.run(&["ping", "-c1", "-W5", "-M", "do", "-s", "1414", to]);
    ping(&containers[0], "10.20.0.2");
    ping(&containers[0], "10.20.0.11");
    ping(&machine, "10.20.0.10");
    // One that a container has is not this namespace's to remove.
    driver.unplug("", "sc1").unwrap();
    ping(&machine, "10.20.0.10");
}

#[test]
fn an_address_that_another_container_has_now_is_announced() {
    let machine = host_and_machine();
    machine.ip(&["address", "add", "fd20::2/64", "dev", "eth0", "nodad"]);
    let known = |to: &str| machine.ip(&["neighbour", "show", "to", to]);
    let [old, new] = ["02:59:00:00:00:0a", "02:59:00:00:00:0b"].map(|mac| {
        let container = Container::new();
        on(NIC).plug(&plug("sc1", mac)).unwrap();
        container.take("sc1", mac, "10.20.0.10/24");
        container.ip(&["address", "add", "fd20::10/64", "dev", "eth0", "nodad"]);
        if mac.ends_with("0a") {
            for to in ["10.20.0.10", "fd20::10"] {
                machine.run(&["ping", "-c1", "-W5", to]);
            }
            container.ip(&["link", "delete", "eth0"]);
        }
        for to in ["10.20.0.10", "fd20::10"] {
            assert!(known(to).contains("02:59:00:00:00:0a"), "{}", known(to));
        }
        container
    });
    let namespace = |of: &Container| Namespace::open(Path::new(&of.namespace())).unwrap();
    let addresses: Vec<IpAddr> = ["10.20.0.10", "fd20::10", "10.20.0.99"].map(|a| a.parse().unwrap()).into();
    assert_eq!(namespace(&old).announce(&addresses).unwrap(), 0, "it has none of them any more");
    assert_eq!(namespace(&new).announce(&addresses).unwrap(), 2);
    for to in ["10.20.0.10", "fd20::10"] {
        until("the machine knows", || known(to).contains("02:59:00:00:00:0b"));
        machine.run(&["ping", "-c1", "-W5", to]);
    }
}

#[test]
#[ignore = "needs a kernel with ipvlan, as container hosts have"]
fn an_ipvlan_has_the_nics_mac_address() {
    let machine = host_and_machine();
    let driver = driver(IPVLAN, NIC);
    driver.plug(&plug("sc1", NIC)).unwrap();
    driver.plug(&plug("sc1", NIC)).unwrap();
    let (made, parent) = (link::get("sc1").unwrap().unwrap(), link::get("eth0").unwrap().unwrap());
    assert_eq!((made.mac.as_str(), made.mtu, made.on), (NIC, 1442, Some((OnLink::Ipvlan, parent.index))));
    let container = Container::new();
    container.take_as_it_is("sc1", "10.20.0.10/24");
    container.run(&["ping", "-c1", "-W5", "10.20.0.2"]);
    machine.run(&["ping", "-c1", "-W5", "10.20.0.10"]);
    driver.plug(&plug("sc2", NIC)).unwrap();
    driver.unplug("", "sc2").unwrap();
    assert!(link::get("sc2").unwrap().is_none());
}

fn vlan(id: u16) -> Box<dyn Driver> {
    let details = json!({PARENT_MAC: NIC, VLAN_ID: id}).as_object().cloned().unwrap();
    binding::driver(&Vif { vif_type: VLAN.into(), details, ..Vif::default() }, None).unwrap()
}

#[test]
#[ignore = "needs a kernel with VLAN links, as container hosts have"]
fn a_vlan_carries_one_containers_packets() {
    let machine = host_and_machine();
    // Behind the trunk: VLAN 7 is one network, VLAN 8 another.
    for (name, id, address) in [("far7", "7", "10.20.7.2/24"), ("far8", "8", "10.20.8.2/24")] {
        machine.ip(&["link", "add", name, "link", "eth0", "type", "vlan", "id", id]);
        machine.ip(&["address", "add", address, "dev", name]);
        machine.ip(&["link", "set", name, "up"]);
    }
    let mac = "fa:16:3e:00:00:0a";
    vlan(7).plug(&plug("sc1", mac)).unwrap();
    vlan(7).plug(&plug("sc1", mac)).unwrap();
    let (made, parent) = (link::get("sc1").unwrap().unwrap(), link::get("eth0").unwrap().unwrap());
    assert_eq!((made.mac.as_str(), made.mtu, made.on), (mac, 1442, Some((OnLink::Vlan(7), parent.index))));
    assert!(!made.up && made.alias.as_deref() == Some("docker:test"));
    let container = Container::new();
    container.take("sc1", mac, "10.20.7.10/24");
    let ping = |from: &Container, to: &str| from.run(&["ping", "-c1", "-W5", "-M", "do", "-s", "1414", to]);
    ping(&container, "10.20.7.2");
    ping(&machine, "10.20.7.10");
    // Nothing of it is left to the host, and nothing of the others' comes to it.
    assert!(link::list().unwrap().iter().all(|l| !matches!(l.on, Some((OnLink::Vlan(_), _)))));
    container.ip(&["address", "add", "10.20.8.10/24", "dev", "eth0"]);
    container.ip(&["address", "add", "10.20.0.10/24", "dev", "eth0"]);
    for other in ["10.20.8.2", "10.20.0.2"] {
        container.run(&["sh", "-c", &format!("! ping -c1 -W1 {other}")]);
    }
}

#[test]
#[ignore = "needs a kernel with VLAN links, as container hosts have"]
fn a_vlan_id_that_is_in_use_is_told_or_made_free() {
    let _machine = host_and_machine();
    // Left by an agent of ours that was killed: another port had it.
    vlan(7).plug(&plug("sc1", "fa:16:3e:00:00:0a")).unwrap();
    vlan(7).plug(&plug("sc2", "fa:16:3e:00:00:0b")).unwrap();
    assert!(link::get("sc1").unwrap().is_none());
    // The same link with another id.
    vlan(9).plug(&plug("sc2", "fa:16:3e:00:00:0b")).unwrap();
    let parent = link::get("eth0").unwrap().unwrap();
    assert_eq!(link::get("sc2").unwrap().unwrap().on, Some((OnLink::Vlan(9), parent.index)));
    // A container's, and somebody else's.
    let container = Container::new();
    container.take("sc2", "fa:16:3e:00:00:0b", "10.20.9.10/24");
    run(&["ip", "link", "add", "theirs", "link", "eth0", "type", "vlan", "id", "8"]);
    for (id, holder) in [(9, "another network namespace"), (8, "theirs")] {
        let error = vlan(id).plug(&plug("sc3", "fa:16:3e:00:00:0c")).unwrap_err();
        assert!(matches!(error, Error::VlanTaken { id: taken, .. } if taken == id), "{error}");
        assert!(error.to_string().contains(holder) && error.to_string().contains("eth0"), "{error}");
        assert!(link::get("sc3").unwrap().is_none());
    }
    assert!(link::get("theirs").unwrap().is_some());
}

#[test]
#[ignore = "needs a kernel with all of them, as container hosts have"]
fn a_container_hosts_kernel_has_all_kinds() {
    own_namespace();
    for kind in [OnLink::Vlan(1), OnLink::Macvlan, OnLink::Ipvlan] {
        assert!(link::can_make(kind).unwrap(), "{kind:?}");
    }
}

#[test]
fn what_links_there_can_be_is_found_out_without_making_any() {
    own_namespace();
    assert!(link::can_make(OnLink::Macvlan).unwrap());
    for (kind, word) in [(OnLink::Vlan(1), "vlan"), (OnLink::Ipvlan, "ipvlan")] {
        // `ip` is asked for the same, on the loopback link, which carries neither.
        let mut tried = std::process::Command::new("ip");
        tried.args(["link", "add", "x", "link", "lo", "type", word]);
        if word == "vlan" {
            tried.args(["id", "1"]);
        }
        let said = String::from_utf8(tried.output().unwrap().stderr).unwrap();
        assert_eq!(link::can_make(kind).unwrap(), !said.contains("Unknown device type"), "{said}");
    }
    let names: Vec<String> = link::list().unwrap().into_iter().map(|l| l.name).collect();
    assert!(names.iter().all(|n| !n.starts_with("vlan") && !n.starts_with("macvlan")), "{names:?}");
}

#[test]
fn what_is_there_is_taken_over_and_what_is_stale_made_anew() {
    let _machine = host_and_machine();
    let driver = on(NIC);
    let wanted = plug("sc1", "02:59:00:00:00:0a");
    driver.plug(&wanted).unwrap();
    let first = link::get("sc1").unwrap().unwrap();
    run(&["ip", "link", "set", "sc1", "mtu", "1000"]);
    driver.plug(&wanted).unwrap();
    let again = link::get("sc1").unwrap().unwrap();
    assert_eq!((again.index, again.mtu), (first.index, 1442), "taken over");
    driver.plug(&plug("sc1", "02:59:00:00:00:0c")).unwrap();
    assert_eq!(link::get("sc1").unwrap().unwrap().mac, "02:59:00:00:00:0c", "another port's was in the way");
    driver.unplug("", "sc1").unwrap();
    driver.unplug("", "sc1").unwrap();
    assert!(link::get("sc1").unwrap().is_none());
    // A link of another kind.
    run(&["ip", "link", "add", "sc1", "type", "bridge"]);
    driver.plug(&wanted).unwrap();
    let parent = link::get("eth0").unwrap().unwrap();
    assert_eq!(link::get("sc1").unwrap().unwrap().on, Some((OnLink::Macvlan, parent.index)));
}

#[test]
fn what_cannot_be_is_said() {
    let _machine = host_and_machine();
    let error = on("fa:16:3e:00:00:99").plug(&plug("sc1", "02:59:00:00:00:0a")).unwrap_err();
    assert!(error.to_string().contains("fa:16:3e:00:00:99"), "{error}");
    let error = on(NIC).plug(&plug("sc1", "02:59")).unwrap_err();
    assert!(error.to_string().contains("sc1 on eth0"), "{error}");
}
