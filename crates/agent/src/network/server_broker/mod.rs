//! On a host of a yard: the server asks Neutron, the host only plugs.
//!
//! Such a host is a Nova server and has neither credentials nor a switch of Neutron's. Its containers are VLANs of its
//! own NIC, whose port carries theirs as a trunk. Where the cloud has no trunks, or the host's kernel no VLANs, they
//! are macvlans on that NIC, or ipvlans where the cloud lets a NIC use only its own MAC address; the server makes a port
//! for each, which keeps the address, and lets the NIC's own port use that address. What cannot be had so the server
//! refuses, by its name.

pub(crate) mod rpc;
#[cfg(test)]
mod tests;

use crate::network::Error;
use crate::network::ledger::{Endpoint, short};
use crate::network::options::{EndpointOptions, NetworkOptions};
use crate::network::port_manager::{PortManager, PortSource};
use crate::network::ports::PortSpec;
use crate::network::warm_pool::SPARE;
use futures_util::stream::{self, StreamExt};
use serde_json::{Map, json};
use stackyard_core::agent::{ContainerPort, HostNetwork, NewContainerPort, PortAddress, PortLink, PortOptions};
use stackyard_core::stack::STACK_GROUP_OPTION;
use stackyard_core::text::error_chain;
use stackyard_openstack::{Network, Port, Subnet};
use stackyard_ports::{DeletePort, PortBroker, place_mark};
use stackyard_wire::binding::{IPVLAN, MACVLAN, PARENT_MAC, VLAN, VLAN_ID, Vif};

/// How many VLAN ids are asked for before it is given up: each has been somebody else's on this host.
const VLANS: usize = 16;

/// How many ports that nobody has yet the server is asked for at once: containers that start come between them.
const SPARES_AT_ONCE: usize = 4;

impl PortManager {
    /// The host's network of that name or id, with its subnets; its only one without a name.
    pub(crate) async fn host_network(
        &self,
        broker: &dyn PortBroker,
        name: Option<&str>,
        link: Option<PortLink>,
    ) -> Result<(Network, Vec<Subnet>), Error> {
        let links = self.links(link).await?;
        read_network(&broker.network(name, &links).await?)
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
            (None, PortSource::Cloud(_)) if options.stack_group.is_some() => Err(Error::request(format!(
                "option `{STACK_GROUP_OPTION}` is for hosts of a yard, which has such a group"
            ))),
            _ => Ok(()),
        }
    }

    /// Has the broker make an endpoint's port.
    pub(crate) async fn create_on_host(
        &self,
        broker: &dyn PortBroker,
        wanted: &PortSpec<'_>,
    ) -> Result<Endpoint, Error> {
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
        let made = broker.create(&new).await?;
        let endpoint = self.endpoint(wanted.network_id, self.read_port(&made)?, wanted.options.clone());
        let endpoint = Endpoint { adopted: wanted.options.port.is_some(), ..endpoint };
        let Some(why) = ignored_request(&new, &made) else { return Ok(endpoint) };
        let why = format!("making the port of {}: {why}", short(wanted.key));
        match self.delete_on_host(broker, &endpoint).await {
            Ok(()) => Err(Error::request(why)),
            Err(left) => Err(Error::request(format!("{why}; then, {}", error_chain(&left)))),
        }
    }

    /// Has the broker make ports that no endpoint has yet. They come behind the trunk together, since they are asked for
    /// together; those that were made when one fails are returned, so that none is lost.
    pub(crate) async fn create_spares_on_host(
        &self,
        broker: &dyn PortBroker,
        wanted: &PortSpec<'_>,
        count: usize,
    ) -> Result<Vec<Endpoint>, Error> {
        let one = |_| async {
            // Each bears the mark of its own.
            let key = format!("{SPARE}{:016x}", rand::random::<u64>());
            self.create_on_host(broker, &PortSpec { key: &key, ..wanted.clone() }).await
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

    /// Plugs an endpoint. Where its VLAN id is in use on this host, the broker is asked for another one.
    pub(crate) async fn plug(&self, key: &str, endpoint: &mut Endpoint, mtu: u32) -> Result<(), Error> {
        let mut taken = Vec::new();
        loop {
            let failed = match self.plug_links(endpoint, mtu, None).await {
                Ok(()) => return Ok(()),
                Err(e) => e,
            };
            let (Some(id), Some(broker)) = (failed.vlan_taken(), self.broker()) else {
                return Err(failed);
            };
            taken.push(id);
            if taken.len() > VLANS {
                return Err(failed);
            }
            endpoint.vif = vif_of(&broker.other_vlan(&endpoint.port, &taken).await?);
            self.ledger.endpoints.put(key, endpoint)?;
        }
    }

    /// Has the broker delete an endpoint's port.
    pub(crate) async fn delete_on_host(&self, broker: &dyn PortBroker, endpoint: &Endpoint) -> Result<(), Error> {
        // Of one that nothing is known of it may have been asked for.
        let is_known = self.ledger.endpoints.all().values().any(|e| e.port == endpoint.port)
            || self.ledger.spares.get(&endpoint.port).is_some();
        let may_have_all = !is_known && endpoint.vif.vif_type == VLAN;
        let gone = DeletePort {
            port: endpoint.port.clone(),
            network: self.ledger.networks.get(&endpoint.network).map(|n| n.neutron).unwrap_or_default(),
            addresses: endpoint.addresses().collect(),
            floating_ip: may_have_all || endpoint.options.floating_ip.is_some(),
            exposed: may_have_all || !endpoint.options.exposed.is_empty(),
        };
        Ok(broker.delete(&gone).await?)
    }

    /// The ports that the cloud has for this host's containers.
    pub(crate) async fn list_on_host(&self, broker: &dyn PortBroker) -> Result<Vec<Port>, Error> {
        broker.list().await?.iter().map(|p| self.read_port(p)).collect()
    }

    /// A port as the rest of this plugin knows it.
    fn read_port(&self, of: &ContainerPort) -> Result<Port, Error> {
        let ips: Vec<_> =
            of.addresses.iter().map(|a| json!({"subnet_id": a.subnet, "ip_address": a.address})).collect();
        let vif = vif_of(of);
        let port = json!({
            "id": of.id, "network_id": of.network, "mac_address": of.mac, "fixed_ips": ips, "device_id": of.endpoint,
            "description": place_mark::of_network(&self.place(), &of.docker_network),
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
        stack_group: options.stack_group == Some(true),
    }
}

/// What of a port that was made is not as it was to be. A server that does not know something of it takes no notice.
fn ignored_request(wanted: &NewContainerPort, made: &ContainerPort) -> Option<String> {
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
