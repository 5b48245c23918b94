//! Sessions of the console.

use crate::error::Error;
use crate::token::{READ, token};
use crate::{Millis, Store, Token};

impl Store {
    /// Keeps a session with the SHA-256 of its text: who has it may do what the token with id
    /// `token` may, until `expires`. Sessions that ended before `now`, and those of tokens that are
    /// gone, are forgotten meanwhile.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Query`].
    pub async fn add_session(&self, hash: &str, token: &str, expires: Millis, now: Millis) -> Result<(), Error> {
        let old = "DELETE FROM sessions WHERE expires <= $1 OR token NOT IN (SELECT id FROM tokens)";
        self.change("forgetting sessions that have ended", sqlx::query(old).bind(now)).await?;
        sqlx::query("INSERT INTO sessions (hash, token, expires) VALUES ($1, $2, $3)")
            .bind(hash)
            .bind(token)
            .bind(expires)
            .execute(&self.pool)
            .await
            .map_err(Error::insert("keeping a session", || "this session".to_owned()))?;
        Ok(())
    }

    /// The token of the session with a hash; nothing if the session has ended by `now` or its token
    /// is gone. The token itself may have ended.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn session(&self, hash: &str, now: Millis) -> Result<Option<Token>, Error> {
        let text = "SELECT tokens.* FROM tokens JOIN sessions ON sessions.token = tokens.id \
                    WHERE sessions.hash = $1 AND sessions.expires > $2";
        let row = sqlx::query(text).bind(hash).bind(now).fetch_optional(&self.pool);
        row.await.map_err(Error::query(READ))?.as_ref().map(token).transpose()
    }

    /// Ends the session with a hash; whether there was one.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_session(&self, hash: &str) -> Result<bool, Error> {
        self.change("ending a session", sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash)).await
    }
}
