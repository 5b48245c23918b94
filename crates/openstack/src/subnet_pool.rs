//! Neutron subnet pools.

use serde::Deserialize;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Never, Resource};

/// A pool that subnets get their addresses from.
#[derive(Debug, Clone, Deserialize)]
pub struct SubnetPool {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
    /// 4 or 6.
    pub ip_version: u32,
}

impl Resource for SubnetPool {
    type New = Never;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "subnet pool",
        path: "/subnetpools",
        list: "",
        one: "subnetpool",
        many: "subnetpools",
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
