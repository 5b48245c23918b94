//! Containers as members of load balancers' pools, as agents ask for it, against a fake cloud.

use super::ports::{Ground, ask, made, refused};
use stackyard_core::agent::{Answer, Ask, ContainerPort, NewPoolMember, PoolMember};
use stackyard_openstack::{
    Cloud, LoadBalancer, LoadBalancerPool, Member, NewListener, NewLoadBalancer, NewMember, NewPool,
};
use std::time::Duration;

/// Makes a load balancer with a pool that has a member, which is a server: the pool's id.
async fn balancer(ground: &Ground, name: &str, description: &str, pool: &str) -> String {
    let server = NewMember { address: "10.20.0.200".into(), protocol_port: 80, ..NewMember::default() };
    let pool = NewPool {
        name: pool.into(),
        lb_algorithm: "SOURCE_IP_PORT".into(),
        members: vec![server],
        ..NewPool::default()
    };
    let listener =
        NewListener { protocol: "TCP".into(), protocol_port: 80, default_pool: Some(pool), ..NewListener::default() };
    let new = NewLoadBalancer {
        name: name.into(),
        description: description.into(),
        vip_subnet_id: Some(ground.subnet.clone()),
        listeners: vec![listener],
        ..NewLoadBalancer::default()
    };
    let balancer: LoadBalancer = ground.cloud.create(&new).await.unwrap();
    let pools: Vec<LoadBalancerPool> = ground.cloud.list(&[]).await.unwrap();
    pools.into_iter().find(|p| p.loadbalancers[0].id == balancer.id).unwrap().id
}

async fn names(cloud: &Cloud, pool: &str) -> Vec<String> {
    cloud.members(pool).await.unwrap().into_iter().map(|m: Member| m.name).filter(|n| !n.is_empty()).collect()
}

fn member(port: &ContainerPort) -> NewPoolMember {
    NewPoolMember {
        docker_network: port.docker_network.clone(),
        endpoint: port.endpoint.clone(),
        address: port.addresses[0].address.unwrap(),
        port: 8080,
        weight: Some(5),
        subnet: None,
    }
}

fn enlist(pool: &str, member: NewPoolMember) -> Ask {
    Ask::Enlist { pool: pool.to_owned(), members: vec![member] }
}

async fn listed(agent: &mut super::support::Agent, pools: &[&str]) -> Vec<(String, Vec<PoolMember>)> {
    let pools = pools.iter().map(|&p| p.to_owned()).collect();
    match ask(agent, Ask::Members { pools }).await {
        Answer::Members { pools } => pools.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_members_of_pools_of_their_yard() {
    let ground = Ground::new().await;
    let web = balancer(&ground, "web", "stackyard:shop/load-balancer/web", "tcp-80").await;
    let other = balancer(&ground, "api", "stackyard:shop/load-balancer/api", "tcp-80").await;
    let bank = balancer(&ground, "vault", "stackyard:bank/load-balancer/vault", "tcp-443").await;
    let mut agent = ground.agent(0).await;
    let port = made(&mut agent, ground.new_port("e1")).await;

    let pool = |name: &str| Ask::Pool { pool: name.to_owned() };
    for name in ["web", "web/tcp-80", web.as_str()] {
        assert!(matches!(ask(&mut agent, pool(name)).await, Answer::Pool { id, .. } if id == web), "{name}");
    }
    assert!(refused(&mut agent, pool("tcp-80")).await.contains("several pools: web/tcp-80, api/tcp-80"));
    for name in ["vault", "tcp-443", bank.as_str()] {
        let why = refused(&mut agent, pool(name)).await;
        assert!(why.contains("there are: web/tcp-80, api/tcp-80"), "{why}");
    }

    assert_eq!(ask(&mut agent, enlist(&web, member(&port))).await, Answer::Enlisted);
    assert_eq!(ask(&mut agent, enlist(&web, member(&port))).await, Answer::Enlisted, "asked again");
    let host = &ground.hosts[0].host;
    assert_eq!(names(&ground.cloud, &web).await, [format!("stackyard-host:{host}/aa11/e1")]);
    let there = listed(&mut agent, &[&web]).await;
    assert_eq!(there[0].1.iter().map(|m| &m.of).collect::<Vec<_>>(), [&member(&port)]);
    let mut all = vec![(web.clone(), there[0].1.clone()), (other.clone(), Vec::new())];
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(listed(&mut agent, &[]).await, all, "all that are for it");
    assert_eq!(listed(&mut agent, &["no-such-pool"]).await, []);

    // What is another yard's or host's is not this host's to touch.
    assert!(refused(&mut agent, enlist(&bank, member(&port))).await.contains("no pool"));
    let forged = NewPoolMember { address: "10.20.0.200".parse().unwrap(), ..member(&port) };
    assert!(refused(&mut agent, enlist(&web, forged)).await.contains("no container of host web-1 has the address"));
    let forged = NewPoolMember { endpoint: "e/1".into(), ..member(&port) };
    assert!(refused(&mut agent, enlist(&web, forged)).await.contains("Docker's ids"));
    let mut neighbour = ground.agent(1).await;
    assert_eq!(listed(&mut neighbour, &[&web]).await, [(web.clone(), Vec::new())]);
    let dismiss = |id: &str| Ask::Dismiss { pool: web.clone(), member: id.to_owned() };
    let id = &there[0].1[0].id;
    assert!(refused(&mut neighbour, dismiss(id)).await.contains("no container of host web-2"));
    let server = ground.cloud.members(&web).await.unwrap().into_iter().find(|m| m.name.is_empty()).unwrap();
    assert!(refused(&mut agent, dismiss(&server.id)).await.contains("no container of host web-1"));
    assert_eq!(ask(&mut agent, dismiss(id)).await, Answer::Dismissed);
    assert_eq!(ask(&mut agent, dismiss(id)).await, Answer::Dismissed, "asked again");
    assert!(names(&ground.cloud, &web).await.is_empty());

    // Members do not outlive their host.
    assert_eq!(ask(&mut agent, enlist(&web, member(&port))).await, Answer::Enlisted);
    let kept = made(&mut neighbour, ground.new_port("e1")).await;
    assert_eq!(ask(&mut neighbour, enlist(&web, member(&kept))).await, Answer::Enlisted);
    ground.running.admin.remove_host(host).await.unwrap();
    let gone = async {
        while names(&ground.cloud, &web).await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the removed host's member stays");
    assert_eq!(names(&ground.cloud, &web).await, [format!("stackyard-host:{}/aa11/e1", ground.hosts[1].host)]);
    assert_eq!(ground.cloud.members(&web).await.unwrap().len(), 2, "the server and the neighbour's");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_load_balancers_there_is_no_pool() {
    let ground = Ground::new().await;
    let mut agent = ground.agent(0).await;
    assert!(refused(&mut agent, Ask::Pool { pool: "web".into() }).await.contains("no load balancer of the project"));
    assert_eq!(listed(&mut agent, &[]).await, []);
    ground.fake.without(&["load-balancer"]);
    assert!(refused(&mut agent, Ask::Pool { pool: "web".into() }).await.contains("there is no pool"));
    ground.running.stop().await;
}
