//! A yard is its name, its cloud, its project and its region: another one of the name is never seen, touched or
//! offered. The user is an administrator, to whom Neutron shows what all projects have, keypairs are the user's in
//! all projects, and both regions have the same services: what is told apart here is so everywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{DELAY, connect, connect_as, shop, up};
use serde_json::{Value, json};
use stackyard_core::yard::intend::Intended;
use stackyard_core::yard::observed::OLDER_MARK;
use stackyard_core::yard::plan::Action;
use stackyard_core::yard::{Kind, Mark};
use stackyard_fake::Fake;
use stackyard_openstack::Cloud;
use stackyard_yard::{
    DataLoss, Inventory, KnownYards, Records, YardSnapshot, remove_yard, scope, sweep,
};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// One of each kind that has a mark.
fn yard() -> Intended {
    shop(spec())
}

fn spec() -> Value {
    json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24", "router": {"external": "public"}}],
        "securityGroups": [{"name": "web", "rules": [{"proto": "tcp", "port": 80}]}],
        "keypairs": [{"name": "me", "publicKey": "ssh-ed25519 AAAA me"}],
        "serverGroups": [{"name": "apart"}],
        "volumes": [{"name": "data", "size": 1}],
        "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny", "key": "me", "volumes": ["data"],
            "group": "apart", "securityGroups": ["web"]}],
        "loadBalancers": [{"name": "all", "network": "front", "listeners": [{"port": 80, "proto": "tcp", "servers": ["db"]}]}],
        "objectContainers": [{"name": "files"}],
        "floatingIPs": [{"server": "db"}],
    })
}

/// Three places where a yard of one name can be.
async fn three(fake: &Fake) -> [Cloud; 3] {
    fake.identity().grant("u", "q", &["admin", "member"]);
    [
        connect_as(fake, PATIENCE, "u", "p", "R").await,
        connect_as(fake, PATIENCE, "u", "q", "R").await,
        connect_as(fake, PATIENCE, "u", "p", "S").await,
    ]
}

/// Ids of all that a cloud has of the yard.
async fn ids(cloud: &Cloud) -> BTreeSet<String> {
    let owned = Inventory::take(cloud).await.unwrap().owned();
    owned
        .into_iter()
        .map(|o| format!("{} {}", o.mark.key.kind.noun(), o.id))
        .collect()
}

#[tokio::test]
async fn yards_of_one_name_in_two_projects_and_regions_have_nothing_in_common() {
    let fake = Fake::start(DELAY).await.unwrap();
    let (clouds, yard) = (three(&fake).await, yard());
    for cloud in &clouds {
        let first = YardSnapshot::take(cloud, &yard).await.unwrap();
        assert!(
            first.plan.steps.iter().all(|s| s.action == Action::Create),
            "{}",
            first.plan
        );
        up(cloud, &yard).await.unwrap();
    }
    let mut all: Vec<BTreeSet<String>> = Vec::new();
    for cloud in &clouds {
        assert!(
            YardSnapshot::take(cloud, &yard)
                .await
                .unwrap()
                .plan
                .is_noop()
        );
        all.push(ids(cloud).await);
    }
    assert!(
        all.iter()
            .all(|ids| ids.len() == all[0].len() && ids.len() >= 11),
        "{all:?}"
    );
    assert!(
        all[0].is_disjoint(&all[1]) && all[0].is_disjoint(&all[2]) && all[1].is_disjoint(&all[2]),
        "{all:?}"
    );

    // A record of one is none of the others.
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    records
        .keep("shop", &scope(&clouds[0]).await.unwrap(), "kind: Yard\n")
        .unwrap();
    let known = records.known().unwrap();
    let mut orphans = Vec::new();
    for cloud in &clouds {
        orphans.push(sweep(cloud, &known).await.unwrap().orphans.len());
    }
    assert_eq!(orphans, [0, all[1].len(), all[2].len()]);

    for (i, cloud) in clouds.iter().enumerate() {
        remove_yard(cloud, "shop", None, &DataLoss::Allowed, &())
            .await
            .unwrap();
        assert_eq!(ids(cloud).await, BTreeSet::new());
        for (other, before) in clouds.iter().zip(&all).skip(i + 1) {
            assert_eq!(ids(other).await, *before);
            assert!(
                YardSnapshot::take(other, &yard)
                    .await
                    .unwrap()
                    .plan
                    .is_noop()
            );
        }
    }
    assert_eq!(fake.world().left(), Vec::<String>::new());
}

/// Writes all marks as older versions did.
fn age(fake: &Fake) {
    let older = |text: &str| Mark::parse(text).map(|mark| mark.older().to_string());
    for (_, item) in fake.world().everything() {
        for place in ["/description", "/metadata/stackyard"] {
            if let Some(text) = item.pointer_mut(place)
                && let Some(aged) = text.as_str().and_then(older)
            {
                *text = aged.into();
            }
        }
        let named =
            |text: &str| Mark::parse_name(Kind::Keypair, text).map(|mark| mark.older().as_name());
        for place in ["name", "key_name"] {
            if let Some(aged) = item[place].as_str().and_then(named) {
                item[place] = aged.into();
            }
        }
    }
    fake.world().by_name_again();
}

fn marks(fake: &Fake) -> Vec<Mark> {
    let mut all = Vec::new();
    for (_, item) in fake.world().everything() {
        let texts = [
            item.pointer("/description"),
            item.pointer("/metadata/stackyard"),
        ];
        all.extend(
            texts
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .filter_map(Mark::parse),
        );
    }
    all
}

#[tokio::test]
async fn marks_of_older_versions_are_understood_and_written_again() {
    let fake = Fake::start(DELAY).await.unwrap();
    let (cloud, yard) = (connect(&fake).await, yard());
    up(&cloud, &yard).await.unwrap();
    let before = ids(&cloud).await.len();
    age(&fake);
    let session = YardSnapshot::take(&cloud, &yard).await.unwrap();
    let changed: Vec<_> = session
        .plan
        .steps
        .iter()
        .filter(|s| s.action != Action::Keep)
        .collect();
    assert!(
        changed
            .iter()
            .all(|s| s.action == Action::Change && s.changes.len() == 1),
        "{}",
        session.plan
    );
    assert!(
        changed.iter().all(|s| s.changes[0].field == OLDER_MARK),
        "{}",
        session.plan
    );
    assert_eq!(changed.len(), marks(&fake).len(), "{}", session.plan);
    up(&cloud, &yard).await.unwrap();
    assert!(
        marks(&fake).iter().all(|m| m.scope.is_some()),
        "{:?}",
        marks(&fake)
    );
    assert!(
        YardSnapshot::take(&cloud, &yard)
            .await
            .unwrap()
            .plan
            .is_noop()
    );
    assert_eq!(ids(&cloud).await.len(), before);
    // A new server gets the keypair that is there, under its old name.
    let mut more = spec();
    more["servers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "web", "flavor": "m1.nano", "image": "tiny", "key": "me"}));
    up(&cloud, &shop(more)).await.unwrap();
    assert_eq!(fake.world().count("os-keypairs"), 1);
    remove_yard(&cloud, "shop", None, &DataLoss::Allowed, &())
        .await
        .unwrap();
    assert_eq!(fake.world().left(), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_older_version_made_goes_without_another_up() {
    let fake = Fake::start(DELAY).await.unwrap();
    let (clouds, yard) = (three(&fake).await, yard());
    up(&clouds[0], &yard).await.unwrap();
    age(&fake);
    // Another project's yard has nothing of it, not even the keypair, which is the user's in both.
    assert_eq!(ids(&clouds[1]).await, BTreeSet::new());
    up(&clouds[1], &yard).await.unwrap();
    remove_yard(&clouds[1], "shop", None, &DataLoss::Allowed, &())
        .await
        .unwrap();
    // It stays the yard's that has servers with it.
    let swept = sweep(&clouds[0], &KnownYards::default()).await.unwrap();
    assert!(
        swept
            .orphans
            .iter()
            .any(|o| o.mark.key.kind == Kind::Keypair),
        "{:?}",
        swept.orphans
    );
    remove_yard(&clouds[0], "shop", None, &DataLoss::Allowed, &())
        .await
        .unwrap();
    assert_eq!(fake.world().left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_user_of_the_project_makes_the_keypair_for_new_servers_alone() {
    let fake = Fake::start(DELAY).await.unwrap();
    fake.identity().add_user("v", "p");
    fake.identity().grant("v", "p", &["member"]);
    let (ours, theirs) = (
        connect(&fake).await,
        connect_as(&fake, PATIENCE, "v", "p", "R").await,
    );
    let yard = yard();
    up(&ours, &yard).await.unwrap();
    let session = YardSnapshot::take(&theirs, &yard).await.unwrap();
    assert!(session.plan.is_noop(), "{}", session.plan);
    let keypair = session
        .resources()
        .into_iter()
        .find(|r| r.kind == Kind::Keypair)
        .unwrap();
    assert_eq!(
        (keypair.state_text().as_str(), keypair.detail.as_str()),
        ("ready", "another user's")
    );
    let more = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "keypairs": [{"name": "me", "publicKey": "ssh-ed25519 AAAA me"}],
        "servers": [{"name": "db", "count": 2, "flavor": "m1.nano", "image": "tiny", "key": "me"}],
    }));
    let session = YardSnapshot::take(&theirs, &more).await.unwrap();
    assert_eq!(
        session.plan.of(Kind::Keypair).next().unwrap().action,
        Action::Create,
        "{}",
        session.plan
    );
    up(&theirs, &more).await.unwrap();
    assert!(
        YardSnapshot::take(&theirs, &more)
            .await
            .unwrap()
            .plan
            .is_noop()
    );
    // Each removes their own.
    remove_yard(&theirs, "shop", None, &DataLoss::Allowed, &())
        .await
        .unwrap();
    remove_yard(&ours, "shop", None, &DataLoss::Allowed, &())
        .await
        .unwrap();
    assert_eq!(fake.world().left(), Vec::<String>::new());
}
