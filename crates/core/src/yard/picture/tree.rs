//! The picture of a yard as a tree for a terminal.

use super::super::intend::Intended;
use super::super::observed::Observed;
use super::super::{Key, Kind};
use super::inside::{Inside, Stacks, words};
use super::scene::{Scene, Target};
use crate::rollout::ServiceStatus;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A line with those below it.
struct Node {
    text: String,
    below: Vec<Node>,
}

/// The yard as a tree of networks with what is in them; what the cloud does not have is marked.
/// `notes` says more about resources: addresses, states. Under hosts there is what of stacks runs
/// on them, and at the end the stacks.
pub fn tree(intended: &Intended, observed: &Observed, notes: &BTreeMap<Key, String>, stacks: &Stacks) -> String {
    let scene = Scene::of(intended, stacks, usize::MAX);
    let there: HashSet<&Key> = observed.resources.iter().map(|s| &s.key).collect();
    let leaf = |key: &Key| {
        let note = notes.get(key).map(|n| format!("  {n}")).unwrap_or_default();
        let missing = if there.contains(key) { "" } else { "  (not there)" };
        Node { text: format!("{key}{note}{missing}"), below: Vec::new() }
    };
    let outside =
        |noun: &str, name: &str| Node { text: format!("{noun} {name}  (outside the yard)"), below: Vec::new() };
    let leading = |to: Target| scene.floating.iter().filter(move |f| f.to == to).map(|f| leaf(&f.key));
    let mut roots = Vec::new();
    for (i, lane) in scene.lanes.iter().enumerate() {
        let mut node = lane.key.as_ref().map_or_else(|| outside("network", &lane.name), &leaf);
        for router in scene.routers.iter().filter(|r| r.lanes.contains(&i)) {
            node.below.push(router.key.as_ref().map_or_else(|| outside("router", &router.name), &leaf));
        }
        for (nth, balancer) in scene.balancers.iter().enumerate().filter(|(_, b)| b.lane == i) {
            let mut line = leaf(&balancer.key);
            let members: Vec<&str> =
                balancer.members.iter().flat_map(|m| &scene.boxes[*m].names).map(String::as_str).collect();
            line.text += &format!("  ({} to {})", balancer.listeners.join(", "), several(&members));
            line.below.extend(leading(Target::Balancer(nth)));
            node.below.push(line);
        }
        for (nth, server) in scene.boxes.iter().enumerate().filter(|(_, b)| b.lanes.contains(&i)) {
            let mut line = leaf(&Key::new(Kind::Server, &server.names[0]));
            // Under its first network there is all of it.
            if server.lanes.first() == Some(&i) {
                line.below.extend(server.volumes.iter().map(&leaf));
                line.below.extend(leading(Target::Server(nth)));
                line.below.extend(server.inside.iter().map(service));
            }
            node.below.push(line);
        }
        roots.push(node);
    }
    roots.extend(scene.shelf.iter().map(&leaf));
    roots.extend(leading(Target::Nowhere));
    let known: BTreeSet<&String> = scene.boxes.iter().flat_map(|b| &b.names).collect();
    let replicas = || stacks.values().flat_map(|s| &s.services).flat_map(|s| &s.replicas);
    let others: BTreeSet<&String> = replicas().map(|r| &r.host_name).filter(|h| !known.contains(h)).collect();
    for host in others {
        let below = super::inside::inside(stacks, std::slice::from_ref(host)).iter().map(service).collect();
        roots.push(Node { text: format!("host {host}  (no server of the yard)"), below });
    }
    roots.extend(stacks.iter().map(|(name, status)| Node {
        text: format!("stack {name}  {}", words(status).0),
        below: status.services.iter().map(|s| Node { text: of_stack(s), below: Vec::new() }).collect(),
    }));
    let mut out = format!("{}\n", intended.yard);
    write(&roots, "", &mut out);
    out
}

fn service(inside: &Inside) -> Node {
    Node { text: format!("service {}  {inside}", inside.name), below: Vec::new() }
}

fn of_stack(service: &ServiceStatus) -> String {
    let why = service.reason.as_deref().and_then(|w| w.lines().next());
    let why = why.map(|w| format!("  ({w})")).unwrap_or_default();
    format!("service {}  {} of {} ready{why}", service.name, service.ready, service.desired)
}

fn several(names: &[&str]) -> String {
    match names {
        [] => "no member".to_owned(),
        [first, .., last] if names.len() > 4 => format!("{first} ... {last}, {} servers", names.len()),
        few => few.join(", "),
    }
}

fn write(nodes: &[Node], stem: &str, out: &mut String) {
    for (i, node) in nodes.iter().enumerate() {
        let last = i + 1 == nodes.len();
        let (twig, below) = if last { ("└─", "   ") } else { ("├─", "│  ") };
        *out += &format!("{stem}{twig} {}\n", node.text);
        write(&node.below, &format!("{stem}{below}"), out);
    }
}
