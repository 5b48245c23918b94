//! Joining.

use super::{Client, ClientError};
use stackyard_api::{JoinTicket, NewJoin};

impl Client {
    /// Makes a token for one machine to join with.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn new_join(&self, join: &NewJoin) -> Result<JoinTicket, ClientError> {
        self.post(
            "/api/v1/joins",
            join,
            &format!("making a join token for yard {}", join.yard),
        )
        .await
    }
}
