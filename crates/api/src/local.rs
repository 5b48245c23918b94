//! The cloud of the server's machine.

use crate::{RunCounts, RunState, RunStep};
use serde::{Deserialize, Serialize};
use stackyard_core::preflight::Check;
use stackyard_core::stack::status::{ServiceHealth, ServiceState};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The cloud of the server's machine, and whether the server can change it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalView {
    /// Why this server cannot bring a cloud up, and what would be needed; empty if it can.
    pub obstacles: Vec<String>,
    /// The server's state directory, which is the cloud's.
    pub home: String,
    /// Whether a cloud was brought up from it, and not purged.
    pub there: bool,
    /// The newest run.
    pub run: Option<LocalRun>,
}

/// A run that changes the cloud, or plans to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalRun {
    /// Its id; ids grow with time.
    pub id: String,
    /// What it does: `plan`, `up` or `down`.
    pub kind: String,
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

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalDetail {
    /// The run.
    pub run: LocalRun,
    /// Its steps.
    pub steps: Vec<RunStep>,
    /// What was said that is of no step.
    pub notes: Vec<String>,
    /// What preflight saw, and the plan once it is known.
    pub outlook: Option<LocalPreview>,
}

/// What the cloud is to be. What is not answered stays as it was answered last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LocalRequest {
    /// To know what bringing it up would do: images are made, nothing else.
    Plan {
        /// Answers by question.
        #[serde(default)]
        set: BTreeMap<String, String>,
        /// Questions whose default is to count again.
        #[serde(default)]
        unset: Vec<String>,
        /// Go on in spite of what preflight says.
        #[serde(default)]
        force: bool,
    },
    /// Up, as a plan says.
    Up {
        /// Answers by question, as for the plan.
        #[serde(default)]
        set: BTreeMap<String, String>,
        /// Questions whose default is to count again, as for the plan.
        #[serde(default)]
        unset: Vec<String>,
        /// Go on in spite of what preflight says.
        #[serde(default)]
        force: bool,
        /// Digest of the plan that somebody said yes to: if something else would be done by now, nothing is.
        plan: String,
    },
    /// Down. Its data stays, unless `purge` says otherwise.
    Down {
        /// `purge`: remove the data, too, with the secrets and the entry in clouds.yaml.
        #[serde(default)]
        purge: Option<String>,
    },
}

/// The services of the cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalServices {
    /// Whether there are any, and every one is well.
    pub healthy: bool,
    /// PSS of all, in bytes.
    pub memory: u64,
    /// They, by name.
    pub services: Vec<LocalService>,
    /// When they were looked at (RFC 3339); absent if they never were.
    pub observed_at: Option<String>,
    /// Why they cannot be looked at now.
    pub error: Option<String>,
}

/// A service of the cloud, or a job that prepares one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalService {
    /// The service.
    pub service: String,
    /// Id of its container.
    pub container: String,
    /// It is a one-shot job.
    pub job: bool,
    /// Image that it was made from.
    pub image: String,
    /// What Docker Engine says of its container.
    pub state: ServiceState,
    /// Exit status, once it has ended.
    pub exit_status: Option<i64>,
    /// What a real request to it found.
    pub health: ServiceHealth,
    /// Whether that is as it should be.
    pub ok: bool,
    /// Why it is not: what the health test said.
    pub reason: Option<String>,
    /// Times that the engine started it again by itself.
    pub restarts: i64,
    /// When it was last started (RFC 3339).
    pub started: Option<String>,
    /// Memory of its processes in bytes (PSS: shared pages counted in shares); absent if it does not run.
    pub memory: Option<u64>,
}

/// Type of a question's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// One of the options.
    Enum,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A network as address/prefix.
    Cidr,
    /// A host name or domain name (RFC 1123).
    Hostname,
    /// The name of a network interface.
    Interface,
    /// A text that is never shown.
    Password,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerOrigin {
    /// The user gave it.
    Given,
    /// The package's default.
    Default,
    /// An optional question without an answer.
    Unanswered,
}

/// A question of the cloud's package, with the answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LocalQuestion {
    /// Its name, for `set`.
    pub name: String,
    /// A few words for a form.
    pub label: String,
    /// What the answer does.
    pub description: String,
    /// Type of the answer.
    pub kind: QuestionType,
    /// Values of an `enum`.
    pub options: Vec<String>,
    /// Least value of an `int`.
    pub min: Option<i64>,
    /// Greatest value of an `int`.
    pub max: Option<i64>,
    /// What is allowed, in words.
    pub allowed: String,
    /// An answer is needed.
    pub required: bool,
    /// Asked only when all these answers have these values.
    pub show_if: BTreeMap<String, String>,
    /// Heading in a form.
    pub group: Option<String>,
    /// The answer; one that must not be shown is hidden.
    pub answer: String,
    /// Where the answer comes from.
    pub origin: AnswerOrigin,
}

/// Answers to try.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalAnswers {
    /// Answers by question; those that were kept count otherwise.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Questions whose default is to count again.
    #[serde(default)]
    pub unset: Vec<String>,
}

/// What bringing the cloud up would do, and what this machine is like for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalPreview {
    /// Answers that were given for it, by question; those that must not be shown are left out.
    pub set: BTreeMap<String, String>,
    /// Questions whose default was to count again.
    pub unset: Vec<String>,
    /// Whether it was to go on in spite of what preflight says.
    pub force: bool,
    /// What preflight warns of, or is stopped by.
    pub problems: Vec<Check>,
    /// Whether preflight found what stands in the way.
    pub blocked: bool,
    /// What in the package has no effect.
    pub warnings: Vec<String>,
    /// What would be done; absent until it is known.
    pub plan: Option<LocalPlan>,
}

/// A plan for the containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalPlan {
    /// What is done, in the order of dependencies; what stays as it is is left out.
    pub steps: Vec<LocalStep>,
    /// The counts, in words.
    pub summary: String,
    /// There is nothing to do.
    pub noop: bool,
    /// It touches what already runs.
    pub disturbs: bool,
    /// SHA-256 of it and of the answers, in hexadecimal digits: for `plan` of the run that carries it out.
    pub digest: String,
}

/// A step of a plan for the containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocalStep {
    /// About what, as `container keystone`; the run's step has the same name.
    pub step: String,
    /// What is done: `create`, `recreate`, `start`, `restart`, `await` or `remove`.
    pub action: String,
    /// Why; empty for what is simply missing.
    pub reasons: Vec<String>,
}
