//! Manifests of yards.

use crate::error::Error;
use crate::row::{Columns, to_json};
use crate::{Millis, Store};
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// Manifests of a yard that are kept; the oldest go first.
const KEEP: i64 = 200;

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

/// A manifest that a yard has or had, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestName {
    /// Its revision.
    pub revision: i64,
    /// Who kept it; empty where that was not written down.
    pub actor: String,
    /// When it was kept.
    pub kept: Millis,
}

/// A manifest that a yard has or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Which one.
    pub name: ManifestName,
    /// Its text.
    pub text: String,
    /// Files that came with it, by path.
    pub files: BTreeMap<String, String>,
}

const READ: &str = "reading a yard";

fn manifest_name(columns: &Columns<'_>) -> Result<ManifestName, Error> {
    Ok(ManifestName { revision: columns.get("revision")?, actor: columns.get("who")?, kept: columns.get("kept")? })
}

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

    /// Keeps a manifest with the files that came with it, if the yard's revision is `at` (0 for one
    /// that must not be there yet) or `at` is absent. The new revision; nothing if the revision is
    /// another.
    ///
    /// Revisions are times (`now`, but always more than before), so that a yard that was forgotten
    /// and kept again has none that it had before.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn keep_yard(
        &self,
        name: &str,
        manifest: &str,
        files: &BTreeMap<String, String>,
        actor: &str,
        at: Option<i64>,
        now: Millis,
    ) -> Result<Option<i64>, Error> {
        let doing = "keeping a yard";
        let inserting = "INSERT INTO yards (name, manifest, revision, updated) VALUES ($1, $2, $3, $3)
             ON CONFLICT (name) DO NOTHING RETURNING revision";
        let changing = "UPDATE yards SET manifest = $2, updated = $3,
             revision = CASE WHEN revision >= $3 THEN revision + 1 ELSE $3 END
             WHERE name = $1 AND ($4 IS NULL OR revision = $4) RETURNING revision";
        let mut work = self.pool.begin().await.map_err(Error::query(doing))?;
        let mut revision: Option<i64> = None;
        if at.is_none_or(|at| at == 0) {
            let query = sqlx::query_scalar(inserting).bind(name).bind(manifest).bind(now);
            revision = query.fetch_optional(&mut *work).await.map_err(Error::query(doing))?;
        }
        if revision.is_none() && at != Some(0) {
            let query = sqlx::query_scalar(changing).bind(name).bind(manifest).bind(now).bind(at);
            revision = query.fetch_optional(&mut *work).await.map_err(Error::query(doing))?;
        }
        let Some(revision) = revision else { return Ok(None) };
        let adding =
            "INSERT INTO manifests (yard, revision, manifest, files, who, kept) VALUES ($1, $2, $3, $4, $5, $6)";
        let query = sqlx::query(adding).bind(name).bind(revision).bind(manifest);
        let query = query.bind(to_json("files of a manifest", files)?).bind(actor).bind(now);
        query.execute(&mut *work).await.map_err(Error::query(doing))?;
        let trimming = "DELETE FROM manifests WHERE yard = $1 AND revision NOT IN
             (SELECT revision FROM manifests WHERE yard = $1 ORDER BY revision DESC LIMIT $2)";
        let query = sqlx::query(trimming).bind(name).bind(KEEP);
        query.execute(&mut *work).await.map_err(Error::query(doing))?;
        work.commit().await.map_err(Error::query(doing))?;
        Ok(Some(revision))
    }

    /// At most `limit` manifests that a yard has or had, the newest first, older than the one of
    /// revision `before` if that is given.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn manifests(&self, yard: &str, before: Option<i64>, limit: u32) -> Result<Vec<ManifestName>, Error> {
        let query = "SELECT revision, who, kept FROM manifests WHERE yard = $1 AND ($2 IS NULL OR revision < $2)
             ORDER BY revision DESC LIMIT $3";
        let query = sqlx::query(query).bind(yard).bind(before).bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await.map_err(Error::query(READ))?;
        rows.iter().map(|row| manifest_name(&Columns { row, doing: READ })).collect()
    }

    /// A manifest that a yard has or had.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn manifest(&self, yard: &str, revision: i64) -> Result<Option<Manifest>, Error> {
        let query = sqlx::query("SELECT * FROM manifests WHERE yard = $1 AND revision = $2").bind(yard).bind(revision);
        let row = query.fetch_optional(&self.pool).await.map_err(Error::query(READ))?;
        let read = |row: &AnyRow| {
            let columns = Columns { row, doing: READ };
            let (name, text) = (manifest_name(&columns)?, columns.get("manifest")?);
            Ok(Manifest { name, text, files: columns.json("files")? })
        };
        row.as_ref().map(read).transpose()
    }

    /// Project and region of the yard of this name, if one was taken down.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn scope_of(&self, yard: &str) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar("SELECT scope FROM scopes WHERE yard = $1").bind(yard);
        query.fetch_optional(&self.pool).await.map_err(Error::query(READ))
    }

    /// Takes down the project and region of a yard, unless it has others already; those that it has now.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn take_scope(&self, yard: &str, scope: &str) -> Result<String, Error> {
        // The update changes nothing: it is there so that the row is returned.
        let query = "INSERT INTO scopes (yard, scope) VALUES ($1, $2)
             ON CONFLICT (yard) DO UPDATE SET scope = scopes.scope RETURNING scope";
        let query = sqlx::query_scalar(query).bind(yard).bind(scope);
        query.fetch_one(&self.pool).await.map_err(Error::query("taking down the project of a yard"))
    }

    /// Forgets that a yard is there, since it was removed; whether it was known. Its secrets stay, and what
    /// it was like stays known.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn yard_is_gone(&self, name: &str, at: Option<i64>) -> Result<bool, Error> {
        let query = sqlx::query("DELETE FROM yards WHERE name = $1 AND ($2 IS NULL OR revision = $2)");
        let known = self.change("forgetting a yard", query.bind(name).bind(at)).await?;
        self.free_name(name).await?;
        Ok(known)
    }

    /// Lets another project have a yard of this name once nothing is kept of this one: neither manifest, hosts,
    /// stacks nor secrets.
    async fn free_name(&self, yard: &str) -> Result<(), Error> {
        let query = "DELETE FROM scopes WHERE yard = $1
             AND NOT EXISTS (SELECT 1 FROM yards WHERE name = $1)
             AND NOT EXISTS (SELECT 1 FROM hosts WHERE yard = $1 AND removed IS NULL)
             AND NOT EXISTS (SELECT 1 FROM stacks WHERE yard = $1)
             AND NOT EXISTS (SELECT 1 FROM secrets WHERE yard = $1)";
        self.change("forgetting the project of a yard", sqlx::query(query).bind(yard)).await.map(drop)
    }

    /// Forgets a yard with its secrets, if its revision is `at` or `at` is absent. Whether there
    /// was one. What it was like and what was done stays known.
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
        self.free_name(name).await?;
        Ok(true)
    }
}
