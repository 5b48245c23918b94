//! The picture of a yard: as SVG, as DOT for Graphviz, or as a tree for a terminal.

mod inside;
mod scene;
mod svg;
mod tree;

pub use inside::Stacks;
pub use svg::svg;
pub use tree::tree;

use super::intend::{Intended, Spec};
use super::observed::Observed;
use super::{Key, Kind};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is drawn: servers, networks and what joins them. Rules and ports are part of others.
fn is_drawn(kind: Kind) -> bool {
    !matches!(kind, Kind::Rule | Kind::Port | Kind::Interface | Kind::Attachment | Kind::Subnet)
}

/// The yard as a graph in the DOT language; what the cloud does not have is dashed. Services of
/// stacks are nodes in their hosts.
pub fn dot(intended: &Intended, observed: &Observed, stacks: &Stacks) -> String {
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
            Kind::LoadBalancer => "hexagon",
            Kind::ObjectContainer => "folder",
            _ => "note",
        };
        let style = if there.contains(&resource.key) { "solid" } else { "dashed" };
        let key = escape(&resource.key.to_string());
        let label = format!("{}\\n{}", resource.key.kind.noun(), escape(&resource.key.name));
        let node = format!("\"{key}\" [label=\"{label}\", shape={shape}, style={style}];");
        let inside = match resource.key.kind {
            Kind::Server => inside::inside(stacks, std::slice::from_ref(&resource.key.name)),
            _ => Vec::new(),
        };
        if inside.is_empty() {
            let _ = writeln!(out, "  {node}");
            continue;
        }
        let _ = writeln!(out, "  subgraph \"cluster {key}\" {{\n    style=rounded;\n    {node}");
        for service in inside {
            let color = if service.working == service.containers { "black" } else { "red" };
            let name = escape(&service.name);
            let _ =
                writeln!(out, "    \"{key} {name}\" [label=\"{name}\\n{service}\", shape=component, color={color}];");
        }
        let _ = writeln!(out, "  }}");
    }
    let mut outside = BTreeSet::new();
    let mut edges = BTreeSet::new();
    for resource in &intended.resources {
        for (a, b) in edges_of(resource) {
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
fn edges_of(resource: &super::intend::Resource) -> Vec<(String, String)> {
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
        Spec::FloatingIp { to: Some(to), .. } => {
            let to = if to.kind == Kind::Port { server_of(to) } else { to.to_string() };
            vec![(resource.key.to_string(), to)]
        }
        Spec::LoadBalancer(of) => {
            let members = of.listeners.iter().flat_map(|l| &l.members).map(|m| server_of(&m.port));
            members.chain([name(&of.network)]).map(|other| (resource.key.to_string(), other)).collect()
        }
        _ => Vec::new(),
    }
}
