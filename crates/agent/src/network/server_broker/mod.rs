//! On a host of a yard: the server asks Neutron, the host only plugs.
//!
//! Such a host is a Nova server and has neither credentials nor a switch of Neutron's. Its containers are VLANs of its
//! own NIC, whose port carries theirs as a trunk. Where the cloud has no trunks, or the host's kernel no VLANs, they
//! are macvlans on that NIC, or ipvlans where the cloud lets a NIC use only its own MAC address; the server makes a port
//! for each, which keeps the address, and lets the NIC's own port use that address. What cannot be had so the server
//! refuses, by its name.

use crate::network::ledger::{Endpoint, short};
use crate::network::options::{EndpointOptions, NetworkOptions};
use crate::network::port_manager::{PortManager, PortSource};
use crate::network::ports::PortSpec;
use crate::network::warm_pool::SPARE;
use crate::network::{Error, mark};
use crate::server_link::rpc::AskServer;
use futures_util::stream::{self, StreamExt};
use serde_json::{Map, json};
use stackyard_core::agent::{
    Answer, Ask, ContainerPort, HostNetwork, NewContainerPort, PortAddress, PortLink, PortOptions,
};
use stackyard_core::text::error_chain;
use stackyard_openstack::{Network, Port, Subnet};
use stackyard_wire::binding::{IPVLAN, MACVLAN, PARENT_MAC, VLAN, VLAN_ID, Vif};

/// How many VLAN ids are asked for before it is given up: each has been somebody else's on this host.
const VLANS: usize = 16;

/// How many ports that nobody has yet the server is asked for at once: containers that start come between them.
const SPARES_AT_ONCE: usize = 4;

impl PortManager {
    /// Asks the server.
    pub(crate) async fn ask(&self, server: &dyn AskServer, doing: &str, ask: Ask) -> Result<Answer, Error> {
        match server.ask(ask).await {
            Ok(Answer::Refused { why }) | Err(why) => Err(Error::request(format!("{doing}: {why}"))),
            Ok(answer) => Ok(answer),
        }
    }

    /// The host's network of that name or id, with its subnets; its only one without a name.
    pub(crate) async fn host_network(
        &self,
        server: &dyn AskServer,
        name: Option<&str>,
        link: Option<PortLink>,
    ) -> Result<(Network, Vec<Subnet>), Error> {
        let links = self.links(link).await?;
        let doing = match name {
            Some(name) => format!("looking up network {name:?}"),
            None => "looking up this host's network".to_owned(),
        };
        match self.ask(server, &doing, Ask::Network { network: name.map(str::to_owned), links }).await? {
            Answer::Network(network) => read_network(&network),
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// Kinds of links that an endpoint's may be of: what this host can make, or that one of it.
    async fn links(&self, wanted: Option<PortLink>) -> Result<Vec<PortLink>, Error> {
        let mut kinds = self.wiring.kinds().await?;
        let words: Vec<&str> = kinds.iter().map(|link| link.word()).collect();
        let words = words.join(", ");
        kinds.retain(|kind| wanted.is_none_or(|wanted| *kind == wanted));
        match (wanted, kinds.is_empty()) {
            (_, false) => Ok(kinds),
            (Some(wanted), true) => Err(Error::request(format!(
                "option `link` is {}, and this host's kernel can make links for {words} alone",
                wanted.word()
            ))),
            (None, true) => {
                Err(Error::request("this host's kernel can make neither VLAN links nor macvlans nor ipvlans"))
            }
        }
    }

    /// Whether an endpoint may say of what kind its link is to be.
    pub(crate) fn check_link(&self, options: &EndpointOptions) -> Result<(), Error> {
        match (options.link, &self.source) {
            (Some(_), PortSource::Cloud(_)) => {
                Err(Error::request("option `link` is for hosts of a yard: here the switch is Neutron's own"))
            }
            _ => Ok(()),
        }
    }

    /// Has the server make an endpoint's port.
    pub(crate) async fn ask_for_port(&self, server: &dyn AskServer, wanted: &PortSpec<'_>) -> Result<Endpoint, Error> {
        let doing = format!("making the port of {}", short(wanted.key));
        let address = |ip: &stackyard_openstack::FixedIp| PortAddress {
            subnet: ip.subnet_id.clone(),
            address: ip.ip_address.as_deref().and_then(|a| a.parse().ok()),
        };
        let links = match wanted.before {
            Some(before) => vec![link_of(&before.vif)],
            None => self.links(wanted.options.link).await?,
        };
        let new = NewContainerPort {
            network: wanted.network.neutron.clone(),
            docker_network: wanted.network_id.to_owned(),
            endpoint: wanted.key.to_owned(),
            mac: wanted.mac.map(str::to_owned),
            addresses: wanted.ips.iter().map(address).collect(),
            links,
            vlan: wanted.before.and_then(|before| vlan_of(&before.vif)),
            options: port_options(wanted.options),
        };
        let made = match self.ask(server, &doing, Ask::Make(Box::new(new.clone()))).await? {
            Answer::Port(made) => made,
            other => return Err(unexpected(&doing, &other)),
        };
        let endpoint = self.endpoint(wanted.network_id, self.read_port(&made)?, wanted.options.clone());
        let endpoint = Endpoint { adopted: wanted.options.port.is_some(), ..endpoint };
        match unheeded(&new, &made) {
            None => Ok(endpoint),
            Some(why) => match self.ask_to_remove(server, &endpoint).await {
                Ok(()) => Err(Error::request(format!("{doing}: {why}"))),
                Err(left) => Err(Error::request(format!("{doing}: {why}; then, {}", error_chain(&left)))),
            },
        }
    }

    /// Has the server make ports that no endpoint has yet. They come behind the trunk together, since they are asked for
    /// together; those that were made when one fails are returned, so that none is lost.
    pub(crate) async fn ask_for_spares(
        &self,
        server: &dyn AskServer,
        wanted: &PortSpec<'_>,
        count: usize,
    ) -> Result<Vec<Endpoint>, Error> {
        let one = |_| async {
            // Each bears the mark of its own.
            let key = format!("{SPARE}{:016x}", rand::random::<u64>());
            self.ask_for_port(server, &PortSpec { key: &key, ..wanted.clone() }).await
        };
        let all: Vec<_> = stream::iter(0..count).map(one).buffer_unordered(SPARES_AT_ONCE).collect().await;
        let (mut made, mut failed) = (Vec::new(), None);
        for one in all {
            match one {
                Ok(endpoint) => made.push(endpoint),
                Err(e) => failed = Some(e),
            }
        }
        match failed {
            Some(e) if made.is_empty() => Err(e),
            _ => Ok(made),
        }
    }

    /// Has the server name a port that was ready before after its endpoint.
    pub(crate) async fn ask_to_name(&self, server: &dyn AskServer, port: &str, endpoint: &str) -> Result<(), Error> {
        let doing = format!("naming port {port}");
        let ask = Ask::Name { port: port.to_owned(), endpoint: endpoint.to_owned() };
        match self.ask(server, &doing, ask).await? {
            Answer::Named => Ok(()),
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// Plugs an endpoint. Where its VLAN id is in use on this host, the server is asked for another one.
    pub(crate) async fn plug(&self, key: &str, endpoint: &mut Endpoint, mtu: u32) -> Result<(), Error> {
        let mut taken = Vec::new();
        loop {
            let failed = match self.plug_links(endpoint, mtu, None).await {
                Ok(()) => return Ok(()),
                Err(e) => e,
            };
            let (Some(id), PortSource::Server(server)) = (failed.vlan_taken(), &self.source) else {
                return Err(failed);
            };
            taken.push(id);
            if taken.len() > VLANS {
                return Err(failed);
            }
            let doing = format!("getting another VLAN for port {}", endpoint.port);
            let ask = Ask::OtherVlan { port: endpoint.port.clone(), taken: taken.clone() };
            match self.ask(&**server, &doing, ask).await? {
                Answer::Port(moved) => endpoint.vif = vif_of(&moved),
                other => return Err(unexpected(&doing, &other)),
            }
            self.ledger.endpoints.put(key, endpoint)?;
        }
    }

    /// Has the server remove a port.
    pub(crate) async fn ask_to_remove(&self, server: &dyn AskServer, endpoint: &Endpoint) -> Result<(), Error> {
        let doing = format!("giving back port {}", endpoint.port);
        let addresses = endpoint.addresses().collect();
        let network = self.ledger.networks.get(&endpoint.network).map(|n| n.neutron).unwrap_or_default();
        // Of one that nothing is known of it may have been asked for.
        let is_known = self.ledger.endpoints.all().values().any(|e| e.port == endpoint.port)
            || self.ledger.spares.get(&endpoint.port).is_some();
        let may_have_all = !is_known && endpoint.vif.vif_type == VLAN;
        let ask = Ask::Remove {
            port: endpoint.port.clone(),
            network,
            addresses,
            floating_ip: may_have_all || endpoint.options.floating_ip.is_some(),
            exposed: may_have_all || !endpoint.options.exposed.is_empty(),
        };
        match self.ask(server, &doing, ask).await? {
            Answer::Removed => Ok(()),
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// The ports that the cloud has for this host's containers.
    pub(crate) async fn ask_for_ports(&self, server: &dyn AskServer) -> Result<Vec<Port>, Error> {
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
        let vif = vif_of(of);
        let port = json!({
            "id": of.id, "network_id": of.network, "mac_address": of.mac, "fixed_ips": ips, "device_id": of.endpoint,
            "description": mark::of_network(&self.place(), &of.docker_network),
            "binding:vif_type": vif.vif_type, "binding:vif_details": vif.details,
        });
        serde_json::from_value(port).map_err(unreadable)
    }
}

/// How a port is plugged.
fn vif_of(port: &ContainerPort) -> Vif {
    let vif_type = match port.link {
        PortLink::Macvlan => MACVLAN,
        PortLink::Ipvlan => IPVLAN,
        PortLink::Vlan => VLAN,
    };
    let mut details = Map::from_iter([(PARENT_MAC.to_owned(), port.parent_mac.clone().into())]);
    details.extend(port.vlan.map(|id| (VLAN_ID.to_owned(), id.into())));
    Vif { vif_type: vif_type.to_owned(), details, host: String::new(), network: port.network.clone() }
}

fn link_of(vif: &Vif) -> PortLink {
    match vif.vif_type.as_str() {
        VLAN => PortLink::Vlan,
        IPVLAN => PortLink::Ipvlan,
        _ => PortLink::Macvlan,
    }
}

fn vlan_of(vif: &Vif) -> Option<u16> {
    vif.details.get(VLAN_ID)?.as_u64().and_then(|id| u16::try_from(id).ok())
}

fn port_options(options: &EndpointOptions) -> PortOptions {
    PortOptions {
        security_groups: options.security_groups.clone(),
        qos_policy: options.qos_policy.clone(),
        floating_ip: options.floating_ip.clone(),
        publish: options.publish.clone(),
        address_pairs: options.address_pairs.clone(),
        port: options.port.clone(),
        dns_name: options.dns_name.clone(),
        exposed: options.exposed.clone(),
    }
}

/// What of a port that was made is not as it was to be. A server that does not know something of it takes no notice.
fn unheeded(wanted: &NewContainerPort, made: &ContainerPort) -> Option<String> {
    let older = |what: &str| format!("the server is older than this agent and does not know {what}: update it");
    if !wanted.links.contains(&made.link) {
        return Some(older("option `link`"));
    }
    if made.link != PortLink::Vlan
        && let Some(option) = wanted.options.named().first()
    {
        return Some(older(&format!("option `{option}` here")));
    }
    let other_mac = |mac: &&String| !mac.eq_ignore_ascii_case(&made.mac);
    wanted.mac.as_ref().filter(other_mac).map(|_| {
        format!(
            "leave --mac-address away: it can be chosen only where the link is a trunk's, and this is a {}",
            made.link.word()
        )
    })
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

pub(crate) fn unexpected(doing: &str, answer: &Answer) -> Error {
    Error::request(format!("{doing}: the server answered something else: {answer:?}"))
}

impl NetworkOptions {
    /// Whether a network on a host of a yard can be so.
    pub(crate) fn check_for_yard(&self) -> Result<(), Error> {
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
            ("firewall-group", self.firewall_group.is_some()),
        ];
        if let Some((option, _)) = refused.into_iter().find(|(_, is)| *is) {
            return Err(Error::request(format!(
                "option `{option}` is not for hosts of a yard: their containers are in networks that there are (option \
                 `network` says which)"
            )));
        }
        self.defaults.check_for_yard()
    }
}

impl EndpointOptions {
    /// Whether an endpoint on a host of a yard can be so.
    pub(crate) fn check_for_yard(&self) -> Result<(), Error> {
        if self.on_host && self.floating_ip.is_none() {
            return Err(Error::request(
                "ports are published (-p) by a floating IP here: name one, or the external network to get one from (driver \
                 option `floating-ip`), or leave -p away: the container has an address of its own, where all ports can be \
                 reached that its security groups allow",
            ));
        }
        match self.firewall_group {
            None => Ok(()),
            // neutron-fwaas, fwaas_plugin_v2.py, `FirewallGroupPortInvalid`.
            Some(_) => Err(Error::request(
                "option `firewall-group` is not for containers on a host of a yard: Neutron guards ports of servers and of \
                 routers alone, and theirs are behind the host's; option `security-groups` says what is let in",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
