//! `kill -9` of the agent at random moments: it converges, and leaves nothing behind.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Host, all_run, containers, part, speaker};
use stackyard_core::agent::Part;
use std::time::Duration;

/// Not a test: the agent.
#[tokio::test]
#[ignore = "started by the other tests"]
async fn the_agent_process() {
    common::be_the_agent().await;
}

/// Version `n` of a stack: one replica stays, one changes, one comes and goes.
fn version(stack: &str, n: u64) -> Part {
    let changing = format!("changing-{n}");
    let mut services = vec![("web", speaker("stays")), ("web", speaker(&changing))];
    if n.is_multiple_of(2) {
        services.push(("extra", speaker("extra")));
    }
    part(stack, n, &services)
}

#[tokio::test]
async fn it_converges_wherever_it_is_killed() {
    let mut host = Host::new("killed").await;
    let stack = host.stack.clone();
    for n in 1..=12 {
        host.want(n, vec![version(&stack, n)]);
        host.start();
        let pause = rand::random_range(50..2500);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        host.kill();
    }
    host.start();
    let report = host.settled(12).await;
    assert!(all_run(&report, &stack, 3), "{report:#?}");
    assert!(containers(&report, &stack).values().all(|c| c.generation == 12), "{report:#?}");
    // Killed while it removes.
    for _ in 0..3 {
        host.want(13, Vec::new());
        tokio::time::sleep(Duration::from_millis(rand::random_range(50..800))).await;
        host.kill();
        host.start();
    }
    host.hub.report("nothing", |r| r.revision == 13 && r.settled && r.parts.is_empty()).await;
    host.nothing_left().await;
}
