//! Pools of load balancers (Octavia) whose members containers may be.

use crate::broker::PoolBroker;
use crate::{Error, Result, place_mark};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stackyard_core::agent::{NewPoolMember, PoolMember};
use stackyard_openstack::{Cloud, LoadBalancer, LoadBalancerPool, Member, NewMember, Service};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The pools of a project that containers may join, each with its load balancer.
#[derive(Debug)]
pub struct BalancerPools {
    /// Whether the cloud has load balancers at all.
    is_offered: bool,
    pools: Vec<(LoadBalancer, LoadBalancerPool)>,
}

impl BalancerPools {
    /// Those of the cloud's project for which `may_join` is true; none where the cloud has no load balancers.
    ///
    /// # Errors
    /// The cloud refused.
    pub async fn list(
        cloud: &Cloud,
        may_join: impl Fn(&LoadBalancer, &LoadBalancerPool) -> bool,
    ) -> stackyard_openstack::Result<Self> {
        if !cloud.has(Service::LoadBalancer).await? {
            return Ok(Self {
                is_offered: false,
                pools: Vec::new(),
            });
        }
        let project = cloud.project_id().await?;
        let own = [("project_id", project.as_str())];
        let balancers: Vec<LoadBalancer> = cloud.list(&own).await?;
        let pools: Vec<LoadBalancerPool> = cloud.list(&own).await?;
        let with_balancer = |pool: LoadBalancerPool| {
            let id = &pool.loadbalancers.first()?.id;
            Some((balancers.iter().find(|b| b.id == *id)?.clone(), pool))
        };
        let pools = pools
            .into_iter()
            .filter_map(with_balancer)
            .filter(|(b, p)| may_join(b, p));
        Ok(Self {
            is_offered: true,
            pools: pools.collect(),
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &LoadBalancerPool> {
        self.pools.iter().map(|(_, pool)| pool)
    }

    /// The id of the pool that a user means, and the address of its load balancer. `wanted` is the pool's id,
    /// `BALANCER/POOL`, or the name of either, if that means one pool.
    ///
    /// # Errors
    /// None is meant, or several are, or the load balancer has no address yet.
    pub fn find(&self, wanted: &str) -> Result<(String, IpAddr)> {
        let is_meant = |(balancer, pool): &&(LoadBalancer, LoadBalancerPool)| {
            [pool.id.as_str(), &pool.name, &balancer.name].contains(&wanted)
                || wanted.split_once('/') == Some((&balancer.name, &pool.name))
        };
        let found: Vec<_> = self.pools.iter().filter(is_meant).collect();
        match found.as_slice() {
            [(balancer, pool)] => {
                let without = || {
                    Error::refused(format!(
                        "load balancer {} has no address yet",
                        balancer.name
                    ))
                };
                Ok((
                    pool.id.clone(),
                    balancer.vip_address.parse().map_err(|_| without())?,
                ))
            }
            [] if !self.is_offered => Err(Error::refused(format!(
                "there is no pool {wanted:?}: the cloud's catalog has no service load-balancer"
            ))),
            [] if self.pools.is_empty() => Err(Error::refused(format!(
                "there is no pool {wanted:?}: no load balancer of the project has a pool for these containers"
            ))),
            [] => Err(Error::refused(format!(
                "there is no pool {wanted:?}; there are: {}",
                names(&self.pools)
            ))),
            several => Err(Error::refused(format!(
                "{wanted:?} may mean several pools: {}; say which",
                names(several.iter().copied())
            ))),
        }
    }
}

fn names<'a>(pools: impl IntoIterator<Item = &'a (LoadBalancer, LoadBalancerPool)>) -> String {
    let names: Vec<String> = pools
        .into_iter()
        .map(|(balancer, pool)| format!("{}/{}", balancer.name, pool.name))
        .collect();
    names.join(", ")
}

/// Members of a pool; none if there is no such pool.
///
/// # Errors
/// The cloud refused.
pub async fn members(cloud: &Cloud, pool: &str) -> Result<Option<Vec<Member>>> {
    cloud
        .find_members(pool)
        .await
        .map_err(Error::cloud(format!("listing the members of pool {pool}")))
}

/// The pools of a project, for the containers of a stand-alone agent. Members bear its mark as their name.
#[derive(Debug, Clone)]
pub struct ProjectPools {
    cloud: Cloud,
    place: String,
}

impl ProjectPools {
    /// The pools of a cloud's project; `place` is the agent's, as in [`place_mark`].
    pub fn new(cloud: Cloud, place: String) -> Self {
        Self { cloud, place }
    }

    async fn all(&self) -> stackyard_openstack::Result<BalancerPools> {
        BalancerPools::list(&self.cloud, |_, _| true).await
    }

    async fn find(&self, wanted: &str) -> Result<(String, IpAddr)> {
        let failed = Error::cloud(format!("looking up pool {wanted:?} of a load balancer"));
        self.all().await.map_err(failed)?.find(wanted)
    }

    /// The container of this place that a member is.
    fn container(&self, member: &Member) -> Option<PoolMember> {
        let of = NewPoolMember {
            docker_network: place_mark::network(&self.place, &member.name)?.to_owned(),
            endpoint: place_mark::endpoint(&self.place, &member.name)?.to_owned(),
            address: member.address.parse().ok()?,
            port: member.protocol_port,
            weight: member.weight,
            subnet: member.subnet_id.clone(),
        };
        Some(PoolMember {
            id: member.id.clone(),
            of,
        })
    }

    async fn list_members(&self, pools: &[String]) -> Result<BTreeMap<String, Vec<PoolMember>>> {
        let mut pools = pools.to_vec();
        if pools.is_empty() {
            let failed = Error::cloud("listing pools of load balancers");
            let all = self.all().await.map_err(failed)?;
            pools = all.iter().map(|pool| pool.id.clone()).collect();
        }
        let mut found = BTreeMap::new();
        for pool in pools {
            if let Some(all) = members(&self.cloud, &pool).await? {
                found.insert(pool, all.iter().filter_map(|m| self.container(m)).collect());
            }
        }
        Ok(found)
    }

    async fn add_members(&self, pool: &str, wanted: &[NewPoolMember]) -> Result<()> {
        let member = |m: &NewPoolMember| NewMember {
            name: place_mark::of_endpoint(&self.place, &m.docker_network, &m.endpoint),
            address: m.address.to_string(),
            protocol_port: m.port.into(),
            subnet_id: m.subnet.clone(),
            weight: m.weight,
        };
        let new: Vec<NewMember> = wanted.iter().map(member).collect();
        let failed = Error::cloud(format!("adding {} members to pool {pool}", new.len()));
        self.cloud.add_members(pool, &new).await.map_err(failed)
    }

    async fn remove_member(&self, pool: &str, member: &str) -> Result<()> {
        let failed = Error::cloud(format!("removing a member of pool {pool}"));
        self.cloud
            .delete_member(pool, member)
            .await
            .map(drop)
            .map_err(failed)
    }
}

impl PoolBroker for ProjectPools {
    fn pool<'a>(&'a self, wanted: &'a str) -> BoxFuture<'a, Result<(String, IpAddr)>> {
        self.find(wanted).boxed()
    }

    fn members<'a>(
        &'a self,
        pools: &'a [String],
    ) -> BoxFuture<'a, Result<BTreeMap<String, Vec<PoolMember>>>> {
        self.list_members(pools).boxed()
    }

    fn enlist<'a>(
        &'a self,
        pool: &'a str,
        members: &'a [NewPoolMember],
    ) -> BoxFuture<'a, Result<()>> {
        self.add_members(pool, members).boxed()
    }

    fn dismiss<'a>(&'a self, pool: &'a str, member: &'a str) -> BoxFuture<'a, Result<()>> {
        self.remove_member(pool, member).boxed()
    }
}
