//! Runs of yards: who brought what up or down, when, and what came of it.

use crate::error::Error;
use crate::row::{Columns, to_json};
use crate::{Millis, Store};
use serde_json::Value;
use sqlx::any::AnyRow;

/// Runs of a yard that are kept; the oldest go first.
const KEEP: i64 = 200;

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Its id, a UUID of version 7: ids grow with time.
    pub id: String,
    /// The yard.
    pub yard: String,
    /// What it does.
    pub kind: String,
    /// Revision of the manifest, if it has one.
    pub revision: Option<i64>,
    /// Who began it.
    pub actor: String,
    /// When.
    pub began: Millis,
    /// What it is called while it goes on.
    pub state: String,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What was known when it began; its state is the last one.
    pub new: NewRun,
    /// When it ended.
    pub ended: Option<Millis>,
    /// Why it did not end well.
    pub error: Option<String>,
    /// How far it got. What is in it is the server's to know.
    pub content: Value,
}

const READ: &str = "reading a run";

fn run(row: &AnyRow) -> Result<Run, Error> {
    let columns = Columns { row, doing: READ };
    Ok(Run {
        new: NewRun {
            id: columns.get("id")?,
            yard: columns.get("yard")?,
            kind: columns.get("kind")?,
            revision: columns.get("revision")?,
            actor: columns.get("who")?,
            began: columns.get("began")?,
            state: columns.get("state")?,
        },
        ended: columns.get("ended")?,
        error: columns.get("error")?,
        content: columns.json("content")?,
    })
}

impl Store {
    /// Writes down that a run begins, with how far it is.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn begin_run(&self, run: &NewRun, content: &Value) -> Result<(), Error> {
        let doing = "writing a run";
        let query = "INSERT INTO runs (id, yard, kind, revision, who, began, state, content)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let query = sqlx::query(query).bind(&run.id).bind(&run.yard).bind(&run.kind).bind(run.revision);
        let query = query.bind(&run.actor).bind(run.began).bind(&run.state).bind(to_json("a run", content)?);
        self.change(doing, query).await?;
        let query = "DELETE FROM runs WHERE yard = $1 AND id NOT IN
             (SELECT id FROM runs WHERE yard = $1 ORDER BY id DESC LIMIT $2)";
        self.change(doing, sqlx::query(query).bind(&run.yard).bind(KEEP)).await.map(drop)
    }

    /// Writes down how far a run got.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn note_run(&self, id: &str, content: &Value) -> Result<(), Error> {
        let query = sqlx::query("UPDATE runs SET content = $2 WHERE id = $1 AND ended IS NULL");
        let query = query.bind(id).bind(to_json("a run", content)?);
        self.change("writing a run", query).await.map(drop)
    }

    /// Writes down how a run ended.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn end_run(
        &self,
        id: &str,
        state: &str,
        error: Option<&str>,
        content: &Value,
        now: Millis,
    ) -> Result<(), Error> {
        let query = "UPDATE runs SET state = $2, error = $3, content = $4, ended = $5 WHERE id = $1 AND ended IS NULL";
        let query = sqlx::query(query).bind(id).bind(state).bind(error);
        self.change("writing a run", query.bind(to_json("a run", content)?).bind(now)).await.map(drop)
    }

    /// Ends all runs that have not, in `state`: their server was killed.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn end_runs(&self, state: &str, now: Millis) -> Result<(), Error> {
        let query = sqlx::query("UPDATE runs SET state = $1, ended = $2 WHERE ended IS NULL").bind(state).bind(now);
        self.change("writing runs", query).await.map(drop)
    }

    /// At most `limit` runs of a yard, the newest first, in `state` and older than the run `before` if those are
    /// given.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn runs(
        &self,
        yard: &str,
        state: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Run>, Error> {
        let query = "SELECT * FROM runs WHERE yard = $1 AND ($2 IS NULL OR state = $2) AND ($3 IS NULL OR id < $3)
             ORDER BY id DESC LIMIT $4";
        let query = sqlx::query(query).bind(yard).bind(state).bind(before).bind(i64::from(limit));
        query.fetch_all(&self.pool).await.map_err(Error::query(READ))?.iter().map(run).collect()
    }

    /// The newest run of each yard that has any.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn last_runs(&self) -> Result<Vec<Run>, Error> {
        let query =
            sqlx::query("SELECT * FROM runs WHERE id IN (SELECT MAX(id) FROM runs GROUP BY yard) ORDER BY yard");
        query.fetch_all(&self.pool).await.map_err(Error::query(READ))?.iter().map(run).collect()
    }

    /// A run of a yard.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn run(&self, yard: &str, id: &str) -> Result<Option<Run>, Error> {
        let query = sqlx::query("SELECT * FROM runs WHERE yard = $1 AND id = $2").bind(yard).bind(id);
        query.fetch_optional(&self.pool).await.map_err(Error::query(READ))?.as_ref().map(run).transpose()
    }
}
