//! A copy of all tables, in one form for both databases: what a backup of the server has.
//!
//! ```text
//! StoreSnapshot   one transaction that only reads   ── TableRows ──>   StoreLoader   one transaction that writes all
//! ```
//!
//! Every column is TEXT or BIGINT, so rows of SQLite go into PostgreSQL and back without a change. A copy has the
//! version of the tables that it was taken from. It is loaded into tables of that version, and migrated afterwards.

use crate::Database;
use crate::error::Error;
use crate::store::{SCHEMA, Store, migrator, newer};
use serde::{Deserialize, Serialize};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Column, Connection, Row, Transaction, ValueRef};

/// Every table, with the migration that made it. A table that is not here is in no backup.
const TABLES: [(i64, &str); 13] = [
    (1, "yards"),
    (1, "hosts"),
    (1, "joins"),
    (1, "tokens"),
    (1, "stacks"),
    (1, "secrets"),
    (1, "audit"),
    (1, "settings"),
    (2, "sessions"),
    (3, "manifests"),
    (3, "runs"),
    (4, "people"),
    (6, "scopes"),
];

/// Texts of rows that are handed over together, in bytes; one row may have more.
const PIECE: usize = 1 << 20;

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CellValue {
    /// NULL.
    Null,
    /// BIGINT.
    Integer(i64),
    /// TEXT.
    Text(String),
}

/// Some rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// Name of the table.
    pub table: String,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// The rows; each has a value for each column, in the same order.
    pub rows: Vec<Vec<CellValue>>,
}

/// All tables of a store at one moment, while others write. It does not keep them from writing.
#[derive(Debug)]
pub struct StoreSnapshot {
    connection: AnyConnection,
    schema: i64,
}

impl StoreSnapshot {
    /// Begins to read a store that may be in use by a server. It creates nothing, and migrates nothing.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Query`]; [`Error::Newer`] if a newer version wrote the store.
    pub async fn begin(database: &Database) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let trouble = |source| Error::Open { database: database.shown(), source };
        let mut connection = AnyConnection::connect(&database.url()).await.map_err(trouble)?;
        let begin = match database {
            // The first statement that reads fixes what all others see (SQLite, "Isolation In SQLite").
            Database::File(_) => "PRAGMA query_only = ON; BEGIN",
            Database::Url(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        sqlx::raw_sql(begin).execute(&mut connection).await.map_err(trouble)?;
        let schema = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&mut connection);
        let schema: Option<i64> = schema.await.map_err(Error::query("reading the version of the tables"))?;
        let schema = schema.unwrap_or_default();
        if schema > SCHEMA {
            return Err(newer(database.shown(), schema));
        }
        Ok(Self { connection, schema })
    }

    /// Version of the tables: the number of their last migration.
    pub fn schema(&self) -> i64 {
        self.schema
    }

    /// Hands all rows to `take`, about a MiB at a time.
    ///
    /// # Errors
    /// [`Error::Query`], and those of `take`.
    pub async fn read<E: From<Error>>(mut self, mut take: impl FnMut(TableRows) -> Result<(), E>) -> Result<(), E> {
        use futures_util::TryStreamExt;
        let doing = "copying the tables";
        for table in tables(self.schema) {
            let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
            let mut rows = sqlx::query(sql).fetch(&mut self.connection);
            let (mut piece, mut bytes) = (empty(table), 0);
            while let Some(row) = rows.try_next().await.map_err(Error::query(doing))? {
                if piece.columns.is_empty() {
                    piece.columns = row.columns().iter().map(|c| c.name().to_owned()).collect();
                }
                let cells = cells(&row).map_err(Error::query(doing))?;
                bytes += cells.iter().map(size).sum::<usize>();
                piece.rows.push(cells);
                if bytes >= PIECE {
                    let next = TableRows { columns: piece.columns.clone(), ..empty(table) };
                    take(std::mem::replace(&mut piece, next))?;
                    bytes = 0;
                }
            }
            if !piece.rows.is_empty() {
                take(piece)?;
            }
        }
        Ok(())
    }
}

/// Names of the tables that a version has.
fn tables(schema: i64) -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(move |(since, _)| *since <= schema).map(|(_, table)| *table)
}

fn empty(table: &str) -> TableRows {
    TableRows { table: table.to_owned(), columns: Vec::new(), rows: Vec::new() }
}

/// The values of a row.
fn cells(row: &AnyRow) -> Result<Vec<CellValue>, sqlx::Error> {
    (0..row.columns().len())
        .map(|at| {
            let value = row.try_get_raw(at)?;
            if value.is_null() {
                return Ok(CellValue::Null);
            }
            Ok(match value.type_info().kind() {
                AnyTypeInfoKind::Text => CellValue::Text(row.try_get(at)?),
                _ => CellValue::Integer(row.try_get(at)?),
            })
        })
        .collect()
}

fn size(cell: &CellValue) -> usize {
    match cell {
        CellValue::Text(text) => text.len(),
        CellValue::Null | CellValue::Integer(_) => 8,
    }
}

/// Writes a copy into a database. Until [`Self::commit`], nobody sees anything of it.
#[derive(Debug)]
pub struct StoreLoader {
    store: Store,
    transaction: Transaction<'static, Any>,
    schema: i64,
}

impl StoreLoader {
    /// Begins to load tables of version `schema` into a database. A SQLite file is created. `replace` removes the rows
    /// that the database has.
    ///
    /// # Errors
    /// As of [`Store::open`]; [`Error::Newer`] if this version does not know `schema`, [`Error::NotEmpty`] if the
    /// database has rows and `replace` is false.
    pub async fn begin(database: &Database, schema: i64, replace: bool) -> Result<Self, Error> {
        if schema > SCHEMA {
            return Err(newer(database.shown(), schema));
        }
        let store = Store::connect(database).await?;
        let mut transaction = store.pool.begin().await.map_err(Error::query("beginning to write"))?;
        if !replace && has_rows(&mut transaction, store.is_postgres()).await? {
            return Err(Error::NotEmpty { database: database.shown() });
        }
        for table in tables(SCHEMA).chain(["_sqlx_migrations"]) {
            let sql = AssertSqlSafe(format!("DROP TABLE IF EXISTS {table}"));
            sqlx::raw_sql(sql).execute(&mut *transaction).await.map_err(Error::query("removing the old tables"))?;
        }
        let mut loader = Self { store, transaction, schema };
        loader.migrate(schema).await?;
        Ok(loader)
    }

    async fn migrate(&mut self, schema: i64) -> Result<(), Error> {
        let migrated = migrator().run_direct(Some(schema), &mut *self.transaction, false).await;
        migrated.map_err(|source| Error::Migrate { database: self.store.database().to_owned(), source })
    }

    /// Writes some rows.
    ///
    /// # Errors
    /// [`Error::Foreign`] if no such rows can be there, [`Error::Query`].
    pub async fn insert(&mut self, of: &TableRows) -> Result<(), Error> {
        let foreign = || Error::Foreign { table: of.table.clone(), schema: self.schema };
        let is_name = |name: &String| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !name.is_empty();
        if !tables(self.schema).any(|t| t == of.table) || !of.columns.iter().all(is_name) {
            return Err(foreign());
        }
        let columns = of.columns.join(", ");
        for row in &of.rows {
            if row.len() != of.columns.len() {
                return Err(foreign());
            }
            let sql = format!("INSERT INTO {} ({columns}) VALUES ({})", of.table, values(row));
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for cell in row {
                query = match cell {
                    CellValue::Null => query,
                    CellValue::Integer(number) => query.bind(*number),
                    CellValue::Text(text) => query.bind(text),
                };
            }
            query.execute(&mut *self.transaction).await.map_err(Error::query("writing the tables"))?;
        }
        Ok(())
    }

    /// Brings the tables to this version, and makes all of it visible at once.
    ///
    /// # Errors
    /// [`Error::Migrate`], [`Error::Query`].
    pub async fn commit(mut self) -> Result<(), Error> {
        self.migrate(SCHEMA).await?;
        self.transaction.commit().await.map_err(Error::query("committing the tables"))?;
        self.store.close().await;
        Ok(())
    }
}

/// The values of an `INSERT`. A null is written as such: without a type, it suits a column of either one.
fn values(row: &[CellValue]) -> String {
    let mut bound = 0;
    let mut value = |cell: &CellValue| {
        if *cell == CellValue::Null {
            return "NULL".to_owned();
        }
        bound += 1;
        format!("${bound}")
    };
    row.iter().map(&mut value).collect::<Vec<_>>().join(", ")
}

/// Whether any of the tables is there and has a row.
async fn has_rows(transaction: &mut Transaction<'static, Any>, is_postgres: bool) -> Result<bool, Error> {
    let doing = "looking for rows";
    let there = if is_postgres {
        "SELECT COUNT(*) FROM pg_tables WHERE schemaname = CURRENT_SCHEMA() AND tablename = $1"
    } else {
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
    };
    for table in tables(SCHEMA) {
        let found = sqlx::query_scalar(there).bind(table).fetch_one(&mut **transaction).await;
        let found: i64 = found.map_err(Error::query(doing))?;
        if found == 0 {
            continue;
        }
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let rows: i64 = sqlx::query_scalar(sql).fetch_one(&mut **transaction).await.map_err(Error::query(doing))?;
        if rows > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn in_dir(dir: &Path) -> Database {
        Database::File(dir.join("stackyard.db"))
    }

    #[tokio::test]
    async fn every_table_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&in_dir(dir.path())).await.unwrap();
        let there = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(&store.pool);
        let mut there: Vec<String> = there.await.unwrap();
        let mut known: Vec<&str> = tables(SCHEMA).chain(["_sqlx_migrations"]).collect();
        there.sort();
        known.sort_unstable();
        assert_eq!(there, known);
    }

    #[tokio::test]
    async fn tables_of_a_newer_version_are_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&in_dir(dir.path())).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                     VALUES (99, 'later', TRUE, x'00', 0)";
        sqlx::raw_sql(newer).execute(&store.pool).await.unwrap();
        store.close().await;
        let opened = Store::open(&in_dir(dir.path())).await.unwrap_err();
        let copied = StoreSnapshot::begin(&in_dir(dir.path())).await.unwrap_err();
        let loaded = StoreLoader::begin(&in_dir(&dir.path().join("new")), 99, false).await.unwrap_err();
        for error in [opened, copied, loaded] {
            let text = error.to_string();
            assert!(text.contains("version 99") && text.contains(&format!("up to {SCHEMA}")), "{text}");
        }
        assert!(!dir.path().join("new").exists());
    }
}
