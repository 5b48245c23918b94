//! What does not grow with a yard, and what grows no faster: requests and time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{connect, down, shop, up};
use serde_json::json;
use stackyard_core::yard::intend::Intended;
use stackyard_fake::{Fake, Seen};
use std::time::{Duration, Instant};

/// Many servers behind a balancer, as a pool of hosts has them.
fn many(servers: u32) -> Intended {
    shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/16", "router": {"external": "public"}}],
        "securityGroups": [{"name": "web", "rules": [{"proto": "tcp", "port": 80}]}],
        "servers": [{"name": "web", "count": servers, "flavor": "m1.nano", "image": "tiny", "securityGroups": ["web"]}],
        "loadBalancers": [{"name": "all", "listeners": [{"port": 80, "servers": ["web"]}]}],
        "objectContainers": [{"name": "files"}],
        "floatingIPs": [{"loadBalancer": "all"}],
    }))
}

fn mutating(seen: &[Seen]) -> usize {
    seen.iter()
        .filter(|s| s.method != "GET" && s.method != "HEAD")
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_a_quiet_up_do_not_grow_with_the_yard() {
    let mut counts = Vec::new();
    let mut made = Vec::new();
    for servers in [10, 1_000] {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        fake.world().take_time(Duration::ZERO);
        let yard = many(servers);
        let cloud = connect(&fake).await;
        fake.fail(|_, _| None);
        up(&cloud, &yard).await.unwrap();
        made.push(mutating(&fake.seen()));
        fake.fail(|_, _| None);
        assert!(!up(&cloud, &yard).await.unwrap());
        assert_eq!(mutating(&fake.seen()), 0);
        counts.push(fake.seen().len());
    }
    assert_eq!(counts[0], counts[1]);
    // Twelve lists, one for what the container carries, four for the balancer's parts.
    assert_eq!(counts[0], 17);
    // Each server takes two: its port, and itself.
    assert_eq!(made[1] - made[0], 990 * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_servers_take_as_long_as_the_slowest() {
    let boot = Duration::from_secs(3);
    let fake = Fake::start(Duration::from_millis(30)).await.unwrap();
    fake.world().take_time(boot);
    let (cloud, yard) = (connect(&fake).await, many(100));
    fake.fail(|_, _| None);
    let begun = Instant::now();
    up(&cloud, &yard).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(fake.world().count("servers"), 100);
    // Boot, then the balancer that waits for no server.
    assert!(took < boot + Duration::from_secs(10), "{took:?}");
    assert!(
        mutating(&fake.seen()) <= 4 * 100,
        "{}",
        mutating(&fake.seen())
    );
    down(&cloud).await.unwrap();
    assert_eq!(fake.world().left(), Vec::<String>::new());
}
