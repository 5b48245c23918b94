//! A yard from its manifest to the end of a run: what `stackyard up`, `plan` and `down` do, and what
//! the server does for its callers. There is no other way.
//!
//! ```text
//! DeclaredStacks::look ── Bringing::look ── preflight ── (somebody says yes) ── carry_out
//!                         Removal::look ─────────────── (somebody says yes) ── carry_out
//! ```
//!
//! Looking changes nothing. What is carried out may be killed or dropped at any point; the next run
//! goes on.

use crate::client::{Client, ClientError, Patience, WaitError};
use crate::data_loss::DataLoss;
use crate::declared::{DeclaredStacks, forget_secrets};
use crate::error::{Error, WorkError};
use crate::inventory::{Unseen, scope_of};
use crate::preflight::{Choices, Found};
use crate::{HostService, Lock, Session, YardStacks};
use stackyard_catalog::manifest::Yard;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::stack::rollout::Status;
use stackyard_core::yard::plan::Plan;
use stackyard_core::yard::{Kind, Scope};
use stackyard_openstack::{Cloud, CloudConfig, Options, RequestEvent, Sources};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long stacks may take to go before their hosts do.
const LEAVE: Patience = Patience { most: Duration::from_secs(180), failing: Duration::from_secs(180) };

/// How long a cloud may take to make what a run asked for that was broken off.
const LATE: Duration = Duration::from_secs(5);

/// Waits until nothing more can come of a run that was broken off before `looked`.
async fn let_settle(looked: Instant, onlooker: &dyn Onlooker) {
    let text = "the last run did not end well: looking for what the cloud has made of it since".to_owned();
    onlooker.see(Event::Note { step: None, text });
    tokio::time::sleep(LATE.saturating_sub(looked.elapsed())).await;
}

/// Connects to the cloud with this name in `sources`, else to the one that they point to; `onlooker`
/// hears of requests that are sent again.
///
/// # Errors
/// What the configuration or Keystone says.
pub async fn connect(
    name: Option<&str>,
    sources: &Sources,
    onlooker: Arc<dyn Onlooker>,
) -> Result<Cloud, stackyard_openstack::Error> {
    let config = CloudConfig::load_from(name, sources)?;
    let options =
        Options { observer: Some(Arc::new(move |e: &RequestEvent| retried(e, &*onlooker))), ..Options::default() };
    Cloud::connect(config, options).await
}

/// Tells of requests that are sent again.
fn retried(event: &RequestEvent, onlooker: &dyn Onlooker) {
    if let Some((reason, wait)) = &event.retry {
        let (method, service) = (&event.method, event.service);
        let text = format!("{method} {service}: {reason}; again in {:.1} s", wait.as_secs_f64());
        onlooker.see(Event::Note { step: None, text });
    }
}

/// A client as what hosts join.
fn as_service(client: Option<&Client>) -> Option<&dyn HostService> {
    client.map(|c| c as &dyn HostService)
}

/// The project and region that a cloud's requests are for, as marks, records and locks name it.
///
/// # Errors
/// [`Error::Cloud`]
pub async fn scope(cloud: &Cloud) -> Result<Scope, Error> {
    let doing = || format!("asking cloud {} for project and region", cloud.config().name);
    scope_of(cloud).await.map_err(Error::cloud(doing()))
}

/// Whether a server's yard of this name is the one in this project and region, or none yet.
///
/// # Errors
/// [`ClientError`]
pub async fn is_its_yard(client: &Client, yard: &str, scope: &Scope) -> Result<bool, ClientError> {
    Ok(client.yard_scope(yard).await?.is_none_or(|known| known == *scope))
}

/// A plan for the cloud with what is done about stacks.
fn with_stacks(plan: &Plan, stacks: Option<&YardStacks>) -> Plan {
    Plan { stacks: stacks.map(|s| s.steps.clone()).unwrap_or_default(), ..plan.clone() }
}

/// A yard that may be brought to what its manifest says.
pub struct Bringing<'a> {
    /// The cloud, looked at.
    pub session: Session<'a>,
    /// All that is to be done: in the cloud, and about stacks.
    pub plan: Plan,
    name: &'a str,
    /// The server, unless its yard of this name is another one.
    service: Option<&'a Client>,
    stacks: Option<DeclaredStacks>,
    looked: Instant,
}

impl<'a> Bringing<'a> {
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
        say: crate::declared::Say<'_>,
    ) -> Result<Self, WorkError> {
        let looked = Instant::now();
        let name = &yard.intended.yard;
        let (mut service, mut stacks) = (service, stacks);
        if let Some(client) = service {
            match is_its_yard(client, name, &scope(cloud).await?).await {
                Ok(true) => {}
                // A socket that a stopped server left behind: whether one is needed is known by now.
                Err(ClientError::Unreachable { .. }) if stacks.is_none() => service = None,
                Err(other) => return Err(other.into()),
                Ok(false) if !yard.stacks.is_empty() || Session::has_agents(&yard.intended) => {
                    return Err(Error::OtherScope { yard: name.clone() }.into());
                }
                Ok(false) => {
                    say(format!("note: the server's yard {name} is of another project or region, and is left alone"));
                    (service, stacks) = (None, None);
                }
            }
        }
        let session = Session::begin_with(cloud, &yard.intended, as_service(service)).await?;
        let plan = with_stacks(&session.plan, stacks.as_ref().map(|s| &s.at_server));
        Ok(Self { session, plan, name, service, stacks, looked })
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
        let (Some(client), scope) = (self.service, &self.session.inventory.scope) else { return Ok(()) };
        // Said once, so that the audit log has it once.
        if client.yard_scope(self.name).await?.as_ref() == Some(scope) {
            return Ok(());
        }
        match client.take_yard_scope(self.name, scope).await {
            Err(error) if error.status() == Some(409) => Err(Error::OtherScope { yard: self.name.to_owned() }.into()),
            other => Ok(other?),
        }
    }

    /// What stands in the way, and what [`Self::carry_out`] needs to know.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn preflight(&self) -> Result<Found, Error> {
        self.session.preflight().await
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
        lock: &Lock,
        choices: &Choices,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
    ) -> Result<BTreeMap<String, Status>, WorkError> {
        loss.check(&self.plan)?;
        self.take_name().await?;
        // What runs on hosts that go need not move elsewhere if it goes, too.
        if let Some(stacks) = &self.stacks {
            stacks.at_server.begin_removals().await?;
        }
        let hosts_change = !self.session.plan.is_noop();
        if hosts_change {
            lock.making()?;
            self.session.apply(choices, loss, onlooker).await?;
        }
        if lock.is_unsettled() {
            let_settle(self.looked, onlooker).await;
            self.session.again(loss, onlooker).await?;
        }
        lock.settled()?;
        self.session.tidy().await?;
        let Some(stacks) = &self.stacks else { return Ok(BTreeMap::new()) };
        stacks.keep_secrets().await?;
        Ok(stacks.at_server.apply(hosts_change || lock.is_unsettled(), Patience::default(), onlooker).await?)
    }
}

/// A yard that may be removed.
pub struct Removal<'a> {
    /// What would be removed: in the cloud, and stacks.
    pub plan: Plan,
    cloud: &'a Cloud,
    yard: &'a str,
    service: Option<&'a Client>,
    stacks: Option<YardStacks>,
    kinds: BTreeSet<Kind>,
    /// What could not be looked at.
    unseen: Vec<Unseen>,
    looked: Instant,
}

impl<'a> Removal<'a> {
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
        say: crate::declared::Say<'_>,
    ) -> Result<Self, WorkError> {
        let looked = Instant::now();
        let (plan, inventory) = Session::plan_removal(cloud, yard, &kinds).await?;
        for unseen in &inventory.unseen {
            if unseen.what.is_needed(&kinds) {
                say(format!("note: {unseen}; what the yard has of them stays for now"));
            } else if !unseen.is_forbidden() {
                say(format!("note: {unseen}; the manifest has none"));
            }
        }
        let mut service = service;
        if let Some(client) = service
            && matches!(is_its_yard(client, yard, &inventory.scope).await, Ok(false))
        {
            say(format!("note: the server's yard {yard} is of another project or region, and is left alone"));
            service = None;
        }
        let stacks = match service {
            Some(client) => match YardStacks::removal(client.clone(), yard).await {
                Ok(stacks) => Some(stacks),
                Err(error @ ClientError::Unreachable { .. }) => {
                    say(format!("note: if the yard has stacks, the server goes on knowing them: {error}"));
                    None
                }
                Err(other) => return Err(other.into()),
            },
            None => None,
        };
        let plan = with_stacks(&plan, stacks.as_ref());
        Ok(Self { plan, cloud, yard, service, stacks, kinds, unseen: inventory.unseen, looked })
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
        lock: &Lock,
        has_pools: bool,
        loss: &DataLoss,
        onlooker: &dyn Onlooker,
        say: crate::declared::Say<'_>,
    ) -> Result<(), WorkError> {
        if !self.plan.refusals.is_empty() {
            return Err(Error::Refused(self.plan.refusals.clone()).into());
        }
        loss.check(&self.plan)?;
        let mut seen = Ok(());
        let removes = self.plan.summary().remove > 0;
        if removes && let Some(stacks) = &self.stacks {
            match stacks.apply(false, LEAVE, onlooker).await {
                Err(WaitError::Client(error)) => return Err(error.into()),
                // The hosts go all the same, and machines that stay let go of it when they are back.
                Err(error) => say(format!("note: {error}")),
                Ok(_) => {}
            }
        }
        if removes || self.unseen.iter().any(|u| u.what.is_needed(&self.kinds)) {
            seen = self.remove(loss, onlooker).await?;
        }
        if lock.is_unsettled() {
            let_settle(self.looked, onlooker).await;
            seen = self.remove(loss, onlooker).await?;
        }
        lock.settled()?;
        let (Some(service), Some(_)) = (self.service, &self.stacks) else { return Ok(seen?) };
        if has_pools && let Err(e) = Session::forget_hosts(self.cloud, self.yard, service).await {
            say(format!("The server still lists the yard's hosts (`stackyard host remove`): {e}"));
        }
        // What stays may need them.
        seen?;
        if let Err(e) = forget_secrets(self.yard, service).await {
            say(format!("note: the server keeps secrets of packages of the yard: {e}"));
        }
        Ok(())
    }

    /// Removes what the cloud has; the inner error says what could not be looked at.
    async fn remove(&self, loss: &DataLoss, onlooker: &dyn Onlooker) -> Result<Result<(), Error>, Error> {
        match Session::remove_of(self.cloud, self.yard, &self.kinds, loss, onlooker).await {
            Err(unseen @ Error::Unseen { .. }) => Ok(Err(unseen)),
            other => other.map(Ok),
        }
    }
}
