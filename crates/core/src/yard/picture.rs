//! The picture of a yard: as DOT for Graphviz, or as a tree for a terminal.

use super::intend::{Intended, Spec};
use super::observed::Observed;
use super::{Key, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What is drawn: servers, networks and what joins them. Rules and ports are part of others.
fn is_drawn(kind: Kind) -> bool {
    !matches!(kind, Kind::Rule | Kind::Port | Kind::Interface | Kind::Attachment | Kind::Subnet)
}

/// The yard as a graph in the DOT language; what the cloud does not have is dashed.
pub fn dot(intended: &Intended, observed: &Observed) -> String {
    let there: BTreeSet<&Key> = observed.resources.iter().map(|s| &s.key).collect();
    let mut out = String::new();
    let _ = writeln!(out, "graph \"{}\" {{\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];", escape(&intended.yard));
    for resource in intended.resources.iter().filter(|r| is_drawn(r.key.kind)) {
        let shape = match resource.key.kind {
            Kind::Network => "ellipse",
            Kind::Router => "diamond",
            Kind::Server => "box3d",
            Kind::Volume => "cylinder",
            Kind::FloatingIp => "house",
            _ => "note",
        };
        let style = if there.contains(&resource.key) { "solid" } else { "dashed" };
        let key = escape(&resource.key.to_string());
        let label = format!("{}\\n{}", resource.key.kind.noun(), escape(&resource.key.name));
        let _ = writeln!(out, "  \"{key}\" [label=\"{label}\", shape={shape}, style={style}];");
    }
    let mut outside = BTreeSet::new();
    let mut edges = BTreeSet::new();
    for resource in &intended.resources {
        for (a, b) in edges_of(resource, intended) {
            outside.extend([&a, &b].into_iter().filter_map(|n| n.strip_prefix("outside ").map(str::to_owned)));
            edges.insert((a, b));
        }
    }
    for name in outside {
        let _ = writeln!(out, "  \"outside {0}\" [label=\"{0}\", shape=ellipse, style=dotted];", escape(&name));
    }
    for (a, b) in edges {
        let _ = writeln!(out, "  \"{}\" -- \"{}\";", escape(&a), escape(&b));
    }
    out + "}\n"
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Pairs of drawn nodes that a resource joins.
fn edges_of(resource: &super::intend::Resource, intended: &Intended) -> Vec<(String, String)> {
    let name = |r: &super::intend::Ref| match r {
        super::intend::Ref::Own(key) => key.to_string(),
        super::intend::Ref::Cloud(_, text) => format!("outside {text}"),
    };
    let server_of = |port: &Key| Key::new(Kind::Server, port.name.split('/').next().unwrap_or_default()).to_string();
    match &resource.spec {
        Spec::Router { external: Some(external) } => vec![(resource.key.to_string(), format!("outside {external}"))],
        Spec::Interface { router, subnet } => {
            let network = subnet.name.split('/').next().unwrap_or_default();
            vec![(Key::new(Kind::Network, network).to_string(), name(router))]
        }
        Spec::Port { network, groups, .. } => {
            let server = server_of(&resource.key);
            let mut edges = vec![(server.clone(), name(network))];
            edges.extend(groups.iter().flatten().map(|g| (name(g), server.clone())));
            edges
        }
        Spec::Server(server) => {
            let others = [&server.key, &server.group].into_iter().flatten().map(name);
            let boot = server.boot.as_ref().map(ToString::to_string);
            others.chain(boot).map(|other| (other, resource.key.to_string())).collect()
        }
        Spec::Attachment { server, volume } => vec![(server.to_string(), name(volume))],
        Spec::FloatingIp { port: Some(port), .. } if intended.get(port).is_some() => {
            vec![(resource.key.to_string(), server_of(port))]
        }
        _ => Vec::new(),
    }
}

/// The yard as a tree of networks with their servers; what the cloud does not have is marked.
/// `notes` says more about resources: addresses, states.
pub fn tree(intended: &Intended, observed: &Observed, notes: &BTreeMap<Key, String>) -> String {
    let there: BTreeSet<&Key> = observed.resources.iter().map(|s| &s.key).collect();
    let line = |key: &Key| {
        let note = notes.get(key).map(|n| format!("  {n}")).unwrap_or_default();
        let missing = if there.contains(key) { "" } else { "  (not there)" };
        format!("{key}{note}{missing}")
    };
    let mut networks: BTreeMap<String, Vec<&Key>> = BTreeMap::new();
    for resource in &intended.resources {
        match &resource.spec {
            Spec::Network { .. } => drop(networks.entry(resource.key.name.clone()).or_default()),
            Spec::Port { network, .. } => networks.entry(network.text().to_owned()).or_default().push(&resource.key),
            _ => {}
        }
    }
    let mut out = format!("{}\n", intended.yard);
    let count = networks.len();
    for (i, (network, ports)) in networks.iter().enumerate() {
        let key = Key::new(Kind::Network, network);
        let own = intended.get(&key).is_some();
        let (branch, stem) = if i + 1 == count { ("└─", "  ") } else { ("├─", "│ ") };
        let head = if own { line(&key) } else { format!("network {network}  (outside the yard)") };
        let _ = writeln!(out, "{branch} {head}");
        let routers: BTreeSet<&str> = intended
            .resources
            .iter()
            .filter_map(|r| match &r.spec {
                Spec::Interface { router, subnet } if subnet.name.split('/').next() == Some(network.as_str()) => {
                    Some(router.text())
                }
                _ => None,
            })
            .collect();
        let mut leaves: Vec<String> = routers.into_iter().map(|r| line(&Key::new(Kind::Router, r))).collect();
        leaves.extend(ports.iter().map(|p| {
            let server = Key::new(Kind::Server, p.name.split('/').next().unwrap_or_default());
            line(&server)
        }));
        for (j, leaf) in leaves.iter().enumerate() {
            let twig = if j + 1 == leaves.len() { "└─" } else { "├─" };
            let _ = writeln!(out, "{stem} {twig} {leaf}");
        }
    }
    out
}
