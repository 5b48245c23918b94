//! Neutron FWaaS v2: groups of policies on ports. Drivers differ in which ports they take: OVN's those of routers alone
//! (neutron-fwaas, `services/firewall/service_drivers/ovn/firewall_l3_driver.py`, `is_supported_l2_port`).

use serde::Deserialize;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, request};

/// A rule.
#[derive(Debug, Clone, Deserialize)]
pub struct FirewallRule {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
}

request! {
    /// A rule to create.
    NewFirewallRule {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// `allow`, `deny` or `reject`.
        action: String,
        /// `tcp`, `udp`, `icmp`; any if absent.
        protocol: Option<String>,
        /// Port or range `a:b`.
        destination_port: Option<String>,
        /// Address or CIDR.
        source_ip_address: Option<String>,
        /// Address or CIDR.
        destination_ip_address: Option<String>,
    }
}

/// Rules in order.
#[derive(Debug, Clone, Deserialize)]
pub struct FirewallPolicy {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
}

request! {
    /// A policy to create.
    NewFirewallPolicy {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Ids of its rules; what none allows is denied.
        firewall_rules: Vec<String>,
    }
}

/// Policies applied to ports.
#[derive(Debug, Clone, Deserialize)]
pub struct FirewallGroup {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// `ACTIVE`, `INACTIVE` (no port), `PENDING_...` or `ERROR`.
    #[serde(default)]
    pub status: String,
    /// The ports it guards.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Counts its changes.
    #[serde(default)]
    pub revision_number: Option<i64>,
}

request! {
    /// A group to create.
    NewFirewallGroup {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Policy for what comes in.
        ingress_firewall_policy_id: Option<String>,
        /// Policy for what goes out.
        egress_firewall_policy_id: Option<String>,
        /// Ports of routers. To change a group this is sent even when empty.
        ports: Option<Vec<String>>,
    }
}

impl Resource for FirewallRule {
    type New = NewFirewallRule;
    const KIND: Kind = kind("firewall rule", "/fwaas/firewall_rules", "firewall_rule", "firewall_rules");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}

impl Resource for FirewallPolicy {
    type New = NewFirewallPolicy;
    const KIND: Kind = kind("firewall policy", "/fwaas/firewall_policies", "firewall_policy", "firewall_policies");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}

impl Resource for FirewallGroup {
    type New = NewFirewallGroup;
    const KIND: Kind = kind("firewall group", "/fwaas/firewall_groups", "firewall_group", "firewall_groups");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn status(&self) -> &str {
        &self.status
    }
}

const fn kind(noun: &'static str, path: &'static str, one: &'static str, many: &'static str) -> Kind {
    Kind { service: Service::Network, noun, path, list: "", one, many, by_name: ByName::Query, microversion: None }
}
