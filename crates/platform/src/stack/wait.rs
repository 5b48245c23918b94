//! Waiting for containers: until healthy, until settled, until ended.

use super::apply::{Run, StepReporter};
use super::exec::{Test, TestResult};
use super::{Engine, Error, observe};
use crate::docker::is_not_found;
use bollard::models::{ContainerInspectResponse, HealthStatusEnum};
use bollard::query_parameters::WaitContainerOptionsBuilder;
use futures_util::StreamExt;
use stackyard_core::stack::observed::State;
use stackyard_core::stack::plan::{Action, Step};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a container without a health test is looked at while it settles.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Longest time between two health tests of one container.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Defaults of the engine for a health test that does not give its times.
const INTERVAL: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;

impl Run<'_> {
    /// Waits until the container is healthy, or has settled when it has no test; returns
    /// whether it was tested.
    pub(super) async fn wait_until_well(
        &self,
        id: &str,
        step: &Step,
        telling: &mut StepReporter<'_>,
    ) -> Result<bool, Error> {
        let seen = self.engine.look(id).await?;
        if !self.health_matters(&step.resource) {
            return Ok(false);
        }
        match Test::of(&seen) {
            Some(_) if step.action == Action::Keep && is_healthy(&seen) => Ok(true),
            Some(test) => self.wait_until_healthy(id, &seen, &test, telling).await.map(|()| true),
            None if step.action == Action::Keep => Ok(false),
            None => self.settle(id, &seen, telling).await.map(|()| false),
        }
    }

    async fn wait_until_healthy(
        &self,
        id: &str,
        first: &ContainerInspectResponse,
        test: &Test,
        telling: &mut StepReporter<'_>,
    ) -> Result<(), Error> {
        let limit = test.patience().max(self.options.healthy_within);
        let begun = Instant::now();
        let mut watch = RestartWatch::new(first, self.options.restart_limit);
        let mut said = String::new();
        let mut doing = String::new();
        loop {
            let mut pause = self.options.test_every;
            let seen = self.engine.look(id).await?;
            if watch.check(&seen)? {
                return Err(Error::Ended { status: 0, oom: false });
            }
            if observe::state(&seen) == State::Running {
                let result = {
                    let _permit = self.tests.acquire().await;
                    let begun = Instant::now();
                    let result = self.engine.run_test(id, test).await;
                    // A test that costs much must not take the time of what it tests.
                    pause = pause.max((begun.elapsed() * 2).min(LONGEST_PAUSE));
                    result
                };
                match result {
                    Ok(TestResult { healthy: true, .. }) => return Ok(()),
                    Ok(result) => said = result.output,
                    // It ended while it was tested; the next look tells.
                    Err(e) => {
                        tracing::debug!(container = id, error = %stackyard_core::text::error_chain(&e), "health test did not run")
                    }
                }
            }
            if begun.elapsed() >= limit {
                return Err(Error::Unhealthy { waited: begun.elapsed(), output: said });
            }
            let now = waiting(&said);
            if now != doing {
                telling.doing(now.clone());
                doing = now;
            }
            sleep(pause).await;
        }
    }

    /// Sees whether a new container that has no health test goes on running.
    async fn settle(
        &self,
        id: &str,
        first: &ContainerInspectResponse,
        telling: &mut StepReporter<'_>,
    ) -> Result<(), Error> {
        let mut watch = RestartWatch::new(first, self.options.restart_limit);
        let mut since = Instant::now();
        let mut restarts = first.restart_count;
        telling.doing("waiting whether it stays up");
        loop {
            let seen = self.engine.look(id).await?;
            if watch.check(&seen)? {
                // Ended well and is not to be started again.
                return Ok(());
            }
            if observe::state(&seen) != State::Running || seen.restart_count != restarts {
                since = Instant::now();
                restarts = seen.restart_count;
            }
            if since.elapsed() >= self.options.settle {
                return Ok(());
            }
            sleep(LOOK_EVERY.min(self.options.settle)).await;
        }
    }

    /// Waits for a job's end.
    pub(super) async fn wait_for_end(&self, id: &str, telling: &mut StepReporter<'_>) -> Result<(), Error> {
        telling.doing("running");
        let limit = self.options.job_within;
        let begun = Instant::now();
        loop {
            let seen = self.engine.look(id).await?;
            let state = seen.state.as_ref();
            match observe::state(&seen) {
                State::Exited(0) => return Ok(()),
                State::Exited(status) => {
                    return Err(Error::Ended { status, oom: state.and_then(|s| s.oom_killed) == Some(true) });
                }
                State::Dead => return Err(Error::Vanished),
                _ => {}
            }
            let left = limit.checked_sub(begun.elapsed()).ok_or(Error::TooLong { waited: limit })?;
            // Only a way to wake up early; what counts is the look above. Between two
            // starts of a job that is started again on failure it returns at once.
            let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
            let mut ends = std::pin::pin!(self.engine.api().wait_container(id, Some(options)));
            let woke = tokio::time::timeout(left, ends.next()).await;
            if matches!(woke, Ok(None | Some(Err(_)))) || observe::state(&seen) == State::Restarting {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Engine {
    /// Inspects a container that should be there.
    async fn look(&self, id: &str) -> Result<ContainerInspectResponse, Error> {
        self.api().inspect_container(id, None).await.map_err(|e| {
            if is_not_found(&e) { Error::Vanished } else { Error::engine(format!("inspect container {id}"))(e) }
        })
    }
}

impl Test {
    /// Time after which the engine itself would call a service unhealthy.
    fn patience(&self) -> Duration {
        self.start_period + self.interval.unwrap_or(INTERVAL) * self.retries.unwrap_or(RETRIES)
    }
}

/// Notices when a container ends for good or is started again and again.
struct RestartWatch {
    first: i64,
    limit: i64,
    /// What it ended with last, once that was seen: while it runs again, the engine says 0.
    status: Option<i64>,
}

impl RestartWatch {
    fn new(first: &ContainerInspectResponse, limit: i64) -> Self {
        Self { first: first.restart_count.unwrap_or_default(), limit, status: None }
    }

    /// True when the container ended with 0 and stays so.
    fn check(&mut self, seen: &ContainerInspectResponse) -> Result<bool, Error> {
        let state = seen.state.clone().unwrap_or_default();
        if state.running != Some(true) || state.restarting == Some(true) {
            self.status = state.exit_code;
        }
        let times = seen.restart_count.unwrap_or_default() - self.first;
        match observe::state(seen) {
            State::Exited(0) => return Ok(true),
            State::Exited(status) => return Err(Error::Ended { status, oom: state.oom_killed == Some(true) }),
            State::Dead => return Err(Error::Vanished),
            _ => {}
        }
        // The engine waits longer before each restart, so the status is seen soon.
        if times >= self.limit
            && let Some(status) = self.status
        {
            return Err(Error::RestartLoop { times, status });
        }
        Ok(false)
    }
}

fn is_healthy(seen: &ContainerInspectResponse) -> bool {
    let health = seen.state.as_ref().and_then(|s| s.health.as_ref());
    observe::state(seen) == State::Running && health.and_then(|h| h.status) == Some(HealthStatusEnum::HEALTHY)
}

/// What to show while waiting: the last line of what the test said, cut short.
fn waiting(said: &str) -> String {
    const WIDTH: usize = 80;
    let Some(line) = said.lines().map(str::trim).rfind(|l| !l.is_empty()) else {
        return "waiting until healthy".into();
    };
    let cut: String = line.chars().take(WIDTH).collect();
    let dots = if cut.len() < line.len() { "..." } else { "" };
    format!("waiting until healthy: {cut}{dots}")
}
