//! Containers as members of load balancers' pools (Octavia), as long as they run.
//!
//! A load balancer takes one change at a time and refuses others meanwhile (409), for a second with OVN and for many
//! with amphorae. So an attach only writes down what is to be, having looked whether there is such a pool, and [`keep`]
//! has Octavia do it: all members that wait for a pool in one request, again and again until it takes them. A detach
//! tries once, so that traffic ends before the container does; what the load balancer refuses then is left to
//! [`keep`], too.
//!
//! ```text
//!   attach ──> Wanted ──PUT members──> There ──> Unwanted ──DELETE──> (no record)
//!                ^                       │           ^
//!                └── somebody removed it ┘           └── detach; its endpoint is gone
//! ```
//!
//! A record is written before anything is asked for, and a request that is repeated changes nothing. So the agent may
//! be killed at any point; if it loses its records, too, members are found by their mark, which is their name.

use super::ledger::{Endpoint, Membership, Stage};
use super::names::Whose;
use super::options::EndpointOptions;
use super::reconcile::{InCloud, Suspects, View};
use super::{Error, Plugin, Source, mark};
use crate::error::chain;
use stackyard_openstack::{LoadBalancer, LoadBalancerPool, Member, NewMember, Service};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// First and longest pause after a load balancer has refused a change.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// For how long a detach waits for Octavia.
const PATIENCE: Duration = Duration::from_secs(5);
/// Noun under which the addresses of pools' load balancers are known.
const VIP: &str = "address of the load balancer of pool";

/// What is known of memberships while the plugin runs.
#[derive(Default)]
pub(crate) struct Members {
    changed: Notify,
    /// Pools that had members of this plugin's when all pools were looked through, which is done once.
    found: Mutex<Option<HashSet<String>>>,
}

impl Membership {
    /// By what its record is known: where packets go. A new endpoint with the address of another takes its place over.
    fn key(&self) -> String {
        format!("{}_{}_{}", self.pool, self.address, self.port)
    }

    fn is(&self, member: &Member) -> bool {
        (&self.mark, &self.address, self.port) == (&member.name, &member.address, member.protocol_port)
    }
}

impl Plugin {
    /// Looks whether there are the pools that an endpoint is to be a member of.
    pub(super) async fn check_pools(&self, options: &EndpointOptions) -> Result<(), Error> {
        for wanted in &options.load_balancers {
            self.balanced_pool(&wanted.pool).await?;
        }
        Ok(())
    }

    /// Id of a pool, and its load balancer's address.
    async fn balanced_pool(&self, wanted: &str) -> Result<(String, IpAddr), Error> {
        let id = self.id_of::<LoadBalancerPool>(wanted, Whose::Ours).await?;
        if let Some(vip) = self.names.known(VIP, &id).and_then(|known| known.parse().ok()) {
            return Ok((id, vip));
        }
        let doing = || Error::cloud(format!("looking up pool {wanted:?} of a load balancer"));
        let pool: LoadBalancerPool = self.cloud()?.get(&id).await.map_err(doing())?;
        let without = || Error::request(format!("pool {wanted:?} has no load balancer with an address"));
        let balancer = &pool.loadbalancers.first().ok_or_else(without)?.id;
        let balancer: LoadBalancer = self.cloud()?.get(balancer).await.map_err(doing())?;
        let vip: IpAddr = balancer.vip_address.parse().map_err(|_| without())?;
        self.names.learn(VIP, &id, &vip.to_string());
        Ok((id, vip))
    }

    /// Writes down which members an endpoint is to be, and no others.
    pub(super) async fn enlist(&self, key: &str, endpoint: &Endpoint) -> Result<(), Error> {
        let mut wanted = BTreeMap::new();
        for member in &endpoint.options.load_balancers {
            let (pool, vip) = self.balanced_pool(&member.pool).await?;
            let is_like_it = |address: &str| address.parse::<IpAddr>().is_ok_and(|a| a.is_ipv4() == vip.is_ipv4());
            let ip = endpoint.ips.iter().find(|ip| ip.ip_address.as_deref().is_some_and(is_like_it));
            let ip = ip.ok_or_else(|| {
                let why = format!("its load balancer has the address {vip}, the container none of that IP version");
                Error::request(format!("the container cannot be a member of pool {:?}: {why}", member.pool))
            })?;
            let membership = Membership {
                endpoint: key.to_owned(),
                mark: mark::of_endpoint(&self.place(), &endpoint.network, key),
                pool,
                address: ip.ip_address.clone().unwrap_or_default(),
                port: member.port,
                weight: member.weight,
                subnet: Some(ip.subnet_id.clone()),
                stage: Stage::Wanted,
            };
            wanted.insert(membership.key(), membership);
        }
        let stale = self.memberships_of(key).into_iter().filter(|(id, _)| !wanted.contains_key(id));
        for (id, _) in stale {
            self.give_up(&id, key)?;
        }
        for (id, new) in wanted {
            self.ledger.members.alter(&id, |known| {
                known
                    .filter(|k| k.stage == Stage::There && Membership { stage: k.stage, ..new.clone() } == *k)
                    .or(Some(new))
            })?;
            self.members.changed.notify_one();
        }
        Ok(())
    }

    fn memberships_of(&self, key: &str) -> Vec<(String, Membership)> {
        self.ledger.members.all().into_iter().filter(|(_, m)| m.endpoint == key).collect()
    }

    /// Notes down that a membership of an endpoint's is to end.
    fn give_up(&self, id: &str, key: &str) -> Result<(), Error> {
        self.ledger.members.alter(id, |known| {
            let unwanted = |m: Membership| Membership { stage: Stage::Unwanted, ..m };
            known.map(|m| if m.endpoint == key { unwanted(m) } else { m })
        })
    }

    /// Ends an endpoint's memberships, or sees to it that they are ended.
    pub(super) async fn dismiss(&self, key: &str) -> Result<(), Error> {
        let own = self.memberships_of(key);
        if own.is_empty() {
            return Ok(());
        }
        for (id, _) in &own {
            self.give_up(id, key)?;
        }
        let pools: HashSet<String> = own.into_iter().map(|(_, m)| m.pool).collect();
        let tried = async {
            for pool in &pools {
                let _ = self.remove_members(pool).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, tried).await;
        self.members.changed.notify_one();
        Ok(())
    }

    fn of_pool(&self, pool: &str, stage: Stage) -> Vec<(String, Membership)> {
        self.ledger.members.all().into_iter().filter(|(_, m)| m.pool == pool && m.stage == stage).collect()
    }

    /// Removes what is not wanted in a pool any more.
    async fn remove_members(&self, pool: &str) -> Result<(), Error> {
        let unwanted = self.of_pool(pool, Stage::Unwanted);
        if unwanted.is_empty() {
            return Ok(());
        }
        let doing = || Error::cloud(format!("removing members of pool {pool}"));
        let there = match self.cloud()?.members(pool).await {
            Err(e) if e.is_not_found() => Vec::new(),
            other => other.map_err(doing())?,
        };
        for (id, membership) in unwanted {
            for member in there.iter().filter(|m| membership.is(m)) {
                self.cloud()?.delete_member(pool, &member.id).await.map_err(doing())?;
            }
            // Unless its place has been taken over meanwhile.
            self.ledger.members.alter(&id, |now| now.filter(|m| *m != membership))?;
        }
        Ok(())
    }

    /// Makes what is wanted in a pool.
    async fn add_members(&self, pool: &str) -> Result<(), Error> {
        let wanted = self.of_pool(pool, Stage::Wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let new = |(_, m): &(String, Membership)| NewMember {
            name: m.mark.clone(),
            address: m.address.clone(),
            protocol_port: m.port.into(),
            subnet_id: m.subnet.clone(),
            weight: m.weight,
        };
        let new: Vec<NewMember> = wanted.iter().map(new).collect();
        let added = self.cloud()?.add_members(pool, &new).await;
        if added.as_ref().is_err_and(stackyard_openstack::Error::is_not_found) {
            // There may be another one of that name.
            self.names.forget();
        }
        added.map_err(Error::cloud(format!("adding {} members to pool {pool}", new.len())))?;
        for (id, membership) in wanted {
            let made = |m: Membership| if m == membership { Membership { stage: Stage::There, ..m } } else { m };
            self.ledger.members.alter(&id, |now| now.map(made))?;
        }
        Ok(())
    }

    /// Has Octavia do what is written down; what it refuses remains, and is the error.
    pub(super) async fn tend_members(&self) -> Result<(), Error> {
        let open = self.ledger.members.all().into_values().filter(|m| m.stage != Stage::There);
        let pools: HashSet<String> = open.map(|m| m.pool).collect();
        let mut failed = Vec::new();
        for pool in pools {
            for done in [self.remove_members(&pool).await, self.add_members(&pool).await] {
                failed.extend(done.err().map(|e| chain(&e)));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Error::request(failed.join("; "))) }
    }

    /// Lists the pools where this plugin has members, or had.
    pub(super) async fn look_at_members(&self) -> Result<BTreeMap<String, Vec<Member>>, Error> {
        let mut found = BTreeMap::new();
        if matches!(self.source, Source::Server(_)) {
            return Ok(found);
        }
        let doing = || Error::cloud("listing members of load balancers' pools");
        let place = self.place();
        let is_own = |m: &Member| mark::endpoint(&place, &m.name).is_some();
        let known = self.members.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let recorded: HashSet<String> = self.ledger.members.all().into_values().map(|m| m.pool).collect();
        let mut pools = known.clone().unwrap_or_default();
        if known.is_none() && self.cloud()?.has(Service::LoadBalancer).await.map_err(doing())? {
            let project = self.cloud()?.project_id().await.map_err(doing())?;
            match self.cloud()?.list::<LoadBalancerPool>(&[("project_id", &project)]).await {
                // Who may not look has made none.
                Err(e) if e.status() == Some(403) && recorded.is_empty() => {}
                all => pools.extend(all.map_err(doing())?.into_iter().map(|p| p.id)),
            }
        }
        pools.extend(recorded);
        for pool in pools {
            match self.cloud()?.members(&pool).await {
                Err(e) if e.is_not_found() => {}
                members => drop(found.insert(pool, members.map_err(doing())?)),
            }
        }
        let own = found.iter().filter(|(_, members)| members.iter().any(is_own)).map(|(pool, _)| pool.clone());
        *self.members.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(own.collect());
        Ok(found)
    }

    /// Compares what is written down with endpoints and pools.
    pub(super) async fn mend_members(
        &self,
        cloud: &InCloud,
        view: &View,
        endpoints: &BTreeMap<String, Endpoint>,
        suspects: &mut Suspects,
        grace: Duration,
    ) {
        let has_some =
            |key: &str, e: &Endpoint| view.endpoints.contains_key(key) && !e.options.load_balancers.is_empty();
        for (key, endpoint) in endpoints.iter().filter(|(key, e)| has_some(key, e)) {
            let Some(_turn) = self.turns.try_take(key) else { continue };
            if self.ledger.endpoints.get(key).is_some()
                && let Err(e) = self.enlist(key, endpoint).await
            {
                self.complain("a container is missing in its load balancer", &e);
            }
        }
        let records = self.ledger.members.all();
        for (id, membership) in &records {
            let key = &membership.endpoint;
            let is_orphan = membership.stage != Stage::Unwanted && self.ledger.endpoints.get(key).is_none();
            if is_orphan && suspects.lasts(format!("orphaned member {id}"), grace) {
                self.tell(format!("member {} is no container's any more", membership.address), self.give_up(id, key));
            }
            let pool = cloud.members.get(&membership.pool).filter(|_| membership.stage == Stage::There);
            let is_lost = pool.is_some_and(|members| !members.iter().any(|m| membership.is(m)));
            if is_lost && suspects.lasts(format!("lost member {id}"), grace) {
                let again = |m: Membership| if m == *membership { Membership { stage: Stage::Wanted, ..m } } else { m };
                let noted = self.ledger.members.alter(id, |now| now.map(again));
                self.tell(format!("member {} was removed from its pool and is made again", membership.address), noted);
            }
        }
        let place = self.place();
        for (pool, members) in &cloud.members {
            for member in members {
                let Some(endpoint) = mark::endpoint(&place, &member.name) else { continue };
                let stray = Membership {
                    endpoint: endpoint.to_owned(),
                    mark: member.name.clone(),
                    pool: pool.clone(),
                    address: member.address.clone(),
                    port: member.protocol_port,
                    weight: None,
                    subnet: None,
                    stage: Stage::Unwanted,
                };
                let id = stray.key();
                if records.contains_key(&id) || !suspects.lasts(format!("stray member {id}"), grace) {
                    continue;
                }
                let noted = self.ledger.members.alter(&id, |now| now.or(Some(stray)));
                self.tell(format!("member {} of pool {pool} is no container's", member.address), noted);
            }
        }
        self.members.changed.notify_one();
    }
}

/// Has Octavia do what is written down, for ever.
pub(crate) async fn keep(plugin: &Plugin) {
    let (mut before, mut pause) = (String::new(), PAUSES.0);
    loop {
        let Err(error) = plugin.tend_members().await else {
            (before, pause) = (String::new(), PAUSES.0);
            plugin.members.changed.notified().await;
            continue;
        };
        let problem = chain(&error);
        // One that only changes is well in a moment.
        if problem != before && (pause >= PAUSES.1 || !problem.contains("409")) {
            plugin.say(format!("load balancers have not all of their members yet: {problem}"));
        }
        before = problem;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
