//! Stacks on Docker Engine.
//!
//! The [`Engine`] looks ([`Engine::observe`]), asks the pure planner of `core` what is to be
//! done ([`Engine::plan`]) and does it ([`Engine::apply`]). It keeps no record of its own:
//! labels on containers, networks and volumes say what they were made for and from what.
//! Only the files of configs, secrets and archives lie on the host, below the state directory.
//!
//! What a step guarantees:
//!
//! | step | safe to be killed in it because |
//! |---|---|
//! | make a volume | making it again is no error |
//! | make a network | doubles are found by name and the younger ones removed |
//! | make a container | one that was never started counts as half made and is made anew |
//! | make a container anew | removal goes first, under the same name; there are never two |
//! | run a job | a running one is waited for; only one that ended with 0 counts as done |
//! | write files | written beside, flushed, renamed |
//! | remove | order by dependencies; what is gone already is no error |
//!
//! One process at a time works on a stack (a lock file that dies with its holder).

mod apply;
mod archive;
mod create;
mod error;
mod exec;
mod files;
mod hooks;
pub mod labels;
mod logs;
mod look;
mod observe;
mod remove;
mod resolver;
mod session;
mod stats;
mod step;
mod top;
mod wait;

#[cfg(test)]
mod stuck_tests;

pub use archive::Archives;
pub use error::{Error, Failure, Failures};
pub use exec::ExecOutput;
pub use logs::{LogLine, LogOptions, Source};
pub use look::{Change, End, Look, Seen, Tested, changes, known};
pub use resolver::{Sandbox, SandboxCache};
pub use session::{Session, SessionControl, SessionOptions};
pub use stats::{HealthCheck, ServiceStatus};

use crate::docker::Docker;
use stackyard_core::stack::Stack;
use stackyard_core::stack::plan::{Plan, plan};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Deploys stacks on one Docker Engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    state: PathBuf,
    /// Containers on networks that reach across hosts ask the agent's resolver.
    resolver: bool,
}

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Containers, networks and volumes worked on at once.
    pub parallel: usize,
    /// Health tests run at once; each is a process in a container.
    pub parallel_tests: usize,
    /// Time between two health tests of one container while it is waited for.
    pub test_every: Duration,
    /// Wait for every service that has a health test, also when no other service does.
    pub wait_healthy: bool,
    /// Least time that a service has to become healthy; more when its own start period
    /// and retries add up to more.
    pub healthy_within: Duration,
    /// Time that a job has.
    pub job_within: Duration,
    /// A new container without a health test counts as started when it ran for so long.
    pub settle: Duration,
    /// Restarts during the wait that make a failure.
    pub restart_limit: i64,
    /// Lines of a container's log shown with a failure.
    pub log_lines: usize,
    /// Command that shows the whole log; `{service}` stands for the service's name.
    pub log_hint: Option<String>,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            parallel: 8,
            parallel_tests: std::thread::available_parallelism().map_or(2, |n| n.get().max(2)),
            test_every: Duration::from_millis(500),
            wait_healthy: true,
            healthy_within: Duration::from_secs(120),
            job_within: Duration::from_secs(30 * 60),
            settle: Duration::from_secs(2),
            restart_limit: 5,
            log_lines: 20,
            log_hint: None,
        }
    }
}

impl Engine {
    /// An engine on `docker` that keeps the files of configs and secrets below `state`.
    pub fn new(docker: Docker, state: impl Into<PathBuf>) -> Self {
        Self { docker, state: state.into(), resolver: false }
    }

    /// The same engine with the agent's resolver: containers on networks that reach across hosts ask
    /// [`RESOLVER`](stackyard_core::stack::RESOLVER) for names, from when they are next created.
    pub fn with_resolver(self) -> Self {
        Self { resolver: true, ..self }
    }

    /// The connection.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Where the files of configs and secrets lie.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The archives that containers of this engine mount. They must be there before a plan is applied.
    pub fn archives(&self) -> Archives {
        Archives::new(&self.state)
    }

    pub(super) fn api(&self) -> &bollard::Docker {
        self.docker.api()
    }

    /// Looks at what is there and works out what must be done.
    ///
    /// # Errors
    /// [`Error::Plan`] when the stack contradicts itself or needs what is not there;
    /// [`Error::Engine`] when the engine cannot be asked.
    pub async fn plan(&self, stack: &Stack) -> Result<Plan, Error> {
        Ok(plan(stack, &self.observe(stack).await?)?)
    }
}
