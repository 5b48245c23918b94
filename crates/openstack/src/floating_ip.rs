//! Neutron floating IPs.

use serde::Deserialize;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, request};

/// A floating IP.
#[derive(Debug, Clone, Deserialize)]
pub struct FloatingIp {
    /// Id.
    pub id: String,
    /// The address outside.
    #[serde(rename = "floating_ip_address")]
    pub address: String,
    /// The address inside, if it leads somewhere.
    pub fixed_ip_address: Option<String>,
    /// The port it leads to.
    pub port_id: Option<String>,
    /// `ACTIVE`, `DOWN` or `ERROR`.
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
    /// The external network's id.
    pub floating_network_id: String,
}

request! {
    /// A floating IP to create.
    NewFloatingIp {
        /// The external network's id.
        floating_network_id: String,
        /// The port it leads to.
        port_id: Option<String>,
        /// Wanted address (may need administrators).
        #[serde(rename = "floating_ip_address")]
        address: Option<String>,
        /// Free text; where Stackyard puts its mark.
        description: String,
    }
}

impl Resource for FloatingIp {
    type New = NewFloatingIp;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "floating IP",
        path: "/floatingips",
        list: "",
        one: "floatingip",
        many: "floatingips",
        by_name: ByName::Scan,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.id
    }
    /// Its address: a floating IP has no name.
    fn name(&self) -> &str {
        &self.address
    }
    fn status(&self) -> &str {
        &self.status
    }
}
