//! Pools of container hosts.

use super::super::short::{self, Short};
use super::super::words::{Share, Size};
use super::part;
use super::server::{Attach, BootVolume};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json_path::JsonPath;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

part! {
    /// A pool of container hosts that are like each other: `pool-1`, `pool-2` ...
    HostPool {
        /// Name.
        pool: String,
        /// How many hosts; one if absent. With fewer, those with the highest numbers go.
        #[serde(default)]
        count: Option<u32>,
        /// Flavor.
        flavor: String,
        /// Image.
        image: String,
        /// Its only network; the yard's if there is just one.
        #[serde(default)]
        network: Option<String>,
        /// Its networks: names, or more. The first is the one that leads out.
        #[serde(default, deserialize_with = "short::list")]
        #[schemars(with = "Vec<Short<Attach>>")]
        networks: Vec<Attach>,
        /// Security groups, on all its networks that do not say otherwise.
        #[serde(default)]
        security_groups: Vec<String>,
        /// Keypair. Pools that join by SSH have one of their own.
        #[serde(default)]
        key: Option<String>,
        /// User data of your own (of any form that cloud-init knows), as text. It is kept as it is,
        /// beside ours.
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
        /// Labels that stacks place their services by.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// Where the hosts run.
        #[serde(default)]
        availability_zone: Option<String>,
        /// Whether they get metadata and user data as a disk, too.
        #[serde(default)]
        config_drive: Option<bool>,
        /// Boot from a volume that is filled from the image.
        #[serde(default)]
        boot_volume: Option<BootVolume>,
        /// Server group.
        #[serde(default)]
        group: Option<String>,
        /// A floating IP for each host: `true`, or the external network that it is from.
        #[serde(default, rename = "floatingIP")]
        floating_ip: Option<HostAddress>,
        /// A volume of each host's own, for what its containers keep.
        #[serde(default)]
        data_volume: Option<DataVolume>,
        /// How they become container hosts; `{docker: {}}` if absent.
        #[serde(default)]
        join: Join,
        /// Minutes that a host may take from its creation until it has joined; 20 if absent. One
        /// that takes longer is broken, and replaced by the next `up`.
        #[serde(default)]
        join_timeout: Option<u32>,
        /// Whether a host whose agent has been away for 10 minutes is replaced.
        #[serde(default)]
        heal: bool,
        /// How many hosts may be away at once while the pool is replaced: a number or a
        /// percentage, rounded down; one at least, which is also what it is if absent.
        #[serde(default)]
        max_unavailable: Option<Share>,
    }
}

part! {
    /// A volume of each host's own. It stays when its host is replaced.
    DataVolume {
        /// Size. It can grow, but not shrink.
        #[schemars(with = "Size")]
        size: Size,
        /// Where it is mounted; `/var/lib/docker` if absent.
        #[serde(default)]
        mount: Option<String>,
        /// Type; the cloud's default if absent.
        #[serde(default, rename = "type")]
        volume_type: Option<String>,
        /// Where it is.
        #[serde(default)]
        availability_zone: Option<String>,
    }
}

part! {
    /// How servers become container hosts: one of the three.
    #[derive(Default)]
    Join {
        /// By user data: a Stackyard server's agent with Docker Engine.
        #[serde(default)]
        docker: Option<DockerJoin>,
        /// The same, installed over SSH: for images and clouds where user data will not do.
        #[serde(default)]
        ssh: Option<SshJoin>,
        /// By somebody else's command, as of Rancher or k3s; or that command itself, as text.
        #[serde(default, deserialize_with = "short::option")]
        #[schemars(with = "Option<Short<CommandJoin>>")]
        command: Option<CommandJoin>,
    }
}

part! {
    /// Nothing needs to be said.
    #[derive(Default)]
    DockerJoin {}
}

part! {
    /// Over SSH.
    SshJoin {
        /// Who logs in; `debian` if absent. Needs to be root, or to have sudo without a password.
        #[serde(default)]
        user: Option<String>,
        /// Which address is called; the floating IP where there is one, if absent.
        #[serde(default)]
        via: Option<Via>,
    }
}

/// The address at which a server is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Via {
    /// Its floating IP.
    #[serde(rename = "floatingIP")]
    FloatingIp,
    /// The address on its first network.
    #[serde(rename = "direct")]
    Direct,
}

part! {
    /// Somebody else's command. It is fetched fresh for each server that is made, and run once, as
    /// root, on its first boot, with CATTLE_ID set to the server's id.
    #[derive(Default)]
    CommandJoin {
        /// The command itself, where it does not expire.
        #[serde(default)]
        text: Option<String>,
        /// A program of this machine that prints the command, with its arguments. A path with a
        /// slash is relative to the manifest.
        #[serde(default)]
        program: Vec<String>,
        /// A request that answers with the command.
        #[serde(default)]
        http: Option<HttpHook>,
        /// Variables for the program or, as `${NAME}`, for parts of the request.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// What is put before the command.
        #[serde(default)]
        prefix: Option<String>,
        /// What is put behind it, as Rancher's roles: `--worker`.
        #[serde(default)]
        suffix: Option<String>,
    }
}

impl From<String> for CommandJoin {
    fn from(text: String) -> Self {
        Self { text: Some(text), ..Self::default() }
    }
}

part! {
    /// An HTTP request whose JSON answer holds the command. `${NAME}` in address, headers and body
    /// stands for a variable of the environment of `stackyard up`.
    HttpHook {
        /// Address.
        url: String,
        /// Method; GET, or POST where there is a body, if absent.
        #[serde(default)]
        method: Option<String>,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Body.
        #[serde(default)]
        body: Option<String>,
        /// Where in the answer the command is, as `$.data[0].nodeCommand` (RFC 9535, names and numbers only).
        json_path: String,
        /// PEM certificates to trust beside the system's, a file relative to the manifest.
        #[serde(default)]
        ca_file: Option<String>,
    }
}

impl HttpHook {
    /// Where in the answer the command is.
    ///
    /// Only singular queries (RFC 9535, 2.3.5.1): with `..`, wildcards, lists and filters, a short path finds more nodes
    /// of a small answer than a machine can hold.
    ///
    /// # Errors
    /// A sentence about the path.
    pub fn path(&self) -> Result<JsonPath, String> {
        let text = &self.json_path;
        let path = JsonPath::parse(text).map_err(|e| format!("`{text}`: {e}"))?;
        // In a comparison, the grammar allows no other queries, and a whole path cannot end the comparison.
        match JsonPath::parse(&format!("$[?{text} == 0]")) {
            Ok(_) => Ok(path),
            Err(_) => Err(format!("`{text}` may lead to several places; use names and numbers only")),
        }
    }
}

/// A floating IP for each host: `true`, or the external network that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAddress {
    /// Whether there is one, from the only external network that fits.
    Wanted(bool),
    /// From this external network.
    From(String),
}

impl<'de> Deserialize<'de> for HostAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = HostAddress;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or the name of an external network")
            }
            fn visit_bool<E: Error>(self, wanted: bool) -> Result<HostAddress, E> {
                Ok(HostAddress::Wanted(wanted))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<HostAddress, E> {
                Ok(HostAddress::From(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for HostAddress {
    fn schema_name() -> Cow<'static, str> {
        "HostAddress".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["boolean", "string"]})
    }
}
