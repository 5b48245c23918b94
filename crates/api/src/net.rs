//! Networks of a yard: ports, paths, who reaches whom, rules.

use crate::{GraphCloud, GraphNode};
use serde::{Deserialize, Serialize};
use stackyard_core::health::Health;
use stackyard_core::mtu::Chain;
use stackyard_core::reach::Table;
use utoipa::ToSchema;

/// A page of the ports of a yard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PortList {
    /// The look at the cloud; absent where the yard has none.
    pub cloud: Option<GraphCloud>,
    /// Ports: by network, kind, owner.
    pub ports: Vec<PortView>,
}

/// What fits through a yard's networks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MtuPaths {
    /// The look at the cloud; absent where the yard has none.
    pub cloud: Option<GraphCloud>,
    /// The ways; those that break first.
    pub paths: Vec<MtuPath>,
}

/// Who can reach whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReachView {
    /// The look at the cloud; absent where the yard has none.
    pub cloud: Option<GraphCloud>,
    /// The table, by what the cloud has.
    pub table: Table,
    /// The groups that the manifest declares.
    pub groups: Vec<SecurityGroupView>,
    /// Names of the cloud's groups that the manifest does not declare, for rules to speak of.
    pub other_groups: Vec<String>,
}

/// A security group that a manifest declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecurityGroupView {
    /// Its name.
    pub name: String,
    /// Its rules, as they are written.
    pub rules: Vec<RuleView>,
}

/// A rule as a manifest has it; what it does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleView {
    /// Protocol; all if empty.
    #[serde(default)]
    pub proto: String,
    /// Port or range, as `80` or `8000-8100`; all if empty.
    #[serde(default)]
    pub port: String,
    /// For what goes out, not for what comes in.
    #[serde(default)]
    pub egress: bool,
    /// The other side: a CIDR or a group; everybody if empty.
    #[serde(default)]
    pub peer: String,
    /// Whether it is for IPv6, where the other side does not say.
    #[serde(default)]
    pub ipv6: Option<bool>,
}

/// Rules that a group is to have.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesRequest {
    /// The manifest to change; the one that the yard has if absent.
    #[serde(default)]
    pub manifest: Option<String>,
    /// The rules, in their order.
    pub rules: Vec<RuleRequest>,
}

/// A rule that is wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    /// Which of the group's rules it is so far, from 0; absent if it is new.
    #[serde(default)]
    pub was: Option<usize>,
    /// What it is to say.
    pub rule: RuleView,
}

/// A manifest with other rules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RulesText {
    /// Its text; absent if the rules have mistakes.
    pub manifest: Option<String>,
    /// Mistakes.
    pub faults: Vec<RuleError>,
}

/// A mistake in a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleError {
    /// Which of the wanted rules, from 0.
    pub rule: usize,
    /// Which of its fields: `proto`, `port`, `peer`, `ipv6`; empty for all of it.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A way through layers, and who goes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MtuPath {
    /// The network; none for machines that are in no network of the cloud.
    pub network: Option<String>,
    /// What goes this way: containers of hosts, servers, or containers with ports of their own.
    pub kind: PortKind,
    /// Their names: hosts, servers.
    pub of: Vec<PortOwner>,
    /// The layers.
    pub chain: Chain,
}

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
    pub health: Health,
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
        Self {
            name: node.name.clone(),
            node: Some(node.id.clone()),
            host: node.host.clone(),
        }
    }
}
