//! Settings by name.

use crate::Store;
use crate::error::Error;

impl Store {
    /// Keeps a setting.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value);
        self.change("keeping a setting", query).await.map(drop)
    }

    /// A setting.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(name);
        query.fetch_optional(&self.pool).await.map_err(Error::query("reading a setting"))
    }
}
