//! Yards on clouds that are not as usual: Neutron tells rules in other words than it got, groups come with other
//! rules, services refuse or are broken, groups are other projects'.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{DELAY, connect, converges, down, each, shop, up, vanishes};
use serde_json::{Value, json};
use stackyard_core::yard::intend::Intended;
use stackyard_core::yard::{Key, Kind, Mark, Scope};
use stackyard_fake::{Fake, Fault};
use stackyard_yard::{DataLoss, Error, YardSnapshot, remove_yard, sweep};
use std::time::{Duration, Instant};

const RULES: &str = "security-group-rules";

/// Yard `shop` with a security group `web` of these rules.
fn group(rules: Value) -> Intended {
    shop(json!({"securityGroups": [{"name": "web", "rules": rules}]}))
}

/// The group `web` of yard `shop`, as an earlier run left it, with Neutron's two egress rules and these.
fn left(fake: &Fake, rules: &[Value]) {
    let mark = Mark::new(
        "shop",
        &Scope::of("p1", "R"),
        &Key::new(Kind::SecurityGroup, "web"),
    )
    .to_string();
    let mut world = fake.world();
    world.add(
        "security-groups",
        json!({"id": "g", "name": "web", "description": mark, "project_id": "p1"}),
    );
    let egress = ["IPv4", "IPv6"].map(|e| json!({"direction": "egress", "ethertype": e}));
    for rule in egress.iter().chain(rules) {
        let mut rule = rule.clone();
        rule["security_group_id"] = "g".into();
        world.add_rule(rule);
    }
}

/// What a second look would do; nothing is as it should be.
async fn to_do(fake: &Fake, yard: &Intended) -> String {
    let plan = YardSnapshot::take(&connect(fake).await, yard)
        .await
        .unwrap()
        .plan;
    if plan.is_noop() {
        String::new()
    } else {
        plan.to_string()
    }
}

#[tokio::test]
async fn rules_converge_however_they_are_written() {
    let spellings = [
        json!({"proto": "icmp", "ipv6": true}),
        json!({"proto": "icmp", "from": "::/0"}),
        json!({"proto": "1", "ipv6": true}),
        json!({"proto": "icmpv6"}),
        json!({"proto": "ipv6-icmp"}),
        json!({"proto": "58"}),
        json!({"proto": "ICMP"}),
        json!({"proto": "1"}),
        json!({"proto": "6", "port": 80}),
        json!({"proto": "TCP", "port": "80-90"}),
        json!({"proto": "vrrp"}),
        json!({"proto": "112"}),
        json!({"proto": "esp", "ipv6": true}),
        json!({"proto": "253"}),
        json!({"proto": "any"}),
        json!({"proto": "0"}),
        json!({"from": "0.0.0.0/0"}),
        json!({"from": "10.1.2.3/8"}),
        json!({"from": "2001:DB8:0::/32"}),
        json!({"to": "2001:db8::1"}),
        json!({"proto": "udp", "port": 53, "from": "all-0"}),
    ];
    let group = |(i, rule): (usize, &Value)| json!({"name": format!("all-{i}"), "rules": [rule]});
    let yard = shop(
        json!({"securityGroups": spellings.iter().enumerate().map(group).collect::<Vec<_>>()}),
    );
    let fake = Fake::start(DELAY).await.unwrap();
    assert!(up(&connect(&fake).await, &yard).await.unwrap());
    assert_eq!(to_do(&fake, &yard).await, "");
    converges(&fake, &yard).await.unwrap();
}

#[tokio::test]
async fn rules_that_an_older_neutron_keeps_in_other_words_stay() {
    let ingress = |mut rule: Value| {
        rule["direction"] = "ingress".into();
        rule
    };
    for (rule, there) in [
        (
            json!({"proto": "icmp", "ipv6": true}),
            json!({"ethertype": "IPv6", "protocol": "icmp"}),
        ),
        (
            json!({"proto": "icmpv6"}),
            json!({"ethertype": "IPv6", "protocol": "58"}),
        ),
        (
            json!({"proto": "vrrp"}),
            json!({"ethertype": "IPv4", "protocol": "112"}),
        ),
        (
            json!({"from": "2001:db8::/32"}),
            json!({"ethertype": "IPv6", "remote_ip_prefix": "2001:0DB8:0::1/32"}),
        ),
        (
            json!({}),
            json!({"ethertype": "IPv4", "remote_ip_prefix": "0.0.0.0/0"}),
        ),
    ] {
        let fake = Fake::start(DELAY).await.unwrap();
        left(&fake, &[ingress(there)]);
        assert_eq!(to_do(&fake, &group(json!([rule]))).await, "");
    }
}

/// Neutron takes a rule for an address group's that differs in nothing else.
fn of_address_group() -> Value {
    json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80, "port_range_max": 80,
        "remote_address_group_id": "a"})
}

#[tokio::test]
async fn a_rule_in_the_way_that_is_to_go_goes_first() {
    let yard = group(json!([{"proto": "tcp", "port": 80}]));
    let fake = Fake::start(DELAY).await.unwrap();
    left(&fake, &[of_address_group()]);
    let plan = to_do(&fake, &yard).await;
    assert!(
        plan.contains("web: tcp 80 from address group a")
            && plan.contains("web: tcp 80 from anywhere"),
        "{plan}"
    );
    assert!(up(&connect(&fake).await, &yard).await.unwrap());
    let rules = fake.world().list_all(RULES);
    let ingress: Vec<&Value> = rules
        .iter()
        .filter(|r| r["direction"] == "ingress")
        .collect();
    assert!(
        ingress.len() == 1 && ingress[0]["remote_address_group_id"].is_null(),
        "{ingress:?}"
    );
    assert_eq!(to_do(&fake, &yard).await, "");
}

#[tokio::test]
async fn a_rule_in_the_way_that_stays_is_named() {
    let yard = group(json!([{"proto": "tcp", "port": 80}]));
    let fake = Fake::start(DELAY).await.unwrap();
    left(&fake, &[]);
    let cloud = connect(&fake).await;
    let session = YardSnapshot::take(&cloud, &yard).await.unwrap();
    let found = session.preflight().await.unwrap();
    let mut other = of_address_group();
    other["security_group_id"] = "g".into();
    let id = fake.world().add_rule(other);
    let Err(Error::Steps(failures)) = session.apply(&found.choices, &DataLoss::Refused, &()).await
    else {
        panic!("it must fail")
    };
    let [failure] = failures.failed.as_slice() else {
        panic!("{failures}")
    };
    assert!(
        failure.message.contains(&id) && failure.hint.as_ref().is_some_and(|h| h.contains(&id)),
        "{failure}"
    );
}

#[tokio::test]
async fn groups_are_as_intended_whatever_they_come_with() {
    let egress = |ethertype: &str| json!({"direction": "egress", "ethertype": ethertype});
    let ingress = json!({"direction": "ingress", "ethertype": "IPv4", "remote_group_id": "PARENT"});
    let ssh = json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22});
    let https = json!({"direction": "egress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443});
    for template in [
        vec![],
        vec![egress("IPv4")],
        vec![egress("IPv4"), egress("IPv6")],
        vec![egress("IPv4"), egress("IPv4"), egress("IPv6")],
        vec![egress("IPv4"), egress("IPv6"), ingress, ssh, https],
    ] {
        for rules in [
            json!([]),
            json!([{"proto": "tcp", "port": 22}]),
            json!([{"proto": "tcp", "port": 443, "to": "0.0.0.0/0"}]),
            json!([{"from": "web"}]),
        ] {
            let fake = Fake::start(DELAY).await.unwrap();
            fake.world().set_default_rules(template.clone());
            let yard = group(rules);
            assert!(up(&connect(&fake).await, &yard).await.unwrap());
            assert_eq!(to_do(&fake, &yard).await, "", "{template:?}");
            let wanted = yard
                .resources
                .iter()
                .filter(|r| r.key.kind == Kind::Rule)
                .count();
            assert_eq!(fake.world().count(RULES), wanted, "{template:?}");
            vanishes(&fake).await.unwrap();
        }
    }
    // Neutron's usual template costs no request.
    let fake = Fake::start(DELAY).await.unwrap();
    fake.fail(|_, _| None);
    up(&connect(&fake).await, &group(json!([]))).await.unwrap();
    assert!(
        fake.seen().iter().all(|s| !s.path.contains(RULES)),
        "{:?}",
        fake.seen()
    );
}

/// Parts of the paths by which kinds are listed that a yard need not have.
const OPTIONAL: [&str; 5] = [
    "/object/",
    "/load-balancer/",
    "/volumes/detail",
    "/os-server-groups",
    "/os-keypairs",
];

fn network() -> Intended {
    shop(json!({"networks": [{"name": "front", "cidr": "10.20.0.0/24"}]}))
}

#[tokio::test]
async fn what_a_yard_does_not_use_cannot_stop_it() {
    each(OPTIONAL.len(), |n| async move {
        let service = OPTIONAL[n];
        for fault in [401, 403, 404, 500, 503]
            .map(Fault::Status)
            .into_iter()
            .chain([Fault::Dropped])
        {
            does_without(service, fault)
                .await
                .map_err(|why| format!("{service} {fault:?}: {why}"))?;
        }
        Ok(())
    })
    .await;
}

async fn does_without(service: &'static str, fault: Fault) -> Result<(), String> {
    let fake = Fake::start(DELAY).await.unwrap();
    fake.fail(move |_, seen| seen.path.contains(service).then_some(fault));
    let cloud = connect(&fake).await;
    let (yard, began) = (network(), Instant::now());
    up(&cloud, &yard).await.map_err(|e| e.to_string())?;
    let asked = fake
        .seen()
        .iter()
        .filter(|s| s.path.contains(service))
        .count();
    let session = YardSnapshot::take(&cloud, &yard)
        .await
        .map_err(|e| e.to_string())?;
    let warnings: Vec<String> = session.inventory.warnings().collect();
    remove_yard(&cloud, "shop", Some(&yard.kinds()), &DataLoss::Allowed, &())
        .await
        .map_err(|e| e.to_string())?;
    // An account of Swift's that was never used has nothing in it.
    let quiet =
        fault == Fault::Status(403) || (service == "/object/" && fault == Fault::Status(404));
    let took = began.elapsed();
    let well = session.plan.is_noop()
        && asked <= 2
        && warnings.len() == usize::from(!quiet)
        && fake.world().left().is_empty()
        // Four looks: with all patience each takes longer.
        && took < Duration::from_secs(10);
    if well {
        Ok(())
    } else {
        Err(format!(
            "asked {asked} times, {warnings:?}, {took:?}, {}",
            session.plan
        ))
    }
}

#[tokio::test]
async fn what_a_yard_uses_and_cannot_be_seen_is_not_made_twice() {
    let yard = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "keypairs": [{"name": "me", "publicKey": "ssh-ed25519 AAAA me"}],
        "serverGroups": [{"name": "apart"}],
        "volumes": [{"name": "data", "size": 1}],
        "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny"}],
        "loadBalancers": [{"name": "all", "network": "front", "listeners": [{"port": 80, "servers": ["db"]}]}],
        "objectContainers": [{"name": "files"}],
    }));
    for service in OPTIONAL {
        let fake = Fake::start(DELAY).await.unwrap();
        let cloud = connect(&fake).await;
        up(&cloud, &yard).await.unwrap();
        let before = fake.world().left();
        fake.fail(move |_, seen| seen.path.contains(service).then_some(Fault::Status(401)));
        let Err(error) = up(&cloud, &yard).await else {
            panic!("{service}: it must fail")
        };
        assert!(
            error.to_string().contains("which the yard has") && error.hint().is_some(),
            "{error}"
        );
        assert_eq!(fake.world().left(), before, "{service}");
    }
}

#[tokio::test]
async fn all_else_is_removed_where_something_cannot_be_seen() {
    let yard = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "volumes": [{"name": "data", "size": 1}],
        "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny"}],
    }));
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    up(&cloud, &yard).await.unwrap();
    fake.fail(|_, seen| {
        seen.path
            .contains("/volumes/detail")
            .then_some(Fault::Status(403))
    });
    let Err(error) =
        remove_yard(&cloud, "shop", Some(&yard.kinds()), &DataLoss::Allowed, &()).await
    else {
        panic!("it must fail")
    };
    assert!(
        matches!(&error, Error::FailedListing { .. })
            && error.to_string().contains("volumes (Cinder)"),
        "{error}"
    );
    let left = fake.world().left();
    assert!(
        left.len() == 1 && left[0].starts_with("volumes/"),
        "{left:?}"
    );
    let swept = sweep(&cloud, &Default::default()).await.unwrap();
    assert_eq!((swept.orphans.len(), swept.unseen.len()), (0, 1));
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn what_belongs_to_something_unseen_is_not_waited_for() {
    let yard = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny"}],
        "loadBalancers": [{"name": "all", "network": "front", "listeners": [{"port": 80, "servers": ["db"]}]}],
    }));
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    up(&cloud, &yard).await.unwrap();
    fake.fail(|_, seen| {
        seen.path
            .contains("/load-balancer/")
            .then_some(Fault::Status(401))
    });
    let began = Instant::now();
    let Err(error) =
        remove_yard(&cloud, "shop", Some(&yard.kinds()), &DataLoss::Allowed, &()).await
    else {
        panic!("it must fail")
    };
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
    let text = error.to_string();
    assert!(
        text.contains("load balancers (Octavia)") && text.contains("subnet front/main"),
        "{text}"
    );
    assert_eq!(fake.world().count("servers"), 0);
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn groups_of_other_projects_are_found_and_left_alone() {
    let yard = |group: &str| {
        shop(json!({
            "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
            "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny", "securityGroups": [group]}],
        }))
    };
    let mark = Mark::new(
        "shop",
        &Scope::of("p1", "R"),
        &Key::new(Kind::SecurityGroup, "old"),
    )
    .to_string();
    for (name, id) in [("shared", "theirs"), ("theirs", "theirs"), ("both", "ours")] {
        let fake = Fake::start(DELAY).await.unwrap();
        for (id, name, project, description) in [
            ("theirs", "shared", "p2", ""),
            ("ours", "both", "p1", ""),
            ("both-2", "both", "p2", ""),
            // A yard of the same name in another project.
            ("old", "old", "p2", mark.as_str()),
        ] {
            let group =
                json!({"id": id, "name": name, "project_id": project, "description": description});
            fake.world().add("security-groups", group);
        }
        let cloud = connect(&fake).await;
        assert!(up(&cloud, &yard(name)).await.unwrap());
        assert_eq!(to_do(&fake, &yard(name)).await, "");
        assert_eq!(
            fake.world().list_all("ports")[0]["security_groups"],
            json!([id])
        );
        down(&cloud).await.unwrap();
        assert_eq!(fake.world().count("security-groups"), 4);
        assert!(
            sweep(&cloud, &Default::default())
                .await
                .unwrap()
                .orphans
                .is_empty()
        );
    }
}

/// What preflight says about a yard.
async fn blockers(fake: &Fake, yard: &Intended) -> Vec<String> {
    let cloud = connect(fake).await;
    let session = YardSnapshot::take(&cloud, yard).await.unwrap();
    session.preflight().await.unwrap().blockers
}

#[tokio::test]
async fn a_nova_of_before_rocky_has_server_groups_too() {
    let yard = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "serverGroups": [{"name": "apart", "policy": "anti-affinity"}],
        "servers": [{"name": "db", "count": 2, "flavor": "m1.nano", "image": "tiny", "group": "apart"}],
    }));
    for minor in [42, 60, 63, 64, 90] {
        let fake = Fake::start(DELAY).await.unwrap();
        fake.world().nova_speaks(2, minor);
        converges(&fake, &yard)
            .await
            .unwrap_or_else(|why| panic!("2.{minor}: {why}"));
    }
}

#[tokio::test]
async fn tags_that_nova_is_too_old_for_are_told_before_the_first_creation() {
    let yard = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny", "tags": ["blue"]}],
    }));
    for (minor, well) in [(42, false), (51, false), (52, true), (90, true)] {
        let fake = Fake::start(DELAY).await.unwrap();
        fake.world().nova_speaks(2, minor);
        let said = blockers(&fake, &yard).await;
        if well {
            assert!(said.is_empty(), "2.{minor}: {said:?}");
            converges(&fake, &yard).await.unwrap();
        } else {
            assert!(
                said.len() == 1 && said[0].contains("server `db`") && said[0].contains("`tags`"),
                "2.{minor}: {said:?}"
            );
        }
    }
}

#[tokio::test]
async fn disks_too_small_for_their_image_are_told_before_the_first_creation() {
    let gib = 1_u64 << 30;
    let server = |image: &str, more: Value| {
        let mut server = json!({"name": "db", "flavor": "m1.nano", "image": image});
        server["bootVolume"] = more;
        shop(json!({
            "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
            "servers": [server],
        }))
    };
    let fake = Fake::start(DELAY).await.unwrap();
    for image in [
        json!({"id": "min", "min_disk": 5}),
        json!({"id": "file", "min_disk": 0, "size": 4 * gib + 1}),
        json!({"id": "virtual", "min_disk": 2, "size": gib, "virtual_size": 5 * gib}),
    ] {
        let mut image = image;
        (image["name"], image["status"]) = (image["id"].clone(), "active".into());
        fake.world().add("images", image);
    }
    for image in ["min", "file", "virtual"] {
        let said = blockers(&fake, &server(image, json!({"size": 4}))).await;
        let wanted = format!("image `{image}` needs a disk of 5 GiB; `bootVolume` of `db` has 4");
        assert_eq!(said, [wanted]);
        let said = blockers(&fake, &server(image, Value::Null)).await;
        let wanted = format!("image `{image}` needs a disk of 5 GiB; flavor `m1.nano` has 1");
        assert_eq!(said, [wanted]);
        let data = shop(json!({"volumes": [{"name": "data", "size": 1, "image": image}]}));
        let wanted = format!("image `{image}` needs a disk of 5 GiB; volume `data` has 1");
        assert_eq!(blockers(&fake, &data).await, [wanted]);
        let well = server(image, json!({"size": 5}));
        assert!(up(&connect(&fake).await, &well).await.unwrap());
        assert_eq!(to_do(&fake, &well).await, "");
        down(&connect(&fake).await).await.unwrap();
    }
}

#[tokio::test]
async fn groups_where_none_apply_are_told_before_the_first_creation() {
    let fake = Fake::start(DELAY).await.unwrap();
    {
        let mut world = fake.world();
        world.add(
            "networks",
            json!({"id": "n", "name": "flat", "project_id": "p2", "shared": true, "port_security_enabled": false}),
        );
        world.add(
            "subnets",
            json!({"id": "s", "name": "flat", "project_id": "p2", "network_id": "n", "ip_version": 4, "cidr": "10.9.0.0/24"}),
        );
    }
    let yard = |network: Value, groups: &[&str]| {
        shop(json!({
            "securityGroups": [{"name": "web", "rules": []}],
            "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny", "networks": [network],
                "securityGroups": groups}],
        }))
    };
    for network in [
        json!({"network": "flat"}),
        json!({"network": "n"}),
        json!({"network": "flat", "securityGroups": ["web"]}),
    ] {
        let said = blockers(&fake, &yard(network, &["web"])).await;
        assert!(
            said.len() == 1 && said[0].contains("no port security") && said[0].contains("`db-"),
            "{said:?}"
        );
    }
    for (network, groups) in [
        (json!({"network": "flat"}), [].as_slice()),
        (json!({"network": "flat", "securityGroups": []}), &["web"]),
        (json!({"network": "flat", "portSecurity": true}), &["web"]),
    ] {
        let yard = yard(network, groups);
        assert!(up(&connect(&fake).await, &yard).await.unwrap());
        assert_eq!(to_do(&fake, &yard).await, "");
        down(&connect(&fake).await).await.unwrap();
    }
}

#[tokio::test]
async fn more_metadata_than_the_quota_is_told_before_the_first_creation() {
    let yard = |count: usize| {
        let metadata: serde_json::Map<String, Value> = (0..count)
            .map(|n| (format!("key {n}"), "\u{1f980}".repeat(255).into()))
            .collect();
        shop(json!({
            "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
            "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny", "metadata": metadata}],
        }))
    };
    let fake = Fake::start(DELAY).await.unwrap();
    fake.world().limit_metadata(10);
    let said = blockers(&fake, &yard(8)).await;
    assert!(
        said.len() == 1
            && said[0].contains("8 entries")
            && said[0].contains("`metadata_items` is 10"),
        "{said:?}"
    );
    // Its mark, its flavor and its image are kept there, too: 7 of the user's is the most that fits.
    converges(&fake, &yard(7)).await.unwrap();
    fake.world().limit_metadata(-1);
    assert!(blockers(&fake, &yard(100)).await.is_empty());
}
