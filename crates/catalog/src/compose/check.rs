//! References between the parts of a stack: profiles, dependencies, what services use.

use super::{LoadContext, Section, Used};
use crate::diag::did_you_mean;
use crate::yaml::{FieldReading, Node};
use stackyard_core::stack::{DEFAULT_NETWORK, MountKind, NetworkMode, Service, Stack};
use stackyard_core::text::is_name_char;
use std::collections::{BTreeMap, BTreeSet};

/// Notes names of services that no container could have.
pub(crate) fn names(root: &Node, cx: &LoadContext<'_>) {
    let services = root.as_map().and_then(|m| m.get("services")).and_then(Node::as_map);
    for (key, _) in services.into_iter().flat_map(|m| &m.entries) {
        let name = &key.text;
        if name.is_empty() || !name.chars().all(is_name_char) {
            let message = format!("`{name}` cannot name a service: only letters, digits, `_`, `.` and `-` can");
            cx.log.problem(&key.place, message);
        }
    }
}

/// Names of the services that an active profile has, or that have no profile.
pub(crate) fn active<'n>(services: &Section<'n>, cx: &LoadContext<'_>) -> BTreeSet<&'n str> {
    let wanted = &cx.project.profiles;
    let mut active = BTreeSet::new();
    for (name, node) in services {
        let profiles = node.as_map().and_then(|m| m.get("profiles")).filter(|n| !n.is_null());
        // The reader notes what is wrong with them.
        let quiet = crate::diag::Log::default();
        let profiles = profiles.map(|n| n.strings("profiles", &quiet)).unwrap_or_default();
        if profiles.is_empty() || wanted.iter().any(|w| w == "*") || profiles.iter().any(|p| wanted.contains(p)) {
            active.insert(*name);
        }
    }
    active
}

/// The place of a dependency in a file.
fn place_of<'n>(
    nodes: &BTreeMap<&str, &'n Node>,
    service: &str,
    key: &str,
    other: &str,
) -> Option<&'n crate::diag::Place> {
    let node = nodes.get(service)?;
    let section = node.as_map().and_then(|m| m.get(key));
    let key = section.and_then(Node::as_map).and_then(|m| m.key(other)).map(|k| &k.place);
    let names = |n: &&Node| n.as_map().and_then(|m| m.get("source")).and_then(Node::as_text) == Some(other);
    let key = key.or_else(|| Some(&section?.as_list()?.iter().find(names)?.place));
    Some(key.or(section.map(|s| &s.place)).unwrap_or(&node.place))
}

/// Checks `depends_on`: unknown services, services that are left out, circles.
pub(crate) fn dependencies(
    services: &mut BTreeMap<String, Service>,
    all: &BTreeMap<&str, &Node>,
    cx: &LoadContext<'_>,
) {
    let active: BTreeSet<String> = services.keys().cloned().collect();
    for (name, service) in services.iter_mut() {
        let mut dropped = Vec::new();
        for (other, dependency) in &service.depends_on {
            if active.contains(other) {
                continue;
            }
            let Some(place) = place_of(all, name, "depends_on", other) else { continue };
            let known = all.contains_key(other.as_str());
            if !dependency.required {
                dropped.push(other.clone());
            } else if known {
                let message = format!("services.{name}: depends on `{other}`, which is not in the active profiles");
                let hint = Some("activate its profile, or say `required: false`".into());
                cx.log.problem_hint(place, message, hint);
            } else {
                let hint = did_you_mean(other, all.keys().copied());
                cx.log.problem_hint(
                    place,
                    format!("services.{name}: depends on `{other}`, which is not defined"),
                    hint,
                );
            }
        }
        dropped.iter().for_each(|d| {
            service.depends_on.remove(d);
        });
    }
    if let Some(circle) = find_circle(services) {
        let first = circle.first().cloned().unwrap_or_default();
        if let Some(place) = place_of(all, &first, "depends_on", circle.get(1).unwrap_or(&first)) {
            cx.log.problem(place, format!("services depend on each other in a circle: {}", circle.join(" -> ")));
        }
    }
}

/// A circle of dependencies, its first service at both ends.
fn find_circle(services: &BTreeMap<String, Service>) -> Option<Vec<String>> {
    // Takes away, again and again, what depends on nothing that is left; a circle remains.
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        services.iter().map(|(n, s)| (n.as_str(), s.depends_on.keys().map(String::as_str).collect())).collect();
    loop {
        let free: Vec<&str> =
            left.iter().filter(|(_, d)| d.iter().all(|d| !left.contains_key(d))).map(|(n, _)| *n).collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            left.remove(name);
        }
    }
    let mut at = *left.keys().next()?;
    let mut path: Vec<&str> = Vec::new();
    loop {
        if let Some(start) = path.iter().position(|n| *n == at) {
            let circle = path[start..].iter().chain([&at]).map(|n| (*n).to_owned());
            return Some(circle.collect());
        }
        path.push(at);
        at = left.get(at)?.iter().copied().find(|d| left.contains_key(d))?;
    }
}

/// Warns of `ndots` where containers ask the agent's resolver: Docker's would not forward names without a dot.
pub(crate) fn resolver_options(stack: &Stack, nodes: &BTreeMap<&str, &Node>, cx: &LoadContext<'_>) {
    let sets_ndots = |s: &Service| s.engine.dns_opt.iter().any(|o| o.starts_with("ndots:"));
    for (name, _) in stack.services.iter().filter(|(_, s)| sets_ndots(s) && stack.asks_resolver(s)) {
        let Some(node) = nodes.get(name.as_str()) else { continue };
        let place = node.as_map().and_then(|m| m.get("dns_opt")).map_or(&node.place, |n| &n.place);
        let why = "with it, Docker does not look for names of services on other hosts";
        cx.log.warn(place, format!("services.{name}.dns_opt: `ndots` has no effect on this service's networks: {why}"));
    }
}

/// The top-level sections that services refer to.
pub(crate) struct TopLevelNames<'s, 'n> {
    pub(crate) networks: &'s Section<'n>,
    pub(crate) volumes: &'s Section<'n>,
    pub(crate) configs: &'s Section<'n>,
    pub(crate) secrets: &'s Section<'n>,
}

/// What of the top-level sections the active services use.
#[derive(Default)]
pub(crate) struct NameUses {
    pub(crate) networks: Used,
    pub(crate) volumes: Used,
    pub(crate) configs: Used,
    pub(crate) secrets: Used,
}

/// Gathers what the services use; notes what is not defined.
pub(crate) fn uses(
    services: &BTreeMap<String, Service>,
    nodes: &BTreeMap<&str, &Node>,
    tops: &TopLevelNames<'_, '_>,
    cx: &LoadContext<'_>,
) -> NameUses {
    let mut uses = NameUses::default();
    for (name, service) in services {
        let check = |section: &Section<'_>, key: &str, title: &str, used: &str| {
            if section.iter().any(|(k, _)| *k == used) {
                return;
            }
            let Some(place) = place_of(nodes, name, key, used) else { return };
            let hint = did_you_mean(used, section.iter().map(|(k, _)| *k));
            let hint = hint.unwrap_or_else(|| format!("define it in the top-level `{key}`"));
            cx.log.problem_hint(place, format!("services.{name}: the {title} `{used}` is not defined"), Some(hint));
        };
        if let NetworkMode::Networks(networks) = &service.network_mode {
            if networks.is_empty() {
                uses.networks.insert(DEFAULT_NETWORK.to_owned());
            }
            for network in networks.keys() {
                if network != DEFAULT_NETWORK {
                    check(tops.networks, "networks", "network", network);
                }
                uses.networks.insert(network.clone());
            }
        }
        for mount in &service.volumes {
            if let MountKind::Volume { name: volume, .. } = &mount.kind {
                check(tops.volumes, "volumes", "volume", volume);
                uses.volumes.insert(volume.clone());
            }
        }
        for file in &service.configs {
            check(tops.configs, "configs", "config", &file.source);
            uses.configs.insert(file.source.clone());
        }
        for file in &service.secrets {
            check(tops.secrets, "secrets", "secret", &file.source);
            uses.secrets.insert(file.source.clone());
        }
    }
    uses
}
