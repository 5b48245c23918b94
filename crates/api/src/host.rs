//! Hosts that joined.

use serde::{Deserialize, Serialize};
use stackyard_core::agent::{Facts, Report};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A host.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HostView {
    /// Its id.
    pub id: String,
    /// The yard.
    pub yard: String,
    /// The pool; empty for a machine that belongs to none.
    pub pool: String,
    /// Its name, one host's in the yard.
    pub name: String,
    /// Labels for placement.
    pub labels: BTreeMap<String, String>,
    /// Whether its agent is connected.
    pub connected: bool,
    /// Whether nothing new is put on it and what runs there goes elsewhere.
    pub drain: bool,
    /// It is set apart because its machine was about to go.
    pub leaving: bool,
    /// Its server is to be made anew by the yard's next run; absent unless somebody asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<Replacement>,
    /// When it joined (RFC 3339).
    pub joined: String,
    /// When its agent was last connected, to some minutes; absent before the first time.
    pub last_seen: Option<String>,
    /// What the agent says of the machine.
    pub facts: Facts,
    /// Revision of what should run there; 0 before anything should.
    pub revision: u64,
    /// What runs there, as the agent said last. Absent if it said nothing since the server started.
    pub report: Option<Report>,
}

/// That a host's server is to be made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replacement {
    /// Who asked for it, as in the audit log.
    pub who: String,
    /// When (RFC 3339).
    pub at: String,
}

/// Whether to drain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Begin, or end.
    pub on: bool,
    /// Begin: its machine is about to go. End: only if it was begun for that.
    #[serde(default)]
    pub leaving: bool,
}
