//! Nothing that holds data goes without a word of its own, and what the cloud did by itself is no
//! reason to replace anything.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{connect, converges, down, shop, up, up_with};
use serde_json::{Value, json};
use stackyard_catalog::{Memory, manifest};
use stackyard_core::yard::Kind;
use stackyard_core::yard::intend::Intended;
use stackyard_core::yard::plan::Plan;
use stackyard_fake::Fake;
use stackyard_yard::{
    DataLoss, DownOperation, Error, Records, UpOperation, WorkError, YardSnapshot, scope,
};
use std::sync::Arc;
use std::time::Duration;

async fn start() -> (Fake, stackyard_openstack::Cloud) {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let cloud = connect(&fake).await;
    (fake, cloud)
}

fn with_volume(volume: Value) -> Intended {
    shop(json!({"volumes": [volume]}))
}

fn volumes(fake: &Fake) -> Vec<String> {
    let all = fake.world().list_all("volumes");
    all.iter()
        .map(|v| v["id"].as_str().unwrap().to_owned())
        .collect()
}

fn lost(error: &Error) -> Vec<String> {
    let Error::DataLoss(lost) = error else {
        panic!("{error}")
    };
    lost.0.iter().map(|l| l.key.to_string()).collect()
}

async fn plan(cloud: &stackyard_openstack::Cloud, yard: &Intended) -> Plan {
    YardSnapshot::take(cloud, yard).await.unwrap().plan
}

async fn is_clean(cloud: &stackyard_openstack::Cloud, yard: &Intended) {
    let plan = plan(cloud, yard).await;
    assert!(plan.is_noop(), "{plan}");
}

#[tokio::test]
async fn a_zone_that_the_cloud_chose_instead_keeps_the_volume() {
    let (fake, cloud) = start().await;
    fake.world().make_volumes_in("az-store");
    let asked = with_volume(json!({"name": "data", "size": 1, "availabilityZone": "nova"}));
    up(&cloud, &asked).await.unwrap();
    let made = volumes(&fake);
    is_clean(&cloud, &asked).await;
    assert!(!up_with(&cloud, &asked, &DataLoss::Refused).await.unwrap());
    // What the cloud has, written down later, is no difference either, and so is nothing at all.
    is_clean(
        &cloud,
        &with_volume(json!({"name": "data", "size": 1, "availabilityZone": "az-store"})),
    )
    .await;
    is_clean(&cloud, &with_volume(json!({"name": "data", "size": 1}))).await;
    assert_eq!(volumes(&fake), made);
    // A zone that is neither is.
    let other = with_volume(json!({"name": "data", "size": 1, "availabilityZone": "other"}));
    let error = up_with(&cloud, &other, &DataLoss::Refused)
        .await
        .unwrap_err();
    assert_eq!(lost(&error), ["volume data"]);
    let (text, hint) = (error.to_string(), error.hint().unwrap());
    assert!(
        text.contains("what the cloud has in the manifest: availability zone az-store"),
        "{text}"
    );
    assert!(hint.contains("--allow-data-loss"), "{hint}");
    assert_eq!(volumes(&fake), made);
    down(&cloud).await.unwrap();
}

#[tokio::test]
async fn a_type_that_the_operator_renames_keeps_the_volume() {
    let (fake, cloud) = start().await;
    let asked = with_volume(json!({"name": "data", "size": 1, "type": "X"}));
    up(&cloud, &asked).await.unwrap();
    let made = volumes(&fake);
    fake.world().rename_volume_type("X", "X-legacy");
    is_clean(&cloud, &asked).await;
    is_clean(
        &cloud,
        &with_volume(json!({"name": "data", "size": 1, "type": "X-legacy"})),
    )
    .await;
    assert!(!up_with(&cloud, &asked, &DataLoss::Refused).await.unwrap());
    assert_eq!(volumes(&fake), made);
}

/// The fake tells zone `nova` and no config drive of every server, whatever was asked.
#[tokio::test]
async fn a_server_s_zone_and_drive_are_what_was_asked() {
    let (fake, cloud) = start().await;
    let yard = |more: Value| {
        let mut server = json!({"name": "web", "flavor": "m1.nano", "image": "tiny"});
        server
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        shop(json!({"networks": [{"name": "front", "cidr": "10.20.0.0/24"}], "servers": [server]}))
    };
    let asked = json!({"availabilityZone": "east:node-7", "configDrive": true});
    up(&cloud, &yard(asked.clone())).await.unwrap();
    is_clean(&cloud, &yard(asked.clone())).await;
    // New metadata keeps the record.
    let mut tagged = asked.clone();
    tagged["metadata"] = json!({"tier": "web"});
    assert!(up(&cloud, &yard(tagged.clone())).await.unwrap());
    is_clean(&cloud, &yard(tagged)).await;
    assert!(
        up(&cloud, &yard(json!({"metadata": {"tier": "db"}})))
            .await
            .unwrap()
    );
    is_clean(
        &cloud,
        &yard(json!({"metadata": {"tier": "db"}, "availabilityZone": "east", "configDrive": true})),
    )
    .await;
    // A flavor by its id, and by its name.
    is_clean(
        &cloud,
        &yard(json!({"metadata": {"tier": "db"}, "flavor": "m1.nano"})),
    )
    .await;
    let moved = plan(
        &cloud,
        &yard(json!({"metadata": {"tier": "db"}, "availabilityZone": "west"})),
    )
    .await;
    assert_eq!(moved.summary().replace, 1);
    down(&cloud).await.unwrap();
    assert_eq!(fake.world().left(), Vec::<String>::new());
}

#[tokio::test]
async fn resources_without_a_record_are_compared_with_what_the_cloud_has() {
    let (fake, cloud) = start().await;
    let asked = with_volume(json!({"name": "data", "size": 1, "type": "X"}));
    up(&cloud, &asked).await.unwrap();
    fake.world().forget_metadata("volumes", "stackyard.type");
    is_clean(&cloud, &asked).await;
    let other = plan(
        &cloud,
        &with_volume(json!({"name": "data", "size": 1, "type": "Y"})),
    )
    .await;
    assert_eq!(other.summary().lose_data, 1, "{other}");
}

#[tokio::test]
async fn a_restored_backup_is_no_double() {
    let (fake, cloud) = start().await;
    let yard = with_volume(json!({"name": "data", "size": 1}));
    up(&cloud, &yard).await.unwrap();
    let made = volumes(&fake).remove(0);
    // Cinder restores the metadata, too.
    let copy = fake.world().copy_volume(&made);
    assert!(up_with(&cloud, &yard, &DataLoss::Refused).await.unwrap());
    assert_eq!(
        volumes(&fake),
        std::slice::from_ref(&made),
        "a double of the same moment goes"
    );
    let later = fake.world().copy_volume(&made);
    assert_ne!(copy, later);
    fake.world()
        .set("volumes", &made, "created_at", "2026-01-01T00:00:00.000000");
    let error = up_with(&cloud, &yard, &DataLoss::Refused)
        .await
        .unwrap_err();
    assert_eq!(lost(&error), ["volume data"]);
    assert_eq!(volumes(&fake), [made, later]);
}

#[tokio::test]
async fn a_volume_whose_creation_fails_is_taken_back() {
    let (fake, cloud) = start().await;
    let yard = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "volumes": [{"name": "data", "size": 1}],
        "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny", "bootVolume": {"size": 2}, "volumes": ["data"]}],
    }));
    fake.world().fail_volumes(2);
    let error = up_with(&cloud, &yard, &DataLoss::Refused)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("it is removed again, and the next `up` creates it"),
        "{error}"
    );
    assert_eq!(volumes(&fake), Vec::<String>::new());
    // Nothing was lost by that, so that nothing has to be allowed.
    assert!(up_with(&cloud, &yard, &DataLoss::Refused).await.unwrap());
    // One that fails later has had data.
    let id = volumes(&fake).remove(0);
    fake.world().set("volumes", &id, "status", "error");
    assert!(matches!(
        up_with(&cloud, &yard, &DataLoss::Refused).await,
        Err(Error::DataLoss(_))
    ));
}

#[tokio::test]
async fn a_server_that_never_ran_is_replaced_with_its_boot_volume_kept() {
    let (fake, cloud) = start().await;
    let yard = shop(json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "servers": [{"name": "db", "flavor": "m1.nano", "image": "tiny", "bootVolume": {"size": 2}}],
    }));
    up(&cloud, &yard).await.unwrap();
    let made = volumes(&fake);
    fake.world().break_server("db", true);
    let error = up_with(&cloud, &yard, &DataLoss::Refused)
        .await
        .unwrap_err();
    assert_eq!(lost(&error), ["volume db/boot"]);
    fake.world().break_server("db", false);
    assert!(up_with(&cloud, &yard, &DataLoss::Refused).await.unwrap());
    assert_eq!(volumes(&fake), made);
    converges(&fake, &yard).await.unwrap();
}

/// The way of the command line and of the server: refused before anything is done, carried out with
/// the word, and nothing more than what was confirmed.
#[tokio::test]
async fn work_refuses_what_was_not_allowed() {
    let (fake, cloud) = start().await;
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let lock = records.lock("shop", &scope(&cloud).await.unwrap()).unwrap();
    let read = |volumes: &str| {
        let text = format!(
            "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  networks:\n    - {{name: front}}\n  \
             volumes: [{volumes}]\n"
        );
        manifest::read_with("yard.yaml", text, Arc::new(Memory::default())).unwrap()
    };
    let carry_out = async |volumes: &str, loss: &dyn Fn(&UpOperation<'_>) -> DataLoss| {
        let yard = read(volumes);
        let bringing = UpOperation::look(&yard, &cloud, None, None, &|_| {})
            .await
            .unwrap();
        let choices = bringing.preflight().await.unwrap().choices;
        bringing
            .carry_out(&lock, &choices, &loss(&bringing), &())
            .await
            .map(drop)
    };
    let refused = |_: &UpOperation<'_>| DataLoss::Refused;
    carry_out("{name: data, size: 1}, {name: more, size: 1}", &refused)
        .await
        .unwrap();
    fake.fail(|_, _| None);
    let Err(WorkError::Yard(error)) = carry_out("{name: new, size: 1}", &refused).await else {
        panic!("it is done")
    };
    assert_eq!(lost(&error), ["volume data", "volume more"]);
    assert!(
        fake.seen().iter().all(|s| s.method == "GET"),
        "{:?}",
        fake.seen()
    );
    // What was confirmed before is not what is lost now.
    let old = UpOperation::look(&read("{name: data, size: 1}"), &cloud, None, None, &|_| {})
        .await
        .unwrap()
        .plan;
    let confirmed = DataLoss::confirmed(&old);
    let Err(WorkError::Yard(error)) = carry_out("", &|_| confirmed.clone()).await else {
        panic!("it is done")
    };
    assert_eq!(lost(&error), ["volume data"]);
    carry_out("{name: data, size: 1}", &|b| DataLoss::confirmed(&b.plan))
        .await
        .unwrap();
    assert_eq!(fake.world().count("volumes"), 1);

    let removal = DownOperation::look("shop", [Kind::Volume].into(), &cloud, None, &|_| {})
        .await
        .unwrap();
    let refused = removal
        .carry_out(&lock, false, &DataLoss::Refused, &(), &|_| {})
        .await;
    let Err(WorkError::Yard(error)) = refused else {
        panic!("it is gone")
    };
    assert_eq!(lost(&error), ["volume data"]);
    assert_eq!(fake.world().count("volumes"), 1);
    removal
        .carry_out(&lock, false, &DataLoss::Allowed, &(), &|_| {})
        .await
        .unwrap();
    assert_eq!(fake.world().left(), Vec::<String>::new());
}
