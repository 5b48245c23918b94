//! `links`: names under which a service knows others (Compose specification, "links").
//!
//! On networks that users declare, services know each other by name anyway. So a link says that the
//! other service starts first, and its alias becomes an alias on the networks that both are on.

use super::LoadContext;
use crate::diag::{Place, did_you_mean};
use crate::yaml::{FieldReading, Node};
use stackyard_core::stack::{Dependency, DependencyCondition, Service};
use std::collections::{BTreeMap, BTreeSet};

/// Carries out the links of all services.
pub(crate) fn apply(services: &mut BTreeMap<String, Service>, nodes: &BTreeMap<&str, &Node>, cx: &LoadContext<'_>) {
    for (name, node) in nodes {
        if !services.contains_key(*name) {
            continue;
        }
        let Some(links) = node.as_map().and_then(|m| m.get("links")).filter(|n| !n.is_null()) else { continue };
        let path = format!("services.{name}.links");
        for item in links.items(&path, cx.log) {
            if let Some(text) = item.string(&path, cx.log) {
                let (other, alias) = text.split_once(':').unwrap_or((&text, &text));
                link(
                    services,
                    nodes,
                    &LinkRequest { from: name, to: other, alias, path: &path, place: &item.place },
                    cx,
                );
            }
        }
    }
}

struct LinkRequest<'a> {
    from: &'a str,
    to: &'a str,
    alias: &'a str,
    path: &'a str,
    place: &'a Place,
}

fn link(
    services: &mut BTreeMap<String, Service>,
    nodes: &BTreeMap<&str, &Node>,
    link: &LinkRequest<'_>,
    cx: &LoadContext<'_>,
) {
    let (path, to) = (link.path, link.to);
    if !services.contains_key(to) {
        let (what, hint) = if nodes.contains_key(to) {
            ("is not in the active profiles", Some("activate its profile".to_owned()))
        } else {
            ("is not defined", did_you_mean(to, nodes.keys().copied()))
        };
        cx.log.problem_hint(link.place, format!("{path}: `{to}` {what}"), hint);
        return;
    }
    if link.alias != to && nodes.contains_key(link.alias) {
        let message = format!("{path}: the alias `{}` is the name of another service", link.alias);
        return cx.log.problem(link.place, message);
    }
    let theirs = services[to].network_mode.attachments();
    let ours = services[link.from].network_mode.attachments().into_keys();
    let common: BTreeSet<String> = ours.filter(|key| theirs.contains_key(key)).collect();
    if common.is_empty() {
        let hint = Some("put both on one network".to_owned());
        return cx.log.problem_hint(link.place, format!("{path}: `{to}` is on no common network"), hint);
    }
    if link.alias != to {
        services.get_mut(to).into_iter().for_each(|s| add_alias(s, &common, link.alias));
    }
    let started = Dependency { condition: DependencyCondition::Started, restart: true, required: true };
    if let Some(service) = services.get_mut(link.from) {
        service.depends_on.entry(to.to_owned()).or_insert(started);
    }
}

fn add_alias(service: &mut Service, networks: &BTreeSet<String>, alias: &str) {
    let all = service.network_mode.attachments_mut().into_iter().flatten();
    for (_, attachment) in all.filter(|(key, _)| networks.contains(*key)) {
        if !attachment.aliases.iter().any(|a| a == alias) {
            attachment.aliases.push(alias.to_owned());
        }
    }
}
