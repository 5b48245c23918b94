//! What a pass of the reconciler removes, mends and leaves alone.

use super::MAC;
use crate::network::observed::Suspects;
use crate::network::tests::fake_wiring::device;
use crate::network::tests::{Fixture, view};
use serde_json::json;
use stackyard_fake::Fault;
use std::time::Duration;

#[tokio::test]
async fn a_cloud_without_routers_is_looked_at_too() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    fixture.attach("e1", json!({})).await;
    fixture.fake.fail(|_, seen| seen.path.ends_with("/floatingips").then_some(Fault::Status(404)));
    assert_eq!(fixture.manager.look_at_cloud().await.unwrap().ports.len(), 1);
}

/// The plugin is killed after each call of an attach in turn, and Docker does not come back to it.
#[tokio::test]
async fn killed_after_any_call_nothing_is_left_after_the_next_pass() {
    for calls in 1..=4 {
        let mut fixture = Fixture::new().await;
        let (v4, _) = fixture.dual_network().await;
        fixture.network().await;
        let before = fixture.fake.world().left();
        let mac = json!({"com.docker.network.endpoint.macaddress": MAC});
        let address =
            fixture.call("IpamDriver.RequestAddress", json!({"PoolID": v4, "Address": "", "Options": mac})).await;
        if calls > 1 {
            let interface = json!({"Address": address["Address"], "MacAddress": MAC});
            let body = json!({"NetworkID": "n2", "EndpointID": "e1", "Interface": interface, "Options": {}});
            fixture.call("NetworkDriver.CreateEndpoint", body).await;
        }
        if calls > 2 {
            fixture.attach("e2", json!({"floating-ip": "public"})).await;
        }
        if calls > 3 {
            // The records are lost, too.
            std::fs::remove_dir_all(fixture.dir.path().join("endpoints")).unwrap();
        }
        fixture.restart().await;
        let mut suspects = Suspects::default();
        // While Docker knows the endpoints nothing happens to them.
        let mac2 = "fa:16:3e:00:00:02";
        let known = view(&[("e0", "n2", MAC), ("e1", "n2", MAC), ("e2", "n1", mac2)]);
        fixture.pass(&known, &mut suspects).await;
        assert!(fixture.fake.world().left().len() > before.len());
        fixture.pass(&view(&[]), &mut suspects).await;
        assert_eq!(fixture.fake.world().left(), before, "killed after call {calls}");
        assert!(fixture.fake_wiring.0.lock().unwrap().is_empty(), "killed after call {calls}");
        assert!(fixture.manager.ledger.endpoints.all().is_empty());
    }
}

#[tokio::test]
async fn what_is_being_made_is_not_removed() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    fixture.attach("e1", json!({})).await;
    let (mut suspects, grace) = (Suspects::default(), Duration::from_secs(3600));
    let cloud = fixture.manager.look_at_cloud().await.unwrap();
    fixture.manager.mend(&cloud, &view(&[]), &mut suspects, grace).await;
    assert_eq!(fixture.ports(), 2, "suspected, no more");
    let turn = fixture.manager.locks.lock("e1").await;
    fixture.manager.mend(&cloud, &view(&[]), &mut suspects, Duration::ZERO).await;
    assert_eq!(fixture.ports(), 2, "somebody is at work on it");
    drop(turn);
    fixture.manager.mend(&cloud, &view(&[]), &mut suspects, Duration::ZERO).await;
    assert_eq!(fixture.ports(), 1);
}

#[tokio::test]
async fn a_container_whose_port_is_gone_gets_one_with_its_addresses() {
    let fixture = Fixture::new().await;
    fixture.network().await;
    let answer = fixture.attach("e1", json!({"ip": "10.5.0.77"})).await;
    let before = fixture.manager.ledger.endpoints.get("e1").unwrap();
    fixture.manager.cloud().unwrap().delete::<stackyard_openstack::Port>(&before.port).await.unwrap();
    let seen = view(&[("e1", "n1", &before.mac)]);
    fixture.pass(&seen, &mut Suspects::default()).await;
    let after = fixture.manager.ledger.endpoints.get("e1").unwrap();
    assert_ne!(after.port, before.port);
    assert_eq!((&after.mac, &after.ips, &after.link), (&before.mac, &before.ips, &before.link));
    assert_eq!(answer["Interface"]["Address"], "10.5.0.77/24");
    assert_eq!(fixture.fake_wiring.0.lock().unwrap().get(&device(&before)), Some(&after.port));
    fixture.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e1"})).await;
    assert_eq!(fixture.ports(), 1);
}

#[tokio::test]
async fn a_port_that_its_agent_knows_by_name_gives_the_link_its_own() {
    let fixture = Fixture::on_host("linuxbridge-1").await;
    fixture.network().await;
    fixture.attach("e1", json!({})).await;
    let before = fixture.manager.ledger.endpoints.get("e1").unwrap();
    assert!(device(&before).starts_with("tap") && !before.vif.network.is_empty());
    fixture.manager.cloud().unwrap().delete::<stackyard_openstack::Port>(&before.port).await.unwrap();
    fixture.pass(&view(&[("e1", "n1", &before.mac)]), &mut Suspects::default()).await;
    let after = fixture.manager.ledger.endpoints.get("e1").unwrap();
    assert_eq!(after.link, after.port);
    let plugged = fixture.fake_wiring.0.lock().unwrap().clone();
    assert_eq!(plugged, [(device(&after), after.port)].into());
}
