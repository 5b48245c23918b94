//! A look at a cloud in the words of `core::reach`.

use super::{by_id, is_machine};
use crate::inventory::Inventory;
use crate::observe::rule_seen;
use stackyard_api::{Graph, GraphKind, GraphNode, PortKind, PortView};
use stackyard_core::reach::{Group, Listener, Member, Party, PartyKind, Peer, Rule, Scene};
use stackyard_core::yard::intend::remote_prefix;
use stackyard_openstack::{Port, SecurityGroup, SecurityGroupRule};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// What Octavia's provider hands on without a connection of its own.
const TRANSPARENT: &str = "ovn";

/// Groups of a cloud, and who of a yard has ports. Servers that differ by their number alone are one, hosts of
/// a pool, and containers of one network and the same groups.
pub fn reach(graph: &Graph, inventory: &Inventory, ports: &[PortView]) -> Scene {
    let nodes = by_id(graph);
    let all: HashMap<&str, &Port> = inventory.ports.iter().map(|p| (p.id.as_str(), p)).collect();
    let zones = zones(inventory);
    let member = |view: &PortView| {
        let groups = all
            .get(view.id.as_str())
            .map(|p| p.security_groups.clone())
            .unwrap_or_default();
        Member {
            machine: all
                .get(view.id.as_str())
                .map(|p| p.device_id.clone())
                .unwrap_or_default(),
            addresses: view
                .addresses
                .iter()
                .filter_map(|a| a.parse().ok())
                .collect(),
            groups,
            filtered: view.port_security,
            zone: zones
                .get(view.network_id.as_str())
                .copied()
                .unwrap_or(usize::MAX),
            doors: view.floating_ips.clone(),
        }
    };
    let mut parties = machines(graph, ports, &member);
    let containers = ports.iter().filter(|p| p.kind == PortKind::Container);
    for view in containers {
        let mut groups = view.security_groups.clone();
        groups.sort();
        let id = format!("container/{}/{}", view.network_id, groups.join(","));
        let name = match groups.as_slice() {
            [] => view.network.clone(),
            some => format!("{} ({})", view.network, some.join(", ")),
        };
        match parties.iter_mut().find(|p| p.id == id) {
            Some(party) => party.members.push(member(view)),
            None => parties.push(Party {
                id,
                kind: PartyKind::Container,
                name,
                members: vec![member(view)],
                listeners: Vec::new(),
            }),
        }
    }
    parties.extend(balancers(&nodes, inventory, ports, &member));
    let known: HashSet<&str> = parties
        .iter()
        .flat_map(|p| &p.members)
        .map(|m| m.machine.as_str())
        .collect();
    let names: HashMap<&str, &str> = inventory
        .security_groups
        .iter()
        .map(|g| {
            let own = nodes
                .get(g.id.as_str())
                .filter(|n| n.kind == GraphKind::SecurityGroup);
            (
                g.id.as_str(),
                own.map_or(g.name.as_str(), |n| n.name.as_str()),
            )
        })
        .collect();
    let group = |g: &SecurityGroup| {
        let name = names.get(g.id.as_str()).copied().unwrap_or_default();
        let mut members = inventory
            .ports
            .iter()
            .filter(|p| p.security_groups.contains(&g.id));
        let known = members.all(|p| known.contains(p.device_id.as_str()));
        let rules = g.rules.iter().map(|r| rule(name, r, &names)).collect();
        (
            g.id.clone(),
            Group {
                name: name.to_owned(),
                known,
                rules,
            },
        )
    };
    let groups = inventory.security_groups.iter().map(group).collect();
    Scene { groups, parties }
}

/// Servers and hosts.
fn machines(
    graph: &Graph,
    ports: &[PortView],
    member: &impl Fn(&PortView) -> Member,
) -> Vec<Party> {
    let mut of: HashMap<&str, Vec<&PortView>> = HashMap::new();
    for port in ports
        .iter()
        .filter(|p| matches!(p.kind, PortKind::Server | PortKind::Host))
    {
        if let Some(node) = port.owner.as_ref().and_then(|o| o.node.as_deref()) {
            of.entry(node).or_default().push(port);
        }
    }
    // Where it stands, as far as groups ask.
    let alike = |node: &GraphNode| {
        let ports = of.get(node.id.as_str()).into_iter().flatten();
        let mut all: Vec<String> = ports
            .map(|p| {
                let mut groups = p.security_groups.clone();
                groups.sort();
                format!("{} {} {}", p.network_id, p.port_security, groups.join(","))
            })
            .collect();
        all.sort();
        all.join("; ")
    };
    let mut made: BTreeMap<(PartyKind, String, String), Vec<&GraphNode>> = BTreeMap::new();
    for node in graph
        .nodes
        .iter()
        .filter(|n| is_machine(n) && of.contains_key(n.id.as_str()))
    {
        let key = match node.details.get("pool") {
            Some(pool) if node.kind == GraphKind::Host => {
                (PartyKind::Pool, pool.clone(), String::new())
            }
            _ => (PartyKind::Server, stem(&node.name).to_owned(), alike(node)),
        };
        made.entry(key).or_default().push(node);
    }
    let mut parties = Vec::new();
    for ((kind, name, _), nodes) in made {
        let members = nodes
            .iter()
            .flat_map(|n| of.get(n.id.as_str()).into_iter().flatten())
            .map(|p| member(p))
            .collect();
        let (id, name) = match (kind, nodes.as_slice()) {
            (PartyKind::Pool, _) => (format!("pool/{name}"), name),
            (_, [one]) => (one.id.clone(), one.name.clone()),
            (_, many) => (format!("{} ..", many[0].id), name),
        };
        parties.push(Party {
            id,
            kind,
            name,
            members,
            listeners: Vec::new(),
        });
    }
    parties
}

/// A name without its number: `web` of `web-3`.
fn stem(name: &str) -> &str {
    let short = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match short.strip_suffix('-') {
        Some(stem) if short.len() < name.len() && !stem.is_empty() => stem,
        _ => name,
    }
}

fn balancers(
    nodes: &HashMap<&str, &GraphNode>,
    inventory: &Inventory,
    ports: &[PortView],
    member: &impl Fn(&PortView) -> Member,
) -> Vec<Party> {
    let Some(balancing) = inventory.balancing.there() else {
        return Vec::new();
    };
    let mut parties = Vec::new();
    for balancer in &balancing.balancers {
        let Some(node) = nodes.get(balancer.id.as_str()).filter(|n| !n.outside) else {
            continue;
        };
        let vip = ports.iter().find(|p| p.id == balancer.vip_port_id);
        let mut vip = vip.map(member).unwrap_or_default();
        vip.machine.clone_from(&balancer.id);
        if vip.addresses.is_empty() {
            vip.addresses.extend(balancer.vip_address.parse::<IpAddr>());
        }
        let listeners = balancing
            .listeners_of(&balancer.id)
            .map(|(listener, pool, _)| Listener {
                proto: match listener.protocol.as_str() {
                    "UDP" => "udp".to_owned(),
                    "SCTP" => "sctp".to_owned(),
                    _ => "tcp".to_owned(),
                },
                port: u32::from(listener.protocol_port),
                backends: pool
                    .map(|p| balancing.members_of(&p.id))
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|m| Some((m.address.parse().ok()?, u32::from(m.protocol_port))))
                    .collect(),
                transparent: balancer.provider == TRANSPARENT,
            });
        parties.push(Party {
            id: node.id.clone(),
            kind: PartyKind::LoadBalancer,
            name: node.name.clone(),
            members: vec![vip],
            listeners: listeners.collect(),
        });
    }
    parties
}

/// Networks by id, with a number that is the same for those that routers join.
fn zones(inventory: &Inventory) -> HashMap<&str, usize> {
    let mut zones: HashMap<&str, usize> = inventory
        .networks
        .iter()
        .enumerate()
        .map(|(i, n)| (n.id.as_str(), i))
        .collect();
    let mut feet: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for port in inventory
        .ports
        .iter()
        .filter(|p| p.device_owner.contains("router_interface"))
    {
        feet.entry(&port.device_id)
            .or_default()
            .push(&port.network_id);
    }
    for networks in feet.values() {
        let joined: Vec<usize> = networks
            .iter()
            .filter_map(|n| zones.get(n).copied())
            .collect();
        let Some(least) = joined.iter().min().copied() else {
            continue;
        };
        zones
            .values_mut()
            .filter(|zone| joined.contains(zone))
            .for_each(|zone| *zone = least);
    }
    zones
}

fn rule(group: &str, rule: &SecurityGroupRule, names: &HashMap<&str, &str>) -> Rule {
    let (ingress, ipv6) = (rule.direction == "ingress", rule.ethertype == "IPv6");
    // Whose addresses an address group has is not known here: it is a group that nobody is in.
    let peer = match rule
        .remote_group_id
        .as_ref()
        .or(rule.remote_address_group_id.as_ref())
    {
        Some(id) => Peer::Group(id.clone()),
        None => match rule.remote_ip_prefix.as_deref().map(remote_prefix) {
            Some(Ok(Some(net))) => Peer::Net(net),
            _ => Peer::Any,
        },
    };
    let name = rule_seen(group, rule, |id| {
        names.get(id).copied().unwrap_or(id).to_owned()
    })
    .name;
    Rule {
        name,
        ingress,
        ipv6,
        proto: rule.protocol.clone(),
        ports: (rule.port_range_min, rule.port_range_max),
        peer,
    }
}
