//! A fake cloud, a client, and what must hold after whatever happened.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking; not every suite needs all"
)]

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use stackyard_core::yard::Scope;
use stackyard_core::yard::intend::{Intended, intend};
use stackyard_core::yard::manifest::Manifest;
use stackyard_fake::Fake;
use stackyard_openstack::{Cloud, CloudConfig, CloudEntry, Options, RetryPolicy};
use stackyard_yard::{DataLoss, Error, KnownYards, YardSnapshot, remove_yard, sweep};
use std::time::Duration;

/// How long the fake takes to answer.
pub const DELAY: Duration = Duration::from_millis(3);

/// The yard `shop` with this content.
pub fn shop(spec: Value) -> Intended {
    let manifest = json!({
        "apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"}, "spec": spec,
    });
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    intend(&manifest).unwrap()
}

/// Connects with the patience of a client that expects answers.
pub async fn connect(fake: &Fake) -> Cloud {
    connect_for(fake, Duration::from_secs(30)).await
}

pub async fn connect_for(fake: &Fake, patience: Duration) -> Cloud {
    connect_as(fake, patience, "u", "p", "R").await
}

/// Connects as `user`, whose password is `p`, to a project in a region.
pub async fn connect_as(
    fake: &Fake,
    patience: Duration,
    user: &str,
    project: &str,
    region: &str,
) -> Cloud {
    let entry = CloudEntry {
        auth_url: fake.auth_url(),
        username: user.into(),
        password: "p".into(),
        project_name: project.into(),
        domain_name: "Default".into(),
        region_name: region.into(),
        cacert: None,
    };
    let mut config = CloudConfig::from_entry("fake", &entry);
    config.timeout = Some(patience);
    let retry = RetryPolicy {
        first_wait: Duration::from_millis(20),
        ..RetryPolicy::default()
    };
    Cloud::connect(
        config,
        Options {
            retry,
            ..Options::default()
        },
    )
    .await
    .unwrap()
}

/// How marks and names of the yard `shop` begin that [`connect`]'s project and region have: before the kind, before
/// the name.
pub fn begins() -> (String, String) {
    let scope = Scope::of("p1", "R");
    (
        format!("stackyard:shop@{scope}"),
        format!("stackyard_shop__{scope}"),
    )
}

/// Brings the yard up, whatever data that loses.
pub async fn up(cloud: &Cloud, yard: &Intended) -> Result<bool, Error> {
    up_with(cloud, yard, &DataLoss::Allowed).await
}

pub async fn up_with(cloud: &Cloud, yard: &Intended, loss: &DataLoss) -> Result<bool, Error> {
    let session = YardSnapshot::take(cloud, yard).await?;
    let found = session.preflight().await?;
    assert!(found.blockers.is_empty(), "{:?}", found.blockers);
    session.apply(&found.choices, loss, &()).await?;
    Ok(!session.plan.is_noop())
}

pub async fn down(cloud: &Cloud) -> Result<(), Error> {
    remove_yard(cloud, "shop", None, &DataLoss::Allowed, &()).await
}

/// Brings the yard up and down without faults; says what is wrong.
pub async fn converges(fake: &Fake, yard: &Intended) -> Result<(), String> {
    fake.fail(|_, _| None);
    let cloud = connect(fake).await;
    up(&cloud, yard).await.map_err(|e| format!("up: {e}"))?;
    let again = YardSnapshot::take(&cloud, yard)
        .await
        .map_err(|e| e.to_string())?;
    if !again.plan.is_noop() {
        return Err(format!("a second up has something to do:\n{}", again.plan));
    }
    vanishes(fake).await
}

pub async fn vanishes(fake: &Fake) -> Result<(), String> {
    fake.fail(|_, _| None);
    let cloud = connect(fake).await;
    down(&cloud).await.map_err(|e| format!("down: {e}"))?;
    let left = fake.world().left();
    if !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    let swept = sweep(&cloud, &KnownYards::default())
        .await
        .map_err(|e| e.to_string())?;
    if swept.orphans.is_empty() {
        Ok(())
    } else {
        Err(format!("a sweep finds {:?}", swept.orphans))
    }
}

/// Runs `one` for every number below `count`, some at a time; gathers what is wrong.
pub async fn each<F: Future<Output = Result<(), String>>>(count: usize, one: impl Fn(usize) -> F) {
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
        .buffer_unordered(32)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} of {count} runs went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
