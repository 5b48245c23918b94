//! Neutron trunks: many networks through one port, told apart by VLAN ids.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::port::Port;
use crate::resource::{ByName, Kind, Resource, request};

/// How often a port is tried to be removed that trunks hold at the same time.
const TRIES: u32 = 5;

/// A trunk.
#[derive(Debug, Clone, Deserialize)]
pub struct Trunk {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `ACTIVE`, `DOWN`, `BUILD`, `DEGRADED` or `ERROR`.
    #[serde(default)]
    pub status: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The port that carries it.
    pub port_id: String,
    /// What it carries.
    #[serde(default)]
    pub sub_ports: Vec<SubPort>,
}

/// A port behind a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubPort {
    /// The port.
    pub port_id: String,
    /// `vlan`.
    pub segmentation_type: String,
    /// VLAN id within the trunk.
    pub segmentation_id: u32,
}

request! {
    /// A trunk to create.
    NewTrunk {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// The port that carries it; one that is bound already where the network driver can do that, as OVN's.
        port_id: String,
        /// What it carries.
        sub_ports: Vec<SubPort>,
    }
}

impl Resource for Trunk {
    type New = NewTrunk;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "trunk",
        path: "/trunks",
        list: "",
        one: "trunk",
        many: "trunks",
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

impl Cloud {
    /// Puts ports behind a trunk.
    ///
    /// # Errors
    /// [`crate::Error::Api`], as 409 for a port or VLAN id that is taken.
    pub async fn add_subports(&self, trunk: &str, ports: &[SubPort]) -> Result<()> {
        let call = self.call(crate::Method::PUT, Service::Network, format!("/trunks/{}/add_subports", segment(trunk)));
        call.on("trunk", trunk).json(&json!({"sub_ports": ports})).done().await
    }

    /// Takes ports from behind a trunk.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn remove_subports(&self, trunk: &str, ports: &[String]) -> Result<()> {
        let ports: Vec<_> = ports.iter().map(|p| json!({"port_id": p})).collect();
        let call =
            self.call(crate::Method::PUT, Service::Network, format!("/trunks/{}/remove_subports", segment(trunk)));
        call.on("trunk", trunk).json(&json!({"sub_ports": ports})).done().await
    }

    /// Removes a port with the trunk that it carries, or out of the trunk that carries it: Neutron removes no such
    /// port. Whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Api`], as 409 for a port that something else uses.
    pub async fn delete_port(&self, id: &str) -> Result<bool> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.delete::<Port>(id).await {
                Err(e) if e.status() == Some(409) && tries < TRIES => {
                    if !self.untrunk(id).await? {
                        return Err(e);
                    }
                }
                other => return other,
            }
        }
    }

    /// Removes the trunk that a port carries, or takes the port out of the trunk that carries it; whether there was
    /// one.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn untrunk(&self, port: &str) -> Result<bool> {
        let trunks: Vec<Trunk> = match self.list(&[]).await {
            // A cloud without trunks.
            Err(e) if e.is_not_found() => return Ok(false),
            other => other?,
        };
        if let Some(own) = trunks.iter().find(|t| t.port_id == port) {
            return self.delete::<Trunk>(&own.id).await.map(|_| true);
        }
        match trunks.iter().find(|t| t.sub_ports.iter().any(|s| s.port_id == port)) {
            None => Ok(false),
            Some(trunk) => match self.remove_subports(&trunk.id, &[port.to_owned()]).await {
                // Somebody else was quicker.
                Err(e) if !e.is_not_found() => Err(e),
                _ => Ok(true),
            },
        }
    }
}
