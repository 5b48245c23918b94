//! Ports in firewall groups.

use super::{END, detach, try_attach};
use crate::network::observed::Suspects;
use crate::network::tests::{Ground, view};
use serde_json::json;
use stackyard_fake::Fault;
use stackyard_openstack::{FirewallGroup, NewFirewallGroup, Port};

async fn guarded(servers: bool) -> (Ground, String) {
    let ground = Ground::new().await;
    if servers {
        ground.fake.world().guards_servers();
    }
    ground.network().await;
    let new = NewFirewallGroup { name: "guard".into(), ..NewFirewallGroup::default() };
    let group: FirewallGroup = ground.plugin.cloud().unwrap().create(&new).await.unwrap();
    ground.requests();
    (ground, group.id)
}

async fn in_group(ground: &Ground, group: &str) -> Vec<String> {
    ground.plugin.cloud().unwrap().get::<FirewallGroup>(group).await.unwrap().ports
}

#[tokio::test]
async fn a_port_is_in_its_firewall_group() {
    let (ground, group) = guarded(true).await;
    let options = json!({"firewall-group": "guard"});
    try_attach(&ground, &options).await.unwrap();
    ground.attach("e2", options).await;
    let port = |end: &str| ground.plugin.ledger.endpoints.get(end).unwrap().port;
    assert_eq!(in_group(&ground, &group).await, [port(END), port("e2")]);
    // Another's change has lost one.
    let lost = json!({"ports": [port("e2")]});
    ground.plugin.cloud().unwrap().update::<FirewallGroup>(&group, &lost).await.unwrap();
    let ends: Vec<_> = ground.plugin.ledger.endpoints.all().into_iter().map(|(key, e)| (key, e.mac)).collect();
    let known: Vec<_> = ends.iter().map(|(key, mac)| (key.as_str(), "n1", mac.as_str())).collect();
    ground.pass(&view(&known), &mut Suspects::default()).await;
    assert_eq!(in_group(&ground, &group).await, [port("e2"), port(END)]);
    detach(&ground).await.unwrap();
    assert_eq!(in_group(&ground, &group).await, [port("e2")]);
}

#[tokio::test]
async fn changes_at_the_same_time_lose_no_port() {
    let (ground, group) = guarded(true).await;
    let options = json!({"firewall-group": "guard"});
    let ends = ["a", "b", "c", "d", "e"];
    futures_util::future::join_all(ends.iter().map(|end| ground.attach(end, options.clone()))).await;
    assert_eq!(in_group(&ground, &group).await.len(), ends.len());
}

#[tokio::test]
async fn an_existing_port_leaves_the_group_with_its_container() {
    let (ground, group) = guarded(true).await;
    let neutron = ground.plugin.ledger.networks.get("n1").unwrap().neutron;
    let new = stackyard_openstack::NewPort { network_id: neutron, name: "vip".into(), ..Default::default() };
    let port: Port = ground.plugin.cloud().unwrap().create(&new).await.unwrap();
    try_attach(&ground, &json!({"port": "vip", "firewall-group": "guard"})).await.unwrap();
    assert_eq!(in_group(&ground, &group).await, [port.id]);
    detach(&ground).await.unwrap();
    assert_eq!(in_group(&ground, &group).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cloud_that_guards_routers_alone_guards_a_networks_router() {
    let (ground, group) = guarded(false).await;
    let before = ground.fake.world().left();
    let error = try_attach(&ground, &json!({"firewall-group": "guard"})).await.unwrap_err();
    assert!(error.contains("not supported by firewall driver") && error.contains("`external`"), "{error}");
    assert_eq!(ground.fake.world().left(), before);
    let generic = json!({"subnet": "10.9.0.0/24", "external": "public", "firewall-group": "guard"});
    let body = json!({"NetworkID": "n9", "Options": {"com.docker.network.generic": generic},
        "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    ground.call("NetworkDriver.CreateNetwork", body).await;
    assert_eq!(in_group(&ground, &group).await.len(), 1);
    ground.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "n9"})).await;
    assert_eq!(ground.fake.world().left(), before);
    let error = try_attach(&ground, &json!({"firewall-group": "nowhere"})).await.unwrap_err();
    assert!(error.contains("there is no firewall group \"nowhere\""), "{error}");
    ground.fake.fail(|_, s| s.path.contains("/fwaas/").then_some(Fault::Status(404)));
    let error = try_attach(&ground, &json!({"firewall-group": "other"})).await.unwrap_err();
    assert!(error.contains("this cloud has no firewall groups"), "{error}");
}
