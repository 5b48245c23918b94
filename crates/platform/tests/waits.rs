//! Waiting for health, ends and settling; failures and what they show.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Yard, after, check, container_state, sh, sleeper};
use stackyard_core::progress::Event;
use stackyard_core::stack::plan::Resource;
use stackyard_core::stack::{Dependency, DependencyCondition, HealthTest, Healthcheck, RestartPolicy, Service};
use stackyard_platform::stack::{Error, Failures, HealthCheck};
use std::time::{Duration, Instant};

fn failures(error: Error) -> Failures {
    match error {
        Error::Steps(failures) => failures,
        other => panic!("{other}"),
    }
}

/// Lines that a container writes before it does the rest.
fn chatty(rest: &str) -> Service {
    sh(&format!("for i in $(seq 1 30); do echo line $i; done; sleep 0.3; echo to stderr >&2; sleep 0.1; {rest}"))
}

#[tokio::test]
async fn a_failed_job_shows_its_log_and_stops_its_dependents_only() {
    let mut yard = Yard::new("jobfail").await;
    yard.options.log_hint = Some("stackyard cloud logs {service}".into());
    let mut app = sleeper();
    app.depends_on.insert("job".into(), after(DependencyCondition::CompletedSuccessfully));
    let mut web = sleeper();
    web.depends_on.insert("app".into(), after(DependencyCondition::Started));
    yard.add("job", chatty("exit 7")).add("app", app).add("web", web).add("apart", sleeper());
    let failures = failures(yard.try_up().await.unwrap_err());
    assert_eq!(failures.failed.len(), 1);
    let failed = &failures.failed[0];
    assert_eq!(failed.resource, Resource::Job("job".into()));
    assert!(matches!(*failed.error, Error::Ended { status: 7, oom: false }), "{failed}");
    assert_eq!(failed.log.len(), 20);
    let text = failures.to_string();
    assert!(text.starts_with("job job: ended with status 7\n  the last lines of its log:\n"), "{text}");
    for part in [
        "    line 30\n",
        "    to stderr\n",
        "to see more: stackyard cloud logs job",
        "not begun because of this: container app, container web",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(container_state(&yard, "apart").await, "running", "what is independent goes on");
    let name = format!("{}-app-1", yard.stack.name);
    assert!(yard.api().inspect_container(&name, None).await.is_err());
    let events = yard.events.lock().unwrap().clone();
    let said = |e: &Event| matches!(e, Event::Failed { step, error } if step == "job job" && error.contains("line 30"));
    assert!(events.iter().any(said), "{events:?}");
    // Mended, it goes on from there.
    yard.service("job").command = sh("true").command;
    let plan = yard.up().await;
    assert_eq!((plan.summary().jobs, plan.summary().create, plan.summary().keep), (1, 2, 1), "{plan}");
    yard.end().await;
}

#[tokio::test]
async fn jobs_that_failed_or_changed_run_again_and_others_do_not() {
    let mut yard = Yard::new("jobs").await;
    let volume = stackyard_core::stack::Volume { name: format!("{}_data", yard.stack.name), ..Default::default() };
    yard.stack.volumes.insert("data".into(), volume);
    let kind = stackyard_core::stack::MountKind::Volume { name: "data".into(), nocopy: false, subpath: None };
    let mount = stackyard_core::stack::Mount { kind, target: "/data".into(), read_only: false };
    let mut job = sh("echo ran >> /data/log; test $(wc -l < /data/log) -ge 2");
    job.volumes.push(mount.clone());
    // Declared a job by its label, though nobody waits for it.
    job.labels.insert("dev.stackyard.job".into(), "true".into());
    let mut app = sleeper();
    app.volumes.push(mount);
    yard.add("job", job).add("app", app);
    assert_eq!(failures(yard.try_up().await.unwrap_err()).failed.len(), 1);
    yard.up().await;
    assert!(yard.up().await.is_noop());
    yard.service("app").tty = true;
    yard.up().await;
    assert_eq!(yard.sh("app", "cat /data/log").await, "ran\nran");
    yard.service("job").environment.insert("A".into(), "B".into());
    assert_eq!(yard.up().await.summary().jobs, 1);
    assert_eq!(yard.sh("app", "wc -l < /data/log").await, "3");
    yard.end().await;
}

#[tokio::test]
async fn a_job_may_try_again_by_itself_and_has_its_time() {
    let mut yard = Yard::new("retry").await;
    let mut job = sh("test -e /tmp/again && exit 0; touch /tmp/again; exit 1");
    job.restart = RestartPolicy::OnFailure { max_retries: Some(3) };
    let mut app = sleeper();
    app.depends_on.insert("job".into(), after(DependencyCondition::CompletedSuccessfully));
    yard.add("job", job).add("app", app);
    yard.up().await;
    yard.service("job").command = sh("sleep 60").command;
    yard.options.job_within = Duration::from_secs(1);
    let failures = failures(yard.try_up().await.unwrap_err());
    assert!(matches!(*failures.failed[0].error, Error::TooLong { .. }), "{failures}");
    // It runs on; the next run waits for it and does not start it twice.
    let id = yard.id("job").await;
    yard.options.job_within = Duration::from_secs(30);
    let name = format!("{}-job-1", yard.stack.name);
    let api = yard.api().clone();
    let killer = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        api.kill_container(&name, None).await.unwrap();
    };
    let (result, ()) = tokio::join!(yard.try_up(), killer);
    let text = result.unwrap_err().to_string();
    assert!(text.contains("ended with status 137"), "{text}");
    assert_eq!(yard.id("job").await, id);
    yard.end().await;
}

#[tokio::test]
async fn dependents_wait_until_healthy_and_see_why_not() {
    let mut yard = Yard::new("health").await;
    let mut db = sh("trap 'exit 0' TERM; (sleep 2; touch /tmp/ready) & while :; do sleep 0.1; done");
    // Docker itself would not look before 30 s are over.
    db.healthcheck = Some(Healthcheck {
        interval: Some(Duration::from_secs(30)),
        ..check("test -e /tmp/ready || { echo not yet; exit 1; }")
    });
    let mut app = sleeper();
    app.depends_on.insert("db".into(), after(DependencyCondition::Healthy));
    yard.add("db", db).add("app", app);
    let begun = Instant::now();
    yard.up().await;
    assert!((2.0..15.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    let events = yard.events.lock().unwrap().clone();
    let waiting = |e: &Event| matches!(e, Event::Progress { step, doing: Some(d), .. } if step == "container db" && d == "waiting until healthy: not yet");
    assert!(events.iter().any(waiting), "{events:?}");
    let position = |wanted: &str, done: bool| {
        events.iter().position(|e| match e {
            Event::Done { step, .. } => done && step == wanted,
            Event::Started { step, .. } => !done && step == wanted,
            _ => false,
        })
    };
    assert!(position("container app", false) > position("container db", true), "{events:?}");
    // A test that starts to fail is noticed on the next run, though nothing is to be done;
    // the engine's own word, up to 30 s old, is taken while it is good.
    assert_eq!(yard.engine.health(&yard.stack.name, "db").await.unwrap(), HealthCheck::Healthy);
    yard.sh("db", "rm /tmp/ready").await;
    let health = yard.engine.health(&yard.stack.name, "db").await.unwrap();
    assert_eq!(health, HealthCheck::Unhealthy { output: "not yet".into() });
    yard.options.healthy_within = Duration::from_secs(1);
    yard.service("db").healthcheck.as_mut().unwrap().interval = Some(Duration::from_millis(500));
    yard.service("db").command = sleeper().command;
    let failures = failures(yard.try_up().await.unwrap_err());
    let text = failures.to_string();
    assert!(text.contains("its health test last said: not yet"), "{text}");
    assert_eq!(failures.skipped, [], "what stays as it is was not skipped");
    yard.end().await;
}

#[tokio::test]
async fn a_test_that_hangs_is_ended() {
    let mut yard = Yard::new("hang").await;
    let mut app = sleeper();
    app.init = Some(true);
    app.healthcheck = Some(Healthcheck {
        test: HealthTest::Cmd(["/bin/sleep", "987"].map(str::to_owned).to_vec()),
        timeout: Some(Duration::from_millis(300)),
        interval: Some(Duration::from_secs(1)),
        retries: Some(1),
        start_period: None,
        start_interval: None,
    });
    yard.add("app", app);
    yard.options.healthy_within = Duration::from_secs(2);
    let text = yard.try_up().await.unwrap_err().to_string();
    assert!(text.contains("no answer within 0.3 s"), "{text}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Docker runs the test too, once a second.
    let running: usize = yard.sh("app", "ps | grep -c '[s]leep 987' || true").await.parse().unwrap();
    assert!(running <= 1, "{running} tests pile up");
    yard.end().await;
}

#[tokio::test]
async fn restart_loops_are_noticed() {
    let mut yard = Yard::new("loop").await;
    let mut tested = sh("echo broken; exit 3");
    tested.restart = RestartPolicy::UnlessStopped;
    tested.healthcheck = Some(check("true"));
    let mut untested = sh("echo broken too; exit 4");
    untested.restart = RestartPolicy::Always;
    let mut once = sh("exit 5");
    once.healthcheck = Some(check("true"));
    yard.add("tested", tested).add("untested", untested).add("once", once);
    yard.options.restart_limit = 3;
    yard.options.settle = Duration::from_secs(3);
    let mut failures = failures(yard.try_up().await.unwrap_err());
    failures.failed.sort_by(|a, b| a.resource.cmp(&b.resource));
    let [once, tested, untested] = &failures.failed[..] else { panic!("{failures}") };
    assert!(matches!(*once.error, Error::Ended { status: 5, .. }), "{once}");
    assert!(matches!(*tested.error, Error::RestartLoop { times: 3.., status: 3 }), "{tested}");
    assert!(matches!(*untested.error, Error::RestartLoop { times: 3.., status: 4 }), "{untested}");
    assert_eq!(tested.log.last().unwrap(), "broken");
    // What goes on restarting is told apart from what runs.
    let status = yard.engine.status(&yard.stack.name).await.unwrap();
    let of = |name: &str| status.iter().find(|s| s.service == name).unwrap().clone();
    assert!(of("tested").restarts >= 3, "{status:?}");
    assert!(!of("once").is_well());
    assert_eq!(of("once").exit_status, Some(5));
    yard.end().await;
}

#[tokio::test]
async fn an_optional_dependency_may_fail() {
    let mut yard = Yard::new("optional").await;
    let mut app = sleeper();
    app.depends_on
        .insert("bad".into(), Dependency { required: false, ..after(DependencyCondition::CompletedSuccessfully) });
    yard.add("bad", sh("exit 1")).add("app", app);
    let failures = failures(yard.try_up().await.unwrap_err());
    assert_eq!((failures.failed.len(), failures.skipped.len()), (1, 0));
    assert_eq!(container_state(&yard, "app").await, "running");
    yard.end().await;
}

#[tokio::test]
async fn what_starts_in_parallel_takes_the_time_of_the_longest() {
    let mut yard = Yard::new("parallel").await;
    for n in 0..6 {
        let mut s = sh("trap 'exit 0' TERM; sleep 2; touch /tmp/ready; while :; do sleep 0.2; done");
        s.healthcheck = Some(check("test -e /tmp/ready"));
        yard.add(&format!("s{n}"), s);
    }
    yard.options.parallel = 2;
    let begun = Instant::now();
    yard.up().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "waiting holds no place: {:?}", begun.elapsed());
    yard.end().await;
}

#[tokio::test]
async fn what_the_engine_was_told_before_a_run_was_dropped_is_done_once_it_is_at_rest() {
    let mut yard = Yard::new("dropped").await;
    let mut stubborn = sh("trap '' TERM; while :; do sleep 0.2; done");
    stubborn.stop_grace_period = Some(Duration::from_secs(3));
    yard.add("stubborn", stubborn);
    yard.up().await;
    yard.service("stubborn").environment.insert("VERSION".into(), "2".into());
    let dropped = tokio::time::timeout(Duration::from_secs(1), yard.try_up()).await;
    assert!(dropped.is_err(), "it was still being stopped");
    assert_eq!(container_state(&yard, "stubborn").await, "running");
    yard.engine.docker().at_rest().await;
    assert_eq!(container_state(&yard, "stubborn").await, "exited");
    yard.up().await;
    assert_eq!(yard.sh("stubborn", "echo $VERSION").await, "2");
    yard.engine.docker().at_rest().await;
    yard.end().await;
}
