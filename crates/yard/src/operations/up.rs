//! Bringing a yard up.

use super::declared::{DeclaredStacks, Say};
use super::{YardLock, YardSnapshot, YardStacks, let_settle, scope, with_stacks};
use crate::data_loss::DataLoss;
use crate::error::{Error, WorkError};
use crate::host_service::HostService;
use crate::pools::HookTargets;
use crate::preflight::{PreflightResult, ResolvedChoices};
use stackyard_catalog::manifest::Yard;
use stackyard_client::{Client, ClientError, Patience};
use stackyard_core::progress::Onlooker;
use stackyard_core::rollout::Status;
use stackyard_core::yard::plan::Plan;
use stackyard_openstack::Cloud;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A yard that may be brought to what its manifest says.
pub struct UpOperation<'a> {
    /// The cloud, looked at.
    pub snapshot: YardSnapshot<'a>,
    /// All that is to be done: in the cloud, and about stacks.
    pub plan: Plan,
    yard: &'a Yard,
    name: &'a str,
    /// The server, unless its yard of this name is another one.
    service: Option<&'a Client>,
    stacks: Option<DeclaredStacks>,
    /// Whether [`Self::take_name`] found or made the name this yard's at the server.
    name_is_taken: AtomicBool,
    looked: Instant,
}

impl<'a> UpOperation<'a> {
    /// Looks at the cloud. `stacks` were looked at before: that a server is missing and a file that it
    /// would not take are found first. A server whose yard of this name is in another project or region is left
    /// alone, if the yard needs none; `say` hears of it.
    ///
    /// # Errors
    /// [`Error::Cloud`], [`Error::Service`], [`Error::OtherScope`].
    pub async fn look(
        yard: &'a Yard,
        cloud: &'a Cloud,
        service: Option<&'a Client>,
        stacks: Option<DeclaredStacks>,
        say: Say<'_>,
    ) -> Result<Self, WorkError> {
        let looked = Instant::now();
        let name = &yard.intended.yard;
        let (mut service, mut stacks) = (service, stacks);
        if let Some(client) = service {
            match client.yard_scope(name).await {
                Ok(None) => {}
                Ok(Some(known)) if known == scope(cloud).await? => {}
                // A socket that a stopped server left behind: whether one is needed is known by now.
                Err(ClientError::Unreachable { .. }) if stacks.is_none() => service = None,
                Err(other) => return Err(other.into()),
                Ok(Some(_))
                    if !yard.stacks.is_empty() || YardSnapshot::has_agents(&yard.intended) =>
                {
                    return Err(Error::OtherScope { yard: name.clone() }.into());
                }
                Ok(Some(_)) => {
                    say(format!(
                        "note: the server's yard {name} is of another project or region, and is left alone"
                    ));
                    (service, stacks) = (None, None);
                }
            }
        }
        let snapshot = YardSnapshot::take_unchecked(
            cloud,
            &yard.intended,
            service.map(|c| c as &dyn HostService),
        )
        .await?;
        let plan = with_stacks(&snapshot.plan, stacks.as_ref().map(|s| &s.at_server));
        Ok(Self {
            snapshot,
            plan,
            yard,
            name,
            service,
            stacks,
            name_is_taken: AtomicBool::default(),
            looked,
        })
    }

    /// Has requests of join commands go to `targets` only; without it, they go anywhere.
    #[must_use]
    pub fn limit_hooks(self, targets: HookTargets) -> Self {
        Self {
            snapshot: self.snapshot.limit_hooks(targets),
            ..self
        }
    }

    /// The server, unless its yard of this name is another one.
    pub fn service(&self) -> Option<&'a Client> {
        self.service
    }

    /// Has the server take down whose the yard's name is, before anything is done or kept there.
    ///
    /// # Errors
    /// [`Error::OtherScope`] if another project was quicker, [`ClientError`].
    pub async fn take_name(&self) -> Result<(), WorkError> {
        let (Some(client), scope) = (self.service, &self.snapshot.inventory.scope) else {
            return Ok(());
        };
        // Callers take it before they keep a manifest, and `carry_out` for those that keep none.
        if self.name_is_taken.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Read again: the name may have become another project's while the user looked at the plan.
        if client.yard_scope(self.name).await?.as_ref() != Some(scope) {
            match client.take_yard_scope(self.name, scope).await {
                Err(error) if error.status() == Some(409) => {
                    let yard = self.name.to_owned();
                    return Err(Error::OtherScope { yard }.into());
                }
                other => other?,
            }
        }
        self.name_is_taken.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What stands in the way, and what [`Self::carry_out`] needs to know.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn preflight(&self) -> Result<PreflightResult, Error> {
        self.snapshot.preflight().await
    }

    /// The stacks at the server, if there is one.
    pub fn stacks(&self) -> Option<&YardStacks> {
        self.stacks.as_ref().map(|s| &s.at_server)
    }

    /// Carries the plan out; how the stacks stand that were waited for, by name. `lock` is the yard's,
    /// and says whether a look after it is due; `choices` are of [`Self::preflight`], and needed unless
    /// the plan for the cloud is empty; `loss` says which data may be lost.
    ///
    /// # Errors
    /// [`WorkError`]: before anything is done where data would be lost that may not; later, what does
    /// not need what failed was done.
    pub async fn carry_out(
        &self,
        lock: &YardLock,
        choices: &ResolvedChoices,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
    ) -> Result<BTreeMap<String, Status>, WorkError> {
        loss.check(&self.plan)?;
        self.take_name().await?;
        // What runs on hosts that go need not move elsewhere if it goes, too.
        if let Some(stacks) = &self.stacks {
            stacks.at_server.begin_removals().await?;
        }
        let hosts_change = !self.snapshot.plan.is_noop();
        if hosts_change {
            lock.making()?;
            self.snapshot.apply(choices, loss, onlooker).await?;
        }
        if lock.is_unsettled() {
            let_settle(self.looked, onlooker).await;
            self.snapshot.again(loss, onlooker).await?;
        }
        lock.settled()?;
        self.snapshot.tidy().await?;
        let Some(stacks) = &self.stacks else {
            return Ok(BTreeMap::new());
        };
        stacks.keep_secrets().await?;
        // Templates of packages list hosts, and some may have come or gone by now.
        let again = stacks.again(self.yard, hosts_change).await?;
        Ok(again
            .as_ref()
            .unwrap_or(stacks)
            .at_server
            .apply(
                hosts_change || lock.is_unsettled(),
                Patience::default(),
                onlooker,
            )
            .await?)
    }
}
