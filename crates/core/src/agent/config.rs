//! What an agent must know before it knows its server: `/etc/stackyard/agent.json`.

use crate::stack::Filesystem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where an agent looks for its configuration.
pub const CONFIG_PATH: &str = "/etc/stackyard/agent.json";

/// Configuration of an agent, JSON. The file is to be readable for root alone: as long as the
/// host has not joined, it holds a join token.
///
/// ```json
/// {
///   "server": ["https://192.0.2.10:7443"],
///   "ca": "-----BEGIN CERTIFICATE-----\n...",
///   "token": "...",
///   "name": "web-1",
///   "data_volume": {"id": "7d1c2f4e-0b8f-4c60-a6a2-5c0f5e3f9d11", "mount": "/var/lib/docker"}
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// Addresses of the server, `https://host:port`; tried in this order. One may be given
    /// as a string.
    #[serde(deserialize_with = "one_or_many")]
    pub server: Vec<String>,
    /// Certificate of the server's own CA, PEM. No other CA is trusted.
    pub ca: String,
    /// Join token; not needed any more once the host has joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Name of the host, for people.
    pub name: String,
    /// Labels of the host, for placement constraints.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Volume for Docker's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_volume: Option<DataVolume>,
    /// Greatest packet of containers, in bytes; that of the interface of the default route if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// Shows no token.
impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConfig").field("server", &self.server).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A Cinder volume that `stackyard agent prepare` mounts before Docker starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataVolume {
    /// Cinder's id of the volume.
    pub id: String,
    /// Where it is mounted.
    #[serde(default = "docker_data")]
    pub mount: String,
    /// What it is formatted with if it is blank. A volume that has a file system keeps it.
    #[serde(default)]
    pub filesystem: Filesystem,
}

fn docker_data() -> String {
    "/var/lib/docker".to_owned()
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::One(server) => vec![server],
        Either::Many(servers) => servers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_that_is_needed() {
        let config: AgentConfig =
            serde_json::from_str(r#"{"server": "https://a:1", "ca": "x", "name": "h", "data_volume": {"id": "v"}}"#)
                .unwrap();
        assert_eq!(config.server, ["https://a:1"]);
        let volume = config.data_volume.clone().unwrap();
        assert_eq!((volume.mount.as_str(), volume.filesystem), ("/var/lib/docker", Filesystem::Ext4));
        let again: AgentConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn no_token_is_shown() {
        let config = r#"{"server": ["https://a:1"], "ca": "x", "name": "h", "token": "geheim"}"#;
        let config: AgentConfig = serde_json::from_str(config).unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
        assert!(serde_json::from_str::<AgentConfig>(r#"{"server": [], "ca": "", "name": "", "tokn": "x"}"#).is_err());
    }
}
