//! Containers as members of load balancers' pools (Octavia), for agents that keep in mind which are to be.
//!
//! A host may name pools of load balancers of its yard, and those that somebody has tagged for it; and have there only
//! containers of its own, at addresses that their ports have. Members bear whose they are in their name,
//! `stackyard-host:HOST/NETWORK/ENDPOINT`. A yard's manifest names nothing so, and `up` leaves them alone.

use super::here::Here;
use super::on_trunk::tag;
use super::{Ports, containers, is_id, is_of, said};
use stackyard_core::agent::{NewPoolMember, PoolMember};
use stackyard_core::yard::Kind;
use stackyard_openstack::{Cloud, LoadBalancer, LoadBalancerPool, Member, NewMember, Port, Service};
use stackyard_store::Host;
use stackyard_yard::container_port::{PLACE, device};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The host's id, Docker's network and endpoint that a member is.
fn whose(member: &Member) -> Option<(&str, &str, &str)> {
    member.name.strip_prefix(PLACE).and_then(device)
}

/// The pools of a project, with the load balancers that they belong to.
struct Pools(Vec<(LoadBalancer, LoadBalancerPool)>);

impl Pools {
    /// Those that are for containers; none where the cloud has no load balancers.
    async fn of(
        cloud: &Cloud,
        is_for: impl Fn(&LoadBalancer, &LoadBalancerPool) -> bool,
    ) -> stackyard_openstack::Result<Self> {
        if !cloud.has(Service::LoadBalancer).await? {
            return Ok(Self(Vec::new()));
        }
        let project = cloud.project_id().await?;
        let mine = [("project_id", project.as_str())];
        let balancers: Vec<LoadBalancer> = cloud.list(&mine).await?;
        let pools: Vec<LoadBalancerPool> = cloud.list(&mine).await?;
        let of = |pool: LoadBalancerPool| {
            let id = &pool.loadbalancers.first()?.id;
            Some((balancers.iter().find(|b| b.id == *id)?.clone(), pool))
        };
        Ok(Self(pools.into_iter().filter_map(of).filter(|(b, p)| is_for(b, p)).collect()))
    }

    async fn of_host(cloud: &Cloud, host: &Host) -> Result<Self, String> {
        let (tag, here) = (tag(host), Here::of(cloud).await?);
        let is_for = |balancer: &LoadBalancer, pool: &LoadBalancerPool| {
            is_of_yard(balancer, &here, |yard| yard == host.yard) || pool.tags.contains(&tag)
        };
        Self::of(cloud, is_for).await.map_err(said("looking up load balancers"))
    }

    /// The one that a user means.
    fn find(&self, wanted: &str) -> Result<&(LoadBalancer, LoadBalancerPool), String> {
        let is = |(b, p): &&(LoadBalancer, LoadBalancerPool)| {
            let names = [p.id.as_str(), &p.name, &b.name];
            names.contains(&wanted) || wanted.split_once('/') == Some((&b.name, &p.name))
        };
        let found: Vec<_> = self.0.iter().filter(is).collect();
        let names = |pools: &[&(LoadBalancer, LoadBalancerPool)]| {
            let names: Vec<String> = pools.iter().map(|(b, p)| format!("{}/{}", b.name, p.name)).collect();
            names.join(", ")
        };
        match found.as_slice() {
            [one] => Ok(one),
            [] if self.0.is_empty() => {
                Err(format!("there is no pool {wanted:?}: the yard has no load balancer, and no pool is tagged for it"))
            }
            [] => Err(format!("there is no pool {wanted:?}; there are: {}", names(&self.0.iter().collect::<Vec<_>>()))),
            several => Err(format!("{wanted:?} may mean several pools: {}; say which", names(several))),
        }
    }
}

/// Whether a load balancer, which the project has, is a yard's.
fn is_of_yard(balancer: &LoadBalancer, here: &Here, is_it: impl Fn(&str) -> bool) -> bool {
    here.read("", &balancer.description).is_some_and(|m| m.key.kind == Kind::LoadBalancer && is_it(&m.yard))
}

/// Members of a pool; none if there is no such pool.
async fn members(cloud: &Cloud, pool: &str) -> Result<Option<Vec<Member>>, String> {
    cloud.find_members(pool).await.map_err(said(format!("listing the members of pool {pool}")))
}

impl Ports {
    /// A pool's id, and the address of its load balancer.
    pub(super) async fn pool(&self, cloud: &Cloud, host: &Host, wanted: &str) -> Result<(String, IpAddr), String> {
        let pools = Pools::of_host(cloud, host).await?;
        let (balancer, pool) = pools.find(wanted)?;
        let address = balancer.vip_address.parse();
        Ok((pool.id.clone(), address.map_err(|_| format!("load balancer {} has no address yet", balancer.name))?))
    }

    /// What members these pools have that are the host's containers, or all that are for it.
    pub(super) async fn members(
        &self,
        cloud: &Cloud,
        host: &Host,
        mut pools: Vec<String>,
    ) -> Result<BTreeMap<String, Vec<PoolMember>>, String> {
        if pools.is_empty() {
            pools = Pools::of_host(cloud, host).await?.0.into_iter().map(|(_, pool)| pool.id).collect();
        }
        let mut found = BTreeMap::new();
        for pool in pools {
            if let Some(all) = members(cloud, &pool).await? {
                found.insert(pool, all.iter().filter_map(|m| container(m, host)).collect());
            }
        }
        Ok(found)
    }

    /// Makes containers of the host members of a pool.
    pub(super) async fn enlist(
        &self,
        cloud: &Cloud,
        host: &Host,
        pool: &str,
        wanted: &[NewPoolMember],
    ) -> Result<(), String> {
        if !Pools::of_host(cloud, host).await?.0.iter().any(|(_, p)| p.id == pool) {
            return Err(format!("there is no pool {pool} for containers of yard {}", host.yard));
        }
        let ports = containers(cloud).await?;
        let own: Vec<&Port> = ports.iter().filter(|p| is_of(p, host)).collect();
        let mut new = Vec::new();
        for member in wanted {
            if !is_id(&member.docker_network) || !is_id(&member.endpoint) {
                return Err("network and endpoint must be named by Docker's ids".to_owned());
            }
            let address = member.address.to_string();
            let fixed = own.iter().flat_map(|p| &p.fixed_ips).find(|ip| ip.ip_address.as_ref() == Some(&address));
            let fixed = fixed.ok_or_else(|| format!("no container of host {} has the address {address}", host.name))?;
            new.push(NewMember {
                name: format!("{PLACE}{}/{}/{}", host.id, member.docker_network, member.endpoint),
                address,
                protocol_port: member.port.into(),
                subnet_id: Some(fixed.subnet_id.clone()),
                weight: member.weight,
            });
        }
        cloud.add_members(pool, &new).await.map_err(said(format!("adding {} members to pool {pool}", new.len())))
    }

    /// Removes a container of the host from a pool.
    pub(super) async fn dismiss(&self, cloud: &Cloud, host: &Host, pool: &str, id: &str) -> Result<(), String> {
        let all = members(cloud, pool).await?.unwrap_or_default();
        match all.iter().find(|m| m.id == id) {
            None => Ok(()),
            Some(member) if container(member, host).is_none() => {
                Err(format!("member {id} of pool {pool} is no container of host {}", host.name))
            }
            Some(_) => cloud.delete_member(pool, id).await.map(drop).map_err(said(format!("removing member {id}"))),
        }
    }

    /// Removes members of yards' pools that were containers of hosts that are gone.
    pub(super) async fn tidy_members(
        &self,
        cloud: &Cloud,
        yards: &BTreeSet<String>,
        hosts: &HashMap<&str, &Host>,
    ) -> Result<(), String> {
        let here = Here::of(cloud).await?;
        let tags: Vec<String> = yards.iter().map(|yard| format!("stackyard:{yard}")).collect();
        let is_for = |balancer: &LoadBalancer, pool: &LoadBalancerPool| {
            is_of_yard(balancer, &here, |yard| yards.contains(yard)) || pool.tags.iter().any(|t| tags.contains(t))
        };
        let pools = match Pools::of(cloud, is_for).await {
            // Who may not look has made no members.
            Err(e) if e.status() == Some(403) => return Ok(()),
            pools => pools.map_err(said("looking up load balancers"))?,
        };
        for (_, pool) in pools.0 {
            for member in members(cloud, &pool.id).await?.unwrap_or_default() {
                if whose(&member).is_some_and(|(host, ..)| !hosts.contains_key(host)) {
                    let doing = said(format!("removing member {} of pool {}", member.address, pool.name));
                    cloud.delete_member(&pool.id, &member.id).await.map_err(doing)?;
                    tracing::info!(address = member.address, pool = pool.name, "removed: its host is gone");
                }
            }
        }
        Ok(())
    }
}

/// The container of the host that a member is.
fn container(member: &Member, host: &Host) -> Option<PoolMember> {
    let (_, network, endpoint) = whose(member).filter(|(of, ..)| *of == host.id)?;
    let of = NewPoolMember {
        docker_network: network.to_owned(),
        endpoint: endpoint.to_owned(),
        address: member.address.parse().ok()?,
        port: member.protocol_port,
        weight: member.weight,
    };
    Some(PoolMember { id: member.id.clone(), of })
}
