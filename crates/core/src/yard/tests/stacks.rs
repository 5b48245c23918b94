//! Stacks in plans and pictures.

use super::*;
use crate::health::Health;
use crate::rollout::Status;
use crate::yard::plan::{Deployed, ServiceStep, StackStep};

/// Stacks over the hosts of a pool and a machine that joined by hand; one container is not well.
pub(super) fn stacks() -> picture::Stacks {
    let replica = |name: &str, host: &str, healthy: bool| {
        json!({"name": name, "index": 1, "host": host, "host_name": host, "state": "running", "healthy": healthy,
            "restarts": 0, "generation": 1, "health": if healthy { "ready" } else { "degraded" }})
    };
    let service = |name: &str, ready: usize, replicas: Value| {
        let desired = replicas.as_array().unwrap().len();
        let why = (ready < desired).then_some("web-3 on edge: not healthy after 60 s\n  the last lines of its log:");
        json!({"name": name, "image": "i", "mode": "replicated", "desired": desired, "running": desired,
            "ready": ready, "generation": 1, "phase": "done", "health": if why.is_some() { "degraded" } else { "ready" }, "reason": why, "replicas": replicas})
    };
    let web =
        json!([replica("web-1", "web-1", true), replica("web-2", "web-1", true), replica("web-3", "edge", false)]);
    let site = json!({"version": 1, "health": "degraded", "reasons": ["web: not well"], "notes": [],
        "services": [service("db", 1, json!([replica("db-1", "web-2", true)])), service("web", 2, web)]});
    BTreeMap::from([("site".to_owned(), serde_json::from_value(site).unwrap())])
}

pub(super) fn hosts() -> Value {
    json!({"networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "hosts": [{"pool": "web", "count": 3, "flavor": "f", "image": "i", "dataVolume": {"size": "1Gi"}}]})
}

#[test]
fn stacks_are_drawn_in_their_hosts() {
    let intended = yard(hosts());
    let toy = Toy::up(&intended);
    insta::assert_snapshot!(picture::tree(&intended, &toy.observed, &BTreeMap::new(), &stacks()), @r"
    shop
    ├─ network front
    │  ├─ server web-1
    │  │  ├─ volume web-1/data
    │  │  └─ service site/web  2 ready
    │  ├─ server web-2
    │  │  ├─ volume web-2/data
    │  │  └─ service site/db  ready
    │  └─ server web-3
    │     └─ volume web-3/data
    ├─ host edge  (no server of the yard)
    │  └─ service site/web  0 of 1 ready
    └─ stack site  3 of 4 ready, DEGRADED
       ├─ service db  1 of 1 ready
       └─ service web  2 of 3 ready  (web-3 on edge: not healthy after 60 s)
    ");
    let dot = picture::dot(&intended, &toy.observed, &stacks());
    let host = dot.split("subgraph \"cluster server web-1\"").nth(1).unwrap().split("  }").next().unwrap();
    assert!(
        host.contains("\"server web-1\"") && host.contains("label=\"site/web\\n2 ready\", shape=component"),
        "{dot}"
    );
    let svg = picture::svg(&intended, &toy.observed, &BTreeMap::new(), &stacks());
    assert!(
        svg.contains(">2 x site/web<") && svg.contains(">site/db<") && svg.contains("site: 3 of 4 ready, DEGRADED")
    );
}

#[test]
fn the_network_of_stacks_is_the_only_one_of_the_hosts() {
    use crate::stack::StackNetwork;
    let pool = |pool: &str, network: &str| json!({"pool": pool, "flavor": "f", "image": "i", "network": network});
    let of = |more: Value, hosts: Vec<Value>| {
        let networks = json!([{"name": "front", "cidr": "10.20.0.0/24"}, {"name": "back", "cidr": "10.21.0.0/24"}]);
        let mut spec = json!({"networks": networks, "hosts": hosts});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        yard(spec).stack_network
    };
    assert_eq!(yard(hosts()).stack_network, StackNetwork::Only("front".into()));
    let same = vec![pool("a", "back"), pool("b", "back")];
    assert_eq!(of(json!({}), same.clone()), StackNetwork::Only("back".into()));
    assert_eq!(of(json!({}), vec![pool("a", "front"), pool("b", "back")]), StackNetwork::Unknown);
    let two = json!({"pool": "a", "flavor": "f", "image": "i", "networks": ["front", "back"]});
    assert_eq!(of(json!({}), vec![two]), StackNetwork::Unknown);
    assert_eq!(of(json!({}), vec![pool("a", "public")]), StackNetwork::Unknown, "no network of the yard");
    assert_eq!(of(json!({}), Vec::new()), StackNetwork::Unknown);
    let foreign = json!({"pool": "k", "flavor": "f", "image": "i", "network": "front", "join": {"command": "run"}});
    assert_eq!(of(json!({}), [same.clone(), vec![foreign]].concat()), StackNetwork::Only("back".into()));
    assert_eq!(of(json!({"stackNetwork": "front"}), same.clone()), StackNetwork::Named("front".into()));
    assert_eq!(of(json!({"stackNetwork": "none"}), same), StackNetwork::Off);
    let public = of(json!({"stackNetwork": "public"}), vec![pool("a", "public")]);
    assert_eq!(public, StackNetwork::Named("public".into()));
}

#[test]
fn stacks_in_a_plan() {
    let status = |health: Health, reason: &str| Status {
        health,
        reasons: vec![format!("{reason}\nits log")],
        ..Status::default()
    };
    let (well, bad) = (status(Health::Ready, ""), status(Health::Failed, "web: was rolled back: it ended"));
    let (late, new) = (status(Health::Progressing, "web: 1 of 3 ready"), Status::default());
    let there = |status, removing| Deployed { status, removing, declared: true };
    let service = |name: &str, action, parts: &[&str]| ServiceStep {
        name: name.to_owned(),
        action,
        parts: parts.iter().map(|p| (*p).to_owned()).collect(),
    };
    let changed = vec![service("old", Action::Remove, &[]), service("web", Action::Change, &["image", "deploy"])];
    let plan = Plan {
        stacks: vec![
            StackStep::unwanted("gone", there(&well, false)),
            StackStep::unwanted("going", there(&well, true)),
            StackStep::wanted("again", vec![service("web", Action::Create, &[])], Some(there(&new, true))),
            StackStep::wanted("changed", changed, Some(there(&bad, false))),
            StackStep::wanted("by-hand", Vec::new(), Some(Deployed { declared: false, ..there(&well, false) })),
            StackStep::wanted("failed", Vec::new(), Some(there(&bad, false))),
            StackStep::wanted("late", Vec::new(), Some(there(&late, false))),
            StackStep::wanted("new", vec![service("web", Action::Create, &[])], None),
            StackStep::wanted("same", Vec::new(), Some(there(&well, false)))
                .with_notes(vec!["network `default` is in the yard's network `front`".to_owned()]),
        ],
        ..Plan::default()
    };
    insta::assert_snapshot!(plan.to_string(), @r"
    - remove   stack gone
    - remove   stack going: it is being removed already
    + create   stack again: the one that is being removed goes first
                 + service web
    ~ change   stack changed
                 - service old
                 ~ service web: image, deploy
    ~ change   stack by-hand: it was deployed by hand, and is the manifest's from now on
    ~ change   stack failed: it was given up, and is tried again: web: was rolled back: it ended
    > wait for stack late: web: 1 of 3 ready
    + create   stack new
                 + service web
    = keep     stack same
                 note: network `default` is in the yard's network `front`
    2 to create, 3 to change, 2 to remove, 1 to wait for, 1 unchanged
    ");
    assert!(!plan.is_noop());
    let same = Plan { stacks: plan.stacks[8..].to_vec(), ..Plan::default() };
    assert!(same.is_noop());
    insta::assert_snapshot!(same.to_string(), @r"
    = keep     stack same
                 note: network `default` is in the yard's network `front`
    nothing to do, 1 unchanged
    ");
}
