//! Tokens and the audit log.

use super::{Client, ClientError};
use stackyard_api::{
    AuditEntry, MintedToken, NewSession, NewToken, SessionToken, TokenView, segment,
};

impl Client {
    /// Makes a token.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn new_token(&self, token: &NewToken) -> Result<MintedToken, ClientError> {
        self.post(
            "/api/v1/tokens",
            token,
            &format!("making the token {}", token.name),
        )
        .await
    }

    /// Signs in with an account on a cloud, for a token that lasts as Keystone's does.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 401 if Keystone does not let it in, 403 if it has no role that counts.
    pub async fn sign_in(&self, with: &NewSession) -> Result<SessionToken, ClientError> {
        self.post("/api/v1/session/token", with, "signing in").await
    }

    /// All tokens, without the tokens.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn tokens(&self) -> Result<Vec<TokenView>, ClientError> {
        self.list("/api/v1/tokens", "listing tokens").await
    }

    /// Revokes a token, by its id or name.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.delete(
            &format!("/api/v1/tokens/{}", segment(id)),
            &format!("revoking the token {id}"),
        )
        .await
    }

    /// At most `limit` entries of the audit log, 1000 at most, newest first, of `who` and older than `before` if
    /// those are given.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn audit(
        &self,
        actor: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, ClientError> {
        let actor = actor
            .map(|actor| format!("&actor={}", segment(actor)))
            .unwrap_or_default();
        let marker = before
            .map(|id| format!("&marker={}", segment(id)))
            .unwrap_or_default();
        self.get(
            &format!("/api/v1/audit?limit={limit}{actor}{marker}"),
            "reading the audit log",
        )
        .await
    }
}
