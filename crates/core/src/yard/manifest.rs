//! The manifest of a yard, as people write it. Its JSON Schema is `docs/schema/yard.schema.json`,
//! its description `docs/reference/manifest.md`. Names that the manifest does not define are names or ids of
//! what is in the cloud already.

mod floating_ip;
mod host;
mod keypair;
mod load_balancer;
mod network;
mod object_container;
mod package;
mod security_group;
mod server;
mod stack;
mod volume;

pub use floating_ip::FloatingIp;
pub use host::{CommandJoin, DataVolume, DockerJoin, HostAddress, HostPool, HttpHook, Join, SshJoin, Via};
pub use keypair::Keypair;
pub use load_balancer::{Algorithm, BalancedProtocol, HealthMonitor, Listener, LoadBalancer, Member, MonitorType};
pub use network::{Ipv6Mode, Network, NetworkRouter, Router, Subnet};
pub use object_container::ObjectContainer;
pub use package::PackageEntry;
pub use security_group::{Direction, Rule, SecurityGroup};
pub use server::{Attach, BootVolume, Policy, Server, ServerGroup};
pub use stack::{Answer, OneOrMany, Stack};
pub use volume::Volume;

use schemars::JsonSchema;
use serde::Deserialize;

/// Format of manifests.
pub const API_VERSION: &str = "stackyard.dev/v1";
/// Kind of this manifest.
pub const KIND: &str = "Yard";

/// Defines a part of the manifest.
macro_rules! part {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name { $($(#[$fmeta])* pub $field: $type,)* }
    };
}
use part;

part! {
    /// A yard: networks, servers and what belongs to them, on one cloud.
    Manifest {
        /// `stackyard.dev/v1`.
        api_version: String,
        /// `Yard`.
        kind: String,
        /// Who it is.
        metadata: Metadata,
        /// What there should be.
        spec: Spec,
    }
}

part! {
    /// Who a yard is.
    Metadata {
        /// Its name: lower case letters, digits, dashes. All its resources carry it.
        name: String,
    }
}

part! {
    /// What there should be.
    Spec {
        /// The cloud: an entry of clouds.yaml. Without it OS_CLOUD, the OS_* variables, or the
        /// only entry decide.
        #[serde(default)]
        cloud: Option<String>,
        /// Network of the yard that networks of stacks are in if they name no driver, or `none`: they stay on each
        /// host. If absent, the only network of the yard that all hosts of pools are on counts.
        #[serde(default)]
        stack_network: Option<String>,
        /// Networks.
        #[serde(default)]
        networks: Vec<Network>,
        /// Routers between several networks; a network's `router` is shorter for one.
        #[serde(default)]
        routers: Vec<Router>,
        /// Security groups.
        #[serde(default)]
        security_groups: Vec<SecurityGroup>,
        /// SSH keys.
        #[serde(default)]
        keypairs: Vec<Keypair>,
        /// Volumes.
        #[serde(default)]
        volumes: Vec<Volume>,
        /// Groups of servers that are kept apart or together.
        #[serde(default)]
        server_groups: Vec<ServerGroup>,
        /// Pools of container hosts.
        #[serde(default)]
        hosts: Vec<HostPool>,
        /// Servers.
        #[serde(default)]
        servers: Vec<Server>,
        /// Load balancers.
        #[serde(default)]
        load_balancers: Vec<LoadBalancer>,
        /// Object containers.
        #[serde(default)]
        object_containers: Vec<ObjectContainer>,
        /// Addresses outside that lead to servers and load balancers.
        #[serde(default, rename = "floatingIPs")]
        floating_ips: Vec<FloatingIp>,
        /// Stacks: Compose files over the yard's hosts.
        #[serde(default)]
        stacks: Vec<Stack>,
        /// Packages, each with all that it brings.
        #[serde(default)]
        packages: Vec<PackageEntry>,
    }
}

/// The JSON Schema of manifests, for editors.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Manifest).to_value();
    schema["title"] = "Yard".into();
    schema["$id"] = "https://stackyard.dev/schema/yard.schema.json".into();
    schema["properties"]["apiVersion"] = serde_json::json!({"const": API_VERSION});
    schema["properties"]["kind"] = serde_json::json!({"const": KIND});
    schema
}
