//! Runs of a yard.

use serde::{Deserialize, Serialize};
use stackyard_core::progress::Amount;
use utoipa::ToSchema;

/// A run of a yard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Its id; ids grow with time.
    pub id: String,
    /// The yard.
    pub yard: String,
    /// What it does.
    pub kind: RunKind,
    /// Revision of the manifest; none for a removal.
    pub revision: Option<i64>,
    /// Who began it, as in the audit log.
    pub actor: String,
    /// When (RFC 3339).
    pub began: String,
    /// When it ended (RFC 3339).
    pub ended: Option<String>,
    /// How it stands, or ended.
    pub state: RunState,
    /// Why it did not end well.
    pub error: Option<String>,
    /// Steps, and how many of them were done and failed.
    pub steps: RunCounts,
}

/// Steps of a run, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunCounts {
    /// All.
    pub all: usize,
    /// Those that were done.
    pub done: usize,
    /// Those that failed.
    pub failed: usize,
}

impl RunCounts {
    /// Of these steps.
    pub fn of(steps: &[RunStep]) -> Self {
        let count = |state| steps.iter().filter(|s| s.state == state).count();
        Self {
            all: steps.len(),
            done: count(StepState::Done),
            failed: count(StepState::Failed),
        }
    }
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    pub run: RunView,
    /// Its steps.
    pub steps: Vec<RunStep>,
    /// What was said that is of no step.
    pub notes: Vec<String>,
}

/// What an event of a run tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RunEvent {
    /// A step that is new, or has changed.
    Step(RunStep),
    /// The run, without its steps.
    Run(RunDetail),
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// It brings the yard to what its manifest says.
    Up,
    /// It removes the yard.
    Down,
}

/// How a run stands, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It goes on.
    Running,
    /// All was done.
    Done,
    /// Something failed.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Its server stopped, or was killed.
    Interrupted,
}

impl RunState {
    /// The word that the store has.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// The state that is written so.
    pub fn of(word: &str) -> Self {
        let all = [Self::Running, Self::Done, Self::Failed, Self::Cancelled];
        all.into_iter()
            .find(|s| s.word() == word)
            .unwrap_or(Self::Interrupted)
    }
}

/// How a step of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It waits for others.
    Waiting,
    /// It is being done.
    Running,
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// It was not begun, since it needs what failed, or the run ended before.
    Skipped,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunStep {
    /// About what, as `server web-1`.
    pub step: String,
    /// What is done about it, in a word of the plan; absent for what a plan does not name.
    pub action: Option<String>,
    /// How it stands.
    pub state: StepState,
    /// What is being done, or was done.
    pub doing: String,
    /// How far it is.
    pub amount: Option<Amount>,
    /// What was said meanwhile: requests that were sent again, what is waited for.
    pub notes: Vec<String>,
    /// Why it failed: what was tried, what the cloud said, and the end of a server's console.
    pub error: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Time that it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// When it was begun, in milliseconds since 1970.
    #[serde(default)]
    pub began_ms: Option<i64>,
    /// Time that this step, else steps of its kind, took in this yard lately, in milliseconds; absent where
    /// none is known.
    #[serde(default)]
    pub usual_ms: Option<u64>,
    /// Steps of the run that must have ended before it begins.
    #[serde(default)]
    pub after: Vec<String>,
    /// Number of the last change; later changes of any step of the run have greater ones.
    pub seq: u64,
}
