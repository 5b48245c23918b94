//! Containers as members of load balancers' pools.

use super::{END, detach, seen, try_attach};
use crate::network::ledger::Stage;
use crate::network::observed::Suspects;
use crate::network::tests::{Ground, view};
use serde_json::json;
use stackyard_fake::Fault;
use stackyard_openstack::{LoadBalancer, LoadBalancerPool, Member, NewListener, NewLoadBalancer, NewMember, NewPool};
use std::time::Duration;

/// A network, and on it a load balancer with a pool `web` that has a member of somebody else's; the pool's id.
async fn balanced() -> (Ground, String) {
    let ground = Ground::new().await;
    ground.fake.world().take_time(Duration::ZERO);
    ground.network().await;
    let subnet = ground.plugin.ledger.networks.get("n1").unwrap().subnets[0].id.clone();
    let member = NewMember { address: "10.5.0.9".into(), protocol_port: 80, ..NewMember::default() };
    let pool = NewPool {
        name: "web".into(),
        lb_algorithm: "SOURCE_IP_PORT".into(),
        members: vec![member],
        ..NewPool::default()
    };
    let listener =
        NewListener { protocol: "TCP".into(), protocol_port: 80, default_pool: Some(pool), ..NewListener::default() };
    let new = NewLoadBalancer {
        name: "lb".into(),
        description: "of a test".into(),
        vip_subnet_id: Some(subnet),
        listeners: vec![listener],
        ..NewLoadBalancer::default()
    };
    let cloud = ground.plugin.cloud().unwrap();
    let _: LoadBalancer = cloud.create(&new).await.unwrap();
    let pool: LoadBalancerPool = cloud.need("web").await.unwrap();
    ground.requests();
    (ground, pool.id)
}

async fn members(ground: &Ground, pool: &str) -> Vec<(String, u16, Option<u32>)> {
    let members = ground.plugin.cloud().unwrap().members(pool).await.unwrap();
    members.into_iter().map(|m: Member| (m.address, m.protocol_port, m.weight)).collect()
}

fn others() -> Vec<(String, u16, Option<u32>)> {
    vec![("10.5.0.9".to_owned(), 80, None)]
}

#[tokio::test]
async fn a_container_is_a_member_while_it_runs() {
    let (ground, pool) = balanced().await;
    let options = json!({"load-balancer": "web:8080=5"});
    try_attach(&ground, &options).await.unwrap();
    let asked = ground.requests();
    assert!(asked.iter().all(|r| !r.starts_with("PUT")), "the attach does not wait for Octavia: {asked:?}");
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(ground.requests().len(), 1, "one request for all");
    let address = ground.plugin.ledger.endpoints.get(END).unwrap().ips[0].ip_address.clone().unwrap();
    assert!(members(&ground, &pool).await.contains(&(address.clone(), 8080, Some(5))));
    // Somebody removes it; the reconciler has it made again.
    ground.plugin.cloud().unwrap().set_members(&pool, &[]).await.unwrap();
    let mut suspects = Suspects::default();
    ground.pass(&seen(&ground), &mut suspects).await;
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(members(&ground, &pool).await, [(address.clone(), 8080, Some(5))]);
    // Its load balancer is changing: the container goes all the same, the member later.
    ground.fake.world().take_time(Duration::from_millis(200));
    let other = NewMember { address: "10.5.0.9".into(), protocol_port: 80, ..NewMember::default() };
    ground.plugin.cloud().unwrap().add_members(&pool, &[other]).await.unwrap();
    detach(&ground).await.unwrap();
    assert_eq!(members(&ground, &pool).await.len(), 2);
    assert!(ground.plugin.tend_members().await.unwrap_err().to_string().contains("immutable"));
    tokio::time::sleep(Duration::from_millis(250)).await;
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(members(&ground, &pool).await, others());
    assert!(ground.plugin.ledger.members.all().is_empty());
}

#[tokio::test]
async fn one_with_the_same_address_takes_the_place_over() {
    let (ground, pool) = balanced().await;
    let options = json!({"load-balancer": "web:80", "ip": "10.5.0.77"});
    try_attach(&ground, &options).await.unwrap();
    ground.plugin.tend_members().await.unwrap();
    // Octavia is away while one goes and the next comes.
    ground.fake.fail(|_, s| (s.path.contains("/members") && s.method != "GET").then_some(Fault::Status(409)));
    detach(&ground).await.unwrap();
    assert_eq!(ground.plugin.ledger.members.all().values().next().unwrap().stage, Stage::Unwanted);
    ground.attach("e2", options).await;
    ground.fake.fail(|_, _| None);
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(members(&ground, &pool).await.len(), 2);
    let records = ground.plugin.ledger.members.all();
    assert_eq!(records.values().map(|m| (m.endpoint.as_str(), m.stage)).collect::<Vec<_>>(), [("e2", Stage::There)]);
}

#[tokio::test]
async fn mistakes_about_load_balancers_are_said_before_there_is_a_port() {
    let (ground, _) = balanced().await;
    let before = ground.ports();
    for (option, said) in [("db:80", "there is no pool \"db\""), ("web", "POOL:PORT")] {
        let error = try_attach(&ground, &json!({"load-balancer": option})).await.unwrap_err();
        assert!(error.contains(said), "{error}");
        assert_eq!(ground.ports(), before);
    }
    let ground = Ground::new().await;
    ground.fake.without(&["load-balancer"]);
    let mut ground = ground;
    ground.restart().await;
    ground.network().await;
    let error = try_attach(&ground, &json!({"load-balancer": "web:80"})).await.unwrap_err();
    assert!(error.contains("load-balancer"), "{error}");
}

/// The cloud does what it is asked, and the plugin is killed before it hears so, at each request in turn.
#[tokio::test]
async fn killed_at_any_request_no_member_is_lost_or_left() {
    for request in 0.. {
        let (mut ground, pool) = balanced().await;
        let before = ground.fake.world().left();
        let options = json!({"load-balancer": "web:80"});
        ground.fake.fail(move |number, _| (number >= request).then_some(Fault::AnswerLost));
        let attached = try_attach(&ground, &options).await.is_ok();
        let whole = attached && ground.plugin.tend_members().await.is_ok();
        let gone = whole && detach(&ground).await.is_ok() && ground.plugin.tend_members().await.is_ok();
        ground.fake.fail(|_, _| None);
        ground.restart().await;
        let when = format!("killed at request {request}");
        let is_there = ground.plugin.ledger.endpoints.get(END).is_some();
        if attached && is_there {
            // Docker has the container: it is a member.
            let known = seen(&ground);
            for _ in 0..2 {
                ground.pass(&known, &mut Suspects::default()).await;
                ground.plugin.tend_members().await.unwrap();
            }
            assert_eq!(members(&ground, &pool).await.len(), 2, "{when}");
        }
        if request % 2 == 0 {
            // It has lost what it wrote down, too.
            ground.lose(&["endpoints", "members"]).await;
        }
        for _ in 0..2 {
            ground.pass(&view(&[]), &mut Suspects::default()).await;
            ground.plugin.tend_members().await.unwrap();
        }
        assert_eq!(members(&ground, &pool).await, others(), "{when}");
        assert_eq!(ground.fake.world().left(), before, "{when}");
        assert!(ground.plugin.ledger.members.all().is_empty(), "{when}");
        if gone {
            break;
        }
    }
}

#[tokio::test]
async fn who_may_use_no_load_balancers_is_not_told_so_all_the_time() {
    let (ground, _) = balanced().await;
    ground.fake.fail(|_, s| s.path.contains("/lbaas/").then_some(Fault::Status(403)));
    for _ in 0..2 {
        assert!(ground.plugin.look_at_members().await.unwrap().is_empty());
    }
    assert_eq!(ground.requests().len(), 1, "asked once");
}
