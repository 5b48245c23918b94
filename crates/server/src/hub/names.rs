//! Names of containers, for the resolvers of agents.
//!
//! From each report of a host, and from what it should run, the hub derives the names and addresses of its containers.
//! It tells every other host of the yard those on networks that this host has, too. A connection remembers what it has
//! told, and sends hosts whose names changed since.
//!
//! After the server's start nothing is known of a host before its first report in which the host could look at all of
//! its containers. An agent keeps what it knows of such a host. The hub tells nothing before it knows which hosts there
//! are: [`Hub::tell_names`].

use super::{HostEntry, Hub};
use stackyard_core::agent::{NameUpdate, NamedContainer, named, on_networks, shared_networks};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// All named containers of a host.
type Named = Arc<Vec<NamedContainer>>;

/// What a connection has told its agent.
#[derive(Debug, Default)]
pub(super) struct ToldNames {
    /// Of each host that the agent was told of; absent if its names are not known since the server's start.
    hosts: BTreeMap<String, Option<Named>>,
    /// The networks that the host had then.
    networks: BTreeSet<String>,
}

impl HostEntry {
    /// Derives the names of the host's containers again. True if they changed.
    pub(super) fn refresh_names(&mut self) -> bool {
        let desired = self.desired.borrow().clone();
        let now = match (desired, &self.report) {
            (Some(desired), _) if desired.parts.is_empty() => Some(Vec::new()),
            (Some(desired), Some(report)) => named(&desired.parts, report, self.named.as_ref().map(|n| n.as_slice())),
            _ => None,
        };
        let is_new = self.named.as_deref() != now.as_ref();
        if is_new {
            self.named = now.map(Arc::new);
        }
        is_new
    }

    fn networks(&self) -> BTreeSet<String> {
        self.desired.borrow().as_ref().map(|d| shared_networks(&d.parts)).unwrap_or_default()
    }
}

impl Hub {
    /// Tells agents names from now on: it was said of each host what should run there.
    pub fn tell_names(&self) {
        if !self.0.tells_names.swap(true, Ordering::Relaxed) {
            self.names_changed();
        }
    }

    /// Says that names changed, or that a host came or went.
    pub(super) fn names_changed(&self) {
        self.0.names.send_modify(|n| *n += 1);
    }

    /// What changed for `host` since `told`; nothing if the agent knows all.
    pub(super) fn name_update(&self, host: &str, told: &mut ToldNames) -> Option<NameUpdate> {
        if !self.0.tells_names.load(Ordering::Relaxed) {
            return None;
        }
        let now = self.visible(host)?;
        if now.networks.is_empty() && told.networks.is_empty() {
            return None;
        }
        let mut changed = BTreeMap::new();
        for (id, named) in &now.hosts {
            let before = told.hosts.get(id).and_then(Option::as_ref);
            let Some(named) = named else { continue };
            if now.networks == told.networks && before.is_some_and(|b| Arc::ptr_eq(b, named)) {
                continue;
            }
            let list = on_networks(named, &now.networks);
            if before.is_none_or(|b| on_networks(b, &told.networks) != list) {
                changed.insert(id.clone(), list);
            }
        }
        let same = changed.is_empty() && now.hosts.keys().eq(told.hosts.keys());
        let is_first = told.networks.is_empty();
        let update = NameUpdate { hosts: now.hosts.keys().cloned().collect(), changed };
        *told = now;
        (!same || is_first).then_some(update)
    }

    /// The networks of `host` that reach across hosts, and all other hosts of its yard with their names.
    fn visible(&self, host: &str) -> Option<ToldNames> {
        let entries = self.entries();
        let own = entries.get(host)?;
        let (networks, yard) = (own.networks(), own.yard.as_ref()?);
        let others = entries.iter().filter(|(id, entry)| *id != host && entry.yard.as_ref() == Some(yard));
        let hosts = others.map(|(id, entry)| (id.clone(), entry.named.clone())).collect();
        Some(ToldNames { hosts, networks })
    }
}
