//! What gets through real paths: machines that are network namespaces, with a router or a bridge between them.
//! Needs root, `ip` and `nft`.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use stackyard_agent::probe::largest;
use stackyard_core::mtu::search::{Beyond, Found, Passage};
use stackyard_wire::namespace::Namespace;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Machines, by their letters; they go with the test.
struct Lab {
    prefix: String,
    letters: Vec<char>,
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|e| panic!("{}: {e}", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Lab {
    fn new(letters: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("sydoc{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let lab = Self { prefix, letters: letters.chars().collect() };
        for letter in letters.chars() {
            run(&["ip", "netns", "add", &lab.name(letter)]);
            lab.at(letter, &["ip", "link", "set", "lo", "up"]);
        }
        lab
    }

    fn name(&self, letter: char) -> String {
        format!("{}{letter}", self.prefix)
    }

    fn at(&self, letter: char, words: &[&str]) {
        run(&[&["ip", "netns", "exec", &self.name(letter)], words].concat());
    }

    /// A cable; each end has the other's letter for its name.
    fn cable(&self, (a, a_mtu): (char, u32), (b, b_mtu): (char, u32)) {
        let (to_a, to_b) = (format!("to-{a}"), format!("to-{b}"));
        let (at_a, at_b) = (self.name(a), self.name(b));
        run(&["ip", "link", "add", &to_b, "netns", &at_a, "type", "veth", "peer", "name", &to_a, "netns", &at_b]);
        for (at, link, mtu) in [(a, &to_b, a_mtu), (b, &to_a, b_mtu)] {
            self.at(at, &["ip", "link", "set", link, "up", "mtu", &mtu.to_string()]);
        }
    }

    /// Gives a link an address: `10.N.M.X` and, if all of it is to be IPv6, `fd00:N:M::X`.
    fn address(&self, at: char, link: &str, address: &str) {
        let length = if address.contains(':') { 64 } else { 24 };
        let address = format!("{address}/{length}");
        if length == 64 {
            self.at(at, &["ip", "address", "add", &address, "dev", link, "nodad"]);
        } else {
            self.at(at, &["ip", "address", "add", &address, "dev", link]);
        }
    }

    /// a - r - s - b: two routers with a link of `middle` between them.
    fn routed(middle: u32) -> Self {
        let lab = Self::new("arsb");
        lab.cable(('a', 1500), ('r', 1500));
        lab.cable(('r', middle), ('s', middle));
        lab.cable(('s', 1500), ('b', 1500));
        for (at, link, number) in [
            ('a', "to-r", "1.1"),
            ('r', "to-a", "1.2"),
            ('r', "to-s", "2.1"),
            ('s', "to-r", "2.2"),
            ('s', "to-b", "3.1"),
            ('b', "to-s", "3.2"),
        ] {
            lab.address(at, link, &format!("10.9.{number}"));
            let (net, host) = number.split_once('.').unwrap();
            lab.address(at, link, &format!("fd00:9:0:{net}::{host}"));
        }
        for router in ['r', 's'] {
            lab.at(router, &["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
        }
        for (at, via) in [('a', "1.2"), ('b', "3.1"), ('r', "2.2"), ('s', "2.1")] {
            let (net, host) = via.split_once('.').unwrap();
            lab.at(at, &["ip", "route", "add", "default", "via", &format!("10.9.{via}")]);
            lab.at(at, &["ip", "-6", "route", "add", "default", "via", &format!("fd00:9:0:{net}::{host}")]);
        }
        lab
    }

    /// Drops what a rule says.
    fn drops(&self, at: char, hook: &str, rule: &str) {
        let chain = format!("{{ type filter hook {hook} priority 0; }}");
        self.at(at, &["nft", "add", "table", "inet", "t"]);
        self.at(at, &["nft", "add", "chain", "inet", "t", hook, &chain]);
        self.at(at, &["nft", &format!("add rule inet t {hook} {rule} drop")]);
    }

    /// Measures from a machine.
    fn measure(&self, at: char, to: &str) -> Found {
        let path = format!("/run/netns/{}", self.name(at));
        let to: IpAddr = to.parse().unwrap();
        let work = move || {
            Namespace::open(Path::new(&path)).unwrap().enter().unwrap();
            largest(to, 65_535).unwrap()
        };
        std::thread::spawn(work).join().unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for letter in &self.letters {
            let _ = Command::new("ip").args(["netns", "del", &self.name(*letter)]).status();
        }
    }
}

#[test]
fn a_path_that_carries_what_is_let_in() {
    let lab = Lab::routed(1500);
    for to in ["10.9.3.2", "fd00:9:0:3::2"] {
        let found = lab.measure('a', to);
        assert_eq!((found.largest, found.lets_in, found.beyond), (Some(1500), Some(1500), Beyond::Held), "{to}");
    }
    let own = lab.measure('a', "10.9.1.1");
    assert_eq!(own.passage(), Passage::Fits, "{own:?}");
}

#[test]
fn routers_that_tell_and_routers_that_do_not() {
    let lab = Lab::routed(1300);
    for (to, by) in [("10.9.3.2", "10.9.1.2"), ("fd00:9:0:3::2", "fd00:9:0:1::2")] {
        let found = lab.measure('a', to);
        assert_eq!((found.largest, found.lets_in), (Some(1300), Some(1500)), "{to}");
        assert_eq!(found.beyond, Beyond::Told { by: by.parse().unwrap() }, "{to}");
    }
    // The same path, but what routers say is dropped on the way.
    lab.drops('r', "output", "icmp type destination-unreachable");
    lab.drops('r', "output", "icmpv6 type packet-too-big");
    for to in ["10.9.3.2", "fd00:9:0:3::2"] {
        let found = lab.measure('a', to);
        assert_eq!((found.largest, found.lets_in, &found.beyond), (Some(1300), Some(1500), &Beyond::Lost), "{to}");
        assert_eq!(found.passage(), Passage::BlackHole);
    }
}

#[test]
fn where_nothing_passes_it_is_filtered() {
    let lab = Lab::routed(1300);
    lab.drops('b', "input", "icmpv6 type echo-request");
    lab.drops('b', "input", "icmp type echo-request");
    let found = lab.measure('a', "10.9.3.2");
    assert_eq!((found.largest, found.passage(), &found.beyond), (None, Passage::Filtered, &Beyond::Lost), "{found:?}");
    let found = lab.measure('a', "fd00:9:0:3::2");
    assert_eq!(found.passage(), Passage::Filtered, "{found:?}");
    // Who forbids it and says so is named.
    lab.at('s', &["nft", "add table inet t; add chain inet t forward { type filter hook forward priority 0; }; add rule inet t forward reject with icmpx type admin-prohibited"]);
    let found = lab.measure('a', "10.9.3.2");
    let Beyond::Refused { by, why } = &found.beyond else { panic!("{found:?}") };
    assert_eq!((by.unwrap().to_string(), why.as_str()), ("10.9.2.2".to_owned(), "a firewall forbids it"));
    // So is this machine itself.
    lab.drops('a', "output", "icmp type echo-request");
    let found = lab.measure('a', "10.9.3.2");
    assert!(matches!(&found.beyond, Beyond::Refused { by: None, why } if why.contains("own firewall")), "{found:?}");
}

#[test]
fn a_bridge_swallows_what_its_ports_do_not_take() {
    let lab = Lab::new("asb");
    lab.cable(('a', 1500), ('s', 1500));
    lab.cable(('s', 1400), ('b', 1500));
    lab.at('s', &["ip", "link", "add", "name", "bridge0", "type", "bridge"]);
    for link in ["bridge0", "to-a", "to-b"] {
        if link != "bridge0" {
            lab.at('s', &["ip", "link", "set", link, "master", "bridge0"]);
        }
        lab.at('s', &["ip", "link", "set", link, "up"]);
    }
    lab.address('a', "to-s", "10.9.1.1");
    lab.address('b', "to-s", "10.9.1.2");
    let found = lab.measure('a', "10.9.1.2");
    // Linux' bridge leaves room for a VLAN tag (net/core/dev.c, `is_skb_forwardable`).
    assert!(found.largest.is_some_and(|l| (1400..=1404).contains(&l)), "{found:?}");
    assert_eq!((found.lets_in, found.passage()), (Some(1500), Passage::BlackHole));
}
