//! Docker networks: existing Neutron networks, or made and removed with them.

use crate::network::docker::protocol::{CreateNetworkRequest, DeleteNetworkRequest, IpamData};
use crate::network::ledger::{GuardedPorts, Network, short};
use crate::network::names::Scope;
use crate::network::options::NetworkOptions;
use crate::network::port_manager::PortManager;
use crate::network::subnets::{choose, cidr, mtu_of, no_subnet, record};
use crate::network::{Error, kuryr_names, ledger};
use serde_json::{Value, json};
use stackyard_core::agent::PortLink;
use stackyard_core::text::error_chain;
use stackyard_openstack::{
    ExternalGateway, Gateway, NewNetwork, NewRouter, NewSubnet, Port, Router, Subnet, SubnetPool,
};
use stackyard_ports::place_mark;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{MutexGuard, PoisonError};

/// What IPv6 hosts get told where they are given addresses, as containers are.
const STATEFUL: &str = "dhcpv6-stateful";

/// A subnet that a network is to have.
struct SubnetSpec {
    /// 4 or 6.
    version: u32,
    /// CIDR; of an existing network also a name or id.
    subnet: Option<String>,
    gateway: Option<IpAddr>,
    /// Pool to take a new one from.
    from: Option<String>,
}

impl PortManager {
    /// `CreateNetwork`.
    pub(crate) async fn create_network(&self, request: CreateNetworkRequest) -> Result<Value, Error> {
        let _lock = self.locks.lock(&request.network).await;
        if self.ledger.networks.get(&request.network).is_some() {
            return Ok(json!({}));
        }
        let options = if self.kuryr {
            NetworkOptions::read(&kuryr_names::network_options(&request.options)?)?
        } else {
            NetworkOptions::read(&request.options)?
        };
        if self.kuryr && options.pool.is_some() {
            return Err(Error::request(
                "in kuryr's place there is no `pool`: Docker says which MAC address a port has",
            ));
        }
        self.check_link(&options.defaults)?;
        self.check_ipam(&request)?;
        let subnet_specs = subnet_specs(&request, &options)?;
        let existing = options.network.clone().or_else(|| self.neutron_of_pools(&subnet_specs));
        let on_host = self.broker().is_some();
        if on_host {
            options.check_for_yard()?;
        }
        let mut network = match existing.is_some() || on_host {
            true => self.use_network(existing.as_deref(), &options, &subnet_specs).await?,
            false => self.make_network(&request.network, &options, &subnet_specs).await?,
        };
        if network.internal {
            for subnet in &mut network.subnets {
                subnet.gateway = None;
                subnet.routes.retain(|(to, _)| to.prefix_len() > 0);
            }
        }
        self.claim_pools(&request.network, &mut network).await?;
        if self.kuryr
            && let Err(e) = self.tag_network(&request.network, &network).await
        {
            let undone = self.release_network(&request.network, &network).await;
            return Err(undone.err().unwrap_or(e));
        }
        self.ledger.networks.put(&request.network, &network)?;
        self.port_demand.changed.notify_one();
        Ok(json!({}))
    }

    /// A network that there is, with its subnets; on a host of a yard the host's own if none is named.
    pub(crate) async fn existing_network(
        &self,
        name: Option<&str>,
        link: Option<PortLink>,
    ) -> Result<(stackyard_openstack::Network, Vec<Subnet>), Error> {
        if let Some(broker) = self.broker() {
            return self.host_network(broker, name, link).await;
        }
        let name = name.unwrap_or_default();
        let doing = || Error::cloud(format!("looking up network {name:?}"));
        let found: stackyard_openstack::Network = self.cloud()?.need(name).await.map_err(doing())?;
        let all = self.cloud()?.list(&[("network_id", &found.id)]).await.map_err(doing())?;
        Ok((found, all))
    }

    async fn use_network(
        &self,
        name: Option<&str>,
        options: &NetworkOptions,
        subnet_specs: &[SubnetSpec],
    ) -> Result<Network, Error> {
        let (found, all) = self.existing_network(name, options.defaults.link).await?;
        let name = found.name.as_str();
        let doing = || Error::cloud(format!("adding what network {name:?} lacks"));
        if options.shared.is_some_and(|shared| shared != found.shared) {
            return Err(Error::request(format!(
                "network {name:?} is shared: {}; option `shared` differs",
                found.shared
            )));
        }
        let mut subnets = Vec::new();
        for spec in subnet_specs {
            match choose(&all, spec.version, spec.subnet.as_deref()) {
                Some(subnet) => subnets.push(record(subnet)?),
                // Any will do, and if there is none, that does, too.
                None if spec.subnet.is_none() => {}
                // kuryr makes what an existing network lacks (`network_driver_create_network`).
                None if self.kuryr => {
                    let new = self.subnet(&found.id, name, "", options, spec).await?;
                    subnets.push(record(&self.cloud()?.create::<Subnet>(&new).await.map_err(doing())?)?);
                }
                None => return Err(no_subnet(name, spec.version, spec.subnet.as_deref())),
            }
        }
        if subnets.is_empty() {
            return Err(Error::request(format!("network {name:?} has no subnet to take addresses from")));
        }
        let mtu = mtu(&found, options)?;
        Ok(Network {
            neutron: found.id,
            mtu,
            subnets,
            made: false,
            defaults: options.defaults.clone(),
            pool: options.pool,
            port_security: found.port_security_enabled,
            guarded: None,
            internal: options.internal,
        })
    }

    /// Makes a network with its subnets and its way out; what a killed plugin made of it is used.
    async fn make_network(
        &self,
        id: &str,
        options: &NetworkOptions,
        subnet_specs: &[SubnetSpec],
    ) -> Result<Network, Error> {
        if subnet_specs.iter().all(|w| w.subnet.is_none() && w.from.is_none()) {
            return Err(Error::request(
                "say which network: -o network=NAME for one that the cloud has; for a new one --subnet (with \
                 --ipam-driver null: -o subnet=CIDR or -o subnet-pool=NAME)",
            ));
        }
        if let Some(group) = &options.firewall_group {
            self.firewall_group(group).await?;
        }
        match self.make_parts(id, options, subnet_specs).await {
            Ok(network) => Ok(network),
            Err(e) => match self.remove_parts(id).await {
                Ok(()) => Err(e),
                Err(left) => Err(Error::request(format!("{}; then, {}", error_chain(&e), error_chain(&left)))),
            },
        }
    }

    async fn make_parts(
        &self,
        id: &str,
        options: &NetworkOptions,
        subnet_specs: &[SubnetSpec],
    ) -> Result<Network, Error> {
        let doing = |what: &str| Error::cloud(format!("making the {what} of Docker network {}", short(id)));
        let mark = place_mark::of_network(&self.place(), id);
        let own_name = || if self.kuryr { kuryr_names::network_name(id) } else { format!("docker-{}", short(id)) };
        let name = options.name.clone().unwrap_or_else(own_name);
        let before: Vec<stackyard_openstack::Network> =
            self.cloud()?.list(&[("description", &mark)]).await.map_err(doing("network"))?;
        let (found, there) = match before.into_iter().find(|n| n.description == mark) {
            Some(found) => {
                let there: Vec<Subnet> =
                    self.cloud()?.list(&[("network_id", &found.id)]).await.map_err(doing("subnets"))?;
                (found, there)
            }
            None => {
                let new = NewNetwork {
                    name: name.clone(),
                    description: mark.clone(),
                    mtu: options.mtu,
                    port_security_enabled: options.port_security,
                    dns_domain: options.dns_domain.clone(),
                    shared: options.shared,
                    ..NewNetwork::default()
                };
                (self.cloud()?.create(&new).await.map_err(doing("network"))?, Vec::new())
            }
        };
        let mut subnets = Vec::new();
        for spec in subnet_specs.iter().filter(|w| w.subnet.is_some() || w.from.is_some()) {
            let subnet = match choose(&there, spec.version, spec.subnet.as_deref()) {
                Some(subnet) => subnet.clone(),
                None => {
                    let new = self.subnet(&found.id, &name, &mark, options, spec).await?;
                    self.cloud()?.create(&new).await.map_err(doing("subnet"))?
                }
            };
            subnets.push(record(&subnet)?);
        }
        self.connect(&name, &mark, options, &subnets).await?;
        let guarded = match &options.firewall_group {
            Some(group) => {
                Some(GuardedPorts { group: group.clone(), ports: self.guard_router(&found.id, group).await? })
            }
            None => None,
        };
        let mtu = mtu(&found, options)?;
        Ok(Network {
            neutron: found.id,
            mtu,
            subnets,
            made: true,
            defaults: options.defaults.clone(),
            pool: options.pool,
            port_security: found.port_security_enabled,
            guarded,
            internal: options.internal,
        })
    }

    async fn subnet(
        &self,
        network: &str,
        name: &str,
        mark: &str,
        options: &NetworkOptions,
        spec: &SubnetSpec,
    ) -> Result<NewSubnet, Error> {
        let from = match &spec.from {
            Some(pool) => Some(self.id_of::<SubnetPool>(pool, Scope::Visible).await?),
            None if self.kuryr => self.waiting_pool(spec.subnet.as_deref()),
            None => None,
        };
        let stateful = (spec.version == 6 && !self.kuryr).then(|| STATEFUL.to_owned());
        let name = match &spec.subnet {
            Some(cidr) if self.kuryr => format!("{}{cidr}", kuryr_names::SUBNET),
            _ => name.to_owned(),
        };
        let servers = options.dns_servers.iter().filter(|s| s.contains(':') == (spec.version == 6));
        Ok(NewSubnet {
            name,
            network_id: network.to_owned(),
            cidr: spec.subnet.clone().unwrap_or_default(),
            subnetpool_id: from,
            ip_version: spec.version,
            gateway_ip: match spec.gateway {
                _ if options.internal => Gateway::None,
                Some(gateway) => Gateway::Address(gateway.to_string()),
                None => Gateway::default(),
            },
            dns_nameservers: servers.cloned().collect(),
            ipv6_ra_mode: stateful.clone(),
            ipv6_address_mode: stateful,
            description: mark.to_owned(),
            ..NewSubnet::default()
        })
    }

    /// Gives subnets a router.
    async fn connect(
        &self,
        name: &str,
        mark: &str,
        options: &NetworkOptions,
        subnets: &[ledger::Subnet],
    ) -> Result<(), Error> {
        let doing = || Error::cloud(format!("connecting network {name:?} to its router"));
        let router = match (&options.router, &options.external) {
            (Some(router), _) => self.id_of::<Router>(router, Scope::Visible).await?,
            (None, Some(external)) => {
                let before: Vec<Router> = self.cloud()?.list(&[("description", mark)]).await.map_err(doing())?;
                match before.into_iter().find(|r| r.description == mark) {
                    Some(router) => router.id,
                    None => {
                        let network_id = self.id_of::<stackyard_openstack::Network>(external, Scope::Visible).await?;
                        let new = NewRouter {
                            name: name.to_owned(),
                            description: mark.to_owned(),
                            external_gateway_info: Some(ExternalGateway { network_id }),
                        };
                        self.cloud()?.create::<Router>(&new).await.map_err(doing())?.id
                    }
                }
            }
            (None, None) => return Ok(()),
        };
        for subnet in subnets {
            match self.cloud()?.add_router_subnet(&router, &subnet.id).await {
                // It has that foot already: a killed plugin got as far.
                Err(e) if e.status() == Some(400) && e.to_string().contains("already has a port") => {}
                other => drop(other.map_err(doing())?),
            }
        }
        Ok(())
    }

    /// Whether this driver has given out the address pools of a network. Docker's own IPAM driver gives out addresses
    /// that Neutron has given to others.
    fn check_ipam(&self, request: &CreateNetworkRequest) -> Result<(), Error> {
        if self.kuryr {
            return Ok(());
        }
        let own = self.ledger.pools.all();
        let is_own = |data: &&IpamData| own.values().any(|p| p.network.is_none() && p.cidr.to_string() == data.pool);
        let given = request.ipv4.iter().chain(&request.ipv6).filter(|d| is_given(d));
        match given.into_iter().find(|data| !is_own(data)) {
            None => Ok(()),
            Some(foreign) => {
                let driver = match self.broker() {
                    None => format!("--ipam-driver {} (in Compose `ipam: driver:`), or ", self.name),
                    Some(_) => String::new(),
                };
                Err(Error::request(format!(
                    "cannot use addresses of Docker's own IPAM driver ({}): Neutron gives them out; add \
                     {driver}--ipam-driver null",
                    foreign.pool
                )))
            }
        }
    }

    /// The Neutron network that Docker's IPAM options named, if they did (`--ipam-opt network=`).
    fn neutron_of_pools(&self, subnet_specs: &[SubnetSpec]) -> Option<String> {
        let pools = self.ledger.pools.all();
        let mut waiting = pools.into_values().filter(|p| p.network.is_none());
        let is_wished =
            |p: &ledger::AddressPool| subnet_specs.iter().any(|w| w.subnet.as_deref() == Some(&p.cidr.to_string()));
        waiting.find(|p| p.neutron.is_some() && is_wished(p))?.neutron
    }

    /// The id of the address pool with this CIDR that waits for its network.
    fn waiting_pool(&self, subnet: Option<&str>) -> Option<String> {
        let pools = self.ledger.pools.all();
        let is_it = |p: &ledger::AddressPool| p.network.is_none() && subnet == Some(p.cidr.to_string().as_str());
        pools.into_iter().find(|(_, p)| is_it(p)).map(|(id, _)| id)
    }

    /// Makes the address pools that Docker has asked for with these CIDRs this network's.
    async fn claim_pools(&self, id: &str, network: &mut Network) -> Result<(), Error> {
        let _lock = self.locks.lock("pools").await;
        let waiting = self.ledger.pools.all().into_iter().filter(|(_, p)| p.network.is_none());
        for (pool_id, mut pool) in waiting {
            if let Some(subnet) = network.subnets.iter_mut().find(|s| s.cidr == pool.cidr && s.pool.is_none()) {
                subnet.pool = Some(pool_id.clone());
                pool.network = Some(id.to_owned());
                self.ledger.pools.put(&pool_id, &pool)?;
            }
        }
        Ok(())
    }

    /// `DeleteNetwork`.
    pub(crate) async fn delete_network(&self, request: DeleteNetworkRequest) -> Result<Value, Error> {
        let _lock = self.locks.lock(&request.network).await;
        let known = self.ledger.networks.get(&request.network);
        let known = if self.kuryr && known.is_none() { self.find_network(&request.network).await? } else { known };
        let Some(network) = known else { return Ok(json!({})) };
        let _drained = self.drain(&request.network).await?;
        if self.kuryr {
            self.release_network(&request.network, &network).await?;
        } else if network.made {
            let removed = self.remove_parts(&request.network).await;
            if let Err(Error::NetworkInUse { .. }) = &removed {
                // Docker forgets its network whatever the answer is. The reconciler knows the rest by its mark.
                self.ledger.networks.remove(&request.network)?;
            }
            removed?;
        }
        self.ledger.networks.remove(&request.network)?;
        Ok(json!({}))
    }

    /// Removes all that was made for a Docker network, by its mark. While others use any of it, all of it stays.
    pub(crate) async fn remove_parts(&self, id: &str) -> Result<(), Error> {
        let doing = || Error::cloud(format!("removing what was made for Docker network {}", short(id)));
        let mark = place_mark::of_network(&self.place(), id);
        let mut networks: Vec<stackyard_openstack::Network> =
            self.cloud()?.list(&[("description", &mark)]).await.map_err(doing())?;
        networks.retain(|n| n.description == mark);
        let mut routers: Vec<Router> = self.cloud()?.list(&[("description", &mark)]).await.map_err(doing())?;
        routers.retain(|r| r.description == mark);
        let mut ports: Vec<Port> = Vec::new();
        for network in &networks {
            ports.extend(self.cloud()?.list::<Port>(&[("network_id", &network.id)]).await.map_err(doing())?);
        }
        let mut used_by: Vec<String> =
            ports.iter().filter(|p| !is_neutrons(p) && !self.is_port_of(p, id)).map(|p| p.id.clone()).collect();
        for router in &routers {
            let feet: Vec<Port> = self.cloud()?.list(&[("device_id", &router.id)]).await.map_err(doing())?;
            let is_elsewhere = |p: &&Port| is_foot(p) && networks.iter().all(|n| n.id != p.network_id);
            used_by.extend(feet.iter().filter(is_elsewhere).map(|p| p.id.clone()));
        }
        if let Some(first) = used_by.first().cloned() {
            self.left_in_use().insert(id.to_owned());
            let name = networks.first().map_or_else(|| short(id).to_owned(), |n| n.name.clone());
            return Err(Error::NetworkInUse { name, ports: used_by.len(), first });
        }
        for foot in ports.iter().filter(|p| is_foot(p)) {
            for ip in &foot.fixed_ips {
                self.cloud()?.remove_router_subnet(&foot.device_id, &ip.subnet_id).await.map_err(doing())?;
            }
        }
        for router in &routers {
            self.cloud()?.delete::<Router>(&router.id).await.map_err(doing())?;
        }
        // Their subnets go with them.
        for network in &networks {
            self.cloud()?.delete::<stackyard_openstack::Network>(&network.id).await.map_err(doing())?;
        }
        self.left_in_use().remove(id);
        Ok(())
    }

    /// Whether a port was made for a Docker network, or has been taken by an endpoint of it.
    fn is_port_of(&self, port: &Port, id: &str) -> bool {
        let is_taken = || self.ledger.endpoints.all().values().any(|e| e.port == port.id && e.network == id);
        place_mark::network(&self.place(), &port.description) == Some(id) || is_taken()
    }

    /// Docker networks that are gone, and whose Neutron networks others use.
    pub(crate) fn left_in_use(&self) -> MutexGuard<'_, HashSet<String>> {
        self.left_in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a port is a router's on one of its networks.
fn is_foot(port: &Port) -> bool {
    port.device_owner.starts_with("network:router_interface")
}

/// Whether a port is of Neutron's own services, as routers and DHCP.
fn is_neutrons(port: &Port) -> bool {
    port.device_owner.starts_with("network:")
}

/// The subnets that a network is to have: what IPAM gave out, and with IPAM `null`, which gives nothing, what
/// the options say.
fn subnet_specs(request: &CreateNetworkRequest, options: &NetworkOptions) -> Result<Vec<SubnetSpec>, Error> {
    // Docker has to know of an address pool, or to know of none at all.
    let nothing_given = !request.ipv4.iter().chain(&request.ipv6).any(is_given);
    let mut subnet_specs = Vec::new();
    let sides = [
        (4, &request.ipv4, &options.subnet, &options.subnet_pool),
        (6, &request.ipv6, &options.subnet6, &options.subnet_pool6),
    ];
    for (version, data, subnet, from) in sides {
        let given: Vec<&IpamData> = data.iter().filter(|d| is_given(d)).collect();
        for pool in &given {
            let gateway = pool.gateway.split('/').next().and_then(|g| g.parse().ok());
            let subnet = Some(cidr(&pool.pool)?.to_string());
            subnet_specs.push(SubnetSpec { version, subnet, gateway, from: None });
        }
        if given.is_empty() && nothing_given {
            subnet_specs.push(SubnetSpec { version, subnet: subnet.clone(), gateway: None, from: from.clone() });
        } else if subnet.is_some() || from.is_some() {
            return Err(Error::request(
                "options `subnet` and `subnet-pool` are for --ipam-driver null; with another, say --subnet",
            ));
        }
    }
    Ok(subnet_specs)
}

/// Whether IPAM gave out a pool. With `--ipam-driver null` it is all addresses.
fn is_given(data: &IpamData) -> bool {
    !data.pool.is_empty() && !data.pool.ends_with("/0")
}

/// Greatest packet of a network's containers, in bytes: Neutron's, or less if a user wants so.
fn mtu(network: &stackyard_openstack::Network, options: &NetworkOptions) -> Result<u32, Error> {
    let most = network.mtu.filter(|m| *m > 0);
    match (options.mtu, most) {
        (Some(wanted), Some(most)) if wanted > most => Err(Error::request(format!(
            "an MTU of {wanted} does not fit: packets of network {:?} have {most} bytes at most",
            network.name
        ))),
        (Some(wanted), _) => Ok(wanted),
        (None, _) => Ok(mtu_of(network)),
    }
}
