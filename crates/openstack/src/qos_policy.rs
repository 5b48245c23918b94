//! Neutron QoS policies (extension `qos`).

use serde::Deserialize;
use serde_json::json;

use crate::Method;
use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::{ByName, Kind, Resource, request};

/// A QoS policy.
#[derive(Debug, Clone, Deserialize)]
pub struct QosPolicy {
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
    /// Its rules.
    #[serde(default)]
    pub rules: Vec<QosRule>,
}

/// A rule of a QoS policy.
#[derive(Debug, Clone, Deserialize)]
pub struct QosRule {
    /// Its kind: `bandwidth_limit` and others, which have none of the rest.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Which way: `ingress` is to the port, `egress` from it.
    pub direction: Option<String>,
    /// Most in the long run, in kbit/s.
    pub max_kbps: Option<u64>,
    /// Most at once, in kbit.
    pub max_burst_kbps: Option<u64>,
}

request! {
    /// A QoS policy to create (administrators, unless the cloud says otherwise). It has no rules yet.
    NewQosPolicy {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
    }
}

request! {
    /// A rule of a QoS policy that limits the bandwidth of ports.
    NewBandwidthLimit {
        /// Most in the long run, in kbit/s.
        max_kbps: u64,
        /// Most at once, in kbit; 0 is for the cloud to choose.
        max_burst_kbps: u64,
        /// Which way: `ingress` is to the port, `egress` from it.
        direction: String,
    }
}

impl Resource for QosPolicy {
    type New = NewQosPolicy;
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

impl Cloud {
    /// Adds a limit to a QoS policy.
    ///
    /// # Errors
    /// [`crate::Error::Api`], as 409 if it has one for that direction; [`crate::Error::Transport`].
    pub async fn limit_bandwidth(&self, policy: &str, limit: &NewBandwidthLimit) -> Result<()> {
        let path = format!("/qos/policies/{}/bandwidth_limit_rules", segment(policy));
        let call = self.call(Method::POST, Service::Network, path).on("limit of QoS policy", policy);
        call.json(&json!({"bandwidth_limit_rule": limit})).done().await
    }
}
