//! Nova server groups.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, request};

/// Servers that the scheduler places with regard to each other. Its name is the only place for
/// a mark.
#[derive(Debug, Clone, Deserialize)]
pub struct ServerGroup {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    policy: String,
    /// The policy of before 2.64, the only one of a list.
    #[serde(default)]
    policies: Vec<String>,
    /// Ids of its servers.
    #[serde(default)]
    pub members: Vec<String>,
}

request! {
    /// A server group to create.
    NewServerGroup {
        /// Name.
        name: String,
        /// Policy.
        policy: String,
    }
}

impl ServerGroup {
    /// `anti-affinity`, `affinity`, `soft-anti-affinity`, `soft-affinity`.
    pub fn policy(&self) -> &str {
        self.policies.first().unwrap_or(&self.policy)
    }
}

impl Resource for ServerGroup {
    type New = NewServerGroup;
    const KIND: Kind = Kind {
        service: Service::Compute,
        noun: "server group",
        path: "/os-server-groups",
        list: "",
        one: "server_group",
        many: "server_groups",
        by_name: ByName::Scan,
        // 2.64 brought one policy in the place of a list of them.
        microversion: Some("2.64"),
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn older(new: &NewServerGroup) -> Option<(&'static str, Value)> {
        Some(("2.64", json!({"name": new.name, "policies": [new.policy]})))
    }
}
