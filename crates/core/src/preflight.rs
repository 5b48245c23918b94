//! The report of checks that are made before anything is changed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a check came out. Later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PreflightOutcome)]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// Worth knowing; nothing to do.
    Info,
    /// It works, degraded.
    Warn,
    /// A blocker.
    Fail,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// One row of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PreflightCheck)]
pub struct Check {
    /// Stable name, theme first: `kvm.guest`.
    pub id: String,
    /// What was checked.
    pub title: String,
    /// How it came out.
    pub result: Outcome,
    /// What was seen.
    pub seen: String,
    /// What is lost, or used instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    /// A check that came out as `result`; `seen` says what was found.
    pub fn new(id: &str, title: &str, result: Outcome, seen: impl Into<String>) -> Self {
        Self { id: id.to_owned(), title: title.to_owned(), result, seen: seen.into(), means: None, mend: None }
    }

    /// A check with nothing to do.
    pub fn pass(id: &str, title: &str, seen: impl Into<String>) -> Self {
        Self::new(id, title, Outcome::Pass, seen)
    }

    /// A check with something worth knowing.
    pub fn info(id: &str, title: &str, seen: impl Into<String>) -> Self {
        Self::new(id, title, Outcome::Info, seen)
    }

    /// A check that found a degraded feature.
    pub fn warn(id: &str, title: &str, seen: impl Into<String>) -> Self {
        Self::new(id, title, Outcome::Warn, seen)
    }

    /// A check that found a blocker.
    pub fn fail(id: &str, title: &str, seen: impl Into<String>) -> Self {
        Self::new(id, title, Outcome::Fail, seen)
    }

    /// Adds what is lost, or used instead.
    pub fn means(mut self, text: impl Into<String>) -> Self {
        self.means = Some(text.into());
        self
    }

    /// Adds how to fix it.
    pub fn mend(mut self, text: impl Into<String>) -> Self {
        self.mend = Some(text.into());
        self
    }
}

/// All checks, in the order of their themes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PreflightReport)]
pub struct Report {
    /// Whether a check failed.
    pub blocked: bool,
    /// Time that all checks took together, in milliseconds.
    pub took_ms: u64,
    /// The rows.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether something stands in the way of `cloud up`.
    pub fn blocked(&self) -> bool {
        self.blocked
    }

    /// Rows with a result of `at_least`, e.g. all warnings and blockers.
    pub fn at_least(&self, at_least: Outcome) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |c| c.result >= at_least)
    }

    /// Number of rows with this result.
    pub fn count(&self, result: Outcome) -> usize {
        self.checks.iter().filter(|c| c.result == result).count()
    }

    /// The row with `id`.
    pub fn get(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|c| c.id == id)
    }
}
