//! What is remembered of a rollout.

use crate::agent::Replica;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is remembered of a stack's rollout, between one look and the next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Number of the version that is being brought out.
    pub version: u64,
    /// Containers that should be, and where.
    pub slots: Vec<Slot>,
    /// How far each service is.
    pub services: BTreeMap<String, Progress>,
    /// Hosts that have the volumes of a replica, by its name; the last one that it was on.
    pub homes: BTreeMap<String, String>,
    /// What should be known, for people: volumes that were left behind.
    pub notes: BTreeMap<String, String>,
}

/// A container that should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Which replica of which service.
    pub replica: Replica,
    /// Id of its host.
    pub host: String,
    /// Generation of the service that it is of.
    pub generation: u64,
    /// When it was decided so, in milliseconds since 1970.
    pub since: i64,
    /// It has its place, but what it waits for has not got there yet: the host is not told of it.
    #[serde(default)]
    pub held: bool,
    /// When it was first seen to work.
    #[serde(default)]
    pub ready: Option<i64>,
    /// It worked long enough; or, of a job, it ended with 0.
    #[serde(default)]
    pub settled: bool,
    /// Addresses of other services of the stack that are on other hosts. They stay as long as
    /// they are right, since changing them makes the container anew.
    #[serde(default)]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

/// How far a service is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Generation that it is brought to.
    pub generation: u64,
    /// Generation that it had before, to which a failed update returns.
    #[serde(alias = "before")]
    pub previous: Option<u64>,
    /// What goes on.
    pub phase: Phase,
    /// Why it is in this phase, for people.
    #[serde(alias = "why")]
    pub reason: Option<String>,
    /// A batch is on its way.
    pub open: bool,
    /// When the last batch was done, in milliseconds since 1970.
    pub batch: Option<i64>,
    /// Generation in which the job ended.
    pub completed: Option<u64>,
}

/// What goes on with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It comes up for the first time.
    #[default]
    Starting,
    /// Its containers are replaced by those of the next generation.
    Updating,
    /// Too many of them failed: they return to the generation before.
    RollingBack,
    /// They have returned.
    RolledBack,
    /// Too many failed; nothing more is replaced until somebody deploys again or rolls back.
    Paused,
    /// All is as it should be, or was.
    Done,
}

impl Phase {
    /// Whether containers are still being replaced or started.
    pub fn is_busy(self) -> bool {
        matches!(self, Self::Starting | Self::Updating | Self::RollingBack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_an_older_server_stored_is_read() {
        let stored =
            r#"{"generation": 3, "before": 2, "phase": "paused", "why": "web-1 on a: exited with 1", "open": true}"#;
        let read: Progress = serde_json::from_str(stored).unwrap();
        assert_eq!((read.previous, read.reason.as_deref()), (Some(2), Some("web-1 on a: exited with 1")));
    }
}
