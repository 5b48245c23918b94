//! Networks of stacks on a network of their yard.
//!
//! A Compose file seldom says how containers on several hosts meet: it names networks without a driver, or none at all.
//! On hosts whose containers can have Neutron ports, such a network becomes one with [`NETWORK_DRIVER`] in the yard's
//! network for stacks ([`StackNetwork`]), and names of services lead to all hosts. Elsewhere it stays what it is on a
//! single engine: a network of each host.
//!
//! | network of the Compose file | on the hosts |
//! |---|---|
//! | `internal`, another driver (also `bridge`), addresses or options of its own, `external` | as it is |
//! | used by a service that is a name server, or that asks for `host-gateway` | as it is |
//! | any other, with `stackNetwork: NAME` | in NAME |
//! | any other, with `stackNetwork: none` | as it is |
//! | any other, without `stackNetwork` | as it was deployed last; if it is new, in the only network of the yard's hosts |
//!
//! The last row keeps running stacks as they are: a network that changes recreates all its containers at once.

use super::{NETWORK_DRIVER, Network, NetworkMode, Service, Stack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Value of `stackNetwork` that keeps networks of stacks on their hosts.
pub const NO_STACK_NETWORK: &str = "none";

/// Driver option of networks whose containers are in the yard's security group for stacks, whose members reach each
/// other at all ports.
pub const STACK_GROUP_OPTION: &str = "stack-group";

/// Driver option that names the Neutron network.
const NETWORK_OPTION: &str = "network";

/// Address in `extra_hosts` that stands for the host, as its engine's bridge has it.
const HOST_GATEWAY: &str = "host-gateway";

/// Which network of a yard carries networks of stacks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackNetwork {
    /// The manifest names none, and the yard's hosts are not all on one network of the yard.
    #[default]
    Unknown,
    /// The manifest says `none`.
    Off,
    /// The manifest names none, and the yard's hosts are on this network of the yard alone.
    Only(String),
    /// The manifest names it.
    Named(String),
}

impl StackNetwork {
    /// What the value of `stackNetwork` says.
    pub fn of_value(value: &str) -> Self {
        if value == NO_STACK_NETWORK { Self::Off } else { Self::Named(value.to_owned()) }
    }

    /// The value of `stackNetwork`, if the manifest has it.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Off => Some(NO_STACK_NETWORK),
            Self::Named(name) => Some(name),
            Self::Unknown | Self::Only(_) => None,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Only(name) | Self::Named(name) => Some(name),
            Self::Unknown | Self::Off => None,
        }
    }
}

/// What a stack's networks are settled by.
#[derive(Debug, Clone, Copy)]
pub struct NetworkInput<'a> {
    /// The yard's network for stacks.
    pub network: &'a StackNetwork,
    /// Why containers on the stack's hosts cannot have ports there; absent if they can.
    pub obstacle: Option<&'a str>,
    /// The stack as it was deployed last.
    pub before: Option<&'a Stack>,
    /// Whether the stack may use several hosts.
    pub several_hosts: bool,
}

/// A sentence for people about services' networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkNote {
    /// The services that it is about.
    pub services: BTreeSet<String>,
    /// The sentence.
    pub text: String,
}

impl Network {
    /// The yard's network for stacks that this network was put in.
    fn stack_network(&self) -> Option<&str> {
        let is_ours = self.crosses_hosts() && self.driver_opts.contains_key(STACK_GROUP_OPTION);
        self.driver_opts.get(NETWORK_OPTION).filter(|_| is_ours).map(String::as_str)
    }

    /// Puts it into a network of the yard.
    fn put_in(self, network: &str) -> Self {
        let options = [(NETWORK_OPTION, network), (STACK_GROUP_OPTION, "true")];
        let driver_opts = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Self { driver: Some(NETWORK_DRIVER.to_owned()), driver_opts, ..self }
    }

    /// Why the network is one of each host, if its own settings say so.
    fn stays_apart(&self) -> Option<&'static str> {
        let has_addresses = !self.subnets.is_empty() || !self.ip_ranges.is_empty() || !self.aux_addresses.is_empty();
        let has_ipam = self.ipam_driver.is_some() || !self.ipam_options.is_empty();
        if self.internal {
            Some("it is `internal`")
        } else if self.driver.is_some() {
            Some("it has a driver")
        } else if has_addresses || has_ipam {
            Some("it has addresses of its own (`ipam`)")
        } else if self.enable_ipv6 {
            Some("it says `enable_ipv6`")
        } else if !self.driver_opts.is_empty() {
            Some("it has options of its driver (`driver_opts`)")
        } else {
            None
        }
    }
}

impl Stack {
    /// Puts networks that name no driver into the yard's network for stacks where that can be, and says what becomes of
    /// all networks. `self` is as its Compose file says.
    pub fn settle_networks(&mut self, input: NetworkInput<'_>) -> Vec<NetworkNote> {
        let mut notes = Vec::new();
        for key in self.network_keys() {
            let network = self.network(&key);
            if network.external || network.crosses_hosts() {
                continue;
            }
            let services: BTreeSet<String> = self.services_on(&key).map(str::to_owned).collect();
            let mut texts = Vec::new();
            match network.stays_apart().map(str::to_owned).or_else(|| self.needs_host(&services)) {
                Some(why) => texts.extend(self.apart(&key, Some(&why), &services, input)),
                None => match stack_network_of(&key, input, &mut texts) {
                    Some(name) => drop(self.networks.insert(key.clone(), network.put_in(&name))),
                    None => texts.extend(self.apart(&key, None, &services, input)),
                },
            }
            notes.extend(texts.into_iter().map(|text| NetworkNote { services: services.clone(), text }));
        }
        if input.several_hosts && self.services.len() > 1 {
            notes.extend(self.services.iter().filter_map(|(name, service)| mode_note(name, service)));
        }
        notes
    }

    /// Whether [`Self::settle_networks`] would put a network into the yard's network for stacks that is not there yet, if
    /// there were no obstacle.
    pub fn moves_to(&self, network: &StackNetwork, before: Option<&Self>) -> bool {
        let mut settled = self.clone();
        settled.settle_networks(NetworkInput { network, obstacle: None, before, several_hosts: false });
        settled.network_keys().iter().any(|key| {
            let was = before.map(|before| before.network(key));
            let is = settled.network(key);
            is.stack_network().is_some() && is.stack_network() != was.as_ref().and_then(Network::stack_network)
        })
    }

    /// What it means that a network is one of each host.
    fn apart(
        &self,
        key: &str,
        why: Option<&str>,
        services: &BTreeSet<String>,
        NetworkInput { several_hosts, .. }: NetworkInput<'_>,
    ) -> Option<String> {
        let is_several =
            |name: &String| self.services.get(name).is_some_and(|s| s.deploy.replicas > 1 || s.deploy.mode.is_global());
        if !several_hosts || (services.len() < 2 && !services.iter().any(is_several)) {
            return None;
        }
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        Some(format!(
            "network `{key}` is one of each host{why}: its services reach those on other hosts at published ports alone"
        ))
    }

    /// Names of the services on a network.
    fn services_on<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let on = self.services.iter().filter(move |(_, s)| self.attachments(s).contains_key(key));
        on.map(|(name, _)| name.as_str())
    }

    /// Why services on a network need the engine's own network.
    fn needs_host(&self, services: &BTreeSet<String>) -> Option<String> {
        let find = |is: fn(&Service) -> bool| services.iter().find(|name| self.services.get(*name).is_some_and(is));
        if let Some(name) = find(|s| s.extra_hosts.iter().any(|h| h.ends_with(&format!(":{HOST_GATEWAY}")))) {
            return Some(format!("service `{name}` reaches its host as `{HOST_GATEWAY}`"));
        }
        // It would have no names of its neighbors there: the agent's resolver is not for it.
        let name = find(Service::serves_dns).filter(|_| services.len() > 1)?;
        Some(format!("service `{name}` is a name server"))
    }
}

/// The network of the yard that a network without a driver goes into. Adds sentences about that.
fn stack_network_of(key: &str, input: NetworkInput<'_>, texts: &mut Vec<String>) -> Option<String> {
    let old = input.before.filter(|b| b.network_keys().contains(key)).map(|b| b.network(key));
    let was_in = old.as_ref().and_then(Network::stack_network).map(str::to_owned);
    // What a file said with a driver of its own is no choice of ours that could be kept.
    let is_old = old.is_some_and(|n| was_in.is_some() || n.driver.is_none());
    let wanted = input.network.name();
    let (is_sure, stays) = (matches!(input.network, StackNetwork::Named(_)), is_old && was_in.is_none());
    let target = match (input.network, wanted) {
        (StackNetwork::Off, _) => None,
        (_, Some(name)) if input.obstacle.is_none() && (is_sure || !stays) => Some(name.to_owned()),
        _ => was_in.clone(),
    };
    let at_once = "its containers are recreated at once, not one after the other";
    match (&target, &was_in) {
        (Some(name), Some(was)) if name == was => {}
        (Some(name), _) if is_old => {
            texts.push(format!("network `{key}` moves to the yard's network `{name}`: {at_once}"));
        }
        (Some(name), _) => texts.push(format!("network `{key}` is in the yard's network `{name}`")),
        (None, Some(was)) => {
            texts.push(format!("network `{key}` moves from the yard's network `{was}` to each host: {at_once}"));
        }
        (None, None) => {}
    }
    match (wanted, input.obstacle, &target) {
        (Some(_), Some(why), Some(_)) => texts.push(format!("network `{key}` stays where it is, although {why}")),
        (Some(name), Some(why), None) => {
            texts.push(format!("network `{key}` is not in the yard's network `{name}`: {why}"));
        }
        (Some(name), None, None) => texts.push(format!(
            "network `{key}` stays on each host, as it was deployed before; `stackNetwork: {name}` in the manifest moves \
             it to the yard's network `{name}`, and `stackNetwork: none` keeps it"
        )),
        _ => {}
    }
    target
}

/// What the network mode of a service means among several hosts.
fn mode_note(name: &str, service: &Service) -> Option<NetworkNote> {
    let text = match service.network_mode {
        NetworkMode::Host => "other services reach it at its host's address, and not by name",
        NetworkMode::Bridge => "other services reach it at its host's address and its published ports, and not by name",
        _ => return None,
    };
    let mode = if service.network_mode == NetworkMode::Host { "host" } else { "bridge" };
    let text = format!("service `{name}` has `network_mode: {mode}`: {text}");
    Some(NetworkNote { services: [name.to_owned()].into(), text })
}

#[cfg(test)]
#[path = "stack_network_tests.rs"]
mod tests;
