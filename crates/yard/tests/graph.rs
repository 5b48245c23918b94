//! A yard as it is, from a cloud, hosts and stacks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{connect, shop, up};
use serde_json::{Value, json};
use stackyard_api::{Graph, GraphKind, GraphNode, HostView, StackView, host_health};
use stackyard_core::agent::Facts;
use stackyard_core::health::Health;
use stackyard_core::rollout::{Phase, ReplicaStatus, ServiceStatus, Status};
use stackyard_core::yard::intend::Intended;
use stackyard_fake::Fake;
use stackyard_yard::{GraphInput, Inventory, draw_graph};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

fn yard(more: Value) -> Intended {
    let mut spec = json!({
        "networks": [
            {"name": "front", "cidr": "10.20.0.0/24", "mtu": 1400, "router": {"external": "public"}},
            {"name": "back", "cidr": "10.30.0.0/24"},
        ],
        "securityGroups": [{"name": "web", "rules": [{"proto": "tcp", "port": 80}]}],
        "volumes": [{"name": "data", "size": "2Gi"}, {"name": "spare", "size": "1Gi"}],
        "servers": [
            {"name": "db", "flavor": "m1.nano", "image": "tiny", "networks": ["front", "back"], "volumes": ["data"]},
            {"name": "web", "count": 2, "flavor": "m1.nano", "image": "tiny", "network": "front", "securityGroups": ["web"]},
        ],
        "loadBalancers": [{"name": "all", "network": "front", "listeners": [{"port": 80, "servers": ["web"]}]}],
        "objectContainers": [{"name": "files"}],
        "floatingIPs": [{"name": "all", "loadBalancer": "all"}, {"name": "db", "server": "db", "network": "front"}],
    });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    shop(spec)
}

fn host(name: &str, connected: bool) -> HostView {
    HostView {
        id: format!("id-{name}"),
        yard: "shop".into(),
        pool: String::new(),
        name: name.into(),
        labels: BTreeMap::new(),
        health: host_health(connected, false, None).0,
        reason: host_health(connected, false, None).1,
        connected,
        drain: false,
        leaving: false,
        replace: None,
        joined: String::new(),
        last_seen: None,
        facts: Facts {
            cpus: 2,
            memory: 4 << 30,
            ..Facts::default()
        },
        address: None,
        revision: 1,
        report: None,
    }
}

fn replica(service: &str, index: u32, host: &str) -> ReplicaStatus {
    ReplicaStatus {
        name: format!("{service}-{index}"),
        index,
        host: format!("id-{host}"),
        host_name: host.into(),
        state: "running".into(),
        status: None,
        healthy: Some(true),
        container: Some("c".into()),
        ports: Vec::new(),
        restarts: 0,
        generation: 1,
        health: Health::Ready,
        reason: None,
    }
}

fn stack(name: &str, replicas: Vec<ReplicaStatus>) -> StackView {
    let service = ServiceStatus {
        name: "web".into(),
        image: "nginx:1".into(),
        mode: "replicated".into(),
        desired: replicas.len(),
        running: replicas.len(),
        ready: replicas.len(),
        generation: 1,
        health: Health::Ready,
        phase: Phase::Done,
        reason: None,
        replicas,
    };
    StackView {
        yard: "shop".into(),
        name: name.into(),
        removing: false,
        pool: None,
        declared: false,
        versions: Vec::new(),
        previous: None,
        deployed: String::new(),
        status: Status {
            version: 1,
            health: Health::Ready,
            services: vec![service],
            ..Status::default()
        },
    }
}

fn node<'g>(graph: &'g Graph, id: &str) -> &'g GraphNode {
    graph
        .nodes
        .iter()
        .find(|n| n.id == id)
        .unwrap_or_else(|| panic!("no {id} in {:#?}", graph.nodes))
}

fn edges(graph: &Graph) -> HashSet<String> {
    let name = |id: &str| node(graph, id).name.clone();
    let kind = |e: &stackyard_api::GraphEdge| {
        serde_json::to_value(e.kind)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    graph
        .edges
        .iter()
        .map(|e| format!("{} {} {}", name(&e.from), kind(e), name(&e.to)))
        .collect()
}

/// Ends of edges are there, and no id comes twice.
fn sound(graph: &Graph) {
    let ids: HashSet<&String> = graph.nodes.iter().map(|n| &n.id).collect();
    assert_eq!(ids.len(), graph.nodes.len());
    assert!(
        graph
            .edges
            .iter()
            .all(|e| ids.contains(&e.from) && ids.contains(&e.to)),
        "{:#?}",
        graph.edges
    );
    let above = graph
        .nodes
        .iter()
        .flat_map(|n| n.parent.iter().chain(&n.service));
    assert!(above.into_iter().all(|id| ids.contains(id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cloud_has_and_what_runs_there() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.world().take_time(Duration::ZERO);
    let (cloud, intended) = (connect(&fake).await, yard(json!({})));
    up(&cloud, &intended).await.unwrap();
    let inventory = Inventory::take(&cloud).await.unwrap();
    // One server is a host that joined by hand; another host is no server.
    let hosts = [host("web-1", true), host("old", false)];
    let stacks = [stack(
        "site",
        vec![replica("web", 1, "web-1"), replica("web", 2, "old")],
    )];
    let with = GraphInput {
        inventory: Some(&inventory),
        intended: Some(&intended),
        hosts: &hosts,
        stacks: &stacks,
    };
    let graph = draw_graph("shop", with);
    sound(&graph);

    let front = node(&graph, "network/front");
    assert_eq!(
        (front.health, front.details["mtu"].as_str()),
        (Health::Ready, "1400")
    );
    assert_eq!(front.details["cidr"], "10.20.0.0/24");
    let public = graph.nodes.iter().find(|n| n.name == "public").unwrap();
    assert!(public.outside && public.kind == GraphKind::Network);
    let db = node(&graph, "server/db");
    assert_eq!(
        (
            db.kind,
            db.details["flavor"].as_str(),
            db.details["image"].as_str()
        ),
        (GraphKind::Server, "m1.nano", "tiny")
    );
    assert!(
        db.details["addresses"].contains("10.20.0.")
            && db.details["addresses"].contains("10.30.0."),
        "{db:?}"
    );
    assert_eq!(
        node(&graph, "security-group/web").details["rules"],
        "everything (IPv6) to anywhere; everything to anywhere; tcp 80 from anywhere"
    );
    let web = node(&graph, "server/web-1");
    assert_eq!(
        (web.kind, web.host.as_deref(), web.details["cpus"].as_str()),
        (GraphKind::Host, Some("id-web-1"), "2")
    );
    let old = node(&graph, "host/old");
    assert_eq!(
        (old.health, old.reason.as_deref()),
        (Health::Unknown, Some("its agent is not connected"))
    );
    let container = node(&graph, "container/site/web-1");
    assert_eq!(container.parent.as_deref(), Some("server/web-1"));
    assert_eq!(container.service.as_deref(), Some("service/site/web"));
    assert_eq!(
        node(&graph, "container/site/web-2").parent.as_deref(),
        Some("host/old")
    );
    assert_eq!(
        node(&graph, "service/site/web").parent.as_deref(),
        Some("stack/site")
    );

    let edges = edges(&graph);
    for edge in [
        "front interface front",
        "front gateway public",
        "db port front",
        "db port back",
        "web-1 security_group web",
        "db attachment data",
        "all vip front",
        "all member web-1",
        "all member web-2",
        "all leads all",
        "db leads db",
        "db external public",
    ] {
        assert!(edges.contains(edge), "no {edge} in {edges:#?}");
    }
    assert!(!edges.iter().any(|e| e.contains("spare")));
    let ports: Vec<&String> = graph
        .edges
        .iter()
        .filter(|e| e.from == "server/db")
        .filter_map(|e| e.label.as_ref())
        .collect();
    assert!(ports.iter().any(|l| l.starts_with("10.30.0.")), "{ports:?}");

    // Who knows no manifest sees the same.
    let without = draw_graph(
        "shop",
        GraphInput {
            intended: None,
            ..with
        },
    );
    assert_eq!(
        (without.nodes.len(), without.edges.len()),
        (graph.nodes.len(), graph.edges.len())
    );
    // A look at nothing, and one at another yard.
    assert_eq!(draw_graph("shop", GraphInput::default()).nodes, Vec::new());
    assert!(
        draw_graph(
            "lab",
            GraphInput {
                intended: None,
                hosts: &[],
                stacks: &[],
                ..with
            }
        )
        .nodes
        .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_should_be_there_and_is_not() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    fake.world().take_time(Duration::ZERO);
    let cloud = connect(&fake).await;
    up(&cloud, &yard(json!({}))).await.unwrap();
    let inventory = Inventory::take(&cloud).await.unwrap();
    let more = json!({
        "servers": [{"name": "late", "flavor": "m1.nano", "image": "tiny", "network": "back"}],
        "loadBalancers": [],
        "hosts": [{"pool": "run", "count": 1, "flavor": "m1.host", "image": "tiny", "network": "front", "join": {"docker": {}}}],
        "floatingIPs": [{"name": "late", "server": "late"}],
    });
    let graph = draw_graph(
        "shop",
        GraphInput {
            inventory: Some(&inventory),
            intended: Some(&yard(more)),
            hosts: &[],
            stacks: &[],
        },
    );
    sound(&graph);
    for (id, kind) in [
        ("server/late", GraphKind::Server),
        ("server/run-1", GraphKind::Host),
        ("floating-ip/late", GraphKind::FloatingIp),
    ] {
        let node = node(&graph, id);
        assert_eq!((node.health, node.kind), (Health::Missing, kind), "{id}");
    }
    let edges = edges(&graph);
    assert!(
        edges.contains("late port back")
            && edges.contains("run-1 port front")
            && edges.contains("late leads late"),
        "{edges:#?}"
    );
    // What there is stays what it is.
    assert_eq!(node(&graph, "server/db").health, Health::Ready);
}

#[test]
fn states_of_what_runs() {
    let mut stacks = [stack(
        "site",
        (1..=6).map(|i| replica("web", i, "h")).collect(),
    )];
    let service = &mut stacks[0].status.services[0];
    let healths = [
        Health::Ready,
        Health::Degraded,
        Health::Unknown,
        Health::Progressing,
        Health::Missing,
        Health::Failed,
    ];
    for (replica, health) in service.replicas.iter_mut().zip(healths) {
        replica.health = health;
    }
    let hosts = [HostView {
        drain: true,
        health: Health::Draining,
        ..host("h", true)
    }];
    let state = |stacks: &[StackView], id: &str| {
        node(
            &draw_graph(
                "shop",
                GraphInput {
                    hosts: &hosts,
                    stacks,
                    ..GraphInput::default()
                },
            ),
            id,
        )
        .health
    };
    let of = |stacks: &[StackView]| {
        (1..=6)
            .map(|i| state(stacks, &format!("container/site/web-{i}")))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&stacks), healths);
    assert_eq!(state(&stacks, "host/h"), Health::Draining);
}

#[test]
fn a_global_service_has_a_container_on_each_host() {
    let mut stacks = [stack(
        "site",
        vec![replica("web", 1, "h1"), replica("web", 1, "h2")],
    )];
    stacks[0].status.services[0].mode = "global".into();
    let hosts = [host("h1", true), host("h2", true)];
    let graph = draw_graph(
        "shop",
        GraphInput {
            hosts: &hosts,
            stacks: &stacks,
            ..GraphInput::default()
        },
    );
    sound(&graph);
    for host in ["h1", "h2"] {
        let container = node(&graph, &format!("container/site/web-1@{host}"));
        assert_eq!(
            (container.name.as_str(), container.parent.as_ref()),
            ("web-1", Some(&format!("host/{host}")))
        );
    }
}

#[test]
fn two_thousand_containers_take_no_time() {
    let hosts: Vec<HostView> = (0..40).map(|i| host(&format!("h{i}"), true)).collect();
    let replicas = (0..2000)
        .map(|i| replica("web", i, &format!("h{}", i % 40)))
        .collect();
    let stacks = [stack("site", replicas)];
    let begun = Instant::now();
    let graph = draw_graph(
        "shop",
        GraphInput {
            hosts: &hosts,
            stacks: &stacks,
            ..GraphInput::default()
        },
    );
    let text = serde_json::to_string(&graph).unwrap();
    // Unoptimised, beside other tests.
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        graph
            .nodes
            .iter()
            .filter(|n| n.kind == GraphKind::Container)
            .count(),
        2000
    );
    assert!(text.len() < 600_000, "{}", text.len());
}
