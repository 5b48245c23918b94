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
//! be killed at any point; if it loses its records, too, members are found by their mark, which is their name. `pools`
//! knows the broker, which asks Octavia or a yard's server.

use crate::network::ledger::{Endpoint, Membership, MembershipStage};
use crate::network::observed::{CloudView, RuntimeView, Suspects};
use crate::network::options::EndpointOptions;
mod pools;

use crate::network::Error;
use crate::network::port_manager::PortManager;
use stackyard_core::agent::PoolMember;
use stackyard_core::text::error_chain;
use stackyard_ports::place_mark;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Duration;

/// First and longest pause after a load balancer has refused a change.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// For how long a detach waits for Octavia.
const PATIENCE: Duration = Duration::from_secs(5);

impl Membership {
    /// By what its record is known: where packets go. A new endpoint with the address of another takes its place over.
    fn key(&self) -> String {
        format!("{}_{}_{}", self.pool, self.address, self.port)
    }

    fn is(&self, member: &PoolMember) -> bool {
        let PoolMember { of, .. } = member;
        let address = self.address.parse().ok();
        (&self.endpoint, address, self.port) == (&of.endpoint, Some(of.address), of.port)
    }
}

impl PortManager {
    /// Looks whether there are the pools that an endpoint is to be a member of.
    pub(crate) async fn check_pools(&self, options: &EndpointOptions) -> Result<(), Error> {
        for wanted in &options.load_balancers {
            self.balanced_pool(&wanted.pool).await?;
        }
        Ok(())
    }

    /// Writes down which members an endpoint is to be, and no others.
    pub(crate) async fn enlist(&self, key: &str, endpoint: &Endpoint) -> Result<(), Error> {
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
                mark: place_mark::of_endpoint(&self.place(), &endpoint.network, key),
                pool,
                address: ip.ip_address.clone().unwrap_or_default(),
                port: member.port,
                weight: member.weight,
                subnet: Some(ip.subnet_id.clone()),
                stage: MembershipStage::Wanted,
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
                    .filter(|k| k.stage == MembershipStage::There && Membership { stage: k.stage, ..new.clone() } == *k)
                    .or(Some(new))
            })?;
            self.member_changes.changed.notify_one();
        }
        Ok(())
    }

    fn memberships_of(&self, key: &str) -> Vec<(String, Membership)> {
        self.ledger.members.all().into_iter().filter(|(_, m)| m.endpoint == key).collect()
    }

    /// Notes down that a membership of an endpoint's is to end.
    fn give_up(&self, id: &str, key: &str) -> Result<(), Error> {
        self.ledger.members.alter(id, |known| {
            let unwanted = |m: Membership| Membership { stage: MembershipStage::Unwanted, ..m };
            known.map(|m| if m.endpoint == key { unwanted(m) } else { m })
        })
    }

    /// Ends an endpoint's memberships, or sees to it that they are ended.
    pub(crate) async fn dismiss(&self, key: &str) -> Result<(), Error> {
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
        self.member_changes.changed.notify_one();
        Ok(())
    }

    fn of_pool(&self, pool: &str, stage: MembershipStage) -> Vec<(String, Membership)> {
        self.ledger.members.all().into_iter().filter(|(_, m)| m.pool == pool && m.stage == stage).collect()
    }

    /// Removes what is not wanted in a pool any more.
    async fn remove_members(&self, pool: &str) -> Result<(), Error> {
        let unwanted = self.of_pool(pool, MembershipStage::Unwanted);
        if unwanted.is_empty() {
            return Ok(());
        }
        let there = self.members(pool).await?;
        for (id, membership) in unwanted {
            for member in there.iter().filter(|m| membership.is(m)) {
                self.leave_pool(pool, &member.id).await?;
            }
            // Unless its place has been taken over meanwhile.
            self.ledger.members.alter(&id, |now| now.filter(|m| *m != membership))?;
        }
        Ok(())
    }

    /// Makes what is wanted in a pool.
    async fn add_members(&self, pool: &str) -> Result<(), Error> {
        let wanted = self.of_pool(pool, MembershipStage::Wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        self.join_pool(pool, wanted.iter().map(|(_, m)| m)).await?;
        for (id, membership) in wanted {
            let made =
                |m: Membership| if m == membership { Membership { stage: MembershipStage::There, ..m } } else { m };
            self.ledger.members.alter(&id, |now| now.map(made))?;
        }
        Ok(())
    }

    /// Has Octavia do what is written down; what it refuses remains, and is the error.
    pub(crate) async fn tend_members(&self) -> Result<(), Error> {
        let open = self.ledger.members.all().into_values().filter(|m| m.stage != MembershipStage::There);
        let pools: HashSet<String> = open.map(|m| m.pool).collect();
        let mut failed = Vec::new();
        for pool in pools {
            for done in [self.remove_members(&pool).await, self.add_members(&pool).await] {
                failed.extend(done.err().map(|e| error_chain(&e)));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Error::request(failed.join("; "))) }
    }

    /// Lists the pools where this plugin has members, or had.
    pub(crate) async fn look_at_members(&self) -> Result<BTreeMap<String, Vec<PoolMember>>, Error> {
        let known = self.member_changes.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let recorded: HashSet<String> = self.ledger.members.all().into_values().map(|m| m.pool).collect();
        let found = match known {
            Some(known) => self.members_of(known.into_iter().chain(recorded).collect()).await?,
            None => self.members_of_all(recorded).await?,
        };
        let own = found.iter().filter(|(_, members)| !members.is_empty()).map(|(pool, _)| pool.clone());
        *self.member_changes.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(own.collect());
        Ok(found)
    }

    /// Compares what is written down with endpoints and pools.
    pub(crate) async fn mend_members(
        &self,
        cloud: &CloudView,
        view: &RuntimeView,
        endpoints: &BTreeMap<String, Endpoint>,
        suspects: &mut Suspects,
        grace: Duration,
    ) {
        let has_some =
            |key: &str, e: &Endpoint| view.endpoints.contains_key(key) && !e.options.load_balancers.is_empty();
        for (key, endpoint) in endpoints.iter().filter(|(key, e)| has_some(key, e)) {
            let Some(_lock) = self.locks.try_lock(key) else { continue };
            if self.ledger.endpoints.get(key).is_some()
                && let Err(e) = self.enlist(key, endpoint).await
            {
                self.complain("a container is missing in its load balancer", &e);
            }
        }
        let records = self.ledger.members.all();
        for (id, membership) in &records {
            let key = &membership.endpoint;
            let is_orphan = membership.stage != MembershipStage::Unwanted && self.ledger.endpoints.get(key).is_none();
            if is_orphan && suspects.lasts(format!("orphaned member {id}"), grace) {
                self.tell(format!("member {} belongs to no container", membership.address), self.give_up(id, key));
            }
            let pool = cloud.members.get(&membership.pool).filter(|_| membership.stage == MembershipStage::There);
            let is_lost = pool.is_some_and(|members| !members.iter().any(|m| membership.is(m)));
            if is_lost && suspects.lasts(format!("lost member {id}"), grace) {
                let again = |m: Membership| {
                    if m == *membership { Membership { stage: MembershipStage::Wanted, ..m } } else { m }
                };
                let noted = self.ledger.members.alter(id, |now| now.map(again));
                self.tell(format!("member {} was removed from its pool and is made again", membership.address), noted);
            }
        }
        let place = self.place();
        for (pool, members) in &cloud.members {
            for member in members {
                let PoolMember { of, .. } = member;
                let stray = Membership {
                    endpoint: of.endpoint.clone(),
                    mark: place_mark::of_endpoint(&place, &of.docker_network, &of.endpoint),
                    pool: pool.clone(),
                    address: of.address.to_string(),
                    port: of.port,
                    weight: None,
                    subnet: None,
                    stage: MembershipStage::Unwanted,
                };
                let id = stray.key();
                if records.contains_key(&id) || !suspects.lasts(format!("stray member {id}"), grace) {
                    continue;
                }
                let noted = self.ledger.members.alter(&id, |now| now.or(Some(stray)));
                self.tell(format!("member {} of pool {pool} is no container's", of.address), noted);
            }
        }
        self.member_changes.changed.notify_one();
    }
}

/// Has Octavia do what is written down, for ever.
pub(crate) async fn keep(manager: &PortManager) {
    let (mut before, mut pause) = (String::new(), PAUSES.0);
    loop {
        let Err(error) = manager.tend_members().await else {
            (before, pause) = (String::new(), PAUSES.0);
            manager.member_changes.changed.notified().await;
            continue;
        };
        let problem = error_chain(&error);
        // One that only changes is well in a moment.
        if problem != before && (pause >= PAUSES.1 || !problem.contains("409")) {
            manager.say(format!("load balancers have not all of their members yet: {problem}"));
        }
        before = problem;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
