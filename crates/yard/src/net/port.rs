//! Ports.

use super::{by_id, is_machine};
use crate::inventory::Inventory;
use stackyard_api::{Graph, GraphKind, GraphNode, PortKind, PortOwner, PortView};
use stackyard_core::health::Health;
use stackyard_core::yard::Mark;
use stackyard_openstack::{Network, Port, SecurityGroup};
use stackyard_ports::{DEVICE_OWNER, mac_on, place_mark, whose};
use std::collections::HashMap;

/// The ports of a yard's networks, and those of its machines in other networks: by network, kind, owner.
pub fn ports(graph: &Graph, inventory: &Inventory) -> Vec<PortView> {
    let nodes = by_id(graph);
    let networks: HashMap<&str, &Network> = inventory
        .networks
        .iter()
        .map(|n| (n.id.as_str(), n))
        .collect();
    let groups: HashMap<&str, &SecurityGroup> = inventory
        .security_groups
        .iter()
        .map(|g| (g.id.as_str(), g))
        .collect();
    let mut doors: HashMap<&str, Vec<String>> = HashMap::new();
    for floating in &inventory.floating_ips {
        doors
            .entry(floating.port_id.as_deref().unwrap_or_default())
            .or_default()
            .push(floating.address.clone());
    }
    let balancers = inventory
        .balancing
        .there()
        .into_iter()
        .flat_map(|b| &b.balancers);
    let vips: HashMap<&str, &str> = balancers
        .map(|b| (b.vip_port_id.as_str(), b.id.as_str()))
        .collect();
    let own = |id: &str| nodes.get(id).copied().filter(|n| !n.outside);
    let mut views = Vec::new();
    for port in &inventory.ports {
        let vip = vips.get(port.id.as_str()).copied();
        let owner = own(vip.unwrap_or(&port.device_id));
        if own(&port.network_id).is_none() && owner.is_none() {
            continue;
        }
        let owner = owner.or_else(|| nodes.get(port.device_id.as_str()).copied());
        let network = networks.get(port.network_id.as_str());
        let name = |id: &String| {
            groups
                .get(id.as_str())
                .map_or_else(|| id.clone(), |g| g.name.clone())
        };
        let kind = kind(port, owner, vip.is_some());
        views.push(PortView {
            id: port.id.clone(),
            name: match Mark::parse(&port.description) {
                // The name of one behind a trunk says whose it is.
                Some(mark) if kind == PortKind::Container => mark.key.name,
                _ => port.name.clone(),
            },
            kind,
            owner: owner
                .map(PortOwner::from)
                .or_else(|| container(graph, port, kind)),
            network: network.map_or_else(|| port.network_id.clone(), |n| n.name.clone()),
            network_id: port.network_id.clone(),
            addresses: port
                .fixed_ips
                .iter()
                .filter_map(|f| f.ip_address.clone())
                .collect(),
            mac: match port.device_owner.as_str() {
                DEVICE_OWNER => mac_on(nic(graph, inventory, port), port),
                _ => port.mac_address.clone(),
            },
            mtu: network.and_then(|n| n.mtu),
            port_security: port.port_security_enabled.unwrap_or(true),
            security_groups: port.security_groups.iter().map(name).collect(),
            floating_ips: doors.remove(port.id.as_str()).unwrap_or_default(),
            status: port.status.clone(),
            health: match port.status.as_str() {
                "BUILD" => Health::Progressing,
                "ERROR" => Health::Failed,
                // Only what is plugged becomes ACTIVE: a load balancer of OVN never is, nor a container on a host's NIC.
                "DOWN" if port.device_owner == DEVICE_OWNER => Health::Ready,
                "DOWN"
                    if matches!(
                        kind,
                        PortKind::Server | PortKind::Host | PortKind::Container
                    ) =>
                {
                    Health::Degraded
                }
                _ => Health::Ready,
            },
            bound: port.host.clone().filter(|h| !h.is_empty()),
        });
    }
    let rank = |p: &PortView| {
        (
            p.network.clone(),
            p.kind,
            p.owner.as_ref().map(|o| o.name.clone()),
            p.id.clone(),
        )
    };
    views.sort_by_cached_key(rank);
    views
}

fn kind(port: &Port, owner: Option<&GraphNode>, is_vip: bool) -> PortKind {
    let used = port.device_owner.as_str();
    match owner.map(|n| n.kind) {
        _ if is_vip || used == "ovn-lb-vip" || used.starts_with("Octavia") => {
            PortKind::LoadBalancer
        }
        Some(GraphKind::Host) => PortKind::Host,
        Some(GraphKind::Server) => PortKind::Server,
        _ if used == place_mark::DEVICE_OWNER || whose(port).is_some() => PortKind::Container,
        _ if used.starts_with("compute:") => PortKind::Server,
        _ if used.starts_with("network:router") || used.starts_with("network:ha_router") => {
            PortKind::Router
        }
        _ if used == "network:floatingip" => PortKind::FloatingIp,
        // OVN answers DHCP and metadata itself, from a port of its own.
        _ if used == "network:dhcp" || used == "network:distributed" => PortKind::Dhcp,
        _ if used.is_empty() && port.device_id.is_empty() => PortKind::Unused,
        _ => PortKind::Other,
    }
}

/// The NIC that the link of a container is on whose port only keeps its addresses.
fn nic<'a>(graph: &Graph, inventory: &'a Inventory, port: &Port) -> Option<&'a Port> {
    let (host, ..) = whose(port)?;
    let machine = graph
        .nodes
        .iter()
        .find(|n| is_machine(n) && n.host.as_deref() == Some(host))?;
    let server = machine.details.get("id")?;
    inventory
        .ports
        .iter()
        .find(|p| p.device_id == *server && p.network_id == port.network_id)
}

/// Whose a container's port is, as far as the port says: its name, and the machine that it is bound to.
fn container(graph: &Graph, port: &Port, kind: PortKind) -> Option<PortOwner> {
    if kind != PortKind::Container {
        return None;
    }
    let machine =
        |is: &dyn Fn(&GraphNode) -> bool| graph.nodes.iter().find(|n| is_machine(n) && is(n));
    if let Some((id, ..)) = whose(port) {
        return machine(&|n| n.host.as_deref() == Some(id)).map(PortOwner::from);
    }
    let at = port.host.as_deref().filter(|h| !h.is_empty())?;
    let host = machine(&|n| n.name == at);
    let (node, host) = (
        host.map(|n| n.id.clone()),
        host.and_then(|n| n.host.clone()),
    );
    Some(PortOwner {
        name: at.to_owned(),
        node,
        host,
    })
}
