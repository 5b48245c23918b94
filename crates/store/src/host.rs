//! Hosts that joined.

use crate::error::Error;
use crate::row::{Columns, to_json};
use crate::{Millis, Store};
use sqlx::any::{Any, AnyRow};
use stackyard_core::agent::Facts;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A machine that joined a yard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// The yard.
    pub yard: String,
    /// The pool; empty for a machine that belongs to none.
    pub pool: String,
    /// Its name, one host's in a yard.
    pub name: String,
    /// Labels for placement.
    pub labels: BTreeMap<String, String>,
    /// What its agent said of it last.
    pub facts: Facts,
    /// Address at which others reach it: the first one that its agent told when it joined, until it is changed by
    /// [`Store::set_address`]. None before the agent told one.
    pub address: Option<IpAddr>,
    /// When it joined.
    pub joined: Millis,
    /// When its agent was last connected, to some minutes; never if absent.
    pub last_seen: Option<Millis>,
    /// Whether nothing new is to be put on it and what runs there is to go elsewhere.
    pub drain: Drain,
    /// That its machine is to be made anew, if somebody asked for that.
    pub replace: Option<Replace>,
    /// When it was removed.
    pub removed: Option<Millis>,
    /// Revision of its last desired state.
    pub revision: u64,
    /// Digest of its last desired state; empty before there was one.
    pub digest: String,
}

/// That a host's machine is to be made anew. It goes with the host: who comes in its place has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// Who asked for it, as in the audit log.
    pub actor: String,
    /// When.
    pub at: Millis,
}

/// Why a host is set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drain {
    /// It is not.
    #[default]
    No,
    /// Somebody wants it so, until they say otherwise.
    Held,
    /// Its machine is about to go. Whoever decides that it stays takes it back.
    Leaving,
}

impl Drain {
    /// Whether it is set apart.
    pub fn is_on(self) -> bool {
        self != Self::No
    }

    /// As the column has it.
    fn number(self) -> i64 {
        match self {
            Self::No => 0,
            Self::Held => 1,
            Self::Leaving => 2,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            0 => Self::No,
            2 => Self::Leaving,
            _ => Self::Held,
        }
    }
}

/// A host that is about to join.
#[derive(Debug, Clone)]
pub struct NewHost {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of its agent's token, in hexadecimal digits.
    pub token_hash: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What its agent says of it.
    pub facts: Facts,
    /// SHA-256 of what its agent can prove itself with when it asks again, in hexadecimal digits.
    pub nonce: String,
}

pub(crate) const READ: &str = "reading a host";

pub(crate) fn host(row: &AnyRow) -> Result<Host, Error> {
    let columns = Columns { row, doing: READ };
    let facts: Facts = columns.json("facts")?;
    let address: Option<String> = columns.get("address")?;
    let address = address.map(|text| serde_json::from_value(text.into())).transpose();
    let address = address.map_err(|source| Error::Corrupt { what: "address", source })?;
    Ok(Host {
        id: columns.get("id")?,
        yard: columns.get("yard")?,
        pool: columns.get("pool")?,
        name: columns.get("name")?,
        labels: columns.json("labels")?,
        address: address.or_else(|| first(&facts)),
        facts,
        joined: columns.get("joined")?,
        last_seen: columns.get("last_seen")?,
        drain: Drain::of(columns.get("drain")?),
        replace: match (columns.get("replace_by")?, columns.get("replace_at")?) {
            (Some(actor), Some(at)) => Some(Replace { actor, at }),
            _ => None,
        },
        removed: columns.get("removed")?,
        revision: columns.get::<i64>("revision")?.unsigned_abs(),
        digest: columns.get("digest")?,
    })
}

/// The address that an agent names first.
pub(crate) fn first(facts: &Facts) -> Option<IpAddr> {
    facts.addresses.first().copied()
}

impl Store {
    /// How many hosts there are that were not removed.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn host_count(&self) -> Result<i64, Error> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM hosts WHERE removed IS NULL");
        query.fetch_one(&self.pool).await.map_err(Error::query("counting hosts"))
    }

    /// Hosts that were not removed, of one yard and pool or of all, in order of yard and name.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn hosts(&self, yard: Option<&str>, pool: Option<&str>) -> Result<Vec<Host>, Error> {
        let rows = sqlx::query(
            "SELECT * FROM hosts WHERE removed IS NULL AND ($1 IS NULL OR yard = $1) AND ($2 IS NULL OR pool = $2)
             ORDER BY yard, name",
        )
        .bind(yard)
        .bind(pool)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query(READ))?;
        rows.iter().map(host).collect()
    }

    /// The host with an id, also one that was removed.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn host(&self, id: &str) -> Result<Option<Host>, Error> {
        let row = sqlx::query("SELECT * FROM hosts WHERE id = $1").bind(id).fetch_optional(&self.pool);
        row.await.map_err(Error::query(READ))?.as_ref().map(host).transpose()
    }

    /// The host of a yard with a name, unless it was removed.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn host_named(&self, yard: &str, name: &str) -> Result<Option<Host>, Error> {
        let row = sqlx::query("SELECT * FROM hosts WHERE yard = $1 AND name = $2 AND removed IS NULL")
            .bind(yard)
            .bind(name)
            .fetch_optional(&self.pool);
        row.await.map_err(Error::query(READ))?.as_ref().map(host).transpose()
    }

    /// The host whose agent has a token, unless it was removed.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn host_of_token(&self, hash: &str) -> Result<Option<Host>, Error> {
        let row = sqlx::query("SELECT * FROM hosts WHERE token_hash = $1 AND removed IS NULL")
            .bind(hash)
            .fetch_optional(&self.pool);
        row.await.map_err(Error::query(READ))?.as_ref().map(host).transpose()
    }

    /// Gives a host another token in place of its own; whether there was such a host.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn renew_token(&self, id: &str, hash: &str) -> Result<bool, Error> {
        let query = sqlx::query("UPDATE hosts SET token_hash = $2 WHERE id = $1 AND removed IS NULL");
        self.change("giving a host another token", query.bind(id).bind(hash)).await
    }

    /// Notes that a host's agent is connected.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn seen(&self, id: &str, now: Millis) -> Result<(), Error> {
        let query = sqlx::query("UPDATE hosts SET last_seen = $2 WHERE id = $1").bind(id).bind(now);
        self.change("noting that a host was seen", query).await.map(drop)
    }

    /// Keeps what an agent says of its host. The host's address stays: interfaces that come later do not change it.
    ///
    /// # Arguments
    /// - `id`: the host's
    /// - `address`: the one that the host has ([`Host::address`])
    /// - `facts`: what its agent says now
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn keep_facts(&self, id: &str, address: Option<IpAddr>, facts: &Facts) -> Result<(), Error> {
        // The column is null for a host that joined before there was one, and until an agent told an address.
        let address = address.or_else(|| first(facts)).map(|a| a.to_string());
        let query = sqlx::query("UPDATE hosts SET facts = $2, address = COALESCE(address, $3) WHERE id = $1")
            .bind(id)
            .bind(to_json("facts", facts)?)
            .bind(address);
        self.change("keeping a host's facts", query).await.map(drop)
    }

    /// Changes the address at which others reach a host; whether there was such a host.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn set_address(&self, id: &str, address: IpAddr) -> Result<bool, Error> {
        let query = sqlx::query("UPDATE hosts SET address = $2 WHERE id = $1 AND removed IS NULL");
        self.change("changing a host's address", query.bind(id).bind(address.to_string())).await
    }

    /// Keeps revision and digest of a host's desired state.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn keep_revision(&self, id: &str, revision: u64, digest: &str) -> Result<(), Error> {
        let query = sqlx::query("UPDATE hosts SET revision = $2, digest = $3 WHERE id = $1")
            .bind(id)
            .bind(revision.cast_signed())
            .bind(digest);
        self.change("keeping a host's revision", query).await.map(drop)
    }

    /// Sets a host apart, or takes it back; whether there is such a host. One that is held stays so
    /// when its machine is about to go.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn drain(&self, id: &str, drain: Drain) -> Result<bool, Error> {
        let query = sqlx::query(
            "UPDATE hosts SET drain = CASE WHEN drain = 1 AND $2 = 2 THEN 1 ELSE $2 END
             WHERE id = $1 AND removed IS NULL",
        );
        self.change("draining a host", query.bind(id).bind(drain.number())).await
    }

    /// Takes a host back that was set apart because its machine was about to go; whether it was.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn stays(&self, id: &str) -> Result<bool, Error> {
        let query = sqlx::query("UPDATE hosts SET drain = 0 WHERE id = $1 AND drain = 2 AND removed IS NULL");
        self.change("taking a host back", query.bind(id)).await
    }

    /// Notes that a host's machine is to be made anew; whether nobody had asked for it before.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn mark_to_replace(&self, id: &str, replace: &Replace) -> Result<bool, Error> {
        let query = sqlx::query(
            "UPDATE hosts SET replace_by = $2, replace_at = $3
             WHERE id = $1 AND replace_by IS NULL AND removed IS NULL",
        )
        .bind(id)
        .bind(&replace.actor)
        .bind(replace.at);
        self.change("marking a host to be replaced", query).await
    }

    /// Notes that a host's machine stays after all; whether somebody had asked for another.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn unmark_to_replace(&self, id: &str) -> Result<bool, Error> {
        let query = sqlx::query(
            "UPDATE hosts SET replace_by = NULL, replace_at = NULL
             WHERE id = $1 AND replace_by IS NOT NULL AND removed IS NULL",
        );
        self.change("taking a host's mark back", query.bind(id)).await
    }

    /// Removes a host: its name is free and its token worth nothing. Whether there was one.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_host(&self, id: &str, now: Millis) -> Result<bool, Error> {
        let query = sqlx::query("UPDATE hosts SET removed = $2 WHERE id = $1 AND removed IS NULL");
        self.change("removing a host", query.bind(id).bind(now)).await
    }

    /// Runs a statement; whether it changed a row.
    pub(crate) async fn change(
        &self,
        doing: &'static str,
        query: sqlx::query::Query<'_, Any, sqlx::any::AnyArguments>,
    ) -> Result<bool, Error> {
        Ok(query.execute(&self.pool).await.map_err(Error::query(doing))?.rows_affected() > 0)
    }
}
