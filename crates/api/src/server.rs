//! The server itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// That the server works.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServerHealth {
    /// Always `ok`; a server that does not work answers with a problem.
    pub status: String,
}

/// What the server speaks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Version of Stackyard.
    pub version: String,
    /// Version of the protocol between server and agents.
    pub protocol: u32,
}

/// The server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServerView {
    /// Version of Stackyard.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started (RFC 3339).
    pub started: String,
    /// Where it listens, `address:port`.
    pub listen: Vec<String>,
    /// Names and addresses that its certificate is good for.
    pub names: Vec<String>,
    /// URL that hosts use unless told otherwise.
    pub url: String,
    /// Where it keeps what it knows, without a password.
    pub database: String,
    /// SHA-256 of the certificate of its CA (`GET /ca.pem`).
    pub ca_sha256: String,
    /// Clouds with whose Keystone people sign in.
    pub sign_in: Vec<String>,
    /// Agents that are connected.
    pub connected: usize,
}
