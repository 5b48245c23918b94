//! Walking a plan's graph in parallel.

use super::error::{Failure, Failures};
use super::files::{self, FileLock};
use super::{ApplyOptions, Engine, Error};
use futures_util::future::join_all;
use parking_lot::Mutex;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::stack::plan::{Action, After, Plan, Resource, Step};
use stackyard_core::stack::{DependencyCondition, Stack};
use std::collections::HashMap;
use std::time::Instant;
use tokio::sync::{Semaphore, watch};

/// How far a step got, as others wait for it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StepProgress {
    /// The thing is there; a container runs.
    pub(super) started: bool,
    /// The container is healthy.
    pub(super) healthy: bool,
    /// The job ended with 0.
    pub(super) completed: bool,
    /// Nothing more will be reached.
    pub(super) ended: bool,
}

impl StepProgress {
    fn satisfies(self, condition: DependencyCondition) -> bool {
        match condition {
            DependencyCondition::Started => self.started,
            DependencyCondition::Healthy => self.healthy,
            DependencyCondition::CompletedSuccessfully => self.completed,
        }
    }
}

/// One run of a plan.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) stack: &'a Stack,
    pub(super) plan: &'a Plan,
    pub(super) options: &'a ApplyOptions,
    pub(super) onlooker: &'a dyn Onlooker,
    /// Bounds work on the engine; waiting does not count.
    pub(super) work: Semaphore,
    /// Bounds health tests.
    pub(super) tests: Semaphore,
    reached: HashMap<&'a Resource, watch::Sender<StepProgress>>,
    failures: Mutex<Failures>,
}

impl Engine {
    /// Carries out a plan that was made for `stack`, in parallel as far as it allows.
    ///
    /// When a step fails, the steps that wait for it are not begun; all others go on.
    /// Events name steps by their resource (`container keystone`); what stays as it is
    /// and is healthy makes no event.
    ///
    /// # Errors
    /// [`Error::Steps`] with every failed step, [`Error::Locked`] when another process
    /// works on the stack.
    pub async fn apply(
        &self,
        stack: &Stack,
        plan: &Plan,
        options: &ApplyOptions,
        onlooker: &dyn Onlooker,
    ) -> Result<(), Error> {
        let _lock = self.lock(&stack.name).await?;
        self.write_files(stack).await?;
        self.mend_networks(&stack.name).await?;
        let run = Run {
            engine: self,
            stack,
            plan,
            options,
            onlooker,
            work: Semaphore::new(options.parallel.max(1)),
            tests: Semaphore::new(options.parallel_tests.max(1)),
            reached: plan.steps.iter().map(|s| (&s.resource, watch::Sender::new(StepProgress::default()))).collect(),
            failures: Mutex::new(Failures { failed: Vec::new(), skipped: Vec::new() }),
        };
        join_all(plan.steps.iter().map(|step| run.step(step))).await;
        let failures = run.failures.into_inner();
        if !failures.failed.is_empty() {
            return Err(failures.into());
        }
        let (state, stack) = (self.state.clone(), stack.clone());
        blocking(move || files::collect_garbage(&state, &stack)).await
    }

    /// Takes the stack's lock.
    pub(super) async fn lock(&self, name: &str) -> Result<FileLock, Error> {
        let (state, name) = (self.state.clone(), name.to_owned());
        blocking(move || FileLock::take(&state, &name)).await
    }

    async fn write_files(&self, stack: &Stack) -> Result<(), Error> {
        if files::any(stack) && !self.docker.is_local() {
            return Err(Error::NotLocal { stack: stack.name.clone(), host: self.docker.host().to_owned() });
        }
        let (state, stack) = (self.state.clone(), stack.clone());
        blocking(move || files::write_all(&state, &stack)).await
    }
}

/// Runs file work off the asynchronous threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

impl Run<'_> {
    /// Waits for what the step comes after, does it, and tells those that wait for it.
    async fn step(&self, step: &Step) {
        if self.wait_for_others(step).await {
            let mut telling = StepReporter { onlooker: self.onlooker, step: step.resource.to_string(), begun: None };
            match self.carry_out(step, &mut telling).await {
                Ok(did) => telling.done(did),
                Err(error) => self.fail(step, error, &mut telling).await,
            }
        } else if step.action != Action::Keep {
            self.failures().skipped.push(step.resource.clone());
        }
        self.reach(&step.resource, |r| r.ended = true);
    }

    /// False when one of them failed.
    async fn wait_for_others(&self, step: &Step) -> bool {
        for After { resource, condition, required } in &step.after {
            let Some(sender) = self.reached.get(resource) else { continue };
            let mut receiver = sender.subscribe();
            let end = receiver.wait_for(|r| r.ended || r.satisfies(*condition)).await.map(|r| r.satisfies(*condition));
            if *required && !end.unwrap_or(false) {
                return false;
            }
        }
        true
    }

    /// Whether some step waits for the health of `resource`.
    pub(super) fn health_matters(&self, resource: &Resource) -> bool {
        self.options.wait_healthy
            || self
                .plan
                .steps
                .iter()
                .flat_map(|s| &s.after)
                .any(|a| a.resource == *resource && a.condition == DependencyCondition::Healthy)
    }

    /// Notes how far `resource` got.
    pub(super) fn reach(&self, resource: &Resource, note: impl FnOnce(&mut StepProgress)) {
        if let Some(sender) = self.reached.get(resource) {
            sender.send_modify(note);
        }
    }

    fn failures(&self) -> parking_lot::MutexGuard<'_, Failures> {
        self.failures.lock()
    }

    async fn fail(&self, step: &Step, error: Error, telling: &mut StepReporter<'_>) {
        let mut log = Vec::new();
        let mut hint = super::step::hint(&error);
        if let Resource::Container(service) | Resource::Job(service) = &step.resource {
            log = self.engine.last_lines(&self.stack.name, service, self.options.log_lines).await;
            if hint.is_none() && !log.is_empty() {
                hint =
                    self.options.log_hint.as_ref().map(|h| format!("to see more: {}", h.replace("{service}", service)));
            }
        }
        let failure = Failure { resource: step.resource.clone(), error: Box::new(error), log, hint };
        let text = failure.to_string();
        // The step's name goes before it anyhow.
        let text = text.strip_prefix(&format!("{}: ", telling.step)).unwrap_or(&text).to_owned();
        telling.failed(text);
        self.failures().failed.push(failure);
    }
}

/// Tells the onlooker about one step: its start once, its end once.
pub(super) struct StepReporter<'a> {
    pub(super) onlooker: &'a dyn Onlooker,
    pub(super) step: String,
    pub(super) begun: Option<Instant>,
}

impl StepReporter<'_> {
    /// What is being done now.
    pub(super) fn doing(&mut self, doing: impl Into<String>) {
        let (step, doing) = (self.step.clone(), doing.into());
        self.onlooker.see(if self.begun.is_none() {
            self.begun = Some(Instant::now());
            Event::Started { step, doing }
        } else {
            Event::Progress { step, doing: Some(doing), amount: None }
        });
    }

    fn done(&mut self, did: &str) {
        if let Some(begun) = self.begun {
            self.onlooker.see(Event::Done { step: self.step.clone(), did: did.to_owned(), took: begun.elapsed() });
        }
    }

    fn failed(&mut self, error: String) {
        if self.begun.is_none() {
            self.doing("looking");
        }
        self.onlooker.see(Event::Failed { step: self.step.clone(), error });
    }
}
