//! Pools of hosts on a cloud that is not there, with a server that hosts join as soon as they have
//! booted: counts of requests, draining, turns, and runs that are broken off.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use base64::Engine as _;
use common::connect;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use stackyard_core::agent::AgentConfig;
use stackyard_core::yard::intend::{Intended, intend};
use stackyard_core::yard::plan::Action;
use stackyard_core::yard::{Key, Kind, Scope};
use stackyard_fake::{Booted, Fake};
use stackyard_openstack::Cloud;
use stackyard_yard::{
    DataLoss, Error, HostService, JoinCredentials, Member, NewHost, SshTarget, YardSnapshot,
    remove_yard,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

fn yard(pool: Value) -> Intended {
    let mut hosts = json!({"pool": "web", "count": 3, "flavor": "m1.host", "image": "host-a", "dataVolume": {"size": 4}});
    hosts
        .as_object_mut()
        .unwrap()
        .extend(pool.as_object().unwrap().clone());
    let manifest = json!({
        "apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"},
        "spec": {
            "networks": [{"name": "front", "cidr": "10.20.0.0/16", "router": {"external": "public"}}],
            "hosts": [hosts],
        },
    });
    intend(&serde_json::from_value(manifest).unwrap()).unwrap()
}

/// A server that believes every host whose user data has a token that it made.
struct Joins {
    fake: Fake,
    minted: Mutex<BTreeSet<String>>,
    /// Containers by name of the host.
    containers: Mutex<BTreeMap<String, usize>>,
    did: Mutex<Vec<String>>,
    /// Ids of hosts that were set apart.
    leaving: Mutex<BTreeSet<String>>,
    /// Ids of hosts that somebody wants made anew.
    marked: Mutex<BTreeSet<String>>,
    /// Containers stay where they are: draining takes for ever.
    stuck: AtomicBool,
    /// Project and region of the yard that it knows.
    scope: Mutex<Option<Scope>>,
}

impl Joins {
    fn new(fake: &Fake) -> Self {
        let (minted, containers, did) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (leaving, marked, stuck) = (Mutex::default(), Mutex::default(), AtomicBool::default());
        let scope = Mutex::default();
        Self {
            fake: fake.clone(),
            minted,
            containers,
            did,
            leaving,
            marked,
            stuck,
            scope,
        }
    }

    /// Somebody wants hosts made anew.
    fn mark(&self, names: &[&str]) {
        let members = self
            .fake
            .world()
            .booted()
            .into_iter()
            .filter_map(|s| self.member(&s));
        let ids: Vec<String> = members
            .filter(|m| names.contains(&m.name.as_str()))
            .map(|m| m.id)
            .collect();
        self.marked.lock().unwrap().extend(ids);
    }

    fn note(&self, what: String) {
        self.did.lock().unwrap().push(what);
    }

    fn member(&self, server: &Booted) -> Option<Member> {
        let token = config(&server.user_data)?.token?;
        let joined = self.minted.lock().unwrap().contains(&token);
        let containers = self
            .containers
            .lock()
            .unwrap()
            .get(&server.name)
            .copied()
            .unwrap_or(0);
        joined.then(|| Member {
            replace: self
                .marked
                .lock()
                .unwrap()
                .contains(&token)
                .then(|| "token ann at noon".to_owned()),
            leaving: self.leaving.lock().unwrap().contains(&token),
            id: token,
            name: server.name.clone(),
            pool: "web".into(),
            server_id: Some(server.id.clone()),
            connected: true,
            joined: SystemTime::now(),
            last_seen: Some(SystemTime::now()),
            docker: "20.10".into(),
            containers,
        })
    }
}

/// The agent's configuration in user data.
fn config(user_data: &str) -> Option<AgentConfig> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let text = String::from_utf8(base64.decode(user_data).ok()?).ok()?;
    let lines = text
        .lines()
        .skip_while(|l| !l.contains("agent.json.new <<"))
        .skip(1);
    let block: String = lines.take_while(|l| *l != "STACKYARD").collect();
    serde_json::from_slice(&base64.decode(block).ok()?).ok()
}

impl HostService for Joins {
    fn scope<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Scope>, String>> {
        async move { Ok(self.scope.lock().unwrap().clone()) }.boxed()
    }

    fn hosts<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Member>, String>> {
        let booted = self.fake.world().booted();
        async move { Ok(booted.iter().filter_map(|s| self.member(s)).collect()) }.boxed()
    }

    fn mint<'a>(&'a self, host: NewHost<'a>) -> BoxFuture<'a, Result<JoinCredentials, String>> {
        // As the server does: what is forgotten cannot be replaced.
        if let Some(old) = host
            .replaces
            .filter(|old| self.did.lock().unwrap().contains(&format!("forget {old}")))
        {
            return async move { Err(format!("there is no host {old}")) }.boxed();
        }
        let token = format!("{}-{}", host.name, self.minted.lock().unwrap().len());
        self.minted.lock().unwrap().insert(token.clone());
        async move {
            Ok(JoinCredentials {
                server: vec!["https://192.0.2.1:7440".into()],
                ca: "ca".into(),
                token,
            })
        }
        .boxed()
    }

    fn drain<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.note(format!("drain {id}"));
        self.leaving.lock().unwrap().insert(id.to_owned());
        if !self.stuck.load(Ordering::Relaxed) {
            self.containers.lock().unwrap().clear();
        }
        async { Ok(()) }.boxed()
    }

    fn take_back<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.note(format!("take back {id}"));
        self.leaving.lock().unwrap().remove(id);
        async { Ok(()) }.boxed()
    }

    fn forget<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.note(format!("forget {id}"));
        async { Ok(()) }.boxed()
    }

    fn known_ssh_key<'a>(
        &'a self,
        yard: &'a str,
        pool: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, String>> {
        async { self.ssh_key(yard, pool).await.map(Some) }.boxed()
    }

    fn ssh_key<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, String>> {
        async { Ok("ssh-ed25519 AAAA pool".to_owned()) }.boxed()
    }

    fn ssh_join<'a>(
        &'a self,
        target: SshTarget<'a>,
        _: &'a (dyn Fn(String) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), String>> {
        let name = target.host.name.to_owned();
        async move { Err(format!("{name} has no SSH here")) }.boxed()
    }
}

async fn up(cloud: &Cloud, yard: &Intended, joins: &Joins) -> Result<bool, Error> {
    let session = YardSnapshot::take_with(cloud, yard, Some(joins)).await?;
    let found = session.preflight().await?;
    assert!(found.blockers.is_empty(), "{:?}", found.blockers);
    session
        .apply(&found.choices, &DataLoss::Allowed, &())
        .await?;
    Ok(!session.plan.is_noop())
}

async fn vanishes(fake: &Fake) -> Result<(), String> {
    remove_yard(&connect(fake).await, "shop", None, &DataLoss::Allowed, &())
        .await
        .map_err(|e| format!("down: {e}"))?;
    let left = fake.world().left();
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("left behind: {left:?}"))
    }
}

#[tokio::test]
async fn a_hundred_hosts() {
    let fake = Fake::start(Duration::from_millis(3)).await.unwrap();
    let boot = Duration::from_secs(3);
    fake.world().boots_in(boot);
    let (cloud, joins, yard) = (
        connect(&fake).await,
        Joins::new(&fake),
        yard(json!({"count": 100})),
    );
    fake.fail(|_, _| None);
    let begun = Instant::now();
    up(&cloud, &yard, &joins).await.unwrap();
    let took = begun.elapsed();
    let mutating = fake.seen().iter().filter(|s| s.method != "GET").count();
    println!(
        "100 hosts: {mutating} mutating of {} requests, {took:?} with boots of {boot:?}",
        fake.seen().len()
    );
    // Network, subnet, router, its foot.
    assert!(mutating <= 4 + 4 * 100, "{mutating} mutating requests");
    assert!(took < boot + Duration::from_secs(10), "{took:?}");
    fake.fail(|_, _| None);
    assert!(!up(&cloud, &yard, &joins).await.unwrap());
    let seen = fake.seen();
    assert!(
        seen.len() <= 15 && seen.iter().all(|s| s.method == "GET"),
        "{seen:?}"
    );
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn a_host_gets_its_volume_and_keeps_it() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, joins) = (connect(&fake).await, Joins::new(&fake));
    up(&cloud, &yard(json!({"count": 1})), &joins)
        .await
        .unwrap();
    let before = config(&fake.world().booted()[0].user_data).unwrap();
    let volume = before.data_volume.unwrap();
    assert_eq!(volume.mount, "/var/lib/docker");
    up(
        &cloud,
        &yard(json!({"count": 1, "image": "host-b"})),
        &joins,
    )
    .await
    .unwrap();
    let after = config(&fake.world().booted()[0].user_data).unwrap();
    assert_ne!(before.token, after.token);
    assert_eq!(after.data_volume.unwrap().id, volume.id);
    assert_eq!(fake.world().count("volumes"), 1);
}

#[tokio::test]
async fn fewer_hosts_are_drained_first_and_forgotten() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, joins) = (connect(&fake).await, Joins::new(&fake));
    up(&cloud, &yard(json!({})), &joins).await.unwrap();
    joins.containers.lock().unwrap().insert("web-3".into(), 2);
    up(&cloud, &yard(json!({"count": 2})), &joins)
        .await
        .unwrap();
    let did = joins.did.lock().unwrap().clone();
    assert_eq!(
        did.iter().filter(|d| d.contains("web-3")).count(),
        did.len(),
        "{did:?}"
    );
    assert!(
        did[0].starts_with("drain web-3") && did.len() == 2 && did[1].starts_with("forget web-3"),
        "{did:?}"
    );
    let world = fake.world();
    assert_eq!((world.count("servers"), world.count("volumes")), (2, 2));
}

#[tokio::test]
async fn a_host_that_a_killed_run_drained_is_taken_back_if_it_stays() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, joins) = (connect(&fake).await, Joins::new(&fake));
    let (three, two) = (yard(json!({})), yard(json!({"count": 2})));
    up(&cloud, &three, &joins).await.unwrap();
    joins.containers.lock().unwrap().insert("web-3".into(), 2);
    joins.stuck.store(true, Ordering::Relaxed);
    // Killed while it drains.
    tokio::select! {
        ended = up(&cloud, &two, &joins) => panic!("nothing was drained: {ended:?}"),
        () = async { while joins.leaving.lock().unwrap().is_empty() { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(fake.world().count("servers"), 3);
    // Two are wanted still: the next run goes on where this one was.
    let session = YardSnapshot::take_with(&cloud, &two, Some(&joins))
        .await
        .unwrap();
    assert_eq!(session.plan.summary().change, 0, "{}", session.plan);
    // Three again: the plan says so, and the cloud hears nothing of it.
    fake.fail(|_, _| None);
    let session = YardSnapshot::take_with(&cloud, &three, Some(&joins))
        .await
        .unwrap();
    let text = session.plan.to_string();
    assert!(
        text.starts_with("~ change   server web-3: it was drained, and stays\n1 to change"),
        "{text}"
    );
    assert!(up(&cloud, &three, &joins).await.unwrap());
    assert!(
        fake.seen().iter().all(|s| s.method == "GET"),
        "{:?}",
        fake.seen()
    );
    assert!(
        joins
            .did
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .starts_with("take back web-3")
    );
    assert!(!up(&cloud, &three, &joins).await.unwrap());
    assert_eq!(
        joins
            .did
            .lock()
            .unwrap()
            .iter()
            .filter(|d| d.starts_with("take back"))
            .count(),
        1
    );
}

#[tokio::test]
async fn hosts_are_replaced_one_after_the_other() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, joins) = (connect(&fake).await, Joins::new(&fake));
    up(&cloud, &yard(json!({})), &joins).await.unwrap();
    fake.fail(|_, _| None);
    up(&cloud, &yard(json!({"image": "host-b"})), &joins)
        .await
        .unwrap();
    let servers: Vec<String> = (fake.seen().into_iter())
        .filter(|s| s.method != "GET" && s.path.contains("/servers") && !s.path.contains("action"))
        .map(|s| s.method)
        .collect();
    assert_eq!(
        servers,
        ["DELETE", "POST", "DELETE", "POST", "DELETE", "POST"]
    );
}

#[tokio::test]
async fn a_host_that_does_not_join_is_replaced_by_the_next_run() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, joins) = (connect(&fake).await, Joins::new(&fake));
    let mut yard = yard(json!({"count": 1}));
    yard.pools[0].join_timeout = 0;
    let error = up(&cloud, &yard, &joins).await.unwrap_err().to_string();
    assert!(
        error.contains("server web-1: it has not joined") && error.contains("end of its console"),
        "{error}"
    );
    // It has joined meanwhile, and is good.
    assert!(
        YardSnapshot::take_with(&cloud, &yard, Some(&joins))
            .await
            .unwrap()
            .plan
            .is_noop()
    );
    // It never will.
    joins.minted.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let session = YardSnapshot::take_with(&cloud, &yard, Some(&joins))
        .await
        .unwrap();
    let step = |s: &&stackyard_core::yard::plan::Step| s.key == Key::new(Kind::Server, "web-1");
    let last = session.plan.steps.iter().rfind(step).unwrap();
    assert_eq!(
        (last.action, last.reasons.join("")),
        (
            Action::Recreate,
            "it has not joined within 0 minutes".into()
        )
    );
}

/// Ids of servers by name.
fn servers(fake: &Fake) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    fake.world()
        .booted()
        .into_iter()
        .for_each(|s| all.entry(s.name).or_default().push(s.id));
    all
}

#[tokio::test]
async fn marked_hosts_are_replaced_in_turns_and_drained_first() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, joins, yard) = (connect(&fake).await, Joins::new(&fake), yard(json!({})));
    up(&cloud, &yard, &joins).await.unwrap();
    let before = servers(&fake);
    joins.containers.lock().unwrap().insert("web-2".into(), 2);
    joins.mark(&["web-2", "web-3"]);
    let session = YardSnapshot::take_with(&cloud, &yard, Some(&joins))
        .await
        .unwrap();
    let text = session.plan.to_string();
    let line = "! replace  server web-2: asked for by token ann at noon\n! replace  server web-3: asked for by token ann";
    assert!(
        text.contains(line) && text.contains("4 to replace, 12 unchanged"),
        "{text}"
    );
    // Taken back, there is nothing to do.
    let marked = std::mem::take(&mut *joins.marked.lock().unwrap());
    assert!(!up(&cloud, &yard, &joins).await.unwrap());
    *joins.marked.lock().unwrap() = marked;
    fake.fail(|_, _| None);
    assert!(up(&cloud, &yard, &joins).await.unwrap());
    let made: Vec<String> = (fake.seen().into_iter())
        .filter(|s| s.method != "GET" && s.path.contains("/servers") && !s.path.contains("action"))
        .map(|s| s.method)
        .collect();
    assert_eq!(made, ["DELETE", "POST", "DELETE", "POST"]);
    let did = joins.did.lock().unwrap().clone();
    assert!(
        did[0].starts_with("drain web-2") && did[1].starts_with("forget web-2"),
        "{did:?}"
    );
    let after = servers(&fake);
    let same: Vec<bool> = ["web-1", "web-2", "web-3"]
        .iter()
        .map(|name| before[*name] == after[*name])
        .collect();
    assert_eq!(
        (same, fake.world().count("servers")),
        (vec![true, false, false], 3)
    );
    // Who came in their place has no mark, and the volumes are those of before.
    assert!(!up(&cloud, &yard, &joins).await.unwrap());
    assert_eq!(fake.world().count("volumes"), 3);
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn a_mark_that_is_taken_back_after_its_run_was_killed_takes_the_host_back() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, joins, yard) = (connect(&fake).await, Joins::new(&fake), yard(json!({})));
    up(&cloud, &yard, &joins).await.unwrap();
    joins.containers.lock().unwrap().insert("web-3".into(), 2);
    joins.mark(&["web-3"]);
    joins.stuck.store(true, Ordering::Relaxed);
    tokio::select! {
        ended = up(&cloud, &yard, &joins) => panic!("nothing was drained: {ended:?}"),
        () = async { while joins.leaving.lock().unwrap().is_empty() { tokio::task::yield_now().await } } => {}
    }
    let plan = async || {
        YardSnapshot::take_with(&cloud, &yard, Some(&joins))
            .await
            .unwrap()
            .plan
            .to_string()
    };
    assert!(
        plan()
            .await
            .starts_with("! replace  server web-3: asked for by"),
        "{}",
        plan().await
    );
    joins.marked.lock().unwrap().clear();
    assert!(
        plan()
            .await
            .starts_with("~ change   server web-3: it was drained, and stays"),
        "{}",
        plan().await
    );
}

#[tokio::test]
async fn a_replacement_is_broken_off_at_thirty_moments() {
    let wrong: Vec<String> = stream::iter(0..30u64)
        .map(|n| async move {
            let fake = Fake::start(Duration::from_millis(3)).await.unwrap();
            let (joins, yard) = (Joins::new(&fake), yard(json!({})));
            let cloud = connect(&fake).await;
            up(&cloud, &yard, &joins)
                .await
                .map_err(|e| format!("the first up: {e}"))?;
            let before = servers(&fake);
            joins.containers.lock().unwrap().insert("web-2".into(), 1);
            joins.mark(&["web-2"]);
            // Draining takes two seconds here, all else little.
            let moment = Duration::from_millis(if n % 2 == 0 { n * 80 } else { 2_000 + n * 12 });
            let cloud = connect(&fake).await;
            let _ = tokio::time::timeout(moment, up(&cloud, &yard, &joins)).await;
            let cloud = connect(&fake).await;
            let last = async {
                up(&cloud, &yard, &joins)
                    .await
                    .map_err(|e| format!("up: {e}"))?;
                let again = YardSnapshot::take_with(&cloud, &yard, Some(&joins))
                    .await
                    .map_err(|e| e.to_string())?;
                if !again.plan.is_noop() {
                    return Err(format!("a second up has something to do:\n{}", again.plan));
                }
                let after = servers(&fake);
                let same = |name: &str| before[name] == after[name];
                if fake.world().count("servers") != 3
                    || !same("web-1")
                    || !same("web-3")
                    || same("web-2")
                {
                    return Err(format!("{before:?} became {after:?}"));
                }
                vanishes(&fake).await
            };
            tokio::time::timeout(Duration::from_secs(120), last)
                .await
                .unwrap_or(Err("it hangs".into()))
        })
        .buffer_unordered(10)
        .filter_map(async |ended: Result<(), String>| ended.err())
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} runs went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn commands_are_fetched_fresh_and_their_end_is_kept() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let cloud = connect(&fake).await;
    let pool = |script: &str| {
        let program = ["sh", "-c", script];
        yard(json!({"count": 2, "join": {"command": {"program": program, "suffix": "--worker"}}}))
    };
    let up = async |yard: &Intended| {
        let session = YardSnapshot::take(&cloud, yard).await?;
        let found = session.preflight().await?;
        session
            .apply(&found.choices, &DataLoss::Allowed, &())
            .await
            .map(|()| session.plan.is_noop())
    };
    // What cannot be fetched stops the rest before there is a server.
    let error = up(&pool("echo out of tokens >&2; exit 1"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("out of tokens"), "{error}");
    assert_eq!(fake.world().count("servers"), 0);
    fake.fail(|_, _| None);
    // The program is part of what the manifest says of a host; that the token is another one is not.
    let good = pool("echo join $STACKYARD_HOST with $(date +%N)");
    assert!(!up(&good).await.unwrap());
    assert!(up(&good).await.unwrap());
    for server in fake.world().booted() {
        let text = base64::engine::general_purpose::STANDARD
            .decode(&server.user_data)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        let block: String = text
            .lines()
            .skip_while(|l| !l.contains("command <<"))
            .skip(1)
            .take_while(|l| *l != "STACKYARD")
            .collect();
        let command = String::from_utf8(
            base64::engine::general_purpose::STANDARD
                .decode(block)
                .unwrap(),
        )
        .unwrap();
        assert!(
            command.starts_with(&format!("join {} with ", server.name)),
            "{command}"
        );
        assert!(command.ends_with(" --worker\n"), "{command}");
    }
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn without_a_server_no_host_is_made() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let (cloud, yard) = (connect(&fake).await, yard(json!({})));
    let session = YardSnapshot::take(&cloud, &yard).await.unwrap();
    let found = session.preflight().await.unwrap();
    assert!(
        found
            .blockers
            .iter()
            .any(|b| b.contains("stackyard server")),
        "{:?}",
        found.blockers
    );
}

/// A run that is broken off leaves its requests on their way, as SIGKILL does.
#[tokio::test]
async fn broken_off_at_fifty_moments() {
    let wrong: Vec<String> = stream::iter(0..50u64)
        .map(|n| async move {
            let moment =
                |salt: u64| Duration::from_millis((n + salt).wrapping_mul(2_654_435_761) % 900);
            let fake = Fake::start(Duration::from_millis(3)).await.unwrap();
            let joins = Joins::new(&fake);
            for (salt, pool) in [
                (1, json!({})),
                (7, json!({"image": "host-b", "maxUnavailable": 2})),
                (3, json!({"count": 1})),
            ] {
                let cloud = connect(&fake).await;
                let _ = tokio::time::timeout(moment(salt), up(&cloud, &yard(pool), &joins)).await;
            }
            let (cloud, last) = (
                connect(&fake).await,
                yard(json!({"count": 2, "image": "host-b"})),
            );
            let run = async {
                up(&cloud, &last, &joins)
                    .await
                    .map_err(|e| format!("up: {e}"))?;
                let again = YardSnapshot::take_with(&cloud, &last, Some(&joins))
                    .await
                    .map_err(|e| e.to_string())?;
                if !again.plan.is_noop() {
                    return Err(format!("a second up has something to do:\n{}", again.plan));
                }
                vanishes(&fake).await
            };
            let ended = tokio::time::timeout(Duration::from_secs(120), run)
                .await
                .unwrap_or(Err("it hangs".into()));
            ended.err().map(|e| format!("run {n}: {e}"))
        })
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} runs went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
