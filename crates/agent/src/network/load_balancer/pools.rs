//! Pools of load balancers and their members, by a [`stackyard_ports::PoolBroker`].

use crate::network::Error;
use crate::network::ledger::Membership;
use crate::network::port_manager::PortManager;
use stackyard_core::agent::{NewPoolMember, PoolMember};
use stackyard_openstack::{LoadBalancerPool, Resource};
use stackyard_ports::place_mark;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// Noun under which the addresses of pools' load balancers are known.
const VIP: &str = "address of the load balancer of pool";

impl PortManager {
    /// Id of a pool, and its load balancer's address; looked up once.
    pub(crate) async fn balanced_pool(&self, wanted: &str) -> Result<(String, IpAddr), Error> {
        let noun = LoadBalancerPool::KIND.noun;
        let known_vip = |id: &str| self.names.known(VIP, id)?.parse().ok();
        let known = self.names.known(noun, wanted);
        if let Some(found) = known.and_then(|id| known_vip(&id).map(|vip| (id, vip))) {
            return Ok(found);
        }
        let (id, vip) = self.pool_broker().pool(wanted).await?;
        self.names.learn(noun, wanted, &id);
        self.names.learn(VIP, &id, &vip.to_string());
        Ok((id, vip))
    }

    /// This plugin's members of a pool; none if there is no such pool.
    pub(crate) async fn members(&self, pool: &str) -> Result<Vec<PoolMember>, Error> {
        Ok(self.members_of([pool.to_owned()].into()).await?.remove(pool).unwrap_or_default())
    }

    /// The same of several pools.
    pub(crate) async fn members_of(&self, pools: HashSet<String>) -> Result<BTreeMap<String, Vec<PoolMember>>, Error> {
        if pools.is_empty() {
            return Ok(BTreeMap::new());
        }
        let pools: Vec<String> = pools.into_iter().collect();
        Ok(self.pool_broker().members(&pools).await?)
    }

    /// The same of all pools that there are for containers; `recorded` are known to have been asked for members.
    pub(crate) async fn members_of_all(
        &self,
        mut recorded: HashSet<String>,
    ) -> Result<BTreeMap<String, Vec<PoolMember>>, Error> {
        let mut found = match self.pool_broker().members(&[]).await {
            // A user who may not list pools has made no members.
            Err(e) if e.is_forbidden() && recorded.is_empty() => BTreeMap::new(),
            listed => listed?,
        };
        recorded.retain(|pool| !found.contains_key(pool));
        found.extend(self.members_of(recorded).await?);
        Ok(found)
    }

    /// Makes containers members of a pool.
    pub(crate) async fn join_pool(&self, pool: &str, new: impl Iterator<Item = &Membership>) -> Result<(), Error> {
        let members: Vec<NewPoolMember> = new.filter_map(|m| self.pool_member(m)).collect();
        self.pool_broker().enlist(pool, &members).await.map_err(|e| {
            // There may be another pool of that name.
            self.names.forget();
            e.into()
        })
    }

    fn pool_member(&self, of: &Membership) -> Option<NewPoolMember> {
        Some(NewPoolMember {
            docker_network: place_mark::network(&self.place(), &of.mark)?.to_owned(),
            endpoint: of.endpoint.clone(),
            address: of.address.parse().ok()?,
            port: of.port,
            weight: of.weight,
            subnet: of.subnet.clone(),
        })
    }

    /// Removes a member from a pool.
    pub(crate) async fn leave_pool(&self, pool: &str, member: &str) -> Result<(), Error> {
        Ok(self.pool_broker().dismiss(pool, member).await?)
    }
}
