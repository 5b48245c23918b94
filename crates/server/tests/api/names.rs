//! Names of containers, as the hub tells them to agents.

use super::support::{Agent, Running};
use stackyard_core::agent::{
    ContainerReport, ContainerState, NameUpdate, Part, PartReport, Replica, Report, ToAgent, ToServer,
};
use stackyard_core::stack::{Attachment, NETWORK_DRIVER, Network, NetworkMode, Service, Stack};
use stackyard_server::hub::{Hub, HubTiming};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn alone() -> HubTiming {
    HubTiming { stacks: false, ..HubTiming::default() }
}

/// The part of `stack` with one replica of a service on its network `front`.
fn part(stack: &str, service: &str, index: u32) -> Part {
    let name = format!("{service}-{index}");
    let front = Network { name: format!("{stack}_front"), driver: Some(NETWORK_DRIVER.into()), ..Network::default() };
    let attachment = Attachment { aliases: vec![service.into()], ..Attachment::default() };
    let network_mode = NetworkMode::Networks([("front".to_owned(), attachment)].into());
    let whole = Stack {
        name: stack.into(),
        services: [(name.clone(), Service { network_mode, ..Service::default() })].into(),
        networks: [("front".to_owned(), front)].into(),
        ..Stack::default()
    };
    Part::pack(whole, [(name, Replica { service: service.into(), index })].into(), BTreeMap::new())
}

fn report(stack: &str, service: &str, index: u32, address: &str) -> ToServer {
    let container = ContainerReport {
        replica: Replica { service: service.into(), index },
        generation: 1,
        id: format!("{service}{index}"),
        state: ContainerState::Running,
        healthy: None,
        restarts: 0,
        started: Some(1),
        last_lines: Vec::new(),
        ended: None,
        addresses: [(format!("{stack}_front"), vec![address.parse().unwrap()])].into(),
        ports: Vec::new(),
    };
    let part = PartReport { containers: vec![container], ..PartReport::default() };
    ToServer::Report(Box::new(Report { parts: [(stack.to_owned(), part)].into(), ..Report::default() }))
}

/// The next message about names.
async fn names(agent: &mut Agent) -> NameUpdate {
    loop {
        match agent.next().await {
            Some(ToAgent::Names(update)) => return *update,
            Some(_) => {}
            None => panic!("the connection ended"),
        }
    }
}

/// Waits until the agent was told an address of `service`; all that the update says of that host.
async fn told(agent: &mut Agent, host: &str, address: &str) -> String {
    loop {
        let update = names(agent).await;
        let text = format!("{:?}", update.changed.get(host));
        if text.contains(address) {
            return text;
        }
    }
}

async fn want(hub: &Hub, host: &str, parts: &[Part]) {
    hub.set_desired(host, parts.to_vec()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_told_the_names_on_its_networks_and_no_others() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let hub = running.server.app().hub().clone();
    let (one, two) = (running.host("shop", "web-1").await, running.host("shop", "web-2").await);
    let (three, foreign) = (running.host("shop", "web-3").await, running.host("bank", "web-1").await);
    want(&hub, &one.host, &[part("site", "web", 1)]).await;
    want(&hub, &two.host, &[part("site", "db", 1)]).await;
    want(&hub, &three.host, &[part("other", "db", 1)]).await;
    want(&hub, &foreign.host, &[part("site", "db", 2)]).await;
    hub.tell_names();
    let mut web = running.agent(&one.token, None).await;
    let mut others = Vec::new();
    for (host, stack, index, address) in
        [(&two, "site", 1, "10.20.0.2"), (&three, "other", 1, "10.20.0.3"), (&foreign, "site", 2, "10.20.0.4")]
    {
        let mut agent = running.agent(&host.token, None).await;
        agent.send(&report(stack, "db", index, address)).await;
        others.push(agent);
    }
    let text = told(&mut web, &two.host, "10.20.0.2").await;
    assert!(text.contains("\"site_db\"") && text.contains("\"db\""), "{text}");
    running
        .until("reports", || [&two, &three].iter().all(|h| hub.seen(&h.host).is_some_and(|s| s.report.is_some())))
        .await;
    // Whatever comes next is of the same network, too.
    others[0].send(&report("site", "db", 1, "10.20.0.22")).await;
    let mut all = String::new();
    while !all.contains("10.20.0.22") {
        let update = names(&mut web).await;
        assert!(!update.hosts.contains(&foreign.host), "a host of another yard");
        all += &format!("{update:?}");
    }
    assert!(!all.contains("10.20.0.3") && !all.contains("10.20.0.4"), "{all}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_at_once_and_what_is_the_same_is_not() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let hub = running.server.app().hub().clone();
    let (one, two) = (running.host("shop", "web-1").await, running.host("shop", "web-2").await);
    want(&hub, &one.host, &[part("site", "web", 1)]).await;
    want(&hub, &two.host, &[part("site", "db", 1)]).await;
    hub.tell_names();
    let mut web = running.agent(&one.token, None).await;
    let mut db = running.agent(&two.token, None).await;
    let mut slowest = Duration::ZERO;
    for i in 1..20 {
        let address = format!("10.20.0.{i}");
        let begun = Instant::now();
        db.send(&report("site", "db", 1, &address)).await;
        told(&mut web, &two.host, &format!("{address}]")).await;
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    db.send(&report("site", "db", 1, "10.20.0.19")).await;
    assert!(web.is_quiet().await, "nothing changed");
    // Its engine does not answer: what runs there still does.
    let part = PartReport { error: Some("no engine".into()), incomplete: true, ..PartReport::default() };
    let unseen = Report { parts: [("site".to_owned(), part)].into(), ..Report::default() };
    db.send(&ToServer::Report(Box::new(unseen))).await;
    assert!(web.is_quiet().await, "the host cannot look");
    db.send(&report("site", "db", 1, "10.20.0.77")).await;
    told(&mut web, &two.host, "10.20.0.77]").await;
    // It is to go: its name does not lead to it any more, whether or not the host answers.
    want(&hub, &two.host, &[]).await;
    assert!(names(&mut web).await.changed[&two.host].is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_again_takes_no_names_away() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let (one, two) = (running.host("shop", "web-1").await, running.host("shop", "web-2").await);
    let home = running.stop().await;

    let running = Running::start_in(home, alone()).await;
    let hub = running.server.app().hub().clone();
    let mut web = running.agent(&one.token, None).await;
    want(&hub, &one.host, &[part("site", "web", 1)]).await;
    assert!(matches!(web.next().await, Some(ToAgent::Desired(_))));
    assert!(web.is_quiet().await, "it is not known yet which hosts there are");
    want(&hub, &two.host, &[part("site", "db", 1)]).await;
    hub.tell_names();
    let update = names(&mut web).await;
    assert!(update.hosts.contains(&two.host) && update.changed.is_empty(), "the agent keeps what it knows: {update:?}");
    let mut db = running.agent(&two.token, None).await;
    db.send(&report("site", "db", 1, "10.20.0.2")).await;
    told(&mut web, &two.host, "10.20.0.2").await;
    // A host that is removed is in no list any more.
    running.admin.remove_host(&two.host).await.unwrap();
    while names(&mut web).await.hosts.contains(&two.host) {}
    running.stop().await;
}
