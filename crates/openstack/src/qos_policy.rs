//! Neutron QoS policies.

use serde::Deserialize;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Never, Resource};

/// A QoS policy.
#[derive(Debug, Clone, Deserialize)]
pub struct QosPolicy {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
}

impl Resource for QosPolicy {
    type New = Never;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "QoS policy",
        path: "/qos/policies",
        list: "",
        one: "policy",
        many: "policies",
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
