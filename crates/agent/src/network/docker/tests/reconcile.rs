//! What a pass of the reconciler removes, mends and leaves alone.

use super::MAC;
use crate::network::observed::Suspects;
use crate::network::tests::fake_wiring::device;
use crate::network::tests::{Ground, view};
use serde_json::json;
use stackyard_fake::Fault;
use std::time::Duration;

#[tokio::test]
async fn a_cloud_without_routers_is_looked_at_too() {
    let ground = Ground::new().await;
    ground.network().await;
    ground.attach("e1", json!({})).await;
    ground.fake.fail(|_, seen| seen.path.ends_with("/floatingips").then_some(Fault::Status(404)));
    assert_eq!(ground.plugin.look_at_cloud().await.unwrap().ports.len(), 1);
}

/// The plugin is killed after each call of an attach in turn, and Docker does not come back to it.
#[tokio::test]
async fn killed_after_any_call_nothing_is_left_after_the_next_pass() {
    for calls in 1..=4 {
        let mut ground = Ground::new().await;
        let (v4, _) = ground.dual_network().await;
        ground.network().await;
        let before = ground.fake.world().left();
        let mac = json!({"com.docker.network.endpoint.macaddress": MAC});
        let address =
            ground.call("IpamDriver.RequestAddress", json!({"PoolID": v4, "Address": "", "Options": mac})).await;
        if calls > 1 {
            let interface = json!({"Address": address["Address"], "MacAddress": MAC});
            let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {}});
            ground.call("NetworkDriver.CreateEndpoint", body).await;
        }
        if calls > 2 {
            ground.attach("e2", json!({"floating-ip": "public"})).await;
        }
        if calls > 3 {
            // The records are lost, too.
            std::fs::remove_dir_all(ground.dir.path().join("endpoints")).unwrap();
        }
        ground.restart().await;
        let mut suspects = Suspects::default();
        // While Docker knows the endpoints nothing happens to them.
        let mac2 = "fa:16:3e:00:00:02";
        let known = view(&[("e0", "n2", MAC), ("e1", "n2", MAC), ("e2", "n1", mac2)]);
        ground.pass(&known, &mut suspects).await;
        assert!(ground.fake.world().left().len() > before.len());
        ground.pass(&view(&[]), &mut suspects).await;
        assert_eq!(ground.fake.world().left(), before, "killed after call {calls}");
        assert!(ground.paper.0.lock().unwrap().is_empty(), "killed after call {calls}");
        assert!(ground.plugin.ledger.endpoints.all().is_empty());
    }
}

#[tokio::test]
async fn what_is_being_made_is_not_removed() {
    let ground = Ground::new().await;
    ground.network().await;
    ground.attach("e1", json!({})).await;
    let (mut suspects, grace) = (Suspects::default(), Duration::from_secs(3600));
    let cloud = ground.plugin.look_at_cloud().await.unwrap();
    ground.plugin.mend(&cloud, &view(&[]), &mut suspects, grace).await;
    assert_eq!(ground.ports(), 2, "suspected, no more");
    let turn = ground.plugin.turns.take("e1").await;
    ground.plugin.mend(&cloud, &view(&[]), &mut suspects, Duration::ZERO).await;
    assert_eq!(ground.ports(), 2, "somebody is at work on it");
    drop(turn);
    ground.plugin.mend(&cloud, &view(&[]), &mut suspects, Duration::ZERO).await;
    assert_eq!(ground.ports(), 1);
}

#[tokio::test]
async fn a_container_whose_port_is_gone_gets_one_with_its_addresses() {
    let ground = Ground::new().await;
    ground.network().await;
    let answer = ground.attach("e1", json!({"ip": "10.5.0.77"})).await;
    let before = ground.plugin.ledger.endpoints.get("e1").unwrap();
    ground.plugin.cloud().unwrap().delete::<stackyard_openstack::Port>(&before.port).await.unwrap();
    let seen = view(&[("e1", "n1", &before.mac)]);
    ground.pass(&seen, &mut Suspects::default()).await;
    let after = ground.plugin.ledger.endpoints.get("e1").unwrap();
    assert_ne!(after.port, before.port);
    assert_eq!((&after.mac, &after.ips, &after.link), (&before.mac, &before.ips, &before.link));
    assert_eq!(answer["Interface"]["Address"], "10.5.0.77/24");
    assert_eq!(ground.paper.0.lock().unwrap().get(&device(&before)), Some(&after.port));
    ground.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e1"})).await;
    assert_eq!(ground.ports(), 1);
}

#[tokio::test]
async fn a_port_that_its_agent_knows_by_name_gives_the_link_its_own() {
    let ground = Ground::on_host("linuxbridge-1").await;
    ground.network().await;
    ground.attach("e1", json!({})).await;
    let before = ground.plugin.ledger.endpoints.get("e1").unwrap();
    assert!(device(&before).starts_with("tap") && !before.vif.network.is_empty());
    ground.plugin.cloud().unwrap().delete::<stackyard_openstack::Port>(&before.port).await.unwrap();
    ground.pass(&view(&[("e1", "n1", &before.mac)]), &mut Suspects::default()).await;
    let after = ground.plugin.ledger.endpoints.get("e1").unwrap();
    assert_eq!(after.link, after.port);
    let plugged = ground.paper.0.lock().unwrap().clone();
    assert_eq!(plugged, [(device(&after), after.port)].into());
}
