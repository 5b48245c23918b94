//! Tokens and the audit log.

use super::{Client, ClientError};
use stackyard_api::{
    AuditEntry, AuditFilter, MintedToken, NewSession, NewToken, SessionToken, TokenView, segment,
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

    /// At most `limit` entries of the audit log, 1000 at most, newest first, that `filter` lets through, older than the
    /// entry `before` if that is given.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, ClientError> {
        let pairs = [
            ("actor", filter.actor.clone()),
            ("kind", filter.kind.map(|k| k.name().to_owned())),
            ("resource", filter.resource.clone()),
            ("result", filter.result.map(|r| r.name().to_owned())),
            ("address", filter.address.clone()),
            ("since", filter.since.map(|s| s.to_string())),
            ("until", filter.until.map(|s| s.to_string())),
            ("marker", before.map(str::to_owned)),
        ];
        let pairs = pairs
            .iter()
            .filter_map(|(key, value)| Some(format!("&{key}={}", segment(value.as_ref()?))));
        let query: String = pairs.collect();
        self.get(
            &format!("/api/v1/audit?limit={limit}{query}"),
            "reading the audit log",
        )
        .await
    }
}
