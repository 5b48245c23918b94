//! Tokens by which a host joins.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Permission for one machine that is to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoin {
    /// Yard that the machine joins.
    pub yard: String,
    /// Pool of the host; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Name of the host; what the machine calls itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels of the host, for placement.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The machine may choose labels in addition to these. Labels attract stacks, and with them their secrets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub labels_from_machine: bool,
    /// Seconds that the token lasts, 15 minutes if absent, at most 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
    /// Id (or `yard/name`) of a host that the new one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Name or address, perhaps with port, at which the machine reaches the server. The server's
    /// certificate must be good for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// What a machine needs to join.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct JoinTicket {
    /// The join token. It is shown this once, and is good for one machine.
    pub token: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// URL of the server.
    pub server: String,
    /// Certificate of the server's CA, PEM.
    pub ca_pem: String,
    /// SHA-256 of that text, in hexadecimal digits.
    pub ca_sha256: String,
    /// A line of shell that joins the machine where root runs it.
    pub command: String,
}

/// Shows no token.
impl std::fmt::Debug for JoinTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinTicket")
            .field("server", &self.server)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
