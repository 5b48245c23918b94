//! Against a real Open vSwitch, its datapath in user space, in a network namespace of each test's own.
//! Needs root and Debian's openvswitch-switch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Container, Vswitch, own_namespace, until};
use serde_json::json;
use stackyard_wire::binding::{self, Found, Naming, Plug, Vif};
use stackyard_wire::link::{self, Home, Veth};
use stackyard_wire::namespace::Namespace;
use stackyard_wire::{Controller, Datapath, Error, Plugged, SwitchPort};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const MAC_A: &str = "fa:16:3e:00:00:0a";
const MAC_B: &str = "fa:16:3e:00:00:0b";

fn port<'a>(bridge: &'a str, device: &'a str, port: &'a str) -> SwitchPort<'a> {
    SwitchPort { bridge, device, port, mac: MAC_A, owner: "docker:test", ids: &[] }
}

#[test]
fn ports_come_move_and_go() {
    let vswitch = Vswitch::database();
    let switch = vswitch.switch();
    for bridge in ["br-a", "br-b"] {
        vswitch.control(&["--no-wait", "add-br", bridge]);
    }
    vswitch.control(&["--no-wait", "set", "bridge", "br-b", "datapath_type=netdev"]);
    assert_eq!(switch.datapath("br-a").unwrap(), Datapath::Kernel);
    assert_eq!(switch.datapath("br-b").unwrap(), Datapath::UserSpace);
    assert!(matches!(switch.datapath("br-c"), Err(Error::NoBridge { .. })));
    assert!(matches!(switch.add(&port("br-c", "sy1", A)), Err(Error::NoBridge { .. })));

    let row =
        |column: &str| vswitch.control(&["--bare", &format!("--columns={column}"), "find", "Interface", "name=sy1"]);
    switch.add(&port("br-a", "sy1", A)).unwrap();
    let first = row("_uuid");
    switch.add(&port("br-a", "sy1", A)).unwrap();
    assert_eq!(row("_uuid"), first, "the same again changes nothing");
    assert_eq!(switch.owned("docker:test").unwrap(), [Plugged { device: "sy1".into(), port: A.into(), error: None }]);
    assert!(switch.owned("docker:other").unwrap().is_empty());

    // What the controller has said of the port before does not hold for the next.
    vswitch.control(&["--no-wait", "set", "Interface", "sy1", "external_ids:ovn-installed=true"]);
    switch.add(&port("br-a", "sy1", B)).unwrap();
    assert_eq!(row("_uuid"), first, "handed over where it is");
    assert!(row("external_ids").contains(B) && !row("external_ids").contains("ovn-installed"));

    switch.add(&port("br-b", "sy1", B)).unwrap();
    assert_eq!(vswitch.control(&["--no-wait", "list-ports", "br-a"]), "");
    assert_eq!(vswitch.control(&["--no-wait", "list-ports", "br-b"]), "sy1");
    assert!(switch.has("sy1").unwrap());
    assert!(switch.remove("sy1").unwrap());
    assert!(!switch.remove("sy1").unwrap());
    assert_eq!(row("_uuid"), "", "interface and port are gone");
}

/// What is remembered of the switch may not hold any more.
#[test]
fn ports_come_whatever_has_become_of_what_the_first_ones_referred_to() {
    let vswitch = Vswitch::database();
    let switch = vswitch.switch();
    vswitch.control(&["--no-wait", "add-br", "br-a"]);
    vswitch.control(&["--no-wait", "add-br", "br-b"]);
    let qos = || vswitch.control(&["--bare", "--columns=_uuid", "find", "QoS", "type=linux-noop"]);
    let qos_of =
        |device: &str| vswitch.control(&["--bare", "--columns=qos", "find", "Port", &format!("name={device}")]);
    for device in ["sy1", "sy2", "sy3"] {
        switch.add(&port("br-a", device, A)).unwrap();
        assert_eq!(qos_of(device), qos(), "{device}: one row for all");
    }
    assert!(matches!(switch.add(&port("br-c", "sy4", A)), Err(Error::NoBridge { .. })));
    assert!(!switch.has("sy4").unwrap());
    switch.add(&port("br-b", "sy3", B)).unwrap();
    assert_eq!(vswitch.control(&["--no-wait", "list-ports", "br-b"]), "sy3", "one that is elsewhere moves");
    for device in ["sy1", "sy2", "sy3"] {
        vswitch.control(&["--no-wait", "clear", "Port", device, "qos"]);
    }
    vswitch.control(&["--no-wait", "--all", "destroy", "QoS"]);
    assert_eq!(qos(), "");
    for device in ["sy5", "sy6"] {
        switch.add(&port("br-a", device, A)).unwrap();
        assert!(!qos().is_empty() && qos_of(device) == qos(), "{device}: a new one for all");
    }
}

#[test]
fn ready_is_what_the_local_controller_says() {
    let vswitch = Vswitch::database();
    let switch = vswitch.switch();
    vswitch.control(&["--no-wait", "add-br", "br-a"]);
    assert_eq!(switch.controller().unwrap(), Controller::NeutronAgent);
    assert_eq!(switch.host_name().unwrap(), None);
    vswitch.control(&[
        "--no-wait",
        "set",
        "Open_vSwitch",
        ".",
        "external_ids:ovn-remote=tcp:1:6642",
        "external_ids:hostname=node-1",
    ]);
    assert_eq!(switch.controller().unwrap(), Controller::Ovn);
    assert_eq!(switch.host_name().unwrap().as_deref(), Some("node-1"));
    switch.add(&port("br-a", "sy1", A)).unwrap();

    let short = Duration::from_millis(200);
    let error = switch.wait_wired(Controller::Ovn, "sy1", A, short).unwrap_err();
    assert!(matches!(&error, Error::NotReady { state, .. } if state.contains("does ovs-vswitchd run")), "{error}");
    let gone = switch.wait_wired(Controller::Ovn, "sy2", A, short).unwrap_err();
    assert!(gone.to_string().contains("on no bridge"), "{gone}");

    let waited = |controller: Controller, set: &[&[&str]]| {
        std::thread::scope(|scope| {
            let wait = scope.spawn(|| switch.wait_wired(controller, "sy1", A, Duration::from_secs(20)));
            for words in set {
                std::thread::sleep(short);
                assert!(!wait.is_finished(), "before {words:?}");
                vswitch.control(&[&["--no-wait"], *words].concat());
            }
            let set = Instant::now();
            wait.join().unwrap().unwrap();
            assert!(set.elapsed() < Duration::from_secs(1));
        });
    };
    // Another port's state is nothing to this one.
    waited(
        Controller::Ovn,
        &[
            &["set", "Interface", "br-a", "external_ids:ovn-installed=true"],
            &["set", "Interface", "sy1", "external_ids:ovn-installed=true"],
        ],
    );
    waited(Controller::NeutronAgent, &[&["set", "Port", "sy1", "tag=4095"], &["set", "Port", "sy1", "tag=7"]]);
}

#[test]
fn a_pair_that_is_there_is_taken_over_and_half_a_one_made_anew() {
    own_namespace();
    let pair = Veth { host: "sy1", container: "sc1", mtu: 1442, owner: "docker:test", home: None };
    link::ensure_veth(&pair, || Ok(())).unwrap();
    let first = link::get("sy1").unwrap().unwrap();
    assert!(first.veth && first.up && first.mtu == 1442);
    link::ensure_veth(&Veth { mtu: 1400, ..pair }, || Ok(())).unwrap();
    let second = link::get("sy1").unwrap().unwrap();
    assert_eq!((second.index, second.mtu), (first.index, 1400));
    assert_eq!(link::get("sc1").unwrap().unwrap().mtu, 1400, "both ends");
    for (setting, value) in [("ipv6/conf/sy1/disable_ipv6", "1"), ("ipv4/conf/sy1/arp_ignore", "8")] {
        assert_eq!(std::fs::read_to_string(format!("/proc/sys/net/{setting}")).unwrap().trim(), value);
    }
    let container = Container::new();
    container.take("sc1", MAC_A, "10.0.0.1/24");
    link::ensure_veth(&pair, || Ok(())).unwrap();
    assert_ne!(link::get("sy1").unwrap().unwrap().index, first.index);
    assert!(link::get("sc1").unwrap().is_some());
    assert!(link::list().unwrap().iter().any(|l| l.name == "sc1" && l.veth));
    assert!(link::delete("sy1").unwrap());
    assert!(!link::delete("sy1").unwrap());
    assert_eq!(link::get("sc1").unwrap(), None, "goes with its other end");
}

#[test]
fn tcp_and_packets_of_full_size_flow_between_plugged_ports() {
    own_namespace();
    common::run(&["ip", "link", "set", "lo", "up"]);
    let vswitch = Vswitch::whole();
    vswitch.control(&["add-br", "br-x", "--", "set", "bridge", "br-x", "datapath_type=netdev"]);
    let vif = Vif {
        vif_type: "ovs".into(),
        details: json!({"bridge_name": "br-x"}).as_object().cloned().unwrap(),
        host: "node-1".into(),
        ..Vif::default()
    };
    let driver = binding::driver(&vif, Some(&vswitch.switch())).unwrap();
    let (one, two) = (Container::new(), Container::new());
    for (container, id, mac, address) in [(&one, A, MAC_A, "10.0.0.1/24"), (&two, B, MAC_B, "10.0.0.2/24")] {
        let (host, end) = Naming::Stackyard.devices(&vif, id);
        let namespace = Namespace::open(Path::new(&container.namespace())).unwrap();
        // One is moved there, as Docker does, and one made there.
        let home = (id == B).then_some(Home { namespace: &namespace, name: "eth0" });
        let plug =
            Plug { host: &host, container: &end, port: id, mac, mtu: 1442, owner: "docker:test", ids: &[], home };
        // Its links are made while Neutron is asked for it.
        let (early, early_end) = Naming::Stackyard.devices(&vif, "0123456789a");
        assert!(
            driver.prepare(&Plug { host: &early, container: &early_end, port: "", mac: "", ..plug.clone() }).unwrap()
        );
        let prepared = link::get(&early).unwrap().unwrap();
        assert!(!prepared.up && prepared.alias.as_deref() == Some("docker:test"));
        let found = Found { device: early.clone(), port: None };
        assert!(binding::find(Some(&vswitch.switch()), "docker:test", Naming::Stackyard).unwrap().contains(&found));
        driver.settle((&early, &early_end), &plug).unwrap();
        assert_eq!(link::get(&host).unwrap().unwrap().index, prepared.index);
        assert!(vswitch.switch().has(&host).unwrap() && link::get(&host).unwrap().unwrap().up);
        assert!(driver.settle((&early, &early_end), &plug).is_err(), "it is gone");
        driver.plug(&plug).unwrap();
        driver.plug(&plug).unwrap();
        assert_eq!(link::get(&host).unwrap().unwrap().index, prepared.index, "not made anew");
        match home {
            None => container.take(&end, mac, address),
            Some(_) => container.set_up("eth0", mac, address),
        }
        let shown = container.ip(&["link", "show", "eth0"]);
        assert!(shown.contains(mac) && shown.contains("mtu 1442"), "{shown}");
        assert!(driver.rewire(&plug).unwrap(), "the host's end is there");
    }
    until("both see each other", || std::panic::catch_unwind(|| one.run(&["ping", "-c1", "-W1", "10.0.0.2"])).is_ok());
    // An IP header has 20 bytes, ICMP's 8.
    one.run(&["ping", "-c1", "-W2", "-M", "do", "-s", "1414", "10.0.0.2"]);

    let server = two.inside(|| {
        let (mut stream, _) = TcpListener::bind("10.0.0.2:5000").unwrap().accept().unwrap();
        let mut data = Vec::new();
        stream.read_to_end(&mut data).unwrap();
        data.len()
    });
    let client = one.inside(|| {
        let mut stream = loop {
            match TcpStream::connect("10.0.0.2:5000") {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.write_all(&vec![7; 1 << 20]).unwrap();
    });
    client.join().unwrap();
    assert_eq!(server.join().unwrap(), 1 << 20);

    let (host, end) = Naming::Stackyard.devices(&vif, A);
    driver.unplug(&host, &end).unwrap();
    driver.unplug(&host, &end).unwrap();
    assert_eq!(one.ip(&["-br", "link", "show", "type", "veth"]), "", "gone from within the container");
    assert_eq!(vswitch.control(&["list-ports", "br-x"]), Naming::Stackyard.devices(&vif, B).0);
    let gone = Plug {
        host: &host,
        container: &end,
        port: A,
        mac: MAC_A,
        mtu: 1442,
        owner: "docker:test",
        ids: &[],
        home: None,
    };
    assert!(!driver.rewire(&gone).unwrap());
}
