//! Archives: files that a stack carries to its hosts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Archives that a stack is about to mount.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveCheck {
    /// Their digests: SHA-256 of the tar, 64 lowercase hex digits.
    #[schema(max_items = 10000)]
    pub digests: Vec<String>,
}

/// What the server has of archives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArchiveNeeds {
    /// Digests of those that it does not have: upload them before the stack is deployed.
    pub missing: Vec<String>,
    /// Bytes that all archives of one stack may have together.
    pub limit: u64,
}
