//! Tokens for the API.

use crate::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token that is to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose it is, for people; no two have the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Seconds that it lasts; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

/// A token, without the token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub role: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends.
    pub expires: Option<String>,
    /// When it was last used, to some minutes.
    pub last_used: Option<String>,
}

/// A token that was just made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MintedToken {
    /// Its id.
    pub id: String,
    /// The token. It is shown this once.
    pub token: String,
}

/// Shows no token.
impl std::fmt::Debug for MintedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MintedToken")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
