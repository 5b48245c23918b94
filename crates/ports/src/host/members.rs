//! Containers as members of load balancers' pools (Octavia), for agents that remember which are to be.
//!
//! A host may name pools of load balancers of its yard, and those that a user has tagged for it; and have there only
//! containers of its own, at addresses that their ports have. Members bear whose they are in their name,
//! `stackyard-host:HOST/NETWORK/ENDPOINT`. A yard's manifest names nothing so, and `up` leaves them alone.

use super::{HostBroker, YardHost, check_id, containers};
use crate::container_port::{PLACE, device};
use crate::load_balancer::{BalancerPools, members};
use crate::project::ProjectScope;
use crate::{Error, Result};
use stackyard_core::agent::{NewPoolMember, PoolMember};
use stackyard_core::yard::Kind;
use stackyard_openstack::{Cloud, LoadBalancer, LoadBalancerPool, Member, NewMember, Port};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The host's id, Docker's network and endpoint that a member is.
fn whose(member: &Member) -> Option<(&str, &str, &str)> {
    member.name.strip_prefix(PLACE).and_then(device)
}

/// Whether a load balancer, which the project has, is a yard's.
fn is_of_yard(
    balancer: &LoadBalancer,
    project: &ProjectScope,
    is_it: impl Fn(&str) -> bool,
) -> bool {
    let mark = project.read("", &balancer.description);
    mark.is_some_and(|m| m.key.kind == Kind::LoadBalancer && is_it(&m.yard))
}

/// The container of the host that a member is.
fn container(member: &Member, host: &YardHost) -> Option<PoolMember> {
    let (_, network, endpoint) = whose(member).filter(|(of, ..)| *of == host.id)?;
    let of = NewPoolMember {
        docker_network: network.to_owned(),
        endpoint: endpoint.to_owned(),
        address: member.address.parse().ok()?,
        port: member.protocol_port,
        weight: member.weight,
        subnet: None,
    };
    Some(PoolMember {
        id: member.id.clone(),
        of,
    })
}

impl HostBroker {
    /// The pools that containers of the host may join.
    async fn pools(&self) -> Result<BalancerPools> {
        let (yard, tag, project) = (&self.host.yard, self.host.tag(), self.project().await?);
        let may_join = |balancer: &LoadBalancer, pool: &LoadBalancerPool| {
            is_of_yard(balancer, &project, |of| of == yard) || pool.tags.contains(&tag)
        };
        let failed = Error::cloud("looking up load balancers");
        BalancerPools::list(&self.cloud, may_join)
            .await
            .map_err(failed)
    }

    /// A pool's id, and the address of its load balancer.
    pub(super) async fn find_pool(&self, wanted: &str) -> Result<(String, IpAddr)> {
        self.pools().await?.find(wanted)
    }

    /// The members of these pools that are the host's containers; of all pools that are for it if there is none.
    pub(super) async fn list_members(
        &self,
        pools: &[String],
    ) -> Result<BTreeMap<String, Vec<PoolMember>>> {
        let mut pools = pools.to_vec();
        if pools.is_empty() {
            pools = self
                .pools()
                .await?
                .iter()
                .map(|pool| pool.id.clone())
                .collect();
        }
        let mut found = BTreeMap::new();
        for pool in pools {
            if let Some(all) = members(&self.cloud, &pool).await? {
                found.insert(
                    pool,
                    all.iter()
                        .filter_map(|m| container(m, &self.host))
                        .collect(),
                );
            }
        }
        Ok(found)
    }

    /// Makes containers of the host members of a pool.
    pub(super) async fn add_members(&self, pool: &str, wanted: &[NewPoolMember]) -> Result<()> {
        if !self.pools().await?.iter().any(|p| p.id == pool) {
            let yard = &self.host.yard;
            return Err(Error::refused(format!(
                "there is no pool {pool} for containers of yard {yard}"
            )));
        }
        let ports = containers(&self.cloud).await?;
        let own: Vec<&Port> = ports.iter().filter(|p| self.host.owns(p)).collect();
        let new = wanted.iter().map(|member| self.new_member(member, &own));
        let new: Vec<NewMember> = new.collect::<Result<_>>()?;
        let failed = Error::cloud(format!("adding {} members to pool {pool}", new.len()));
        self.cloud.add_members(pool, &new).await.map_err(failed)
    }

    fn new_member(&self, member: &NewPoolMember, own: &[&Port]) -> Result<NewMember> {
        check_id(&member.docker_network)?;
        check_id(&member.endpoint)?;
        let (host, address) = (&self.host, member.address.to_string());
        let mut fixed = own.iter().flat_map(|p| &p.fixed_ips);
        let fixed = fixed
            .find(|ip| ip.ip_address.as_ref() == Some(&address))
            .ok_or_else(|| {
                Error::refused(format!(
                    "no container of host {} has the address {address}",
                    host.name
                ))
            })?;
        Ok(NewMember {
            name: format!(
                "{PLACE}{}",
                host.device(&member.docker_network, &member.endpoint)
            ),
            address,
            protocol_port: member.port.into(),
            subnet_id: Some(fixed.subnet_id.clone()),
            weight: member.weight,
        })
    }

    /// Removes a container of the host from a pool.
    pub(super) async fn remove_member(&self, pool: &str, id: &str) -> Result<()> {
        let all = members(&self.cloud, pool).await?.unwrap_or_default();
        match all.iter().find(|m| m.id == id) {
            None => Ok(()),
            Some(member) if container(member, &self.host).is_none() => {
                Err(Error::refused(format!(
                    "member {id} of pool {pool} is no container of host {}",
                    self.host.name
                )))
            }
            Some(_) => {
                let removed = self.cloud.delete_member(pool, id).await;
                removed
                    .map(drop)
                    .map_err(Error::cloud(format!("removing member {id}")))
            }
        }
    }
}

/// Removes members of yards' pools that were containers of hosts that are gone.
pub(super) async fn sweep_members(
    cloud: &Cloud,
    yards: &BTreeSet<String>,
    hosts: &HashMap<&str, &YardHost>,
) -> Result<()> {
    let project = ProjectScope::of(cloud).await?;
    let tags: Vec<String> = yards
        .iter()
        .map(|yard| format!("stackyard:{yard}"))
        .collect();
    let may_join = |balancer: &LoadBalancer, pool: &LoadBalancerPool| {
        is_of_yard(balancer, &project, |yard| yards.contains(yard))
            || pool.tags.iter().any(|t| tags.contains(t))
    };
    let pools = match BalancerPools::list(cloud, may_join).await {
        // A user who may not list them has made no members.
        Err(e) if e.status() == Some(403) => return Ok(()),
        pools => pools.map_err(Error::cloud("looking up load balancers"))?,
    };
    for pool in pools.iter() {
        for member in members(cloud, &pool.id).await?.unwrap_or_default() {
            if whose(&member).is_some_and(|(host, ..)| !hosts.contains_key(host)) {
                let doing = format!("removing member {} of pool {}", member.address, pool.name);
                cloud
                    .delete_member(&pool.id, &member.id)
                    .await
                    .map_err(Error::cloud(doing))?;
                tracing::info!(
                    address = member.address,
                    pool = pool.name,
                    "removed: its host is gone"
                );
            }
        }
    }
    Ok(())
}
