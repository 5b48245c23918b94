//! Load balancers and object containers: made by one request, changed in place, removed with care.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{DELAY, begins, connect, down, shop, up, vanishes};
use serde_json::{Value, json};
use stackyard_core::yard::Kind;
use stackyard_core::yard::intend::Intended;
use stackyard_core::yard::plan::Action;
use stackyard_fake::Fake;
use stackyard_openstack::{Cloud, LoadBalancer};
use stackyard_yard::{Error, YardSnapshot};
use std::collections::BTreeSet;

fn yard(listeners: &Value, more: Value) -> Intended {
    let server = |name| json!({"name": name, "flavor": "m1.nano", "image": "tiny"});
    let mut spec = json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24", "router": {"external": "public"}}],
        "servers": [server("a"), server("b")],
        "loadBalancers": [{"name": "all", "listeners": listeners}],
        "floatingIPs": [{"loadBalancer": "all"}],
    });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    shop(spec)
}

/// Members of the only balancer's pools, as `port address:port`.
async fn members(cloud: &Cloud) -> BTreeSet<String> {
    let listeners: Vec<stackyard_openstack::Listener> = cloud.list(&[]).await.unwrap();
    let mut all = BTreeSet::new();
    for listener in listeners {
        for member in cloud
            .members(listener.default_pool_id.as_ref().unwrap())
            .await
            .unwrap()
        {
            all.insert(format!(
                "{} {}:{}",
                listener.protocol_port, member.address, member.protocol_port
            ));
        }
    }
    all
}

#[tokio::test]
async fn a_balancer_is_made_by_one_request_and_changed_in_place() {
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    let first = yard(
        &json!([{"port": 80, "to": 8080, "servers": ["a"]}]),
        json!({}),
    );
    fake.fail(|_, _| None);
    up(&cloud, &first).await.unwrap();
    let made: Vec<_> = fake
        .seen()
        .into_iter()
        .filter(|s| s.path.starts_with("/load-balancer") && s.method != "GET")
        .collect();
    assert_eq!(made.len(), 1, "{made:?}");
    let balancers: Vec<LoadBalancer> = cloud.list(&[]).await.unwrap();
    assert_eq!(
        balancers[0].description,
        format!("{}/load-balancer/all", begins().0)
    );
    let ips: Vec<stackyard_openstack::FloatingIp> = cloud.list(&[]).await.unwrap();
    assert_eq!(
        ips[0].port_id.as_deref(),
        Some(balancers[0].vip_port_id.as_str())
    );
    assert_eq!(members(&cloud).await.len(), 1);

    // Another listener, another member, a health monitor: the same balancer.
    let second = yard(
        &json!([{"port": 80, "to": 8080, "servers": ["a", "b"], "healthMonitor": {"type": "tcp"}},
                {"port": 53, "proto": "udp", "servers": ["b"]}]),
        json!({}),
    );
    up(&cloud, &second).await.unwrap();
    let now: Vec<LoadBalancer> = cloud.list(&[]).await.unwrap();
    assert_eq!((now.len(), &now[0].id), (1, &balancers[0].id));
    assert_eq!(members(&cloud).await.len(), 3);
    assert_eq!(fake.world().count("healthmonitors"), 1);
    assert!(
        YardSnapshot::take(&cloud, &second)
            .await
            .unwrap()
            .plan
            .is_noop()
    );

    // Somebody takes a member away: it comes back.
    let pools: Vec<stackyard_openstack::LoadBalancerPool> = cloud.list(&[]).await.unwrap();
    cloud.set_members(&pools[0].id, &[]).await.unwrap();
    let session = YardSnapshot::take(&cloud, &second).await.unwrap();
    assert!(
        session
            .plan
            .of(Kind::LoadBalancer)
            .any(|s| s.action == Action::Change),
        "{}",
        session.plan
    );
    up(&cloud, &second).await.unwrap();
    assert_eq!(members(&cloud).await.len(), 3);

    // Containers come and go without the manifest, and stay when it changes.
    let container = |name: &str, number: u8| stackyard_openstack::NewMember {
        name: name.into(),
        address: format!("10.20.0.{number}"),
        protocol_port: 8080,
        weight: Some(3),
        ..Default::default()
    };
    let containers = [
        container("stackyard-host:h/n/e", 201),
        container("stackyard-docker:stackyard@h/n/e", 202),
    ];
    let listeners: Vec<stackyard_openstack::Listener> = cloud.list(&[]).await.unwrap();
    let pool = listeners
        .iter()
        .find(|l| l.protocol_port == 80)
        .unwrap()
        .default_pool_id
        .clone()
        .unwrap();
    cloud.add_members(&pool, &containers).await.unwrap();
    let done = std::time::Duration::from_secs(20);
    cloud
        .wait_for::<LoadBalancer>(&balancers[0].id, &["ACTIVE"], done)
        .await
        .unwrap();
    assert!(
        YardSnapshot::take(&cloud, &second)
            .await
            .unwrap()
            .plan
            .is_noop()
    );
    up(&cloud, &first).await.unwrap();
    let there = cloud.members(&pool).await.unwrap();
    let kept: Vec<_> = there
        .iter()
        .filter(|m| m.weight == Some(3))
        .map(|m| (m.name.as_str(), &*m.address))
        .collect();
    assert_eq!(kept.len(), 2, "{there:?}");
    assert!(kept.contains(&("stackyard-host:h/n/e", "10.20.0.201")));
    assert_eq!(there.len(), 3);
    up(&cloud, &second).await.unwrap();

    // Back to what it was: what is not wanted any more goes.
    up(&cloud, &first).await.unwrap();
    let count = |what| fake.world().count(what);
    assert_eq!(
        (count("listeners"), count("pools"), count("healthmonitors")),
        (1, 1, 0)
    );
    assert!(
        YardSnapshot::take(&cloud, &first)
            .await
            .unwrap()
            .plan
            .is_noop()
    );
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn what_the_provider_cannot_do_is_found_before_the_first_creation() {
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    let wanted = yard(
        &json!([{"port": 80, "proto": "http", "servers": ["a"], "algorithm": "round-robin", "healthMonitor": {"type": "http"}}]),
        json!({}),
    );
    let found = YardSnapshot::take(&cloud, &wanted)
        .await
        .unwrap()
        .preflight()
        .await
        .unwrap();
    assert_eq!(
        found.blockers,
        [
            "load balancer all, http 80: the provider `ovn` cannot do HTTP; use `proto: tcp`",
            "load balancer all, http 80: the provider `ovn` cannot do that algorithm; leave it out, or use `source-ip-port`",
            "load balancer all, http 80: the provider `ovn` cannot do that health monitor; use `type: tcp`",
        ]
    );
    assert_eq!(fake.world().left(), Vec::<String>::new());
}

#[tokio::test]
async fn octavias_quota_is_looked_at_before_the_first_creation() {
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    let listeners = json!([
        {"port": 80, "servers": ["a", "b"], "healthMonitor": {"type": "tcp"}},
        {"port": 443, "servers": ["a", "b"]},
    ]);
    let (first, none) = (
        yard(&listeners, json!({})),
        json!({"loadBalancers": [], "floatingIPs": []}),
    );
    let blockers = async |wanted: &Intended| {
        YardSnapshot::take(&cloud, wanted)
            .await
            .unwrap()
            .preflight()
            .await
            .unwrap()
            .blockers
    };
    // The names of old, as long as there are no newer ones, and -1.
    for (name, limit) in [
        ("load_balancer", 0),
        ("listener", 1),
        ("pool", 2),
        ("member", 3),
        ("healthmonitor", -1),
    ] {
        fake.world().limit_balancing(name, limit);
    }
    assert_eq!(
        blockers(&first).await,
        [
            "the quota `loadbalancer` has room for 0 more, 1 are needed",
            "the quota `listener` has room for 1 more, 2 are needed",
            "the quota `member` has room for 3 more, 4 are needed",
        ]
    );
    assert_eq!(fake.world().left(), Vec::<String>::new());
    assert_eq!(
        blockers(&yard(&json!([]), none)).await,
        Vec::<String>::new()
    );

    for (name, limit) in [
        ("loadbalancer", 1),
        ("listener", 2),
        ("member", 4),
        ("healthmonitor", 1),
    ] {
        fake.world().limit_balancing(name, limit);
    }
    up(&cloud, &first).await.unwrap();
    // What is there counts, and what a replacement takes away does not.
    let second = json!({"loadBalancers": [
        {"name": "all", "listeners": listeners},
        {"name": "more", "listeners": [{"port": 53, "proto": "udp", "servers": ["a"], "healthMonitor": {"type": "udp-connect"}}]},
    ]});
    assert_eq!(
        blockers(&yard(&listeners, second)).await,
        [
            "loadbalancer",
            "listener",
            "pool",
            "member",
            "healthmonitor"
        ]
        .map(|name| format!("the quota `{name}` has room for 0 more, 1 are needed"))
    );
    let elsewhere = json!({"loadBalancers": [{"name": "all", "listeners": listeners, "address": "10.20.0.200"}]});
    let moved = yard(&listeners, elsewhere);
    let plan = YardSnapshot::take(&cloud, &moved).await.unwrap().plan;
    assert!(
        plan.of(Kind::LoadBalancer)
            .any(|s| s.action == Action::Discard),
        "{plan}"
    );
    assert_eq!(blockers(&moved).await, Vec::<String>::new());
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn a_cloud_without_octavia_and_swift_says_so_only_where_they_are_wanted() {
    let fake = Fake::start(DELAY).await.unwrap();
    fake.without(&["load-balancer", "object-store"]);
    let cloud = connect(&fake).await;
    let files = json!({"objectContainers": [{"name": "files"}]});
    let wanted = yard(&json!([{"port": 80, "servers": ["a"]}]), files);
    let found = YardSnapshot::take(&cloud, &wanted)
        .await
        .unwrap()
        .preflight()
        .await
        .unwrap();
    assert_eq!(
        found.blockers,
        [
            "the cloud has no load balancers (Octavia), which `loadBalancers` needs",
            "the cloud has no object store (Swift), which `objectContainers` needs",
        ]
    );
    let plain = yard(&json!([]), json!({"loadBalancers": [], "floatingIPs": []}));
    up(&cloud, &plain).await.unwrap();
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_not_ask_octavia_can_have_everything_else() {
    let fake = Fake::start(DELAY).await.unwrap();
    fake.fail(|_, seen| {
        seen.path
            .starts_with("/load-balancer")
            .then_some(stackyard_fake::Fault::Status(403))
    });
    let cloud = connect(&fake).await;
    let wanted = yard(&json!([{"port": 80, "servers": ["a"]}]), json!({}));
    let found = YardSnapshot::take(&cloud, &wanted)
        .await
        .unwrap()
        .preflight()
        .await
        .unwrap();
    assert_eq!(
        found.blockers,
        ["the user may not use load balancers (Octavia), which `loadBalancers` needs"]
    );
    let plain = yard(&json!([]), json!({"loadBalancers": [], "floatingIPs": []}));
    up(&cloud, &plain).await.unwrap();
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn a_container_keeps_what_it_holds_unless_it_says_otherwise() {
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    let container = |more: Value| {
        let mut container = json!({"name": "files", "public": true, "metadata": {"Owner": "me"}});
        container
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        shop(json!({"objectContainers": [container]}))
    };
    up(&cloud, &container(json!({}))).await.unwrap();
    let name = &format!("{}_files", begins().1);
    let there = cloud.container(name).await.unwrap().unwrap();
    assert_eq!(there.read, ".r:*,.rlistings");
    assert_eq!(there.metadata["owner"], "me");
    assert_eq!(
        there.metadata["stackyard"],
        format!("{}/object-container/files", begins().0)
    );
    for i in 0..30 {
        cloud
            .put_object(name, &format!("{i:02}"), vec![1])
            .await
            .unwrap();
    }
    let refused = down(&cloud).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Refused(why) if why[0].contains("30 objects")),
        "{refused}"
    );
    assert!(cloud.container(name).await.unwrap().is_some());

    // Metadata, readers and the word that its objects may go: in place.
    up(
        &cloud,
        &container(json!({"public": false, "metadata": {"tier": "one"}, "purge": true})),
    )
    .await
    .unwrap();
    let there = cloud.container(name).await.unwrap().unwrap();
    assert_eq!((there.read.as_str(), there.count), ("", 30));
    let own: Vec<_> = there
        .metadata
        .keys()
        .filter(|k| !k.starts_with("stackyard"))
        .collect();
    assert_eq!(own, ["tier"]);
    vanishes(&fake).await.unwrap();
}
