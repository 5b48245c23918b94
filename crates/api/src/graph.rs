//! A yard as nodes and edges.

use serde::{Deserialize, Serialize};
use stackyard_core::health::Health;
use std::collections::BTreeMap;
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
    pub observed_at: Option<String>,
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
    pub health: Health,
    /// Why it is not ready, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
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

/// What joins two nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct GraphEdge {
    /// A node's id.
    pub from: String,
    /// Another's.
    pub to: String,
    /// How.
    pub kind: GraphEdgeKind,
    /// What is to be said of it: the addresses of a port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// How two nodes are joined.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum GraphEdgeKind {
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

impl GraphNode {
    /// A node without details.
    pub fn new(
        id: impl Into<String>,
        kind: GraphKind,
        name: impl Into<String>,
        health: Health,
    ) -> Self {
        Self {
            id: id.into(),
            kind,
            name: name.into(),
            health,
            reason: None,
            parent: None,
            service: None,
            host: None,
            outside: false,
            details: BTreeMap::new(),
        }
    }

    /// Sets a detail; an empty one is left out.
    pub fn set_detail(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        if !value.is_empty() {
            self.details.insert(name.to_owned(), value);
        }
    }
}
