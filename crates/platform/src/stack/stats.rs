//! How a stack's services are doing.

use super::exec::Test;
use super::{Engine, Error, labels, observe};
use crate::docker::is_not_found;
use bollard::models::ContainerInspectResponse;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use stackyard_core::stack::observed::State;
use stackyard_core::stack::plan::container_name;
use stackyard_core::stack::status::ServiceState;
use std::collections::{HashMap, HashSet};

/// Containers looked into at once.
const PARALLEL: usize = 8;

/// How one service is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// The service.
    pub service: String,
    /// Name of its container.
    pub container: String,
    /// Id of the container.
    pub id: String,
    /// It is a one-shot job.
    pub job: bool,
    /// Image reference that it was made from.
    pub image: String,
    /// What Docker Engine says of the container.
    pub state: ServiceState,
    /// Exit status, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i64>,
    /// What its health test said just now.
    pub health: HealthCheck,
    /// Times that the engine started it again by itself.
    pub restarts: i64,
    /// When it was last started, RFC 3339; absent when it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Seconds since then, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_s: Option<u64>,
    /// Memory of its processes in bytes (PSS: shared pages counted in shares); absent when
    /// it does not run or its processes cannot be looked into from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// What the health test of a service says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "health", rename_all = "snake_case")]
pub enum HealthCheck {
    /// The test succeeded.
    Healthy,
    /// The test failed.
    Unhealthy {
        /// What it said.
        output: String,
    },
    /// It has no test; it runs.
    Untested,
    /// A job that ended with 0.
    Completed,
    /// It does not run.
    Down,
}

impl ServiceStatus {
    /// Whether all is well with it.
    pub fn is_well(&self) -> bool {
        matches!(self.health, HealthCheck::Healthy | HealthCheck::Untested | HealthCheck::Completed)
    }
}

impl Engine {
    /// Looks at every container of the stack `name`, and runs its health test now.
    pub async fn status(&self, name: &str) -> Result<Vec<ServiceStatus>, Error> {
        let containers = self.containers(name).await?;
        let ids: HashSet<String> = containers.iter().filter_map(|c| c.id.clone()).collect();
        let look = |c: ContainerInspectResponse| async move { self.service_status(&c).await };
        let mut all: Vec<ServiceStatus> = stream::iter(containers).map(look).buffer_unordered(PARALLEL).collect().await;
        if self.docker.is_local() {
            let sizes = tokio::task::spawn_blocking(move || memory(&ids)).await.unwrap_or_default();
            for status in &mut all {
                status.memory = sizes.get(&status.id).copied();
            }
        }
        all.sort_by(|a, b| a.service.cmp(&b.service));
        Ok(all)
    }

    async fn service_status(&self, c: &ContainerInspectResponse) -> ServiceStatus {
        let state = observe::state(c);
        let health = self.container_health(c).await;
        let started_at = c.state.as_ref().and_then(|s| s.started_at.clone()).filter(|t| !t.starts_with("0001-"));
        let uptime_s = started_at.as_deref().filter(|_| state == State::Running).and_then(seconds_since);
        ServiceStatus {
            id: c.id.clone().unwrap_or_default(),
            service: observe::label(c, labels::SERVICE).unwrap_or_default().to_owned(),
            container: observe::name(c).to_owned(),
            job: observe::label(c, labels::JOB) == Some("true"),
            image: c.config.as_ref().and_then(|c| c.image.clone()).unwrap_or_default(),
            state: service_state(state),
            exit_status: if let State::Exited(status) = state { Some(status) } else { None },
            health,
            restarts: c.restart_count.unwrap_or_default(),
            started_at,
            uptime_s,
            memory: None,
        }
    }

    async fn container_health(&self, c: &ContainerInspectResponse) -> HealthCheck {
        let id = c.id.as_deref().unwrap_or_default();
        match observe::state(c) {
            State::Running => {}
            State::Exited(0) if observe::label(c, labels::JOB) == Some("true") => return HealthCheck::Completed,
            _ => return HealthCheck::Down,
        }
        let Some(test) = Test::of(c) else { return HealthCheck::Untested };
        match self.run_test(id, &test).await {
            Ok(result) if result.healthy => HealthCheck::Healthy,
            Ok(result) => HealthCheck::Unhealthy { output: result.output },
            Err(e) => HealthCheck::Unhealthy { output: stackyard_core::text::error_chain(&e) },
        }
    }

    /// Runs the health test of a service now.
    ///
    /// # Errors
    /// [`Error::Engine`] when the engine cannot be asked. A service without a container is
    /// [`HealthCheck::Down`].
    pub async fn health(&self, stack: &str, service: &str) -> Result<HealthCheck, Error> {
        let container = container_name(stack, service);
        match self.api().inspect_container(&container, None).await {
            Err(e) if is_not_found(&e) => Ok(HealthCheck::Down),
            Err(e) => Err(Error::engine(format!("inspect container {container}"))(e)),
            Ok(c) => Ok(self.container_health(&c).await),
        }
    }
}

/// Memory of the processes of containers by container id, in bytes.
///
/// A process belongs to the container whose id is in its control group's path; one walk
/// over /proc serves all containers.
fn memory(ids: &HashSet<String>) -> HashMap<String, u64> {
    let mut sizes = HashMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return sizes };
    for pid in processes.filter_map(|p| p.ok()?.file_name().to_str()?.parse::<u32>().ok()) {
        let Ok(groups) = std::fs::read_to_string(format!("/proc/{pid}/cgroup")) else { continue };
        let id = groups.split(['/', '\n', '-', '.', ':']).find(|part| part.len() == 64 && ids.contains(*part));
        if let (Some(id), Some(size)) = (id, pss(pid)) {
            *sizes.entry(id.to_owned()).or_default() += size;
        }
    }
    sizes
}

/// Proportional set size of a process in bytes (proc(5), `smaps_rollup`).
fn pss(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn seconds_since(time: &str) -> Option<u64> {
    let then: jiff::Timestamp = time.parse().ok()?;
    u64::try_from(jiff::Timestamp::now().as_second() - then.as_second()).ok()
}

fn service_state(state: State) -> ServiceState {
    match state {
        State::Created => ServiceState::Created,
        State::Running => ServiceState::Running,
        State::Restarting => ServiceState::Restarting,
        State::Paused => ServiceState::Paused,
        State::Exited(_) => ServiceState::Exited,
        State::Dead => ServiceState::Dead,
    }
}
