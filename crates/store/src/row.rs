//! Columns as values.

use crate::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::{Any, AnyRow};
use sqlx::{Decode, Row, Type};

/// Columns of a row, with errors that say what was being read.
pub(crate) struct Columns<'a> {
    pub row: &'a AnyRow,
    pub doing: &'static str,
}

impl Columns<'_> {
    pub fn get<T>(&self, name: &str) -> Result<T, Error>
    where
        T: for<'r> Decode<'r, Any> + Type<Any>,
    {
        self.row.try_get(name).map_err(Error::query(self.doing))
    }

    pub fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        from_json(name, &self.get::<String>(name)?)
    }
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Corrupt { what, source })
}

pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| Error::Corrupt { what, source })
}
