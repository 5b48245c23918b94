//! Docker's IPAM driver: address pools are subnets, addresses are ports'.
//!
//! Docker asks for the pools of a network before it makes the network, and does not say later which pool
//! became part of which network. So a pool waits for the next network with its CIDR, and no other of that
//! CIDR is given out meanwhile.

use crate::network::docker::protocol::{AddressRequest, ReleasePoolRequest, RequestPoolRequest};
use crate::network::ledger::{AddressPool, Endpoint, now};
use crate::network::options::NetworkOptions;
use crate::network::port_manager::PortManager;
use crate::network::subnets::{choose, cidr, gateway, no_subnet};
use crate::network::{Error, ledger, ports};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Option of RequestAddress that says what the address is for.
const PURPOSE: &str = "RequestAddressType";
const GATEWAY: &str = "com.docker.network.gateway";
const MAC: &str = "com.docker.network.endpoint.macaddress";

/// How long a pool waits for its network, in seconds: Docker goes on at once, or not at all.
pub(crate) const CLAIMED_WITHIN: i64 = 60;

impl PortManager {
    /// `RequestPool`.
    pub(crate) async fn request_pool(&self, request: RequestPoolRequest) -> Result<Value, Error> {
        if self.kuryr {
            return self.request_kuryr_pool(request).await;
        }
        if self.broker().is_some() {
            return Err(Error::request(
                "on a host of a yard, say --ipam-driver null: Neutron chooses addresses, or options `ip` and `ip6`",
            ));
        }
        if !request.sub_pool.is_empty() {
            return Err(Error::request("--ip-range is the cloud's to decide: its subnets have allocation pools"));
        }
        let options = NetworkOptions::read_ipam(&request.options)?;
        let pool = match &options.network {
            Some(network) => self.existing_pool(network, &options, &request).await?,
            None if request.pool.is_empty() => {
                return Err(Error::request(
                    "say --subnet, or for an existing network --ipam-opt network=NAME (or --ipam-driver null)",
                ));
            }
            None => {
                let cidr = cidr(&request.pool)?;
                AddressPool { cidr, gateway: None, neutron: None, network: None, asked: now() }
            }
        };
        let _lock = self.locks.lock("pools").await;
        for (id, other) in self.ledger.pools.all() {
            if other.network.is_none() && other.asked + CLAIMED_WITHIN < now() {
                self.ledger.pools.remove(&id)?;
            } else if other.network.is_none() && other.cidr == pool.cidr {
                return Err(Error::request(format!(
                    "another network with the subnet {} is being made; try again in a minute",
                    pool.cidr
                )));
            }
        }
        let id = format!("{}-{:016x}", pool.cidr.addr(), rand::random::<u64>());
        self.ledger.pools.put(&id, &pool)?;
        let mut answer = json!({"PoolID": id, "Pool": pool.cidr.to_string(), "Data": {}});
        if let Some(gateway) = pool.gateway {
            answer["Data"][GATEWAY] = format!("{gateway}/{}", pool.cidr.prefix_len()).into();
        }
        Ok(answer)
    }

    /// The subnet of an existing network that a pool is to be.
    async fn existing_pool(
        &self,
        network: &str,
        options: &NetworkOptions,
        request: &RequestPoolRequest,
    ) -> Result<AddressPool, Error> {
        let (found, subnets) = self.existing_network(Some(network), None).await?;
        let (version, option) = if request.v6 { (6, &options.subnet6) } else { (4, &options.subnet) };
        let wanted = Some(request.pool.as_str()).filter(|p| !p.is_empty()).or(option.as_deref());
        let subnet = choose(&subnets, version, wanted).ok_or_else(|| no_subnet(network, version, wanted))?;
        let (cidr, gateway) = (cidr(&subnet.cidr)?, gateway(subnet));
        Ok(AddressPool { cidr, gateway, neutron: Some(found.id), network: None, asked: now() })
    }

    /// `ReleasePool`.
    pub(crate) async fn release_pool(&self, request: &ReleasePoolRequest) -> Result<Value, Error> {
        if self.kuryr {
            self.release_kuryr_pool(&request.pool).await?;
        }
        self.ledger.pools.remove(&request.pool)?;
        Ok(json!({}))
    }

    /// `RequestAddress`.
    pub(crate) async fn request_address(&self, request: AddressRequest) -> Result<Value, Error> {
        let pool = self.pool(&request.pool).await?;
        let with_length = |address: IpAddr| format!("{address}/{}", pool.cidr.prefix_len());
        let wanted = match request.address.as_str() {
            "" => None,
            text => Some(text.parse::<IpAddr>().map_err(|_| Error::request(format!("{text:?} is no address")))?),
        };
        if let Some(address) = wanted.filter(|a| !pool.cidr.contains(a)) {
            return Err(Error::request(format!("{address} is not in {}", pool.cidr)));
        }
        if request.options.get(PURPOSE).is_some_and(|p| p == GATEWAY) {
            let address = wanted.or(pool.gateway).or_else(|| pool.cidr.hosts().next());
            let address = address.ok_or_else(|| Error::request(format!("{} has no address", pool.cidr)))?;
            return Ok(json!({"Address": with_length(address), "Data": {}}));
        }
        let mac = request.options.get(MAC).and_then(Value::as_str);
        let network = pool.network.as_deref();
        let network = network.ok_or_else(|| Error::request(format!("no network has the pool {} yet", pool.cidr)));
        if let Some(address) = wanted {
            // The port is made when all is known of it. An address may be wanted before there is a network.
            if let Some(who) = mac.or(pool.network.as_deref()) {
                self.address_requests.note(who, address);
            }
            return Ok(json!({"Address": with_length(address), "Data": {}}));
        }
        let address = self.address_of_new_port(&request.pool, network?, mac).await?;
        Ok(json!({"Address": with_length(address), "Data": {}}))
    }

    /// The address in the pool of the port for an endpoint of which nothing else is known, at most its MAC
    /// address. The port is made, or taken from those that are ready, when the first of its addresses is asked
    /// for.
    async fn address_of_new_port(&self, pool: &str, network_id: &str, mac: Option<&str>) -> Result<IpAddr, Error> {
        let who = mac.unwrap_or(network_id);
        let _lock = self.locks.lock(&format!("addresses of {who}")).await;
        let network = self.network(network_id).await?;
        let subnet = network.subnets.iter().find(|s| s.pool.as_deref() == Some(pool));
        let subnet = subnet.ok_or_else(|| Error::request(format!("pool {pool} is no part of its network")))?;
        let half = self.address_requests.of(who);
        // Docker asks for IPv4 and IPv6 one after the other; the port has both from the beginning.
        let has_ipv4 = network.subnets.iter().any(|s| s.cidr.addr().is_ipv4() && s.pool.is_some());
        let other_half = match half.port {
            Some((key, given)) => Some(key).filter(|_| mac.is_some() || !given.contains(&subnet.id)),
            // IPv6 comes second: for the first the plugin was asked before it was killed.
            None if mac.is_none() && subnet.cidr.addr().is_ipv6() && has_ipv4 && half.chosen.is_empty() => {
                self.waiting(network_id)
            }
            None => None,
        };
        let known = other_half.as_deref().or(mac).and_then(|key| self.ledger.endpoints.get(key));
        let endpoint = match known.filter(|e| e.network == network_id) {
            Some(made) => made,
            None => {
                let spare = match mac.is_none() && half.chosen.is_empty() {
                    true => self.take_spare(network_id, &network, None, &network.defaults).await?,
                    false => None,
                };
                let endpoint = match spare {
                    Some(ready) => ready,
                    None => self.port_for_address(network_id, &network, subnet, mac, &half.chosen).await?,
                };
                // A pool's is plugged already.
                if !endpoint.unnamed {
                    self.begin_to_plug(&endpoint, network.mtu);
                }
                endpoint
            }
        };
        self.address_requests.hand_out(who, &endpoint.mac, &subnet.id);
        let address = endpoint.address_in(&subnet.id);
        address.ok_or_else(|| Error::request(format!("port {} has no address in {}", endpoint.port, subnet.cidr)))
    }

    /// The key of a port of a network that has addresses and no endpoint yet.
    fn waiting(&self, network_id: &str) -> Option<String> {
        let endpoints = self.ledger.endpoints.all();
        endpoints.into_iter().find(|(key, e)| key.contains(':') && e.network == network_id).map(|(key, _)| key)
    }

    async fn port_for_address(
        &self,
        network_id: &str,
        network: &ledger::Network,
        subnet: &ledger::Subnet,
        mac: Option<&str>,
        chosen: &[IpAddr],
    ) -> Result<Endpoint, Error> {
        let of = |v4: bool| chosen.iter().copied().find(|a| a.is_ipv4() == v4);
        let mut ips = network.addresses(of(true), of(false))?;
        for ip in &mut ips {
            let is_v4 = |id: &str| network.subnets.iter().any(|s| s.id == id && s.cidr.addr().is_ipv4());
            if is_v4(&ip.subnet_id) == subnet.cidr.addr().is_ipv4() {
                ip.subnet_id.clone_from(&subnet.id);
            }
        }
        // Without an id of its own it is known by its network's.
        let key = mac.unwrap_or(network_id);
        let wanted = ports::PortSpec {
            network_id,
            network,
            key,
            mac,
            ips,
            options: &network.defaults,
            before: None,
            container_end: None,
        };
        let _own = self.prefetch.make_own(network_id);
        let made = self.port_for(&wanted).await?;
        self.ledger.endpoints.put(&made.mac, &made)?;
        Ok(made)
    }

    /// `ReleaseAddress`: a port that was made for its address, and of which no endpoint became, goes.
    pub(crate) async fn release_address(&self, request: AddressRequest) -> Result<Value, Error> {
        let Some(pool) = self.ledger.pools.get(&request.pool) else { return Ok(json!({})) };
        let Ok(address) = request.address.parse::<IpAddr>() else { return Ok(json!({})) };
        self.address_requests.forget_address(address);
        let endpoints = self.ledger.endpoints.all();
        let unused = endpoints
            .into_iter()
            .find(|(key, e)| key.contains(':') && Some(&e.network) == pool.network.as_ref() && e.has(address));
        if let Some((mac, endpoint)) = unused {
            let _lock = self.locks.lock(&mac).await;
            self.detach(&mac, &endpoint).await?;
        }
        Ok(json!({}))
    }
}
