//! Floating IPs.

use super::part;
use schemars::JsonSchema;
use serde::Deserialize;

part! {
    /// An address outside.
    FloatingIp {
        /// Name; that of the server or load balancer if absent.
        #[serde(default)]
        name: Option<String>,
        /// The external network; the only one that fits if absent.
        #[serde(default)]
        external: Option<String>,
        /// The server it leads to.
        #[serde(default)]
        server: Option<String>,
        /// On which of its networks; the first if absent.
        #[serde(default)]
        network: Option<String>,
        /// The load balancer it leads to.
        #[serde(default)]
        load_balancer: Option<String>,
    }
}
