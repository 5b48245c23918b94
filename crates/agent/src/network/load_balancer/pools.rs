//! Pools of load balancers, as Octavia has them or a yard's server tells.

use crate::network::ledger::Membership;
use crate::network::names::Scope;
use crate::network::port_manager::{PortManager, PortSource};
use crate::network::server_broker::unexpected;
use crate::network::{Error, mark};
use crate::server_link::rpc::AskServer;
use stackyard_core::agent::{Answer, Ask, NewPoolMember, PoolMember};
use stackyard_openstack::{Cloud, LoadBalancer, LoadBalancerPool, Member, NewMember, Resource, Service};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// Noun under which the addresses of pools' load balancers are known.
const VIP: &str = "address of the load balancer of pool";

fn looking_up(pool: &str) -> String {
    format!("looking up pool {pool:?} of a load balancer")
}

impl PortManager {
    /// Id of a pool, and its load balancer's address.
    pub(crate) async fn balanced_pool(&self, wanted: &str) -> Result<(String, IpAddr), Error> {
        match &self.source {
            PortSource::Server(server) => self.ask_for_pool(&**server, wanted).await,
            PortSource::Cloud(cloud) => self.look_up_pool(cloud, wanted).await,
        }
    }

    fn known_vip(&self, pool: &str) -> Option<IpAddr> {
        self.names.known(VIP, pool)?.parse().ok()
    }

    async fn look_up_pool(&self, cloud: &Cloud, wanted: &str) -> Result<(String, IpAddr), Error> {
        let id = self.id_of::<LoadBalancerPool>(wanted, Scope::Project).await?;
        if let Some(vip) = self.known_vip(&id) {
            return Ok((id, vip));
        }
        let doing = || Error::cloud(looking_up(wanted));
        let pool: LoadBalancerPool = cloud.get(&id).await.map_err(doing())?;
        let without = || Error::request(format!("pool {wanted:?} has no load balancer with an address"));
        let balancer = &pool.loadbalancers.first().ok_or_else(without)?.id;
        let balancer: LoadBalancer = cloud.get(balancer).await.map_err(doing())?;
        let vip: IpAddr = balancer.vip_address.parse().map_err(|_| without())?;
        self.names.learn(VIP, &id, &vip.to_string());
        Ok((id, vip))
    }

    async fn ask_for_pool(&self, server: &dyn AskServer, wanted: &str) -> Result<(String, IpAddr), Error> {
        let noun = LoadBalancerPool::KIND.noun;
        let known = self.names.known(noun, wanted);
        if let Some((id, vip)) = known.and_then(|id| self.known_vip(&id).map(|vip| (id, vip))) {
            return Ok((id, vip));
        }
        let doing = looking_up(wanted);
        match self.ask(server, &doing, Ask::Pool { pool: wanted.to_owned() }).await? {
            Answer::Pool { id, address } => {
                self.names.learn(noun, wanted, &id);
                self.names.learn(VIP, &id, &address.to_string());
                Ok((id, address))
            }
            other => Err(unexpected(&doing, &other)),
        }
    }

    /// Members of a pool, on a host of a yard its own; none if there is no such pool.
    pub(crate) async fn members(&self, pool: &str) -> Result<Option<Vec<Member>>, Error> {
        Ok(self.members_of([pool.to_owned()].into()).await?.remove(pool))
    }

    /// The same of several pools.
    pub(crate) async fn members_of(&self, pools: HashSet<String>) -> Result<BTreeMap<String, Vec<Member>>, Error> {
        let mut found = BTreeMap::new();
        match &self.source {
            _ if pools.is_empty() => {}
            PortSource::Server(server) => found = self.ask_for_members(&**server, pools).await?,
            PortSource::Cloud(cloud) => {
                for pool in pools {
                    let doing = Error::cloud(format!("listing the members of pool {pool}"));
                    let members = cloud.find_members(&pool).await.map_err(doing)?;
                    found.extend(members.map(|members| (pool, members)));
                }
            }
        }
        Ok(found)
    }

    /// The same of all pools that there are for containers; some are known to have been asked for members.
    pub(crate) async fn members_of_all(
        &self,
        mut known: HashSet<String>,
    ) -> Result<BTreeMap<String, Vec<Member>>, Error> {
        let cloud = match &self.source {
            PortSource::Server(server) => return self.ask_for_members(&**server, HashSet::new()).await,
            PortSource::Cloud(cloud) => cloud,
        };
        let doing = || Error::cloud("listing pools of load balancers");
        if cloud.has(Service::LoadBalancer).await.map_err(doing())? {
            let project = cloud.project_id().await.map_err(doing())?;
            match cloud.list::<LoadBalancerPool>(&[("project_id", &project)]).await {
                // Who may not look has made none.
                Err(e) if e.status() == Some(403) && known.is_empty() => {}
                all => known.extend(all.map_err(doing())?.into_iter().map(|p| p.id)),
            }
        }
        self.members_of(known).await
    }

    async fn ask_for_members(
        &self,
        server: &dyn AskServer,
        pools: HashSet<String>,
    ) -> Result<BTreeMap<String, Vec<Member>>, Error> {
        let doing = "listing members of load balancers' pools";
        let answer = self.ask(server, doing, Ask::Members { pools: pools.into_iter().collect() }).await?;
        let Answer::Members { pools } = answer else { return Err(unexpected(doing, &answer)) };
        let place = self.place();
        let member = |PoolMember { id, of }: PoolMember| Member {
            id,
            name: mark::of_endpoint(&place, &of.docker_network, &of.endpoint),
            address: of.address.to_string(),
            protocol_port: of.port,
            subnet_id: None,
            weight: of.weight,
            provisioning_status: String::new(),
            operating_status: String::new(),
        };
        Ok(pools.into_iter().map(|(pool, all)| (pool, all.into_iter().map(member).collect())).collect())
    }

    /// Makes containers members of a pool.
    pub(crate) async fn join_pool(&self, pool: &str, new: impl Iterator<Item = &Membership>) -> Result<(), Error> {
        let new: Vec<&Membership> = new.collect();
        let doing = format!("adding {} members to pool {pool}", new.len());
        match &self.source {
            PortSource::Server(server) => {
                let members = new.into_iter().filter_map(|m| self.pool_member(m)).collect();
                match self.ask(&**server, &doing, Ask::Enlist { pool: pool.to_owned(), members }).await {
                    Ok(Answer::Enlisted) => Ok(()),
                    Ok(other) => Err(unexpected(&doing, &other)),
                    Err(e) => {
                        // There may be another one of that name.
                        self.names.forget();
                        Err(e)
                    }
                }
            }
            PortSource::Cloud(cloud) => {
                let member = |m: &Membership| NewMember {
                    name: m.mark.clone(),
                    address: m.address.clone(),
                    protocol_port: m.port.into(),
                    subnet_id: m.subnet.clone(),
                    weight: m.weight,
                };
                let members: Vec<NewMember> = new.into_iter().map(member).collect();
                let added = cloud.add_members(pool, &members).await;
                if added.as_ref().is_err_and(stackyard_openstack::Error::is_not_found) {
                    self.names.forget();
                }
                added.map_err(Error::cloud(doing))
            }
        }
    }

    fn pool_member(&self, of: &Membership) -> Option<NewPoolMember> {
        Some(NewPoolMember {
            docker_network: mark::network(&self.place(), &of.mark)?.to_owned(),
            endpoint: of.endpoint.clone(),
            address: of.address.parse().ok()?,
            port: of.port,
            weight: of.weight,
        })
    }

    /// Removes a member from a pool.
    pub(crate) async fn leave_pool(&self, pool: &str, member: &str) -> Result<(), Error> {
        let doing = format!("removing a member of pool {pool}");
        let PortSource::Server(server) = &self.source else {
            return self.cloud()?.delete_member(pool, member).await.map(drop).map_err(Error::cloud(doing));
        };
        match self.ask(&**server, &doing, Ask::Dismiss { pool: pool.to_owned(), member: member.to_owned() }).await? {
            Answer::Dismissed => Ok(()),
            other => Err(unexpected(&doing, &other)),
        }
    }
}
