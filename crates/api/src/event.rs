//! Numbers that grow with changes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How often each noun changed since the server started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revisions {
    /// Which start of the server: numbers of different ones cannot be compared.
    pub server: i64,
    /// Hosts: joins, connections, reports, drains, removals.
    pub hosts: u64,
    /// Stacks: deployments, and how they stand.
    pub stacks: u64,
    /// Manifests of yards.
    pub yards: u64,
    /// Runs of yards: they begin and end.
    pub runs: u64,
    /// Tokens.
    pub tokens: u64,
    /// The audit log.
    pub audit: u64,
    /// Clouds, as far as somebody asked for a yard on them lately: what they have.
    pub clouds: u64,
    /// The cloud of the server's machine: its runs begin and end, and while somebody watches its services.
    pub local: u64,
}
