//! Secrets of yards.

use crate::error::Error;
use crate::row::Columns;
use crate::{Millis, Store};

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Its name.
    pub name: String,
    /// When it was last set; grows each time.
    pub updated: Millis,
}

impl Store {
    /// Sets a secret, `now` or, if it was set since, a moment later.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn set_secret(&self, yard: &str, name: &str, value: &str, now: Millis) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO secrets (yard, name, value, updated) VALUES ($1, $2, $3, $4)
             ON CONFLICT (yard, name) DO UPDATE SET value = excluded.value, updated =
                CASE WHEN secrets.updated >= excluded.updated THEN secrets.updated + 1 ELSE excluded.updated END",
        )
        .bind(yard)
        .bind(name)
        .bind(value)
        .bind(now);
        self.change("setting a secret", query).await.map(drop)
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn secret(&self, yard: &str, name: &str) -> Result<Option<String>, Error> {
        sqlx::query_scalar("SELECT value FROM secrets WHERE yard = $1 AND name = $2")
            .bind(yard)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::query("reading a secret"))
    }

    /// Names of a yard's secrets, in order.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn secrets(&self, yard: &str) -> Result<Vec<SecretName>, Error> {
        let doing = "listing secrets";
        let rows = sqlx::query("SELECT name, updated FROM secrets WHERE yard = $1 ORDER BY name").bind(yard);
        let rows = rows.fetch_all(&self.pool).await.map_err(Error::query(doing))?;
        rows.iter()
            .map(|row| {
                let columns = Columns { row, doing };
                Ok(SecretName { name: columns.get("name")?, updated: columns.get("updated")? })
            })
            .collect()
    }

    /// Removes a secret; whether there was one.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_secret(&self, yard: &str, name: &str) -> Result<bool, Error> {
        let query = sqlx::query("DELETE FROM secrets WHERE yard = $1 AND name = $2").bind(yard).bind(name);
        self.change("removing a secret", query).await
    }
}
