//! The console of a Nova server.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The end of a server's console log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerConsole {
    /// The server, as the manifest calls it.
    pub server: String,
    /// Its id in the cloud.
    pub id: String,
    /// The lines.
    pub text: String,
}
