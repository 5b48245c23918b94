//! The audit log.

use crate::error::Error;
use crate::row::Columns;
use crate::{Millis, Store};

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id, a UUID of version 7: ids grow with time.
    pub id: String,
    /// When it began.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// What was done.
    pub verb: String,
    /// On what.
    pub target: String,
    /// What came of it. Absent while it lasts, and for ever when the server was killed during it.
    pub result: Option<String>,
}

impl Store {
    /// Writes down that something begins; its id.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit_begin(&self, now: Millis, actor: &str, verb: &str, target: &str) -> Result<String, Error> {
        let id = uuid::Uuid::now_v7().to_string();
        let query = sqlx::query("INSERT INTO audit (id, at, who, verb, target) VALUES ($1, $2, $3, $4, $5)")
            .bind(&id)
            .bind(now)
            .bind(actor)
            .bind(verb)
            .bind(target);
        self.change("writing the audit log", query).await?;
        Ok(id)
    }

    /// Writes down what came of it.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit_end(&self, id: &str, result: &str) -> Result<(), Error> {
        let query = sqlx::query("UPDATE audit SET result = $2 WHERE id = $1").bind(id).bind(result);
        self.change("writing the audit log", query).await.map(drop)
    }

    /// At most `limit` entries, newest first, of `actor` and older than the entry `before` if those are given.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit(&self, actor: Option<&str>, before: Option<&str>, limit: u32) -> Result<Vec<Entry>, Error> {
        let doing = "reading the audit log";
        let rows = sqlx::query(
            "SELECT * FROM audit WHERE ($1 IS NULL OR id < $1) AND ($2 IS NULL OR who = $2) ORDER BY id DESC LIMIT $3",
        )
        .bind(before)
        .bind(actor)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query(doing))?;
        rows.iter()
            .map(|row| {
                let columns = Columns { row, doing };
                Ok(Entry {
                    id: columns.get("id")?,
                    at: columns.get("at")?,
                    actor: columns.get("who")?,
                    verb: columns.get("verb")?,
                    target: columns.get("target")?,
                    result: columns.get("result")?,
                })
            })
            .collect()
    }
}
