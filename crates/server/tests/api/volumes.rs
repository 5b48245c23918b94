//! Cinder volumes of stacks, as agents ask for them, against a fake cloud.

use crate::ports::{Ground, answer, ask, mark};
use crate::support::{Agent, facts};
use reqwest::StatusCode;
use serde_json::{Value, json};
use stackyard_api::{Role, StackDeploy};
use stackyard_core::agent::{Answer, Ask, Facts, PROTOCOL, ToServer, VolumeAnswer, VolumeAsk};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{Mount, MountKind, Service, Stack, VOLUME_DRIVER, Volume};
use stackyard_core::yard::intend::intend;
use stackyard_core::yard::manifest::Manifest;
use stackyard_fake::Fault;
use stackyard_openstack::Server;
use stackyard_yard::{DataLoss, Inventory, remove_yard};
use std::time::Duration;

fn attach() -> Ask {
    Ask::Volume(VolumeAsk::Attach { stack: "shop".into(), volume: "data".into() })
}

fn detach() -> Ask {
    Ask::Volume(VolumeAsk::Detach { stack: "shop".into(), volume: "data".into() })
}

fn stack(replicas: u32) -> StackDeploy {
    let kind = MountKind::Volume { name: "data".into(), nocopy: false, subpath: None };
    let volumes = vec![Mount { kind, target: "/d".into(), read_only: false }];
    let mut db = Service { image: "registry.example/db:1".into(), volumes, ..Service::default() };
    db.deploy.replicas = replicas;
    let mut stack = Stack { name: "shop".into(), ..Stack::default() };
    stack.services.insert("db".into(), db);
    let options = [("size", "3Gi"), ("type", "ssd")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let driver = Some(VOLUME_DRIVER.to_owned());
    let name = "shop_data".to_owned();
    stack.volumes.insert("data".into(), Volume { name, driver, driver_opts: options.into(), ..Volume::default() });
    StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None }
}

/// Two hosts with agents, and a stack with a volume on the first.
struct Yard {
    ground: Ground,
    agents: Vec<Agent>,
    servers: Vec<Server>,
}

impl Yard {
    async fn new() -> Self {
        let ground = Ground::new().await;
        let (mut agents, mut servers) = (Vec::new(), Vec::new());
        for (host, name) in ground.hosts.iter().zip(["web-1", "web-2"]) {
            let server: Server = ground.cloud.need(name).await.unwrap();
            let facts = Facts { server_id: Some(server.id.clone()), ..facts("m") };
            let mut agent = ground.running.dial(&host.token).await.unwrap();
            agent.send(&ToServer::Hello { protocol: PROTOCOL, facts, revision: None }).await;
            agents.push(agent);
            servers.push(server);
        }
        let yard = Self { ground, agents, servers };
        let hub = yard.ground.running.server.app().hub().clone();
        yard.ground.running.until("the agents", || hub.connected() == 2).await;
        yard.ground.running.admin.deploy_stack("shop", "shop", &stack(1)).await.unwrap();
        yard.placed(0).await;
        yard
    }

    /// Waits until the stack is to run on a host.
    async fn placed(&self, at: usize) {
        let (hub, host) = (self.ground.running.server.app().hub().clone(), self.ground.hosts[at].host.clone());
        let is_there = || hub.desired(&host).is_some_and(|d| d.parts.iter().any(|p| p.name() == "shop"));
        self.ground.running.until("the stack's place", is_there).await;
    }

    async fn moves(&self) {
        self.ground.running.admin.drain_host("shop/web-1", true).await.unwrap();
        self.placed(1).await;
    }

    async fn ask(&mut self, host: usize, what: Ask) -> VolumeAnswer {
        match ask(&mut self.agents[host], what).await {
            Answer::Volume(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    async fn attached(&mut self, host: usize) -> String {
        match self.ask(host, attach()).await {
            VolumeAnswer::Attached { id } => id,
            other => panic!("{other:?}"),
        }
    }

    async fn waits(&mut self, host: usize) -> String {
        match self.ask(host, attach()).await {
            VolumeAnswer::Wait { why } => why,
            other => panic!("{other:?}"),
        }
    }

    async fn refused(&mut self, host: usize) -> String {
        match ask(&mut self.agents[host], attach()).await {
            Answer::Refused { why } => why,
            other => panic!("{other:?}"),
        }
    }

    fn volume(&self) -> Value {
        let mut all = self.ground.fake.world().list_all("volumes");
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Requests of a method whose path ends so.
    fn requests(&self, method: &str, end: &str) -> usize {
        self.ground.fake.seen().iter().filter(|s| s.method == method && s.path.ends_with(end)).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_follows_its_container() {
    let mut yard = Yard::new().await;
    yard.ground.fake.world().take_time(Duration::from_millis(300));
    yard.ground.fake.world().detach_late(false);
    let id = yard.attached(0).await;
    let volume = yard.volume();
    assert_eq!(
        (&volume["size"], &volume["volume_type"], &volume["name"]),
        (&json!(3), &json!("ssd"), &json!("shop_shop_data"))
    );
    assert_eq!(
        (&volume["status"], &volume["attachments"][0]["server_id"]),
        (&json!("in-use"), &json!(yard.servers[0].id))
    );
    assert_eq!(volume["metadata"]["stackyard"], mark("volume/shop:data"));
    assert_eq!(yard.attached(0).await, id, "it is asked for again");
    assert_eq!((yard.requests("POST", "/volumes"), yard.requests("POST", "/os-volume_attachments")), (1, 1));
    // The other host has no such container.
    let why = yard.refused(1).await;
    assert!(why.contains("no service of stack shop with volume data should run on host web-2"), "{why}");

    yard.moves().await;
    let why = yard.waits(1).await;
    assert!(
        why.contains("still attached to server web-1 (ACTIVE)") && why.contains("openstack server stop web-1"),
        "{why}"
    );
    assert_eq!(yard.requests("DELETE", &id), 0);
    let show = yard.ground.running.admin.stack("shop", "shop", true).await.unwrap();
    let reason = show.status.reasons.iter().find(|r| r.contains("waits for volume data")).unwrap();
    assert!(reason.starts_with("db-1 on web-2 waits") && reason.contains("web-1 (ACTIVE)"), "{reason}");

    // Both ask at once: the one that wants it gets it as soon as the other one is rid of it.
    yard.agents[0].send(&ToServer::Ask { number: 1, ask: detach() }).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(yard.attached(1).await, id);
    assert_eq!(answer(&mut yard.agents[0]).await.1, Answer::Volume(VolumeAnswer::Detached));
    assert_eq!(yard.volume()["attachments"][0]["server_id"], json!(yard.servers[1].id));
    // The first one was killed before it heard of that, and asks again: that takes nothing from the other.
    assert_eq!(yard.ask(0, detach()).await, VolumeAnswer::Detached);
    assert_eq!(yard.volume()["attachments"][0]["server_id"], json!(yard.servers[1].id));
    assert_eq!(yard.requests("DELETE", &id), 1);
    yard.ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_host_keeps_its_volume_until_nova_says_that_it_is_off() {
    let mut yard = Yard::new().await;
    let id = yard.attached(0).await;
    yard.moves().await;
    yard.waits(1).await;
    let (lost, status) = (yard.servers[0].id.clone(), |yard: &Yard, is: &str| {
        yard.ground.fake.world().set("servers", &yard.servers[0].id, "status", is);
    });
    // Neither of these says that it cannot write any more.
    for is in ["ERROR", "UNKNOWN", "PAUSED"] {
        status(&yard, is);
        // What was found last is told for some seconds.
        tokio::time::sleep(Duration::from_millis(5100)).await;
        let why = yard.waits(1).await;
        assert!(why.contains(&format!("web-1 ({is})")), "{why}");
    }
    assert_eq!(yard.requests("DELETE", &id), 0);
    status(&yard, "SHUTOFF");
    tokio::time::sleep(Duration::from_millis(5100)).await;
    assert_eq!(yard.attached(1).await, id);
    let detached = format!("/servers/{lost}/os-volume_attachments/{id}");
    assert_eq!(yard.requests("DELETE", &detached), 1);
    yard.ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_make_no_second_volume_and_no_second_attachment() {
    let mut yard = Yard::new().await;
    for fault in [Fault::AnswerLost, Fault::DoneButFailed] {
        yard.ground.fake.fail(move |_, seen| {
            let is_first =
                ["/volumes", "/os-volume_attachments", "/metadata"].iter().any(|end| seen.path.ends_with(end));
            (seen.method == "POST" && is_first).then_some(fault)
        });
        // Each answer is lost, each time.
        let id = loop {
            match ask(&mut yard.agents[0], attach()).await {
                Answer::Volume(VolumeAnswer::Attached { id }) => break id,
                Answer::Volume(VolumeAnswer::Wait { .. }) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(yard.volume()["attachments"].as_array().unwrap().len(), 1);
        yard.ground.fake.fail(move |_, seen| (seen.method == "DELETE").then_some(fault));
        while yard.ask(0, detach()).await != VolumeAnswer::Detached {}
        assert_eq!((&yard.volume()["id"], &yard.volume()["status"]), (&json!(id), &json!("available")));
    }
    // What Nova refuses for good is said, and what it refuses for the moment is waited for.
    yard.ground.fake.fail(|_, seen| {
        (seen.method == "POST" && seen.path.ends_with("/os-volume_attachments")).then_some(Fault::Status(403))
    });
    let why = yard.refused(0).await;
    assert!(why.contains("cannot attach volume") && why.contains("a fault was injected"), "{why}");
    yard.ground.fake.fail(|_, seen| {
        (seen.method == "POST" && seen.path.ends_with("/os-volume_attachments")).then_some(Fault::Status(409))
    });
    let why = yard.waits(0).await;
    assert!(why.contains("cannot attach volume"), "{why}");
    yard.ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_is_stuck_while_it_detaches_goes_nowhere() {
    let mut yard = Yard::new().await;
    let id = yard.attached(0).await;
    yard.moves().await;
    yard.ground.fake.world().detach_late(true);
    for (host, what) in [(0, detach()), (1, attach())] {
        yard.agents[host].send(&ToServer::Ask { number: 9, ask: what }).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(yard.volume()["status"], "detaching");
    assert_eq!((yard.requests("DELETE", &id), yard.requests("POST", "/action")), (1, 0));
    yard.ground.fake.world().detach_late(false);
    assert_eq!(answer(&mut yard.agents[0]).await.1, Answer::Volume(VolumeAnswer::Detached));
    assert_eq!(answer(&mut yard.agents[1]).await.1, Answer::Volume(VolumeAnswer::Attached { id }));
    yard.ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_is_removed_only_when_nothing_needs_it_and_its_data_may_go() {
    let mut yard = Yard::new().await;
    let id = yard.attached(0).await;
    let admin = yard.ground.running.admin.clone();
    let listed = admin.volumes("shop").await.unwrap();
    let [volume] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((volume.stack.as_str(), volume.volume.as_str(), volume.size, volume.needed), ("shop", "data", 3, true));
    assert_eq!((volume.server.as_deref(), volume.status.as_str()), (Some("web-1"), "in-use"));
    let refused = async |allow| admin.remove_volume("shop", &id, allow).await.unwrap_err().to_string();
    assert!(refused(true).await.contains("attached to server web-1"));
    assert_eq!(yard.ask(0, detach()).await, VolumeAnswer::Detached);
    assert!(refused(true).await.contains("stack shop needs volume data"));
    admin.remove_stack("shop", "shop").await.unwrap();
    // The hosts say that nothing of it is left.
    let gone = async {
        while admin.stack("shop", "shop", false).await.is_ok() {
            for (agent, host) in yard.agents.iter_mut().zip(&yard.ground.hosts) {
                let desired = yard.ground.running.server.app().hub().desired(&host.host);
                let revision = desired.map(|d| d.revision).unwrap_or_default();
                let report = stackyard_core::agent::Report { revision, settled: true, ..Default::default() };
                agent.send(&ToServer::Report(Box::new(report))).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the stack stays");
    assert_eq!(yard.volume()["status"], "available", "the stack's volume stays");
    assert!(refused(false).await.contains("data of volume shop/data"));
    let (status, _) = yard
        .ground
        .running
        .call(
            "DELETE",
            "/api/v1/yards/shop/volumes/other?allow_data_loss=true",
            Some(&yard.ground.running.token("op", Role::Operator).await),
            None,
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    admin.remove_volume("shop", &id, true).await.unwrap();
    while !yard.ground.fake.world().list_all("volumes").is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(admin.volumes("shop").await.unwrap().is_empty());
    yard.ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_came_to_nothing_can_be_removed_and_is_made_again() {
    let mut yard = Yard::new().await;
    yard.ground.fake.world().fail_volumes(1);
    let why = yard.refused(0).await;
    assert!(why.contains("it is in state error") && why.contains("stackyard volume remove"), "{why}");
    let failed = yard.volume()["id"].as_str().unwrap().to_owned();
    let admin = yard.ground.running.admin.clone();
    admin.remove_volume("shop", &failed, true).await.unwrap();
    assert_ne!(yard.attached(0).await, failed);
    yard.ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yards_plan_leaves_volumes_of_stacks_alone_and_down_asks() {
    let mut yard = Yard::new().await;
    yard.attached(0).await;
    let manifest: Value = json!({
        "apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"},
        "spec": {"networks": [{"name": "front", "cidr": "10.20.0.0/24"}]},
    });
    let intended = intend(&serde_json::from_value::<Manifest>(manifest).unwrap()).unwrap();
    let inventory = Inventory::take(&yard.ground.cloud).await.unwrap();
    let is_stacks = |key: &stackyard_core::yard::Key| key.name.contains("shop:data");
    assert!(!inventory.observe("shop", Some(&intended)).resources.iter().any(|r| is_stacks(&r.key)));
    assert!(inventory.owned().iter().any(|o| is_stacks(&o.mark.key)), "a sweep finds it");
    let error = remove_yard(&yard.ground.cloud, "shop", None, &DataLoss::Refused, &()).await.unwrap_err().to_string();
    assert!(error.contains("volume shop:data"), "{error}");
    remove_yard(&yard.ground.cloud, "shop", None, &DataLoss::Allowed, &()).await.unwrap();
    assert!(yard.ground.fake.world().list_all("volumes").is_empty());
    yard.ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_servers_get_volumes_and_only_one_container_has_one() {
    let yard = Yard::new().await;
    let admin = &yard.ground.running.admin;
    let error = admin.deploy_stack("shop", "shop", &stack(2)).await.unwrap_err().to_string();
    assert!(error.contains("volume data: service db has 2 replicas"), "{error}");
    let error = admin.scale_stack("shop", "shop", [("db".to_owned(), 3)].into()).await.unwrap_err().to_string();
    assert!(error.contains("3 replicas"), "{error}");
    // A machine that is no server is no place for it.
    let laptop = yard.ground.running.host("lab", "laptop").await;
    let _agent = yard.ground.running.agent(&laptop.token, None).await;
    admin.deploy_stack("lab", "shop", &stack(1)).await.unwrap();
    let why = async {
        loop {
            let stack = admin.stack("lab", "shop", true).await.unwrap();
            let why = stack.status.services.first().and_then(|s| s.reason.clone());
            if let Some(why) = why.filter(|w| !w.contains("not heard of")) {
                break why;
            }
        }
    };
    let why = tokio::time::timeout(Duration::from_secs(20), why).await.unwrap();
    assert!(why.contains("no Nova server"), "{why}");
    yard.ground.running.stop().await;
}
