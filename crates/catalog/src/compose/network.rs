//! Networks, ports, hosts.

use super::mounts::external;
use super::service::one_of;
use super::units::port_range;
use super::{LoadContext, Section, Used};
use crate::yaml::{FieldFate, FieldReading, Fields, Node};
use stackyard_core::stack::{Attachment, DEFAULT_NETWORK, Network, NetworkMode, PortProtocol, PublishedPort};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A service's `network_mode` and `networks`.
pub(crate) fn mode(f: &Fields<'_, '_>) -> NetworkMode {
    let networks = f.get("networks");
    let Some(node) = f.get("network_mode") else {
        return NetworkMode::Networks(networks.map(|n| attachments(n, f)).unwrap_or_default());
    };
    if let Some(networks) = networks {
        let message = format!("{}: `networks` and `network_mode` exclude each other", f.path);
        f.log.problem(&networks.place, message);
    }
    let mode = node.string(&f.at("network_mode"), f.log).unwrap_or_default();
    match mode.split_once(':').unwrap_or((&mode, "")) {
        ("host", "") => NetworkMode::Host,
        ("none", "") => NetworkMode::None,
        ("bridge" | "default", "") => NetworkMode::Bridge,
        ("service", name) if !name.is_empty() => NetworkMode::Service(name.to_owned()),
        ("container", name) if !name.is_empty() => NetworkMode::Container(name.to_owned()),
        _ => {
            let message = format!(
                "{}: `{mode}`: one of `host`, `none`, `bridge`, `service:<name>`, `container:<name>` is expected",
                f.at("network_mode")
            );
            f.log.problem(&node.place, message);
            NetworkMode::default()
        }
    }
}

fn attachments(node: &Node, f: &Fields<'_, '_>) -> BTreeMap<String, Attachment> {
    let mut all = BTreeMap::new();
    let path = f.at("networks");
    for (key, value) in node.entries(&path, f.log) {
        if value.is_null() {
            all.insert(key.text.clone(), Attachment::default());
            continue;
        }
        let Some(a) = Fields::of(value, format!("{path}.{}", key.text), f.log) else { continue };
        let attachment = Attachment {
            aliases: a.strings("aliases"),
            ipv4_address: address(&a, "ipv4_address", IpAddr::is_ipv4),
            ipv6_address: address(&a, "ipv6_address", IpAddr::is_ipv6),
            mac_address: a.string("mac_address"),
            driver_opts: a.text_map("driver_opts"),
        };
        a.finish(
            true,
            &[
                ("priority", FieldFate::Ignored("networks are attached in the order of their names")),
                ("gw_priority", FieldFate::Refused("leave it out")),
                ("interface_name", FieldFate::Refused("leave it out")),
                ("link_local_ips", FieldFate::Refused("leave it out")),
            ],
        );
        all.insert(key.text.clone(), attachment);
    }
    all
}

fn address(f: &Fields<'_, '_>, key: &'static str, family: impl Fn(&IpAddr) -> bool) -> Option<String> {
    super::service::parsed(f, key, |text| match text.parse::<IpAddr>() {
        Ok(ip) if family(&ip) => Ok(text.to_owned()),
        _ => Err("an address is expected".into()),
    })
}

/// A service's `ports`.
pub(crate) fn ports(f: &Fields<'_, '_>) -> Vec<PublishedPort> {
    let Some(node) = f.get("ports") else { return Vec::new() };
    let path = f.at("ports");
    let items = node.items(&path, f.log).iter().enumerate();
    let mut all = Vec::new();
    for port in items.filter_map(|(i, n)| port(n, format!("{path}[{i}]"), f)) {
        // The engine could publish a port only once.
        if !all.contains(&port) {
            all.push(port);
        }
    }
    all
}

fn port(node: &Node, path: String, f: &Fields<'_, '_>) -> Option<PublishedPort> {
    let p = Fields::of(node, path, f.log)?;
    p.need("target", node);
    let target = single(&p, "target");
    let published = super::service::parsed(&p, "published", |text| match (text, port_range(text)) {
        ("" | "0", _) => Ok(None),
        (_, Some(range)) => Ok(Some(range)),
        _ => Err("a port from 0 to 65535 or a range of ports is expected".into()),
    });
    let published = published.flatten();
    let protocol = match p.get("protocol") {
        None => Some(PortProtocol::Tcp),
        Some(_) => super::service::parsed(&p, "protocol", |text| {
            PortProtocol::from_word(&text.to_ascii_lowercase())
                .ok_or_else(|| "one of `tcp`, `udp`, `sctp` is expected".to_owned())
        }),
    };
    let host_ip = super::service::parsed(&p, "host_ip", |text| match text.parse::<IpAddr>() {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(_) if text.is_empty() => Ok(None),
        Err(_) => Err("an address is expected".into()),
    });
    let host_ip = host_ip.flatten();
    let mode = p.get("mode").is_none() || one_of(&p, "mode", &[("host", ()), ("ingress", ())]).is_some();
    p.get("name");
    p.get("app_protocol");
    p.finish(true, &[]);
    (mode && protocol.is_some()).then_some(())?;
    let last = published.filter(|(first, last)| first != last).map(|(_, last)| last);
    let published = published.map(|(first, _)| first);
    Some(PublishedPort { target: target?, published, published_last: last, host_ip, protocol: protocol? })
}

fn single(p: &Fields<'_, '_>, key: &'static str) -> Option<u16> {
    super::service::parsed(p, key, |text| match port_range(text) {
        Some((first, last)) if first == last => Ok(first),
        _ => Err("a port from 1 to 65535 is expected".into()),
    })
}

/// A service's `expose`: `80`, `80/udp`, `8000-8010`.
pub(crate) fn expose(f: &Fields<'_, '_>) -> Vec<String> {
    let Some(node) = f.get("expose") else { return Vec::new() };
    let mut all = Vec::new();
    for text in f.strings("expose") {
        let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        match port_range(ports).zip(PortProtocol::from_word(&protocol.to_ascii_lowercase())) {
            Some(((first, last), protocol)) => {
                all.extend((first..=last).map(|p| format!("{p}/{}", protocol.word())));
            }
            _ => f.log.problem(&node.place, format!("{}: `{text}` is not port[-port][/protocol]", f.at("expose"))),
        }
    }
    all
}

/// A service's `extra_hosts`, `name=address` or `name:address`, as `name:address`.
pub(crate) fn extra_hosts(f: &Fields<'_, '_>) -> Vec<String> {
    let Some(node) = f.get("extra_hosts") else { return Vec::new() };
    let mut all = Vec::new();
    for text in f.strings("extra_hosts") {
        let parts = text.split_once('=').or_else(|| text.split_once(':'));
        match parts {
            Some((name, address)) if !name.is_empty() && !address.is_empty() => {
                all.push(format!("{name}:{}", address.trim_start_matches('[').trim_end_matches(']')));
            }
            _ => f.log.problem(&node.place, format!("{}: `{text}` is not name=address", f.at("extra_hosts"))),
        }
    }
    all
}

/// The networks that services use.
pub(crate) fn networks(
    stack: &str,
    section: &Section<'_>,
    used: &Used,
    cx: &LoadContext<'_>,
) -> BTreeMap<String, Network> {
    let mut networks = BTreeMap::new();
    for (key, node) in section {
        let Some(f) = Fields::of(node, format!("networks.{key}"), cx.log) else { continue };
        let (external, external_name) = external(&f);
        let name = f.string("name").or(external_name);
        let network = Network {
            name: name.unwrap_or_else(|| if external { (*key).to_owned() } else { format!("{stack}_{key}") }),
            external,
            driver: f.string("driver"),
            driver_opts: f.text_map("driver_opts"),
            labels: f.text_map("labels"),
            internal: f.bool("internal").unwrap_or(false),
            enable_ipv6: f.bool("enable_ipv6").unwrap_or(false),
            ..Network::default()
        };
        let network = overlay(with_pools(network, &f), &f, used.contains(*key));
        f.get("attachable");
        f.finish(true, &[("enable_ipv4", FieldFate::Refused("leave it out"))]);
        if used.contains(*key) {
            networks.insert((*key).to_owned(), network);
        }
    }
    if used.contains(DEFAULT_NETWORK) && !networks.contains_key(DEFAULT_NETWORK) {
        let name = format!("{stack}_{DEFAULT_NETWORK}");
        networks.insert(DEFAULT_NETWORK.to_owned(), Network { name, ..Network::default() });
    }
    networks
}

/// An overlay network of Swarm's becomes one without a driver: hosts are no Swarm. In a yard, such a network is in the
/// yard's network for stacks if it has one.
fn overlay(network: Network, f: &Fields<'_, '_>, used: bool) -> Network {
    let Some(driver) = f.get("driver").filter(|d| d.as_text() == Some("overlay")) else { return network };
    if used && !network.external {
        let what = "the yard's network for stacks takes its place, or without one an ordinary network of each host";
        f.log.warn(&driver.place, format!("{}: no overlay is built: {what}", f.at("driver")));
    }
    // Its options (`encrypted`, ...) mean nothing to the driver that takes its place.
    Network { driver: None, driver_opts: BTreeMap::new(), ..network }
}

/// A network with what `ipam` says of its addresses.
fn with_pools(mut network: Network, f: &Fields<'_, '_>) -> Network {
    let Some(ipam) = f.get("ipam").and_then(|n| Fields::of(n, f.at("ipam"), f.log)) else { return network };
    if let Some(node) = ipam.get("config") {
        let path = ipam.at("config");
        for (i, item) in node.items(&path, f.log).iter().enumerate() {
            let Some(c) = Fields::of(item, format!("{path}[{i}]"), f.log) else { continue };
            pool(&mut network, &c, item);
            c.finish(true, &[]);
        }
    }
    let driver_default = ipam.string("driver").is_none_or(|d| d == "default" || d.is_empty());
    if !driver_default {
        f.log.problem(
            &f.map.get("ipam").map(|n| n.place.clone()).unwrap_or_else(|| crate::diag::Place::file("")),
            format!("{}: only the driver `default` is supported", ipam.path),
        );
    }
    network.ipam_options = ipam.text_map("options");
    ipam.finish(true, &[]);
    network
}

fn pool(network: &mut Network, c: &Fields<'_, '_>, item: &Node) {
    c.need("subnet", item);
    let net = |key: &'static str| {
        super::service::parsed(c, key, |text| {
            text.parse::<ipnet::IpNet>()
                .map(|_| text.to_owned())
                .map_err(|_| "a network such as 10.0.0.0/24 is expected".into())
        })
    };
    let (subnet, range) = (net("subnet"), net("ip_range"));
    let gateway = address(c, "gateway", |_| true);
    let aux = c.text_map("aux_addresses");
    let Some(subnet) = subnet else { return };
    network.ip_ranges.extend(range.map(|r| (subnet.clone(), r)));
    if !aux.is_empty() {
        network.aux_addresses.insert(subnet.clone(), aux);
    }
    network.subnets.push((subnet, gateway));
}

/// A service's `mac_address`: that of its first network.
pub(crate) fn mac_address(f: &Fields<'_, '_>, mode: &mut NetworkMode) {
    let Some(node) = f.get("mac_address") else { return };
    let Some(mac) = node.string(&f.at("mac_address"), f.log) else { return };
    match mode.attachments_mut() {
        Some(all) => {
            for attachment in all.values_mut().take(1) {
                attachment.mac_address.get_or_insert_with(|| mac.clone());
            }
        }
        None => f.log.problem(&node.place, format!("{}: the service has no network of its own", f.at("mac_address"))),
    }
}
