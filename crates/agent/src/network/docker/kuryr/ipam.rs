//! Address pools as kuryr has them: Neutron's subnet pools, whose ids Docker keeps.

use crate::network::docker::ipam::CLAIMED_WITHIN;
use crate::network::docker::protocol::RequestPoolRequest;
use crate::network::kuryr_names::{EXISTING_POOL, PoolOptions, SUBNET};
use crate::network::ledger::{AddressPool, now};
use crate::network::observed::RuntimeView;
use crate::network::port_manager::PortManager;
use crate::network::subnets::{cidr, gateway};
use crate::network::{Error, kuryr_names};
use ipnet::IpNet;
use serde_json::{Value, json};
use stackyard_openstack::{Network, NewSubnetPool, Subnet, SubnetPool};
use stackyard_ports::place_mark;

/// Subnet pools to use where a user names no subnet (`lib/config.py`, `default_subnetpool_v4` and `_v6`).
const DEFAULTS: [&str; 2] = ["kuryr", "kuryr6"];

impl PortManager {
    /// `RequestPool` (`controllers.py`, `ipam_request_pool`).
    pub(crate) async fn request_kuryr_pool(&self, request: RequestPoolRequest) -> Result<Value, Error> {
        let options = PoolOptions::read(&request.options, request.v6)?;
        // Of `--ip-range` kuryr makes the whole subnet.
        let range = [&request.sub_pool, &request.pool].into_iter().find(|p| !p.is_empty());
        let wanted = range.map(|r| cidr(r)).transpose()?;
        let _lock = self.locks.lock("pools").await;
        let found = match (&options.pool, wanted) {
            (Some(named), _) => Some(self.subnet_pool(named).await?),
            (None, None) => Some(self.subnet_pool(DEFAULTS[usize::from(request.v6)]).await?),
            (None, Some(_)) => None,
        };
        let of_pool = found.as_ref().and_then(|p| p.prefixes.first()).map(|p| cidr(p)).transpose()?;
        let (pool, cidr) = match (found, wanted, of_pool) {
            (Some(pool), wanted, Some(prefix)) if wanted.is_none_or(|w| w == prefix) => {
                let doing = Error::cloud(format!("tagging subnet pool {:?}", pool.name));
                if options.pool.is_some() {
                    self.cloud()?.add_tag::<SubnetPool>(&pool.id, EXISTING_POOL).await.map_err(doing)?;
                }
                (pool, prefix)
            }
            (_, Some(wanted), _) => (self.make_pool(wanted, &options).await?, wanted),
            (_, None, _) => return Err(Error::request("that subnet pool has no prefix")),
        };
        if let Some(known) = self.ledger.pools.get(&pool.id).filter(|p| p.network.is_some()) {
            return Err(Error::request(format!(
                "subnet pool {} with {} is Docker network {}'s; name the subnet (--ipam-opt neutron.subnet.uuid=ID)",
                pool.name,
                known.cidr,
                known.network.unwrap_or_default()
            )));
        }
        let record = AddressPool { cidr, gateway: None, neutron: None, network: None, asked: now() };
        self.ledger.pools.put(&pool.id, &record)?;
        Ok(json!({"PoolID": pool.id, "Pool": cidr.to_string(), "Data": {}}))
    }

    async fn subnet_pool(&self, named: &str) -> Result<SubnetPool, Error> {
        self.cloud()?.need(named).await.map_err(Error::cloud(format!("looking up subnet pool {named:?}")))
    }

    /// The subnet pool of a CIDR and, where one is named, of a subnet; made if there is none
    /// (`_create_kuryr_subnetpool`).
    async fn make_pool(&self, cidr: IpNet, options: &PoolOptions) -> Result<SubnetPool, Error> {
        let name = kuryr_names::pool_name(&cidr.to_string());
        let doing = || Error::cloud(format!("making subnet pool {name}"));
        let subnet = match (&options.subnet_id, &options.subnet_name) {
            (Some(id), _) => Some(id.clone()),
            (None, Some(named)) => Some(self.cloud()?.need::<Subnet>(named).await.map_err(doing())?.id),
            (None, None) => None,
        };
        let before: Vec<SubnetPool> = self.cloud()?.list(&[("name", &name)]).await.map_err(doing())?;
        let is_it = |p: &&SubnetPool| p.name == name && subnet.as_ref().is_none_or(|s| p.tags.contains(s));
        if let Some(found) = before.iter().find(is_it) {
            return Ok(found.clone());
        }
        let new = NewSubnetPool {
            name: name.clone(),
            description: place_mark::of_network(&self.place(), "pool"),
            prefixes: vec![cidr.to_string()],
            default_prefixlen: Some(cidr.prefix_len().into()),
            shared: options.shared,
        };
        let made: SubnetPool = self.cloud()?.create(&new).await.map_err(doing())?;
        if let Some(subnet) = subnet {
            self.cloud()?.add_tag::<SubnetPool>(&made.id, &subnet).await.map_err(doing())?;
        }
        Ok(made)
    }

    /// `ReleasePool` (`ipam_release_pool`).
    pub(crate) async fn release_kuryr_pool(&self, id: &str) -> Result<(), Error> {
        let doing = || Error::cloud(format!("removing subnet pool {id}"));
        match self.cloud()?.get::<SubnetPool>(id).await {
            Ok(pool) if pool.tags.iter().any(|t| t == EXISTING_POOL) => {
                self.cloud()?.remove_tag::<SubnetPool>(id, EXISTING_POOL).await.map_err(doing())?;
            }
            Ok(pool) if DEFAULTS.contains(&pool.name.as_str()) => {}
            Ok(_) => {
                self.remove_subnets(id).await?;
                match self.cloud()?.delete::<SubnetPool>(id).await {
                    // Subnets of others are of it: `Subnet pool has existing allocations`.
                    Err(e) if e.is_conflict() || e.status() == Some(400) => {}
                    other => drop(other.map_err(doing())?),
                }
            }
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(doing()(e)),
        }
        self.ledger.pools.remove(id)
    }

    /// Removes the subnets that were made of a pool, and its tag from the others.
    pub(crate) async fn remove_subnets(&self, pool: &str) -> Result<(), Error> {
        let doing = || Error::cloud(format!("removing the subnets of pool {pool}"));
        let made: Vec<Subnet> = self.cloud()?.list(&[("subnetpool_id", pool)]).await.map_err(doing())?;
        let is_made = |s: &&Subnet| s.subnetpool_id.as_deref() == Some(pool) && s.name.starts_with(SUBNET);
        for subnet in made.iter().filter(is_made) {
            match self.cloud()?.delete::<Subnet>(&subnet.id).await {
                Err(e) if e.is_conflict() => self.complain("a subnet is still in use", &e),
                other => drop(other.map_err(doing())?),
            }
        }
        let tagged: Vec<Subnet> = self.cloud()?.list(&[("tags", pool)]).await.map_err(doing())?;
        for subnet in tagged.iter().filter(|s| s.tags.iter().any(|t| t == pool)) {
            self.cloud()?.remove_tag::<Subnet>(&subnet.id, pool).await.map_err(doing())?;
        }
        Ok(())
    }

    /// An address pool of Docker's: the ledger's, or the subnet pool with that id and the subnet that is of it
    /// or has its id as a tag (`ipam_request_address`).
    pub(crate) async fn pool(&self, id: &str) -> Result<AddressPool, Error> {
        if let Some(known) = self.ledger.pools.get(id) {
            return Ok(known);
        }
        let found = if self.kuryr { self.find_pool(id).await? } else { None };
        found.map_or_else(|| self.ledger.pools.need(id), Ok)
    }

    async fn find_pool(&self, id: &str) -> Result<Option<AddressPool>, Error> {
        let doing = || Error::cloud(format!("looking up kuryr's subnet pool {id}"));
        let mut subnets: Vec<Subnet> = self.cloud()?.list(&[("tags", id)]).await.map_err(doing())?;
        subnets.retain(|s| s.tags.iter().any(|t| t == id));
        if subnets.is_empty() {
            subnets = self.cloud()?.list(&[("subnetpool_id", id)]).await.map_err(doing())?;
            subnets.retain(|s| s.subnetpool_id.as_deref() == Some(id));
        }
        let Some(subnet) = subnets.first() else { return Ok(None) };
        let neutron: Network = self.cloud()?.get(&subnet.network_id).await.map_err(doing())?;
        let docker = match kuryr_names::id_in(&neutron.tags) {
            Some(id) => id,
            // Each host's Docker has its own network there.
            None => {
                let ids = RuntimeView::networks_of(&self.name).await?;
                let found = ids.into_iter().find(|id| kuryr_names::has_all(&neutron.tags, &kuryr_names::id_tags(id)));
                let none = || Error::request(format!("network {:?} has no Docker network's tags", neutron.name));
                found.ok_or_else(none)?
            }
        };
        self.network(&docker).await?;
        let pool = AddressPool {
            cidr: cidr(&subnet.cidr)?,
            gateway: gateway(subnet),
            neutron: None,
            network: Some(docker),
            asked: now(),
        };
        self.ledger.pools.put(id, &pool)?;
        Ok(Some(pool))
    }

    /// Subnet pools that were made here and of which no network became.
    pub(crate) async fn stray_pools(&self) -> Result<Vec<SubnetPool>, Error> {
        if !self.kuryr {
            return Ok(Vec::new());
        }
        let mark = place_mark::of_network(&self.place(), "pool");
        let doing = Error::cloud("listing subnet pools");
        let mut pools: Vec<SubnetPool> = self.cloud()?.list(&[("description", &mark)]).await.map_err(doing)?;
        let is_used = |pool: &AddressPool| match &pool.network {
            Some(network) => self.ledger.networks.get(network).is_some(),
            None => pool.asked + CLAIMED_WITHIN > now(),
        };
        pools.retain(|p| p.description == mark && !self.ledger.pools.get(&p.id).is_some_and(|p| is_used(&p)));
        Ok(pools)
    }
}
