//! Ports in firewall groups.

use super::{END, detach, try_attach};
use crate::network::observed::Suspects;
use crate::network::tests::{Fixture, view};
use serde_json::json;
use stackyard_fake::Fault;
use stackyard_openstack::{FirewallGroup, NewFirewallGroup, Port};

async fn guarded(servers: bool) -> (Fixture, String) {
    let fixture = Fixture::new().await;
    if servers {
        fixture.fake.world().guards_servers();
    }
    fixture.network().await;
    let new = NewFirewallGroup { name: "guard".into(), ..NewFirewallGroup::default() };
    let group: FirewallGroup = fixture.manager.cloud().unwrap().create(&new).await.unwrap();
    fixture.requests();
    (fixture, group.id)
}

async fn in_group(fixture: &Fixture, group: &str) -> Vec<String> {
    fixture.manager.cloud().unwrap().get::<FirewallGroup>(group).await.unwrap().ports
}

#[tokio::test]
async fn a_port_is_in_its_firewall_group() {
    let (fixture, group) = guarded(true).await;
    let options = json!({"firewall-group": "guard"});
    try_attach(&fixture, &options).await.unwrap();
    fixture.attach("e2", options).await;
    let port = |end: &str| fixture.manager.ledger.endpoints.get(end).unwrap().port;
    assert_eq!(in_group(&fixture, &group).await, [port(END), port("e2")]);
    // Another's change has lost one.
    let lost = json!({"ports": [port("e2")]});
    fixture.manager.cloud().unwrap().update::<FirewallGroup>(&group, &lost).await.unwrap();
    let ends: Vec<_> = fixture.manager.ledger.endpoints.all().into_iter().map(|(key, e)| (key, e.mac)).collect();
    let known: Vec<_> = ends.iter().map(|(key, mac)| (key.as_str(), "n1", mac.as_str())).collect();
    fixture.pass(&view(&known), &mut Suspects::default()).await;
    assert_eq!(in_group(&fixture, &group).await, [port("e2"), port(END)]);
    detach(&fixture).await.unwrap();
    assert_eq!(in_group(&fixture, &group).await, [port("e2")]);
}

#[tokio::test]
async fn changes_at_the_same_time_lose_no_port() {
    let (fixture, group) = guarded(true).await;
    let options = json!({"firewall-group": "guard"});
    let ends = ["a", "b", "c", "d", "e"];
    futures_util::future::join_all(ends.iter().map(|end| fixture.attach(end, options.clone()))).await;
    assert_eq!(in_group(&fixture, &group).await.len(), ends.len());
}

#[tokio::test]
async fn an_existing_port_leaves_the_group_with_its_container() {
    let (fixture, group) = guarded(true).await;
    let neutron = fixture.manager.ledger.networks.get("n1").unwrap().neutron;
    let new = stackyard_openstack::NewPort { network_id: neutron, name: "vip".into(), ..Default::default() };
    let port: Port = fixture.manager.cloud().unwrap().create(&new).await.unwrap();
    try_attach(&fixture, &json!({"port": "vip", "firewall-group": "guard"})).await.unwrap();
    assert_eq!(in_group(&fixture, &group).await, [port.id]);
    detach(&fixture).await.unwrap();
    assert_eq!(in_group(&fixture, &group).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cloud_that_guards_routers_alone_guards_a_networks_router() {
    let (fixture, group) = guarded(false).await;
    let before = fixture.fake.world().left();
    let error = try_attach(&fixture, &json!({"firewall-group": "guard"})).await.unwrap_err();
    assert!(error.contains("not supported by firewall driver") && error.contains("`external`"), "{error}");
    assert_eq!(fixture.fake.world().left(), before);
    let generic = json!({"subnet": "10.9.0.0/24", "external": "public", "firewall-group": "guard"});
    let body = json!({"NetworkID": "n9", "Options": {"com.docker.network.generic": generic},
        "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    fixture.call("NetworkDriver.CreateNetwork", body).await;
    assert_eq!(in_group(&fixture, &group).await.len(), 1);
    fixture.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n9"})).await;
    assert_eq!(fixture.fake.world().left(), before);
    let error = try_attach(&fixture, &json!({"firewall-group": "nowhere"})).await.unwrap_err();
    assert!(error.contains("there is no firewall group \"nowhere\""), "{error}");
    fixture.fake.fail(|_, s| s.path.contains("/fwaas/").then_some(Fault::Status(404)));
    let error = try_attach(&fixture, &json!({"firewall-group": "other"})).await.unwrap_err();
    assert!(error.contains("this cloud has no firewall groups"), "{error}");
}
