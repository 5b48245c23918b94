//! Networks of stacks on the yard's Neutron network: what hosts are told, and what the plan says.

use super::ports::{Ground, made};
use super::support::{Agent, facts, request};
use stackyard_api::{NewJoin, StackChange, StackDeploy};
use stackyard_core::agent::{Ask, Facts, PROTOCOL, PortLink, PortOptions, ToAgent, ToServer};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{Network, PublishedPort, Service, Stack};
use stackyard_openstack::{Port, SecurityGroup};
use stackyard_yard::{DataLoss, remove_yard};
use std::time::Duration;

/// An agent whose kernel can make these links.
async fn agent(ground: &Ground, host: usize, links: &[PortLink]) -> Agent {
    let mut agent = ground.running.dial(&ground.hosts[host].token).await.unwrap();
    let facts = Facts { links: links.to_vec(), ..facts("m") };
    agent.send(&ToServer::Hello { protocol: PROTOCOL, facts, revision: None }).await;
    agent
}

/// Two services on the implied network, one of which publishes a port.
fn plain() -> Stack {
    let mut web = Service { image: "registry.example/web:1".into(), ..Service::default() };
    web.deploy.replicas = 2;
    web.deploy.placement.max_per_host = Some(1);
    let port = serde_json::json!({"target": 80, "published": 8080, "protocol": "tcp"});
    web.ports.push(serde_json::from_value::<PublishedPort>(port).unwrap());
    let db = Service { image: "registry.example/db:1".into(), ..Service::default() };
    let services = [("web".to_owned(), web), ("db".to_owned(), db)].into();
    Stack { name: "site".into(), services, ..Stack::default() }
}

fn deploy(stack: &Stack, network: Option<&str>) -> StackDeploy {
    let network = network.map(str::to_owned);
    StackDeploy { stack: Packed::pack(stack.clone()), pool: None, declared: false, network }
}

async fn planned(ground: &Ground, stack: &Stack, network: Option<&str>) -> Vec<String> {
    let changes = ground.running.admin.plan_stack("shop", &stack.name, &deploy(stack, network)).await.unwrap();
    StackChange::notes(&changes)
}

async fn deployed(ground: &Ground, stack: &Stack, network: Option<&str>) -> Vec<StackChange> {
    ground.running.admin.deploy_stack("shop", &stack.name, &deploy(stack, network)).await.unwrap()
}

/// The network `default` of the stack, as the next host that is told of `web` has it.
async fn told(agent: &mut Agent) -> Network {
    loop {
        match agent.next().await {
            Some(ToAgent::Desired(desired)) if !desired.parts.is_empty() => {
                let stack = desired.parts[0].stack();
                assert!(stack.services.values().any(|s| s.ports.iter().any(|p| p.published == Some(8080))));
                return stack.network("default");
            }
            Some(_) => {}
            None => panic!("the connection ended"),
        }
    }
}

/// Waits until all hosts have said that they can make these links.
async fn has_link(ground: &Ground, link: PortLink) {
    connected(ground).await;
    let begun = std::time::Instant::now();
    while !ground.running.admin.hosts(Some("shop"), None).await.unwrap().iter().all(|h| h.facts.links.contains(&link)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the hosts say nothing of {link:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn connected(ground: &Ground) {
    ground.running.until("the agents", || ground.running.server.app().hub().connected() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_a_plain_stack_meet_on_the_yards_network() {
    let ground = Ground::new().await;
    ground.fake.world().has_trunks();
    let mut one = agent(&ground, 0, &PortLink::ALL).await;
    let _two = agent(&ground, 1, &PortLink::ALL).await;
    connected(&ground).await;
    let notes = ["network `default` is in the yard's network `front`"];
    assert_eq!(planned(&ground, &plain(), None).await, notes);
    deployed(&ground, &plain(), None).await;
    let network = told(&mut one).await;
    assert!(network.crosses_hosts());
    assert_eq!((&*network.driver_opts["network"], &*network.driver_opts["stack-group"]), ("front", "true"));

    // Again: the same, and no word of it. `none` takes it back, which the plan shows.
    assert!(planned(&ground, &plain(), None).await.is_empty());
    let back = ground.running.admin.plan_stack("shop", "site", &deploy(&plain(), Some("none"))).await.unwrap();
    assert!(back.iter().all(|change| change.reasons == ["networks"]), "{back:?}");
    assert!(back[0].notes[0].contains("moves from the yard's network `front` to each host"), "{back:?}");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_without_ports_keep_networks_of_their_own() {
    let ground = Ground::new().await;
    ground.fake.world().has_trunks();
    let mut one = agent(&ground, 0, &PortLink::ALL).await;
    let two = agent(&ground, 1, &[]).await;
    connected(&ground).await;
    let apart =
        "network `default` is one of each host: its services reach those on other hosts at published ports alone";
    let older = "network `default` is not in the yard's network `front`: the agent of web-2 is older than this server, or \
                 its kernel has no links for containers";
    assert_eq!(planned(&ground, &plain(), None).await, [older, apart]);
    deployed(&ground, &plain(), None).await;
    assert_eq!(told(&mut one).await.driver, None);
    drop(two);
    let two = agent(&ground, 1, &[PortLink::Macvlan]).await;
    has_link(&ground, PortLink::Macvlan).await;
    let notes = planned(&ground, &plain(), Some("front")).await;
    assert!(notes[0].ends_with("the kernel of web-2 has no VLAN links"), "{notes:?}");

    // It runs, so it stays although all hosts have ports by now, until the manifest names the network.
    drop(two);
    let _two = agent(&ground, 1, &PortLink::ALL).await;
    has_link(&ground, PortLink::Vlan).await;
    let notes = planned(&ground, &plain(), None).await;
    assert!(notes[0].contains("stays on each host") && notes[0].contains("`stackNetwork: front`"), "{notes:?}");
    let changes = deployed(&ground, &plain(), Some("front")).await;
    assert!(changes.iter().all(|change| change.reasons == ["networks"]), "{changes:?}");
    assert!(changes[0].notes[0].starts_with("network `default` moves to the yard's network `front`"), "{changes:?}");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_without_trunks_and_hosts_that_joined_by_hand_are_named() {
    let ground = Ground::new().await;
    let _agents = [agent(&ground, 0, &PortLink::ALL).await, agent(&ground, 1, &PortLink::ALL).await];
    has_link(&ground, PortLink::Vlan).await;
    let notes = planned(&ground, &plain(), None).await;
    assert!(notes[0].ends_with("the cloud has no trunks (Neutron's extension `trunk`)"), "{notes:?}");
    let join = NewJoin { yard: "shop".to_owned(), name: Some("edge".to_owned()), ..NewJoin::default() };
    let ticket = ground.running.ticket(join).await;
    ground.running.join(&ticket.token, &request("edge")).await;
    let notes = planned(&ground, &plain(), Some("front")).await;
    assert!(notes[0].contains("edge joined by hand, and only servers of pools"), "{notes:?}");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_stacks_reach_each_other_by_one_group_of_the_yard() {
    let ground = Ground::new().await;
    ground.fake.world().has_trunks();
    let port = |endpoint: &str| {
        let Ask::Make(mut new) = ground.new_port(endpoint) else { panic!("no port") };
        new.links = PortLink::ALL.to_vec();
        new.options = PortOptions { stack_group: true, ..PortOptions::default() };
        Ask::Make(new)
    };
    let (mut one, mut two) = (ground.agent(0).await, ground.agent(1).await);
    let (first, second) = (made(&mut one, port("e1")).await, made(&mut two, port("e1")).await);
    let groups = async || {
        let all: Vec<SecurityGroup> = ground.cloud.list(&[]).await.unwrap();
        all.into_iter().filter(|g| g.description.ends_with("/security-group/:stacks")).collect::<Vec<_>>()
    };
    let there = groups().await;
    assert_eq!(there.len(), 1, "one for all");
    let members = there[0].rules.iter().filter(|r| r.remote_group_id.as_deref() == Some(&there[0].id));
    assert_eq!(members.map(|r| r.ethertype.as_str()).collect::<Vec<_>>(), ["IPv4", "IPv6"]);
    for made in [&first, &second] {
        let port: Port = ground.cloud.get(&made.id).await.unwrap();
        let nic = ground.nic(0).await.security_groups;
        assert_eq!(port.security_groups, [nic, vec![there[0].id.clone()]].concat());
    }
    remove_yard(&ground.cloud, "shop", None, &DataLoss::Allowed, &()).await.unwrap();
    assert!(groups().await.is_empty(), "it goes with the yard");
    ground.running.stop().await;
}
