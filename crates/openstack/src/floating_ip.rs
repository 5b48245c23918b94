//! Neutron floating IPs.

use serde::Deserialize;
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
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
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
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

request! {
    /// One port of a floating IP that leads to a port of a Neutron port (extension
    /// `floating-ip-port-forwarding`).
    NewPortForwarding {
        /// `tcp`, `udp` ...
        protocol: String,
        /// The Neutron port's id.
        internal_port_id: String,
        /// Which of its addresses.
        internal_ip_address: String,
        /// The port there.
        internal_port: u32,
        /// The floating IP's port.
        external_port: u32,
    }
}

impl Cloud {
    /// Makes a port of a floating IP lead somewhere; the floating IP must not lead to a port as a whole.
    /// Returns the forwarding's id.
    ///
    /// # Errors
    /// [`crate::Error::Api`], as 409 (or 400) if it leads elsewhere already.
    pub async fn forward_port(&self, floating_ip: &str, new: &NewPortForwarding) -> Result<String> {
        #[derive(Deserialize)]
        struct FloatingIpResponse {
            port_forwarding: Made,
        }
        #[derive(Deserialize)]
        struct Made {
            id: String,
        }
        let path = format!("/floatingips/{}/port_forwardings", segment(floating_ip));
        let call = self.call(crate::Method::POST, Service::Network, path);
        let call = call.on("port forwarding of floating IP", floating_ip).json(&json!({"port_forwarding": new}));
        Ok(call.read::<FloatingIpResponse>().await?.port_forwarding.id)
    }

    /// Ends a forwarding; whether there was one.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn end_forwarding(&self, floating_ip: &str, forwarding: &str) -> Result<bool> {
        let path = format!("/floatingips/{}/port_forwardings/{}", segment(floating_ip), segment(forwarding));
        let call = self.call(crate::Method::DELETE, Service::Network, path);
        call.on("port forwarding of floating IP", floating_ip).gone().await
    }
}
