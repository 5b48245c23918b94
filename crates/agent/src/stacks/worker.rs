//! The worker of one stack: brings its containers to what the server wants, and keeps them there.

use super::archive::ServerArchives;
use super::image;
use super::server_images::ServerImages;
use crate::backoff::{Backoff, LONGEST_PAUSE};
use crate::context::Context;
use crate::mtu;
use crate::network::yard_host;
use stackyard_core::agent::Part;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::stack::plan::{Action, Plan, Resource};
use stackyard_core::stack::{RestartPolicy, Stack};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::{ApplyOptions, Engine};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How often a stack is looked at although nothing was heard of it.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Least time between two mendings.
const CALM: Duration = Duration::from_secs(2);

/// What the server wants of a stack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StackTarget {
    Run(Arc<Part>),
    Remove,
}

/// How far the worker of a stack got.
#[derive(Debug, Clone, Default)]
pub(crate) struct StackProgress {
    /// The target that it has was tried at least once.
    pub(crate) tried: bool,
    /// Why it is not as wished.
    pub(crate) error: Option<String>,
    /// Digest of what each service's container is to be made from; empty before the first plan.
    pub(crate) specs: BTreeMap<String, String>,
}

/// A worker, as others see it.
pub(crate) struct WorkerHandle {
    pub(crate) target: watch::Sender<StackTarget>,
    /// Something happened to its containers.
    pub(crate) poke: Arc<Notify>,
    pub(crate) progress: Arc<Mutex<StackProgress>>,
}

impl WorkerHandle {
    pub(crate) fn progress(&self) -> MutexGuard<'_, StackProgress> {
        lock(&self.progress)
    }

    /// Gives it another target; work on the one before is dropped.
    pub(crate) fn set_target(&self, target: StackTarget) {
        if *self.target.borrow() != target {
            // Before the target is seen, so that nobody takes the old result for the new one's.
            *self.progress() = StackProgress::default();
            self.target.send_replace(target);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The worker's own side.
pub(crate) struct StackWorker {
    pub(crate) context: Arc<Context>,
    pub(crate) images: Arc<ServerImages>,
    pub(crate) archives: Arc<ServerArchives>,
    pub(crate) archives_idle: Arc<Notify>,
    pub(crate) name: String,
    pub(crate) target: watch::Receiver<StackTarget>,
    pub(crate) poke: Arc<Notify>,
    pub(crate) progress: Arc<Mutex<StackProgress>>,
}

impl StackWorker {
    /// Works until the stack is removed, which is when it returns.
    pub(crate) async fn run(&mut self) {
        let mut backoff = Backoff::new(Duration::from_secs(1), LONGEST_PAUSE);
        loop {
            let target = self.target.borrow_and_update().clone();
            let mut newer = self.target.clone();
            let tried = tokio::select! {
                // A newer target goes first; dropping an attempt is as good as being killed in it.
                biased;
                changed = newer.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                result = self.attempt(&target) => Some(result),
            };
            let Some(result) = tried else {
                backoff.reset();
                continue;
            };
            let failed = self.note(&target, result);
            if !failed && target == StackTarget::Remove {
                return;
            }
            let newer = if failed {
                self.pause_after_failure(backoff.next()).await
            } else {
                backoff.reset();
                self.watch(&target).await
            };
            if newer {
                backoff.reset();
            }
        }
    }

    /// Writes down how an attempt ended; true when it failed.
    fn note(&self, target: &StackTarget, result: Result<(), String>) -> bool {
        let error = result.err();
        let failed = error.is_some();
        // A target that came in this moment has begun anew.
        if *self.target.borrow() == *target {
            let mut progress = lock(&self.progress);
            if let Some(error) = &error
                && progress.error.as_ref() != Some(error)
            {
                self.context.say(format!("stack {}: {error}; it is tried again", self.name));
            }
            (progress.tried, progress.error) = (true, error);
        }
        self.context.changed.notify_one();
        self.images.work_ended.notify_one();
        self.archives_idle.notify_one();
        failed
    }

    /// Waits for a time, or for another target: true then.
    async fn pause(&mut self, time: Duration) -> bool {
        tokio::select! {
            changed = self.target.changed() => changed.is_ok(),
            () = tokio::time::sleep(time) => false,
        }
    }

    /// As [`pause`](Self::pause), but not longer than until a lost engine is back.
    async fn pause_after_failure(&mut self, time: Duration) -> bool {
        let mut docker = self.context.docker.subscribe();
        let lost = docker.borrow_and_update().engine.is_none();
        tokio::select! {
            newer = self.pause(time) => newer,
            _ = docker.wait_for(|d| d.engine.is_some()), if lost => false,
        }
    }

    /// Waits until the stack is not as it should be any more, or for another target: true then.
    async fn watch(&mut self, target: &StackTarget) -> bool {
        let StackTarget::Run(part) = target else { return false };
        let mut mtu = self.context.mtu.subscribe();
        mtu.borrow_and_update();
        loop {
            tokio::select! {
                changed = self.target.changed() => return changed.is_ok(),
                () = self.poke.notified() => {}
                _ = mtu.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if self.pause(CALM).await {
                return true;
            }
            let Ok(engine) = self.context.engine() else { continue };
            let stack = self.stack(part);
            // What cannot be planned now (an image that was removed) is mended by a new attempt.
            match engine.plan(&stack).await {
                Ok(plan) if !needs_mending(&plan, &stack) => {}
                _ => return false,
            }
        }
    }

    /// The stack of a part as it is to be on this host.
    fn stack(&self, part: &Part) -> Stack {
        let mut stack = part.unpack();
        mtu::apply(&mut stack, *self.context.mtu.borrow());
        yard_host::use_null_ipam(&mut stack);
        stack
    }

    async fn attempt(&self, target: &StackTarget) -> Result<(), String> {
        let engine = self.engine().await?;
        let onlooker = StackOnlooker { stack: &self.name, onlooker: &*self.context.onlooker };
        match target {
            StackTarget::Remove => engine.remove(&self.name, false, &onlooker).await.map_err(|e| error_chain(&e)),
            StackTarget::Run(part) => {
                let stack = self.stack(part);
                image::ensure(&self.images, engine.docker(), part, &stack, &onlooker).await?;
                let plan = engine.plan(&stack).await.map_err(|e| error_chain(&e))?;
                lock(&self.progress).specs = specs(&plan);
                // After the plan, in which a container whose files are gone is to be recreated.
                self.archives.ensure(part, &onlooker).await?;
                engine.apply(&stack, &plan, &ApplyOptions::default(), &onlooker).await.map_err(|e| error_chain(&e))
            }
        }
    }

    /// The engine; waits a while for one that does not answer yet.
    async fn engine(&self) -> Result<Engine, String> {
        let mut docker = self.context.docker.subscribe();
        let there = docker.wait_for(|d| d.engine.is_some());
        let _ = tokio::time::timeout(Duration::from_secs(10), there).await;
        self.context.engine()
    }
}

/// Passes events on with the name of a stack before each step; progress is left out, nobody
/// watches an agent's bars.
struct StackOnlooker<'a> {
    stack: &'a str,
    onlooker: &'a dyn Onlooker,
}

impl Onlooker for StackOnlooker<'_> {
    fn see(&self, event: Event) {
        let name = |step: String| format!("stack {}: {step}", self.stack);
        self.onlooker.see(match event {
            Event::Progress { .. } => return,
            Event::Started { step, doing } => Event::Started { step: name(step), doing },
            Event::Note { step, text } => {
                Event::Note { step: Some(step.map_or_else(|| format!("stack {}", self.stack), name)), text }
            }
            Event::Done { step, did, took } => Event::Done { step: name(step), did, took },
            Event::Failed { step, error } => Event::Failed { step: name(step), error },
        });
    }
}

/// Digests of what the containers of a plan are to be made from.
fn specs(plan: &Plan) -> BTreeMap<String, String> {
    let of = |resource: &Resource| match resource {
        Resource::Container(service) | Resource::Job(service) => Some(service.clone()),
        _ => None,
    };
    plan.steps.iter().filter_map(|s| Some((of(&s.resource)?, s.spec.digest()))).collect()
}

/// Whether something is missing, is too much, or stopped that should not stop.
///
/// What ended and is not to be started again by its restart policy stays as it is until the
/// server wants something else; what ends again and again is started by Docker, with pauses.
fn needs_mending(plan: &Plan, stack: &Stack) -> bool {
    let always = |service: &str| {
        let policy = stack.services.get(service).map(|s| s.restart);
        matches!(policy, Some(RestartPolicy::Always | RestartPolicy::UnlessStopped))
    };
    plan.steps.iter().any(|step| match (&step.resource, step.action) {
        (_, Action::Create | Action::Recreate | Action::Remove) => true,
        (Resource::Container(service), Action::Start) => always(service),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::Service;
    use stackyard_core::stack::plan::Step;
    use stackyard_core::stack::spec::Spec;

    #[test]
    fn only_what_should_run_is_started_again() {
        let mut stack = Stack::default();
        for (name, restart) in [("once-1", RestartPolicy::No), ("web-1", RestartPolicy::UnlessStopped)] {
            stack.services.insert(name.into(), Service { restart, ..Service::default() });
        }
        let needs = |name: &str, action| {
            let step = Step {
                resource: Resource::Container(name.into()),
                action,
                reasons: Vec::new(),
                after: Vec::new(),
                id: None,
                spec: Spec::default(),
            };
            needs_mending(&Plan { stack: "s".into(), steps: vec![step] }, &stack)
        };
        assert!(!needs("once-1", Action::Start));
        assert!(needs("web-1", Action::Start));
        assert!(needs("once-1", Action::Create));
        assert!(!needs("web-1", Action::Restart), "Docker does that, with pauses");
        assert!(!needs("web-1", Action::Keep));
    }
}
