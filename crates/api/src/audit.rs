//! The audit log: who did what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An entry of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its id; ids grow with time.
    pub id: String,
    /// When it began (RFC 3339).
    pub at: String,
    /// Who: `socket`, `token NAME`, `user NAME@DOMAIN of CLOUD/PROJECT`, `agent YARD/HOST` or
    /// `join YARD/HOST`.
    pub actor: String,
    /// Method and pattern of the path.
    pub verb: String,
    /// The path.
    pub target: String,
    /// Status of the answer. Absent while it lasts, and for ever if the server was killed during it
    /// or the caller did not wait.
    pub result: Option<String>,
}
