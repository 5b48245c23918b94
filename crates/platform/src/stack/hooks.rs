//! Programs that run in a container at moments of its life: `post_start`, `pre_stop`.
//!
//! As with Compose, they run when Stackyard starts or stops a container, not when the engine
//! restarts it. The container itself carries the `pre_stop` ones in a label: who stops it may not
//! have its service any more.

use super::exec::{TimedRun, captured};
use super::{Engine, Error, labels};
use bollard::models::{ContainerInspectResponse, ExecConfig};
use stackyard_core::stack::ServiceHook;
use std::time::Duration;

/// Bytes of a hook's output that an error carries.
const OUTPUT: usize = 4096;

/// Time for one program before a stop. A container that cannot be stopped would hold up everything else.
const PRE_STOP: Duration = Duration::from_secs(60);

/// Time for one program after a start.
const POST_START: Duration = Duration::from_secs(600);

impl Engine {
    /// Runs the `post_start` programs of a container that was started, in order. If one fails, the container is
    /// stopped, so that the next run starts it, and them, again.
    pub(super) async fn after_start(&self, container: &str, hooks: &[ServiceHook]) -> Result<(), Error> {
        for hook in hooks {
            if let Err(error) = self.run_hook("post_start", container, hook, POST_START).await {
                // It would pass for one that was started as it should be.
                let _ = self.stop_container(container).await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Runs the `pre_stop` programs of a container that is about to be stopped. The stop follows whatever
    /// becomes of them.
    pub(super) async fn before_stop(&self, id: &str, container: &ContainerInspectResponse) {
        let labels = container.config.as_ref().and_then(|c| c.labels.as_ref());
        let hooks: Vec<ServiceHook> = labels.map(|l| labels::parse(l, labels::PRE_STOP)).unwrap_or_default();
        for hook in &hooks {
            if let Err(error) = self.run_hook("pre_stop", id, hook, PRE_STOP).await {
                tracing::warn!("container {id}: {}", stackyard_core::text::error_chain(&error));
            }
        }
    }

    async fn run_hook(
        &self,
        when: &'static str,
        container: &str,
        hook: &ServiceHook,
        time: Duration,
    ) -> Result<(), Error> {
        let config = ExecConfig {
            user: hook.user.clone(),
            privileged: Some(hook.privileged),
            working_dir: hook.working_dir.clone(),
            env: Some(hook.environment.iter().map(|(k, v)| format!("{k}={v}")).collect()),
            ..captured(&hook.command)
        };
        let TimedRun { status, output } = self.run_within(container, config, time, OUTPUT).await?;
        let ended = match status {
            Some(0) => return Ok(()),
            Some(status) => format!("ended with status {status}"),
            None => format!("still running after {} s", time.as_secs()),
        };
        Err(Error::Hook { when, command: hook.command.first().cloned().unwrap_or_default(), ended, output })
    }
}
