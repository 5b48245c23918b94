//! The audit log.

use crate::error::Error;
use crate::row::Columns;
use crate::store::SCHEMA;
use crate::{Database, Millis, Store};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Connection};

/// An entry to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewEntry {
    /// When it began.
    pub at: Millis,
    /// Who did it.
    pub actor: String,
    /// One word for what it is about.
    pub kind: String,
    /// What was done.
    pub verb: String,
    /// On what.
    pub target: String,
    /// Address that it came from, or another word for the place.
    pub address: Option<String>,
    /// Id of the request, a UUID.
    pub request: Option<String>,
    /// What it changed, or what else readers should know of it.
    pub detail: Option<String>,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Status of the answer.
    pub status: String,
    /// The status in a word.
    pub result: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id, a UUID of version 7: ids grow with time.
    pub id: String,
    /// What was written. Without an outcome it lasts, or the server was killed during it.
    pub new: NewEntry,
    /// How often it happened.
    pub times: u64,
    /// When it happened last, if it happened more than once.
    pub last: Option<Millis>,
}

/// Which entries; all without a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those of this actor.
    pub actor: Option<String>,
    /// Only those of this kind.
    pub kind: Option<String>,
    /// Only those whose target is this, or is below it.
    pub target: Option<String>,
    /// Only those that ended so.
    pub result: Option<String>,
    /// Only those from this address.
    pub address: Option<String>,
    /// Not before this time.
    pub since: Option<Millis>,
    /// Before this time.
    pub until: Option<Millis>,
}

const INSERT: &str = "INSERT INTO audit (id, at, who, verb, target, kind, address, request, detail, status, result)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

fn insert<'a>(id: &'a str, new: &'a NewEntry) -> Query<'a, Any, AnyArguments> {
    sqlx::query(INSERT)
        .bind(id)
        .bind(new.at)
        .bind(&new.actor)
        .bind(&new.verb)
        .bind(&new.target)
        .bind(&new.kind)
        .bind(new.address.as_deref())
        .bind(new.request.as_deref())
        .bind(new.detail.as_deref())
        .bind(new.outcome.as_ref().map(|o| o.status.as_str()))
        .bind(new.outcome.as_ref().map(|o| o.result.as_str()))
}

fn entry(row: &AnyRow, doing: &'static str) -> Result<Entry, Error> {
    let columns = Columns { row, doing };
    let status: Option<String> = columns.get("status")?;
    let result: Option<String> = columns.get("result")?;
    let new = NewEntry {
        at: columns.get("at")?,
        actor: columns.get("who")?,
        kind: columns.get("kind")?,
        verb: columns.get("verb")?,
        target: columns.get("target")?,
        address: columns.get("address")?,
        request: columns.get("request")?,
        detail: columns.get("detail")?,
        outcome: status.zip(result).map(|(status, result)| Outcome { status, result }),
    };
    let times: i64 = columns.get("times")?;
    Ok(Entry { id: columns.get("id")?, new, times: times.unsigned_abs(), last: columns.get("last_at")? })
}

impl Store {
    /// Writes down that something begins, or that it happened; its id.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit_begin(&self, new: &NewEntry) -> Result<String, Error> {
        let id = uuid::Uuid::now_v7().to_string();
        self.change("writing the audit log", insert(&id, new)).await?;
        Ok(id)
    }

    /// Writes down how it ended, and `detail` if there is more to say than at its beginning.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit_end(&self, id: &str, outcome: &Outcome, detail: Option<&str>) -> Result<(), Error> {
        let query =
            sqlx::query("UPDATE audit SET status = $2, result = $3, detail = COALESCE($4, detail) WHERE id = $1")
                .bind(id)
                .bind(&outcome.status)
                .bind(&outcome.result)
                .bind(detail);
        self.change("writing the audit log", query).await.map(drop)
    }

    /// Writes down that the same happened again: `times` in all, the last time at `last`.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit_again(&self, id: &str, times: u64, last: Millis) -> Result<(), Error> {
        let times = i64::try_from(times).unwrap_or(i64::MAX);
        let query =
            sqlx::query("UPDATE audit SET times = $2, last_at = $3 WHERE id = $1").bind(id).bind(times).bind(last);
        self.change("writing the audit log", query).await.map(drop)
    }

    /// Removes an entry that another one counts.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_audit(&self, id: &str) -> Result<(), Error> {
        let query = sqlx::query("DELETE FROM audit WHERE id = $1").bind(id);
        self.change("writing the audit log", query).await.map(drop)
    }

    /// At most `limit` entries, newest first, older than the entry `before` if that is given.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit(&self, filter: &AuditFilter, before: Option<&str>, limit: u32) -> Result<Vec<Entry>, Error> {
        let doing = "reading the audit log";
        // Of one that happened several times, the last time counts, too.
        let rows = sqlx::query(
            "SELECT * FROM audit WHERE ($1 IS NULL OR id < $1) AND ($2 IS NULL OR who = $2)
             AND ($3 IS NULL OR kind = $3) AND ($4 IS NULL OR result = $4) AND ($5 IS NULL OR address = $5)
             AND ($6 IS NULL OR target = $6 OR substr(target, 1, length($6) + 1) = $6 || '/')
             AND ($7 IS NULL OR COALESCE(last_at, at) >= $7) AND ($8 IS NULL OR at < $8)
             ORDER BY id DESC LIMIT $9",
        )
        .bind(before)
        .bind(filter.actor.as_deref())
        .bind(filter.kind.as_deref())
        .bind(filter.result.as_deref())
        .bind(filter.address.as_deref())
        .bind(filter.target.as_deref())
        .bind(filter.since)
        .bind(filter.until)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query(doing))?;
        rows.iter().map(|row| entry(row, doing)).collect()
    }

    /// Removes at most `most` of the oldest entries that began before `before`; false if there are none.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn prune_audit(&self, before: Millis, most: u32) -> Result<bool, Error> {
        // The inner query reads `most` rows of the index, whatever the table has.
        let query =
            sqlx::query("DELETE FROM audit WHERE at < $1 AND id IN (SELECT id FROM audit ORDER BY id LIMIT $2)")
                .bind(before)
                .bind(i64::from(most));
        self.change("pruning the audit log", query).await
    }

    /// Id of the newest entry that is too many if only `keep` are to stay.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn audit_beyond(&self, keep: u64) -> Result<Option<String>, Error> {
        sqlx::query_scalar("SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET $1")
            .bind(i64::try_from(keep).unwrap_or(i64::MAX))
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::query("counting the audit log"))
    }

    /// Removes at most `most` of the oldest entries up to the one with this id; false if there are none.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn prune_audit_to(&self, id: &str, most: u32) -> Result<bool, Error> {
        let query =
            sqlx::query("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= $1 ORDER BY id LIMIT $2)")
                .bind(id)
                .bind(i64::from(most));
        self.change("pruning the audit log", query).await
    }
}

/// Writes an entry into a database that a server may use at the same time. False if its tables are of another version.
///
/// # Errors
/// [`Error::Open`], [`Error::Query`].
pub async fn note_backup(database: &Database, new: &NewEntry) -> Result<bool, Error> {
    sqlx::any::install_default_drivers();
    let trouble = |source| Error::Open { database: database.shown(), source };
    let mut connection = AnyConnection::connect(&database.url()).await.map_err(trouble)?;
    let doing = "writing the audit log";
    let schema: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .map_err(Error::query(doing))?;
    if schema != Some(SCHEMA) {
        return Ok(false);
    }
    let id = uuid::Uuid::now_v7().to_string();
    insert(&id, new).execute(&mut connection).await.map_err(Error::query(doing))?;
    connection.close().await.map_err(trouble)?;
    Ok(true)
}
