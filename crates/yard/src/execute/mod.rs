//! Walking a plan's graph in parallel.

mod actions;
mod compute;
mod hosts;
mod load_balancer;
mod network;
mod object_container;

use crate::data_loss::DataLoss;
use crate::error::{Error, Failure, Failures};
use crate::host_service::HostService;
use crate::inventory::Inventory;
use crate::pools::HookTargets;
use crate::preflight::ResolvedChoices;
use crate::retry::{RELEASE, SHORT_RELEASE};
use futures_util::future::join_all;
use hosts::HostCache;
use parking_lot::Mutex;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::intend::{Intended, Pool, Resource};
use stackyard_core::yard::plan::{Action, Plan, Step};
use stackyard_core::yard::{Key, Kind, Mark};
use stackyard_openstack::Cloud;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// Requests at once; waiting for servers and volumes does not count.
const PARALLEL: usize = 12;

/// One run of a plan.
pub struct Executor<'a> {
    pub(crate) cloud: &'a Cloud,
    pub(crate) inventory: &'a Inventory,
    pub(crate) intended: HashMap<&'a Key, &'a Resource>,
    pub(crate) yard: &'a str,
    pub(crate) choices: &'a ResolvedChoices,
    pub(crate) onlooker: &'a dyn Onlooker,
    pub(crate) plan: &'a Plan,
    /// Pools by name.
    pub(crate) pools: HashMap<&'a str, &'a Pool>,
    /// Hosts that joined, if a server was given that knows.
    pub(crate) roster: Option<HostCache<'a>>,
    /// Where requests of join commands may go.
    pub(crate) hook_targets: HookTargets,
    /// Ids of what is there and of what was made.
    ids: Mutex<HashMap<Key, String>>,
    /// Actions of the plan by key, without removals.
    pub(crate) actions: HashMap<&'a Key, Action>,
    /// Whether a creation's outcome was open at any time, so that there may be doubles.
    outcome_was_unknown: AtomicBool,
    work: Semaphore,
    /// How long something that is removed may be in use.
    pub(crate) release: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepEnd {
    Open,
    Well,
    Badly,
}

/// Why an action failed.
#[derive(Debug)]
pub(crate) struct ActionError {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl From<stackyard_openstack::Error> for ActionError {
    fn from(error: stackyard_openstack::Error) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
        }
    }
}

impl From<String> for ActionError {
    fn from(message: String) -> Self {
        Self {
            message,
            hint: None,
        }
    }
}

impl<'a> Executor<'a> {
    /// Prepares to carry out `plan`, which was made of `intended` and `inventory`.
    pub fn new(
        cloud: &'a Cloud,
        inventory: &'a Inventory,
        intended: &'a Intended,
        plan: &'a Plan,
        choices: &'a ResolvedChoices,
        onlooker: &'a dyn Onlooker,
    ) -> Self {
        let stays = |s: &&Step| !matches!(s.action, Action::Remove | Action::Discard);
        let ids = plan.steps.iter().filter(|s| s.action != Action::Recreate);
        // What stays comes later in the plan and wins over its doubles.
        let ids = ids
            .filter_map(|s| Some((s.key.clone(), s.id.clone()?)))
            .collect();
        Self {
            cloud,
            inventory,
            intended: intended.resources.iter().map(|r| (&r.key, r)).collect(),
            yard: &plan.yard,
            choices,
            onlooker,
            plan,
            pools: intended
                .pools
                .iter()
                .map(|p| (p.name.as_str(), p))
                .collect(),
            roster: None,
            hook_targets: HookTargets::any(),
            ids: Mutex::new(ids),
            actions: plan
                .steps
                .iter()
                .filter(stays)
                .map(|s| (&s.key, s.action))
                .collect(),
            outcome_was_unknown: AtomicBool::new(false),
            work: Semaphore::new(PARALLEL),
            release: RELEASE,
        }
    }

    /// Does not wait for long for what uses something that is removed: it may be what was not seen.
    #[must_use]
    pub(crate) fn in_the_dark(mut self) -> Self {
        self.release = SHORT_RELEASE;
        self
    }

    /// Says which server hosts of pools join.
    #[must_use]
    pub fn with_service(mut self, service: Option<&'a dyn HostService>) -> Self {
        self.roster = service.map(|service| HostCache::new(service, self.yard));
        self
    }

    /// Has requests of join commands go to `targets` only.
    #[must_use]
    pub fn limit_hooks(mut self, targets: &HookTargets) -> Self {
        self.hook_targets = targets.clone();
        self
    }

    /// Carries the plan out. When a step fails, those that need it are not begun; all others go
    /// on. Returns whether there may be doubles, so that another look is due. `loss` says which data
    /// may be lost.
    ///
    /// # Errors
    /// [`Error::DataLoss`] before anything is done; [`Error::Steps`] with every step that failed.
    pub async fn apply(&self, loss: &DataLoss) -> Result<bool, Error> {
        loss.check(self.plan)?;
        let ends: Vec<watch::Sender<StepEnd>> = self
            .plan
            .steps
            .iter()
            .map(|_| watch::Sender::new(StepEnd::Open))
            .collect();
        let failures = Mutex::new(Failures::default());
        join_all(self.plan.steps.iter().enumerate().map(|(i, step)| {
            let (ends, failures) = (&ends, &failures);
            async move {
                let ready = self.wait(step, ends).await;
                let end = if !ready {
                    failures.lock().skipped.push(step.key.clone());
                    StepEnd::Badly
                } else if let Some(failure) = self.step(step).await {
                    failures.lock().failed.push(failure);
                    StepEnd::Badly
                } else {
                    StepEnd::Well
                };
                ends[i].send_replace(end);
            }
        }))
        .await;
        let failures = failures.into_inner();
        if failures.failed.is_empty() {
            Ok(self.outcome_was_unknown.load(Ordering::Relaxed))
        } else {
            Err(failures.into())
        }
    }

    async fn wait(&self, step: &Step, ends: &[watch::Sender<StepEnd>]) -> bool {
        for other in &step.after {
            let mut end = ends[*other].subscribe();
            match end.wait_for(|e| *e != StepEnd::Open).await.map(|e| *e) {
                Ok(StepEnd::Well) => {}
                _ => return false,
            }
        }
        true
    }

    async fn step(&self, step: &Step) -> Option<Failure> {
        let (doing, did) = match step.action {
            Action::Keep => return None,
            Action::Create => ("creating", "created"),
            Action::Recreate => ("recreating", "recreated"),
            Action::Change => ("changing", "changed"),
            Action::Await => ("waiting for it", "ready"),
            Action::Remove | Action::Discard => ("removing", "removed"),
        };
        let name = step.key.to_string();
        let begun = Instant::now();
        self.onlooker.see(Event::Started {
            step: name.clone(),
            doing: doing.to_owned(),
        });
        match self.carry_out(step).await {
            Ok(()) => {
                self.onlooker.see(Event::Done {
                    step: name,
                    did: did.to_owned(),
                    took: begun.elapsed(),
                });
                None
            }
            Err(trouble) => {
                let failure = Failure {
                    key: step.key.clone(),
                    message: trouble.message,
                    hint: trouble.hint,
                };
                self.onlooker.see(Event::Failed {
                    step: name,
                    error: failure.message.clone(),
                });
                Some(failure)
            }
        }
    }

    async fn carry_out(&self, step: &Step) -> Result<(), ActionError> {
        let removing = matches!(step.action, Action::Remove | Action::Discard);
        if removing {
            self.drained(step).await?;
        }
        {
            let _turn = self.work.acquire().await;
            match step.action {
                // Boxed: all steps are under way at once, each as large as the largest of these.
                Action::Remove | Action::Discard => Box::pin(self.remove(step)).await?,
                Action::Create | Action::Recreate => {
                    let id = Box::pin(self.create(&step.key)).await?;
                    self.note_id(&step.key, id);
                }
                Action::Change => {
                    Box::pin(self.change(step)).await?;
                    Box::pin(self.taken_back(step)).await?;
                }
                Action::Await | Action::Keep => {}
            }
        }
        if removing {
            Box::pin(self.wait_deleted(step)).await?;
            return Box::pin(self.forgotten(step)).await;
        }
        Box::pin(self.wait_ready(&step.key)).await?;
        match (step.key.kind, step.action) {
            (Kind::Server, Action::Create | Action::Recreate | Action::Await) => {
                Box::pin(self.joined(&step.key, &self.id(&step.key)?)).await
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn note_id(&self, key: &Key, id: String) {
        self.ids.lock().insert(key.clone(), id);
    }

    /// The id of a resource of the yard.
    pub(crate) fn id(&self, key: &Key) -> Result<String, ActionError> {
        let ids = self.ids.lock();
        ids.get(key)
            .cloned()
            .ok_or_else(|| format!("{key} is not there").into())
    }

    pub(crate) fn mark(&self, key: &Key) -> Mark {
        Mark::new(self.yard, &self.inventory.scope, key)
    }

    /// Hears of retries of a step.
    pub(crate) fn on_retry(&self, key: &Key) -> impl Fn(String) + use<'_, 'a> {
        let step = key.to_string();
        move |text| {
            self.onlooker.see(Event::Note {
                step: Some(step.clone()),
                text,
            })
        }
    }

    /// Hears that a creation's outcome is open.
    pub(crate) fn on_unknown_outcome(&self) -> impl Fn() + use<'_, 'a> {
        || self.outcome_was_unknown.store(true, Ordering::Relaxed)
    }
}
