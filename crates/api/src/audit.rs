//! The audit log: who did what, from where, and what came of it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What an entry of the audit log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// A program was run in a container.
    Exec,
    /// Secrets, variables of services, tokens for the API and for joining, keys: read, made, set or removed.
    Secret,
    /// A manifest or a stack was changed, or a run was begun.
    Definition,
    /// A sign-in, also one that failed.
    SignIn,
    /// A host joined, or a connection of its agent took the place of another one.
    Agent,
    /// The server was backed up.
    Backup,
    /// Every other change.
    Change,
}

impl AuditKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Exec,
        Self::Secret,
        Self::Definition,
        Self::SignIn,
        Self::Agent,
        Self::Backup,
        Self::Change,
    ];

    /// The kind as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Secret => "secret",
            Self::Definition => "definition",
            Self::SignIn => "sign-in",
            Self::Agent => "agent",
            Self::Backup => "backup",
            Self::Change => "change",
        }
    }

    /// The kind that is written so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// How what an entry tells of ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditResult {
    /// It was done.
    Done,
    /// The server refused it.
    Refused,
    /// The server failed, or a cloud that it asked.
    Failed,
}

impl AuditResult {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    /// The result that an HTTP status stands for.
    pub fn of_status(status: u16) -> Self {
        match status {
            400..=499 => Self::Refused,
            500.. => Self::Failed,
            _ => Self::Done,
        }
    }

    /// The result as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The result that is written so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// Which entries of the audit log; all without a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Only those of this caller, as `actor` has it.
    pub actor: Option<String>,
    /// Only those of this kind.
    pub kind: Option<AuditKind>,
    /// Only those about this path, or about one below it; `/api/v1/` in front may be left out.
    pub resource: Option<String>,
    /// Only those that ended so.
    pub result: Option<AuditResult>,
    /// Only those from this address.
    pub address: Option<String>,
    /// Not older, in seconds since 1970.
    pub since: Option<i64>,
    /// Older, in seconds since 1970.
    pub until: Option<i64>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its id; ids grow with time.
    pub id: String,
    /// When it began (RFC 3339).
    pub at: String,
    /// Who: `socket`, `token NAME`, `user NAME@DOMAIN of CLOUD/PROJECT`, `agent YARD/HOST` or
    /// `join YARD/HOST`. Of a sign-in that failed, as whom.
    pub actor: String,
    /// What it is about.
    pub kind: AuditKind,
    /// Method and pattern of the path.
    pub verb: String,
    /// The path.
    pub target: String,
    /// Address that the caller came from. Over the socket it is `uid N`, or `server` for the server's own runs.
    pub address: Option<String>,
    /// Id of the request: the answer's `X-Request-Id`, and `request_id` of a problem.
    pub request_id: Option<String>,
    /// What it changed, without values of secrets.
    pub detail: Option<String>,
    /// How it ended. Absent while it lasts, and for ever if the server was killed during it or the
    /// caller did not wait.
    pub result: Option<AuditResult>,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// How often it happened: the same refusal is kept once an hour.
    pub times: u64,
    /// When it happened last, if it happened more than once (RFC 3339).
    pub last: Option<String>,
}
