//! Neutron ports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, request};

/// A port.
#[derive(Debug, Clone, Deserialize)]
pub struct Port {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Its network's id.
    pub network_id: String,
    /// `ACTIVE`, `DOWN`, `BUILD`.
    #[serde(default)]
    pub status: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
    /// When it was created; sorts by time.
    #[serde(default)]
    pub created_at: String,
    /// Whether addresses and groups are enforced.
    pub port_security_enabled: Option<bool>,
    /// MAC address.
    #[serde(default)]
    pub mac_address: String,
    /// Its addresses.
    #[serde(default)]
    pub fixed_ips: Vec<FixedIp>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What uses it: a server's id, a router's ...
    #[serde(default)]
    pub device_id: String,
    /// By what it is used, as `compute:nova`.
    #[serde(default)]
    pub device_owner: String,
    /// Ids of its security groups.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Id of its QoS policy.
    pub qos_policy_id: Option<String>,
    /// Further addresses it may send from.
    #[serde(default)]
    pub allowed_address_pairs: Vec<AddressPair>,
    /// Its name in the cloud's DNS, where that has names for ports.
    #[serde(default)]
    pub dns_name: Option<String>,
    /// Grows with each change, see [`crate::Cloud::update_at`].
    #[serde(default)]
    pub revision_number: i64,
    /// The host it is bound to; shown to administrators.
    #[serde(rename = "binding:host_id")]
    pub host: Option<String>,
    /// How it is to be plugged, as `ovs`, or `binding_failed`; shown to administrators.
    #[serde(rename = "binding:vif_type")]
    pub vif_type: Option<String>,
    /// What the one who plugs it should know; shown to administrators.
    #[serde(rename = "binding:vif_details", default)]
    pub vif_details: Option<serde_json::Map<String, serde_json::Value>>,
}

/// An address of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// Its subnet's id.
    pub subnet_id: String,
    /// The address; in a request, the next free one if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}

/// A pair of addresses that a port may send from beside its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    /// Address or CIDR.
    pub ip_address: String,
    /// MAC address; the port's own if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
}

request! {
    /// A port to create.
    NewPort {
        /// Its network's id.
        network_id: String,
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Wanted addresses.
        fixed_ips: Vec<FixedIp>,
        /// Ids of security groups; `None`: the project's default group.
        security_groups: Option<Vec<String>>,
        /// Further addresses it may send from.
        allowed_address_pairs: Vec<AddressPair>,
        /// Whether addresses and groups are enforced.
        port_security_enabled: Option<bool>,
        /// Whether it may send and receive; Neutron's default is yes.
        admin_state_up: Option<bool>,
        /// What uses it.
        device_id: String,
        /// By what it is used.
        device_owner: String,
        /// The host to bind it to (administrators).
        #[serde(rename = "binding:host_id")]
        host: Option<String>,
        /// `normal`, `direct` ...
        #[serde(rename = "binding:vnic_type")]
        vnic_type: Option<String>,
        /// MAC address.
        mac_address: Option<String>,
        /// Its name in the cloud's DNS.
        dns_name: Option<String>,
        /// Id of its QoS policy.
        qos_policy_id: Option<String>,
        /// What the binding's driver is told.
        #[serde(rename = "binding:profile")]
        profile: BTreeMap<String, serde_json::Value>,
        /// Its tags, where the cloud takes them here (see [`crate::Cloud::takes_tags`]).
        tags: Vec<String>,
    }
}

request! {
    /// What to change of a port; what is empty stays.
    PortChange {
        /// What uses it.
        device_id: String,
        /// By what it is used.
        device_owner: String,
        /// The host to bind it to (administrators).
        #[serde(rename = "binding:host_id")]
        host: Option<String>,
        /// Ids of security groups.
        security_groups: Option<Vec<String>>,
        /// Further addresses it may send from.
        allowed_address_pairs: Vec<AddressPair>,
        /// Its name in the cloud's DNS.
        dns_name: Option<String>,
        /// Id of its QoS policy.
        qos_policy_id: Option<String>,
        /// MAC address (administrators; of a port that is not bound).
        mac_address: Option<String>,
        /// All its addresses.
        fixed_ips: Vec<FixedIp>,
    }
}

impl Resource for Port {
    type New = NewPort;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "port",
        path: "/ports",
        list: "",
        one: "port",
        many: "ports",
        by_name: ByName::Query,
        microversion: None,
    };
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

impl Port {
    /// The first address.
    pub fn address(&self) -> Option<&str> {
        self.fixed_ips.iter().find_map(|f| f.ip_address.as_deref())
    }
}
