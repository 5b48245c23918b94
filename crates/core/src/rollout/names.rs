//! Names of services across hosts.
//!
//! On one host the engine resolves the name of a service (each replica has it as an alias). A
//! service that publishes ports and has no replica on the host is reached at the hosts that do:
//! its name leads to their addresses, at the published ports. Where both are on a network that
//! reaches across hosts, the agents' resolvers answer instead ([`crate::agent::named`]).

use super::Walk;
use crate::stack::{NetworkMode, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl Walk<'_> {
    /// Decides which addresses each container knows.
    pub(super) fn names(&mut self) {
        let mut at: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for slot in &self.state.slots {
            at.entry(slot.replica.service.clone()).or_default().insert(slot.host.clone());
        }
        let services = &self.current.stack.services;
        let published = |s: &Service| s.ports.iter().any(|p| p.published.is_some());
        let reachable: Vec<(&String, &Service)> = services.iter().filter(|(_, s)| published(s)).collect();
        for slot in &mut self.state.slots {
            let Some(service) = services.get(&slot.replica.service) else { continue };
            let mut names = BTreeMap::new();
            for (name, other) in &reachable {
                let hosts = at.get(*name);
                let here = hosts.is_some_and(|h| h.contains(&slot.host)) && service.network_mode != NetworkMode::Host;
                if **name == slot.replica.service
                    || here
                    || !meet(service, other)
                    || self.current.stack.meet_across_hosts(service, other)
                {
                    continue;
                }
                let address = |id: &String| self.board.host(id)?.address;
                let all: BTreeSet<IpAddr> = hosts.into_iter().flatten().filter_map(address).collect();
                let known = slot.names.get(*name).filter(|k| !k.is_empty() && k.iter().all(|a| all.contains(a)));
                let addresses = known.cloned().unwrap_or_else(|| all.into_iter().collect());
                if !addresses.is_empty() {
                    names.insert((*name).clone(), addresses);
                }
            }
            slot.names = names;
        }
    }
}

/// Whether two services are on one network, so that one may look for the other by name.
fn meet(one: &Service, other: &Service) -> bool {
    let NetworkMode::Networks(theirs) = &other.network_mode else { return false };
    match &one.network_mode {
        NetworkMode::Host => true,
        NetworkMode::Networks(ours) => {
            (ours.is_empty() && theirs.is_empty())
                || ours.keys().any(|k| theirs.contains_key(k))
                || (ours.is_empty() && theirs.contains_key("default"))
                || (theirs.is_empty() && ours.contains_key("default"))
        }
        NetworkMode::None | NetworkMode::Service(_) | NetworkMode::Container(_) | NetworkMode::Bridge => false,
    }
}
