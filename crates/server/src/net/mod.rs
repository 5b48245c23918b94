//! A yard's networks: its ports, what fits through them, and who can reach whom. Made from one look at the
//! cloud and what hosts report; nothing is asked for any single thing.

mod path;
mod port;
mod reach;

pub(crate) use path::layer;
pub use path::{MtuPath, mtu_paths};
pub use port::{PortKind, PortOwner, PortView, ports};
pub use reach::reach;

use crate::graph::{Graph, GraphKind, GraphNode};
use std::collections::HashMap;

/// The cloud's resources of a graph by their ids.
pub(crate) fn by_id(graph: &Graph) -> HashMap<&str, &GraphNode> {
    graph.nodes.iter().filter_map(|n| Some((n.details.get("id")?.as_str(), n))).collect()
}

/// Whether a node is a machine.
fn is_machine(node: &GraphNode) -> bool {
    matches!(node.kind, GraphKind::Server | GraphKind::Host)
}
