//! Events of containers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContainerEventKind {
    /// It was made.
    Created,
    /// It was made anew, in place of another.
    Recreated,
    /// It was started.
    Started,
    /// It ended, and the engine started it again.
    Restarted,
    /// It ended.
    Died,
    /// Its health test succeeds by now.
    Healthy,
    /// Its health test fails by now.
    Unhealthy,
    /// It is gone.
    Removed,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContainerEvent {
    /// Its number: later ones have greater ones, also those of a later server.
    pub seq: u64,
    /// When the server heard of it (RFC 3339).
    pub at: String,
    /// The yard.
    pub yard: String,
    /// Id of the host.
    pub host: String,
    /// Name of the host.
    pub host_name: String,
    /// The stack.
    pub stack: String,
    /// The service.
    pub service: String,
    /// The replica, as `web-2`.
    pub replica: String,
    /// Id of the container.
    pub container: String,
    /// What happened.
    pub kind: ContainerEventKind,
    /// Exit status, where it ended.
    pub status: Option<i64>,
    /// It ended since it used more memory than it may.
    pub oom: bool,
    /// The end of its log, where something is wrong with it.
    pub lines: Vec<String>,
}
