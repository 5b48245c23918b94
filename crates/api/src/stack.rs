//! Stacks of a yard.

use serde::{Deserialize, Serialize};
use stackyard_core::rollout::{Packed, Status};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A stack to deploy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StackDeploy {
    /// The stack, with the content of its configs and secrets, as the command line packs it.
    #[schema(value_type = Object)]
    pub stack: Packed,
    /// Only hosts of this pool are used.
    #[serde(default)]
    pub pool: Option<String>,
    /// It is in the yard's manifest: when it is not any more, it goes. A stack stays so whoever
    /// deploys it next.
    #[serde(default)]
    pub declared: bool,
    /// `stackNetwork` of the manifest: a network of the yard, or `none`. If absent, the manifest that the server keeps
    /// counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

/// A stack.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StackView {
    /// Its yard.
    pub yard: String,
    /// Its name.
    pub name: String,
    /// It is being removed.
    pub removing: bool,
    /// Only hosts of this pool are used.
    pub pool: Option<String>,
    /// It came from the yard's manifest.
    pub declared: bool,
    /// Its versions that are kept, the newest first.
    pub versions: Vec<StackVersion>,
    /// Number of the version that a roll back goes to unless told otherwise: the last one that
    /// worked. Absent if there is none.
    pub previous: Option<u64>,
    /// When it was last deployed (RFC 3339).
    pub deployed: String,
    /// How it stands: services with their containers, what is not as it should be.
    pub status: Status,
}

/// A version of a stack: what was deployed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StackVersion {
    /// Its number.
    pub number: u64,
    /// All of it was ready once.
    pub succeeded: bool,
}

/// What happens to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StackChange {
    /// The service.
    pub service: String,
    /// What happens to it.
    pub kind: StackChangeKind,
    /// The parts of it that differ.
    pub reasons: Vec<String>,
    /// Sentences about its networks: where they are, and which services they lead to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl StackChange {
    /// The notes of all changes, each once.
    pub fn notes(changes: &[Self]) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for note in changes.iter().flat_map(|change| &change.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        notes
    }
}

/// How a deployment changes a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StackChangeKind {
    /// The stack did not have it.
    New,
    /// It differs from what was deployed last.
    Changed,
    /// The stack has it no longer.
    Removed,
    /// It stays as it is.
    Same,
}

impl std::fmt::Display for StackChangeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Same => "the same",
        })
    }
}

/// How many containers services are to have.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StackScale {
    /// Number by service.
    pub services: BTreeMap<String, u32>,
}
