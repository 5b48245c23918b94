//! Ports.

use super::{by_id, is_machine};
use crate::graph::{Graph, GraphKind, GraphNode, GraphState};
use crate::inventory::Inventory;
use crate::ports::{DEVICE_OWNER, mac_on, whose};
use serde::{Deserialize, Serialize};
use stackyard_core::yard::Mark;
use stackyard_openstack::{Network, Port, SecurityGroup};
use std::collections::HashMap;
use utoipa::ToSchema;

/// By what ports of containers are used that are bound to a host (`stackyard agent standalone`,
/// crates/agent/src/cnm/mark.rs).
const CONTAINER: &str = "compute:stackyard";

/// A port of a yard's network, or of one of its machines in another network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortView {
    /// Its id.
    pub id: String,
    /// Its name; often none.
    pub name: String,
    /// What it is of.
    pub kind: PortKind,
    /// Whose it is.
    pub owner: Option<PortOwner>,
    /// Its network's name.
    pub network: String,
    /// Id of the network.
    pub network_id: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its MAC address; of a macvlan or an ipvlan, the link's.
    pub mac: String,
    /// Greatest packet of its network, in bytes.
    pub mtu: Option<u32>,
    /// Whether its groups are enforced.
    pub port_security: bool,
    /// Names of its security groups.
    pub security_groups: Vec<String>,
    /// Addresses outside that lead to it.
    pub floating_ips: Vec<String>,
    /// `ACTIVE`, `DOWN`, `BUILD`.
    pub status: String,
    /// How it is.
    pub state: GraphState,
    /// The hypervisor or host that it is bound to; told to administrators of the cloud.
    pub bound: Option<String>,
}

/// What a port is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortKind {
    /// A server.
    Server,
    /// A machine that runs containers.
    Host,
    /// A container with a port of its own.
    Container,
    /// A load balancer's address.
    LoadBalancer,
    /// A router.
    Router,
    /// A floating IP.
    FloatingIp,
    /// DHCP and metadata.
    Dhcp,
    /// Nobody uses it.
    Unused,
    /// Something else.
    Other,
}

impl PortKind {
    /// For people, as `load balancer`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Host => "host",
            Self::Container => "container",
            Self::LoadBalancer => "load balancer",
            Self::Router => "router",
            Self::FloatingIp => "floating IP",
            Self::Dhcp => "DHCP",
            Self::Unused => "unused",
            Self::Other => "other",
        }
    }
}

/// Whose a port is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortOwner {
    /// Its name.
    pub name: String,
    /// Its node in the yard's graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Id of the host that it is, in `/api/v1/hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl From<&GraphNode> for PortOwner {
    fn from(node: &GraphNode) -> Self {
        Self { name: node.name.clone(), node: Some(node.id.clone()), host: node.host.clone() }
    }
}

/// The ports of a yard's networks, and those of its machines in other networks: by network, kind, owner.
pub fn ports(graph: &Graph, inventory: &Inventory) -> Vec<PortView> {
    let nodes = by_id(graph);
    let networks: HashMap<&str, &Network> = inventory.networks.iter().map(|n| (n.id.as_str(), n)).collect();
    let groups: HashMap<&str, &SecurityGroup> = inventory.security_groups.iter().map(|g| (g.id.as_str(), g)).collect();
    let mut doors: HashMap<&str, Vec<String>> = HashMap::new();
    for floating in &inventory.floating_ips {
        doors.entry(floating.port_id.as_deref().unwrap_or_default()).or_default().push(floating.address.clone());
    }
    let balancers = inventory.balancing.there().into_iter().flat_map(|b| &b.balancers);
    let vips: HashMap<&str, &str> = balancers.map(|b| (b.vip_port_id.as_str(), b.id.as_str())).collect();
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
        let name = |id: &String| groups.get(id.as_str()).map_or_else(|| id.clone(), |g| g.name.clone());
        let kind = kind(port, owner, vip.is_some());
        views.push(PortView {
            id: port.id.clone(),
            name: match Mark::parse(&port.description) {
                // The name of one behind a trunk says whose it is.
                Some(mark) if kind == PortKind::Container => mark.key.name,
                _ => port.name.clone(),
            },
            kind,
            owner: owner.map(PortOwner::from).or_else(|| container(graph, port, kind)),
            network: network.map_or_else(|| port.network_id.clone(), |n| n.name.clone()),
            network_id: port.network_id.clone(),
            addresses: port.fixed_ips.iter().filter_map(|f| f.ip_address.clone()).collect(),
            mac: match port.device_owner.as_str() {
                DEVICE_OWNER => mac_on(nic(graph, inventory, port), port),
                _ => port.mac_address.clone(),
            },
            mtu: network.and_then(|n| n.mtu),
            port_security: port.port_security_enabled.unwrap_or(true),
            security_groups: port.security_groups.iter().map(name).collect(),
            floating_ips: doors.remove(port.id.as_str()).unwrap_or_default(),
            status: port.status.clone(),
            state: match port.status.as_str() {
                "BUILD" => GraphState::Working,
                "ERROR" => GraphState::Failed,
                // Only what is plugged becomes ACTIVE: a load balancer of OVN never is, nor a container on a host's NIC.
                "DOWN" if port.device_owner == DEVICE_OWNER => GraphState::Ok,
                "DOWN" if matches!(kind, PortKind::Server | PortKind::Host | PortKind::Container) => {
                    GraphState::Stopped
                }
                _ => GraphState::Ok,
            },
            bound: port.host.clone().filter(|h| !h.is_empty()),
        });
    }
    let rank = |p: &PortView| (p.network.clone(), p.kind, p.owner.as_ref().map(|o| o.name.clone()), p.id.clone());
    views.sort_by_cached_key(rank);
    views
}

fn kind(port: &Port, owner: Option<&GraphNode>, is_vip: bool) -> PortKind {
    let used = port.device_owner.as_str();
    match owner.map(|n| n.kind) {
        _ if is_vip || used == "ovn-lb-vip" || used.starts_with("Octavia") => PortKind::LoadBalancer,
        Some(GraphKind::Host) => PortKind::Host,
        Some(GraphKind::Server) => PortKind::Server,
        _ if used == CONTAINER || whose(port).is_some() => PortKind::Container,
        _ if used.starts_with("compute:") => PortKind::Server,
        _ if used.starts_with("network:router") || used.starts_with("network:ha_router") => PortKind::Router,
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
    let machine = graph.nodes.iter().find(|n| is_machine(n) && n.host.as_deref() == Some(host))?;
    let server = machine.details.get("id")?;
    inventory.ports.iter().find(|p| p.device_id == *server && p.network_id == port.network_id)
}

/// Whose a container's port is, as far as the port says: its name, and the machine that it is bound to.
fn container(graph: &Graph, port: &Port, kind: PortKind) -> Option<PortOwner> {
    if kind != PortKind::Container {
        return None;
    }
    let machine = |is: &dyn Fn(&GraphNode) -> bool| graph.nodes.iter().find(|n| is_machine(n) && is(n));
    if let Some((id, ..)) = whose(port) {
        return machine(&|n| n.host.as_deref() == Some(id)).map(PortOwner::from);
    }
    let at = port.host.as_deref().filter(|h| !h.is_empty())?;
    let host = machine(&|n| n.name == at);
    let (node, host) = (host.map(|n| n.id.clone()), host.and_then(|n| n.host.clone()));
    Some(PortOwner { name: at.to_owned(), node, host })
}
