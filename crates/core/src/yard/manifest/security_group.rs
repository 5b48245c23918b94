//! Security groups and their rules.

use super::super::words::PortRange;
use super::part;
use schemars::JsonSchema;
use serde::Deserialize;

part! {
    /// A security group.
    SecurityGroup {
        /// Name.
        name: String,
        /// What it lets through. Without an egress rule, everything may go out.
        #[serde(default)]
        rules: Vec<Rule>,
    }
}

part! {
    /// What a security group lets through.
    Rule {
        /// `tcp`, `udp`, `icmp`, `icmpv6`, another protocol's name or number; all if absent.
        #[serde(default)]
        proto: Option<String>,
        /// Port or range.
        #[serde(default)]
        port: Option<PortRange>,
        /// The other side: a CIDR, or the name of a security group. Everybody if absent.
        #[serde(default)]
        from: Option<String>,
        /// The other side of an egress rule.
        #[serde(default)]
        to: Option<String>,
        /// `ingress` unless said, or unless there is a `to`.
        #[serde(default)]
        direction: Option<Direction>,
        /// Whether it is for IPv6; where neither this nor a CIDR says so, it is for IPv4.
        #[serde(default)]
        ipv6: Option<bool>,
    }
}

/// Direction of a rule, as the server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the server.
    Ingress,
    /// From the server.
    Egress,
}
