//! The status of a service on one machine, in words.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What Docker Engine says of a container (its API, `ContainerState.Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Never started.
    Created,
    /// Its processes run.
    Running,
    /// It ended, and the engine is about to start it again.
    Restarting,
    /// Its processes are frozen.
    Paused,
    /// Its processes ended.
    Exited,
    /// The engine failed to remove it, or removes it.
    Dead,
}

/// How a service answers its health test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceHealth {
    /// The test succeeds.
    Healthy,
    /// The test fails.
    Unhealthy,
    /// It runs, and has no test.
    Untested,
    /// A one-shot job that ended well.
    Completed,
    /// It does not run.
    Down,
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Dead => "dead",
        })
    }
}
