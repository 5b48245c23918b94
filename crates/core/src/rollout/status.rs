//! How a stack stands, for people and for programs that wait.

use super::seen::{Seen, container};
use super::{Phase, Walk};
use crate::agent::{BoundPort, ContainerReport, ContainerState};
use crate::health::Health;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a stack stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = StackStatus)]
pub struct Status {
    /// Number of the version that is brought out.
    pub version: u64,
    /// In a word.
    pub health: Health,
    /// What is not as it should be.
    pub reasons: Vec<String>,
    /// What should be known beside: volumes that were left behind.
    pub notes: Vec<String>,
    /// The services, by name.
    pub services: Vec<ServiceStatus>,
}

/// How a service stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// How its containers are counted: `replicated`, `global`, or with `-job`.
    pub mode: String,
    /// Containers that there should be.
    pub desired: usize,
    /// Containers that run (of a job: that ended with 0).
    pub running: usize,
    /// Of them, those that work.
    pub ready: usize,
    /// Generation that it is brought to.
    pub generation: u64,
    /// How it is, as its phase, its count and its reason make it.
    pub health: Health,
    /// How far its update is.
    pub phase: Phase,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// Its containers.
    pub replicas: Vec<ReplicaStatus>,
}

impl ReplicaStatus {
    /// What tells it from all others of its stack, `web-2@host-1`: each host has a number one of a service
    /// that is global.
    pub fn at(&self) -> String {
        format!("{}@{}", self.name, self.host_name)
    }

    /// What it can be asked for by, as a replica of `service`. Of a service with one replica on each host, all are
    /// number one: the host tells them apart.
    pub fn names(&self, service: &str) -> [String; 4] {
        [service.to_owned(), self.name.clone(), format!("{service}@{}", self.host_name), self.at()]
    }

    /// Whether `text` is one of its [`Self::names`].
    pub fn is_called(&self, service: &str, text: &str) -> bool {
        self.names(service).iter().any(|name| name == text)
    }
}

/// How a container stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaStatus {
    /// Its name, `web-2`.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Id of its host.
    pub host: String,
    /// Name of its host.
    pub host_name: String,
    /// `held`, `missing`, `created`, `running`, `restarting`, `paused`, `exited`, `unknown`.
    pub state: String,
    /// Exit status of one that ended.
    pub status: Option<i64>,
    /// What its health test says.
    pub healthy: Option<bool>,
    /// Id of the container.
    pub container: Option<String>,
    /// Its ports that the host forwards, while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<BoundPort>,
    /// Times that it was started again.
    pub restarts: i64,
    /// Generation that it is of.
    pub generation: u64,
    /// How it is: what `state`, `healthy` and the agent's report make of it.
    pub health: Health,
    /// Why it does not work.
    pub reason: Option<String>,
}

impl ReplicaStatus {
    /// Whether it runs and is well; of a job, whether it has ended well.
    pub fn works(&self) -> bool {
        let there = self.state == "running" || self.status == Some(0);
        there && self.reason.is_none() && self.healthy != Some(false)
    }
}

impl Walk<'_> {
    /// How it stands now.
    pub(super) fn status(&self) -> Status {
        let services: Vec<ServiceStatus> =
            self.current.stack.services.keys().filter_map(|name| self.service_status(name)).collect();
        let left = self.left();
        let mut reasons: Vec<String> =
            services.iter().filter(|s| s.health != Health::Ready).map(stack_reason).collect();
        let mut health = services.iter().map(|s| s.health).max().unwrap_or_default();
        if left > 0 {
            health = health.max(Health::Progressing);
            reasons.push(format!("{left} containers are still to go"));
        }
        let notes = self.state.notes.iter().map(|(name, note)| format!("{name}: {note}")).collect();
        Status { version: self.state.version, health, reasons, notes, services }
    }

    /// Containers that hosts still have and should not.
    fn left(&self) -> usize {
        let wanted = |host: &String, c: &ContainerReport| {
            self.state.slots.iter().any(|s| s.host == *host && s.replica == c.replica)
        };
        let reports = self.input.reports.iter().filter_map(|(host, report)| Some((host, report.part?)));
        reports.map(|(host, part)| part.containers.iter().filter(|c| !wanted(host, c)).count()).sum()
    }

    fn only_waits(&self, name: &str) -> bool {
        let failing = self.state.services.get(name).is_some_and(|p| p.reason.is_some());
        self.waits.contains_key(name) && !failing && !self.unplaced.contains_key(name)
    }

    fn service_status(&self, name: &str) -> Option<ServiceStatus> {
        let service = self.current.stack.services.get(name)?;
        let progress = self.state.services.get(name)?;
        let job = self.current.stack.is_job(name);
        let (mut running, mut ready) = (0, 0);
        let mut replicas = Vec::new();
        for slot in self.slots(name) {
            let seen = self.look(slot);
            let counts = if job { seen == Seen::Ended || slot.settled } else { seen.runs() };
            running += usize::from(counts);
            ready += usize::from(if job { counts } else { seen == Seen::Ready });
            let report = self.input.reports.get(&slot.host);
            let container = report.and_then(|r| container(r, &slot.replica));
            let (state, status) = match (container.map(|c| c.state), &seen) {
                _ if slot.held => ("held", None),
                (_, Seen::Unknown) => ("unknown", None),
                (None, _) => ("missing", None),
                (Some(ContainerState::Created), _) => ("created", None),
                (Some(ContainerState::Running), _) => ("running", None),
                (Some(ContainerState::Restarting), _) => ("restarting", None),
                (Some(ContainerState::Paused), _) => ("paused", None),
                (Some(ContainerState::Exited(status)), _) => ("exited", Some(status)),
            };
            let reason = match seen {
                Seen::Failed(error) => Some(error),
                _ => None,
            };
            let healthy = container.and_then(|c| c.healthy);
            replicas.push(ReplicaStatus {
                name: slot.replica.to_string(),
                index: slot.replica.index,
                host: slot.host.clone(),
                host_name: self.board.host(&slot.host).map_or_else(|| slot.host.clone(), |h| h.name.clone()),
                state: state.to_owned(),
                status,
                healthy,
                container: container.map(|c| c.id.clone()),
                ports: container.map(|c| c.ports.clone()).unwrap_or_default(),
                restarts: container.map_or(0, |c| c.restarts),
                generation: container.map_or(slot.generation, |c| c.generation),
                health: replica_health(state, reason.is_some() || healthy == Some(false), job && status == Some(0)),
                reason,
            });
        }
        let mut desired = self.wanted.get(name).copied().unwrap_or(0);
        if progress.completed == Some(progress.generation) {
            // Done is done, also where the host of it is gone.
            (desired, running, ready) = (replicas.len(), replicas.len(), replicas.len());
        }
        let unplaced = self.unplaced.get(name).map(|(count, why)| format!("{count} without a host: {why}"));
        let reason = unplaced.or_else(|| progress.reason.clone()).or_else(|| self.wait_of(name));
        let health = match progress.phase {
            Phase::Paused | Phase::RolledBack => Health::Failed,
            _ if reason.is_some() && !self.only_waits(name) => Health::Degraded,
            phase if phase.is_busy() || ready != desired => Health::Progressing,
            _ if replicas.iter().any(|r| r.generation != progress.generation) => Health::Progressing,
            _ => Health::Ready,
        };
        let mode = service.deploy.mode;
        let mode = match (mode.is_global(), job) {
            (false, false) => "replicated",
            (true, false) => "global",
            (false, true) => "replicated-job",
            (true, true) => "global-job",
        };
        Some(ServiceStatus {
            name: name.to_owned(),
            image: self.definition(name, progress.generation).map_or(&service.image, |(_, s)| &s.image).clone(),
            mode: mode.to_owned(),
            desired,
            running,
            ready,
            generation: progress.generation,
            health,
            phase: progress.phase,
            reason,
            replicas,
        })
    }
}

/// What a stack says of a service that is not ready.
fn stack_reason(service: &ServiceStatus) -> String {
    let phase = match service.phase {
        Phase::Paused => "the update is paused: ",
        Phase::RollingBack => "is rolled back: ",
        Phase::RolledBack => "was rolled back: ",
        Phase::Starting | Phase::Updating | Phase::Done => "",
    };
    let counts = || format!("{} of {} ready", service.ready, service.desired);
    format!("{}: {phase}{}", service.name, service.reason.clone().unwrap_or_else(counts))
}

/// The health of a container: by its state, whether something is wrong with it, and whether it is a job that ended well.
fn replica_health(state: &str, fails: bool, completed: bool) -> Health {
    match state {
        _ if fails => Health::Degraded,
        "running" => Health::Ready,
        "exited" if completed => Health::Ready,
        "exited" => Health::Degraded,
        "unknown" => Health::Unknown,
        _ => Health::Progressing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_health_of_a_container() {
        let of = |state, fails, completed| replica_health(state, fails, completed);
        assert_eq!(of("running", false, false), Health::Ready);
        assert_eq!(of("running", true, false), Health::Degraded, "its health check fails, or its update");
        assert_eq!(of("exited", false, true), Health::Ready, "a job that succeeded");
        assert_eq!(of("exited", false, false), Health::Degraded);
        assert_eq!(of("unknown", false, false), Health::Unknown, "its host is not connected");
        for state in ["held", "creating", "restarting", "paused"] {
            assert_eq!(of(state, false, false), Health::Progressing, "{state}");
        }
    }
}
