//! What the verbs do: look, plan, bring up, take down, sweep.

use crate::apply::Run;
use crate::error::Error;
use crate::inventory::{Inventory, Owned};
use crate::preflight::{Choices, Found, preflight};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::intend::Intended;
use stackyard_core::yard::observed::Observed;
use stackyard_core::yard::plan::{Plan, plan, removal};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::Cloud;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Looks at a removed yard before it is said that something is left: listings of some services
/// show what is gone for a moment.
const LOOKS: u32 = 4;

/// One look at a cloud, and what is to be done.
#[derive(Debug)]
pub struct Session<'a> {
    cloud: &'a Cloud,
    intended: &'a Intended,
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
}

impl<'a> Session<'a> {
    /// Looks at the cloud and plans to have the yard as intended.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn begin(cloud: &'a Cloud, intended: &'a Intended) -> Result<Self, Error> {
        let inventory = Inventory::take(cloud).await?;
        let observed = inventory.observe(&intended.yard, Some(intended));
        let plan = plan(intended, &observed);
        Ok(Self { cloud, intended, inventory, observed, plan })
    }

    /// What stands in the way of the plan, and what apply needs to know.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn preflight(&self) -> Result<Found, Error> {
        preflight(self.cloud, &self.inventory, self.intended, &self.plan).await
    }

    /// Carries the plan out. Where a creation's outcome was open for a while, looks again and
    /// removes doubles.
    ///
    /// # Errors
    /// [`Error::Steps`] and [`Error::Cloud`]; another run goes on.
    pub async fn apply(&self, choices: &Choices, onlooker: &dyn Onlooker) -> Result<(), Error> {
        let run = Run::new(self.cloud, &self.inventory, self.intended, &self.plan, choices, onlooker);
        if !run.apply().await? {
            return Ok(());
        }
        onlooker.see(Event::Note { step: None, text: "an answer got lost: looking for doubles".to_owned() });
        let again = Self::begin(self.cloud, self.intended).await?;
        Run::new(self.cloud, &again.inventory, self.intended, &again.plan, choices, onlooker).apply().await?;
        Ok(())
    }
}

/// Removes all that the cloud has of a yard, and looks again until nothing is left.
///
/// # Errors
/// [`Error::Steps`], [`Error::Cloud`], [`Error::Left`].
pub(crate) async fn remove(cloud: &Cloud, yard: &str, onlooker: &dyn Onlooker) -> Result<(), Error> {
    let nothing = Intended { yard: yard.to_owned(), ..Intended::default() };
    let choices = Choices::default();
    for look in 1..=LOOKS {
        let inventory = Inventory::take(cloud).await?;
        let plan = removal(yard, &inventory.observe(yard, None));
        if plan.steps.is_empty() {
            return Ok(());
        }
        if look == LOOKS {
            return Err(Error::Left(plan.steps.into_iter().map(|s| s.key).collect()));
        }
        if look > 1 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Run::new(cloud, &inventory, &nothing, &plan, &choices, onlooker).apply().await?;
    }
    Ok(())
}

impl Session<'_> {
    /// What would be removed so that nothing is left of a yard.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn plan_removal(cloud: &Cloud, yard: &str) -> Result<Plan, Error> {
        Ok(removal(yard, &Inventory::take(cloud).await?.observe(yard, None)))
    }

    /// Removes all that the cloud has of a yard, and looks again until nothing is left.
    ///
    /// # Errors
    /// [`Error::Steps`], [`Error::Cloud`], [`Error::Left`].
    pub async fn remove(cloud: &Cloud, yard: &str, onlooker: &dyn Onlooker) -> Result<(), Error> {
        remove(cloud, yard, onlooker).await
    }

    /// Marked resources of the project whose yard is none of `known`.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn sweep(cloud: &Cloud, known: &BTreeSet<String>) -> Result<Swept, Error> {
        let mut orphans = Inventory::take(cloud).await?.owned();
        orphans.retain(|o| !known.contains(&o.mark.yard));
        orphans.sort();
        Ok(Swept { orphans })
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
