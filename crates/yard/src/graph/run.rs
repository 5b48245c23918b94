//! Hosts, and what runs on them.

use super::GraphBuilder;
use stackyard_api::{GraphKind, GraphNode, HostView, StackView};
use stackyard_core::health::Health;
use std::collections::HashMap;

/// Adds the yard's hosts, its stacks, their services and containers.
pub(super) fn add(made: &mut GraphBuilder<'_>) {
    let mut hosts = HashMap::new();
    for host in made.input.hosts {
        hosts.insert(host.id.as_str(), host_node(made, host));
    }
    for stack in made.input.stacks {
        stack_nodes(made, stack, &hosts);
    }
}

/// Makes a host of the server that it is, or adds one; its node's id.
fn host_node(made: &mut GraphBuilder<'_>, host: &HostView) -> String {
    let server = made.nodes.iter().find(|n| {
        let id = n.details.get("id");
        let same = |of: &String| id.is_some_and(|id| id.eq_ignore_ascii_case(of));
        matches!(n.kind, GraphKind::Server | GraphKind::Host)
            && host
                .facts
                .server_id
                .as_ref()
                .map_or(n.name == host.name && id.is_some(), same)
    });
    let id = server.map_or_else(|| format!("host/{}", host.name), |n| n.id.clone());
    made.node(GraphNode::new(
        &id,
        GraphKind::Host,
        &host.name,
        Health::Ready,
    ));
    let Some(node) = made.get_mut(&id) else {
        return id;
    };
    node.kind = GraphKind::Host;
    node.host = Some(host.id.clone());
    // That it has not joined yet is said of what was looked at a moment before it did.
    let waited = node.health == Health::Progressing
        && node.details.get("status").is_none_or(|s| s == "ACTIVE");
    if matches!(node.health, Health::Ready) || waited {
        (node.health, node.reason) = (host.health, host.reason.clone());
    }
    node.set_detail("pool", &host.pool);
    node.set_detail("os", &host.facts.os);
    node.set_detail("docker", &host.facts.docker);
    node.set_detail("agent", &host.facts.agent);
    if host.facts.cpus > 0 {
        node.set_detail("cpus", host.facts.cpus);
        node.set_detail("memory", format!("{} MiB", host.facts.memory >> 20));
    }
    if host.facts.mtu > 0 {
        node.set_detail("mtu", host.facts.mtu);
    }
    if !node.details.contains_key("addresses") {
        let addresses: Vec<String> = host
            .facts
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        node.set_detail("addresses", addresses.join(", "));
    }
    node.set_detail(
        "labels",
        host.labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
            .join(", "),
    );
    id
}

fn stack_nodes(made: &mut GraphBuilder<'_>, stack: &StackView, hosts: &HashMap<&str, String>) {
    let id = format!("stack/{}", stack.name);
    let status = &stack.status;
    let (ready, desired) = status
        .services
        .iter()
        .fold((0, 0), |(r, d), s| (r + s.ready, d + s.desired));
    let health = match status.health {
        Health::Ready if stack.removing => Health::Progressing,
        health => health,
    };
    let mut node = GraphNode::new(&id, GraphKind::Stack, &stack.name, health);
    node.reason = if stack.removing {
        Some("it is being removed".to_owned())
    } else {
        reasons(&status.reasons)
    };
    node.set_detail("containers", format!("{ready}/{desired}"));
    node.set_detail("version", status.version);
    node.set_detail("deployed", &stack.deployed);
    node.set_detail("pool", stack.pool.as_deref().unwrap_or_default());
    made.node(node);
    for service in &status.services {
        let of = format!("service/{}/{}", stack.name, service.name);
        let mut node = GraphNode::new(&of, GraphKind::Service, &service.name, service.health);
        node.reason.clone_from(&service.reason);
        node.parent = Some(id.clone());
        node.set_detail("image", &service.image);
        node.set_detail("mode", &service.mode);
        node.set_detail(
            "containers",
            format!("{}/{}", service.ready, service.desired),
        );
        made.node(node);
        for replica in &service.replicas {
            // Where there is one on each host, the host is part of which one is meant; others may move.
            let which = if service.mode.starts_with("global") {
                replica.at()
            } else {
                replica.name.clone()
            };
            let id = format!("container/{}/{which}", stack.name);
            let mut node = GraphNode::new(id, GraphKind::Container, &replica.name, replica.health);
            node.reason.clone_from(&replica.reason);
            node.parent = hosts.get(replica.host.as_str()).cloned();
            node.service = Some(of.clone());
            let ended = replica.status.map(|s| format!(" {s}")).unwrap_or_default();
            node.set_detail("status", format!("{}{ended}", replica.state));
            if replica.restarts > 0 {
                node.set_detail("restarts", replica.restarts);
            }
            made.node(node);
        }
    }
}

/// What is not as it should be; logs that are quoted below are left to the stack's own page.
fn reasons(all: &[String]) -> Option<String> {
    let lines: Vec<&str> = all.iter().filter_map(|r| r.lines().next()).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}
