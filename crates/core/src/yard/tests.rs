//! Plans as golden texts, and the laws that hold for every yard.

mod losses;
mod pools;
mod servers;
mod stacks;

use super::intend::{Intended, Resource, intend};
use super::manifest::{Manifest, schema};
use super::observed::{OLDER_MARK, Observed, Seen, State};
use super::plan::{Action, Plan, plan, removal};
use super::{Key, Kind, Mark, Scope, picture};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

fn yard(spec: Value) -> Intended {
    let manifest =
        json!({"apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"}, "spec": spec});
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    intend(&manifest).unwrap()
}

fn shop() -> Value {
    json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24", "router": {"external": "public"}}],
        "securityGroups": [{"name": "web", "rules": [{"proto": "tcp", "port": 80}, {"proto": "icmp", "from": "web"}]}],
        "keypairs": [{"name": "me", "publicKey": "ssh-ed25519 AAAA me"}],
        "volumes": [{"name": "data", "size": "1Gi"}],
        "servers": [
            {"name": "db", "flavor": "m1.tiny", "image": "tiny", "key": "me", "volumes": ["data"]},
            {"name": "web", "flavor": "m1.tiny", "image": "tiny", "securityGroups": ["web"], "bootVolume": {"size": 2}},
        ],
        "loadBalancers": [{"name": "all", "listeners": [
            {"port": 80, "to": 8080, "servers": ["web", {"server": "db", "weight": 2}],
             "algorithm": "source-ip-port", "healthMonitor": {}},
        ]}],
        "objectContainers": [{"name": "files", "public": true, "metadata": {"Owner": "me"}}],
        "floatingIPs": [{"server": "web"}, {"loadBalancer": "all"}],
    })
}

/// A cloud that does what a plan says, and checks the order.
#[derive(Default)]
struct Toy {
    observed: Observed,
    made: usize,
}

impl Toy {
    fn up(intended: &Intended) -> Self {
        let mut toy = Self::default();
        toy.apply(intended, &plan(intended, &toy.observed));
        toy
    }

    /// Carries out all steps, each when those before it are done.
    fn apply(&mut self, intended: &Intended, plan: &Plan) {
        let mut done = vec![false; plan.steps.len()];
        while let Some(next) = (0..done.len()).find(|i| !done[*i] && plan.steps[*i].after.iter().all(|a| done[*a])) {
            self.step(intended, plan, next);
            done[next] = true;
        }
        assert!(done.iter().all(|d| *d), "steps wait for each other:\n{plan}");
    }

    fn step(&mut self, intended: &Intended, plan: &Plan, i: usize) {
        let step = &plan.steps[i];
        match step.action {
            Action::Keep => {}
            Action::Create | Action::Recreate => {
                let resource = intended.get(&step.key).unwrap();
                for need in &resource.needs {
                    assert!(self.observed.get(&need.key).is_some(), "{} comes before {}", step.key, need.key);
                }
                self.made += 1;
                self.observed.resources.push(seen(resource, format!("id{}", self.made)));
            }
            Action::Change | Action::Await => {
                let resource = intended.get(&step.key).unwrap();
                let id = step.id.clone().unwrap();
                let there = self.observed.resources.iter_mut().find(|s| s.key == step.key && s.id == id).unwrap();
                let created = there.created.clone();
                *there = Seen { created, ..seen(resource, id) };
            }
            Action::Discard | Action::Remove => {
                let id = step.id.as_ref().unwrap();
                self.observed.resources.retain(|s| s.key != step.key || s.id != *id);
                if self.observed.get(&step.key).is_none() {
                    // What has no life of its own goes along; nothing else may still use it.
                    let along = |s: &Seen| {
                        matches!(s.key.kind, Kind::Rule | Kind::Attachment) && s.uses.first() == Some(&step.key)
                    };
                    self.observed.resources.retain(|s| !along(s));
                    // A floating IP leaves a port that goes.
                    for ip in self.observed.resources.iter_mut().filter(|s| s.key.kind == Kind::FloatingIp) {
                        if matches!(step.key.kind, Kind::Port | Kind::LoadBalancer) && ip.uses.contains(&step.key) {
                            ip.uses.clear();
                            ip.fields.insert("port", "".into());
                        }
                    }
                    let user = self.observed.resources.iter().find(|s| s.uses.contains(&step.key));
                    assert!(user.is_none(), "{} goes before {}:\n{plan}", step.key, user.unwrap().key);
                }
            }
        }
    }
}

fn seen(resource: &Resource, id: String) -> Seen {
    let uses = resource.needs.iter().filter(|n| n.key.kind != Kind::Keypair);
    Seen {
        key: resource.key.clone(),
        created: format!("{:0>8}", id.trim_start_matches("id")),
        id,
        held: false,
        state: State::Ready,
        fields: resource.fields.clone(),
        uses: uses
            .filter(|n| !matches!(resource.key.kind, Kind::Server | Kind::LoadBalancer) || n.baked)
            .map(|n| n.key.clone())
            .collect(),
    }
}

fn text(intended: &Intended, observed: &Observed) -> String {
    plan(intended, observed).to_string()
}

#[test]
fn first_up() {
    insta::assert_snapshot!(text(&yard(shop()), &Observed::default()));
}

#[test]
fn nothing_to_do() {
    let intended = yard(shop());
    let toy = Toy::up(&intended);
    assert!(plan(&intended, &toy.observed).is_noop());
    insta::assert_snapshot!(text(&intended, &toy.observed), @"nothing to do, 21 unchanged");
}

#[test]
fn changes_in_place_and_by_replacement() {
    let toy = Toy::up(&yard(shop()));
    let mut spec = shop();
    spec["networks"][0]["mtu"] = json!(1400);
    spec["servers"][0]["tags"] = json!(["blue"]);
    spec["servers"][0]["metadata"] = json!({"tier": "data"});
    spec["servers"][1]["image"] = json!("tiny2");
    spec["volumes"][0]["size"] = json!("2Gi");
    spec["securityGroups"][0]["rules"][0]["port"] = json!("8080");
    insta::assert_snapshot!(text(&yard(spec), &toy.observed));
}

#[test]
fn another_address_takes_all_that_stands_on_it() {
    let toy = Toy::up(&yard(shop()));
    let mut spec = shop();
    spec["networks"][0]["cidr"] = json!("10.21.0.0/24");
    insta::assert_snapshot!(text(&yard(spec), &toy.observed));
}

#[test]
fn down() {
    let intended = yard(shop());
    let mut toy = Toy::up(&intended);
    let plan = removal("shop", &toy.observed);
    insta::assert_snapshot!(plan.to_string());
    toy.apply(&intended, &plan);
    assert_eq!(toy.observed.resources, []);
}

#[test]
fn a_volume_does_not_shrink() {
    let mut spec = shop();
    spec["volumes"][0]["size"] = json!("2Gi");
    let toy = Toy::up(&yard(spec));
    let plan = plan(&yard(shop()), &toy.observed);
    assert_eq!(plan.refusals.len(), 1);
    assert!(!plan.is_noop());
}

#[test]
fn a_balancers_parts_change_in_place() {
    let toy = Toy::up(&yard(shop()));
    let mut spec = shop();
    spec["servers"][1]["count"] = json!(2);
    spec["floatingIPs"] = json!([{"name": "all", "loadBalancer": "all"}]);
    let listeners = &mut spec["loadBalancers"][0]["listeners"];
    listeners[0]["healthMonitor"] = Value::Null;
    listeners.as_array_mut().unwrap().push(json!({"port": 53, "proto": "udp", "servers": ["db"], "healthMonitor": {}}));
    insta::assert_snapshot!(text(&yard(spec.clone()), &toy.observed));
    spec["loadBalancers"][0]["address"] = json!("10.20.0.9");
    let plan = plan(&yard(spec), &toy.observed);
    assert!(plan.of(Kind::LoadBalancer).any(|s| s.action == Action::Recreate), "{plan}");
}

#[test]
fn a_container_with_objects_is_not_removed_in_passing() {
    let mut toy = Toy::up(&yard(shop()));
    let files = toy.observed.resources.iter_mut().find(|s| s.key.kind == Kind::ObjectContainer).unwrap();
    files.fields.insert("objects", "3".into());
    let refusals = removal("shop", &toy.observed).refusals;
    assert_eq!(
        refusals,
        ["object container files: it holds 3 objects; empty it, or give it `purge: true` and run `up` before it goes"]
    );
    // What is kept is not in the way, and saying so is a change in place.
    let mut spec = shop();
    spec["objectContainers"][0]["purge"] = json!(true);
    let intended = yard(spec);
    let plan = plan(&intended, &toy.observed);
    let summary = plan.summary();
    assert_eq!((summary.change, summary.keep, plan.refusals.len()), (1, 20, 0));
    toy.apply(&intended, &plan);
    assert!(removal("shop", &toy.observed).refusals.is_empty());
}

#[test]
fn doubles_go_and_the_one_in_use_stays() {
    let intended = yard(shop());
    let mut toy = Toy::up(&intended);
    let key = Key::new(Kind::Port, "db/front");
    let mut used = toy.observed.get(&key).unwrap().clone();
    // The younger one is the one that the server got.
    (used.id, used.created, used.held) = ("younger".into(), "9".into(), true);
    toy.observed.resources.push(used);
    let plan = plan(&intended, &toy.observed);
    assert_eq!(plan.to_string(), "- remove   port db/front: it is a double\n1 to remove, 21 unchanged\n");
    toy.apply(&intended, &plan);
    assert_eq!(toy.observed.get(&key).unwrap().id, "younger");
}

#[test]
fn states_and_what_becomes_of_them() {
    let intended = yard(shop());
    let mut toy = Toy::up(&intended);
    for seen in &mut toy.observed.resources {
        seen.state = match seen.key.to_string().as_str() {
            "server db" => State::Stopped("SHUTOFF".into()),
            "server web" => State::Broken("it is in ERROR: no valid host".into()),
            "volume data" => State::Pending("creating".into()),
            _ => State::Ready,
        };
    }
    insta::assert_snapshot!(text(&intended, &toy.observed));
}

#[test]
fn marks_are_read_back() {
    for kind in Kind::ALL {
        let scope = Scope::of("0123456789abcdef", "RegionOne");
        let mark = Mark::new("shop-2", &scope, &Key::new(kind, "a/b_c:d"));
        let named = Mark::new("shop-2", &scope, &Key::new(kind, "a_b-c"));
        for mark in [mark.clone(), mark.older()] {
            assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
        }
        for named in [named.clone(), named.older()] {
            assert_eq!(Mark::parse_name(kind, &named.as_name()), Some(named));
        }
    }
    for other in [
        "",
        "stackyard:",
        "stackyard:a",
        "stackyard:a/b",
        "stackyard:a/network/",
        "stackyard:a@/network/b",
        "stackyard:a@012345678/network/b",
        "stackyard:@0123456789ab/network/b",
        "made by stackyard:a/network/b",
    ] {
        assert_eq!(Mark::parse(other), None, "{other}");
    }
    for other in ["stackyard_a", "stackyard_a__0123456789ab", "stackyard_a__0123456789ab_", "stackyard_a__xyz_b"] {
        assert_eq!(Mark::parse_name(Kind::Keypair, other), None, "{other}");
    }
}

#[test]
fn a_mark_is_of_one_project_and_region() {
    let key = Key::new(Kind::Network, "front");
    let [one, two, there] =
        [("p1", "RegionOne"), ("p2", "RegionOne"), ("p1", "RegionTwo")].map(|(p, r)| Scope::of(p, r));
    let mark = Mark::new("shop", &one, &key);
    assert!(mark.is_of("shop", &one, &key) && mark.older().is_of("shop", &one, &key));
    for other in [&two, &there] {
        assert!(!mark.is_of("shop", other, &key), "{other}");
    }
    assert!(!mark.is_of("lab", &one, &key) && !mark.is_of("shop", &one, &Key::new(Kind::Network, "back")));
}

#[test]
fn a_mark_of_an_older_version_is_written_again() {
    let intended = yard(shop());
    let mut toy = Toy::up(&intended);
    toy.observed.owner = "shop@0123456789ab".into();
    let key = Key::new(Kind::Network, "front");
    let front = toy.observed.resources.iter_mut().find(|s| s.key == key).unwrap();
    front.fields.insert(OLDER_MARK, "shop".into());
    let plan = plan(&intended, &toy.observed);
    let said = "~ change   network front: mark shop -> shop@0123456789ab\n1 to change, 20 unchanged\n";
    assert_eq!(plan.to_string(), said);
    toy.apply(&intended, &plan);
    assert_eq!(text(&intended, &toy.observed), "nothing to do, 21 unchanged\n");
    // It is no reason to keep what nobody wants.
    toy.observed.resources.iter_mut().for_each(|s| drop(s.fields.insert(OLDER_MARK, "shop".into())));
    assert_eq!(removal("shop", &toy.observed).summary().change, 0);
}

#[test]
fn a_keypair_of_another_user_is_made_again_for_a_new_server_alone() {
    let intended = yard(shop());
    let mut toy = Toy::up(&intended);
    let key = Key::new(Kind::Keypair, "me");
    toy.observed.resources.iter_mut().find(|s| s.key == key).unwrap().state = State::Elsewhere;
    assert!(plan(&intended, &toy.observed).is_noop());
    // `web` has no keypair.
    let mut spec = shop();
    spec["servers"][1]["image"] = json!("tiny2");
    assert_eq!(plan(&yard(spec), &toy.observed).of(Kind::Keypair).next().unwrap().action, Action::Keep);
    let mut spec = shop();
    spec["servers"][0]["image"] = json!("tiny2");
    let plan = plan(&yard(spec), &toy.observed);
    let [keypair, server] = [Kind::Keypair, Kind::Server]
        .map(|kind| plan.steps.iter().position(|s| s.key.kind == kind && s.action != Action::Discard).unwrap());
    assert_eq!((plan.steps[keypair].action, plan.steps[server].action), (Action::Create, Action::Recreate));
    assert!(plan.steps[server].after.contains(&keypair));
}

/// The mistakes of a manifest with a group of these rules.
fn rules_with_mistakes(rules: Value) -> Vec<super::intend::Trouble> {
    let spec = json!({"securityGroups": [{"name": "web", "rules": rules}]});
    let manifest =
        json!({"apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"}, "spec": spec});
    intend(&serde_json::from_value(manifest).unwrap()).unwrap_err()
}

#[test]
fn a_rule_in_two_spellings_is_said_twice() {
    for (first, second, place) in [
        (json!({"proto": "icmp", "ipv6": true}), json!({"proto": "icmpv6"}), "icmpv6 from anywhere"),
        (json!({"proto": "icmp", "from": "::/0"}), json!({"proto": "58"}), "icmpv6 from anywhere"),
        (json!({"proto": "tcp", "port": 80}), json!({"proto": "6", "port": "80-80"}), "tcp 80 from anywhere"),
        (json!({"proto": "vrrp"}), json!({"proto": "112"}), "vrrp from anywhere"),
        (json!({"from": "10.1.2.3/8"}), json!({"from": "10.0.0.0/8"}), "everything from 10.0.0.0/8"),
        (json!({"from": "2001:DB8:0::/32"}), json!({"from": "2001:db8::/32"}), "everything (IPv6) from 2001:db8::/32"),
        (json!({"proto": "any"}), json!({"from": "0.0.0.0/0"}), "everything from anywhere"),
    ] {
        let found = rules_with_mistakes(json!([first, second]));
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(one.path, "spec.securityGroups[0].rules[1]");
        assert_eq!(one.message, format!("there are two of `rule web: {place}`"));
    }
    let found = rules_with_mistakes(json!([{"proto": "58", "ipv6": false}]));
    assert_eq!(found[0].path, "spec.securityGroups[0].rules[0].proto");
}

#[test]
fn pictures() {
    let intended = yard(shop());
    let toy = Toy::up(&intended);
    let notes = BTreeMap::from([(Key::new(Kind::Server, "db"), "ACTIVE 10.20.0.5".to_owned())]);
    insta::assert_snapshot!(picture::tree(&intended, &toy.observed, &notes, &BTreeMap::new()));
    insta::assert_snapshot!(picture::dot(&intended, &Observed::default(), &BTreeMap::new()));
}

/// Several networks, routers, outside networks, crowds, things that hang nowhere.
fn harbour() -> Value {
    json!({
        "networks": [
            {"name": "front", "cidr": "10.20.0.0/24", "router": {"external": "public"}},
            {"name": "back", "subnets": [{"cidr": "10.21.0.0/24"}, {"cidr": "fd00:21::/64"}], "router": "front"},
        ],
        "securityGroups": [{"name": "web"}],
        "serverGroups": [{"name": "apart"}],
        "volumes": [{"name": "data", "size": "1Gi"}, {"name": "spare", "size": "1Gi"}],
        "servers": [
            {"name": "db", "flavor": "f", "image": "i", "networks": ["back", "front"], "volumes": ["data"], "group": "apart"},
            {"name": "web", "count": 12, "flavor": "f", "image": "i", "network": "front", "securityGroups": ["web"]},
            {"name": "guest", "count": 2, "flavor": "f", "image": "i", "network": "<b>\"their's\" & \u{1}ours</b>"},
        ],
        "loadBalancers": [{"name": "all", "network": "front", "listeners": [
            {"port": 80, "servers": ["web"]}, {"port": 53, "proto": "udp", "servers": ["db"]}]}],
        "objectContainers": [{"name": "files"}],
        "floatingIPs": [{"loadBalancer": "all"}, {"server": "db", "network": "front"}, {"name": "reserve", "external": "other"}],
    })
}

#[test]
fn the_picture_as_svg() {
    let intended = yard(shop());
    let toy = Toy::up(&intended);
    let notes = BTreeMap::from([
        (Key::new(Kind::Server, "db"), "ACTIVE 10.20.0.5".to_owned()),
        (Key::new(Kind::FloatingIp, "web"), "203.0.113.7".to_owned()),
    ]);
    insta::assert_snapshot!(picture::svg(&intended, &toy.observed, &notes, &BTreeMap::new()));
    let harbour = yard(harbour());
    let svg = picture::svg(&harbour, &Observed::default(), &BTreeMap::new(), &BTreeMap::new());
    assert!(svg.contains("&lt;b&gt;&quot;their&#39;s&quot; &amp; ours&lt;/b&gt;") && !svg.contains("<b>"));
    assert!(svg.contains(">web-1 ... web-12<") && svg.contains(">12 servers<"));
    // Every tag that is opened is closed, in order.
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1).filter_map(|t| t.split('>').next()) {
        let name = tag.trim_matches('/').split_whitespace().next().unwrap();
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name)),
            (false, false) => open.push(name),
            (false, true) => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    insta::assert_snapshot!(svg);
    insta::assert_snapshot!(picture::tree(&harbour, &Observed::default(), &BTreeMap::new(), &BTreeMap::new()));
    let empty = picture::svg(&yard(json!({})), &Observed::default(), &BTreeMap::new(), &BTreeMap::new());
    assert!(empty.ends_with("</svg>\n"));
}

#[test]
fn no_two_boxes_of_a_picture_overlap() {
    let none = BTreeMap::new;
    for (intended, stacks) in [(shop(), none()), (harbour(), none()), (stacks::hosts(), stacks::stacks())] {
        let intended = yard(intended);
        let svg = picture::svg(&intended, &Observed::default(), &BTreeMap::new(), &stacks);
        let number = |line: &str, name: &str| {
            let rest = line.split(&format!(" {name}=\"")).nth(1)?;
            rest.split('"').next()?.parse::<i32>().ok()
        };
        let boxes: Vec<[i32; 4]> = svg
            .split("<g>")
            .filter_map(|g| g.split("<rect ").nth(1))
            .filter(|r| r.starts_with("class=\"b"))
            .filter_map(|r| Some([number(r, "x")?, number(r, "y")?, number(r, "width")?, number(r, "height")?]))
            .collect();
        assert!(boxes.len() > 5, "{boxes:?}");
        for (i, [x, y, w, h]) in boxes.iter().enumerate() {
            for [a, b, c, d] in &boxes[i + 1..] {
                assert!(x + w <= *a || a + c <= *x || y + h <= *b || b + d <= *y, "{:?}", (x, y, a, b));
            }
        }
    }
}

#[test]
fn the_schema_is_the_committed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/yard.schema.json");
    let now = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("STACKYARD_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == now, "docs/schema/yard.schema.json is old; STACKYARD_WRITE_SCHEMA=1 writes it");
}

#[test]
fn ten_thousand_resources_in_a_second() {
    let mut spec = shop();
    spec["servers"][1] = json!({"name": "many", "count": 5000, "flavor": "f", "image": "i", "securityGroups": ["web"]});
    spec["floatingIPs"] = json!([]);
    spec["loadBalancers"][0]["listeners"][0]["servers"] = json!(["many"]);
    let intended = yard(spec);
    assert!(intended.resources.len() > 10_000);
    let begun = Instant::now();
    let first = plan(&intended, &Observed::default());
    let resources = intended.resources.iter().enumerate().map(|(i, r)| seen(r, format!("id{i}"))).collect();
    let second = plan(&intended, &Observed { resources, ..Observed::default() });
    let took = begun.elapsed() / 2;
    assert!(!first.is_noop() && second.is_noop());
    let limit = if cfg!(debug_assertions) { 5 } else { 1 };
    assert!(took < Duration::from_secs(limit), "{took:?}");
}

/// Counts work and not time: twice as many servers make twice as many edges.
#[test]
fn a_plan_grows_no_faster_than_its_yard() {
    let edges = |servers: u32| {
        let mut spec = shop();
        let many = json!({"name": "web", "count": servers, "flavor": "f", "image": "i", "securityGroups": ["web"]});
        spec["servers"][1] = many;
        spec["floatingIPs"] = json!([{"loadBalancer": "all"}]);
        let intended = yard(spec);
        let up = plan(&intended, &Observed::default());
        let resources = intended.resources.iter().enumerate().map(|(i, r)| seen(r, format!("id{i}"))).collect();
        let down = removal("shop", &Observed { resources, ..Observed::default() });
        let count = |plan: &super::plan::Plan| plan.steps.iter().map(|s| s.after.len()).sum::<usize>();
        [count(&up), count(&down)]
    };
    for (few, many) in edges(500).into_iter().zip(edges(1000)) {
        assert!(few > 500 && many < few * 21 / 10, "{few} and {many} edges");
    }
}

/// Manifests that differ in everything that can differ.
fn specs() -> impl Strategy<Value = Value> {
    let network = (0..3u8, any::<bool>(), prop::option::of(1300..1303u32));
    let server = (0..2usize, any::<bool>(), any::<bool>(), any::<bool>(), 0..2u8, any::<bool>());
    let balancer = prop::option::of((0..2usize, any::<bool>(), 1..3usize, any::<bool>()));
    (prop::collection::vec(network, 1..3), prop::collection::vec(server, 0..4), 0..3u8, balancer).prop_map(
        |(networks, servers, rules, balancer)| {
            let count = networks.len();
            let routed: Vec<bool> = networks.iter().map(|n| n.1).collect();
            let networks: Vec<Value> = (networks.into_iter().enumerate())
                .map(|(i, (net, routed, mtu))| {
                    let router = if routed { json!({"external": "public"}) } else { Value::Null };
                    json!({"name": format!("n{i}"), "cidr": format!("10.{i}.{net}.0/24"), "router": router, "mtu": mtu})
                })
                .collect();
            let rules: Vec<Value> =
                (0..rules).map(|i| json!({"proto": "tcp", "port": 80 + u32::from(i), "from": "web"})).collect();
            let mut volumes = Vec::new();
            let mut ips = Vec::new();
            let hosts: Vec<Value> = (servers.iter().enumerate())
                .map(|(i, (network, group, volume, ip, image, boot))| {
                    let disk = if *volume { json!({"size": 1}) } else { Value::Null };
                    let join = if *group { json!({"docker": {}}) } else { json!({"ssh": {}}) };
                    json!({"pool": format!("h{i}"), "count": 1 + network, "flavor": "f", "image": format!("i{image}"),
                        "network": format!("n{}", network % count), "dataVolume": disk, "join": join,
                        "floatingIP": *ip && routed[network % count], "userData": if *boot { "a" } else { "b" }})
                })
                .collect();
            let servers: Vec<Value> = (servers.into_iter().enumerate())
                .map(|(i, (network, group, volume, ip, image, boot))| {
                    let name = format!("s{i}");
                    // It needs a router.
                    if ip && routed[network % count] {
                        ips.push(json!({"server": name}));
                    }
                    let attached = if volume { vec![format!("v{i}")] } else { Vec::new() };
                    volumes.extend(attached.iter().map(|v| json!({"name": v, "size": 1})));
                    let groups = if group { vec!["web"] } else { Vec::new() };
                    let boot = if boot { json!({"size": 1}) } else { Value::Null };
                    json!({"name": name, "flavor": "f", "image": format!("i{image}"), "volumes": attached,
                        "network": format!("n{}", network % count), "securityGroups": groups, "bootVolume": boot})
                })
                .collect();
            let balancers: Vec<Value> = (balancer.into_iter())
                .map(|(network, ip, listeners, health)| {
                    if ip && routed[network % count] {
                        ips.push(json!({"loadBalancer": "lb"}));
                    }
                    let health = if health { json!({}) } else { Value::Null };
                    let names: Vec<&Value> = servers.iter().map(|s| &s["name"]).collect();
                    let listener = |i| json!({"port": 80 + i, "servers": names, "healthMonitor": health});
                    json!({"name": "lb", "network": format!("n{}", network % count),
                        "listeners": (0..listeners).map(listener).collect::<Vec<_>>()})
                })
                .collect();
            json!({"networks": networks, "securityGroups": [{"name": "web", "rules": rules}], "loadBalancers": balancers,
                "volumes": volumes, "servers": servers, "floatingIPs": ips, "hosts": hosts})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// From any yard to any other, from any half of it, with doubles and broken ones: one plan
    /// carried out, and there is nothing to do; no step comes before what it needs.
    #[test]
    fn one_plan_is_enough(from in specs(), to in specs(), lost in prop::collection::vec(0..60usize, 0..4),
                          double in 0..60usize, broken in 0..60usize) {
        let (from, to) = (yard(from), yard(to));
        let mut toy = Toy::up(&from);
        let all = toy.observed.resources.len();
        let key = toy.observed.resources[broken % all].key.clone();
        if matches!(key.kind, Kind::Server | Kind::Volume) {
            toy.observed.resources[broken % all].state = State::Broken("ERROR".into());
        }
        let mut copy = toy.observed.resources[double % all].clone();
        if !matches!(copy.key.kind, Kind::Rule | Kind::Attachment | Kind::Interface | Kind::Keypair) {
            (copy.id, copy.created) = ("double".into(), "zzz".into());
            toy.observed.resources.push(copy);
        }
        // Lost is what nothing else uses, as somebody else may have removed it.
        for i in lost {
            let used: BTreeSet<Key> = toy.observed.resources.iter().flat_map(|s| s.uses.clone()).collect();
            let key = toy.observed.resources[i % toy.observed.resources.len()].key.clone();
            if !used.contains(&key) && toy.observed.resources.len() > 1 {
                toy.observed.resources.retain(|s| s.key != key);
            }
        }
        let first = plan(&to, &toy.observed);
        toy.apply(&to, &first);
        let second = plan(&to, &toy.observed);
        prop_assert!(second.is_noop(), "first\n{first}\nsecond\n{second}");
        toy.apply(&to, &removal("shop", &toy.observed));
        prop_assert!(toy.observed.resources.is_empty());
    }
}
