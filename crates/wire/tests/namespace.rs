//! A container's end of a link, in a network namespace of its own. Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Container, own_namespace};
use stackyard_wire::Rate;
use stackyard_wire::kernel::{Inside, Kernel, Route, prepare_ipv6};
use stackyard_wire::link::{self, Veth};
use stackyard_wire::namespace::Namespace;
use std::net::IpAddr;
use std::path::Path;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_containers_end_moves_and_is_set_up() {
    own_namespace();
    link::ensure_veth(&Veth { host: "sy1", container: "sc1", mtu: 1442, owner: "cni:test", home: None }, || Ok(()))
        .unwrap();
    assert_eq!(link::get("sy1").unwrap().unwrap().alias.as_deref(), Some("cni:test"));
    let container = Container::new();
    let namespace = Namespace::open(Path::new(&container.namespace())).unwrap();
    assert!(!namespace.is_current().unwrap());
    let mut here = Kernel::open().unwrap();
    namespace.enter().unwrap();
    assert!(namespace.is_current().unwrap());
    let mut inside = Kernel::open().unwrap();
    assert!(inside.link("eth0").unwrap().is_none());
    let end = Inside { name: "eth0", mac: "fa:16:3e:00:00:0a", mtu: 1400 };
    here.hand_over("sc1", &namespace, &end).unwrap();
    assert!(here.link("sc1").unwrap().is_none(), "it has left");
    assert!(here.hand_over("sc1", &namespace, &end).unwrap_err().to_string().contains("sc1"));
    prepare_ipv6("eth0", true).unwrap();
    inside.up("eth0", end.mac).unwrap();
    let link = inside.link("eth0").unwrap().unwrap();
    assert_eq!((link.mac.as_str(), link.mtu, link.up), (end.mac, 1400, true));

    inside.add_address(&link, ip("10.0.0.5"), 24).unwrap();
    inside.add_address(&link, ip("fd00::5"), 64).unwrap();
    assert!(inside.add_address(&link, ip("10.0.0.5"), 24).is_err(), "it has that one");
    let addresses = inside.addresses(&link).unwrap();
    assert!(addresses.contains(&(ip("10.0.0.5"), 24)) && addresses.contains(&(ip("fd00::5"), 64)), "{addresses:?}");
    let routes = [("0.0.0.0", 0, "10.0.0.1"), ("10.9.0.0", 16, "10.0.0.2"), ("::", 0, "fd00::1")];
    for (to, length, via) in routes {
        let route = Route { to: (ip(to), length), via: Some(ip(via)) };
        assert!(inside.add_route(&link, &route).unwrap());
        assert!(!inside.add_route(&link, &route).unwrap(), "there is one");
        assert!(inside.routes(&link).unwrap().contains(&route), "{:?}", inside.routes(&link));
    }
    let far = Route { to: (ip("10.8.0.0"), 16), via: Some(ip("192.0.2.1")) };
    assert!(inside.add_route(&link, &far).unwrap_err().to_string().contains("10.8.0.0/16"), "no way to that hop");
    assert_eq!(inside.limit_of(&link).unwrap(), None);
    for rate in [80_000_000, 40_000_000_000, 8_000_001] {
        let rate = Rate { rate, burst: 800_000 };
        inside.limit(&link, &rate).unwrap();
        assert_eq!(inside.limit_of(&link).unwrap(), Some(rate.in_kernel()));
    }
    // With the host's end all of it goes.
    let host = Namespace::open(Path::new(&format!("/proc/{}/ns/net", std::process::id()))).unwrap();
    assert!(!host.is_current().unwrap());
}

#[test]
fn what_is_no_namespace_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    assert_eq!(Namespace::open(&file).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    std::fs::write(&file, "").unwrap();
    assert!(!Namespace::open(&file).unwrap().is_there().unwrap());
    assert!(Namespace::open(Path::new("/proc/self/ns/net")).unwrap().is_there().unwrap());
    let error = Namespace::open(&file).unwrap().enter().unwrap_err();
    assert!(error.to_string().contains("enter network namespace"), "{error}");
}
