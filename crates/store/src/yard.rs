//! Manifests of yards.

use crate::error::Error;
use crate::row::Columns;
use crate::{Millis, Store};
use sqlx::any::AnyRow;

/// The manifest that was last applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yard {
    /// Name of the yard.
    pub name: String,
    /// The manifest's text.
    pub manifest: String,
    /// Grows with each change.
    pub revision: i64,
    /// When it was last changed.
    pub updated: Millis,
}

const READ: &str = "reading a yard";

fn yard(row: &AnyRow) -> Result<Yard, Error> {
    let columns = Columns { row, doing: READ };
    Ok(Yard {
        name: columns.get("name")?,
        manifest: columns.get("manifest")?,
        revision: columns.get("revision")?,
        updated: columns.get("updated")?,
    })
}

impl Store {
    /// All yards, in order of their names.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn yards(&self) -> Result<Vec<Yard>, Error> {
        let rows = sqlx::query("SELECT * FROM yards ORDER BY name").fetch_all(&self.pool).await;
        rows.map_err(Error::query(READ))?.iter().map(yard).collect()
    }

    /// A yard.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn yard(&self, name: &str) -> Result<Option<Yard>, Error> {
        let row = sqlx::query("SELECT * FROM yards WHERE name = $1").bind(name).fetch_optional(&self.pool);
        row.await.map_err(Error::query(READ))?.as_ref().map(yard).transpose()
    }

    /// Keeps a manifest, if the yard's revision is `at` (0 for one that must not be there yet) or
    /// `at` is absent. The new revision; nothing if the revision is another.
    ///
    /// Revisions are times (`now`, but always more than before), so that a yard that was forgotten
    /// and kept again has none that it had before.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn keep_yard(
        &self,
        name: &str,
        manifest: &str,
        at: Option<i64>,
        now: Millis,
    ) -> Result<Option<i64>, Error> {
        let doing = "keeping a yard";
        let inserting = "INSERT INTO yards (name, manifest, revision, updated) VALUES ($1, $2, $3, $3)
             ON CONFLICT (name) DO NOTHING RETURNING revision";
        let changing = "UPDATE yards SET manifest = $2, updated = $3,
             revision = CASE WHEN revision >= $3 THEN revision + 1 ELSE $3 END
             WHERE name = $1 AND ($4 IS NULL OR revision = $4) RETURNING revision";
        if at.is_none_or(|at| at == 0) {
            let query = sqlx::query_scalar(inserting).bind(name).bind(manifest).bind(now);
            let made: Option<i64> = query.fetch_optional(&self.pool).await.map_err(Error::query(doing))?;
            if made.is_some() || at.is_some() {
                return Ok(made);
            }
        }
        let query = sqlx::query_scalar(changing).bind(name).bind(manifest).bind(now).bind(at);
        query.fetch_optional(&self.pool).await.map_err(Error::query(doing))
    }

    /// Forgets a yard with its secrets, if its revision is `at` or `at` is absent. Whether there
    /// was one.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn forget_yard(&self, name: &str, at: Option<i64>) -> Result<bool, Error> {
        let doing = "forgetting a yard";
        let mut work = self.pool.begin().await.map_err(Error::query(doing))?;
        let gone = sqlx::query("DELETE FROM yards WHERE name = $1 AND ($2 IS NULL OR revision = $2)")
            .bind(name)
            .bind(at)
            .execute(&mut *work)
            .await
            .map_err(Error::query(doing))?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
        let secrets = sqlx::query("DELETE FROM secrets WHERE yard = $1").bind(name).execute(&mut *work).await;
        secrets.map_err(Error::query(doing))?;
        work.commit().await.map_err(Error::query(doing))?;
        Ok(true)
    }
}
