//! A first manifest from a few choices.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How servers of a pool become container hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DraftJoin {
    /// By user data: an agent of the Stackyard server with Docker Engine.
    #[default]
    Docker,
    /// The same, installed over SSH.
    Ssh,
    /// By somebody else's command.
    Command,
}

/// What goes into a first manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct YardDraft {
    /// The yard's name.
    pub name: String,
    /// Whether its machines are a pool of container hosts; plain servers if not.
    pub hosts: bool,
    /// Name of the pool, or of the servers.
    pub machine: String,
    /// How many machines.
    pub count: u32,
    /// Image; to be filled in later if absent.
    pub image: Option<String>,
    /// Flavor; to be filled in later if absent.
    pub flavor: Option<String>,
    /// A network that is there; a new one if absent.
    pub network: Option<String>,
    /// Addresses of a new network.
    pub cidr: String,
    /// The external network that a new network leads to and that floating IPs are from.
    pub external: Option<String>,
    /// The keypair.
    pub key: Option<String>,
    /// Whether each machine gets a floating IP.
    pub floating_ip: bool,
    /// Size of a data volume, as `10Gi`: of the only server, or of each host.
    pub data_volume: Option<String>,
    /// How hosts join.
    pub join: DraftJoin,
    /// The command by which they do, for `join: command`.
    pub command: Option<String>,
}

impl Default for YardDraft {
    fn default() -> Self {
        Self {
            name: "my-yard".to_owned(),
            hosts: false,
            machine: "first".to_owned(),
            count: 1,
            image: None,
            flavor: None,
            network: None,
            cidr: "10.20.0.0/24".to_owned(),
            external: None,
            key: None,
            floating_ip: false,
            data_volume: None,
            join: DraftJoin::Docker,
            command: None,
        }
    }
}

/// A mistake in a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DraftError {
    /// Which field of the draft; empty for all of it.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl DraftError {
    /// A fault of `field`; empty for all of the draft.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            message: message.into(),
            hint: None,
        }
    }
}
