//! Ports that are made ahead, against the fake cloud; what Docker says of containers is written down here.

use super::{NetworkDemand, look};
use crate::network::observed::Suspects;
use crate::network::tests::{Fixture, run_container, view};
use bollard::models::ContainerSummary;
use serde_json::{Value, json};
use stackyard_fake::Fault;
use std::collections::HashSet;
use std::time::Duration;

const NET: &str = "n2";

fn summary(id: &str, state: &str, network: &str, created: i64, on: Value) -> ContainerSummary {
    let networks = json!({ network: on });
    let all = json!({"Id": id, "State": state, "Created": created, "NetworkSettings": {"Networks": networks}});
    serde_json::from_value(all).unwrap()
}

fn ids(of: &[&str]) -> HashSet<String> {
    of.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn who_is_about_to_start() {
    let none = std::iter::empty;
    let now = 1_000_000;
    let new = |id: &str, on: Value| summary(id, "created", "web", now - 1, on);
    let names = ["id-of-web", "web"];
    let three = [
        new("a", json!({})),
        new("b", json!({"IPAMConfig": null})),
        new("c", json!({"IPAMConfig": {"IPv4Address": ""}})),
    ];
    assert_eq!(look(&three, &names, none(), now), (ids(&["a", "b", "c"]), 0));
    // Docker knows the network's id once a container has been on it; the user may have named it by a part of that.
    let by_id = [summary("a", "created", "id-of", now, json!({"NetworkID": "id-of-web"}))];
    assert_eq!(look(&by_id, &names, none(), now), (ids(&["a"]), 0));
    let others = [
        summary("a", "created", "db", now, json!({"NetworkID": "id-of-db"})),
        summary("b", "created", "web", now - 3600, json!({})),
        summary("c", "exited", "web", now, json!({})),
        new("d", json!({"IPAMConfig": {"IPv4Address": "10.6.0.9"}})),
        new("e", json!({"IPAMConfig": {"IPv6Address": "fd00:6::9"}})),
    ];
    assert_eq!(look(&others, &names, none(), now), (ids(&[]), 0));
    // One has its endpoint and one its address; the endpoints of those that run are known.
    let mut all = three.to_vec();
    all.push(summary("d", "running", "web", now, json!({"EndpointID": "e1", "MacAddress": "02:00:00:00:00:01"})));
    all.push(summary("e", "running", "web", now, json!({"EndpointID": "e2", "MacAddress": "02:00:00:00:00:02"})));
    let held = [
        ("e1", "02:00:00:00:00:01"),
        ("02:00:00:00:00:02", "02:00:00:00:00:02"),
        ("e3", "02:00:00:00:00:03"),
        ("02:00:00:00:00:04", "02:00:00:00:00:04"),
    ];
    assert_eq!(look(&all, &names, held.into_iter(), now), (ids(&["a", "b", "c"]), 2));
}

#[test]
fn ports_are_lacking_for_those_who_have_none_and_may_come() {
    let mut demand = NetworkDemand { own: 1, ahead: 2, ..NetworkDemand::default() };
    assert_eq!(demand.lacks(ids(&["a", "b", "c", "d", "e"]), 1), 1);
    assert_eq!(demand.lacks(ids(&["a", "b", "c"]), 1), 0);
    // The last of them does not come: what was made for it is given back, and not made again.
    (demand.own, demand.ahead) = (0, 0);
    assert_eq!(demand.lacks(ids(&["c"]), 0), 1);
    demand.ignore();
    assert_eq!(demand.lacks(ids(&["c"]), 0), 0);
    assert_eq!(demand.lacks(ids(&["c", "d", "e"]), 0), 2);
    assert!(demand.lacks(ids(&["d"]), 0) == 1 && demand.ignored.is_empty());
}

#[tokio::test]
async fn containers_take_ports_that_were_made_ahead() {
    let mut fixture = Fixture::new().await;
    let pools = fixture.dual_network().await;
    fixture.requests();
    fixture.manager.make_some(NET, 3).await.unwrap();
    assert_eq!(fixture.requests(), ["POST /ports"], "three in one request");
    assert!(fixture.fake_wiring.0.lock().unwrap().is_empty(), "plugged when a container takes it");
    fixture.pass(&view(&[]), &mut Suspects::default()).await;
    assert_eq!(fixture.ports(), 3, "they belong here");
    fixture.requests();
    run_container(&fixture, &pools, "e1").await;
    run_container(&fixture, &pools, "e2").await;
    fixture.manager.tend().await.unwrap();
    assert_eq!(fixture.requests(), Vec::<String>::new(), "neither a port nor its name");
    assert_eq!(fixture.fake_wiring.0.lock().unwrap().len(), 2);

    // One with an address of its own needs a port of its own.
    let interface = json!({"Address": "10.6.0.200/24"});
    let of = json!({"NetworkID": NET, "EndpointID": "e3", "Interface": interface, "Options": {}});
    fixture.call("NetworkDriver.CreateEndpoint", of).await;
    assert_eq!(fixture.requests(), ["POST /ports"]);

    // Nobody came for the third.
    fixture.restart().await;
    fixture.manager.give_back_ahead(Duration::from_secs(3600)).await;
    assert_eq!(fixture.manager.ledger.spares.all().len(), 1, "somebody may still come");
    fixture.manager.give_back_ahead(Duration::ZERO).await;
    assert!(fixture.manager.ledger.spares.all().is_empty());
    assert_eq!(fixture.ports(), 3);
}

#[tokio::test]
async fn who_comes_while_ports_are_made_waits_for_them() {
    let fixture = Fixture::new().await;
    let pools = fixture.dual_network().await;
    fixture.requests();
    fixture.manager.prefetch.with(NET, |demand| demand.ahead = 2);
    let both = async { (run_container(&fixture, &pools, "e1").await, run_container(&fixture, &pools, "e2").await) };
    tokio::join!(both, fixture.manager.make_ahead(NET, 2));
    assert_eq!(fixture.requests(), ["POST /ports"]);
    assert_eq!(fixture.manager.ledger.endpoints.all().len(), 2);
    // Then there is none, and none being made.
    run_container(&fixture, &pools, "e3").await;
    assert_eq!(fixture.requests(), ["POST /ports"]);
    assert!(fixture.manager.prefetch.with(NET, |demand| demand.look && demand.own == 0 && demand.ahead == 0));
}

#[tokio::test]
async fn who_waits_for_ports_that_cannot_be_made_hears_why() {
    let fixture = Fixture::new().await;
    let pools = fixture.dual_network().await;
    fixture.requests();
    fixture.fake.fail(|_, seen| (seen.path.ends_with("/ports")).then_some(Fault::Status(409)));
    fixture.manager.prefetch.with(NET, |demand| demand.ahead = 1);
    let ask = json!({"PoolID": pools.0, "Address": "", "Options": {}});
    let (refused, ()) =
        tokio::join!(fixture.try_call("IpamDriver.RequestAddress", ask), fixture.manager.make_ahead(NET, 1));
    assert!(refused.unwrap_err().contains("409"));
    assert_eq!(fixture.requests(), ["POST /ports", "POST /ports"], "ahead, and its own");
    assert_eq!((fixture.ports(), fixture.manager.ledger.endpoints.all().len()), (0, 0));
}

#[tokio::test]
async fn a_network_goes_with_what_was_made_ahead() {
    let fixture = Fixture::new().await;
    fixture.dual_network().await;
    fixture.manager.prefetch.with(NET, |demand| demand.ahead = 2);
    // Docker may remove the network while they are being made.
    let remove = fixture.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": NET}));
    tokio::join!(remove, fixture.manager.make_ahead(NET, 2));
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
    assert!(fixture.manager.ledger.spares.all().is_empty());
}
