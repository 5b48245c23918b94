//! How something is: one vocabulary for resources, servers, hosts, stacks, services and containers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How something is, from best to worst; a field `reason` next to it says why, unless it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It works as it should. A job: it has ended well.
    #[default]
    Ready,
    /// What runs on it leaves, or has left, and nothing new is placed there.
    Draining,
    /// It is on its way, or waits for others.
    Progressing,
    /// Whoever could say is not reached: a host's agent is not connected.
    Unknown,
    /// It should be there, and is not.
    Missing,
    /// It is there and does not work as it should. That may pass.
    Degraded,
    /// It was given up, or is of no use any more: it needs a person.
    Failed,
}

impl Health {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Progressing => "progressing",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }

    /// The word in a table of a terminal: what needs a person's eye is in capitals.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Degraded => "DEGRADED",
            Self::Failed => "FAILED",
            Self::Missing => "MISSING",
            other => other.word(),
        }
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Health; 7] = [
        Health::Ready,
        Health::Draining,
        Health::Progressing,
        Health::Unknown,
        Health::Missing,
        Health::Degraded,
        Health::Failed,
    ];

    #[test]
    fn the_word_is_the_one_in_json() {
        for health in ALL {
            assert_eq!(serde_json::to_value(health).unwrap(), health.word());
            assert_eq!(health.label().to_lowercase(), health.word());
        }
    }

    #[test]
    fn a_group_is_as_bad_as_its_worst_member() {
        assert!(ALL.is_sorted());
        assert_eq!([Health::Ready, Health::Missing, Health::Progressing].into_iter().max(), Some(Health::Missing));
    }
}
