//! Neutron networks.

use serde::Deserialize;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, request};

/// A network.
#[derive(Debug, Clone, Deserialize)]
pub struct Network {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `ACTIVE`, `DOWN`, `BUILD` or `ERROR`.
    #[serde(default)]
    pub status: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Greatest packet, in bytes.
    pub mtu: Option<u32>,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
    /// When it was created; sorts by time.
    #[serde(default)]
    pub created_at: String,
    /// Whether ports get security groups unless they say otherwise.
    pub port_security_enabled: Option<bool>,
    /// Ids of its subnets.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether it leads outside.
    #[serde(rename = "router:external", default)]
    pub external: bool,
    /// Whether other projects may use it.
    #[serde(default)]
    pub shared: bool,
    /// `flat`, `vlan`, `geneve` ...; shown to administrators.
    #[serde(rename = "provider:network_type")]
    pub network_type: Option<String>,
    /// The physical network's name; shown to administrators.
    #[serde(rename = "provider:physical_network")]
    pub physical_network: Option<String>,
}

request! {
    /// A network to create.
    NewNetwork {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Whether it leads outside (administrators).
        #[serde(rename = "router:external")]
        external: Option<bool>,
        /// Whether other projects may use it.
        shared: Option<bool>,
        /// `flat`, `vlan` ... (administrators).
        #[serde(rename = "provider:network_type")]
        network_type: Option<String>,
        /// The physical network's name (administrators).
        #[serde(rename = "provider:physical_network")]
        physical_network: Option<String>,
        /// VLAN or tunnel id (administrators).
        #[serde(rename = "provider:segmentation_id")]
        segmentation_id: Option<u32>,
        /// Greatest packet, in bytes.
        mtu: Option<u32>,
        /// Whether ports get security groups unless they say otherwise.
        port_security_enabled: Option<bool>,
        /// Domain of its ports in the cloud's DNS, ending in a dot.
        dns_domain: Option<String>,
    }
}

impl Resource for Network {
    type New = NewNetwork;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "network",
        path: "/networks",
        list: "",
        one: "network",
        many: "networks",
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
