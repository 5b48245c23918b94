//! Yards on a cloud where things go wrong: every request fails once in turn, in every way; runs
//! are broken off at random moments. The next run must converge, and nothing may be left behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::{StreamExt, stream};
use serde_json::json;
use stackyard_core::yard::intend::{Intended, intend};
use stackyard_core::yard::manifest::Manifest;
use stackyard_fake::{Fake, Fault, Seen};
use stackyard_openstack::{Cloud, CloudConfig, CloudEntry, Options, RetryPolicy};
use stackyard_server::{Error, Session};
use std::collections::BTreeSet;
use std::time::Duration;

fn yard(servers: u32, port: u16) -> Intended {
    let manifest = json!({
        "apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"},
        "spec": {
            "networks": [{"name": "front", "cidr": "10.20.0.0/24", "router": {"external": "public"}}],
            "securityGroups": [{"name": "web", "rules": [{"proto": "tcp", "port": port}, {"proto": "tcp", "port": 22, "from": "web"}]}],
            "keypairs": [{"name": "me", "publicKey": "ssh-ed25519 AAAA me"}],
            "serverGroups": [{"name": "apart"}],
            "volumes": [{"name": "data", "size": 1}],
            "servers": [
                {"name": "db", "flavor": "m1.nano", "image": "tiny", "key": "me", "volumes": ["data"], "group": "apart",
                 "networks": [{"network": "front", "address": "10.20.0.10"}]},
                {"name": "web", "count": servers, "flavor": "m1.nano", "image": "tiny", "securityGroups": ["web"], "bootVolume": {"size": 2}},
            ],
            "floatingIPs": [{"server": "web-1"}],
        },
    });
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    intend(&manifest).unwrap()
}

/// Connects with the patience of a client that expects answers.
async fn connect(fake: &Fake) -> Cloud {
    connect_for(fake, Duration::from_secs(30)).await
}

async fn connect_for(fake: &Fake, patience: Duration) -> Cloud {
    let entry = CloudEntry {
        auth_url: fake.auth_url(),
        username: "u".into(),
        password: "p".into(),
        project_name: "p".into(),
        domain_name: "Default".into(),
        region_name: "R".into(),
        cacert: None,
    };
    let mut config = CloudConfig::from_entry("fake", &entry);
    config.timeout = Some(patience);
    let retry = RetryPolicy { first_wait: Duration::from_millis(20), ..RetryPolicy::default() };
    Cloud::connect(config, Options { retry, ..Options::default() }).await.unwrap()
}

async fn up(cloud: &Cloud, yard: &Intended) -> Result<bool, Error> {
    let session = Session::begin(cloud, yard).await?;
    let found = session.preflight().await?;
    assert!(found.blockers.is_empty(), "{:?}", found.blockers);
    session.apply(&found.choices, &()).await?;
    Ok(!session.plan.is_noop())
}

async fn down(cloud: &Cloud) -> Result<(), Error> {
    Session::remove(cloud, "shop", &()).await
}

/// Brings the yard up and down without faults; says what is wrong.
async fn converges(fake: &Fake, yard: &Intended) -> Result<(), String> {
    fake.fail(|_, _| None);
    let cloud = connect(fake).await;
    up(&cloud, yard).await.map_err(|e| format!("up: {e}"))?;
    let again = Session::begin(&cloud, yard).await.map_err(|e| e.to_string())?;
    if !again.plan.is_noop() {
        return Err(format!("a second up has something to do:\n{}", again.plan));
    }
    vanishes(fake).await
}

async fn vanishes(fake: &Fake) -> Result<(), String> {
    fake.fail(|_, _| None);
    let cloud = connect(fake).await;
    down(&cloud).await.map_err(|e| format!("down: {e}"))?;
    let left = fake.world().left();
    if !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    let swept = Session::sweep(&cloud, &BTreeSet::new()).await.map_err(|e| e.to_string())?;
    if swept.orphans.is_empty() { Ok(()) } else { Err(format!("a sweep finds {:?}", swept.orphans)) }
}

const DELAY: Duration = Duration::from_millis(3);

#[tokio::test]
async fn up_again_down() {
    let fake = Fake::start(DELAY).await.unwrap();
    let yard = yard(2, 80);
    let cloud = connect(&fake).await;
    assert!(up(&cloud, &yard).await.unwrap());
    assert_eq!(fake.world().count("servers"), 3);
    fake.fail(|_, _| None);
    assert!(!up(&cloud, &yard).await.unwrap());
    let seen = fake.seen();
    assert!(seen.iter().all(|s| s.method == "GET"), "{seen:?}");
    assert!(seen.len() < 15, "{seen:?}");
    vanishes(&fake).await.unwrap();
}

#[tokio::test]
async fn requests_of_a_quiet_up_do_not_grow_with_the_yard() {
    let mut counts = Vec::new();
    for servers in [2, 40] {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        let yard = yard(servers, 80);
        let cloud = connect(&fake).await;
        fake.fail(|_, _| None);
        up(&cloud, &yard).await.unwrap();
        let mutating = fake.seen().iter().filter(|s| s.method != "GET").count();
        assert!(mutating < 25 + 4 * servers as usize, "{mutating} mutating requests for {servers} servers");
        fake.fail(|_, _| None);
        assert!(!up(&cloud, &yard).await.unwrap());
        counts.push(fake.seen().len());
    }
    assert_eq!(counts[0], counts[1]);
}

/// Runs `one` for every number below `count`, some at a time; gathers what is wrong.
async fn each<F: Future<Output = Result<(), String>>>(count: usize, one: impl Fn(usize) -> F) {
    let wrong: Vec<String> = stream::iter(0..count)
        .map(|i| {
            let run = one(i);
            async move {
                tokio::time::timeout(Duration::from_secs(120), run)
                    .await
                    .unwrap_or(Err("it hangs".into()))
                    .err()
                    .map(|e| format!("run {i}: {e}"))
            }
        })
        .buffer_unordered(16)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} of {count} runs went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Only a silent service must be given up soon: a busy machine is slow.
fn patience(fault: Fault) -> Duration {
    if fault == Fault::Silent { Duration::from_secs(4) } else { Duration::from_secs(30) }
}

/// Every request of an up, a change and a down fails once in turn.
async fn every_request_fails(fault: Fault) {
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    fake.fail(|_, _| None);
    up(&cloud, &yard(1, 80)).await.unwrap();
    let ups = fake.seen().len();
    fake.fail(|_, _| None);
    down(&cloud).await.unwrap();
    let downs = fake.seen().len();

    each(ups, |n| async move {
        let fake = Fake::start(DELAY).await.unwrap();
        fake.fail(move |i, _: &Seen| (i == n).then_some(fault));
        // It may fail for what does not pass by itself; the next one may not.
        let first = up(&connect_for(&fake, patience(fault)).await, &yard(1, 80)).await;
        // How often is looked at what is becoming differs from run to run.
        if fake.seen().len() <= n && n < ups * 3 / 4 {
            return Err("the fault was not met".into());
        }
        if first.is_ok() && fault != Fault::Status(409) {
            let (cloud, yard) = (connect(&fake).await, yard(1, 80));
            let again = Session::begin(&cloud, &yard).await.map_err(|e| e.to_string())?;
            if !again.plan.is_noop() {
                return Err(format!("it says that it is done, but\n{}", again.plan));
            }
        }
        converges(&fake, &yard(1, 81)).await
    })
    .await;
    each(downs, |n| async move {
        let fake = Fake::start(DELAY).await.unwrap();
        up(&connect(&fake).await, &yard(1, 80)).await.map_err(|e| e.to_string())?;
        fake.fail(move |i, _: &Seen| (i == n).then_some(fault));
        let first = down(&connect_for(&fake, patience(fault)).await).await;
        let left = fake.world().left();
        if first.is_ok() && !left.is_empty() {
            return Err(format!("it says that it is done, but left {left:?}"));
        }
        vanishes(&fake).await
    })
    .await;
}

#[tokio::test]
async fn every_request_meets_500() {
    every_request_fails(Fault::Status(500)).await;
}

#[tokio::test]
async fn every_request_meets_503_with_retry_after() {
    every_request_fails(Fault::Unavailable).await;
}

#[tokio::test]
async fn every_request_meets_409() {
    every_request_fails(Fault::Status(409)).await;
}

#[tokio::test]
async fn every_request_meets_429() {
    every_request_fails(Fault::Status(429)).await;
}

#[tokio::test]
async fn every_connection_is_dropped() {
    every_request_fails(Fault::Dropped).await;
}

#[tokio::test]
async fn every_answer_is_lost() {
    every_request_fails(Fault::AnswerLost).await;
}

#[tokio::test]
async fn every_request_is_done_but_answered_500() {
    every_request_fails(Fault::DoneButFailed).await;
}

#[tokio::test]
async fn every_request_is_done_and_times_out() {
    every_request_fails(Fault::Silent).await;
}

/// A run that is broken off leaves its requests on their way, as SIGKILL does.
#[tokio::test]
async fn broken_off_at_a_hundred_moments() {
    each(100, |n| async move {
        // Multiplicative hashing: spread, and the same in every run.
        let moment =
            |salt: usize, most: u64| Duration::from_millis(((n + salt) as u64).wrapping_mul(2_654_435_761) % most);
        let fake = Fake::start(DELAY).await.unwrap();
        let broken_off = |salt| {
            let fake = fake.clone();
            async move {
                let cloud = connect(&fake).await;
                let limit = moment(salt, 700);
                let _ = tokio::time::timeout(limit, up(&cloud, &yard(2, 80))).await;
            }
        };
        broken_off(1).await;
        broken_off(7).await;
        if n % 2 == 0 {
            let cloud = connect(&fake).await;
            let _ = tokio::time::timeout(moment(3, 400), down(&cloud)).await;
        }
        converges(&fake, &yard(2, 80)).await
    })
    .await;
}
