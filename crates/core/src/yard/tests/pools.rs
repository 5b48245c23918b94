//! Pools of hosts.

use super::*;
use crate::yard::intend::{HostJoin, Spec};
use crate::yard::manifest::HttpHook;

fn pool(more: Value) -> Value {
    let mut pool = json!({"pool": "web", "count": 3, "flavor": "m1.host", "image": "docker-host",
        "dataVolume": {"size": "20Gi"}, "userData": "#cloud-config\n"});
    pool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"networks": [{"name": "front", "cidr": "10.20.0.0/24", "router": {"external": "public"}}], "hosts": [pool]})
}

/// Carries a plan out in every order that it allows, a step of each front at a time, and tells
/// how many hosts that worked before are away at most.
fn most_away(toy: &mut Toy, intended: &Intended, plan: &Plan) -> usize {
    let works = |s: &Seen| matches!(s.state, State::Ready | State::Marked(_));
    let is_up = |toy: &Toy, key: &Key| toy.observed.get(key).is_some_and(works);
    let hosts: Vec<Key> = intended.pools.iter().flat_map(|p| p.hosts.clone()).filter(|k| is_up(toy, k)).collect();
    let (mut done, mut most) = (vec![false; plan.steps.len()], 0);
    loop {
        let ready = |i: &usize| !done[*i] && plan.steps[*i].after.iter().all(|a| done[*a]);
        let ready: Vec<usize> = (0..done.len()).filter(ready).collect();
        // Removals first: the worst that can happen.
        let Some(next) = ready.iter().copied().min_by_key(|i| plan.steps[*i].action != Action::Discard) else { break };
        toy.step(intended, plan, next);
        done[next] = true;
        most = most.max(hosts.iter().filter(|k| !is_up(toy, k)).count());
    }
    assert!(done.iter().all(|d| *d), "steps wait for each other:\n{plan}");
    most
}

#[test]
fn a_pool_comes_up() {
    insta::assert_snapshot!(text(&yard(pool(json!({"count": 2, "floatingIP": true}))), &Observed::default()), @r"
    + create   network front
    + create   subnet front/main
    + create   router front
    + create   router interface front:front/main
    + create   volume web-1/data
    + create   volume web-2/data
    + create   port web-1/front
    + create   port web-2/front
    + create   server web-1
    + create   server web-2
    + create   attachment web-1:web-1/data
    + create   attachment web-2:web-2/data
    + create   floating IP web-1
    + create   floating IP web-2
    14 to create
    ");
}

#[test]
fn a_pool_grows_and_shrinks() {
    let toy = Toy::up(&yard(pool(json!({}))));
    insta::assert_snapshot!(text(&yard(pool(json!({"count": 4}))), &toy.observed), @r"
    + create   volume web-4/data
    + create   port web-4/front
    + create   server web-4
    + create   attachment web-4:web-4/data
    4 to create, 16 unchanged
    ");
    insta::assert_snapshot!(text(&yard(pool(json!({"count": 1, "dataVolume": {"size": "30Gi"}}))), &toy.observed), @r"
    - remove   server web-2
    - remove   server web-3
    - remove   port web-2/front
    - remove   port web-3/front
    - remove   volume web-2/data: its data is lost
    - remove   volume web-3/data: its data is lost
    ~ change   volume web-1/data: size 20Gi -> 30Gi
    1 to change, 6 to remove, 7 unchanged; the data of 2 resources is lost
    ");
}

#[test]
fn a_new_image_replaces_hosts_and_keeps_their_volumes() {
    let toy = Toy::up(&yard(pool(json!({}))));
    let next = yard(pool(json!({"image": "docker-host-2"})));
    insta::assert_snapshot!(text(&next, &toy.observed), @r"
    ! replace  server web-1: image docker-host -> docker-host-2 (takes a replacement)
    ! replace  server web-2: image docker-host -> docker-host-2 (takes a replacement)
    ! replace  server web-3: image docker-host -> docker-host-2 (takes a replacement)
    ! replace  attachment web-1:web-1/data: server web-1 is replaced
    ! replace  attachment web-2:web-2/data: server web-2 is replaced
    ! replace  attachment web-3:web-3/data: server web-3 is replaced
    6 to replace, 10 unchanged
    ");
}

#[test]
fn a_volume_grows_while_its_host_is_replaced() {
    let toy = Toy::up(&yard(pool(json!({}))));
    let next = yard(pool(json!({"image": "docker-host-2", "dataVolume": {"size": "30Gi"}})));
    let plan = plan(&next, &toy.observed);
    let step = |kind, name: &str, action| {
        plan.steps.iter().position(|s| s.key == Key::new(kind, name) && s.action == action).unwrap()
    };
    let grow = step(Kind::Volume, "web-2/data", Action::Change);
    assert!(plan.steps[grow].after.contains(&step(Kind::Server, "web-2", Action::Discard)));
    assert!(plan.steps[step(Kind::Server, "web-2", Action::Recreate)].after.contains(&grow));
}

#[test]
fn hosts_are_replaced_in_turns() {
    for (max, most) in [(json!(null), 1), (json!(2), 2), (json!("50%"), 5), (json!("5%"), 1), (json!(99), 10)] {
        let of = |image: &str| yard(pool(json!({"count": 10, "maxUnavailable": max, "image": image})));
        let mut toy = Toy::up(&of("a"));
        let next = of("b");
        let first = plan(&next, &toy.observed);
        assert_eq!(most_away(&mut toy, &next, &first), most, "{max}");
        assert!(plan(&next, &toy.observed).is_noop());
    }
}

#[test]
fn broken_hosts_are_replaced_first() {
    let of = |image: &str| yard(pool(json!({"count": 6, "image": image})));
    let mut toy = Toy::up(&of("a"));
    for seen in &mut toy.observed.resources {
        if matches!(seen.key.to_string().as_str(), "server web-3" | "server web-5") {
            seen.state = State::Broken("its agent has been away for 12 minutes".into());
        }
    }
    let next = of("b");
    let first = plan(&next, &toy.observed);
    let step = |action, name: &str| {
        first.steps.iter().position(|s| s.action == action && s.key == Key::new(Kind::Server, name)).unwrap()
    };
    for broken in ["web-3", "web-5"] {
        let back = step(Action::Recreate, broken);
        assert!(first.steps[step(Action::Discard, broken)].after.is_empty());
        assert!(first.steps[step(Action::Discard, "web-1")].after.contains(&back));
    }
    assert_eq!(most_away(&mut toy, &next, &first), 1);
}

#[test]
fn marked_hosts_are_replaced_in_turns_and_no_other() {
    for (max, most) in [(1, 1), (2, 2)] {
        let of = |count: u32| yard(pool(json!({"count": count, "maxUnavailable": max})));
        let mut toy = Toy::up(&of(5));
        for seen in &mut toy.observed.resources {
            match seen.key.to_string().as_str() {
                "server web-1" => seen.state = State::Broken("it is in ERROR".into()),
                "server web-2" | "server web-4" | "server web-5" => {
                    seen.state = State::Marked("asked for by token ann".into());
                }
                _ => {}
            }
        }
        // One that goes anyway is removed, and its mark with it.
        insta::allow_duplicates! {
            insta::assert_snapshot!(text(&of(4), &toy.observed), @r"
            - remove   server web-5
            - remove   port web-5/front
            - remove   volume web-5/data: its data is lost
            ! replace  server web-1: it is in ERROR
            ! replace  server web-2: asked for by token ann
            ! replace  server web-4: asked for by token ann
            ! replace  attachment web-1:web-1/data: server web-1 is replaced
            ! replace  attachment web-2:web-2/data: server web-2 is replaced
            ! replace  attachment web-4:web-4/data: server web-4 is replaced
            6 to replace, 3 to remove, 14 unchanged; the data of 1 resource is lost
            ");
        }
        // They work until their turn: it comes when what is broken is back, to no more at once than may be away.
        let first = plan(&of(5), &toy.observed);
        assert_eq!(most_away(&mut toy, &of(5), &first), most);
        assert!(plan(&of(5), &toy.observed).is_noop());
    }
}

#[test]
fn hosts_that_have_to_go_together_do() {
    let mut spec = pool(json!({}));
    let mut toy = Toy::up(&yard(spec.clone()));
    spec["networks"][0]["cidr"] = json!("10.21.0.0/24");
    let next = yard(spec);
    let first = plan(&next, &toy.observed);
    assert_eq!(most_away(&mut toy, &next, &first), 3);
    assert!(plan(&next, &toy.observed).is_noop());
}

#[test]
fn what_a_token_is_got_with_replaces_nothing() {
    let of = |url: &str, token: &str| {
        let http = json!({"url": url, "headers": {"Authorization": token}, "jsonPath": "$.data[0].nodeCommand"});
        yard(pool(json!({"join": {"command": {"http": http, "suffix": "--worker"}}})))
    };
    let toy = Toy::up(&of("https://rancher.example/v3", "Bearer ${OLD}"));
    assert!(plan(&of("https://rancher.example/v3", "Bearer ${NEW}"), &toy.observed).is_noop());
    assert!(!plan(&of("https://other.example/v3", "Bearer ${NEW}"), &toy.observed).is_noop());
}

#[test]
fn a_pool_that_joins_by_ssh_has_a_key_and_calls_its_floating_ip() {
    let intended = yard(pool(json!({"count": 1, "floatingIP": "public", "join": {"ssh": {"user": "rocky"}}})));
    let key = Key::new(Kind::Keypair, "hosts-web");
    assert!(matches!(&intended.get(&key).unwrap().spec, Spec::PoolKeypair { pool } if pool == "web"));
    let server = intended.get(&Key::new(Kind::Server, "web-1")).unwrap();
    let ip = Key::new(Kind::FloatingIp, "web-1");
    assert!(server.needs.iter().any(|n| n.key == ip && !n.baked));
    let Spec::Server(spec) = &server.spec else { panic!("no server") };
    assert_eq!(spec.host.as_ref().unwrap().join, HostJoin::Ssh { user: "rocky".into(), via: Some(ip) });
    Toy::up(&intended);
}

#[test]
fn mistakes_in_pools_are_told() {
    let said = |more: Value| {
        let manifest =
            json!({"apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"}, "spec": pool(more)});
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let troubles = intend(&manifest).unwrap_err();
        troubles.iter().map(|t| format!("{}: {}", t.path, t.message)).collect::<Vec<_>>().join("\n")
    };
    for (more, message) in [
        (json!({"join": {"docker": {}, "ssh": {}}}), "spec.hosts[0].join: there are several ways to join"),
        (json!({"join": {"command": {}}}), "spec.hosts[0].join.command: there is no command"),
        (json!({"join": {"command": {"text": "a", "program": ["b"]}}}), "there are several commands"),
        (
            json!({"join": {"command": {"http": {"url": "https://r", "jsonPath": "data[0"}}}}),
            "spec.hosts[0].join.command.http.jsonPath: `data[0`",
        ),
        (
            json!({"join": {"command": {"http": {"url": "https://r", "jsonPath": "$..*..*..*..*..*..*"}}}}),
            "spec.hosts[0].join.command.http.jsonPath: `$..*..*..*..*..*..*` may lead to several places",
        ),
        (json!({"join": {"ssh": {"via": "floatingIP"}}}), "the hosts have no floating IP"),
        (json!({"key": "me", "join": {"ssh": {}}}), "a key of its own"),
        (json!({"dataVolume": {"size": 1, "mount": "/a b"}}), "`/a b` is no absolute path"),
        (json!({"networks": [{"network": "front", "address": "10.20.0.9"}]}), "cannot have one fixed address"),
        (json!({"pool": "a b"}), "spec.hosts[0].pool: `a b` cannot name a pool"),
        (json!({"metadata": {"stackyard.pool": "x"}}), "`stackyard.pool` is Stackyard's own"),
    ] {
        let said = said(more);
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn a_path_into_an_answer_leads_to_one_place() {
    let path = |text: &str| {
        let hook = json!({"url": "https://r", "jsonPath": text});
        serde_json::from_value::<HttpHook>(hook).unwrap().path()
    };
    for good in ["$", "$.a", "$.data[0].nodeCommand", "$['a b']['?']", "$[\"..\"][-1]", "$ .a [0]"] {
        path(good).unwrap();
    }
    for wrong in [
        "$..a",
        "$..*..*..*..*..*..*",
        "$.*",
        "$[*,*][*,*]",
        "$[0,0][0,0]",
        "$[0:9]",
        "$[?@.a]",
        "$[?$..*]",
        "$.a == 0 || $..*",
        "$.a]..[?$.b",
        "data",
    ] {
        assert!(path(wrong).is_err(), "{wrong}");
    }
}
