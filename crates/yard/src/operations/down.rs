//! Taking a yard down.

use super::declared::{Say, forget_secrets};
use super::snapshot::forget_stale;
use super::{YardLock, YardStacks, is_its_yard, let_settle, with_stacks};
use crate::data_loss::DataLoss;
use crate::error::{Error, WorkError};
use crate::execute::Executor;
use crate::host_service::{HostService, Member};
use crate::inventory::Inventory;
use crate::preflight::ResolvedChoices;
use crate::unseen::{FailedListing, OptionalListing};
use stackyard_client::{Client, ClientError, Patience, WaitError};
use stackyard_core::progress::Onlooker;
use stackyard_core::yard::Kind;
use stackyard_core::yard::intend::Intended;
use stackyard_core::yard::plan::{Plan, removal};
use stackyard_openstack::Cloud;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long stacks may take to go before their hosts do.
const LEAVE: Patience = Patience {
    most: Duration::from_secs(180),
    failing: Duration::from_secs(180),
};

/// Looks at a removed yard before it is said that something is left: listings of some services
/// show what is gone for a moment.
const LOOKS: u32 = 4;

/// A yard that may be removed.
pub struct DownOperation<'a> {
    /// What would be removed: in the cloud, and stacks.
    pub plan: Plan,
    cloud: &'a Cloud,
    yard: &'a str,
    service: Option<&'a Client>,
    stacks: Option<YardStacks>,
    kinds: BTreeSet<Kind>,
    /// What could not be looked at.
    unseen: Vec<FailedListing>,
    looked: Instant,
}

impl<'a> DownOperation<'a> {
    /// Looks at the cloud and at the server. A server that does not answer keeps nothing from being removed, nor does
    /// a service of the cloud that the yard can do without; `say` hears of it. `kinds` are those of the manifest.
    ///
    /// # Errors
    /// [`WorkError::Yard`], [`WorkError::Client`].
    pub async fn look(
        yard: &'a str,
        kinds: BTreeSet<Kind>,
        cloud: &'a Cloud,
        service: Option<&'a Client>,
        say: Say<'_>,
    ) -> Result<Self, WorkError> {
        let looked = Instant::now();
        let inventory = Inventory::take_for(cloud, |what| what.is_needed(&kinds)).await?;
        let plan = removal(yard, &inventory.observe(yard, None));
        for unseen in &inventory.unseen {
            if unseen.what.is_needed(&kinds) {
                say(format!(
                    "note: {unseen}; what the yard has of them stays for now"
                ));
            } else if !unseen.is_forbidden() {
                say(format!("note: {unseen}; the manifest has none"));
            }
        }
        let mut service = service;
        if let Some(client) = service
            && matches!(is_its_yard(client, yard, &inventory.scope).await, Ok(false))
        {
            say(format!(
                "note: the server's yard {yard} is of another project or region, and is left alone"
            ));
            service = None;
        }
        let stacks = match service {
            Some(client) => match YardStacks::removal(client.clone(), yard).await {
                Ok(stacks) => Some(stacks),
                Err(error @ ClientError::Unreachable { .. }) => {
                    say(format!(
                        "note: if the yard has stacks, the server still lists them: {error}"
                    ));
                    None
                }
                Err(other) => return Err(other.into()),
            },
            None => None,
        };
        let plan = with_stacks(&plan, stacks.as_ref());
        Ok(Self {
            plan,
            cloud,
            yard,
            service,
            stacks,
            kinds,
            unseen: inventory.unseen,
            looked,
        })
    }

    /// The server, unless its yard of this name is another one.
    pub fn service(&self) -> Option<&'a Client> {
        self.service
    }

    /// Removes all that the cloud and the server have of the yard. `lock` is the yard's, and says
    /// whether a look after it is due; `has_pools` says whether it has, or had, pools of hosts; `loss`
    /// says which data may be lost.
    ///
    /// # Errors
    /// [`WorkError`]: before anything is done where data would be lost that may not.
    pub async fn carry_out(
        &self,
        lock: &YardLock,
        has_pools: bool,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
        say: Say<'_>,
    ) -> Result<(), WorkError> {
        if !self.plan.refusals.is_empty() {
            return Err(Error::Refused(self.plan.refusals.clone()).into());
        }
        loss.check(&self.plan)?;
        // What could not be looked at, and the yard may have something of.
        let mut unseen = Vec::new();
        let removes = self.plan.summary().remove > 0;
        if removes && let Some(stacks) = &self.stacks {
            match stacks.apply(false, LEAVE, onlooker).await {
                Err(WaitError::Client(error)) => return Err(error.into()),
                // The hosts go all the same, and machines that stay let go of it when they are back.
                Err(error) => say(format!("note: {error}")),
                Ok(_) => {}
            }
        }
        if lock.is_unsettled() {
            // First, since what the cloud still makes may use what is to go: a subnet is in use as long as a load
            // balancer that this run has not seen has its port there.
            let_settle(self.looked, onlooker).await;
        }
        if removes
            || lock.is_unsettled()
            || self.unseen.iter().any(|u| u.what.is_needed(&self.kinds))
        {
            unseen = self.remove(loss, onlooker).await?;
        }
        lock.settled()?;
        let seen = all_seen(self.yard, unseen);
        let (Some(service), Some(_)) = (self.service, &self.stacks) else {
            return Ok(seen?);
        };
        if has_pools && let Err(e) = forget_hosts(self.cloud, self.yard, service).await {
            say(format!(
                "The server still lists the yard's hosts (`stackyard host remove`): {e}"
            ));
        }
        // What stays may need them.
        seen?;
        if let Err(e) = forget_secrets(self.yard, service).await {
            say(format!(
                "note: the server keeps secrets of packages of the yard: {e}"
            ));
        }
        Ok(())
    }

    /// Removes what the cloud has; gives what could not be looked at, and the yard may have something of.
    async fn remove(
        &self,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
    ) -> Result<Vec<FailedListing>, Error> {
        let unseen = remove(self.cloud, self.yard, Some(&self.kinds), loss, onlooker).await?;
        Ok(unseen_of(unseen, Some(&self.kinds)))
    }
}

/// Removes all that the cloud has of a yard, and looks again until nothing is left; gives what could not be looked at
/// of the optional kinds. Those of `kinds` are asked for with patience. Loses no data but what `loss` says.
///
/// # Errors
/// [`Error::DataLoss`], [`Error::Steps`], [`Error::Cloud`], [`Error::Left`].
async fn remove(
    cloud: &Cloud,
    yard: &str,
    kinds: Option<&BTreeSet<Kind>>,
    loss: &DataLoss,
    onlooker: &dyn Onlooker,
) -> Result<Vec<FailedListing>, Error> {
    let nothing = Intended {
        yard: yard.to_owned(),
        ..Intended::default()
    };
    let choices = ResolvedChoices::default();
    for look in 1..=LOOKS {
        let needed = |what: OptionalListing| kinds.is_none_or(|kinds| what.is_needed(kinds));
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
        let mut run = Executor::new(cloud, &inventory, &nothing, &plan, &choices, onlooker);
        if inventory.unseen.iter().any(|u| needed(u.what)) {
            run = run.in_the_dark();
        }
        if let Err(error) = run.apply(loss).await {
            let unseen = unseen_of(inventory.unseen, kinds);
            return Err(match error {
                Error::Steps(steps) if !unseen.is_empty() => Error::FailedListing {
                    yard: yard.to_owned(),
                    unseen,
                    steps: Some(steps),
                },
                other => other,
            });
        }
    }
    Ok(Vec::new())
}

/// Those that a yard with these kinds may have something of.
fn unseen_of(mut unseen: Vec<FailedListing>, kinds: Option<&BTreeSet<Kind>>) -> Vec<FailedListing> {
    unseen.retain(|u| kinds.is_none_or(|kinds| u.what.is_needed(kinds)));
    unseen
}

/// Fails if any of what the yard may have could not be looked at.
fn all_seen(yard: &str, unseen: Vec<FailedListing>) -> Result<(), Error> {
    if unseen.is_empty() {
        Ok(())
    } else {
        Err(Error::FailedListing {
            yard: yard.to_owned(),
            unseen,
            steps: None,
        })
    }
}

/// Has a server forget the hosts of a yard that was removed.
///
/// # Errors
/// [`Error::Cloud`], [`Error::Service`].
async fn forget_hosts(cloud: &Cloud, yard: &str, service: &dyn HostService) -> Result<(), Error> {
    let members = service.hosts(yard).await;
    let members = members.map_err(|said| Error::Service {
        doing: "asking the server for its hosts",
        said,
    })?;
    // Their agents may not have noticed yet.
    let members: Vec<Member> = members
        .into_iter()
        .map(|m| Member {
            connected: false,
            ..m
        })
        .collect();
    if members.is_empty() {
        return Ok(());
    }
    forget_stale(service, &members, &Inventory::take(cloud).await?).await
}

/// Removes all that the cloud has of a yard, and looks again until nothing is left; loses no data but what `loss`
/// says. With `kinds`, those of the yard's manifest, it may leave open what the cloud has of others.
///
/// # Errors
/// [`Error::DataLoss`], [`Error::Steps`], [`Error::Cloud`], [`Error::Left`], and [`Error::FailedListing`] once all else is
/// removed.
pub async fn remove_yard(
    cloud: &Cloud,
    yard: &str,
    kinds: Option<&BTreeSet<Kind>>,
    loss: &DataLoss,
    onlooker: &dyn Onlooker,
) -> Result<(), Error> {
    let unseen = remove(cloud, yard, kinds, loss, onlooker).await?;
    all_seen(yard, unseen_of(unseen, kinds))
}
