//! Docker's IPAM driver: address pools are subnets, addresses are ports'.
//!
//! Docker asks for the pools of a network before it makes the network, and does not say later which pool
//! became part of which network. So a pool waits for the next network with its CIDR, and no other of that
//! CIDR is given out meanwhile.

use super::ledger::Pool;
use super::options::NetworkOptions;
use super::ports;
use super::protocol::{OfAddress, ReleasePool, RequestPool};
use super::{Error, Plugin};
use ipnet::IpNet;
use serde_json::{Value, json};
use stackyard_openstack::{Network, Subnet};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Option of RequestAddress that says what the address is for.
const PURPOSE: &str = "RequestAddressType";
const GATEWAY: &str = "com.docker.network.gateway";
const MAC: &str = "com.docker.network.endpoint.macaddress";

/// How long a pool waits for its network, in seconds: Docker goes on at once, or not at all.
const CLAIMED_WITHIN: i64 = 60;

/// Addresses that users have chosen (`--ip`) of endpoints that Docker is about to make, by MAC address.
#[derive(Default)]
pub(crate) struct Wanted(Mutex<HashMap<String, IpAddr>>);

impl Wanted {
    fn note(&self, mac: &str, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(mac.to_owned(), address);
    }

    fn of(&self, mac: &str) -> Option<IpAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(mac).copied()
    }

    pub(crate) fn forget(&self, mac: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(mac);
    }

    fn forget_address(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, a| *a != address);
    }
}

impl Plugin {
    /// `RequestPool`.
    pub(crate) async fn request_pool(&self, asked: RequestPool) -> Result<Value, Error> {
        if !asked.sub_pool.is_empty() {
            return Err(Error::request("--ip-range is the cloud's to decide: its subnets have allocation pools"));
        }
        let options = NetworkOptions::read_ipam(&asked.options)?;
        let pool = match &options.network {
            Some(network) => self.existing_pool(network, &options, &asked).await?,
            None if asked.pool.is_empty() => {
                return Err(Error::request(
                    "say --subnet, or for an existing network --ipam-opt network=NAME (or --ipam-driver null)",
                ));
            }
            None => {
                let cidr = cidr(&asked.pool)?;
                Pool { cidr, gateway: None, neutron: None, network: None, asked: now() }
            }
        };
        let _turn = self.turns.take("pools").await;
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
    async fn existing_pool(&self, network: &str, options: &NetworkOptions, asked: &RequestPool) -> Result<Pool, Error> {
        let doing = || Error::cloud(format!("looking up network {network:?}"));
        let found: Network = self.cloud.need(network).await.map_err(doing())?;
        let subnets: Vec<Subnet> = self.cloud.list(&[("network_id", &found.id)]).await.map_err(doing())?;
        let (version, option) = if asked.v6 { (6, &options.subnet6) } else { (4, &options.subnet) };
        let wanted = Some(asked.pool.as_str()).filter(|p| !p.is_empty()).or(option.as_deref());
        let subnet = choose(&subnets, version, wanted).ok_or_else(|| no_subnet(network, version, wanted))?;
        let (cidr, gateway) = (cidr(&subnet.cidr)?, gateway(subnet));
        Ok(Pool { cidr, gateway, neutron: Some(found.id), network: None, asked: now() })
    }

    /// `ReleasePool`.
    pub(crate) fn release_pool(&self, asked: &ReleasePool) -> Result<Value, Error> {
        self.ledger.pools.remove(&asked.pool)?;
        Ok(json!({}))
    }

    /// `RequestAddress`.
    pub(crate) async fn request_address(&self, asked: OfAddress) -> Result<Value, Error> {
        let pool = self.ledger.pools.need(&asked.pool)?;
        let with_length = |address: IpAddr| format!("{address}/{}", pool.cidr.prefix_len());
        let wanted = match asked.address.as_str() {
            "" => None,
            text => Some(text.parse::<IpAddr>().map_err(|_| Error::request(format!("{text:?} is no address")))?),
        };
        if let Some(address) = wanted.filter(|a| !pool.cidr.contains(a)) {
            return Err(Error::request(format!("{address} is not in {}", pool.cidr)));
        }
        if asked.options.get(PURPOSE).is_some_and(|p| p == GATEWAY) {
            let address = wanted.or(pool.gateway).or_else(|| pool.cidr.hosts().next());
            let address = address.ok_or_else(|| Error::request(format!("{} has no address", pool.cidr)))?;
            return Ok(json!({"Address": with_length(address), "Data": {}}));
        }
        let mac = asked.options.get(MAC).and_then(Value::as_str);
        if let Some(address) = wanted {
            // The port is made when all is known of it.
            if let Some(mac) = mac {
                self.wanted.note(mac, address);
            }
            return Ok(json!({"Address": with_length(address), "Data": {}}));
        }
        let mac = mac.ok_or_else(|| Error::request("Docker wants an address, but gives no MAC address for it"))?;
        let network = pool.network.as_deref();
        let network = network.ok_or_else(|| Error::request(format!("no network has the pool {} yet", pool.cidr)))?;
        let address = self.address_of_new_port(&asked.pool, network, mac).await?;
        Ok(json!({"Address": with_length(address), "Data": {}}))
    }

    /// Makes the port for an endpoint of which nothing is known but its MAC address, unless it is made
    /// already; its address in the pool.
    async fn address_of_new_port(&self, pool: &str, network_id: &str, mac: &str) -> Result<IpAddr, Error> {
        let _turn = self.turns.take(mac).await;
        let network = self.ledger.networks.need(network_id)?;
        let subnet = network.subnets.iter().find(|s| s.pool.as_deref() == Some(pool));
        let subnet = subnet.ok_or_else(|| Error::request(format!("pool {pool} is no part of its network")))?;
        let endpoint = match self.ledger.endpoints.get(mac) {
            Some(made) if made.network == network_id => made,
            _ => {
                // Docker asks for IPv4 and IPv6 one after the other; the port has both from the beginning.
                let chosen = self.wanted.of(mac);
                let of = |v4: bool| chosen.filter(|a| a.is_ipv4() == v4);
                let mut ips = network.addresses(of(true), of(false))?;
                for ip in &mut ips {
                    let is_v4 = |id: &str| network.subnets.iter().any(|s| s.id == id && s.cidr.addr().is_ipv4());
                    if is_v4(&ip.subnet_id) == subnet.cidr.addr().is_ipv4() {
                        ip.subnet_id.clone_from(&subnet.id);
                    }
                }
                let wanted = ports::Wanted {
                    network_id,
                    network: &network,
                    key: mac,
                    mac: Some(mac),
                    ips,
                    options: &network.defaults,
                };
                let made = self.make_port(&wanted).await?;
                self.ledger.endpoints.put(mac, &made)?;
                made
            }
        };
        let address = endpoint.address_in(&subnet.id);
        address.ok_or_else(|| Error::request(format!("port {} has no address in {}", endpoint.port, subnet.cidr)))
    }

    /// `ReleaseAddress`: a port that was made for its address, and of which no endpoint became, goes.
    pub(crate) async fn release_address(&self, asked: OfAddress) -> Result<Value, Error> {
        let Some(pool) = self.ledger.pools.get(&asked.pool) else { return Ok(json!({})) };
        let Ok(address) = asked.address.parse::<IpAddr>() else { return Ok(json!({})) };
        self.wanted.forget_address(address);
        let endpoints = self.ledger.endpoints.all();
        let unused = endpoints
            .into_iter()
            .find(|(key, e)| key.contains(':') && Some(&e.network) == pool.network.as_ref() && e.has(address));
        if let Some((mac, endpoint)) = unused {
            let _turn = self.turns.take(&mac).await;
            self.detach(&mac, &endpoint).await?;
        }
        Ok(json!({}))
    }
}

/// The subnet of that IP version which `wanted` (CIDR, name or id) means; the first if nothing is wanted.
pub(crate) fn choose<'a>(subnets: &'a [Subnet], version: u32, wanted: Option<&str>) -> Option<&'a Subnet> {
    let net = wanted.and_then(|w| w.parse::<IpNet>().ok());
    subnets.iter().filter(|s| s.ip_version == version).find(|s| match (wanted, net) {
        (None, _) => true,
        (_, Some(net)) => s.cidr.parse::<IpNet>().is_ok_and(|c| c == net.trunc()),
        (Some(wanted), None) => s.id == wanted || s.name == wanted,
    })
}

pub(crate) fn no_subnet(network: &str, version: u32, wanted: Option<&str>) -> Error {
    let which = wanted.map(|w| format!(" {w:?}")).unwrap_or_default();
    Error::request(format!("network {network:?} has no IPv{version} subnet{which}"))
}

pub(crate) fn gateway(subnet: &Subnet) -> Option<IpAddr> {
    subnet.gateway_ip.as_deref()?.parse().ok()
}

pub(crate) fn cidr(text: &str) -> Result<IpNet, Error> {
    text.parse::<IpNet>().map(|n| n.trunc()).map_err(|_| Error::request(format!("{text:?} is no CIDR")))
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
