//! On a host of a yard: the server asks Neutron, the host only plugs.
//!
//! Such a host is a Nova server and has neither credentials nor a switch of Neutron's. Its containers are macvlans on
//! its own NIC, or ipvlans where the cloud lets a NIC use only its own MAC address; the server makes a port for
//! each, which keeps the address, and lets the NIC's own port use that address. What cannot be had so is refused
//! here, by its name.

use super::ledger::Endpoint;
use super::options::{EndpointOptions, NetworkOptions};
use super::ports::{Wanted, short};
use super::wiring::Local;
use super::{Error, Front, PLUGIN, Plugin, Source, mark, plugin, reconcile};
use crate::error::chain;
use crate::host::Host;
use crate::state::StateDir;
use futures_util::future::BoxFuture;
use serde_json::json;
use stackyard_core::agent::{Answer, Ask, ContainerPort, HostNetwork, NewContainerPort, PortAddress, PortLink};
use stackyard_core::stack::Stack;
use stackyard_openstack::{Network, Port, Subnet};
use stackyard_wire::binding::{IPVLAN, MACVLAN, Naming, PARENT_MAC};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long until the socket is tried for again.
const AGAIN: Duration = Duration::from_secs(30);

/// Docker's IPAM driver that gives out nothing.
const NO_IPAM: &str = "null";

/// Who asks Neutron.
pub(crate) trait Server: Send + Sync {
    /// Asks; an error says in words why there is no answer.
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, String>>;
}

/// Serves Docker for a host of a yard, for ever.
pub(crate) async fn run(host: &Arc<Host>, plugins: &Path, every: Duration) {
    let mut before = String::new();
    loop {
        let Err(e) = serve(host, plugins, every).await else { return };
        let text = format!("containers get no ports of their own: {}", chain(&e));
        if text != before {
            host.say(text.clone());
            before = text;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn serve(host: &Arc<Host>, plugins: &Path, every: Duration) -> Result<(), Error> {
    let state = StateDir::open(host.state.path().join("ports"))?;
    let owner = format!("{}:{PLUGIN}", Front::Docker.word());
    let wiring = Box::new(Local::new(None, owner, Naming::Stackyard));
    let source = Source::Server(host.asking.clone());
    let plugin = Arc::new(Plugin::new(Front::Docker, PLUGIN, source, wiring, &state, host.onlooker.clone())?);
    let listener = plugin::listen(plugins, PLUGIN)?;
    tokio::select! {
        ended = plugin::serve(listener, plugin.clone()) => ended,
        () = reconcile::keep(&plugin, every) => Ok(()),
    }
}

/// Networks of this driver get their addresses from Neutron, not from the engine.
pub(crate) fn apply(stack: &mut Stack) {
    for key in stack.network_keys() {
        let mut network = stack.network(&key);
        if network.driver.as_deref() == Some(PLUGIN) && !network.external && network.ipam_driver.is_none() {
            network.ipam_driver = Some(NO_IPAM.to_owned());
            stack.networks.insert(key, network);
        }
    }
}

impl Plugin {
    /// Asks the server.
    async fn ask(&self, server: &dyn Server, doing: &str, ask: Ask) -> Result<Answer, Error> {
        match server.ask(ask).await {
            Ok(Answer::Refused { why }) | Err(why) => Err(Error::request(format!("{doing}: {why}"))),
            Ok(answer) => Ok(answer),
        }
    }

    /// The host's network of that name or id, with its subnets; its only one without a name.
    pub(super) async fn host_network(
        &self,
        server: &dyn Server,
        name: Option<&str>,
    ) -> Result<(Network, Vec<Subnet>), Error> {
        let doing = match name {
            Some(name) => format!("looking up network {name:?}"),
            None => "looking up this host's network".to_owned(),
        };
        match self.ask(server, &doing, Ask::Network { network: name.map(str::to_owned) }).await? {
            Answer::Network(network) => read_network(&network),
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// Has the server make an endpoint's port.
    pub(super) async fn ask_for_port(&self, server: &dyn Server, wanted: &Wanted<'_>) -> Result<Endpoint, Error> {
        wanted.options.check_for_yard()?;
        let doing = format!("making the port of {}", short(wanted.key));
        let address = |ip: &stackyard_openstack::FixedIp| PortAddress {
            subnet: ip.subnet_id.clone(),
            address: ip.ip_address.as_deref().and_then(|a| a.parse().ok()),
        };
        let new = NewContainerPort {
            network: wanted.network.neutron.clone(),
            docker_network: wanted.network_id.to_owned(),
            endpoint: wanted.key.to_owned(),
            mac: wanted.mac.map(str::to_owned),
            addresses: wanted.ips.iter().map(address).collect(),
        };
        match self.ask(server, &doing, Ask::Make(new)).await? {
            Answer::Port(made) => Ok(self.endpoint(wanted.network_id, self.read_port(&made)?, wanted.options.clone())),
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// Has the server remove a port.
    pub(super) async fn ask_to_remove(&self, server: &dyn Server, endpoint: &Endpoint) -> Result<(), Error> {
        let doing = format!("giving back port {}", endpoint.port);
        let addresses = endpoint.ips.iter().filter_map(|ip| ip.ip_address.as_deref()?.parse().ok()).collect();
        let network = self.ledger.networks.get(&endpoint.network).map(|n| n.neutron).unwrap_or_default();
        let ask = Ask::Remove { port: endpoint.port.clone(), network, addresses };
        match self.ask(server, &doing, ask).await? {
            Answer::Removed => Ok(()),
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// The ports that the cloud has for this host's containers.
    pub(super) async fn ask_for_ports(&self, server: &dyn Server) -> Result<Vec<Port>, Error> {
        let doing = "listing the ports of this host's containers";
        match self.ask(server, doing, Ask::Ports).await? {
            Answer::Ports { ports } => ports.iter().map(|p| self.read_port(p)).collect(),
            other => Err(unexpected(doing, &other)),
        }
    }

    /// A port as the rest of this plugin knows it.
    fn read_port(&self, of: &ContainerPort) -> Result<Port, Error> {
        let ips: Vec<_> =
            of.addresses.iter().map(|a| json!({"subnet_id": a.subnet, "ip_address": a.address})).collect();
        let kind = match of.link {
            PortLink::Macvlan => MACVLAN,
            PortLink::Ipvlan => IPVLAN,
        };
        let port = json!({
            "id": of.id, "network_id": of.network, "mac_address": of.mac, "fixed_ips": ips, "device_id": of.endpoint,
            "description": mark::of_network(&self.place(), &of.docker_network),
            "binding:vif_type": kind, "binding:vif_details": {PARENT_MAC: of.parent_mac},
        });
        serde_json::from_value(port).map_err(unreadable)
    }
}

fn read_network(of: &HostNetwork) -> Result<(Network, Vec<Subnet>), Error> {
    let network = json!({"id": of.id, "name": of.name, "mtu": of.mtu});
    let subnets = of.subnets.iter().map(|s| {
        let routes: Vec<_> = s.routes.iter().map(|(to, via)| json!({"destination": to, "nexthop": via})).collect();
        let subnet = json!({
            "id": s.id, "name": s.name, "network_id": of.id, "cidr": s.cidr, "ip_version": s.ip_version,
            "gateway_ip": s.gateway, "host_routes": routes, "dns_nameservers": s.dns,
        });
        serde_json::from_value(subnet).map_err(unreadable)
    });
    Ok((serde_json::from_value(network).map_err(unreadable)?, subnets.collect::<Result<_, _>>()?))
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::request(format!("what the server answered cannot be read: {error}"))
}

fn unexpected(doing: &str, answer: &Answer) -> Error {
    Error::request(format!("{doing}: the server answered something else: {answer:?}"))
}

impl NetworkOptions {
    /// Whether a network on a host of a yard can be so.
    pub(super) fn check_for_yard(&self) -> Result<(), Error> {
        let refused = [
            ("subnet-pool", self.subnet_pool.is_some()),
            ("subnet-pool6", self.subnet_pool6.is_some()),
            ("name", self.name.is_some()),
            ("router", self.router.is_some()),
            ("external", self.external.is_some()),
            ("port-security", self.port_security.is_some()),
            ("dns-domain", self.dns_domain.is_some()),
            ("dns-servers", !self.dns_servers.is_empty()),
            ("shared", self.shared.is_some()),
            ("pool", self.pool.is_some()),
            ("firewall-group", self.firewall_group.is_some()),
        ];
        if let Some((option, _)) = refused.into_iter().find(|(_, is)| *is) {
            return Err(Error::request(format!(
                "option `{option}` is not for hosts of a yard: their containers are on a network of the host's own NIC \
                 (option `network` says which, if there are several)"
            )));
        }
        self.defaults.check_for_yard()
    }
}

impl EndpointOptions {
    /// Whether an endpoint on a host of a yard can be so.
    pub(super) fn check_for_yard(&self) -> Result<(), Error> {
        let refused = [
            ("security-groups", self.security_groups.is_some()),
            ("qos-policy", self.qos_policy.is_some()),
            ("floating-ip", self.floating_ip.is_some()),
            ("allowed-address-pairs", !self.address_pairs.is_empty()),
            ("port", self.port.is_some()),
            ("dns-name", self.dns_name.is_some()),
            ("load-balancer", !self.load_balancers.is_empty()),
            ("firewall-group", self.firewall_group.is_some()),
            ("expose", self.expose.is_some()),
        ];
        match refused.into_iter().find(|(_, is)| *is) {
            None if self.on_host => Err(Error::request(
                "ports cannot be published (-p) in this network: the container has an address of its own there, where all \
                 ports can be reached that the security groups of the host's NIC allow",
            )),
            None => Ok(()),
            Some((option, _)) => Err(Error::request(format!(
                "option `{option}` is not for containers on a host of a yard: their packets go through the port of the \
                 host's NIC, whose security groups and QoS policy hold for them"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reconcile::Suspects;
    use super::super::tests::{Paper, view};
    use super::*;
    use futures_util::FutureExt;
    use serde_json::Value;
    use stackyard_core::agent::HostSubnet;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn networks_of_the_driver_get_no_addresses_of_the_engine() {
        let network =
            |driver: &str| stackyard_core::stack::Network { driver: Some(driver.into()), ..Default::default() };
        let service = |name: &str| {
            let attachment = (name.to_owned(), stackyard_core::stack::Attachment::default());
            stackyard_core::stack::Service {
                network_mode: stackyard_core::stack::NetworkMode::Networks([attachment].into()),
                ..Default::default()
            }
        };
        let mut stack = Stack { name: "s".into(), ..Stack::default() };
        stack.networks.extend([("front".into(), network(PLUGIN)), ("back".into(), network("bridge"))]);
        stack.services.extend([("web-1".into(), service("front")), ("db-1".into(), service("back"))]);
        apply(&mut stack);
        assert_eq!(stack.networks["front"].ipam_driver.as_deref(), Some("null"));
        assert_eq!(stack.networks["back"].ipam_driver, None);
    }

    /// A yard's server that makes ports of numbers.
    #[derive(Default)]
    struct Book {
        kind: Mutex<Option<PortLink>>,
        ports: Mutex<BTreeMap<String, ContainerPort>>,
        asked: Mutex<Vec<Ask>>,
        away: AtomicBool,
    }

    const NIC: &str = "fa:16:3e:00:00:01";

    impl Book {
        fn answer(&self, ask: Ask) -> Answer {
            self.asked.lock().unwrap().push(ask.clone());
            let mut ports = self.ports.lock().unwrap();
            match ask {
                Ask::Network { network: Some(other) } if other != "front" => {
                    Answer::Refused { why: format!("no NIC is in {other}") }
                }
                Ask::Network { .. } => Answer::Network(HostNetwork {
                    id: "net".into(),
                    name: "front".into(),
                    mtu: Some(1442),
                    subnets: vec![HostSubnet {
                        id: "sub".into(),
                        name: String::new(),
                        cidr: "10.20.0.0/24".into(),
                        ip_version: 4,
                        gateway: Some("10.20.0.1".into()),
                        routes: Vec::new(),
                        dns: Vec::new(),
                    }],
                }),
                Ask::Make(new) => {
                    let number = ports.len() + 10;
                    let link = self.kind.lock().unwrap().unwrap_or(PortLink::Macvlan);
                    let own = format!("02:59:00:00:00:{number}");
                    let port = ContainerPort {
                        id: format!("{number:08}-0000-4000-8000-000000000000"),
                        docker_network: new.docker_network,
                        endpoint: new.endpoint,
                        network: new.network,
                        link,
                        mac: if link == PortLink::Ipvlan { NIC.into() } else { new.mac.unwrap_or(own) },
                        addresses: vec![PortAddress {
                            subnet: "sub".into(),
                            address: new.addresses[0].address.or(format!("10.20.0.{number}").parse().ok()),
                        }],
                        parent_mac: NIC.into(),
                    };
                    ports.insert(port.id.clone(), port.clone());
                    Answer::Port(port)
                }
                Ask::Remove { port, .. } => {
                    ports.remove(&port);
                    Answer::Removed
                }
                Ask::Ports => Answer::Ports { ports: ports.values().cloned().collect() },
            }
        }
    }

    impl Server for Arc<Book> {
        fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, String>> {
            let away = self.away.load(Ordering::Relaxed);
            let answer = if away { Err("the server is not connected".to_owned()) } else { Ok(self.answer(ask)) };
            async { answer }.boxed()
        }
    }

    struct Ground {
        book: Arc<Book>,
        dir: tempfile::TempDir,
        paper: Paper,
        plugin: Plugin,
    }

    fn start(book: &Arc<Book>, dir: &Path, paper: &Paper) -> Plugin {
        let state = StateDir::open(dir).unwrap();
        let (source, wiring) = (Source::Server(Arc::new(book.clone())), Box::new(paper.clone()));
        Plugin::new(Front::Docker, PLUGIN, source, wiring, &state, Arc::new(())).unwrap()
    }

    impl Ground {
        fn new() -> Self {
            let (book, dir, paper) = (Arc::default(), tempfile::tempdir().unwrap(), Paper::default());
            let plugin = start(&book, dir.path(), &paper);
            Self { book, dir, paper, plugin }
        }

        fn restart(&mut self) {
            self.plugin = start(&self.book, self.dir.path(), &self.paper);
        }

        async fn call(&self, method: &str, body: Value) -> Result<Value, String> {
            let method = format!("NetworkDriver.{method}");
            let answer = plugin::call(&self.plugin, &method, body.to_string().as_bytes()).await;
            answer.map(|a| a.unwrap()).map_err(|e| chain(&e))
        }

        async fn network(&self, generic: Value) -> Result<Value, String> {
            let pool = json!([{"AddressSpace": "null", "Pool": "0.0.0.0/0"}]);
            let options = json!({"com.docker.network.generic": generic});
            self.call("CreateNetwork", json!({"NetworkID": "n1", "Options": options, "IPv4Data": pool})).await
        }

        async fn attach(&self, endpoint: &str, options: Value) -> Result<Value, String> {
            let body = json!({"NetworkID": "n1", "EndpointID": endpoint, "Interface": {}, "Options": options});
            self.call("CreateEndpoint", body).await
        }
    }

    #[tokio::test]
    async fn a_container_is_plugged_into_what_the_server_made() {
        let mut ground = Ground::new();
        assert!(ground.network(json!({"network": "back"})).await.unwrap_err().contains("no NIC is in back"));
        ground.network(json!({})).await.unwrap();
        let answer = ground.attach("e1", json!({})).await.unwrap();
        assert_eq!(answer, json!({"Interface": {"Address": "10.20.0.10/24", "MacAddress": "02:59:00:00:00:10"}}));
        ground.restart();
        assert_eq!(ground.attach("e1", json!({})).await.unwrap(), answer, "asked again");
        let of = json!({"NetworkID": "n1", "EndpointID": "e1"});
        let joined = ground.call("Join", of.clone()).await.unwrap();
        assert_eq!(joined["InterfaceName"]["SrcName"], "sc00000010-00");
        assert_eq!(joined["Gateway"], "10.20.0.1");
        let chosen = ground.attach("e2", json!({"ip": "10.20.0.77"})).await.unwrap();
        assert_eq!(chosen["Interface"]["Address"], "10.20.0.77/24");
        for (option, word) in [("floating-ip", "`floating-ip`"), ("security-groups", "`security-groups`")] {
            assert!(ground.attach("e3", json!({option: "x"})).await.unwrap_err().contains(word));
        }
        let port = json!([{"Proto": 6, "Port": 80, "HostPort": 8080}]);
        let published = ground.attach("e3", json!({"com.docker.network.portmap": port})).await;
        assert!(published.unwrap_err().contains("cannot be published"));

        ground.book.away.store(true, Ordering::Relaxed);
        assert!(ground.attach("e4", json!({})).await.unwrap_err().contains("not connected"));
        assert!(ground.call("DeleteEndpoint", of.clone()).await.unwrap_err().contains("not connected"));
        ground.book.away.store(false, Ordering::Relaxed);
        ground.call("DeleteEndpoint", of).await.unwrap();
        assert_eq!(ground.book.ports.lock().unwrap().len(), 1);
        let removed = ground.book.asked.lock().unwrap().pop();
        let addresses = vec!["10.20.0.10".parse().unwrap()];
        let port = "00000010-0000-4000-8000-000000000000".to_owned();
        assert_eq!(removed, Some(Ask::Remove { port, network: "net".into(), addresses }));
    }

    #[tokio::test]
    async fn an_ipvlan_has_no_mac_address_that_docker_could_set() {
        let ground = Ground::new();
        *ground.book.kind.lock().unwrap() = Some(PortLink::Ipvlan);
        ground.network(json!({})).await.unwrap();
        let answer = ground.attach("e1", json!({})).await.unwrap();
        assert_eq!(answer, json!({"Interface": {"Address": "10.20.0.10/24"}}));
    }

    #[tokio::test]
    async fn a_killed_agent_leaves_no_port_and_lost_ones_come_back() {
        let mut ground = Ground::new();
        ground.network(json!({})).await.unwrap();
        ground.attach("e1", json!({})).await.unwrap();
        ground.attach("e2", json!({})).await.unwrap();
        // Killed after the server had made a port and before it was written down.
        let addresses = vec![PortAddress { subnet: "sub".into(), address: None }];
        let new = NewContainerPort {
            network: "net".into(),
            docker_network: "n1".into(),
            endpoint: "e3".into(),
            mac: None,
            addresses,
        };
        ground.book.answer(Ask::Make(new));
        ground.restart();
        // Somebody has removed a port of a container that runs; another container is gone without a word.
        ground.book.ports.lock().unwrap().remove("00000010-0000-4000-8000-000000000000");
        let view = view(&[("e1", "n1", "02:59:00:00:00:10")]);
        let mut suspects = Suspects::default();
        for _ in 0..2 {
            let cloud = ground.plugin.look_at_cloud().await.unwrap();
            ground.plugin.mend(&cloud, &view, &mut suspects, Duration::ZERO).await;
        }
        let left: Vec<ContainerPort> = ground.book.ports.lock().unwrap().values().cloned().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!((left[0].endpoint.as_str(), left[0].mac.as_str()), ("e1", "02:59:00:00:00:10"));
        assert_eq!(left[0].addresses[0].address, "10.20.0.10".parse().ok());
    }

    #[test]
    fn what_a_host_cannot_have_is_named() {
        let options = EndpointOptions { floating_ip: Some("public".into()), ..EndpointOptions::default() };
        assert!(options.check_for_yard().unwrap_err().to_string().contains("`floating-ip`"));
        let network = NetworkOptions { defaults: options, ..NetworkOptions::default() };
        assert!(network.check_for_yard().unwrap_err().to_string().contains("`floating-ip`"));
        let network = NetworkOptions { router: Some("r".into()), ..NetworkOptions::default() };
        assert!(network.check_for_yard().unwrap_err().to_string().contains("`router`"));
        assert!(NetworkOptions { network: Some("n".into()), ..Default::default() }.check_for_yard().is_ok());
    }
}
