//! `kill -9` of the deploying process at random moments: the next run converges, nothing is
//! done twice, and nothing is left after the removal.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Yard, after, check, mounted, sh, sleeper};
use stackyard_core::stack::{
    Attachment, DependencyCondition, Mount, MountKind, Network, NetworkMode, RestartPolicy, Stack, Volume,
};
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::{ApplyOptions, Engine};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What the killed process is to do: stack, version, state directory, verb.
const TASK: &str = "STACKYARD_TEST_TASK";

/// A stack with something of everything; `version` changes the config of the app and the job.
fn stack(name: &str, version: u32) -> Stack {
    let mut stack = Stack { name: name.into(), ..Stack::default() };
    stack.volumes.insert("data".into(), Volume { name: format!("{name}_data"), ..Volume::default() });
    for key in ["front", "back"] {
        stack.networks.insert(key.into(), Network { name: format!("{name}_{key}"), ..Network::default() });
    }
    stack.configs.insert("app".into(), common::config(&[("app.conf", &version.to_string()), ("sub/x", "y")]));
    let data = || Mount {
        kind: MountKind::Volume { name: "data".into(), nocopy: false, subpath: None },
        target: "/data".into(),
        read_only: false,
    };
    let on = |keys: &[&str]| {
        NetworkMode::Networks(keys.iter().map(|k| ((*k).to_owned(), Attachment::default())).collect::<BTreeMap<_, _>>())
    };
    let mut db = sh("trap 'exit 0' TERM; sleep 0.5; touch /tmp/ready; while :; do sleep 0.1; done");
    db.healthcheck = Some(check("test -e /tmp/ready"));
    db.network_mode = on(&["back"]);
    let line = |what| format!("echo {what} $(hostname) $(cat /proc/uptime) >> /data/log");
    let mut job = sh(&format!("{}; sleep 0.7; {}", line("began"), line("ended")));
    job.volumes.push(data());
    job.environment.insert("VERSION".into(), (version / 4).to_string());
    job.depends_on.insert("db".into(), after(DependencyCondition::Healthy));
    let mut app = sleeper();
    app.restart = RestartPolicy::UnlessStopped;
    app.configs.push(mounted("app", "/etc/app"));
    app.volumes.push(data());
    app.network_mode = on(&["back", "front"]);
    app.depends_on.insert("job".into(), after(DependencyCondition::CompletedSuccessfully));
    let mut beside = sleeper();
    beside.network_mode = NetworkMode::Service("app".into());
    // Comes and goes.
    if version.is_multiple_of(2) {
        stack.services.insert("extra".into(), sleeper());
    }
    let services = [("db", db), ("job", job), ("app", app), ("beside", beside)];
    stack.services.extend(services.map(|(n, s)| (n.to_owned(), s)));
    stack
}

fn options() -> ApplyOptions {
    ApplyOptions { settle: Duration::from_millis(200), ..ApplyOptions::default() }
}

/// Not a test: the process that the test below starts and kills.
#[tokio::test]
#[ignore = "started by the other test"]
async fn the_killed_process() {
    let task = std::env::var(TASK).unwrap();
    let [name, version, state, verb] = task.split('|').collect::<Vec<_>>().try_into().unwrap();
    let engine = Engine::new(Docker::connect().await.unwrap(), state);
    if verb == "remove" {
        engine.remove(name, true, &()).await.unwrap();
        return;
    }
    let stack = stack(name, version.parse().unwrap());
    let plan = engine.plan(&stack).await.unwrap();
    engine.apply(&stack, &plan, &options(), &()).await.unwrap();
}

/// Starts the process above and kills it after `moment`; returns how long it took if it was done before.
async fn killed(yard: &Yard, version: u32, verb: &str, moment: Duration) -> Option<Duration> {
    let task = format!("{}|{version}|{}|{verb}", yard.stack.name, yard.state_dir().display());
    let began = Instant::now();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_killed_process"])
        .env(TASK, task)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ended = tokio::time::timeout(moment, child.wait()).await;
    child.kill().await.unwrap();
    ended.is_ok_and(|status| status.unwrap().success()).then(|| began.elapsed())
}

/// Whether a job began between the beginning and the end of another one.
fn overlap(log: &str) -> bool {
    let lines: Vec<Vec<&str>> = log.lines().map(|l| l.split_whitespace().collect()).collect();
    let ended = |id| lines.iter().position(|l| l[0] == "ended" && l[1] == id);
    let runs = lines.iter().enumerate().filter(|(_, l)| l[0] == "began").map(|(i, l)| (i, ended(l[1])));
    runs.filter_map(|(began, end)| Some(began + 1..end?)).any(|between| lines[between].iter().any(|l| l[0] == "began"))
}

#[test]
fn overlaps_are_seen() {
    assert!(overlap("began a 1\nbegan b 2\nended a 3\nended b 4"));
    assert!(!overlap("began a 1\nbegan b 2\nended b 3\nbegan c 5\nended c 6"));
}

#[tokio::test]
async fn killed_at_random_moments() {
    let mut yard = Yard::new("killed").await;
    yard.options = options();
    let name = yard.stack.name.clone();
    let mut version = 1;
    let mut in_the_middle = 0;
    // A deployment is as fast as the machine: the moments follow what a whole one takes.
    let whole = killed(&yard, 0, "up", Duration::from_mins(1)).await.expect("a deployment that is left alone");
    for round in 0..20 {
        let moment = whole.mul_f64(rand::random_range(0.0..1.0));
        let finished = killed(&yard, version, "up", moment).await;
        println!("round {round}: version {version} killed after {moment:?}, finished: {finished:?}");
        // Most changes come on top of an unfinished deployment; nothing is left to do after a finished one.
        in_the_middle += u32::from(finished.is_none());
        if finished.is_some() || round % 3 == 2 {
            version += 1;
        }
        if round % 7 == 6 {
            let moment = Duration::from_millis(rand::random_range(0..1500));
            let finished = killed(&yard, version, "remove", moment).await;
            println!("round {round}: removal killed after {moment:?}, finished: {finished:?}");
        }
    }
    assert!(in_the_middle > 2, "only {in_the_middle} were killed in the middle");
    yard.stack = stack(&name, version);
    yard.up().await;
    let plan = yard.up().await;
    assert!(plan.is_noop(), "{plan}");
    assert_eq!(yard.sh("app", "cat /etc/app/app.conf").await, version.to_string());
    let log = yard.sh("app", "cat /data/log").await;
    assert!(!overlap(&log), "two jobs ran at once:\n{log}");
    let networks = yard.sh("app", "ls /sys/class/net").await;
    assert_eq!(networks.split_whitespace().count(), 3, "loopback and two networks: {networks}");
    assert_eq!(yard.sh("beside", "ls /sys/class/net").await, networks);
    // Nothing beside: no double network, no half-made container, no half-written file.
    let all = yard.api().list_networks(None).await.unwrap();
    let ours = all.iter().filter(|n| n.name.as_ref().is_some_and(|n| n.starts_with(&name))).count();
    assert_eq!(ours, 2);
    assert_eq!(yard.engine.observe(&yard.stack).await.unwrap().containers.len(), yard.stack.services.len());
    let configs = yard.state_dir().join("stacks").join(&name).join("configs/app");
    assert_eq!(std::fs::read_dir(configs).unwrap().count(), 1);
    yard.end().await;
}
