//! Tokens and the audit log.

use super::{Client, ClientError, segment};
use crate::api::{AuditEntry, MintedToken, NewToken, TokenView};

impl Client {
    /// Makes a token.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn new_token(&self, token: &NewToken) -> Result<MintedToken, ClientError> {
        self.post("/api/v1/tokens", token, &format!("making the token {}", token.name)).await
    }

    /// All tokens, without the tokens.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn tokens(&self) -> Result<Vec<TokenView>, ClientError> {
        self.get("/api/v1/tokens", "listing tokens").await
    }

    /// Revokes a token, by its id or name.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&format!("/api/v1/tokens/{}", segment(id)), &format!("revoking the token {id}")).await
    }

    /// At most `limit` entries of the audit log, newest first, older than `before` if that is given.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn audit(&self, before: Option<&str>, limit: u32) -> Result<Vec<AuditEntry>, ClientError> {
        let before = before.map(|id| format!("&before={}", segment(id))).unwrap_or_default();
        self.get(&format!("/api/v1/audit?limit={limit}{before}"), "reading the audit log").await
    }
}
