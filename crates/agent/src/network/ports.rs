//! Neutron ports of endpoints: made with all that is known in one request, given back in one.

use crate::network::ledger::{Endpoint, Network, short};
use crate::network::names::Scope;
use crate::network::options::EndpointOptions;
use crate::network::port_manager::{Frontend, PortManager};
use crate::network::wiring::{ContainerEnd, PreparedLink};
use crate::network::{Error, kuryr_names};
use futures_util::future::BoxFuture;
use serde_json::json;
use stackyard_core::yard::Mark;
use stackyard_openstack::{AddressPair, FixedIp, NewPort, Port, PortChange, QosPolicy, SecurityGroup};
use stackyard_ports::place_mark;
use stackyard_wire::binding::Vif;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, MutexGuard, PoisonError};
use tokio::task::JoinHandle;

/// An endpoint whose port is to be made.
#[derive(Clone)]
pub(crate) struct PortSpec<'a> {
    /// Docker's id of the network.
    pub(crate) network_id: &'a str,
    pub(crate) network: &'a Network,
    /// Docker's id of the endpoint, or its MAC address while that is all there is.
    pub(crate) key: &'a str,
    /// Neutron chooses one if absent.
    pub(crate) mac: Option<&'a str>,
    pub(crate) ips: Vec<FixedIp>,
    pub(crate) options: &'a EndpointOptions,
    /// The endpoint that it was when its port was lost: it has its link.
    pub(crate) before: Option<&'a Endpoint>,
    /// Where the container's end goes, if that is known.
    pub(crate) container_end: Option<&'a Arc<ContainerEnd>>,
}

/// Ids of what an endpoint's options name.
#[derive(Default)]
struct OptionIds {
    security_groups: Option<Vec<String>>,
    qos_policy: Option<String>,
}

impl Network {
    /// An address for each IP version: the wanted one, else whichever is free in the first subnet.
    pub(crate) fn addresses(&self, v4: Option<IpAddr>, v6: Option<IpAddr>) -> Result<Vec<FixedIp>, Error> {
        let mut ips = Vec::new();
        for (is_v4, wanted) in [(true, v4), (false, v6)] {
            let mut subnets = self.subnets.iter().filter(|s| s.cidr.addr().is_ipv4() == is_v4);
            match wanted {
                Some(address) => {
                    let subnet = subnets
                        .find(|s| s.cidr.contains(&address))
                        .ok_or_else(|| Error::request(format!("{address} is in no subnet of the network")))?;
                    ips.push(FixedIp { subnet_id: subnet.id.clone(), ip_address: Some(address.to_string()) });
                }
                None => ips.extend(subnets.next().map(|s| FixedIp { subnet_id: s.id.clone(), ip_address: None })),
            }
        }
        Ok(ips)
    }
}

impl PortManager {
    /// Makes an endpoint's port, and meanwhile its links.
    pub(crate) async fn make_port(&self, wanted: &PortSpec<'_>) -> Result<Endpoint, Error> {
        if let Some(broker) = self.broker() {
            return self.create_on_host(broker, wanted).await;
        }
        let (made, prepared) = tokio::join!(self.ask_for(wanted), self.prepare(wanted));
        match (&made, prepared) {
            (_, None) => {}
            (Ok(endpoint), Some(prepared)) if prepared.fits(&endpoint.vif) => {
                self.prepared().insert(endpoint.port.clone(), prepared);
            }
            (_, Some(prepared)) => self.discard(prepared).await,
        }
        if let Ok(endpoint) = &made {
            self.bound().insert(wanted.network.neutron.clone(), endpoint.vif.clone());
        }
        made
    }

    /// Makes links for a port that will be bound as the one before it.
    async fn prepare(&self, wanted: &PortSpec<'_>) -> Option<PreparedLink> {
        let vif = self.bound().get(&wanted.network.neutron).cloned().filter(|_| wanted.before.is_none())?;
        // What is wrong is said when the port is plugged.
        self.wiring.prepare(&vif, wanted.network.mtu, wanted.container_end).await.ok().flatten()
    }

    /// Plugs an endpoint, with the links that were made while Neutron made its port, if any were.
    pub(crate) fn plug_links(
        &self,
        endpoint: &Endpoint,
        mtu: u32,
        container_end: Option<&Arc<ContainerEnd>>,
    ) -> BoxFuture<'static, Result<(), Error>> {
        let prepared = self.prepared().remove(&endpoint.port);
        self.wiring.plug(endpoint, mtu, container_end, prepared)
    }

    /// Begins to plug a port of which Docker has only asked the address: it comes back for the rest at once.
    pub(crate) fn begin_to_plug(&self, endpoint: &Endpoint, mtu: u32) {
        let work = tokio::spawn(self.plug_links(endpoint, mtu, None));
        self.plugging().insert(endpoint.port.clone(), work);
    }

    /// Waits for the end of that, if it was begun; whether the port is plugged by it.
    pub(crate) async fn end_plugging(&self, port: &str) -> bool {
        let work = self.plugging().remove(port);
        match work {
            Some(work) => matches!(work.await, Ok(Ok(()))),
            None => false,
        }
    }

    /// Leaves nothing of a port's links but what is plugged.
    pub(crate) async fn end_preparing(&self, port: &str) {
        self.end_plugging(port).await;
        let prepared = self.prepared().remove(port);
        if let Some(prepared) = prepared {
            self.discard(prepared).await;
        }
    }

    fn plugging(&self) -> MutexGuard<'_, HashMap<String, JoinHandle<Result<(), Error>>>> {
        self.plugging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes links that nothing is made of.
    async fn discard(&self, prepared: PreparedLink) {
        if let Err(e) = self.wiring.discard(prepared).await {
            self.complain("a link stays for the reconciler", &e);
        }
    }

    fn prepared(&self) -> MutexGuard<'_, HashMap<String, PreparedLink>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bound(&self) -> MutexGuard<'_, HashMap<String, Vif>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_for(&self, wanted: &PortSpec<'_>) -> Result<Endpoint, Error> {
        let doing = || format!("making the port of {}", short(wanted.key));
        let mut tried_again = false;
        loop {
            let named = self.named(wanted.options).await?;
            let new = NewPort { tags: self.tags_at_creation(wanted.key).await?, ..self.body(wanted, named) };
            let uses_names = new.security_groups.is_some() || new.qos_policy_id.is_some();
            match self.cloud()?.create::<Port>(&new).await {
                Ok(port) => return Ok(self.endpoint(wanted.network_id, port, wanted.options.clone())),
                // A name may mean something else by now, or the network have no groups any more.
                Err(e) if (e.is_not_found() || e.status() == Some(400)) && uses_names && !tried_again => {
                    tried_again = true;
                    self.names.forget();
                }
                Err(e) => return Err(Error::cloud(doing())(e)),
            }
        }
    }

    /// Makes several ports alike, in one request; a yard's server is asked for a few at a time.
    pub(crate) async fn make_ports(&self, wanted: &PortSpec<'_>, count: usize) -> Result<Vec<Endpoint>, Error> {
        if let Some(broker) = self.broker() {
            return self.create_spares_on_host(broker, wanted, count).await;
        }
        let named = self.named(wanted.options).await?;
        let new = vec![self.body(wanted, named); count];
        let made = self.cloud()?.create_many::<Port>(&new).await;
        if made.as_ref().is_err_and(stackyard_openstack::Error::is_not_found) {
            self.names.forget();
        }
        let made =
            made.map_err(Error::cloud(format!("making {count} ports of network {}", short(wanted.network_id))))?;
        Ok(made.into_iter().map(|p| self.endpoint(wanted.network_id, p, wanted.options.clone())).collect())
    }

    /// The name of an endpoint's port.
    pub(crate) fn port_name(&self, key: &str) -> String {
        match self.frontend {
            _ if self.kuryr => kuryr_names::port_name(key),
            Frontend::Docker => format!("docker-{}", short(key)),
            // The container's id and the name of its link.
            Frontend::Cni => format!("cni-{}", key.get(..12).unwrap_or(key)),
        }
    }

    /// The tags to make a port with, where it has any and the cloud takes them so.
    async fn tags_at_creation(&self, key: &str) -> Result<Vec<String>, Error> {
        let asked =
            || async { self.cloud()?.takes_tags().await.map_err(Error::cloud("asking for Neutron's extensions")) };
        let takes = self.kuryr && *self.tags.get_or_try_init(asked).await?;
        Ok(if takes { self.port_tags(key) } else { Vec::new() })
    }

    /// What Neutron would give a port of the network by itself, where that is known.
    fn default_groups(&self, network: &Network) -> Option<Vec<String>> {
        let group = self.names.default_group().filter(|_| network.port_security == Some(true))?;
        Some(vec![group])
    }

    fn body(&self, wanted: &PortSpec<'_>, named: OptionIds) -> NewPort {
        NewPort {
            network_id: wanted.network.neutron.clone(),
            name: self.port_name(wanted.key),
            description: place_mark::of_network(&self.place(), wanted.network_id),
            fixed_ips: wanted.ips.clone(),
            mac_address: wanted.mac.map(str::to_owned),
            host: Some(self.host.clone()),
            device_owner: self.device_owner().to_owned(),
            device_id: wanted.key.to_owned(),
            security_groups: named.security_groups.or_else(|| self.default_groups(wanted.network)),
            qos_policy_id: named.qos_policy,
            allowed_address_pairs: pairs(wanted.options),
            dns_name: wanted.options.dns_name.clone(),
            ..NewPort::default()
        }
    }

    /// Binds a port that is there to this host.
    pub(crate) async fn adopt_port(&self, wanted: &PortSpec<'_>, named: &str) -> Result<Endpoint, Error> {
        let doing = || format!("taking port {named:?}");
        let port: Port = self.cloud()?.need(named).await.map_err(Error::cloud(doing()))?;
        if port.network_id != wanted.network.neutron {
            return Err(Error::request(format!("port {named:?} is on another network, {}", port.network_id)));
        }
        if Mark::parse(&port.description).is_some() {
            return Err(Error::request(format!("port {named:?} is a yard's own: {}", port.description)));
        }
        if !port.device_id.is_empty() && port.device_id != wanted.key {
            let (owner, device) = (&port.device_owner, &port.device_id);
            return Err(Error::request(format!("port {named:?} is in use: by {owner} {device}")));
        }
        let ids = self.named(wanted.options).await?;
        let change = PortChange {
            device_id: wanted.key.to_owned(),
            device_owner: self.device_owner().to_owned(),
            host: Some(self.host.clone()),
            mac_address: wanted.mac.filter(|m| *m != port.mac_address).map(str::to_owned),
            ..change(wanted.options, ids)
        };
        let port: Port = self.cloud()?.update(&port.id, &change).await.map_err(Error::cloud(doing()))?;
        Ok(Endpoint { adopted: true, ..self.endpoint(wanted.network_id, port, wanted.options.clone()) })
    }

    /// Gives a port that was made for its address alone the options of its endpoint, where they are more than
    /// the network's.
    pub(crate) async fn change_port(&self, endpoint: &mut Endpoint, options: EndpointOptions) -> Result<(), Error> {
        let ids = self.named(&options).await?;
        let is_same = |a: &EndpointOptions, b: &EndpointOptions| {
            (&a.security_groups, &a.own_group, &a.qos_policy, &a.address_pairs, &a.dns_name)
                == (&b.security_groups, &b.own_group, &b.qos_policy, &b.address_pairs, &b.dns_name)
        };
        if !is_same(&endpoint.options, &options) {
            let doing = Error::cloud(format!("changing port {}", endpoint.port));
            self.cloud()?.update::<Port>(&endpoint.port, &change(&options, ids)).await.map_err(doing)?;
        }
        endpoint.options = options;
        Ok(())
    }

    /// Gives an endpoint's port back: one that was made goes, one that was there before is free again.
    pub(crate) async fn return_port(&self, key: &str, endpoint: &Endpoint) -> Result<(), Error> {
        if let Some(broker) = self.broker() {
            return self.delete_on_host(broker, endpoint).await;
        }
        let doing = Error::cloud(format!("giving back port {}", endpoint.port));
        if !endpoint.adopted {
            return self.cloud()?.delete::<Port>(&endpoint.port).await.map(drop).map_err(doing);
        }
        if let Some(group) = &endpoint.options.firewall_group {
            self.unguard(group, std::slice::from_ref(&endpoint.port)).await?;
        }
        if self.kuryr {
            return self.free_kuryr_port(key, endpoint).await;
        }
        let free = json!({"device_id": "", "device_owner": "", "binding:host_id": ""});
        match self.cloud()?.update::<Port>(&endpoint.port, &free).await {
            Err(e) if !e.is_not_found() => Err(doing(e)),
            _ => Ok(()),
        }
    }

    async fn named(&self, options: &EndpointOptions) -> Result<OptionIds, Error> {
        let mut named = OptionIds::default();
        if let Some(groups) = &options.security_groups {
            let mut ids = Vec::new();
            for group in groups {
                ids.push(self.id_of::<SecurityGroup>(group, Scope::Project).await?);
            }
            ids.extend(options.own_group.clone());
            named.security_groups = Some(ids);
        }
        if let Some(policy) = &options.qos_policy {
            named.qos_policy = Some(self.id_of::<QosPolicy>(policy, Scope::Visible).await?);
        }
        Ok(named)
    }

    /// The endpoint that a port is.
    pub(crate) fn endpoint(&self, network: &str, port: Port, options: EndpointOptions) -> Endpoint {
        let adopted = self.kuryr && port.tags.iter().any(|t| t == kuryr_names::EXISTING_PORT);
        Endpoint {
            network: network.to_owned(),
            unnamed: false,
            keeps_device: adopted && !kuryr_names::is_dockers(&port.device_id),
            link: port.id.clone(),
            port: port.id,
            mac: port.mac_address,
            ips: port.fixed_ips,
            vif: Vif {
                vif_type: port.vif_type.unwrap_or_else(|| "unbound".to_owned()),
                details: port.vif_details.unwrap_or_default(),
                host: self.host.clone(),
                network: port.network_id,
            },
            options,
            floating_ip: None,
            forwardings: Vec::new(),
            adopted,
            limits: Default::default(),
            attachment: None,
            sandbox: String::new(),
            rank: 0,
        }
    }
}

fn change(options: &EndpointOptions, ids: OptionIds) -> PortChange {
    PortChange {
        security_groups: ids.security_groups,
        qos_policy_id: ids.qos_policy,
        allowed_address_pairs: pairs(options),
        dns_name: options.dns_name.clone(),
        ..PortChange::default()
    }
}

fn pairs(options: &EndpointOptions) -> Vec<AddressPair> {
    let pairs = options.address_pairs.iter();
    pairs.map(|(ip, mac)| AddressPair { ip_address: ip.clone(), mac_address: mac.clone() }).collect()
}
