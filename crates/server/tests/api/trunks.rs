//! Ports of containers behind trunks of their hosts' NICs, against a fake cloud.

use super::ports::{Ground, address, answer, ask, made, mark, refused, removal};
use super::support::Agent;
use serde_json::json;
use stackyard_core::agent::{
    Answer, Ask, ContainerPort, ExposedPorts, NewContainerPort, PortAddress, PortLink, PortOptions, PublishedPort,
    ToServer,
};
use stackyard_fake::Fault;
use stackyard_openstack::{
    FloatingIp, Network, NewNetwork, NewPort, NewRouter, NewSecurityGroup, NewSubnet, Port, Router, SecurityGroup,
    SubPort, Subnet, Trunk,
};
use stackyard_yard::{DataLoss, remove_yard};
use std::collections::BTreeSet;
use std::time::Duration;

impl Ground {
    async fn with_trunks() -> Self {
        let ground = Self::new().await;
        ground.fake.world().has_trunks();
        ground
    }

    fn port_with(&self, endpoint: &str, change: impl FnOnce(&mut NewContainerPort)) -> Ask {
        let Ask::Make(mut new) = self.new_port(endpoint) else { panic!("no port") };
        new.links = PortLink::ALL.to_vec();
        change(&mut new);
        Ask::Make(new)
    }

    fn behind(&self, endpoint: &str) -> Ask {
        self.port_with(endpoint, |_| {})
    }

    async fn trunks(&self) -> Vec<Trunk> {
        self.cloud.list(&[]).await.unwrap()
    }

    /// All ports that are neither a NIC's nor a router's.
    async fn left(&self) -> Vec<String> {
        let all: Vec<Port> = self.cloud.list(&[]).await.unwrap();
        let is_left = |p: &Port| !self.nics.contains(&p.id) && !p.device_owner.starts_with("network:");
        all.into_iter().filter(is_left).map(|p| p.name).collect()
    }

    async fn floating_ips(&self) -> Vec<FloatingIp> {
        self.cloud.list(&[]).await.unwrap()
    }

    async fn route(&self) {
        let router: Router = self.cloud.create(&NewRouter { name: "r".into(), ..NewRouter::default() }).await.unwrap();
        self.cloud.add_router_subnet(&router.id, &self.subnet).await.unwrap();
    }
}

async fn listed(agent: &mut Agent) -> Vec<ContainerPort> {
    match ask(agent, Ask::Ports).await {
        Answer::Ports { ports } => ports,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_has_a_port_of_its_own_behind_the_nics_trunk() {
    let ground = Ground::with_trunks().await;
    let mut agent = ground.agent(0).await;
    let first = made(&mut agent, ground.behind("e1")).await;
    let nic = ground.nic(0).await;
    assert_eq!((first.link, first.vlan, &first.parent_mac), (PortLink::Vlan, Some(1), &nic.mac_address));
    let port: Port = ground.cloud.get(&first.id).await.unwrap();
    assert_eq!((&port.mac_address, &port.security_groups), (&first.mac, &nic.security_groups));
    assert_eq!(port.description, mark("port/web-1.e1"));
    assert!(nic.allowed_address_pairs.is_empty());
    let trunk = ground.trunks().await.remove(0);
    assert_eq!((&trunk.port_id, &trunk.description), (&nic.id, &mark("port/web-1/trunk")));

    ground.requests();
    let second = made(&mut agent, ground.behind("e2")).await;
    assert_eq!(ground.requests(), ["POST ports", "PUT trunks"]);
    assert_eq!(second.vlan, Some(2));
    assert_eq!(listed(&mut agent).await, [first.clone(), second.clone()]);
    let moved = ask(&mut agent, Ask::OtherVlan { port: second.id.clone(), taken: vec![2, 3] }).await;
    assert_eq!(moved, Answer::Port(ContainerPort { vlan: Some(4), ..second.clone() }));

    let mut other = ground.agent(1).await;
    assert!(refused(&mut other, removal(&first)).await.contains("no port of a container of host web-2"));
    let steal = Ask::OtherVlan { port: first.id.clone(), taken: Vec::new() };
    assert!(refused(&mut other, steal).await.contains("no port of a container of host web-2"));
    assert_eq!(made(&mut other, ground.behind("e1")).await.vlan, Some(1), "another NIC's trunk");

    let name = |of: &ContainerPort, endpoint: &str| Ask::Name { port: of.id.clone(), endpoint: endpoint.to_owned() };
    assert!(refused(&mut other, name(&first, "e9")).await.contains("no port of a container of host web-2"));
    assert!(refused(&mut agent, name(&first, "e/9")).await.contains("Docker's id"));
    assert_eq!(ask(&mut agent, name(&first, "e9")).await, Answer::Named);
    let first = ContainerPort { endpoint: "e9".into(), ..first };
    assert_eq!(listed(&mut agent).await[0], first);
    let port: Port = ground.cloud.get(&first.id).await.unwrap();
    assert_eq!(port.description, mark("port/web-1.e9"));

    ground.requests();
    assert_eq!(ask(&mut agent, removal(&first)).await, Answer::Removed);
    assert_eq!(ground.requests(), ["GET ports", "PUT trunks", "DELETE ports"]);
    assert_eq!(ask(&mut agent, removal(&first)).await, Answer::Removed, "asked again");
    // What somebody else has taken out, too.
    ground.cloud.remove_subports(&trunk.id, std::slice::from_ref(&second.id)).await.unwrap();
    assert_eq!(ask(&mut agent, removal(&second)).await, Answer::Removed);
    assert_eq!(ground.left().await.len(), 1, "the other host's");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_go_together_and_nobody_fails_for_anothers_sake() {
    let ground = Ground::with_trunks().await;
    let mut agent = ground.agent(0).await;
    let first = made(&mut agent, ground.behind("e0")).await;
    // A stranger uses the same trunk.
    let trunk = ground.trunks().await.remove(0);
    let stranger = NewPort { network_id: ground.network.clone(), ..NewPort::default() };
    let stranger: Port = ground.cloud.create(&stranger).await.unwrap();
    let its = SubPort { port_id: stranger.id.clone(), segmentation_type: "vlan".into(), segmentation_id: 5 };
    ground.cloud.add_subports(&trunk.id, &[its]).await.unwrap();
    ground.requests();
    // While one is under way, others gather.
    let late = Fault::Late(Duration::from_millis(200));
    ground.fake.fail(move |_, seen| (seen.method == "PUT" && seen.path.contains("/trunks/")).then_some(late));
    for number in 1..=40 {
        // One wants a VLAN that it cannot have.
        let wanted = |new: &mut NewContainerPort| new.vlan = (number == 7).then_some(first.vlan.unwrap());
        let ask = ground.port_with(&format!("e{number}"), wanted);
        agent.send(&ToServer::Ask { number, ask }).await;
    }
    let mut ports = Vec::new();
    for _ in 1..=40 {
        match answer(&mut agent).await {
            (7, Answer::Refused { why }) => assert!(why.contains("VLAN 1"), "{why}"),
            (_, Answer::Port(port)) => ports.push(port),
            other => panic!("{other:?}"),
        }
    }
    let puts = ground.requests().iter().filter(|r| *r == "PUT trunks").count();
    assert!(puts < 20, "{puts} requests to put 40 ports behind a trunk");
    let ids: BTreeSet<u16> = ports.iter().filter_map(|p| p.vlan).collect();
    assert!(ids.len() == 39 && !ids.contains(&1) && !ids.contains(&5), "{ids:?}");
    for (number, port) in ports.iter().chain([&first]).enumerate() {
        agent.send(&ToServer::Ask { number: number as u64, ask: removal(port) }).await;
    }
    for _ in 0..40 {
        assert_eq!(answer(&mut agent).await.1, Answer::Removed);
    }
    assert_eq!(ground.trunks().await[0].sub_ports.len(), 1, "the stranger's stays");
    assert_eq!(ground.left().await.len(), 1);
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_port_has_what_it_asks_for_of_what_the_yard_has() {
    let ground = Ground::with_trunks().await;
    ground.route().await;
    ground.fake.world().add_qos_policy("q1", "slow");
    let group = |name: &str, description: &str| NewSecurityGroup { name: name.into(), description: description.into() };
    let web: SecurityGroup = ground.cloud.create(&group("shop-db", "stackyard:shop/security-group/db")).await.unwrap();
    ground.cloud.create::<SecurityGroup>(&group("bank", "stackyard:bank/security-group/db")).await.unwrap();
    let mut agent = ground.agent(0).await;
    let with = |endpoint: &str, options: PortOptions| ground.port_with(endpoint, |new| new.options = options);
    let publish = |outside| PublishedPort { protocol: "tcp".into(), inside: 80, outside };
    let all = PortOptions {
        security_groups: Some(vec!["db".into()]),
        qos_policy: Some("slow".into()),
        floating_ip: Some("public".into()),
        address_pairs: vec![("10.20.0.250".into(), None), ("10.99.0.0/16".into(), None)],
        dns_name: Some("www".into()),
        ..PortOptions::default()
    };
    let port = made(&mut agent, with("e1", all.clone())).await;
    let shown = ground.fake.world().show("ports", &port.id).unwrap();
    assert_eq!(shown["security_groups"], json!([web.id]));
    assert_eq!((&shown["qos_policy_id"], &shown["dns_name"]), (&json!("q1"), &json!("www")));
    assert_eq!(shown["allowed_address_pairs"].as_array().unwrap().len(), 2);
    let ips = ground.floating_ips().await;
    assert_eq!((ips.len(), ips[0].port_id.as_ref()), (1, Some(&port.id)));
    assert_eq!(ips[0].description, mark("floating-ip/web-1:e1"));

    let mut other = ground.agent(1).await;
    let is_of_e1 = format!("{}/32", address(&port));
    let wrong = |change: &dyn Fn(&mut PortOptions)| {
        let mut options = PortOptions::default();
        change(&mut options);
        with("e2", options)
    };
    for (asked, word) in [
        (wrong(&|o| o.security_groups = Some(vec!["bank".into()])), "has a group \"bank\""),
        (wrong(&|o| o.address_pairs = vec![("10.20.0.128/28".into(), None)]), "single addresses"),
        (wrong(&|o| o.address_pairs = vec![(is_of_e1.clone(), None)]), "which is in use"),
        (wrong(&|o| o.dns_name = Some("www".into())), "is the name of port"),
        (wrong(&|o| o.qos_policy = Some("fast".into())), "fast"),
        (wrong(&|o| o.floating_ip = Some("front".into())), "does not lead outside"),
        (wrong(&|o| o.floating_ip = Some(ips[0].address.clone())), "--tag stackyard:shop"),
        (wrong(&|o| o.publish = vec![publish(8080)]), "by a floating IP"),
    ] {
        let why = refused(&mut other, asked).await;
        assert!(why.contains(word), "{why}");
    }
    assert_eq!(ground.left().await.len(), 1, "what fails half way is taken back");

    // Published ports; and the floating IP of one that has lost its port comes back to it.
    let options = PortOptions { floating_ip: Some("public".into()), publish: vec![publish(8080)], ..all.clone() };
    let options = PortOptions { address_pairs: Vec::new(), dns_name: None, ..options };
    let second = made(&mut agent, with("e3", options.clone())).await;
    let forwardings = || ground.fake.world().list_all("port_forwardings");
    assert_eq!(forwardings()[0]["internal_port_id"], json!(second.id));
    let kept = ground.floating_ips().await.into_iter().find(|ip| ip.description.ends_with("web-1:e3")).unwrap();
    ground.cloud.delete_port(&second.id).await.unwrap();
    let again = ground.port_with("e3", |new| {
        (new.options, new.mac, new.vlan) = (options.clone(), Some(second.mac.clone()), second.vlan);
        new.addresses = second.addresses.clone();
    });
    let again = made(&mut agent, again).await;
    assert_eq!((again.vlan, &again.mac, address(&again)), (second.vlan, &second.mac, address(&second)));
    assert_eq!(forwardings()[0]["floatingip_id"], json!(kept.id));

    for port in [port, again] {
        let Ask::Remove { port, network, addresses, .. } = removal(&port) else { panic!() };
        let removal = Ask::Remove { port, network, addresses, floating_ip: true, exposed: false };
        assert_eq!(ask(&mut agent, removal).await, Answer::Removed);
    }
    assert!(ground.floating_ips().await.is_empty() && ground.left().await.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_container_exposes_is_let_in_by_a_group_of_its_own() {
    let ground = Ground::with_trunks().await;
    let mut agent = ground.agent(0).await;
    let range = |protocol: &str, first, last| ExposedPorts { protocol: protocol.to_owned(), first, last };
    let exposing = |endpoint: &str| {
        ground.port_with(endpoint, |new| new.options.exposed = vec![range("tcp", 80, 81), range("udp", 53, 53)])
    };
    let groups = || async {
        let all: Vec<SecurityGroup> = ground.cloud.list(&[]).await.unwrap();
        all.into_iter().filter(|g| g.description.starts_with(&mark(""))).collect::<Vec<_>>()
    };
    let port = made(&mut agent, exposing("e1")).await;
    let own = groups().await.remove(0);
    assert_eq!(own.description, mark("security-group/web-1:e1"));
    let ingress = own.rules.iter().filter(|r| r.direction == "ingress");
    let rules: BTreeSet<_> =
        ingress.map(|r| (r.ethertype.as_str(), r.protocol.as_deref().unwrap(), r.port_range_max)).collect();
    let wanted = [("IPv4", "tcp", Some(81)), ("IPv4", "udp", Some(53))];
    assert_eq!(rules, wanted.into_iter().collect(), "the network has no IPv6 subnet");
    let kept: Port = ground.cloud.get(&port.id).await.unwrap();
    let mut its = ground.nic(0).await.security_groups;
    its.push(own.id.clone());
    assert_eq!(kept.security_groups, its);

    // Its port is lost and made anew, and with it the group.
    ground.cloud.delete_port(&port.id).await.unwrap();
    let Ask::Make(new) = exposing("e1") else { panic!() };
    let again = NewContainerPort { mac: Some(port.mac.clone()), vlan: port.vlan, ..*new };
    let port = made(&mut agent, Ask::Make(Box::new(again))).await;
    let kept: Port = ground.cloud.get(&port.id).await.unwrap();
    let now = groups().await;
    assert_eq!((now.len(), kept.security_groups.last()), (1, Some(&now[0].id)));
    // Nobody names it but its container.
    let named = ground.port_with("e2", |new| new.options.security_groups = Some(vec![now[0].id.clone()]));
    assert!(refused(&mut agent, named).await.contains("neither yard shop nor the host's NIC"));

    // What fails half way is taken back.
    ground.fake.fail(|_, seen| (seen.method == "POST" && seen.path.ends_with("/ports")).then_some(Fault::Status(409)));
    assert!(refused(&mut agent, exposing("e3")).await.contains("409"));
    ground.fake.fail(|_, _| None);
    assert_eq!(groups().await.len(), 1);

    let Ask::Remove { port, network, addresses, .. } = removal(&port) else { panic!() };
    let removal = Ask::Remove { port, network, addresses, floating_ip: false, exposed: true };
    assert_eq!(ask(&mut agent, removal).await, Answer::Removed);
    assert!(groups().await.is_empty() && ground.left().await.is_empty());

    // The server was killed, and the host is gone.
    made(&mut agent, exposing("e4")).await;
    ground.running.admin.remove_host(&ground.hosts[0].host).await.unwrap();
    let gone = async {
        while !groups().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the removed host's group stays");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_and_floating_ips_that_are_there_need_the_yards_tag() {
    let ground = Ground::with_trunks().await;
    ground.route().await;
    let mut agent = ground.agent(0).await;
    let kept: Port = ground
        .cloud
        .create(&NewPort { network_id: ground.network.clone(), name: "kept".into(), ..NewPort::default() })
        .await
        .unwrap();
    let asked = || ground.port_with("e1", |new| new.options.port = Some("kept".into()));
    assert!(refused(&mut agent, asked()).await.contains("--tag stackyard:shop"));
    ground.cloud.set_tags::<Port>(&kept.id, &["stackyard:shop".into()]).await.unwrap();
    let port = made(&mut agent, asked()).await;
    assert_eq!((&port.id, &port.mac, port.vlan), (&kept.id, &kept.mac_address, Some(1)));
    assert_eq!(listed(&mut agent).await, std::slice::from_ref(&port));
    let again = ground.port_with("e2", |new| new.options.port = Some("kept".into()));
    assert!(refused(&mut agent, again).await.contains("in use"));
    assert_eq!(ask(&mut agent, removal(&port)).await, Answer::Removed);
    let free: Port = ground.cloud.get(&kept.id).await.unwrap();
    assert_eq!((free.device_id.as_str(), free.device_owner.as_str(), free.name.as_str()), ("", "", "kept"));
    assert!(ground.trunks().await[0].sub_ports.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_networks_of_the_yard_are_to_be_had_and_nobody_elses() {
    let ground = Ground::with_trunks().await;
    let mut agent = ground.agent(0).await;
    let mut ids = Vec::new();
    for (name, description) in [("shop-back", "stackyard:shop/network/back"), ("vault", "stackyard:bank/network/vault")]
    {
        let new = NewNetwork { name: name.into(), description: description.into(), ..NewNetwork::default() };
        let network: Network = ground.cloud.create(&new).await.unwrap();
        let new = NewSubnet {
            name: name.into(),
            network_id: network.id.clone(),
            cidr: "10.30.0.0/24".into(),
            ip_version: 4,
            ..NewSubnet::default()
        };
        let subnet: Subnet = ground.cloud.create(&new).await.unwrap();
        ids.push((network.id, subnet.id));
    }
    let network = |name: &str, links: &[PortLink]| Ask::Network { network: Some(name.into()), links: links.to_vec() };
    let Answer::Network(back) = ask(&mut agent, network("back", &PortLink::ALL)).await else { panic!() };
    assert_eq!((back.id.as_str(), back.subnets[0].cidr.as_str()), (ids[0].0.as_str(), "10.30.0.0/24"));
    assert!(refused(&mut agent, network("vault", &PortLink::ALL)).await.contains("yard shop has none"));
    assert!(refused(&mut agent, network("back", &[PortLink::Macvlan])).await.contains("by a trunk alone"));
    let of = |at: usize, links: &[PortLink]| {
        let links = links.to_vec();
        let (network, subnet) = ids[at].clone();
        ground.port_with("e1", move |new| {
            (new.network, new.links) = (network, links);
            new.addresses = vec![PortAddress { subnet, address: None }];
        })
    };
    let port = made(&mut agent, of(0, &PortLink::ALL)).await;
    assert_eq!((port.link, &port.parent_mac), (PortLink::Vlan, &ground.nic(0).await.mac_address));
    assert!(refused(&mut agent, of(1, &PortLink::ALL)).await.contains("none of yard shop"));
    assert!(refused(&mut agent, of(0, &[PortLink::Macvlan])).await.contains("no NIC of host web-1"));
    assert_eq!(ask(&mut agent, removal(&port)).await, Answer::Removed);
    assert!(ground.left().await.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_trunk_it_is_a_macvlan_and_what_that_cannot_is_refused() {
    let ground = Ground::new().await;
    let mut agent = ground.agent(0).await;
    let grouped = || ground.port_with("e2", |new| new.options.security_groups = Some(vec!["web".into()]));
    assert_eq!(made(&mut agent, ground.behind("e1")).await.link, PortLink::Macvlan);
    let why = refused(&mut agent, grouped()).await;
    assert!(why.contains("`security-groups`") && why.contains("has no trunks"), "{why}");
    let trunk_alone = ground.port_with("e2", |new| new.links = vec![PortLink::Vlan]);
    assert!(refused(&mut agent, trunk_alone).await.contains("has no trunks"));
    ground.running.stop().await;

    let ground = Ground::with_trunks().await;
    ground.fake.world().refuses_bound_parents();
    let mut agent = ground.agent(0).await;
    assert_eq!(made(&mut agent, ground.behind("e1")).await.link, PortLink::Macvlan);
    ground.requests();
    assert_eq!(made(&mut agent, ground.behind("e2")).await.link, PortLink::Macvlan);
    assert_eq!(ground.requests().iter().filter(|r| r.contains("trunks")).count(), 0, "it is remembered");
    let grouped = ground.port_with("e3", |new| new.options.security_groups = Some(vec!["web".into()]));
    assert!(refused(&mut agent, grouped).await.contains("not eligible"));
    // What is in the way of Neutron's answer is no reason for another kind of link.
    let mut other = ground.agent(1).await;
    ground.fake.fail(|_, seen| (seen.method == "GET" && seen.path.ends_with("/trunks")).then_some(Fault::Status(400)));
    assert!(refused(&mut other, ground.behind("e1")).await.contains("looking for the trunk"));
    ground.running.stop().await;

    let ground = Ground::with_trunks().await;
    let mut agent = ground.agent(0).await;
    let macvlan = ground.port_with("e1", |new| new.links = vec![PortLink::Macvlan]);
    let macvlan = made(&mut agent, macvlan).await;
    assert_eq!(macvlan.link, PortLink::Macvlan);
    assert_eq!(ask(&mut agent, removal(&macvlan)).await, Answer::Removed);
    ground.fake.world().own_mac_alone();
    let macvlan = ground.port_with("e2", |new| new.links = vec![PortLink::Macvlan]);
    assert!(refused(&mut agent, macvlan).await.contains("its own alone"));
    let ipvlan = ground.port_with("e3", |new| new.links = vec![PortLink::Ipvlan]);
    assert_eq!(made(&mut agent, ipvlan).await.link, PortLink::Ipvlan);
    assert!(ground.trunks().await.is_empty());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_somebody_removes_is_made_anew() {
    let ground = Ground::with_trunks().await;
    let mut agent = ground.agent(0).await;
    let port = made(&mut agent, ground.behind("e1")).await;
    ground.cloud.delete::<Trunk>(&ground.trunks().await[0].id).await.unwrap();
    assert!(listed(&mut agent).await.is_empty(), "its container has lost it");
    assert!(ground.left().await.is_empty(), "its address is free for it");
    let again = ground.port_with("e1", |new| {
        (new.mac, new.vlan, new.addresses) = (Some(port.mac.clone()), port.vlan, port.addresses.clone());
    });
    let again = made(&mut agent, again).await;
    assert_eq!(ContainerPort { id: port.id.clone(), ..again }, port);
    assert_eq!(ground.trunks().await.len(), 1);
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_goes_and_a_yard_that_goes_leave_nothing() {
    let ground = Ground::with_trunks().await;
    ground.route().await;
    for (nic, name) in ground.nics.iter().zip(["web-1", "web-2"]) {
        let mark = json!({"description": format!("stackyard:shop/port/{name}/front")});
        ground.cloud.update::<Port>(nic, &mark).await.unwrap();
    }
    for host in [0, 1] {
        let mut agent = ground.agent(host).await;
        let asked = ground.port_with("e1", |new| new.options.floating_ip = Some("public".into()));
        made(&mut agent, asked).await;
    }
    ground.running.admin.remove_host(&ground.hosts[0].host).await.unwrap();
    let gone = async {
        while ground.left().await.len() > 1 || ground.floating_ips().await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the removed host's port or address stays");
    assert!(ground.floating_ips().await[0].description.ends_with("web-2:e1"));
    remove_yard(&ground.cloud, "shop", None, &DataLoss::Allowed, &()).await.unwrap();
    assert!(ground.left().await.is_empty() && ground.trunks().await.is_empty());
    assert!(ground.floating_ips().await.is_empty());
    assert!(ground.cloud.get::<Port>(&ground.nics[0]).await.unwrap_err().is_not_found());
    ground.running.stop().await;
}
