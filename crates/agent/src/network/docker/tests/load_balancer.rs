//! Containers as members of load balancers' pools.

use super::{END, detach, seen, try_attach};
use crate::network::ledger::MembershipStage;
use crate::network::observed::Suspects;
use crate::network::tests::{Fixture, view};
use serde_json::json;
use stackyard_fake::Fault;
use stackyard_openstack::{LoadBalancer, LoadBalancerPool, Member, NewListener, NewLoadBalancer, NewMember, NewPool};
use std::time::Duration;

/// A network, and on it a load balancer with a pool `web` that has a member of somebody else's; the pool's id.
async fn balanced() -> (Fixture, String) {
    let fixture = Fixture::new().await;
    fixture.fake.world().take_time(Duration::ZERO);
    fixture.network().await;
    let subnet = fixture.manager.ledger.networks.get("n1").unwrap().subnets[0].id.clone();
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
    let cloud = fixture.manager.cloud().unwrap();
    let _: LoadBalancer = cloud.create(&new).await.unwrap();
    let pool: LoadBalancerPool = cloud.need("web").await.unwrap();
    fixture.requests();
    (fixture, pool.id)
}

async fn members(fixture: &Fixture, pool: &str) -> Vec<(String, u16, Option<u32>)> {
    let members = fixture.manager.cloud().unwrap().members(pool).await.unwrap();
    members.into_iter().map(|m: Member| (m.address, m.protocol_port, m.weight)).collect()
}

fn others() -> Vec<(String, u16, Option<u32>)> {
    vec![("10.5.0.9".to_owned(), 80, None)]
}

#[tokio::test]
async fn a_container_is_a_member_while_it_runs() {
    let (fixture, pool) = balanced().await;
    let options = json!({"load-balancer": "web:8080=5"});
    try_attach(&fixture, &options).await.unwrap();
    let asked = fixture.requests();
    assert!(asked.iter().all(|r| !r.starts_with("PUT")), "the attach does not wait for Octavia: {asked:?}");
    fixture.manager.tend_members().await.unwrap();
    assert_eq!(fixture.requests().len(), 1, "one request for all");
    let address = fixture.manager.ledger.endpoints.get(END).unwrap().ips[0].ip_address.clone().unwrap();
    assert!(members(&fixture, &pool).await.contains(&(address.clone(), 8080, Some(5))));
    // Somebody removes it; the reconciler has it made again.
    fixture.manager.cloud().unwrap().set_members(&pool, &[]).await.unwrap();
    let mut suspects = Suspects::default();
    fixture.pass(&seen(&fixture), &mut suspects).await;
    fixture.manager.tend_members().await.unwrap();
    assert_eq!(members(&fixture, &pool).await, [(address.clone(), 8080, Some(5))]);
    // Its load balancer is changing: the container goes all the same, the member later.
    fixture.fake.world().take_time(Duration::from_millis(200));
    let other = NewMember { address: "10.5.0.9".into(), protocol_port: 80, ..NewMember::default() };
    fixture.manager.cloud().unwrap().add_members(&pool, &[other]).await.unwrap();
    detach(&fixture).await.unwrap();
    assert_eq!(members(&fixture, &pool).await.len(), 2);
    assert!(fixture.manager.tend_members().await.unwrap_err().to_string().contains("immutable"));
    tokio::time::sleep(Duration::from_millis(250)).await;
    fixture.manager.tend_members().await.unwrap();
    assert_eq!(members(&fixture, &pool).await, others());
    assert!(fixture.manager.ledger.members.all().is_empty());
}

#[tokio::test]
async fn one_with_the_same_address_takes_the_place_over() {
    let (fixture, pool) = balanced().await;
    let options = json!({"load-balancer": "web:80", "ip": "10.5.0.77"});
    try_attach(&fixture, &options).await.unwrap();
    fixture.manager.tend_members().await.unwrap();
    // Octavia is away while one goes and the next comes.
    fixture.fake.fail(|_, s| (s.path.contains("/members") && s.method != "GET").then_some(Fault::Status(409)));
    detach(&fixture).await.unwrap();
    assert_eq!(fixture.manager.ledger.members.all().values().next().unwrap().stage, MembershipStage::Unwanted);
    fixture.attach("e2", options).await;
    fixture.fake.fail(|_, _| None);
    fixture.manager.tend_members().await.unwrap();
    assert_eq!(members(&fixture, &pool).await.len(), 2);
    let records = fixture.manager.ledger.members.all();
    assert_eq!(
        records.values().map(|m| (m.endpoint.as_str(), m.stage)).collect::<Vec<_>>(),
        [("e2", MembershipStage::There)]
    );
}

#[tokio::test]
async fn mistakes_about_load_balancers_are_said_before_there_is_a_port() {
    let (fixture, _) = balanced().await;
    let before = fixture.ports();
    for (option, said) in [("db:80", "there is no pool \"db\""), ("web", "POOL:PORT")] {
        let error = try_attach(&fixture, &json!({"load-balancer": option})).await.unwrap_err();
        assert!(error.contains(said), "{error}");
        assert_eq!(fixture.ports(), before);
    }
    let fixture = Fixture::new().await;
    fixture.fake.without(&["load-balancer"]);
    let mut fixture = fixture;
    fixture.restart().await;
    fixture.network().await;
    let error = try_attach(&fixture, &json!({"load-balancer": "web:80"})).await.unwrap_err();
    assert!(error.contains("load-balancer"), "{error}");
}

/// The cloud does what it is asked, and the plugin is killed before it hears so, at each request in turn.
#[tokio::test]
async fn killed_at_any_request_no_member_is_lost_or_left() {
    for request in 0.. {
        let (mut fixture, pool) = balanced().await;
        let before = fixture.fake.world().left();
        let options = json!({"load-balancer": "web:80"});
        fixture.fake.fail(move |number, _| (number >= request).then_some(Fault::AnswerLost));
        let attached = try_attach(&fixture, &options).await.is_ok();
        let whole = attached && fixture.manager.tend_members().await.is_ok();
        let gone = whole && detach(&fixture).await.is_ok() && fixture.manager.tend_members().await.is_ok();
        fixture.fake.fail(|_, _| None);
        fixture.restart().await;
        let when = format!("killed at request {request}");
        let is_there = fixture.manager.ledger.endpoints.get(END).is_some();
        if attached && is_there {
            // Docker has the container: it is a member.
            let known = seen(&fixture);
            for _ in 0..2 {
                fixture.pass(&known, &mut Suspects::default()).await;
                fixture.manager.tend_members().await.unwrap();
            }
            assert_eq!(members(&fixture, &pool).await.len(), 2, "{when}");
        }
        if request % 2 == 0 {
            // It has lost what it wrote down, too.
            fixture.lose(&["endpoints", "members"]).await;
        }
        for _ in 0..2 {
            fixture.pass(&view(&[]), &mut Suspects::default()).await;
            fixture.manager.tend_members().await.unwrap();
        }
        assert_eq!(members(&fixture, &pool).await, others(), "{when}");
        assert_eq!(fixture.fake.world().left(), before, "{when}");
        assert!(fixture.manager.ledger.members.all().is_empty(), "{when}");
        if gone {
            break;
        }
    }
}

#[tokio::test]
async fn who_may_use_no_load_balancers_is_not_told_so_all_the_time() {
    let (fixture, _) = balanced().await;
    fixture.fake.fail(|_, s| s.path.contains("/lbaas/").then_some(Fault::Status(403)));
    for _ in 0..2 {
        assert!(fixture.manager.look_at_members().await.unwrap().is_empty());
    }
    assert_eq!(fixture.requests().len(), 1, "asked once");
}
