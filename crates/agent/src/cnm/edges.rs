//! What an endpoint wants beside its port: load balancers, firewall groups, published and exposed ports.

use super::ledger::Stage;
use super::reconcile::{Suspects, View};
use super::tests::{Ground, view};
use serde_json::{Value, json};
use stackyard_fake::Fault;
use stackyard_openstack::{
    FirewallGroup, LoadBalancer, LoadBalancerPool, Member, NewFirewallGroup, NewListener, NewLoadBalancer, NewMember,
    NewPool, Port, SecurityGroup,
};
use stackyard_wire::WayOut;
use std::time::Duration;

const END: &str = "e1";

/// Docker's view with the endpoint and without it.
fn seen(ground: &Ground) -> View {
    let mac = ground.plugin.ledger.endpoints.get(END).map(|e| e.mac).unwrap_or_default();
    view(&[(END, "n1", &mac)])
}

async fn detach(ground: &Ground) -> Result<Value, String> {
    ground.try_call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": "n1", "EndpointID": END})).await
}

async fn try_attach(ground: &Ground, options: &Value) -> Result<Value, String> {
    let body = json!({"NetworkID": "n1", "EndpointID": END, "Interface": {}, "Options": options});
    ground.try_call("NetworkDriver.CreateEndpoint", body).await
}

/// A network, and on it a load balancer with a pool `web` that has a member of somebody else's; the pool's id.
async fn balanced() -> (Ground, String) {
    let ground = Ground::new().await;
    ground.fake.world().take_time(Duration::ZERO);
    ground.network().await;
    let subnet = ground.plugin.ledger.networks.get("n1").unwrap().subnets[0].id.clone();
    let member = NewMember { address: "10.5.0.9".into(), protocol_port: 80, ..NewMember::default() };
    let pool = NewPool {
        name: "web".into(),
        lb_algorithm: "SOURCE_IP_PORT".into(),
        members: vec![member],
        ..NewPool::default()
    };
    let listener =
        NewListener { protocol: "TCP".into(), protocol_port: 80, default_pool: Some(pool), ..NewListener::default() };
    let new = NewLoadBalancer {
        name: "lb".into(),
        description: "of a test".into(),
        vip_subnet_id: Some(subnet),
        listeners: vec![listener],
        ..NewLoadBalancer::default()
    };
    let cloud = ground.plugin.cloud().unwrap();
    let _: LoadBalancer = cloud.create(&new).await.unwrap();
    let pool: LoadBalancerPool = cloud.need("web").await.unwrap();
    ground.requests();
    (ground, pool.id)
}

async fn members(ground: &Ground, pool: &str) -> Vec<(String, u16, Option<u32>)> {
    let members = ground.plugin.cloud().unwrap().members(pool).await.unwrap();
    members.into_iter().map(|m: Member| (m.address, m.protocol_port, m.weight)).collect()
}

fn others() -> Vec<(String, u16, Option<u32>)> {
    vec![("10.5.0.9".to_owned(), 80, None)]
}

#[tokio::test]
async fn a_container_is_a_member_while_it_runs() {
    let (ground, pool) = balanced().await;
    let options = json!({"load-balancer": "web:8080=5"});
    try_attach(&ground, &options).await.unwrap();
    let asked = ground.requests();
    assert!(asked.iter().all(|r| !r.starts_with("PUT")), "the attach does not wait for Octavia: {asked:?}");
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(ground.requests().len(), 1, "one request for all");
    let address = ground.plugin.ledger.endpoints.get(END).unwrap().ips[0].ip_address.clone().unwrap();
    assert!(members(&ground, &pool).await.contains(&(address.clone(), 8080, Some(5))));
    // Somebody removes it; the reconciler has it made again.
    ground.plugin.cloud().unwrap().set_members(&pool, &[]).await.unwrap();
    let mut suspects = Suspects::default();
    ground.pass(&seen(&ground), &mut suspects).await;
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(members(&ground, &pool).await, [(address.clone(), 8080, Some(5))]);
    // Its load balancer is changing: the container goes all the same, the member later.
    ground.fake.world().take_time(Duration::from_millis(200));
    let other = NewMember { address: "10.5.0.9".into(), protocol_port: 80, ..NewMember::default() };
    ground.plugin.cloud().unwrap().add_members(&pool, &[other]).await.unwrap();
    detach(&ground).await.unwrap();
    assert_eq!(members(&ground, &pool).await.len(), 2);
    assert!(ground.plugin.tend_members().await.unwrap_err().to_string().contains("immutable"));
    tokio::time::sleep(Duration::from_millis(250)).await;
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(members(&ground, &pool).await, others());
    assert!(ground.plugin.ledger.members.all().is_empty());
}

#[tokio::test]
async fn one_with_the_same_address_takes_the_place_over() {
    let (ground, pool) = balanced().await;
    let options = json!({"load-balancer": "web:80", "ip": "10.5.0.77"});
    try_attach(&ground, &options).await.unwrap();
    ground.plugin.tend_members().await.unwrap();
    // Octavia is away while one goes and the next comes.
    ground.fake.fail(|_, s| (s.path.contains("/members") && s.method != "GET").then_some(Fault::Status(409)));
    detach(&ground).await.unwrap();
    assert_eq!(ground.plugin.ledger.members.all().values().next().unwrap().stage, Stage::Unwanted);
    ground.attach("e2", options).await;
    ground.fake.fail(|_, _| None);
    ground.plugin.tend_members().await.unwrap();
    assert_eq!(members(&ground, &pool).await.len(), 2);
    let records = ground.plugin.ledger.members.all();
    assert_eq!(records.values().map(|m| (m.endpoint.as_str(), m.stage)).collect::<Vec<_>>(), [("e2", Stage::There)]);
}

#[tokio::test]
async fn mistakes_about_load_balancers_are_said_before_there_is_a_port() {
    let (ground, _) = balanced().await;
    let before = ground.ports();
    for (option, said) in [("db:80", "there is no pool \"db\""), ("web", "POOL:PORT")] {
        let error = try_attach(&ground, &json!({"load-balancer": option})).await.unwrap_err();
        assert!(error.contains(said), "{error}");
        assert_eq!(ground.ports(), before);
    }
    let ground = Ground::new().await;
    ground.fake.without(&["load-balancer"]);
    let mut ground = ground;
    ground.restart().await;
    ground.network().await;
    let error = try_attach(&ground, &json!({"load-balancer": "web:80"})).await.unwrap_err();
    assert!(error.contains("load-balancer"), "{error}");
}

/// The cloud does what it is asked, and the plugin is killed before it hears so, at each request in turn.
#[tokio::test]
async fn killed_at_any_request_no_member_is_lost_or_left() {
    for request in 0.. {
        let (mut ground, pool) = balanced().await;
        let before = ground.fake.world().left();
        let options = json!({"load-balancer": "web:80"});
        ground.fake.fail(move |number, _| (number >= request).then_some(Fault::AnswerLost));
        let attached = try_attach(&ground, &options).await.is_ok();
        let whole = attached && ground.plugin.tend_members().await.is_ok();
        let gone = whole && detach(&ground).await.is_ok() && ground.plugin.tend_members().await.is_ok();
        ground.fake.fail(|_, _| None);
        ground.restart().await;
        let when = format!("killed at request {request}");
        let is_there = ground.plugin.ledger.endpoints.get(END).is_some();
        if attached && is_there {
            // Docker has the container: it is a member.
            let known = seen(&ground);
            for _ in 0..2 {
                ground.pass(&known, &mut Suspects::default()).await;
                ground.plugin.tend_members().await.unwrap();
            }
            assert_eq!(members(&ground, &pool).await.len(), 2, "{when}");
        }
        if request % 2 == 0 {
            // It has lost what it wrote down, too.
            ground.lose(&["endpoints", "members"]).await;
        }
        for _ in 0..2 {
            ground.pass(&view(&[]), &mut Suspects::default()).await;
            ground.plugin.tend_members().await.unwrap();
        }
        assert_eq!(members(&ground, &pool).await, others(), "{when}");
        assert_eq!(ground.fake.world().left(), before, "{when}");
        assert!(ground.plugin.ledger.members.all().is_empty(), "{when}");
        if gone {
            break;
        }
    }
}

#[tokio::test]
async fn who_may_use_no_load_balancers_is_not_told_so_all_the_time() {
    let (ground, _) = balanced().await;
    ground.fake.fail(|_, s| s.path.contains("/lbaas/").then_some(Fault::Status(403)));
    for _ in 0..2 {
        assert!(ground.plugin.look_at_members().await.unwrap().is_empty());
    }
    assert_eq!(ground.requests().len(), 1, "asked once");
}

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

#[tokio::test]
async fn ports_published_on_the_host_are_dockers_and_the_way_out_is_neutrons() {
    let ground = Ground::new().await;
    ground.network().await;
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}, {"Proto": 132, "Port": 9, "HostPort": 0}]);
    ground.requests();
    try_attach(&ground, &json!({"com.docker.network.portmap": ports})).await.unwrap();
    assert_eq!(ground.requests(), ["POST /ports"]);
    let of = json!({"NetworkID": "n1", "EndpointID": END, "SandboxKey": "/x",
        "Options": {"com.docker.network.portmap": ports}});
    let joined = ground.call("NetworkDriver.Join", of.clone()).await;
    assert_eq!((&joined["DisableGatewayService"], &joined["Gateway"]), (&json!(false), &Value::Null));
    assert_eq!(joined["StaticRoutes"], json!([]), "Docker refuses later networks whose addresses are in such a route");
    assert_eq!(ground.plugin.ways_out("/x"), [way_out(0, "10.5.0.50", "10.5.0.1")]);
    ground.call("NetworkDriver.ProgramExternalConnectivity", of).await;
    detach(&ground).await.unwrap();

    // Docker's bridge has addresses of the container's network.
    let generic = json!({"subnet": "172.18.7.0/24"});
    let body = json!({"NetworkID": "n9", "Options": {"com.docker.network.generic": generic},
        "IPv4Data": [{"Pool": "0.0.0.0/0"}]});
    ground.call("NetworkDriver.CreateNetwork", body).await;
    let ports = json!({"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostPort": 8080}]});
    let body = json!({"NetworkID": "n9", "EndpointID": END, "Interface": {}, "Options": ports});
    let error = ground.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err();
    assert!(error.contains("docker_gwbridge has the addresses 172.18.0.0/16"), "{error}");
}

/// Docker takes a gateway of IPv6 for a way out, too, and then publishes nothing.
#[tokio::test]
async fn with_ipv6_too_docker_publishes_and_the_way_out_is_neutrons() {
    let ground = Ground::new().await;
    ground.dual_network().await;
    let ports = json!({"com.docker.network.portmap": [{"Proto": 6, "Port": 80, "HostPort": 8080}]});
    let of = json!({"NetworkID": "n2", "EndpointID": END, "Interface": {}, "SandboxKey": "/x", "Options": ports});
    ground.call("NetworkDriver.CreateEndpoint", of.clone()).await;
    let joined = ground.call("NetworkDriver.Join", of).await;
    assert_eq!((&joined["Gateway"], &joined["GatewayIPv6"]), (&Value::Null, &Value::Null));
    let ways = [way_out(0, "10.6.0.50", "10.6.0.1"), way_out(0, "fd00:6::32", "fd00:6::1")];
    assert_eq!(ground.plugin.ways_out("/x"), ways);
}

fn way_out(rank: u32, address: &str, gateway: &str) -> WayOut {
    WayOut { rank, address: address.parse().unwrap(), gateway: gateway.parse().ok() }
}

/// Joins the container with the namespace `/x`.
async fn join(ground: &Ground, network: &str, endpoint: &str, ports: &Value) -> Value {
    let of = json!({"NetworkID": network, "EndpointID": endpoint, "SandboxKey": "/x",
        "Options": {"com.docker.network.portmap": ports}});
    let joined = ground.call("NetworkDriver.Join", of.clone()).await;
    ground.call("NetworkDriver.ProgramExternalConnectivity", of).await;
    joined
}

fn has_no_gateway(joined: &Value) -> bool {
    joined["Gateway"].is_null() && joined["GatewayIPv6"].is_null() && joined["DisableGatewayService"] == false
}

/// Docker tells what is published with the first network alone.
#[tokio::test]
async fn no_network_of_a_container_takes_the_published_ports_from_the_first() {
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}]);
    let map = json!({"com.docker.network.portmap": ports});
    for first_is_here in [true, false] {
        let ground = Ground::new().await;
        ground.network().await;
        ground.dual_network().await;
        if first_is_here {
            ground.attach("e1", map.clone()).await;
            assert!(has_no_gateway(&join(&ground, "n1", "e1", &ports).await));
        }
        let second = json!({"NetworkID": "n2", "EndpointID": "e2", "Interface": {}, "Options": {}});
        ground.call("NetworkDriver.CreateEndpoint", second.clone()).await;
        assert!(has_no_gateway(&join(&ground, "n2", "e2", &ports).await));
        let mut ways: Vec<_> =
            ground.plugin.ways_out("/x").into_iter().map(|w| (w.rank, w.address.is_ipv6())).collect();
        ways.sort_unstable();
        let both = [(0, false), (1, false), (1, true)];
        assert_eq!(ways, if first_is_here { &both[..] } else { &[(0, false), (0, true)] });
        // Asked again, and after a kill: the same.
        let mut ground = ground;
        ground.restart().await;
        assert!(has_no_gateway(&join(&ground, "n2", "e2", &ports).await));
        assert_eq!(ground.plugin.ways_out("/x").len(), ways.len());
        for (network, end) in [("n1", "e1"), ("n2", "e2")] {
            ground.call("NetworkDriver.DeleteEndpoint", json!({"NetworkID": network, "EndpointID": end})).await;
        }
        assert_eq!(ground.plugin.ways_out("/x"), []);
    }
}

#[tokio::test]
async fn what_a_floating_ip_publishes_leaves_a_container_its_gateways() {
    let ground = Ground::new().await;
    ground.network().await;
    ground.dual_network().await;
    let ports = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}]);
    ground.attach("e1", json!({"com.docker.network.portmap": ports, "floating-ip": "public"})).await;
    assert_eq!(join(&ground, "n1", "e1", &ports).await["Gateway"], "10.5.0.1");
    let second = json!({"NetworkID": "n2", "EndpointID": "e2", "Interface": {}, "Options": {}});
    ground.call("NetworkDriver.CreateEndpoint", second).await;
    assert_eq!(join(&ground, "n2", "e2", &ports).await["Gateway"], "10.6.0.1");
    assert_eq!(ground.plugin.ways_out("/x"), []);
}

fn exposing() -> Value {
    let port = |proto: u8, port: u16| json!({"Proto": proto, "Port": port});
    let exposed = json!([port(6, 80), port(6, 81), port(17, 53)]);
    json!({"expose": "true", "com.docker.network.endpoint.exposedports": exposed})
}

/// A network, and the project's group `default`.
async fn with_default() -> Ground {
    let ground = Ground::new().await;
    ground.network().await;
    let new = stackyard_openstack::NewSecurityGroup { name: "default".into(), ..Default::default() };
    let _: SecurityGroup = ground.plugin.cloud().unwrap().create(&new).await.unwrap();
    ground.requests();
    ground
}

#[tokio::test]
async fn exposed_ports_are_let_in_by_a_group_of_the_containers_own() {
    let ground = with_default().await;
    let before = ground.fake.world().left();
    try_attach(&ground, &exposing()).await.unwrap();
    let asked = ground.requests();
    let asked: Vec<&str> = asked.iter().map(String::as_str).filter(|r| r.starts_with("POST")).collect();
    assert_eq!(asked, ["POST /security-groups", "POST /security-group-rules", "POST /ports"]);
    let endpoint = ground.plugin.ledger.endpoints.get(END).unwrap();
    let cloud = ground.plugin.cloud().unwrap();
    let groups = cloud.list::<SecurityGroup>(&[]).await.unwrap();
    let own = groups.iter().find(|g| Some(&g.id) == endpoint.options.own_group.as_ref()).unwrap();
    let ingress: Vec<_> = own.rules.iter().filter(|r| r.direction == "ingress").collect();
    let ranges: Vec<_> = ingress.iter().map(|r| (r.protocol.as_deref(), r.port_range_min, r.port_range_max)).collect();
    assert_eq!(ranges, [(Some("tcp"), Some(80), Some(81)), (Some("udp"), Some(53), Some(53))]);
    let port = ground.fake.world().show("ports", &endpoint.port).unwrap();
    assert_eq!(port["security_groups"].as_array().unwrap().len(), 2, "beside the project's default group");
    // Its port is made anew with both.
    cloud.delete::<Port>(&endpoint.port).await.unwrap();
    ground.pass(&seen(&ground), &mut Suspects::default()).await;
    let endpoint = ground.plugin.ledger.endpoints.get(END).unwrap();
    let port = ground.fake.world().show("ports", &endpoint.port).unwrap();
    assert_eq!(port["security_groups"].as_array().unwrap().len(), 2);
    detach(&ground).await.unwrap();
    assert_eq!(ground.fake.world().left(), before);
    // What an image exposes opens nothing by itself.
    let silent = json!({"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}]});
    ground.requests();
    try_attach(&ground, &silent).await.unwrap();
    assert_eq!(ground.requests(), ["POST /ports"]);
    let error = try_attach_other(&ground, &json!({"expose": "true", "port": "vip"})).await;
    assert!(error.contains("exclude each other"), "{error}");
}

async fn try_attach_other(ground: &Ground, options: &Value) -> String {
    let body = json!({"NetworkID": "n1", "EndpointID": "e9", "Interface": {}, "Options": options});
    ground.try_call("NetworkDriver.CreateEndpoint", body).await.unwrap_err()
}

#[tokio::test]
async fn killed_at_any_request_no_security_group_is_left() {
    for request in 0.. {
        let mut ground = with_default().await;
        let before = ground.fake.world().left();
        ground.fake.fail(move |number, _| (number >= request).then_some(Fault::AnswerLost));
        let gone = try_attach(&ground, &exposing()).await.is_ok() && detach(&ground).await.is_ok();
        ground.fake.fail(|_, _| None);
        ground.restart().await;
        ground.pass(&view(&[]), &mut Suspects::default()).await;
        assert_eq!(ground.fake.world().left(), before, "killed at request {request}");
        if gone {
            break;
        }
    }
}
