//! Deploying, deploying again, changing, removing; against a real Docker Engine.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Yard, after, check, container_state, mounted, sh, sleeper};
use stackyard_core::progress::Event;
use stackyard_core::stack::plan::{Action, Resource};
use stackyard_core::stack::{DependencyCondition, Mount, MountKind, NetworkMode, RestartPolicy, Volume};
use stackyard_platform::stack::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A database, a job on it, and two services, as the OpenStack package has them.
async fn shop(name: &str) -> Yard {
    let mut yard = Yard::new(name).await;
    let volume = format!("{}_data", yard.stack.name);
    yard.stack.volumes.insert("data".into(), Volume { name: volume, ..Volume::default() });
    yard.add_config("app", &[("app.conf", "color=red\n"), ("sub/more.conf", "x\n")]);
    let mut db = sh("trap 'exit 0' TERM; sleep 1; touch /tmp/ready; while :; do sleep 0.2; done");
    db.healthcheck = Some(check("test -e /tmp/ready"));
    db.volumes.push(Mount {
        kind: MountKind::Volume { name: "data".into(), nocopy: false, subpath: None },
        target: "/data".into(),
        read_only: false,
    });
    let mut job = sh("echo syncing; sleep 0.3; echo done");
    job.depends_on.insert("db".into(), after(DependencyCondition::Healthy));
    let mut app = sleeper();
    app.restart = RestartPolicy::UnlessStopped;
    app.configs.push(mounted("app", "/etc/app"));
    app.depends_on.insert("sync".into(), after(DependencyCondition::CompletedSuccessfully));
    app.network_mode = NetworkMode::default();
    let mut web = sleeper();
    web.depends_on.insert("app".into(), after(DependencyCondition::Started));
    web.network_mode = NetworkMode::default();
    yard.add("db", db).add("sync", job).add("app", app).add("web", web);
    yard
}

#[tokio::test]
async fn up_again_does_nothing() {
    let yard = shop("noop").await;
    let plan = yard.up().await;
    assert_eq!(plan.summary().create, 5, "{plan}");
    assert_eq!(yard.sh("app", "cat /etc/app/app.conf").await, "color=red");
    let before = yard.snapshot().await;
    let events = yard.events.lock().unwrap().len();
    let again = yard.up().await;
    assert!(again.is_noop(), "{again}");
    assert_eq!(yard.events.lock().unwrap().len(), events, "{:?}", yard.events.lock().unwrap());
    assert_eq!(yard.snapshot().await, before);
    yard.end().await;
}

#[tokio::test]
async fn a_changed_config_recreates_its_user_only() {
    let mut yard = shop("config").await;
    yard.up().await;
    let before = yard.snapshot().await;
    yard.add_config("app", &[("app.conf", "color=blue\n")]);
    let plan = yard.up().await;
    let changed: Vec<_> = plan.steps.iter().filter(|s| s.action != Action::Keep).collect();
    assert_eq!(changed.len(), 1, "{plan}");
    assert_eq!(changed[0].resource, Resource::Container("app".into()));
    assert_eq!(changed[0].reasons, ["config app"]);
    let now = yard.snapshot().await;
    for (name, was) in &before {
        assert_eq!(now[name] == *was, name != "app", "{name}");
    }
    assert_eq!(yard.sh("app", "cat /etc/app/*").await, "color=blue");
    let versions = yard.state_dir().join("stacks").join(&yard.stack.name).join("configs/app");
    assert_eq!(std::fs::read_dir(versions).unwrap().count(), 1, "old versions go");
    yard.end().await;
}

#[tokio::test]
async fn what_stopped_is_started_and_what_is_lost_is_made() {
    let yard = shop("mend").await;
    yard.up().await;
    let before = yard.snapshot().await;
    let name = |service: &str| format!("{}-{service}-1", yard.stack.name);
    yard.sh("db", "echo kept > /data/file").await;
    yard.api().kill_container(&name("db"), None).await.unwrap();
    yard.api().pause_container(&name("web")).await.unwrap();
    common::force_remove(yard.api(), &name("app")).await;
    while container_state(&yard, "db").await != "exited" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let plan = yard.up().await;
    insta::assert_snapshot!(plan.to_string(), @r"
    ^ container db   start: it ended with status 137
    + container app  create
    ^ container web  start: it is paused
    1 to create, 2 to start, 3 unchanged
    ");
    let now = yard.snapshot().await;
    assert_eq!(now["db"].0, before["db"].0, "the same container");
    assert_eq!(now["sync"], before["sync"], "a job that is done stays done");
    assert_ne!(now["app"].0, before["app"].0);
    assert_eq!(now["web"], before["web"], "thawed, not started again");
    assert_eq!(yard.sh("db", "cat /data/file").await, "kept");
    // Files that somebody removed: the container could not be started again.
    std::fs::remove_dir_all(yard.state_dir().join("stacks")).unwrap();
    let plan = yard.up().await;
    insta::assert_snapshot!(plan.to_string(), @r"
    ~ container app  recreate: config app
    1 to recreate, 5 unchanged
    ");
    yard.end().await;
}

#[tokio::test]
async fn stopped_and_removed_without_losing_data() {
    let yard = shop("stop").await;
    yard.up().await;
    yard.sh("db", "echo kept > /data/file").await;
    yard.engine.stop(&yard.stack.name, &()).await.unwrap();
    for service in ["db", "app", "web"] {
        assert_eq!(container_state(&yard, service).await, "exited");
    }
    let plan = yard.up().await;
    assert_eq!(plan.summary().start, 3, "{plan}");
    // The order is told by the events: dependents first.
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    yard.engine.remove(&yard.stack.name, false, &move |e: Event| seen.lock().unwrap().push(e)).await.unwrap();
    let done = |e: &Event| if let Event::Done { step, .. } = e { Some(step.clone()) } else { None };
    let order: Vec<String> = events.lock().unwrap().iter().filter_map(done).collect();
    let network = format!("network {}_default", yard.stack.name);
    assert_eq!(order, ["container web", "container app", "job sync", "container db", network.as_str()]);
    yard.up().await;
    assert_eq!(yard.sh("db", "cat /data/file").await, "kept");
    yard.end().await;
}

#[tokio::test]
async fn a_service_that_is_gone_leaves_no_container() {
    let mut yard = shop("orphan").await;
    yard.up().await;
    let before = yard.snapshot().await;
    yard.stack.services.remove("web");
    yard.service("app").network_mode = NetworkMode::None;
    let plan = yard.up().await;
    let text = plan.to_string().replace(&yard.stack.name, "STACK");
    let text: String = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect();
    insta::assert_snapshot!(text, @r"
    - orphan STACK-web-1 remove: the stack no longer has service web
    ~ container app recreate: networks
    - network STACK_default remove: no service uses it
    1 to recreate, 2 to remove, 3 unchanged
    ");
    assert_eq!(yard.snapshot().await["db"], before["db"]);
    let left = yard.engine.observe(&yard.stack).await.unwrap();
    assert_eq!((left.containers.len(), left.networks.len()), (3, 0));
    yard.end().await;
}

#[tokio::test]
async fn missing_images_are_all_named() {
    let mut yard = Yard::new("images").await;
    for n in ["b", "a"] {
        let mut s = sleeper();
        s.image = format!("stackyard-test/missing-{n}:1");
        yard.add(n, s);
    }
    let error = yard.try_up().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "missing images: stackyard-test/missing-a:1, stackyard-test/missing-b:1; build or pull them first"
    );
    yard.end().await;
}

#[tokio::test]
async fn one_process_at_a_time() {
    let mut yard = Yard::new("lock").await;
    yard.add("job", sh("sleep 2")).add("app", sleeper());
    yard.service("app").depends_on.insert("job".into(), after(DependencyCondition::CompletedSuccessfully));
    let plan = yard.plan().await;
    let (first, second) = tokio::join!(yard.up(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        yard.engine.apply(&yard.stack, &plan, &yard.options, &()).await
    });
    assert_eq!(first.summary().create, 1);
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
    yard.end().await;
}

#[tokio::test]
async fn somebody_elses_container_is_left_alone() {
    let mut yard = Yard::new("foreign").await;
    yard.add("app", sleeper());
    let name = format!("{}-app-1", yard.stack.name);
    let body = bollard::models::ContainerCreateBody { image: Some(common::IMAGE.into()), ..Default::default() };
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new().name(&name).build();
    let id = yard.api().create_container(Some(options), body).await.unwrap().id;
    let error = yard.try_up().await.unwrap_err().to_string();
    assert!(error.contains("another program created"), "{error}");
    assert_eq!(yard.id("app").await, id);
    common::force_remove(yard.api(), &name).await;
    yard.up().await;
    yard.end().await;
}

#[tokio::test]
async fn an_old_plan_does_no_harm() {
    let yard = shop("stale").await;
    let plan = yard.plan().await;
    yard.up().await;
    let before = yard.snapshot().await;
    // Another process, which asked its user for a while, carries out what it saw then.
    yard.engine.apply(&yard.stack, &plan, &yard.options, &()).await.unwrap();
    assert_eq!(yard.snapshot().await, before, "nothing was touched");
    yard.end().await;
}

#[tokio::test]
async fn many_containers_cost_little_when_nothing_is_to_be_done() {
    let mut yard = Yard::new("many").await;
    for n in 0..30 {
        let mut s = sleeper();
        s.healthcheck = Some(check("true"));
        s.healthcheck.as_mut().unwrap().interval = Some(Duration::from_secs(1));
        if n > 0 {
            s.depends_on.insert(format!("s{}", n / 2), after(DependencyCondition::Healthy));
        }
        yard.add(&format!("s{n}"), s);
    }
    yard.service("s1").depends_on.remove("s0");
    let begun = Instant::now();
    yard.up().await;
    println!("30 containers made: {:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun = Instant::now();
    assert!(yard.up().await.is_noop());
    println!("nothing to do: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    yard.end().await;
}
