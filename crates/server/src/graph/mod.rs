//! A yard as it is: what its cloud has, what its hosts run, and what joins what.
//!
//! ```text
//! Inventory ── observe by mark ──> networks, routers, servers, volumes ... ─┐
//! the hub ── hosts, what they report ──> hosts (servers that joined) ───────┼──> nodes and edges
//! stacks ──> stacks, services, containers in their hosts ───────────────────┘
//! ```
//!
//! This says what there is; where it is drawn, and what of it, is the reader's business. A node's id
//! stays the same for as long as the thing is meant: a server that becomes a host keeps it.

mod cloud;
mod run;

use crate::api::{HostView, StackView};
use crate::inventory::Inventory;
use serde::{Deserialize, Serialize};
use stackyard_core::yard::intend::Intended;
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// A yard as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// The yard.
    pub yard: String,
    /// The look at its cloud; absent where no manifest of the yard is known, so that it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<GraphCloud>,
    /// What there is: first the cloud's by kind, then hosts, then stacks with what belongs to them.
    pub nodes: Vec<GraphNode>,
    /// What joins what.
    pub edges: Vec<GraphEdge>,
}

/// A look at a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct GraphCloud {
    /// Its name in clouds.yaml.
    pub name: String,
    /// When it was last seen (RFC 3339); absent before the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked: Option<String>,
    /// Why it could not be looked at since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something of a yard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GraphNode {
    /// Unique in the yard, as `server/web-1`.
    pub id: String,
    /// What it is.
    pub kind: GraphKind,
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: GraphState,
    /// Why it is not as it should be, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Id of the node that it is a part of: a subnet's network, a service's stack, the host of a
    /// container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Id of a container's service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Id of the host that joined, in `/api/v1/hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// It is the cloud's, not the yard's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
    /// More about it, by name: `address`, `mtu`, `flavor`, `image` ...
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GraphKind {
    /// Neutron network.
    Network,
    /// Neutron subnet.
    Subnet,
    /// Neutron router.
    Router,
    /// Neutron floating IP.
    FloatingIp,
    /// Octavia load balancer.
    LoadBalancer,
    /// Machine that runs containers.
    Host,
    /// Nova server that runs none of ours.
    Server,
    /// Cinder volume.
    Volume,
    /// Neutron security group.
    SecurityGroup,
    /// Nova server group.
    ServerGroup,
    /// Nova keypair.
    Keypair,
    /// Object container.
    ObjectContainer,
    /// Stack.
    Stack,
    /// Service of a stack.
    Service,
    /// Container of a service.
    Container,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GraphState {
    /// As it should be.
    Ok,
    /// Getting there.
    Working,
    /// Waits for others.
    Waiting,
    /// It should work, and does not.
    Failing,
    /// Given up, or of no use any more.
    Failed,
    /// Its host is not connected.
    Away,
    /// Drained.
    Drained,
    /// Shut off.
    Stopped,
    /// It should be there, and is not.
    Missing,
}

/// What joins two nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct GraphEdge {
    /// A node's id.
    pub from: String,
    /// Another's.
    pub to: String,
    /// How.
    pub kind: GraphJoint,
    /// What is to be said of it: the addresses of a port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// How two nodes are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GraphJoint {
    /// A router's foot in a network.
    Interface,
    /// A router's way out, to a network.
    Gateway,
    /// A server's port in a network.
    Port,
    /// A server's volume.
    Attachment,
    /// From a floating IP to the network that it is of.
    External,
    /// From a floating IP to the server or load balancer that it leads to.
    Leads,
    /// A load balancer's address in a network.
    Vip,
    /// From a load balancer to a server that it shares its load with.
    Member,
    /// A server's security group.
    SecurityGroup,
    /// A server's server group.
    ServerGroup,
    /// A server's keypair.
    Keypair,
}

/// What a graph is made from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight<'a> {
    /// What the cloud has, if it was looked at.
    pub inventory: Option<&'a Inventory>,
    /// What the manifest means, if one is known: what is not there is missing then.
    pub intended: Option<&'a Intended>,
    /// The yard's hosts.
    pub hosts: &'a [HostView],
    /// The yard's stacks.
    pub stacks: &'a [StackView],
}

impl Graph {
    /// The graph of a yard.
    pub fn of(yard: &str, sight: Sight<'_>) -> Self {
        let mut made = Maker { sight, nodes: Vec::new(), edges: Vec::new(), at: HashMap::new() };
        if let Some(inventory) = sight.inventory {
            cloud::add(&mut made, yard, inventory);
        }
        run::add(&mut made);
        Self { yard: yard.to_owned(), cloud: None, nodes: made.nodes, edges: made.edges }
    }
}

/// A graph on its way.
struct Maker<'a> {
    sight: Sight<'a>,
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
    /// Where a node stands in `nodes`, by its id.
    at: HashMap<String, usize>,
}

impl Maker<'_> {
    /// Adds a node, unless there is one of its id.
    fn node(&mut self, node: GraphNode) {
        if !self.at.contains_key(&node.id) {
            self.at.insert(node.id.clone(), self.nodes.len());
            self.nodes.push(node);
        }
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut GraphNode> {
        self.at.get(id).map(|i| &mut self.nodes[*i])
    }

    /// Joins two nodes, if both are there.
    fn join(&mut self, from: &str, to: &str, kind: GraphJoint, label: Option<String>) {
        if self.at.contains_key(from) && self.at.contains_key(to) {
            self.edges.push(GraphEdge { from: from.to_owned(), to: to.to_owned(), kind, label });
        }
    }
}

impl GraphNode {
    fn new(id: impl Into<String>, kind: GraphKind, name: impl Into<String>, state: GraphState) -> Self {
        Self {
            id: id.into(),
            kind,
            name: name.into(),
            state,
            why: None,
            parent: None,
            service: None,
            host: None,
            outside: false,
            details: BTreeMap::new(),
        }
    }

    /// Notes a detail, if there is something to be said.
    fn tell(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        if !value.is_empty() {
            self.details.insert(name.to_owned(), value);
        }
    }
}
