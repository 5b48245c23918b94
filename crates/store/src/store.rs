//! The connection to the database.

use crate::error::Error;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection, SqlStr};
use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Every migration there ever was, in order.
const MIGRATIONS: [(i64, &str, &str); 9] = [
    (1, "first", include_str!("../migrations/0001_first.sql")),
    (2, "sessions", include_str!("../migrations/0002_sessions.sql")),
    (3, "runs", include_str!("../migrations/0003_runs.sql")),
    (4, "people", include_str!("../migrations/0004_people.sql")),
    (5, "replace", include_str!("../migrations/0005_replace.sql")),
    (6, "scopes", include_str!("../migrations/0006_scopes.sql")),
    (7, "machine labels", include_str!("../migrations/0007_machine_labels.sql")),
    (8, "audit", include_str!("../migrations/0008_audit.sql")),
    (9, "host address", include_str!("../migrations/0009_host_address.sql")),
];

/// Version of the tables: the number of the last migration.
pub const SCHEMA: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Number of PostgreSQL's advisory lock that a server holds on its database (`sy` and a 1).
const LOCK: i64 = 0x7379_0001;

/// Time to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// SQLite in this file.
    File(PathBuf),
    /// PostgreSQL at this URL, `postgres://user:password@host/database`.
    Url(String),
}

/// Shows no password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shown()).finish()
    }
}

impl Database {
    /// The database for people: without its password.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => without_password(url),
        }
    }

    /// As the driver wants it. A file must exist.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite://{}", in_url(path)),
            Self::Url(url) => url.clone(),
        }
    }
}

/// All migrations.
pub(crate) fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Tables of a version that this one does not know.
pub(crate) fn newer(database: String, schema: i64) -> Error {
    Error::Newer { database, schema, known: SCHEMA }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) pool: AnyPool,
    lock: Option<Arc<Lock>>,
    database: String,
}

/// A server's hold on a PostgreSQL database.
struct Lock {
    url: String,
    connection: Mutex<AnyConnection>,
}

/// Shows no password.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store, and brings its tables to what this version needs.
    ///
    /// A SQLite file is made if there is none, with mode 0600 in a directory of mode 0700; that
    /// only one process uses it is the caller's to see to. A PostgreSQL database must exist; the
    /// store holds an advisory lock on it as long as it is open.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::File`], [`Error::Migrate`], [`Error::Locked`].
    pub async fn open(database: &Database) -> Result<Self, Error> {
        let store = Self::connect(database).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// As [`Self::open`], with the tables as they are.
    pub(crate) async fn connect(database: &Database) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let shown = database.shown();
        let trouble = |source| Error::Open { database: shown.clone(), source };
        let (pool, lock) = match database {
            Database::File(path) => {
                make_private(path)?;
                // One connection: there is one writer anyway, and no two of our own tasks ever
                // find the file locked.
                let options = AnyPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
                let options = options.acquire_timeout(PATIENCE).after_connect(|connection, _| {
                    Box::pin(async move {
                        let pragmas =
                            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024;";
                        sqlx::raw_sql(pragmas).execute(connection).await.map(drop)
                    })
                });
                (options.connect(&database.url()).await.map_err(trouble)?, None)
            }
            Database::Url(url) => {
                let lock = Lock { url: url.clone(), connection: Mutex::new(lock(url, &shown).await?) };
                let options = AnyPoolOptions::new().max_connections(4).acquire_timeout(PATIENCE);
                (options.connect(url).await.map_err(trouble)?, Some(Arc::new(lock)))
            }
        };
        Ok(Self { pool, lock, database: shown })
    }

    async fn migrate(&self) -> Result<(), Error> {
        migrator().run(&self.pool).await.map_err(|source| match source {
            MigrateError::VersionMissing(schema) if schema > SCHEMA => newer(self.database.clone(), schema),
            source => Error::Migrate { database: self.database.clone(), source },
        })
    }

    /// Whether it is PostgreSQL, which is locked for this process.
    pub(crate) fn is_postgres(&self) -> bool {
        self.lock.is_some()
    }

    /// Looks whether the database answers and is still ours alone. To be called now and then: a
    /// PostgreSQL that was restarted has forgotten the lock.
    ///
    /// # Errors
    /// [`Error::Open`] when it does not answer (a later call may), [`Error::Locked`] when another
    /// server has taken it.
    pub async fn ping(&self) -> Result<(), Error> {
        if let Some(held) = &self.lock {
            let mut connection = held.connection.lock().await;
            if connection.ping().await.is_err() {
                *connection = lock(&held.url, &self.database).await?;
            }
        }
        sqlx::query("SELECT 1")
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(|source| Error::Open { database: self.database.clone(), source })
    }

    /// Which database, for people.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Closes the database, after what is under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A connection that holds the advisory lock of a PostgreSQL database.
async fn lock(url: &str, shown: &str) -> Result<AnyConnection, Error> {
    let trouble = |source| Error::Open { database: shown.to_owned(), source };
    let mut connection = AnyConnection::connect(url).await.map_err(trouble)?;
    let taken: i64 = sqlx::query_scalar("SELECT CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END::BIGINT")
        .bind(LOCK)
        .fetch_one(&mut connection)
        .await
        .map_err(trouble)?;
    if taken == 0 {
        return Err(Error::Locked { database: shown.to_owned() });
    }
    Ok(connection)
}

/// Makes the file before SQLite does, so that nobody else may ever read it: SQLite gives its
/// journal the same mode.
fn make_private(path: &Path) -> Result<(), Error> {
    let trouble = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(trouble(dir))?;
    }
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(trouble(path))?;
    Ok(())
}

/// A path as part of a URL (RFC 3986, section 2).
fn in_url(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut out = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `scheme://user@rest`, without parameters: PostgreSQL's may carry a password too.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("postgres://me:top@db/yards", "postgres://me@db/yards"),
            ("postgres://me:t@p/x@db/yards", "postgres://me@db/yards"),
            ("postgres://db/yards?user=me&password=top", "postgres://db/yards"),
            ("postgres://me@db:5433/yards", "postgres://me@db:5433/yards"),
        ] {
            assert_eq!(Database::Url(url.to_owned()).shown(), shown);
        }
    }

    #[test]
    fn paths_survive_the_url() {
        assert_eq!(in_url(Path::new("/a b/%ü?.db")), "/a%20b/%25%C3%BC%3F.db");
    }
}
