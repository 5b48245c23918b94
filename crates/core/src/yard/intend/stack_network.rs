//! The network of stacks.

use super::super::manifest::HostPool;
use super::{Key, Kind, Maker};
use crate::stack::{NO_STACK_NETWORK, StackNetwork};
use crate::text::did_you_mean;
use std::collections::BTreeSet;

impl Maker<'_> {
    /// The network of the yard for stacks.
    pub(super) fn stack_network(&mut self) -> StackNetwork {
        let spec = self.spec;
        let hosts: Vec<BTreeSet<String>> = spec.hosts.iter().filter(|p| has_agent(p)).map(|p| self.on(p)).collect();
        let Some(value) = &spec.stack_network else {
            let all: BTreeSet<&String> = hosts.iter().flatten().collect();
            let only = all.first().filter(|_| all.len() == 1).map(|name| (*name).clone());
            // Addresses of another project's network are not for all containers of a yard.
            let only = only.filter(|name| self.has(&Key::new(Kind::Network, name.as_str())));
            return only.map_or(StackNetwork::Unknown, StackNetwork::Only);
        };
        let is_known = self.has(&Key::new(Kind::Network, value.as_str())) || hosts.iter().any(|on| on.contains(value));
        if value != NO_STACK_NETWORK && !is_known {
            let hint = self.nearest_network(value);
            let message = format!("the yard has no network `{value}`, and no pool of hosts is on one of that name");
            self.trouble("spec.stackNetwork", message, Some(&hint));
        }
        StackNetwork::of_value(value)
    }

    /// Names of the networks that a pool's hosts are on.
    fn on(&self, pool: &HostPool) -> BTreeSet<String> {
        self.attached(pool.network.as_ref(), &pool.networks).into_iter().map(|attach| attach.network).collect()
    }

    fn nearest_network(&self, text: &str) -> String {
        let names = self.spec.networks.iter().map(|n| n.name.as_str()).chain([NO_STACK_NETWORK]);
        did_you_mean(text, names).unwrap_or_else(|| {
            let there = self.near(Kind::Network, text).map_or_else(String::new, |there| format!("{there}; "));
            format!("{there}`{NO_STACK_NETWORK}` keeps networks of stacks on each host")
        })
    }
}

/// Whether hosts of a pool join a Stackyard server.
fn has_agent(pool: &HostPool) -> bool {
    pool.join.command.is_none()
}
