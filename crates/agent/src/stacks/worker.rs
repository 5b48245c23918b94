//! The worker of one stack: brings its containers to what the server wants, and keeps them there.

use super::archive::ServerArchives;
use super::image;
use super::server_images::ServerImages;
use crate::backoff::{Backoff, LONGEST_PAUSE};
use crate::context::Context;
use crate::mtu;
use crate::network::yard_host;
use crate::volumes::Volumes;
use stackyard_core::agent::Part;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::stack::plan::{Action, Plan, Resource};
use stackyard_core::stack::{RestartPolicy, Stack};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::{ApplyOptions, Engine};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How often a stack is looked at although nothing was heard of it.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often a stack asks again for volumes that it waits for.
const VOLUMES_EVERY: Duration = Duration::from_secs(1);

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
    /// What it waits for before it has its volumes, or is rid of them.
    pub(crate) waits: Option<String>,
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
    pub(crate) work_ended: Arc<Notify>,
    pub(crate) volumes: Volumes,
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
            let waits = matches!(result, Ok(Some(_)));
            let failed = self.note(&target, result);
            if !failed && !waits && target == StackTarget::Remove {
                return;
            }
            let newer = if failed {
                self.pause_after_failure(backoff.next()).await
            } else {
                backoff.reset();
                if waits { self.wait_for_volumes(&target).await } else { self.watch(&target).await }
            };
            if newer {
                backoff.reset();
            }
        }
    }

    /// Writes down how an attempt ended; true when it failed. To wait for a volume is no failure.
    fn note(&self, target: &StackTarget, result: Result<Option<String>, String>) -> bool {
        let (waits, error) = match result {
            Ok(waits) => (waits, None),
            Err(error) => (None, Some(error)),
        };
        let failed = error.is_some();
        // A target that came in this moment has begun anew.
        if *self.target.borrow() == *target {
            let mut progress = lock(&self.progress);
            if let Some(error) = &error
                && progress.error.as_ref() != Some(error)
            {
                self.context.say(format!("stack {}: {error}; it is tried again", self.name));
            }
            if let Some(waits) = &waits
                && progress.waits.as_ref() != Some(waits)
            {
                self.context.say(format!("stack {}: waits for a volume: {waits}", self.name));
            }
            (progress.tried, progress.error, progress.waits) = (true, error, waits);
        }
        self.context.changed.notify_one();
        self.work_ended.notify_one();
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

    /// Waits until one more volume is there, or for another target: true then.
    async fn wait_for_volumes(&mut self, target: &StackTarget) -> bool {
        let (mut before, began) = (None, Instant::now());
        loop {
            if self.pause(VOLUMES_EVERY).await {
                return true;
            }
            if began.elapsed() > LOOK_EVERY {
                return false;
            }
            let StackTarget::Run(part) = target else { return false };
            let missing = tokio::select! {
                biased;
                changed = self.target.changed() => return changed.is_ok(),
                missing = self.volumes.bring(part.stack()) => missing,
            };
            // The first look is the yardstick: what still waits to be detached is tried again, too.
            if missing.waits.is_empty()
                || before.is_some_and(|b| b != missing.waits.len())
                || !missing.failed.is_empty()
            {
                return false;
            }
            before = Some(missing.waits.len());
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
        self.volumes.bind(&mut stack);
        stack
    }

    /// One attempt; says what the stack waits for, if all else is done.
    async fn attempt(&self, target: &StackTarget) -> Result<Option<String>, String> {
        let engine = self.engine().await?;
        let onlooker = StackOnlooker { stack: &self.name, onlooker: &*self.context.onlooker };
        match target {
            StackTarget::Remove => {
                engine.remove(&self.name, false, &onlooker).await.map_err(|e| error_chain(&e))?;
                self.volumes.release(&self.name, &BTreeSet::new()).await
            }
            StackTarget::Run(part) => self.apply(part, &engine, &onlooker).await,
        }
    }

    /// Brings volumes and containers to what a part says. Containers whose volumes are missing are withheld; volumes
    /// whose containers are gone are released.
    async fn apply(&self, part: &Part, engine: &Engine, onlooker: &dyn Onlooker) -> Result<Option<String>, String> {
        let (asked, mut stack) = (part.stack(), self.stack(part));
        let (images, missing) = tokio::join!(
            image::ensure(&self.images, engine.docker(), part, &stack, onlooker),
            self.volumes.bring(asked),
        );
        let withheld = missing.withheld(asked);
        stack.services.retain(|name, _| !withheld.contains(name));
        let applied = async {
            images?;
            let plan = engine.plan(&stack).await.map_err(|e| error_chain(&e))?;
            lock(&self.progress).specs = specs(&plan);
            // After the plan, in which a container whose files are gone is to be recreated.
            self.archives.ensure(part, onlooker).await?;
            engine.apply(&stack, &plan, &ApplyOptions::default(), onlooker).await.map_err(|e| error_chain(&e))
        };
        let applied = applied.await;
        // Also after a failure: another host may wait for what this one has no container for.
        let kept = asked.services.values().flat_map(|s| asked.cinder_volumes(s)).map(str::to_owned).collect();
        let released = self.volumes.release(&self.name, &kept).await;
        applied?;
        if let Some(failures) = missing.failures(asked) {
            return Err(failures);
        }
        let leaving = released?;
        let coming = missing.waits.into_iter().map(|(key, why)| format!("{key}: {why}"));
        let waits: Vec<String> = coming.chain(leaving).collect();
        Ok((!waits.is_empty()).then(|| waits.join("; ")))
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
