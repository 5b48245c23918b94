//! A yard's networks: its ports, what fits through them, and who can reach whom. Made from one look at the
//! cloud and what hosts report; nothing is asked for any single thing.

mod path;
mod port;
mod reach;

pub use path::layer;
pub use path::mtu_paths;
pub use port::ports;
pub use reach::reach;

use stackyard_api::{Graph, GraphKind, GraphNode};
use std::collections::HashMap;

/// The cloud's resources of a graph by their ids.
pub fn by_id(graph: &Graph) -> HashMap<&str, &GraphNode> {
    graph
        .nodes
        .iter()
        .filter_map(|n| Some((n.details.get("id")?.as_str(), n)))
        .collect()
}

/// Whether a node is a machine.
fn is_machine(node: &GraphNode) -> bool {
    matches!(node.kind, GraphKind::Server | GraphKind::Host)
}
