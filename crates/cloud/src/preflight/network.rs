//! Network cards, and the addresses on them.

use super::{Check, Machine, PreflightScene};
use ipnet::IpNet;
use nix::net::if_::InterfaceFlags;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Addresses with their networks.
    pub addresses: Vec<IpNet>,
    /// Switched on.
    pub up: bool,
    /// A cable, or what stands for it, is plugged in.
    pub running: bool,
    /// A card, not something that software made.
    pub card: bool,
    /// A wireless one.
    pub wireless: bool,
    /// Bridge or bond that it belongs to.
    pub master: Option<String>,
    /// MTU in bytes.
    pub mtu: u32,
}

/// The interfaces of the network name space that this process is in.
pub fn interfaces(machine: &Machine) -> BTreeMap<String, Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let interface = found.entry(entry.interface_name).or_default();
        interface.up |= entry.flags.contains(InterfaceFlags::IFF_UP);
        interface.running |= entry.flags.contains(InterfaceFlags::IFF_RUNNING);
        let ip = |s: &nix::sys::socket::SockaddrStorage| -> Option<IpAddr> {
            s.as_sockaddr_in().map(|a| a.ip().into()).or_else(|| Some(s.as_sockaddr_in6()?.ip().into()))
        };
        if let Some(address) = entry.address.as_ref().and_then(ip) {
            let mask = entry.netmask.as_ref().and_then(ip);
            let net = mask.and_then(|m| IpNet::with_netmask(address, m).ok());
            interface.addresses.push(net.unwrap_or_else(|| IpNet::from(address)));
        }
    }
    for (name, interface) in &mut found {
        let dir = format!("/sys/class/net/{name}");
        interface.card = machine.has(format!("{dir}/device"));
        interface.wireless = machine.has(format!("{dir}/wireless")) || machine.has(format!("{dir}/phy80211"));
        interface.mtu = machine.number(format!("{dir}/mtu")).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let master = std::fs::read_link(machine.path(format!("{dir}/master"))).ok();
        interface.master = master.and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
    }
    found
}

/// All addresses of this machine.
pub fn own_addresses() -> Vec<IpAddr> {
    interfaces(&Machine::this()).values().flat_map(|i| i.addresses.iter().map(IpNet::addr)).collect()
}

/// The interface that traffic to the outside leaves by, from /proc/net/route or ipv6_route.
pub fn default_route(machine: &Machine) -> Option<String> {
    let v4 = machine.read("/proc/net/route").unwrap_or_default();
    let routes = v4.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>());
    // Destination and mask 0, RTF_UP (1); the lowest metric wins.
    let v4 = routes
        .filter(|f| f.len() > 7 && f[1] == "00000000" && f[7] == "00000000")
        .min_by_key(|f| f[6].parse::<u32>().unwrap_or(u32::MAX))
        .map(|f| f[0].to_owned());
    v4.or_else(|| {
        let v6 = machine.read("/proc/net/ipv6_route")?;
        v6.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find_map(|f| {
            let is_default = f.len() > 9 && f[0].bytes().all(|b| b == b'0') && f[1] == "00" && f[9] != "lo";
            is_default.then(|| f[9].to_owned())
        })
    })
}

/// The interface that carries `address`; any 127/8 is on the loopback.
pub fn carrier(all: &BTreeMap<String, Interface>, address: IpAddr) -> Option<(&str, &Interface)> {
    let holds = |i: &Interface| i.addresses.iter().any(|n| n.addr() == address);
    let loops = |i: &Interface| address.is_loopback() && i.addresses.iter().any(|n| n.addr().is_loopback());
    let found = all.iter().find(|(_, i)| holds(i)).or_else(|| all.iter().find(|(_, i)| loops(i)));
    found.map(|(name, i)| (name.as_str(), i))
}

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let all = interfaces(&scene.input.machine);
    let mut checks = vec![cards(scene, &all), api(scene, &all)];
    checks.extend(scene.input.neutron_interface.as_deref().map(|name| neutron(scene, &all, name)));
    checks.extend(external(scene, &all));
    checks
}

fn list(all: &BTreeMap<String, Interface>) -> String {
    all.keys().cloned().collect::<Vec<_>>().join(", ")
}

fn cards(scene: &PreflightScene, all: &BTreeMap<String, Interface>) -> Check {
    let (id, title) = ("network.cards", "Network cards");
    let cards: Vec<String> = all.iter().filter(|(_, i)| i.card).map(|(name, _)| name.clone()).collect();
    let seen = match cards.len() {
        0 => "none".to_owned(),
        1 => format!("one: {}", cards[0]),
        n => format!("{n}: {}", cards.join(", ")),
    };
    if let Some(given) = &scene.input.neutron_interface {
        return Check::pass(id, title, format!("{seen}; {given} is given to the external network"));
    }
    let means = "the external network lives on a bridge of this machine and leaves by NAT: floating IPs are reached from this machine only, and there are no VLAN provider networks";
    let unused = |i: &Interface| i.card && !i.wireless && i.addresses.iter().all(|n| link_local(n.addr()));
    match all.iter().find(|(_, i)| unused(i)) {
        Some((name, _)) => Check::info(id, title, format!("{seen}; {name} carries no address"))
            .means(means)
            .mend(format!("--set neutron_interface={name} gives it to the external network")),
        None if cards.len() < 2 => Check::warn(id, title, seen)
            .means(means)
            .mend("none needed to try things out; else add a second card without an address and name it with --set neutron_interface=NAME"),
        None => Check::info(id, title, format!("{seen}; all carry addresses"))
            .means(means)
            .mend("to give one up, take its address off and name it with --set neutron_interface=NAME"),
    }
}

fn api(scene: &PreflightScene, all: &BTreeMap<String, Interface>) -> Check {
    let (id, title) = ("network.api_address", "API address");
    let address = scene.input.api_address;
    if address.is_unspecified() {
        return Check::fail(id, title, format!("{address} stands for all addresses"))
            .means("the catalog of services must name an address that clients can reach")
            .mend("--set api_address=ADDRESS with one address of this machine");
    }
    let Some((name, interface)) = carrier(all, address) else {
        let own: Vec<String> = all.values().flat_map(|i| i.addresses.iter().map(|n| n.addr().to_string())).collect();
        return Check::fail(id, title, format!("{address} is on no interface"))
            .means("the APIs could not listen on it")
            .mend(format!("--set api_address=ADDRESS with one of {}", own.join(", ")));
    };
    if !interface.up {
        return Check::fail(id, title, format!("{address} is on {name}, which is down"))
            .means("no client reaches the APIs")
            .mend(format!("`ip link set {name} up`"));
    }
    if address.is_loopback() {
        return Check::pass(id, title, format!("{address} on {name}: reached from this machine only"));
    }
    if !interface.running {
        return Check::warn(id, title, format!("{address} on {name}, which has no link"))
            .means("the APIs are reached from this machine only, until the cable is plugged in")
            .mend(format!("check the cable of {name}"));
    }
    Check::info(id, title, format!("{address} on {name}"))
        .means("other machines reach the APIs, without TLS")
        .mend("fine in a network you trust; else --set api_address=127.0.0.1")
}

/// Addresses that the kernel makes up itself do not count.
fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

fn neutron(scene: &PreflightScene, all: &BTreeMap<String, Interface>, name: &str) -> Check {
    let (id, title) = ("network.neutron_interface", "Neutron interface");
    let Some(interface) = all.get(name) else {
        return Check::fail(id, title, format!("there is no interface {name}"))
            .means("the external network cannot use it")
            .mend(format!("name one of {}, or give none: --unset neutron_interface", list(all)));
    };
    let fail = |seen: String, means: &str, mend: String| Check::fail(id, title, seen).means(means).mend(mend);
    if name == "lo" || name.starts_with("br-") || name.starts_with("ovs-") {
        return fail(
            format!("{name} is no network card"),
            "the bridge br-ex needs an interface that leads outside",
            "name a card, or give none: --unset neutron_interface".to_owned(),
        );
    }
    let addresses: Vec<String> =
        interface.addresses.iter().filter(|n| !link_local(n.addr())).map(ToString::to_string).collect();
    if !addresses.is_empty() {
        let is_api = interface.addresses.iter().any(|n| n.addr() == scene.input.api_address);
        let first = &addresses[0];
        return fail(
            format!("{name} carries {}", addresses.join(", ")),
            if is_api {
                "it is the API's interface; the bridge br-ex would take it, and this machine would fall off the network"
            } else {
                "the bridge br-ex takes the whole card: its addresses would stop working"
            },
            format!("`ip address del {first} dev {name}` (and in the system's settings), or give another card"),
        );
    }
    if default_route(&scene.input.machine).as_deref() == Some(name) {
        return fail(
            format!("the default route leads over {name}"),
            "this machine would fall off the network",
            "give another card".to_owned(),
        );
    }
    if let Some(master) = interface.master.as_deref().filter(|m| !m.starts_with("ovs-")) {
        return fail(
            format!("{name} belongs to {master}"),
            "an interface can belong to one bridge or bond only",
            format!("`ip link set {name} nomaster`, or name {master} instead if it is a bond"),
        );
    }
    if interface.wireless {
        return fail(
            format!("{name} is wireless"),
            "an access point drops frames from other addresses than the card's own",
            "give a wired card, or none: --unset neutron_interface".to_owned(),
        );
    }
    if !interface.up || !interface.running {
        let state = if interface.up { "has no link" } else { "is down" };
        return Check::warn(id, title, format!("{name} {state}"))
            .means("floating IPs are not reached from outside until it is up")
            .mend(if interface.up {
                format!("check the cable of {name}")
            } else {
                format!("`ip link set {name} up`")
            });
    }
    Check::pass(id, title, format!("{name}: up, without an address"))
}

/// The addresses of the external network must not be in use elsewhere on this machine.
fn external(scene: &PreflightScene, all: &BTreeMap<String, Interface>) -> Option<Check> {
    let (id, title) = ("network.external", "External network");
    let wanted = scene.input.external?;
    let overlaps = |net: &IpNet| wanted.contains(&net.trunc()) || net.trunc().contains(&wanted.trunc());
    let bridge = |name: &str| name == "br-ex";
    let clash = all
        .iter()
        .filter(|(name, _)| !bridge(name))
        .find_map(|(name, i)| i.addresses.iter().find(|n| overlaps(n)).map(|n| (name.clone(), n.to_string())))
        .or_else(|| {
            routes(&scene.input.machine)
                .into_iter()
                .find(|(name, n)| !bridge(name) && overlaps(n))
                .map(|(name, n)| (name, n.to_string()))
        });
    Some(match clash {
        // With a card of its own the network is the one that the card is on.
        Some((name, net)) if scene.input.neutron_interface.is_none() => {
            Check::fail(id, title, format!("{wanted} overlaps with {net} on {name}"))
                .means(format!("traffic to {net} would end in the cloud, or floating IPs on {name}"))
                .mend("choose free addresses: --set external_cidr=... external_gateway=... external_pool_start=... external_pool_end=...")
        }
        Some((name, net)) => Check::info(id, title, format!("{wanted} is also reached over {name} ({net})"))
            .means("this machine's own packets to floating IPs leave there"),
        None => Check::pass(id, title, format!("{wanted} is free")),
    })
}

/// IPv4 routes other than the default one, from /proc/net/route (little-endian hexadecimal).
fn routes(machine: &Machine) -> Vec<(String, IpNet)> {
    let text = machine.read("/proc/net/route").unwrap_or_default();
    let address = |hex: &str| Some(IpAddr::from(u32::from_str_radix(hex, 16).ok()?.to_le_bytes()));
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let f: Vec<&str> = line.split_whitespace().collect();
            let net = IpNet::with_netmask(address(f.get(1)?)?, address(f.get(7)?)?).ok()?;
            (net.prefix_len() > 0).then(|| (f[0].to_owned(), net))
        })
        .collect()
}
