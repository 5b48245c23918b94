//! What the verbs do: look, plan, bring up, take down, sweep.

use crate::apply::Run;
use crate::data_loss::DataLoss;
use crate::error::Error;
use crate::inventory::{Inventory, Optional, Owned, Unseen, scope_of};
use crate::pools::{HostService, Known, Member, judge, stale};
use crate::preflight::{Choices, Found, preflight};
use crate::record::KnownYards;
use futures_util::future::try_join;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::intend::{Intended, ServerSpec, Spec};
use stackyard_core::yard::observed::Observed;
use stackyard_core::yard::plan::{Plan, plan, removal};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::Cloud;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

/// Looks at a removed yard before it is said that something is left: listings of some services
/// show what is gone for a moment.
const LOOKS: u32 = 4;

/// One look at a cloud, and what is to be done.
pub struct Session<'a> {
    cloud: &'a Cloud,
    intended: &'a Intended,
    service: Option<&'a dyn HostService>,
    members: Vec<Member>,
    /// What the project has.
    pub inventory: Inventory,
    /// What it has of the yard.
    pub observed: Observed,
    /// What is to be done.
    pub plan: Plan,
}

/// What a sweep finds.
#[derive(Debug, Default)]
pub struct Swept {
    /// Marked resources of yards without a record.
    pub orphans: Vec<Owned>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

impl<'a> Session<'a> {
    /// Looks at the cloud and plans to have the yard as intended.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn begin(cloud: &'a Cloud, intended: &'a Intended) -> Result<Self, Error> {
        Self::begin_with(cloud, intended, None).await
    }

    /// The same with the server that the yard's hosts join; without one nothing is known about
    /// them beside what Nova says, and no new one can be made.
    ///
    /// # Errors
    /// [`Error::Cloud`], [`Error::Service`].
    pub async fn begin_with(
        cloud: &'a Cloud,
        intended: &'a Intended,
        service: Option<&'a dyn HostService>,
    ) -> Result<Self, Error> {
        let service = service.filter(|_| Self::has_agents(intended));
        if let Some(service) = service {
            check_scope(cloud, &intended.yard, service).await?;
        }
        let members = async {
            let Some(service) = service else { return Ok(None) };
            let asked = service.hosts(&intended.yard).await;
            asked.map(Some).map_err(|said| Error::Service { doing: "asking the server for its hosts", said })
        };
        let (inventory, members) = try_join(Box::pin(Inventory::take_of(cloud, intended)), members).await?;
        let mut keys = HashMap::new();
        if let Some(service) = service {
            for pool in inventory.pools_with_keys(intended) {
                let key = service.known_ssh_key(&intended.yard, pool).await;
                let key =
                    key.map_err(|said| Error::Service { doing: "asking the server for a pool's SSH key", said })?;
                // Without one, what the cloud has is of no use: nobody has the other half.
                keys.insert(pool.to_owned(), key.unwrap_or_default());
            }
        }
        let mut observed = inventory.observe(&intended.yard, Some(intended));
        let known = Known { members: members.as_deref(), keys: &keys, now: SystemTime::now() };
        judge(&mut observed, &inventory, intended, &known);
        let plan = plan(intended, &observed);
        let members = members.unwrap_or_default();
        Ok(Self { cloud, intended, service, members, inventory, observed, plan })
    }

    /// What stands in the way of the plan, and what apply needs to know.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn preflight(&self) -> Result<Found, Error> {
        preflight(self.cloud, &self.inventory, self.intended, &self.plan, self.service.is_some()).await
    }

    /// Carries the plan out, and loses no data but what `loss` says. Where a creation's outcome was
    /// open for a while, looks again and removes doubles.
    ///
    /// # Errors
    /// [`Error::DataLoss`], [`Error::Steps`], [`Error::Refused`] and [`Error::Cloud`]; another run goes on.
    pub async fn apply(&self, choices: &Choices, loss: &DataLoss, onlooker: &dyn Onlooker) -> Result<(), Error> {
        if !self.run(choices, loss, onlooker).await? {
            return Ok(());
        }
        onlooker.see(Event::Note { step: None, text: "an answer got lost: looking for doubles".to_owned() });
        self.again(loss, onlooker).await
    }

    /// Looks once more, and does what there is to do now.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn again(&self, loss: &DataLoss, onlooker: &dyn Onlooker) -> Result<(), Error> {
        let now = Self::begin_with(self.cloud, self.intended, self.service).await?;
        if now.plan.is_noop() {
            return Ok(());
        }
        let found = now.preflight().await?;
        if !found.blockers.is_empty() {
            return Err(Error::Refused(found.blockers));
        }
        now.run(&found.choices, loss, onlooker).await.map(drop)
    }

    /// Carries the plan out once; whether there may be doubles.
    async fn run(&self, choices: &Choices, loss: &DataLoss, onlooker: &dyn Onlooker) -> Result<bool, Error> {
        let run = Run::new(self.cloud, &self.inventory, self.intended, &self.plan, choices, onlooker);
        run.with_service(self.service).apply(loss).await
    }
}

/// Refuses a server whose yard of this name is in another project or region: it would hand out that one's hosts.
async fn check_scope(cloud: &Cloud, yard: &str, service: &dyn HostService) -> Result<(), Error> {
    let doing = || format!("asking cloud {} for project and region", cloud.config().name);
    let scope = scope_of(cloud).await.map_err(Error::cloud(doing()))?;
    let known = service.scope(yard).await;
    let known = known.map_err(|said| Error::Service { doing: "asking the server whose yard this is", said })?;
    match known {
        Some(known) if known != scope => Err(Error::OtherScope { yard: yard.to_owned() }),
        _ => Ok(()),
    }
}

/// Has a server forget hosts whose servers are gone.
async fn forget_stale(service: &dyn HostService, members: &[Member], inventory: &Inventory) -> Result<(), Error> {
    for member in stale(members, &inventory.servers) {
        let forgotten = service.forget(&member.id).await;
        forgotten.map_err(|said| Error::Service { doing: "removing a host whose server is gone", said })?;
    }
    Ok(())
}

/// Removes all that the cloud has of a yard, and looks again until nothing is left; gives what could not be looked at
/// of the optional kinds. Those of `kinds` are asked for with patience. Loses no data but what `loss` says.
///
/// # Errors
/// [`Error::DataLoss`], [`Error::Steps`], [`Error::Cloud`], [`Error::Left`].
pub(crate) async fn remove(
    cloud: &Cloud,
    yard: &str,
    kinds: Option<&BTreeSet<Kind>>,
    loss: &DataLoss,
    onlooker: &dyn Onlooker,
) -> Result<Vec<Unseen>, Error> {
    let nothing = Intended { yard: yard.to_owned(), ..Intended::default() };
    let choices = Choices::default();
    for look in 1..=LOOKS {
        let needed = |what: Optional| kinds.is_none_or(|kinds| what.is_needed(kinds));
        let inventory = Box::pin(Inventory::take_for(cloud, needed)).await?;
        let plan = removal(yard, &inventory.observe(yard, None));
        if plan.steps.is_empty() {
            return Ok(inventory.unseen);
        }
        if !plan.refusals.is_empty() {
            return Err(Error::Refused(plan.refusals));
        }
        if look == LOOKS {
            return Err(Error::Left(plan.steps.into_iter().map(|s| s.key).collect()));
        }
        if look > 1 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let mut run = Run::new(cloud, &inventory, &nothing, &plan, &choices, onlooker);
        if inventory.unseen.iter().any(|u| needed(u.what)) {
            run = run.in_the_dark();
        }
        if let Err(error) = run.apply(loss).await {
            let unseen = unseen_of(inventory.unseen, kinds);
            return Err(match error {
                Error::Steps(steps) if !unseen.is_empty() => {
                    Error::Unseen { yard: yard.to_owned(), unseen, steps: Some(steps) }
                }
                other => other,
            });
        }
    }
    Ok(Vec::new())
}

/// Those that a yard with these kinds may have something of.
fn unseen_of(mut unseen: Vec<Unseen>, kinds: Option<&BTreeSet<Kind>>) -> Vec<Unseen> {
    unseen.retain(|u| kinds.is_none_or(|kinds| u.what.is_needed(kinds)));
    unseen
}

/// Fails if any of what the yard may have could not be looked at.
fn all_seen(yard: &str, unseen: Vec<Unseen>, kinds: Option<&BTreeSet<Kind>>) -> Result<(), Error> {
    let unseen = unseen_of(unseen, kinds);
    if unseen.is_empty() { Ok(()) } else { Err(Error::Unseen { yard: yard.to_owned(), unseen, steps: None }) }
}

impl Session<'_> {
    /// Whether a yard has hosts that join a Stackyard server.
    pub fn has_agents(intended: &Intended) -> bool {
        let joins = |s: &ServerSpec| s.host.as_ref().is_some_and(|h| h.has_agent());
        intended.resources.iter().any(|r| matches!(&r.spec, Spec::Server(s) if joins(s)))
    }

    /// Has the server forget hosts whose servers were gone before this look, as after a run that
    /// was killed.
    ///
    /// # Errors
    /// [`Error::Service`]
    pub async fn tidy(&self) -> Result<(), Error> {
        match self.service {
            Some(service) => forget_stale(service, &self.members, &self.inventory).await,
            None => Ok(()),
        }
    }

    /// Has a server forget the hosts of a yard that was removed.
    ///
    /// # Errors
    /// [`Error::Cloud`], [`Error::Service`].
    pub async fn forget_hosts(cloud: &Cloud, yard: &str, service: &dyn HostService) -> Result<(), Error> {
        let members = service.hosts(yard).await;
        let members = members.map_err(|said| Error::Service { doing: "asking the server for its hosts", said })?;
        // Their agents may not have noticed yet.
        let members: Vec<Member> = members.into_iter().map(|m| Member { connected: false, ..m }).collect();
        if members.is_empty() {
            return Ok(());
        }
        forget_stale(service, &members, &Inventory::take(cloud).await?).await
    }

    /// What would be removed so that nothing is left of a yard, and what could not be looked at.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub(crate) async fn plan_removal(
        cloud: &Cloud,
        yard: &str,
        kinds: &BTreeSet<Kind>,
    ) -> Result<(Plan, Inventory), Error> {
        let inventory = Inventory::take_for(cloud, |what| what.is_needed(kinds)).await?;
        Ok((removal(yard, &inventory.observe(yard, None)), inventory))
    }

    /// Removes all that the cloud has of a yard, and looks again until nothing is left; loses no data
    /// but what `loss` says.
    ///
    /// # Errors
    /// [`Error::DataLoss`], [`Error::Steps`], [`Error::Cloud`], [`Error::Left`], and [`Error::Unseen`] once all else is
    /// removed.
    pub async fn remove(cloud: &Cloud, yard: &str, loss: &DataLoss, onlooker: &dyn Onlooker) -> Result<(), Error> {
        all_seen(yard, remove(cloud, yard, None, loss, onlooker).await?, None)
    }

    /// The same of a yard whose manifest has resources of these kinds: what else could not be looked at is no failure.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub async fn remove_of(
        cloud: &Cloud,
        yard: &str,
        kinds: &BTreeSet<Kind>,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
    ) -> Result<(), Error> {
        all_seen(yard, remove(cloud, yard, Some(kinds), loss, onlooker).await?, Some(kinds))
    }

    /// Marked resources of the project and region whose yard is none of `known`.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn sweep(cloud: &Cloud, known: &KnownYards) -> Result<Swept, Error> {
        let inventory = Inventory::take(cloud).await?;
        let mut orphans = inventory.owned();
        orphans.retain(|o| !known.has(&o.mark));
        orphans.sort();
        Ok(Swept { orphans, unseen: inventory.unseen })
    }
}

impl Session<'_> {
    /// What people want to know about resources: addresses, states, sizes.
    pub fn notes(&self) -> BTreeMap<Key, String> {
        let all = &self.inventory;
        let mut notes = BTreeMap::new();
        for seen in &self.observed.resources {
            let note =
                match seen.key.kind {
                    Kind::Server => all.servers.iter().find(|s| s.id == seen.id).map(|s| {
                        let addresses = s.addresses.values().flatten().map(|a| a.addr.as_str());
                        std::iter::once(s.status.as_str()).chain(addresses).collect::<Vec<_>>().join(" ")
                    }),
                    Kind::FloatingIp => all.floating_ips.iter().find(|f| f.id == seen.id).map(|f| f.address.clone()),
                    Kind::Volume => {
                        all.volumes.iter().find(|v| v.id == seen.id).map(|v| format!("{} GiB, {}", v.size, v.status))
                    }
                    Kind::Subnet => all.subnets.iter().find(|s| s.id == seen.id).map(|s| s.cidr.clone()),
                    Kind::Network => {
                        all.networks.iter().find(|n| n.id == seen.id).and_then(|n| Some(format!("MTU {}", n.mtu?)))
                    }
                    Kind::LoadBalancer => all.balancing.there().and_then(|b| {
                        let found = b.balancers.iter().find(|b| b.id == seen.id)?;
                        Some(format!("{} {}", found.operating_status, found.vip_address))
                    }),
                    Kind::ObjectContainer => all.containers.there().and_then(|c| {
                        let found = c.iter().find(|c| c.name == seen.id)?;
                        Some(format!("{}, {} objects, {} bytes", found.name, found.detail.count, found.detail.bytes))
                    }),
                    Kind::Port => all.ports.iter().find(|p| p.id == seen.id).map(|p| {
                        p.fixed_ips.iter().filter_map(|f| f.ip_address.as_deref()).collect::<Vec<_>>().join(" ")
                    }),
                    _ => None,
                };
            notes.extend(note.map(|n| (seen.key.clone(), n)));
        }
        notes
    }
}
