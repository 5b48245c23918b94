//! Which steps lose data: one golden plan for each way.

use super::*;
use crate::yard::observed::{COPY, DISK_STAYS, NO_DATA};

/// A yard with a data volume, a server that boots from a volume, a pool and a container.
fn ground(pool: &str, count: u32) -> Value {
    json!({
        "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
        "volumes": [{"name": "data", "size": "1Gi", "type": "fast", "availabilityZone": "a"}],
        "servers": [{"name": "db", "flavor": "f", "image": "i", "bootVolume": {"size": 2}}],
        "hosts": [{"pool": pool, "count": count, "flavor": "f", "image": "i", "dataVolume": {"size": "2Gi"}}],
        "objectContainers": [{"name": "files", "purge": true}],
    })
}

fn change(toy: &mut Toy, key: &str, change: impl FnOnce(&mut Seen)) {
    change(toy.observed.resources.iter_mut().find(|s| s.key.to_string() == key).unwrap());
}

fn lost(plan: &Plan) -> Vec<String> {
    plan.losses().map(|s| s.key.to_string()).collect()
}

#[test]
fn a_volume_that_leaves_the_manifest() {
    let toy = Toy::up(&yard(ground("app", 1)));
    let mut spec = ground("app", 1);
    spec["volumes"] = json!([]);
    insta::assert_snapshot!(text(&yard(spec), &toy.observed), @r"
    - remove   volume data: its data is lost
    1 to remove, 10 unchanged; the data of 1 resource is lost
    ");
}

#[test]
fn a_volume_that_is_replaced() {
    let toy = Toy::up(&yard(ground("app", 1)));
    let mut spec = ground("app", 1);
    spec["volumes"][0]["availabilityZone"] = json!("b");
    let plan = plan(&yard(spec), &toy.observed);
    insta::assert_snapshot!(plan.to_string(), @r"
    ! replace  volume data: its data is lost
                 availability zone a -> b (takes a replacement)
    1 to replace, 10 unchanged; the data of 1 resource is lost
    ");
    // Both halves are marked, and one resource is lost.
    assert_eq!(plan.steps.iter().filter(|s| s.loses_data).count(), 2);
    assert_eq!(lost(&plan), ["volume data"]);
}

#[test]
fn a_boot_volume_that_is_replaced_with_its_server() {
    let toy = Toy::up(&yard(ground("app", 1)));
    let mut spec = ground("app", 1);
    spec["servers"][0]["flavor"] = json!("g");
    insta::assert_snapshot!(text(&yard(spec), &toy.observed), @r"
    ! replace  volume db/boot: server db is replaced; its data is lost
    ! replace  server db: flavor f -> g (takes a replacement)
    2 to replace, 9 unchanged; the data of 1 resource is lost
    ");
}

#[test]
fn a_server_that_never_ran_hands_its_boot_volume_on() {
    let intended = yard(ground("app", 1));
    let mut toy = Toy::up(&intended);
    change(&mut toy, "server db", |s| {
        s.state = State::Broken("it is in ERROR".into());
        s.fields.insert(DISK_STAYS, true.into());
    });
    let plan = plan(&intended, &toy.observed);
    insta::assert_snapshot!(plan.to_string(), @r"
    ! replace  server db: it is in ERROR
    1 to replace, 10 unchanged
    ");
    toy.apply(&intended, &plan);
}

#[test]
fn a_pool_that_is_renamed() {
    let toy = Toy::up(&yard(ground("app", 2)));
    insta::assert_snapshot!(text(&yard(ground("web", 2)), &toy.observed), @r"
    - remove   server app-1
    - remove   server app-2
    - remove   port app-1/front
    - remove   port app-2/front
    - remove   volume app-1/data: `app` is not in the manifest and `web` is new: to rename a pool is to remove it and create another; its data is lost
    - remove   volume app-2/data: its data is lost
    + create   volume web-1/data
    + create   volume web-2/data
    + create   port web-1/front
    + create   port web-2/front
    + create   server web-1
    + create   server web-2
    + create   attachment web-1:web-1/data
    + create   attachment web-2:web-2/data
    8 to create, 6 to remove, 7 unchanged; the data of 2 resources is lost
    ");
}

#[test]
fn a_pool_with_fewer_hosts() {
    let toy = Toy::up(&yard(ground("app", 2)));
    insta::assert_snapshot!(text(&yard(ground("app", 1)), &toy.observed), @r"
    - remove   server app-2
    - remove   port app-2/front
    - remove   volume app-2/data: its data is lost
    3 to remove, 11 unchanged; the data of 1 resource is lost
    ");
}

#[test]
fn containers_with_and_without_objects() {
    let mut toy = Toy::up(&yard(ground("app", 1)));
    let mut spec = ground("app", 1);
    spec["objectContainers"] = json!([]);
    let without = yard(spec);
    for objects in ["0", ""] {
        change(&mut toy, "object container files", |s| drop(s.fields.insert("objects", objects.into())));
        if objects.is_empty() {
            change(&mut toy, "object container files", |s| drop(s.fields.remove("objects")));
        }
        assert_eq!(lost(&plan(&without, &toy.observed)), [""; 0]);
    }
    change(&mut toy, "object container files", |s| drop(s.fields.insert("objects", "3".into())));
    insta::assert_snapshot!(text(&without, &toy.observed), @r"
    - remove   object container files: its objects are lost
    1 to remove, 10 unchanged; the data of 1 resource is lost
    ");
    // Without `purge` it is refused, whatever data may be lost.
    change(&mut toy, "object container files", |s| drop(s.fields.insert("purge", "false".into())));
    let plan = plan(&without, &toy.observed);
    assert_eq!((lost(&plan).len(), plan.refusals.len()), (0, 1));
}

#[test]
fn doubles_hold_data_only_in_use() {
    let intended = yard(ground("app", 1));
    let mut toy = Toy::up(&intended);
    let mut double = toy.observed.get(&Key::new(Kind::Volume, "data")).unwrap().clone();
    (double.id, double.created) = ("double".into(), "9".into());
    toy.observed.resources.push(double.clone());
    insta::assert_snapshot!(text(&intended, &toy.observed), @r"
    - remove   volume data: it is a double
    1 to remove, 11 unchanged
    ");
    // A backup that was restored is none.
    let mut copied = toy.observed.clone();
    copied.resources.last_mut().unwrap().fields.insert(COPY, true.into());
    insta::assert_snapshot!(text(&intended, &copied), @r"
    - remove   volume data: it has another volume's mark, as a restored backup has; its data is lost
    1 to remove, 11 unchanged; the data of 1 resource is lost
    ");
    // All goes: one of the two has the data.
    assert_eq!(lost(&removal("shop", &toy.observed)), ["volume app-1/data", "volume data", "volume db/boot"]);
    // The one that stays is being removed already, so the other one may be what is used.
    change(&mut toy, "volume data", |s| drop(s.fields.insert(NO_DATA, true.into())));
    assert_eq!(lost(&plan(&intended, &toy.observed)), ["volume data"]);
    // Two are in use.
    toy = Toy::up(&intended);
    change(&mut toy, "volume data", |s| s.held = true);
    toy.observed.resources.push(Seen { held: true, ..double });
    assert_eq!(lost(&plan(&intended, &toy.observed)), ["volume data"]);
}

#[test]
fn states_of_volumes() {
    let intended = yard(ground("app", 1));
    let mut toy = Toy::up(&intended);
    change(&mut toy, "volume data", |s| s.state = State::Broken("it is in state error".into()));
    insta::assert_snapshot!(text(&intended, &toy.observed), @r"
    ! replace  volume data: it is in state error; its data is lost
    1 to replace, 10 unchanged; the data of 1 resource is lost
    ");
    change(&mut toy, "volume data", |s| {
        s.state = State::Broken("it is being removed".into());
        s.fields.insert(NO_DATA, true.into());
    });
    insta::assert_snapshot!(text(&intended, &toy.observed), @r"
    ! replace  volume data: it is being removed
    1 to replace, 10 unchanged
    ");
}

#[test]
fn json_has_the_mark_only_where_data_is_lost() {
    let toy = Toy::up(&yard(ground("app", 1)));
    let steps = serde_json::to_value(removal("shop", &toy.observed)).unwrap()["steps"].clone();
    let steps = steps.as_array().unwrap();
    let of = |kind: &str| steps.iter().find(|s| s["key"]["kind"] == kind).unwrap();
    assert_eq!(of("volume")["loses_data"], true);
    assert!(of("server").get("loses_data").is_none());
}
