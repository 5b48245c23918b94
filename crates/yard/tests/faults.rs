//! Yards on a cloud where things go wrong: every request fails once in turn, in every way. The next
//! run must converge, and nothing may be left behind. Runs that are killed are the matter of
//! `crates/stackyard/tests/killed.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{DELAY, connect, connect_for, converges, down, each, shop, up, vanishes};
use serde_json::json;
use stackyard_core::yard::intend::Intended;
use stackyard_fake::{Fake, Fault, Seen, Twin};
use stackyard_openstack::{NewSecurityGroup, Port, SecurityGroup};
use stackyard_yard::YardSnapshot;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn yard(servers: u32, port: u16) -> Intended {
    shop(json!({
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
    }))
}

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

/// Nova lists a removed one as `DELETED` while it tidies up after it.
#[tokio::test]
async fn after_fewer_servers_nothing_is_to_do() {
    let yard = |count: u32| {
        shop(json!({
            "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
            "servers": [{"name": "web", "count": count, "flavor": "m1.nano", "image": "tiny"}],
        }))
    };
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    assert!(up(&cloud, &yard(2)).await.unwrap());
    fake.world().take_time(Duration::from_millis(400));
    assert!(up(&cloud, &yard(1)).await.unwrap());
    assert!(!up(&cloud, &yard(1)).await.unwrap());
}

/// The ports of a server and of a killed run's that came late are the same.
#[tokio::test]
async fn a_killed_run_s_server_that_comes_late_stays_if_it_has_the_ports() {
    for keeps_ports in [true, false] {
        let fake = Fake::start(DELAY).await.unwrap();
        fake.world().make_twin(Twin {
            name: "web-2".to_owned(),
            keeps_ports,
        });
        assert!(up(&connect(&fake).await, &yard(2, 80)).await.unwrap());
        assert_eq!(fake.world().count("servers"), 3, "one of the two went");
        let made = fake
            .seen()
            .iter()
            .filter(|s| s.method == "POST" && s.path.ends_with("/servers"))
            .count();
        assert_eq!(made, if keeps_ports { 3 } else { 4 });
        converges(&fake, &yard(2, 80)).await.unwrap();
    }
}

/// A killed run's group that comes late is a double, as its rules are.
#[tokio::test]
async fn the_rules_of_the_group_that_stays_stay() {
    let fake = Fake::start(DELAY).await.unwrap();
    let (cloud, yard) = (connect(&fake).await, yard(2, 80));
    assert!(up(&cloud, &yard).await.unwrap());
    let groups = async || {
        let all = cloud.list::<SecurityGroup>(&[]).await.unwrap();
        let marked = all.into_iter().filter(|g| !g.description.is_empty());
        marked.collect::<Vec<_>>()
    };
    let [idle] = groups().await.try_into().unwrap();
    let new = NewSecurityGroup {
        name: idle.name.clone(),
        description: idle.description.clone(),
    };
    let used = cloud.create::<SecurityGroup>(&new).await.unwrap();
    let ids = |group: &SecurityGroup| -> BTreeSet<String> {
        group.rules.iter().map(|r| r.id.clone()).collect()
    };
    assert!(!used.rules.is_empty());
    for port in cloud.list::<Port>(&[]).await.unwrap() {
        if port.security_groups.contains(&idle.id) {
            let body = json!({"security_groups": [used.id]});
            cloud.update::<Port>(&port.id, &body).await.unwrap();
        }
    }
    assert!(up(&cloud, &yard).await.unwrap());
    let [left] = groups().await.try_into().unwrap();
    assert_eq!(left.id, used.id, "the idle one went");
    assert!(ids(&left).is_superset(&ids(&used)), "{left:?}");
    converges(&fake, &yard).await.unwrap();
}

/// Only a silent service must be given up soon: a busy machine is slow.
fn patience(fault: Fault) -> Duration {
    if fault == Fault::Silent {
        Duration::from_secs(4)
    } else {
        Duration::from_secs(30)
    }
}

/// A load balancer, a container of objects and what they need; `changed` differs in all that can be
/// changed.
fn balanced(changed: bool) -> Intended {
    let listeners = if changed {
        json!([{"port": 80, "to": 8080, "servers": ["b"], "healthMonitor": {"delay": 7}},
               {"port": 53, "proto": "udp", "servers": ["a"]}])
    } else {
        json!([{"port": 80, "servers": ["a"], "healthMonitor": {}}])
    };
    let metadata = if changed {
        json!({"tier": "two"})
    } else {
        json!({"owner": "me"})
    };
    let server = |name| json!({"name": name, "flavor": "m1.nano", "image": "tiny"});
    shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24", "router": {"external": "public"}}],
        "servers": [server("a"), server("b")],
        "loadBalancers": [{"name": "all", "listeners": listeners}],
        "objectContainers": [{"name": "files", "public": !changed, "metadata": metadata}],
        "floatingIPs": [{"loadBalancer": "all"}],
    }))
}

/// Two states of a yard, and which requests fail while it comes up, is changed (`true`) and goes.
#[derive(Clone, Copy)]
struct Case {
    yard: fn(bool) -> Intended,
    fails: fn(&Seen, bool) -> bool,
}

/// Every request of an up and a down; of a change all that change something, since it looks at the
/// cloud by the same requests as an up.
const SERVERS: Case = Case {
    yard: |changed| if changed { yard(2, 81) } else { yard(1, 80) },
    fails: |seen, changing| !changing || seen.method != "GET",
};
/// Every request to Octavia and Swift; the others are met above.
const BALANCED: Case = Case {
    yard: balanced,
    fails: |seen, _| seen.path.starts_with("/load-balancer") || seen.path.starts_with("/object"),
};

impl Case {
    /// Makes the `n`th of these requests fail from now on.
    fn fail(self, fake: &Fake, n: usize, fault: Fault, changing: bool) {
        let met = AtomicUsize::new(0);
        let fails = move |seen: &Seen| {
            (self.fails)(seen, changing) && met.fetch_add(1, Ordering::Relaxed) == n
        };
        fake.fail(move |_, seen| fails(seen).then_some(fault));
    }

    fn count(self, fake: &Fake, changing: bool) -> usize {
        fake.seen()
            .iter()
            .filter(|s| (self.fails)(s, changing))
            .count()
    }
}

/// Every request of an up, a change and a down fails once in turn.
async fn every_request_fails(fault: Fault) {
    for case in [SERVERS, BALANCED] {
        every_request_of(case, fault).await;
    }
}

async fn every_request_of(case: Case, fault: Fault) {
    let fake = Fake::start(DELAY).await.unwrap();
    let cloud = connect(&fake).await;
    let mut counts = Vec::new();
    for changed in [false, true] {
        fake.fail(|_, _| None);
        up(&cloud, &(case.yard)(changed)).await.unwrap();
        counts.push(case.count(&fake, changed));
    }
    fake.fail(|_, _| None);
    down(&cloud).await.unwrap();
    let (ups, changes, downs) = (counts[0], counts[1], case.count(&fake, false));

    let run = |changed: bool, count: usize| {
        each(count, move |n| async move {
            let fake = Fake::start(DELAY).await.unwrap();
            if changed {
                up(&connect(&fake).await, &(case.yard)(false))
                    .await
                    .map_err(|e| e.to_string())?;
            }
            let yard = (case.yard)(changed);
            case.fail(&fake, n, fault, changed);
            // It may fail for what does not pass by itself; the next one may not.
            let first = up(&connect_for(&fake, patience(fault)).await, &yard).await;
            // How often is looked at what is becoming differs from run to run.
            if case.count(&fake, changed) <= n && n < count * 3 / 4 {
                return Err("the fault was not met".into());
            }
            if first.is_ok() && fault != Fault::Status(409) {
                let cloud = connect(&fake).await;
                let again = YardSnapshot::take(&cloud, &yard)
                    .await
                    .map_err(|e| e.to_string())?;
                if !again.plan.is_noop() {
                    return Err(format!("it says that it is done, but\n{}", again.plan));
                }
            }
            converges(&fake, &(case.yard)(!changed)).await
        })
    };
    run(false, ups).await;
    run(true, changes).await;
    each(downs, |n| async move {
        let fake = Fake::start(DELAY).await.unwrap();
        up(&connect(&fake).await, &(case.yard)(false))
            .await
            .map_err(|e| e.to_string())?;
        case.fail(&fake, n, fault, false);
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
