//! What can go wrong with the store.

use std::path::PathBuf;

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be opened.
    #[error("opening the store {database}")]
    Open {
        /// Which one, without a password.
        database: String,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The file of the database, or its directory.
    #[error("making {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The tables cannot be brought to what this version needs.
    #[error("bringing the tables of the store {database} to this version")]
    Migrate {
        /// Which database, without a password.
        database: String,
        /// What went wrong.
        source: sqlx::migrate::MigrateError,
    },
    /// A newer version wrote the tables.
    #[error(
        "the store {database} has tables of version {schema}, and this stackyard knows versions up to {known}; \
         use the version of stackyard that wrote them, or a newer one"
    )]
    Newer {
        /// Which database, without a password.
        database: String,
        /// Version of its tables.
        schema: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A copy is to be loaded into a database that is in use.
    #[error("the store {database} is not empty")]
    NotEmpty {
        /// Which database, without a password.
        database: String,
    },
    /// Rows of a copy have no place in the store.
    #[error("table {table} does not have such rows in version {schema} of the tables")]
    Foreign {
        /// Name of the table.
        table: String,
        /// Version of the tables.
        schema: i64,
    },
    /// Another server uses the database.
    #[error("another stackyard server uses the store {database}; stop it, or give this one its own database")]
    Locked {
        /// Which database, without a password.
        database: String,
    },
    /// A statement failed.
    #[error("{doing} in the store")]
    Query {
        /// What was tried.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// There is one of that name already.
    #[error("{what} exists already")]
    Exists {
        /// What.
        what: String,
    },
    /// Something in the database is not what this version writes there.
    #[error("{what} in the store cannot be read; was it written by another version of stackyard?")]
    Corrupt {
        /// What.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

impl Error {
    pub(crate) fn query(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Query { doing, source }
    }

    /// As [`Error::query`], but a name that is taken is [`Error::Exists`].
    pub(crate) fn insert(doing: &'static str, what: impl FnOnce() -> String) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match &source {
            sqlx::Error::Database(e) if e.is_unique_violation() => Self::Exists { what: what() },
            _ => Self::Query { doing, source },
        }
    }
}
