//! Neutron security groups and their rules.

use serde::Deserialize;

use crate::catalog::Service;
use crate::json::text_or_number;
use crate::resource::{ByName, Kind, Resource, request};

/// A security group.
#[derive(Debug, Clone, Deserialize)]
pub struct SecurityGroup {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
    /// When it was created; sorts by time.
    #[serde(default)]
    pub created_at: String,
    /// Its rules.
    #[serde(rename = "security_group_rules", default)]
    pub rules: Vec<SecurityGroupRule>,
}

/// What a group lets through.
#[derive(Debug, Clone, Deserialize)]
pub struct SecurityGroupRule {
    /// Id.
    pub id: String,
    /// Its group's id.
    pub security_group_id: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// `IPv4` or `IPv6`.
    pub ethertype: String,
    /// `tcp`, `udp`, `icmp`, a number ...; all if absent.
    #[serde(default, deserialize_with = "text_or_number")]
    pub protocol: Option<String>,
    /// First port (ICMP: type).
    pub port_range_min: Option<u32>,
    /// Last port (ICMP: code).
    pub port_range_max: Option<u32>,
    /// The other side's addresses.
    pub remote_ip_prefix: Option<String>,
    /// The other side's group.
    pub remote_group_id: Option<String>,
    /// The other side's address group; only newer clouds have any.
    pub remote_address_group_id: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

request! {
    /// A group to create.
    NewSecurityGroup {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
    }
}

request! {
    /// A rule to create.
    NewSecurityGroupRule {
        /// Its group's id.
        security_group_id: String,
        /// `ingress` or `egress`.
        direction: String,
        /// `IPv4` or `IPv6`; IPv4 if empty.
        ethertype: String,
        /// `tcp`, `udp`, `icmp` ...; all if absent.
        protocol: Option<String>,
        /// First port.
        port_range_min: Option<u32>,
        /// Last port.
        port_range_max: Option<u32>,
        /// The other side's addresses.
        remote_ip_prefix: Option<String>,
        /// The other side's group.
        remote_group_id: Option<String>,
        /// Free text.
        description: String,
    }
}

impl NewSecurityGroupRule {
    /// One that lets in what comes from everywhere to the ports `first` to `last` of a protocol (`tcp`, `udp` ...), by
    /// `IPv4` or `IPv6`.
    pub fn let_in(group: &str, ethertype: &str, protocol: &str, first: u16, last: u16) -> Self {
        Self {
            security_group_id: group.to_owned(),
            direction: "ingress".to_owned(),
            ethertype: ethertype.to_owned(),
            protocol: Some(protocol.to_owned()),
            port_range_min: Some(first.into()),
            port_range_max: Some(last.into()),
            ..Self::default()
        }
    }
}

impl Resource for SecurityGroup {
    type New = NewSecurityGroup;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "security group",
        path: "/security-groups",
        list: "",
        one: "security_group",
        many: "security_groups",
        by_name: ByName::Query,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}

impl Resource for SecurityGroupRule {
    type New = NewSecurityGroupRule;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "security group rule",
        path: "/security-group-rules",
        list: "",
        one: "security_group_rule",
        many: "security_group_rules",
        by_name: ByName::Scan,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        ""
    }
}
