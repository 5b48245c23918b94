//! Sessions of people whom a Keystone knows.

use crate::error::Error;
use crate::row::Columns;
use crate::{Millis, Store};

/// Somebody whom a Keystone let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The cloud whose Keystone it was, as clouds.yaml names it.
    pub cloud: String,
    /// Its Keystone's address.
    pub keystone: String,
    /// The user, `name@domain`.
    pub name: String,
    /// Id of the project that the user signed in to.
    pub project: String,
    /// Its name.
    pub project_name: String,
    /// What the user may do here, in the server's words.
    pub role: String,
    /// When the session ends.
    pub expires: Millis,
}

impl Store {
    /// Keeps a person's session with the SHA-256 of its text. Those that ended before `now` are forgotten
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Query`].
    pub async fn add_person(&self, hash: &str, person: &Person, now: Millis) -> Result<(), Error> {
        let old = "DELETE FROM people WHERE expires <= $1";
        self.change("forgetting sessions that have ended", sqlx::query(old).bind(now)).await?;
        let query = "INSERT INTO people (hash, cloud, keystone, name, project, project_name, role, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(query)
            .bind(hash)
            .bind(&person.cloud)
            .bind(&person.keystone)
            .bind(&person.name)
            .bind(&person.project)
            .bind(&person.project_name)
            .bind(&person.role)
            .bind(person.expires)
            .execute(&self.pool)
            .await
            .map_err(Error::insert("keeping a session", || "this session".to_owned()))?;
        Ok(())
    }

    /// The person whose session has a hash; nothing if it has ended by `now`.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn person(&self, hash: &str, now: Millis) -> Result<Option<Person>, Error> {
        let doing = "reading a session";
        let row = sqlx::query("SELECT * FROM people WHERE hash = $1 AND expires > $2").bind(hash).bind(now);
        let row = row.fetch_optional(&self.pool).await.map_err(Error::query(doing))?;
        let read = |row| {
            let columns = Columns { row, doing };
            Ok(Person {
                cloud: columns.get("cloud")?,
                keystone: columns.get("keystone")?,
                name: columns.get("name")?,
                project: columns.get("project")?,
                project_name: columns.get("project_name")?,
                role: columns.get("role")?,
                expires: columns.get("expires")?,
            })
        };
        row.as_ref().map(read).transpose()
    }

    /// Ends the session of a person with a hash; whether there was one.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_person(&self, hash: &str) -> Result<bool, Error> {
        self.change("ending a session", sqlx::query("DELETE FROM people WHERE hash = $1").bind(hash)).await
    }

    /// Ends the sessions of all people.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_people(&self) -> Result<(), Error> {
        self.change("ending sessions", sqlx::query("DELETE FROM people")).await.map(drop)
    }
}
