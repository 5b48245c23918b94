//! What a long operation tells its onlooker.
//!
//! One vocabulary for everything that takes time (deploying a stack, building or pulling
//! an image, seeding a cloud), so that one printer serves them all: progress bars on a
//! terminal, plain lines in a pipe, one JSON object a line with `--json`.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Something that happened in a long operation.
///
/// A step is named by a short stable key that is unique within the operation, such as
/// `container keystone-api` or `image openstack`. Each step starts once and ends once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step began.
    Started {
        /// Key of the step.
        step: String,
        /// What is being done, as a present participle: `creating`, `waiting for mariadb`.
        doing: String,
    },
    /// A step got further. May come many times a second; printers thin it out.
    Progress {
        /// Key of the step.
        step: String,
        /// What is being done now, when that changed.
        #[serde(skip_serializing_if = "Option::is_none")]
        doing: Option<String>,
        /// How far it got. Without it, what `doing` newly says is not counted.
        #[serde(skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
    },
    /// Something worth a line of its own.
    Note {
        /// Step that it belongs to, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// The line.
        text: String,
    },
    /// A step ended well.
    Done {
        /// Key of the step.
        step: String,
        /// What was done, as a past participle: `created`, `healthy`.
        did: String,
        /// Time it took, in milliseconds.
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// A step failed.
    Failed {
        /// Key of the step.
        step: String,
        /// The error with its causes.
        error: String,
    },
}

/// How far a step got.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Amount {
    /// Done so far, in `unit`.
    pub done: u64,
    /// All there is to do, in `unit`, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

/// What an [`Amount`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AmountUnit)]
pub enum Unit {
    /// Bytes; shown with rate and time left.
    Bytes,
    /// Things: packages, layers, containers.
    Items,
}

/// Who listens to a long operation.
pub trait Onlooker: Send + Sync {
    /// Takes one event; must return quickly and never fail.
    fn see(&self, event: Event);
}

/// Listens to nothing.
impl Onlooker for () {
    fn see(&self, _: Event) {}
}

impl<F: Fn(Event) + Send + Sync> Onlooker for F {
    fn see(&self, event: Event) {
        self(event);
    }
}

fn millis<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
