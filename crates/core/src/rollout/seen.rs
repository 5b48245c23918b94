//! What the reports of hosts say about a container that should be.

use super::state::Slot;
use crate::agent::{ContainerReport, ContainerState, PartReport, Replica};
use crate::stack::{HealthTest, Service};
use std::time::Duration;

/// Restarts of a container before it has worked that make a failure.
const RESTARTS: i64 = 3;

/// A container without a health test works when it ran for so long, in milliseconds.
const SETTLE: i64 = 2000;

/// Least time that a service has to become healthy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a host says of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostReport<'a> {
    /// Its containers, and what went wrong.
    pub part: Option<&'a PartReport>,
    /// Whether the host has carried out all that it was told, as far as it could.
    pub settled: bool,
}

/// What is known of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: its host is not heard of.
    Unknown,
    /// It is not there yet.
    Missing,
    /// It runs, and it is not known yet whether it works.
    Working,
    /// It runs and works.
    Ready,
    /// It ended with 0.
    Ended,
    /// It failed, and how.
    Failed(String),
}

impl Seen {
    /// Its container runs.
    pub fn runs(&self) -> bool {
        matches!(self, Self::Working | Self::Ready)
    }
}

/// The container of a slot.
pub fn container<'a>(report: &HostReport<'a>, replica: &Replica) -> Option<&'a ContainerReport> {
    report.part?.containers.iter().find(|c| c.replica == *replica)
}

/// What is known of a slot's container.
pub fn look(slot: &Slot, service: &Service, job: bool, report: Option<&HostReport<'_>>, now: i64) -> Seen {
    let Some(report) = report else { return Seen::Unknown };
    let container = container(report, &slot.replica).filter(|c| c.generation == slot.generation);
    let error = report.part.and_then(|p| p.error.as_deref()).filter(|_| report.settled);
    let Some(container) = container else {
        return match error {
            Some(error) => Seen::Failed(error_of(error, &slot.replica).unwrap_or(error).to_owned()),
            None => Seen::Missing,
        };
    };
    let since = container.started.map_or(slot.since, |s| s.saturating_mul(1000).max(slot.since));
    match container.state {
        ContainerState::Exited(0) if job => Seen::Ended,
        ContainerState::Exited(status) => failed(format!("ended with status {status}"), container),
        ContainerState::Restarting if container.restarts >= RESTARTS => restarts(container),
        // Docker keeps one that it could not start.
        ContainerState::Created => match error.and_then(|e| error_of(e, &slot.replica)) {
            Some(error) => Seen::Failed(error.to_owned()),
            None => Seen::Working,
        },
        ContainerState::Restarting | ContainerState::Paused => Seen::Working,
        ContainerState::Running if job => Seen::Working,
        ContainerState::Running => match container.healthy {
            _ if slot.ready.is_none() && container.restarts >= RESTARTS => restarts(container),
            Some(true) => Seen::Ready,
            None if now - since >= SETTLE => Seen::Ready,
            Some(false) if now - since > patience(service) => {
                let error = error.and_then(|e| error_of(e, &slot.replica));
                let waited = format!("not healthy after {} s", (now - since) / 1000);
                match error {
                    Some(error) => Seen::Failed(error.to_owned()),
                    None => failed(waited, container),
                }
            }
            Some(false) | None => Seen::Working,
        },
    }
}

fn restarts(container: &ContainerReport) -> Seen {
    failed(format!("ended {} times and was started again each time", container.restarts), container)
}

/// What failed, with the end of the container's log below it, as the engine's own errors have it.
fn failed(what: String, container: &ContainerReport) -> Seen {
    match container.last_lines.as_slice() {
        [] => Seen::Failed(what),
        lines => Seen::Failed(format!("{what}\n  the last lines of its log:\n    {}", lines.join("\n    "))),
    }
}

/// Milliseconds that a service has to become healthy.
fn patience(service: &Service) -> i64 {
    let Some(check) = service.healthcheck.as_ref().filter(|c| c.test != HealthTest::Disabled) else {
        return i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
    };
    let interval = check.interval.unwrap_or(Duration::from_secs(30));
    let timeout = check.timeout.unwrap_or(Duration::from_secs(30));
    let tests = check.retries.unwrap_or(3).max(1);
    let all = check.start_period.unwrap_or_default() + (interval + timeout.min(interval)).saturating_mul(tests);
    // Who gives a test with short times wants to know early; others are given time.
    let least = if check.interval.is_some() { Duration::from_secs(5) } else { PATIENCE };
    i64::try_from(all.max(least).as_millis()).unwrap_or(i64::MAX)
}

/// The part of a host's error that is about a replica (`container web-1: ...`). There is none where something else
/// failed, and the replica is among what was not begun because of that.
fn error_of<'a>(error: &'a str, replica: &Replica) -> Option<&'a str> {
    let name = replica.to_string();
    error.split("\n\n").find(|text| {
        let subject = text.split([':', '\n']).next().unwrap_or("");
        subject.split([' ', ',']).any(|word| word == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_error_is_that_of_the_replica_or_what_kept_it_from_being_begun() {
        let of = |error, index| error_of(error, &Replica { service: "web".into(), index });
        let both = "network front: no such network\n\ncontainer web-1: exec failed\n  its log:\n    x\n\nnot begun because of this: container web-2";
        assert_eq!(of(both, 1), Some("container web-1: exec failed\n  its log:\n    x"));
        assert_eq!(of(both, 2), None, "the cause is elsewhere");
        assert_eq!(of("image shop:2 of web-1: not here", 2), None);
    }

    #[test]
    fn one_that_could_not_be_started_has_failed() {
        let replica = Replica { service: "web".into(), index: 1 };
        let slot = Slot {
            replica: replica.clone(),
            host: "h".into(),
            generation: 1,
            since: 0,
            held: false,
            ready: None,
            settled: false,
            names: BTreeMap::new(),
        };
        let container = ContainerReport {
            replica,
            generation: 1,
            id: "c".into(),
            state: ContainerState::Created,
            healthy: None,
            restarts: 0,
            started: None,
            last_lines: Vec::new(),
            ended: None,
            addresses: Default::default(),
            ports: Vec::new(),
        };
        let seen = |error: Option<&str>, settled| {
            let part =
                PartReport { error: error.map(str::to_owned), containers: vec![container.clone()], incomplete: false };
            look(&slot, &Service::default(), false, Some(&HostReport { part: Some(&part), settled }), 0)
        };
        let error = "container web-1: cannot start container shop-web-1-1: the address is taken";
        assert_eq!(seen(Some(error), true), Seen::Failed(error.to_owned()));
        assert_eq!(seen(Some(error), false), Seen::Working, "of the attempt before");
        assert_eq!(seen(Some("container db-1: exec failed"), true), Seen::Working);
        assert_eq!(seen(None, true), Seen::Working);
    }
}
