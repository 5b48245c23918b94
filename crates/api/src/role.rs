//! What a token is good for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token for the API is good for. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything but secrets, variables of services, tokens and the audit log.
    Viewer,
    /// Changes yards, hosts, stacks; sets secrets.
    Operator,
    /// Makes and revokes tokens, reads the audit log.
    Admin,
}

impl Role {
    /// The role as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role that is written so.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin]
            .into_iter()
            .find(|r| r.name() == name)
    }
}
