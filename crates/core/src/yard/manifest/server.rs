//! Servers and server groups.

use super::super::short::{self, Short};
use super::super::words::Size;
use super::part;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

part! {
    /// Servers that the scheduler places with regard to each other.
    ServerGroup {
        /// Name.
        name: String,
        /// How.
        #[serde(default)]
        policy: Policy,
    }
}

/// How servers of a group are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// On different hosts.
    #[default]
    AntiAffinity,
    /// On different hosts, where possible.
    SoftAntiAffinity,
    /// On one host.
    Affinity,
    /// On one host, where possible.
    SoftAffinity,
}

impl Policy {
    /// Nova's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::AntiAffinity => "anti-affinity",
            Self::SoftAntiAffinity => "soft-anti-affinity",
            Self::Affinity => "affinity",
            Self::SoftAffinity => "soft-affinity",
        }
    }
}

part! {
    /// A server, or `count` of them.
    Server {
        /// Name; with `count` of them `name-1`, `name-2` ...
        name: String,
        /// How many.
        #[serde(default)]
        count: Option<u32>,
        /// Flavor.
        flavor: String,
        /// Image.
        #[serde(default)]
        image: Option<String>,
        /// Its only network; the yard's if there is just one.
        #[serde(default)]
        network: Option<String>,
        /// Its networks: names, or more.
        #[serde(default, deserialize_with = "short::list")]
        #[schemars(with = "Vec<Short<Attach>>")]
        networks: Vec<Attach>,
        /// Security groups, on all its networks that do not say otherwise.
        #[serde(default)]
        security_groups: Vec<String>,
        /// Keypair.
        #[serde(default)]
        key: Option<String>,
        /// User data (cloud-config, a script), as text.
        #[serde(default)]
        user_data: Option<String>,
        /// A file with it, relative to the manifest.
        #[serde(default)]
        user_data_file: Option<String>,
        /// Metadata of your own.
        #[serde(default)]
        metadata: BTreeMap<String, String>,
        /// Tags of your own.
        #[serde(default)]
        tags: Vec<String>,
        /// Where it runs.
        #[serde(default)]
        availability_zone: Option<String>,
        /// Whether it gets metadata and user data as a disk, too.
        #[serde(default)]
        config_drive: Option<bool>,
        /// Boot from a volume that is filled from the image.
        #[serde(default)]
        boot_volume: Option<BootVolume>,
        /// Volumes to attach.
        #[serde(default)]
        volumes: Vec<String>,
        /// Server group.
        #[serde(default)]
        group: Option<String>,
    }
}

part! {
    /// A network of a server.
    Attach {
        /// The network.
        network: String,
        /// Fixed addresses.
        #[serde(default, deserialize_with = "short::one_or_many", alias = "addresses")]
        #[schemars(with = "OneOrMany<IpAddr>")]
        address: Vec<IpAddr>,
        /// Security groups there; those of the server if absent.
        #[serde(default)]
        security_groups: Option<Vec<String>>,
        /// Whether security groups and own addresses are enforced there.
        #[serde(default)]
        port_security: Option<bool>,
    }
}

/// Schema of a value or a list of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl From<String> for Attach {
    fn from(network: String) -> Self {
        Self { network, address: Vec::new(), security_groups: None, port_security: None }
    }
}

part! {
    /// A volume to boot from.
    BootVolume {
        /// Size.
        #[schemars(with = "Size")]
        size: Size,
        /// Type; the cloud's default if absent.
        #[serde(default, rename = "type")]
        volume_type: Option<String>,
    }
}
