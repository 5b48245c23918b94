//! One look at a cloud: what it has of a yard, and what is to be done.

use super::scope;
use crate::data_loss::DataLoss;
use crate::error::Error;
use crate::execute::Executor;
use crate::host_service::{HostService, Member};
use crate::inventory::Inventory;
use crate::pools::{HookTargets, HostKnowledge, judge, stale};
use crate::preflight::{PreflightResult, ResolvedChoices, preflight};
use futures_util::future::try_join;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::intend::{Intended, ServerSpec, Spec};
use stackyard_core::yard::observed::Observed;
use stackyard_core::yard::plan::{Plan, plan};
use stackyard_openstack::Cloud;
use std::collections::HashMap;
use std::time::SystemTime;

/// One look at a cloud, and what is to be done.
pub struct YardSnapshot<'a> {
    cloud: &'a Cloud,
    intended: &'a Intended,
    service: Option<&'a dyn HostService>,
    members: Vec<Member>,
    hook_targets: HookTargets,
    /// What the project has.
    pub inventory: Inventory,
    /// What it has of the yard.
    pub observed: Observed,
    /// What is to be done.
    pub plan: Plan,
}

impl<'a> YardSnapshot<'a> {
    /// Looks at the cloud and plans to have the yard as intended.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn take(cloud: &'a Cloud, intended: &'a Intended) -> Result<Self, Error> {
        Self::take_with(cloud, intended, None).await
    }

    /// The same with the server that the yard's hosts join; without one nothing is known about
    /// them beside what Nova says, and no new one can be made.
    ///
    /// # Errors
    /// [`Error::Cloud`], [`Error::Service`].
    pub async fn take_with(
        cloud: &'a Cloud,
        intended: &'a Intended,
        service: Option<&'a dyn HostService>,
    ) -> Result<Self, Error> {
        if let Some(service) = service.filter(|_| Self::has_agents(intended)) {
            let known = service.scope(&intended.yard).await;
            let known = known.map_err(|said| Error::Service {
                doing: "asking the server whose yard this is",
                said,
            })?;
            if let Some(known) = known
                && known != scope(cloud).await?
            {
                return Err(Error::OtherScope {
                    yard: intended.yard.clone(),
                });
            }
        }
        Self::take_unchecked(cloud, intended, service).await
    }

    /// The same where the caller knows that the server's yard of this name is this one.
    pub(super) async fn take_unchecked(
        cloud: &'a Cloud,
        intended: &'a Intended,
        service: Option<&'a dyn HostService>,
    ) -> Result<Self, Error> {
        let service = service.filter(|_| Self::has_agents(intended));
        let members = async {
            let Some(service) = service else {
                return Ok(None);
            };
            let asked = service.hosts(&intended.yard).await;
            asked.map(Some).map_err(|said| Error::Service {
                doing: "asking the server for its hosts",
                said,
            })
        };
        let (inventory, members) =
            try_join(Box::pin(Inventory::take_of(cloud, intended)), members).await?;
        let mut keys = HashMap::new();
        if let Some(service) = service {
            for pool in inventory.pools_with_keys(intended) {
                let key = service.known_ssh_key(&intended.yard, pool).await;
                let key = key.map_err(|said| Error::Service {
                    doing: "asking the server for a pool's SSH key",
                    said,
                })?;
                // Without one, what the cloud has is of no use: nobody has the other half.
                keys.insert(pool.to_owned(), key.unwrap_or_default());
            }
        }
        let mut observed = inventory.observe(&intended.yard, Some(intended));
        let known = HostKnowledge {
            members: members.as_deref(),
            keys: &keys,
            now: SystemTime::now(),
        };
        judge(&mut observed, &inventory, intended, &known);
        let plan = plan(intended, &observed);
        let members = members.unwrap_or_default();
        Ok(Self {
            cloud,
            intended,
            service,
            members,
            hook_targets: HookTargets::any(),
            inventory,
            observed,
            plan,
        })
    }

    /// Has requests of join commands go to `targets` only; without it, they go anywhere.
    #[must_use]
    pub fn limit_hooks(self, targets: HookTargets) -> Self {
        Self {
            hook_targets: targets,
            ..self
        }
    }

    /// What stands in the way of the plan, and what apply needs to know.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn preflight(&self) -> Result<PreflightResult, Error> {
        preflight(
            self.cloud,
            &self.inventory,
            self.intended,
            &self.plan,
            self.service.is_some(),
            &self.hook_targets,
        )
        .await
    }

    /// Carries the plan out, and loses no data but what `loss` says. Where a creation's outcome was
    /// open for a while, looks again and removes doubles.
    ///
    /// # Errors
    /// [`Error::DataLoss`], [`Error::Steps`], [`Error::Refused`] and [`Error::Cloud`]; another run goes on.
    pub async fn apply(
        &self,
        choices: &ResolvedChoices,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
    ) -> Result<(), Error> {
        if !self.run(choices, loss, onlooker).await? {
            return Ok(());
        }
        onlooker.see(Event::Note {
            step: None,
            text: "an answer got lost: looking for doubles".to_owned(),
        });
        self.again(loss, onlooker).await
    }

    /// Looks once more, and does what there is to do now.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn again(&self, loss: &DataLoss, onlooker: &dyn Onlooker) -> Result<(), Error> {
        let now = Self::take_unchecked(self.cloud, self.intended, self.service).await?;
        let now = now.limit_hooks(self.hook_targets.clone());
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
    async fn run(
        &self,
        choices: &ResolvedChoices,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
    ) -> Result<bool, Error> {
        let run = Executor::new(
            self.cloud,
            &self.inventory,
            self.intended,
            &self.plan,
            choices,
            onlooker,
        );
        run.with_service(self.service)
            .limit_hooks(&self.hook_targets)
            .apply(loss)
            .await
    }
}

impl YardSnapshot<'_> {
    /// Whether a yard has hosts that join a Stackyard server.
    pub fn has_agents(intended: &Intended) -> bool {
        let joins = |s: &ServerSpec| s.host.as_ref().is_some_and(|h| h.has_agent());
        intended
            .resources
            .iter()
            .any(|r| matches!(&r.spec, Spec::Server(s) if joins(s)))
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
}

/// Has a server forget hosts whose servers are gone.
pub(super) async fn forget_stale(
    service: &dyn HostService,
    members: &[Member],
    inventory: &Inventory,
) -> Result<(), Error> {
    for member in stale(members, &inventory.servers) {
        let forgotten = service.forget(&member.id).await;
        forgotten.map_err(|said| Error::Service {
            doing: "removing a host whose server is gone",
            said,
        })?;
    }
    Ok(())
}
