//! Pools of load balancers (Octavia) whose members containers may be.

use crate::{Error, Result};
use stackyard_openstack::{Cloud, LoadBalancer, LoadBalancerPool, Member, Service};
use std::net::IpAddr;

/// The pools of a project that containers may join, each with its load balancer.
#[derive(Debug)]
pub struct BalancerPools(Vec<(LoadBalancer, LoadBalancerPool)>);

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
            return Ok(Self(Vec::new()));
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
        Ok(Self(pools.collect()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &LoadBalancerPool> {
        self.0.iter().map(|(_, pool)| pool)
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
        let found: Vec<_> = self.0.iter().filter(is_meant).collect();
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
            [] if self.0.is_empty() => Err(Error::refused(format!(
                "there is no pool {wanted:?}: no load balancer of the project has a pool for these containers"
            ))),
            [] => Err(Error::refused(format!(
                "there is no pool {wanted:?}; there are: {}",
                names(&self.0)
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
