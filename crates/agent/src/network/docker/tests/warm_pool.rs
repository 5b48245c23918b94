//! Ports that are ready before they are asked for.

use crate::network::ledger::Spare;
use crate::network::observed::Suspects;
use crate::network::tests::{Fixture, run_container, view};
use serde_json::json;
use stackyard_fake::Fault;

#[tokio::test]
async fn ports_that_are_ready_cost_no_request() {
    let mut fixture = Fixture::new().await;
    fixture.manager.pool = "2-3".parse().unwrap();
    let pools = fixture.dual_network().await;
    let before = fixture.fake.world().left();
    fixture.requests();
    fixture.manager.tend().await.unwrap();
    assert_eq!(fixture.requests(), ["POST /ports"], "three at once");
    assert_eq!(fixture.ports(), 3);
    assert_eq!(fixture.fake_wiring.0.lock().unwrap().len(), 3, "plugged");
    let seen = view(&[]);
    fixture.pass(&seen, &mut Suspects::default()).await;
    assert_eq!(fixture.ports(), 3, "they belong here");

    fixture.requests();
    let mac = run_container(&fixture, &pools, "e1").await;
    assert_eq!(fixture.requests(), Vec::<String>::new(), "not one before it runs");
    let (port, ready) = (fixture.manager.ledger.endpoints.get("e1").unwrap().port, fixture.manager.ledger.spares.all());
    assert!(ready.len() == 2 && !ready.contains_key(&port));
    // Killed before the port was told whose it is: it is the container's by its MAC address.
    fixture.restart().await;
    fixture.manager.pool = "2-3".parse().unwrap();
    let seen = view(&[("e1", "n2", &mac)]);
    fixture.pass(&seen, &mut Suspects::default()).await;
    assert_eq!(fixture.ports(), 3);
    fixture.requests();
    fixture.manager.tend().await.unwrap();
    assert_eq!(fixture.requests(), ["POST /ports".to_owned(), format!("PUT /ports/{port}")], "one more, and its name");
    let named: stackyard_openstack::Port = fixture.manager.cloud().unwrap().get(&port).await.unwrap();
    assert_eq!(named.device_id, "e1");

    // Own addresses and a name in DNS need a port of their own; options that only change one change one.
    fixture.requests();
    let interface = json!({"Address": "10.6.0.200/24"});
    let of = json!({"NetworkID": "n2", "EndpointID": "e2", "Interface": interface, "Options": {}});
    fixture.call("NetworkDriver.CreateEndpoint", of).await;
    assert_eq!(fixture.requests(), ["POST /ports"]);
    for id in ["e1", "e2"] {
        fixture.call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": "n2", "EndpointID": id})).await;
    }
    fixture.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n2"})).await;
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new(), "with the network all of them: {before:?}");
    assert!(fixture.fake_wiring.0.lock().unwrap().is_empty() && fixture.manager.ledger.spares.all().is_empty());
}

#[tokio::test]
async fn a_pool_is_filled_for_what_endpoints_ask_for() {
    let mut fixture = Fixture::new().await;
    fixture.network().await;
    fixture.manager.pool = "1".parse().unwrap();
    fixture.manager.tend().await.unwrap();
    let none = json!({"security-groups": ""});
    fixture.attach("e1", none.clone()).await;
    assert_eq!(fixture.manager.ledger.spares.all().len(), 1, "it has other groups");
    fixture.manager.tend().await.unwrap();
    assert_eq!(fixture.manager.ledger.spares.all().len(), 2);
    fixture.requests();
    let answer = fixture.attach("e2", none).await;
    assert!(answer["Interface"]["MacAddress"].is_string());
    fixture.attach("e3", json!({})).await;
    assert_eq!(fixture.requests(), Vec::<String>::new());
    fixture.attach("e4", json!({})).await;
    assert_eq!(fixture.requests(), ["POST /ports"], "an empty pool is no pool");
}

/// Wherever a plugin is killed while it fills a pool or gives it back, the next one finds its ports.
#[tokio::test]
async fn killed_while_a_pool_is_filled_nothing_is_left() {
    for at in 0..4 {
        let mut fixture = Fixture::new().await;
        let _pools = fixture.dual_network().await;
        let before = fixture.fake.world().left();
        fixture.manager.pool = "3".parse().unwrap();
        // The answer is lost, or all is there but the network is not Docker's any more.
        if at == 0 {
            fixture.fake.fail(|_, seen| (seen.method == "POST").then_some(Fault::AnswerLost));
            fixture.manager.tend().await.unwrap_err();
            fixture.requests();
        } else {
            fixture.manager.tend().await.unwrap();
        }
        if at == 1 {
            // Before the ports were written down.
            std::fs::remove_dir_all(fixture.dir.path().join("spares")).unwrap();
        }
        if at == 2 {
            // Before they were plugged.
            fixture.fake_wiring.0.lock().unwrap().clear();
        }
        fixture.restart().await;
        if at == 2 {
            fixture.manager.pool = "3".parse().unwrap();
            let mut spares = fixture.manager.ledger.spares.all();
            let (port, spare) = spares.pop_first().unwrap();
            fixture.manager.ledger.spares.put(&port, &Spare { ready: false, ..spare }).unwrap();
            fixture.manager.tend().await.unwrap();
            assert!(fixture.manager.ledger.spares.all().values().all(|s| s.ready));
            assert_eq!(fixture.ports(), 3);
        }
        let mut nothing = view(&[]);
        if at > 1 {
            nothing.networks.clear();
        }
        let mut suspects = Suspects::default();
        fixture.pass(&nothing, &mut suspects).await;
        if at > 1 {
            // The network goes in the same pass, and after its ports in the next.
            fixture.pass(&nothing, &mut suspects).await;
            assert_eq!(fixture.fake.world().left(), Vec::<String>::new(), "killed at {at}");
        } else {
            assert_eq!(fixture.fake.world().left(), before, "killed at {at}");
        }
        assert!(fixture.fake_wiring.0.lock().unwrap().is_empty(), "killed at {at}");
    }
}
