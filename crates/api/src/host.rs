//! Hosts that joined.

use serde::{Deserialize, Serialize};
use stackyard_core::agent::{Facts, Report};
use stackyard_core::health::Health;
use std::collections::BTreeMap;
use std::net::IpAddr;
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
    /// How it is: `unknown` while its agent is not connected, `draining` while it is drained, `degraded` where a stack's
    /// part fails.
    pub health: Health,
    /// Why it is not ready.
    pub reason: Option<String>,
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
    /// Address at which others reach it: the first that its agent told when it joined, until it is changed. Templates of
    /// packages and containers on other hosts know it by this one. Absent before the agent told any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// Revision of what should run there; 0 before anything should.
    pub revision: u64,
    /// What runs there, as the agent said last. Absent if it said nothing since the server started.
    pub report: Option<Report>,
}

/// The health of a host, and why it is not ready.
///
/// # Arguments
/// - `connected`: whether its agent is
/// - `drained`: whether it is drained
/// - `report`: what runs there, as its agent said last
pub fn host_health(
    connected: bool,
    drained: bool,
    report: Option<&Report>,
) -> (Health, Option<String>) {
    let failing = || {
        report?
            .parts
            .iter()
            .find_map(|(stack, part)| Some(format!("{stack}: {}", part.error.as_ref()?)))
    };
    match () {
        () if !connected => (
            Health::Unknown,
            Some("its agent is not connected".to_owned()),
        ),
        () if drained => (Health::Draining, None),
        () => failing().map_or((Health::Ready, None), |reason| {
            (Health::Degraded, Some(reason))
        }),
    }
}

/// That a host's server is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replacement {
    /// Who asked for it, as in the audit log.
    pub actor: String,
    /// When (RFC 3339).
    pub at: String,
}

/// Another address of a host.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostAddress {
    /// One of those that its agent tells (`facts.addresses`).
    #[schema(value_type = String)]
    pub address: IpAddr,
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
