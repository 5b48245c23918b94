//! Tokens for the API.

use crate::error::Error;
use crate::row::Columns;
use crate::{Millis, Store};
use sqlx::any::AnyRow;

/// A token for the API, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Whose it is, for people; no two tokens have the same.
    pub name: String,
    /// What it may do, in the server's words.
    pub role: String,
    /// When it was made.
    pub created: Millis,
    /// When it ends; never if absent.
    pub expires: Option<Millis>,
    /// When it was last used, to some minutes.
    pub last_used: Option<Millis>,
}

pub(crate) const READ: &str = "reading a token";

pub(crate) fn token(row: &AnyRow) -> Result<Token, Error> {
    let columns = Columns { row, doing: READ };
    Ok(Token {
        id: columns.get("id")?,
        name: columns.get("name")?,
        role: columns.get("role")?,
        created: columns.get("created")?,
        expires: columns.get("expires")?,
        last_used: columns.get("last_used")?,
    })
}

impl Store {
    /// Keeps a token with the SHA-256 of its text.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one of that name, [`Error::Query`].
    pub async fn add_token(&self, token: &Token, hash: &str) -> Result<(), Error> {
        sqlx::query("INSERT INTO tokens (id, name, role, hash, created, expires) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(&token.id)
            .bind(&token.name)
            .bind(&token.role)
            .bind(hash)
            .bind(token.created)
            .bind(token.expires)
            .execute(&self.pool)
            .await
            .map_err(Error::insert("keeping a token", || format!("token {}", token.name)))?;
        Ok(())
    }

    /// All tokens, in order of their names.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        let rows = sqlx::query("SELECT * FROM tokens ORDER BY name").fetch_all(&self.pool).await;
        rows.map_err(Error::query(READ))?.iter().map(token).collect()
    }

    /// The token with a hash, also one that has ended.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn token(&self, hash: &str) -> Result<Option<Token>, Error> {
        let row = sqlx::query("SELECT * FROM tokens WHERE hash = $1").bind(hash).fetch_optional(&self.pool);
        row.await.map_err(Error::query(READ))?.as_ref().map(token).transpose()
    }

    /// Notes that a token is used.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn used_token(&self, id: &str, now: Millis) -> Result<(), Error> {
        let query = sqlx::query("UPDATE tokens SET last_used = $2 WHERE id = $1").bind(id).bind(now);
        self.change("noting that a token is used", query).await.map(drop)
    }

    /// Removes the token with an id or a name; whether there was one.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_token(&self, id: &str) -> Result<bool, Error> {
        let query = sqlx::query("DELETE FROM tokens WHERE id = $1 OR name = $1").bind(id);
        self.change("removing a token", query).await
    }
}
