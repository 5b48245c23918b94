//! Tokens to join with.

use crate::error::Error;
use crate::host::{Host, NewHost, READ, first, host};
use crate::row::{Columns, to_json};
use crate::{Millis, Store};
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// Permission for one machine to become a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Its id.
    pub id: String,
    /// SHA-256 of its token, in hexadecimal digits.
    pub hash: String,
    /// Yard that the machine joins.
    pub yard: String,
    /// Pool; may be empty.
    pub pool: String,
    /// Name of the host; the machine's own if absent.
    pub name: Option<String>,
    /// Labels of the host.
    pub labels: BTreeMap<String, String>,
    /// Whether the machine may choose labels in addition to these.
    pub machine_labels: bool,
    /// Id of a host that the new one takes the place of.
    pub replaces: Option<String>,
    /// When it was made.
    pub created: Millis,
    /// When it ends.
    pub expires: Millis,
    /// When it was used.
    pub used: Option<Millis>,
    /// Id of the host that used it.
    pub host: Option<String>,
    /// SHA-256 of what the machine that used it can prove itself with, in hexadecimal digits.
    pub nonce: Option<String>,
}

/// What became of the try to use a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The host is there.
    Joined(Box<Host>),
    /// The token was used before, or has ended.
    Spent(Box<Join>),
    /// There is no such token.
    Unknown,
}

fn join(row: &AnyRow) -> Result<Join, Error> {
    let columns = Columns { row, doing: "reading a join token" };
    Ok(Join {
        id: columns.get("id")?,
        hash: columns.get("hash")?,
        yard: columns.get("yard")?,
        pool: columns.get("pool")?,
        name: columns.get("name")?,
        labels: columns.json("labels")?,
        machine_labels: columns.get::<i64>("machine_labels")? != 0,
        replaces: columns.get("replaces")?,
        created: columns.get("created")?,
        expires: columns.get("expires")?,
        used: columns.get("used")?,
        host: columns.get("host")?,
        nonce: columns.get("nonce")?,
    })
}

impl Store {
    /// Keeps a token to join with, and forgets those that ended before `forget`.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn add_join(&self, join: &Join, forget: Millis) -> Result<(), Error> {
        let doing = "keeping a join token";
        let old = sqlx::query("DELETE FROM joins WHERE expires < $1").bind(forget);
        self.change(doing, old).await?;
        let query = sqlx::query(
            "INSERT INTO joins (hash, id, yard, pool, name, labels, replaces, created, expires, machine_labels)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&join.hash)
        .bind(&join.id)
        .bind(&join.yard)
        .bind(&join.pool)
        .bind(&join.name)
        .bind(to_json("labels", &join.labels)?)
        .bind(&join.replaces)
        .bind(join.created)
        .bind(join.expires)
        .bind(i64::from(join.machine_labels));
        self.change(doing, query).await.map(drop)
    }

    /// The token with a hash.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn join(&self, hash: &str) -> Result<Option<Join>, Error> {
        let row = sqlx::query("SELECT * FROM joins WHERE hash = $1").bind(hash).fetch_optional(&self.pool);
        row.await.map_err(Error::query("reading a join token"))?.as_ref().map(join).transpose()
    }

    /// Uses a token: in one transaction it becomes used, the host that it replaces goes, and the
    /// new one is there. Of several that try at once, one succeeds.
    ///
    /// # Errors
    /// [`Error::Exists`] when the yard has a host of that name, and then the token is not used;
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn redeem(&self, hash: &str, new: &NewHost, now: Millis) -> Result<Redeemed, Error> {
        let doing = "using a join token";
        let mut work = self.pool.begin().await.map_err(Error::query(doing))?;
        let used = sqlx::query(
            "UPDATE joins SET used = $2, host = $3, nonce = $4 WHERE hash = $1 AND used IS NULL AND expires > $2",
        )
        .bind(hash)
        .bind(now)
        .bind(&new.id)
        .bind(&new.nonce)
        .execute(&mut *work)
        .await
        .map_err(Error::query(doing))?;
        let row = sqlx::query("SELECT * FROM joins WHERE hash = $1").bind(hash).fetch_optional(&mut *work).await;
        let Some(token) = row.map_err(Error::query(doing))?.as_ref().map(join).transpose()? else {
            return Ok(Redeemed::Unknown);
        };
        if used.rows_affected() == 0 {
            return Ok(Redeemed::Spent(Box::new(token)));
        }
        if let Some(old) = &token.replaces {
            sqlx::query("UPDATE hosts SET removed = $2 WHERE id = $1 AND removed IS NULL")
                .bind(old)
                .bind(now)
                .execute(&mut *work)
                .await
                .map_err(Error::query(doing))?;
        }
        sqlx::query(
            "INSERT INTO hosts (id, yard, pool, name, labels, facts, token_hash, joined, drain, revision, digest, address)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '', $9)",
        )
        .bind(&new.id)
        .bind(&token.yard)
        .bind(&token.pool)
        .bind(&new.name)
        .bind(to_json("labels", &new.labels)?)
        .bind(to_json("facts", &new.facts)?)
        .bind(&new.token_hash)
        .bind(now)
        .bind(first(&new.facts).map(|a| a.to_string()))
        .execute(&mut *work)
        .await
        .map_err(Error::insert(doing, || format!("host {} of yard {}", new.name, token.yard)))?;
        let row = sqlx::query("SELECT * FROM hosts WHERE id = $1").bind(&new.id).fetch_one(&mut *work).await;
        let host = host(&row.map_err(Error::query(READ))?)?;
        work.commit().await.map_err(Error::query(doing))?;
        Ok(Redeemed::Joined(Box::new(host)))
    }
}
