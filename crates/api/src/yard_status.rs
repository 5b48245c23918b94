//! How a yard stands.

use crate::ResourceStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a yard stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum YardState {
    /// All is as the manifest says.
    Ok,
    /// Something is on its way.
    Working,
    /// Something differs from the manifest.
    Differs,
    /// Something is broken.
    Failing,
    /// The cloud could not be asked.
    Unknown,
}

/// What of a quota is in use. Memory is in MiB, `gigabytes` are GiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    /// Which quota, as the cloud names it.
    pub name: String,
    /// What the yard uses of it; absent where the cloud does not tell.
    pub yard: Option<i64>,
    /// What the project uses of it.
    pub used: i64,
    /// What there may be; absent without a limit.
    pub limit: Option<i64>,
}

/// How a yard stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct YardStatus {
    /// The yard.
    pub yard: String,
    /// Its cloud.
    pub cloud: Option<String>,
    /// When the cloud was asked (RFC 3339).
    pub looked: String,
    /// How it stands, in a word.
    pub state: YardState,
    /// Why nothing is known.
    pub error: Option<String>,
    /// Its resources; without rules of security groups.
    pub resources: Vec<ResourceStatus>,
    /// The project's quotas, as far as the cloud tells them.
    pub quotas: Vec<QuotaUse>,
}
