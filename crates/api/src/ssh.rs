//! Hosts that are installed over SSH.

use crate::NewJoin;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The public half of a pool's key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PoolKey {
    /// As in authorized_keys.
    pub public_key: String,
}

/// A volume for Docker's data.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SshDisk {
    /// Cinder's id.
    pub id: String,
    /// Where it is mounted.
    pub mount: String,
}

/// A machine that is to become a host.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SshJoin {
    /// What it joins. The pool says which key is used.
    pub join: NewJoin,
    /// Nova's id of the server, by which its host key is remembered.
    pub server_id: String,
    /// Its address.
    pub address: String,
    /// Who logs in: root, or somebody with sudo without a password.
    pub user: String,
    /// Fingerprints (`SHA256:...`) of its host keys, one of which it must have; without, the first
    /// one that is seen is trusted.
    #[serde(default)]
    pub fingerprints: Vec<String>,
    /// Volume for Docker's data.
    #[serde(default)]
    pub disk: Option<SshDisk>,
}

/// One line of the answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SshEvent {
    /// Nothing new.
    Pulse,
    /// What goes on.
    Line(String),
    /// It has ended, with what went wrong, if anything did.
    End(Option<String>),
}
