//! Logs, commands, status; against a real Docker Engine.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Yard, check, sh, sleeper};
use futures_util::{StreamExt, TryStreamExt};
use stackyard_core::stack::status::ServiceState;
use stackyard_core::stack::{Stack, plan::Plan};
use stackyard_platform::stack::{ApplyOptions, Engine, Error, HealthCheck, LogLine, LogOptions, Source};
use std::time::Duration;

#[tokio::test]
async fn logs_come_as_lines() {
    let mut yard = Yard::new("logs").await;
    let long = "x".repeat(20_000);
    yard.add(
        "a",
        sh(&format!("echo one; echo two >&2; echo -n {long}; echo; echo -n end; sleep 1; echo ing; exec sleep 1000")),
    );
    yard.add("b", sh("echo other; exec sleep 1000"));
    yard.add("term", stackyard_core::stack::Service { tty: true, ..sh("echo terminal; exec sleep 1000") });
    yard.up().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stack = yard.stack.name.clone();
    let all = async |services: &[&str], options| -> Vec<LogLine> {
        let services: Vec<String> = services.iter().map(|s| (*s).to_owned()).collect();
        yard.engine.logs(&stack, &services, options).await.unwrap().try_collect().await.unwrap()
    };
    let a = all(&["a"], LogOptions::default()).await;
    let of = |source| a.iter().filter(|l| l.source == source).map(|l| l.text.clone()).collect::<Vec<_>>();
    assert_eq!(of(Source::Stdout), ["one", long.as_str(), "ending"]);
    assert_eq!(of(Source::Stderr), ["two"]);
    assert_eq!((a[0].service.as_str(), a[0].container.clone()), ("a", format!("{stack}-a-1")));
    assert_eq!(all(&[], LogOptions::default()).await.len(), 6);
    let term = all(&["term"], LogOptions::default()).await;
    assert_eq!((term.len(), term[0].text.as_str()), (1, "terminal"));
    let tail = all(&["b"], LogOptions { tail: Some(0), ..LogOptions::default() }).await;
    assert!(tail.is_empty());
    let stamped = all(&["b"], LogOptions { timestamps: true, ..LogOptions::default() }).await;
    assert!(stamped[0].text.ends_with("Z other"), "{stamped:?}");
    let error = yard.engine.logs(&stack, &["c".into()], LogOptions::default()).await.err().unwrap().to_string();
    assert_eq!(error, format!("stack {stack} has no container of service c; `up` makes it (there are: a, b, term)"));
    yard.end().await;
}

#[tokio::test]
async fn logs_are_followed() {
    let mut yard = Yard::new("follow").await;
    yard.add("a", sh("trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.3; done"));
    yard.up().await;
    let options = LogOptions { follow: true, tail: Some(1), ..LogOptions::default() };
    let mut log = yard.engine.logs(&yard.stack.name, &[], options).await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < 4 {
        let line = tokio::time::timeout(Duration::from_secs(10), log.next()).await.unwrap().unwrap().unwrap();
        numbers.push(line.text.parse::<u32>().unwrap());
    }
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
    yard.engine.stop(&yard.stack.name, &()).await.unwrap();
    let rest = tokio::time::timeout(Duration::from_secs(10), log.try_collect::<Vec<_>>()).await;
    rest.expect("the log ends with its container").unwrap();
    yard.end().await;
}

#[tokio::test]
async fn processes_of_a_container_are_listed() {
    let mut yard = Yard::new("top").await;
    yard.add("a", sh("sleep 987 & exec sleep 986"));
    yard.up().await;
    let stack = yard.stack.name.clone();
    let top = yard.engine.processes(&stack, "a").await.unwrap().unwrap();
    let command = top.titles.iter().position(|title| title == "CMD").unwrap();
    let commands: Vec<&str> = top.rows.iter().map(|row| row[command].as_str()).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(commands.iter().any(|c| c.ends_with("sleep 987")), "{commands:?}");
    assert!(yard.engine.processes(&stack, "none").await.unwrap().is_none());
    yard.engine.stop(&stack, &()).await.unwrap();
    let error = yard.engine.processes(&stack, "a").await.unwrap_err();
    let error = stackyard_core::text::error_chain(&error);
    assert!(error.contains("list the processes of container") && error.contains("not running"), "{error}");
    yard.end().await;
}

#[tokio::test]
async fn commands_run_in_containers() {
    let mut yard = Yard::new("exec").await;
    yard.add("a", sleeper());
    yard.up().await;
    let stack = yard.stack.name.clone();
    let argv = ["/bin/sh", "-c", "echo out; echo err >&2; exit 5"].map(str::to_owned);
    let mut seen = Vec::new();
    let output =
        yard.engine.exec(&stack, "a", &argv, |source, bytes| seen.push((source, bytes.to_vec()))).await.unwrap();
    assert_eq!((output.status, &output.stdout[..], &output.stderr[..]), (5, &b"out\n"[..], &b"err\n"[..]));
    assert_eq!(seen.len(), 2);
    let missing = yard.engine.exec(&stack, "a", &["/no/such".into()], |_, _| {}).await.unwrap();
    assert_ne!(missing.status, 0);
    let error = yard.engine.exec(&stack, "b", &argv, |_, _| {}).await.unwrap_err();
    assert!(matches!(error, Error::NoContainer { .. }), "{error}");
    yard.end().await;
}

#[tokio::test]
async fn status_tells_memory_health_and_time() {
    let mut yard = Yard::new("status").await;
    // About 20 MB in a shell variable.
    let big = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); trap 'exit 0' TERM; while :; do sleep 0.2; done";
    yard.add("big", sh(&big.replace("head", "busybox head").replace("tr ", "busybox tr ")));
    let mut good = sleeper();
    good.healthcheck = Some(check("true"));
    let mut bad = sleeper();
    bad.healthcheck = Some(check("test ! -e /tmp/bad || { echo oh no; false; }"));
    let mut job = sh("true");
    job.labels.insert("dev.stackyard.job".into(), "true".into());
    yard.add("good", good).add("bad", bad).add("job", job);
    yard.up().await;
    yard.sh("bad", "touch /tmp/bad").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let all = yard.engine.status(&yard.stack.name).await.unwrap();
    let of = |name: &str| all.iter().find(|s| s.service == name).unwrap();
    assert_eq!(of("good").health, HealthCheck::Healthy);
    assert_eq!(of("bad").health, HealthCheck::Unhealthy { output: "oh no".into() });
    assert_eq!((&of("job").health, of("job").exit_status, of("job").memory), (&HealthCheck::Completed, Some(0), None));
    assert_eq!(of("big").health, HealthCheck::Untested);
    let memory = of("big").memory.unwrap();
    assert!((15_000_000..150_000_000).contains(&memory), "{memory}");
    assert!(of("good").memory.unwrap() < 5_000_000);
    assert!((3..60).contains(&of("good").uptime_s.unwrap()));
    assert_eq!((of("good").restarts, of("good").state), (0, ServiceState::Running));
    assert!(all.iter().filter(|s| !s.is_well()).count() == 1);
    yard.end().await;
}

fn send<T: Send>(_: T) {}

/// The server runs these on several threads; this only has to compile.
#[allow(dead_code)]
fn work_may_move_between_threads(engine: &Engine, stack: &Stack, plan: &Plan) {
    send(engine.plan(stack));
    send(engine.apply(stack, plan, &ApplyOptions::default(), &()));
    send(engine.remove("x", true, &()));
    send(engine.stop("x", &()));
    send(engine.status("x"));
    send(engine.health("x", "y"));
    send(engine.logs("x", &[], LogOptions::default()));
    send(engine.exec("x", "y", &[], |_, _| {}));
}
