//! Neutron subnet pools.

use serde::Deserialize;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, request};

/// A pool that subnets get their addresses from.
#[derive(Debug, Clone, Deserialize)]
pub struct SubnetPool {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
    /// 4 or 6.
    pub ip_version: u32,
    /// Its addresses: CIDRs.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Whether other projects may use it.
    #[serde(default)]
    pub shared: bool,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

request! {
    /// A subnet pool to create.
    NewSubnetPool {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Its addresses: CIDRs.
        prefixes: Vec<String>,
        /// Prefix length of subnets that do not say theirs.
        default_prefixlen: Option<u32>,
        /// Whether other projects may use it (administrators).
        shared: Option<bool>,
    }
}

impl Resource for SubnetPool {
    type New = NewSubnetPool;
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
