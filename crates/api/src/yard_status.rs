//! How a yard stands.

use crate::ResourceStatus;
use serde::{Deserialize, Serialize};
use stackyard_core::health::Health;
use utoipa::ToSchema;

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
    pub observed_at: String,
    /// The worst health of its resources; `unknown` where the cloud could not be asked.
    pub health: Health,
    /// Whether a run would change nothing: the cloud has what the manifest says.
    pub in_sync: bool,
    /// Why nothing is known.
    pub error: Option<String>,
    /// Its resources; without rules of security groups.
    pub resources: Vec<ResourceStatus>,
    /// The project's quotas, as far as the cloud tells them.
    pub quotas: Vec<QuotaUse>,
}
