//! Stacks of yards.

use crate::Store;
use crate::error::Error;
use crate::row::{Columns, from_json, to_json};
use serde_json::Value;
use sqlx::any::AnyRow;

/// A stack as it was deployed. What its texts mean is the server's to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// The yard.
    pub yard: String,
    /// Its name, one stack's in a yard.
    pub name: String,
    /// Grows with each change.
    pub revision: i64,
    /// What it consists of.
    pub content: Value,
    /// What it consisted of before, to go back to.
    pub previous: Option<Value>,
    /// Which replica is on which host.
    pub placement: Value,
    /// Where an update of it stands.
    pub state: Value,
}

const READ: &str = "reading a stack";

fn stack(row: &AnyRow) -> Result<Stack, Error> {
    let columns = Columns { row, doing: READ };
    let previous: Option<String> = columns.get("previous")?;
    Ok(Stack {
        yard: columns.get("yard")?,
        name: columns.get("name")?,
        revision: columns.get("revision")?,
        content: columns.json("content")?,
        previous: previous.map(|text| from_json("previous", &text)).transpose()?,
        placement: columns.json("placement")?,
        state: columns.json("state")?,
    })
}

impl Store {
    /// Stacks of one yard or of all, in order of yard and name.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn stacks(&self, yard: Option<&str>) -> Result<Vec<Stack>, Error> {
        let rows = sqlx::query("SELECT * FROM stacks WHERE ($1 IS NULL OR yard = $1) ORDER BY yard, name")
            .bind(yard)
            .fetch_all(&self.pool)
            .await
            .map_err(Error::query(READ))?;
        rows.iter().map(stack).collect()
    }

    /// A stack.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn stack(&self, yard: &str, name: &str) -> Result<Option<Stack>, Error> {
        let row = sqlx::query("SELECT * FROM stacks WHERE yard = $1 AND name = $2").bind(yard).bind(name);
        let row = row.fetch_optional(&self.pool).await.map_err(Error::query(READ))?;
        row.as_ref().map(stack).transpose()
    }

    /// Keeps a stack with its new revision, if the kept one's is `at` (0 for a stack that must
    /// not be there yet). Whether it was.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Corrupt`].
    pub async fn keep_stack(&self, stack: &Stack, at: i64) -> Result<bool, Error> {
        let statement = if at == 0 {
            "INSERT INTO stacks (yard, name, revision, content, previous, placement, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (yard, name) DO NOTHING"
        } else {
            "UPDATE stacks SET revision = $3, content = $4, previous = $5, placement = $6, state = $7
             WHERE yard = $1 AND name = $2 AND revision = $8"
        };
        let mut query = sqlx::query(statement)
            .bind(&stack.yard)
            .bind(&stack.name)
            .bind(stack.revision)
            .bind(to_json("content", &stack.content)?)
            .bind(stack.previous.as_ref().map(|p| to_json("previous", p)).transpose()?)
            .bind(to_json("placement", &stack.placement)?)
            .bind(to_json("state", &stack.state)?);
        if at != 0 {
            query = query.bind(at);
        }
        self.change("keeping a stack", query).await
    }

    /// Removes a stack; whether there was one.
    ///
    /// # Errors
    /// [`Error::Query`]
    pub async fn remove_stack(&self, yard: &str, name: &str) -> Result<bool, Error> {
        let query = sqlx::query("DELETE FROM stacks WHERE yard = $1 AND name = $2").bind(yard).bind(name);
        self.change("removing a stack", query).await
    }
}
