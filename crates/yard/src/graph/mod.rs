//! A yard as it is: what its cloud has, what its hosts run, and what joins what.
//!
//! ```text
//! Inventory ── observe by mark ──> networks, routers, servers, volumes ... ─┐
//! the hub ── hosts, what they report ──> hosts (servers that joined) ───────┼──> nodes and edges
//! stacks ──> stacks, services, containers in their hosts ───────────────────┘
//! ```
//!
//! This says what there is; where it is drawn, and what of it, is the reader's business. A node's id
//! stays the same for as long as the thing is meant: a server that becomes a host keeps it.

mod cloud;
mod run;

use crate::inventory::Inventory;
use stackyard_api::{Graph, GraphEdge, GraphEdgeKind, GraphNode, HostView, StackView};
use stackyard_core::yard::intend::Intended;
use std::collections::HashMap;

/// What a graph is made from.
#[derive(Debug, Clone, Copy, Default)]
pub struct GraphInput<'a> {
    /// What the cloud has, if it was looked at.
    pub inventory: Option<&'a Inventory>,
    /// What the manifest means, if one is known: what is not there is missing then.
    pub intended: Option<&'a Intended>,
    /// The yard's hosts.
    pub hosts: &'a [HostView],
    /// The yard's stacks.
    pub stacks: &'a [StackView],
}

/// The graph of a yard.
pub fn draw_graph(yard: &str, input: GraphInput<'_>) -> Graph {
    let mut made = GraphBuilder {
        input,
        nodes: Vec::new(),
        edges: Vec::new(),
        at: HashMap::new(),
    };
    if let Some(inventory) = input.inventory {
        cloud::add(&mut made, yard, inventory);
    }
    run::add(&mut made);
    Graph {
        yard: yard.to_owned(),
        cloud: None,
        nodes: made.nodes,
        edges: made.edges,
    }
}

/// A graph on its way.
struct GraphBuilder<'a> {
    input: GraphInput<'a>,
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
    /// Where a node stands in `nodes`, by its id.
    at: HashMap<String, usize>,
}

impl GraphBuilder<'_> {
    /// Adds a node, unless there is one of its id.
    fn node(&mut self, node: GraphNode) {
        if !self.at.contains_key(&node.id) {
            self.at.insert(node.id.clone(), self.nodes.len());
            self.nodes.push(node);
        }
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut GraphNode> {
        self.at.get(id).map(|i| &mut self.nodes[*i])
    }

    /// Joins two nodes, if both are there.
    fn join(&mut self, from: &str, to: &str, kind: GraphEdgeKind, label: Option<String>) {
        if self.at.contains_key(from) && self.at.contains_key(to) {
            self.edges.push(GraphEdge {
                from: from.to_owned(),
                to: to.to_owned(),
                kind,
                label,
            });
        }
    }
}
