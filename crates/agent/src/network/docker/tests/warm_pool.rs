//! Ports that are ready before they are asked for.

use crate::network::ledger::Spare;
use crate::network::observed::Suspects;
use crate::network::tests::{Ground, run_container, view};
use serde_json::json;
use stackyard_fake::Fault;

#[tokio::test]
async fn ports_that_are_ready_cost_no_request() {
    let mut ground = Ground::new().await;
    ground.plugin.pool = "2-3".parse().unwrap();
    let pools = ground.dual_network().await;
    let before = ground.fake.world().left();
    ground.requests();
    ground.plugin.tend().await.unwrap();
    assert_eq!(ground.requests(), ["POST /ports"], "three at once");
    assert_eq!(ground.ports(), 3);
    assert_eq!(ground.paper.0.lock().unwrap().len(), 3, "plugged");
    let seen = view(&[]);
    ground.pass(&seen, &mut Suspects::default()).await;
    assert_eq!(ground.ports(), 3, "they belong here");

    ground.requests();
    let mac = run_container(&ground, &pools, "e1").await;
    assert_eq!(ground.requests(), Vec::<String>::new(), "not one before it runs");
    let (port, ready) = (ground.plugin.ledger.endpoints.get("e1").unwrap().port, ground.plugin.ledger.spares.all());
    assert!(ready.len() == 2 && !ready.contains_key(&port));
    // Killed before the port was told whose it is: it is the container's by its MAC address.
    ground.restart().await;
    ground.plugin.pool = "2-3".parse().unwrap();
    let seen = view(&[("e1", "n2", &mac)]);
    ground.pass(&seen, &mut Suspects::default()).await;
    assert_eq!(ground.ports(), 3);
    ground.requests();
    ground.plugin.tend().await.unwrap();
    assert_eq!(ground.requests(), ["POST /ports".to_owned(), format!("PUT /ports/{port}")], "one more, and its name");
    let named: stackyard_openstack::Port = ground.plugin.cloud().unwrap().get(&port).await.unwrap();
    assert_eq!(named.device_id, "e1");

    // Own addresses and a name in DNS need a port of their own; options that only change one change one.
    ground.requests();
    let interface = json!({"Address": "10.6.0.200/24"});
    let of = json!({"NetworkID": "n2", "EndpointID": "e2", "Interface": interface, "Options": {}});
    ground.call("NetworkDriver.CreateEndpoint", of).await;
    assert_eq!(ground.requests(), ["POST /ports"]);
    for id in ["e1", "e2"] {
        ground.call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": "n2", "EndpointID": id})).await;
    }
    ground.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n2"})).await;
    assert_eq!(ground.fake.world().left(), Vec::<String>::new(), "with the network all of them: {before:?}");
    assert!(ground.paper.0.lock().unwrap().is_empty() && ground.plugin.ledger.spares.all().is_empty());
}

#[tokio::test]
async fn a_pool_is_filled_for_what_endpoints_ask_for() {
    let mut ground = Ground::new().await;
    ground.network().await;
    ground.plugin.pool = "1".parse().unwrap();
    ground.plugin.tend().await.unwrap();
    let none = json!({"security-groups": ""});
    ground.attach("e1", none.clone()).await;
    assert_eq!(ground.plugin.ledger.spares.all().len(), 1, "it has other groups");
    ground.plugin.tend().await.unwrap();
    assert_eq!(ground.plugin.ledger.spares.all().len(), 2);
    ground.requests();
    let answer = ground.attach("e2", none).await;
    assert!(answer["Interface"]["MacAddress"].is_string());
    ground.attach("e3", json!({})).await;
    assert_eq!(ground.requests(), Vec::<String>::new());
    ground.attach("e4", json!({})).await;
    assert_eq!(ground.requests(), ["POST /ports"], "an empty pool is no pool");
}

/// Wherever a plugin is killed while it fills a pool or gives it back, the next one finds its ports.
#[tokio::test]
async fn killed_while_a_pool_is_filled_nothing_is_left() {
    for at in 0..4 {
        let mut ground = Ground::new().await;
        let _pools = ground.dual_network().await;
        let before = ground.fake.world().left();
        ground.plugin.pool = "3".parse().unwrap();
        // The answer is lost, or all is there but the network is not Docker's any more.
        if at == 0 {
            ground.fake.fail(|_, seen| (seen.method == "POST").then_some(Fault::AnswerLost));
            ground.plugin.tend().await.unwrap_err();
            ground.requests();
        } else {
            ground.plugin.tend().await.unwrap();
        }
        if at == 1 {
            // Before the ports were written down.
            std::fs::remove_dir_all(ground.dir.path().join("spares")).unwrap();
        }
        if at == 2 {
            // Before they were plugged.
            ground.paper.0.lock().unwrap().clear();
        }
        ground.restart().await;
        if at == 2 {
            ground.plugin.pool = "3".parse().unwrap();
            let mut spares = ground.plugin.ledger.spares.all();
            let (port, spare) = spares.pop_first().unwrap();
            ground.plugin.ledger.spares.put(&port, &Spare { ready: false, ..spare }).unwrap();
            ground.plugin.tend().await.unwrap();
            assert!(ground.plugin.ledger.spares.all().values().all(|s| s.ready));
            assert_eq!(ground.ports(), 3);
        }
        let mut nothing = view(&[]);
        if at > 1 {
            nothing.networks.clear();
        }
        let mut suspects = Suspects::default();
        ground.pass(&nothing, &mut suspects).await;
        if at > 1 {
            // The network goes in the same pass, and after its ports in the next.
            ground.pass(&nothing, &mut suspects).await;
            assert_eq!(ground.fake.world().left(), Vec::<String>::new(), "killed at {at}");
        } else {
            assert_eq!(ground.fake.world().left(), before, "killed at {at}");
        }
        assert!(ground.paper.0.lock().unwrap().is_empty(), "killed at {at}");
    }
}
