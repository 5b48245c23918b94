//! What runs here, for the server.

use super::{StackSnapshot, Stacks, replica_of};
use crate::context::Context;
use crate::facts;
use futures_util::future::join_all;
use stackyard_core::agent::{ContainerReport, ContainerState, Part, PartReport, Report, shared_networks};
use stackyard_core::stack::observed::State;
use stackyard_core::text::error_chain;
use stackyard_platform::stack::{Engine, HealthCheck, Look, Seen, Tested};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A report comes at least so often: for what is in use, and in case an event got lost.
const EVERY: Duration = Duration::from_secs(30);

/// Changes within this time make one report.
const GATHER: Duration = Duration::from_millis(100);

/// The same for a change after a quiet time: names on other hosts wait for it.
const GATHER_FIRST: Duration = Duration::from_millis(20);

/// Time for a health test.
const TEST: Duration = Duration::from_secs(10);

/// Lines of its log that a report has of a container that failed.
const LINES: usize = 10;

/// Characters of such a line at most.
const WIDTH: usize = 300;

/// Makes reports, for ever: when something changed, and now and then.
pub(crate) async fn keep(context: &Context, stacks: &Stacks, out: &watch::Sender<Option<Report>>) {
    let mut due = Instant::now() + EVERY;
    let mut last = Instant::now();
    let mut tests = HealthTests::default();
    loop {
        let timer = tokio::select! {
            () = context.changed.notified() => false,
            () = tests.next() => false,
            () = tokio::time::sleep_until(due) => true,
        };
        let is_first = last.elapsed() > 2 * GATHER;
        tokio::time::sleep(if is_first { GATHER_FIRST } else { GATHER }).await;
        last = Instant::now();
        let before = out.borrow().clone();
        let report = build(context, stacks, &mut tests, before.as_ref()).await;
        let same = before.as_ref().is_some_and(|before| {
            (before.revision, before.settled, &before.parts, before.mtu)
                == (report.revision, report.settled, &report.parts, report.mtu)
        });
        if timer || !same {
            due = Instant::now() + EVERY;
            out.send_replace(Some(report));
        }
    }
}

async fn build(context: &Context, stacks: &Stacks, tests: &mut HealthTests, before: Option<&Report>) -> Report {
    let (revision, snapshots) = stacks.snapshot();
    let settled = snapshots.iter().all(|s| s.progress.tried);
    let engine = context.engine();
    let looks = snapshots.iter().map(async |s| match &engine {
        Ok(engine) => engine.look_at(&s.name).await.map_err(|e| error_chain(&e)),
        Err(problem) => Err(problem.clone()),
    });
    let mut looks = join_all(looks).await;
    if let Ok(engine) = &engine {
        tests.begin(engine, &snapshots, &mut looks);
    }
    let engine = engine.as_ref().ok();
    let each = snapshots.iter().zip(looks).map(async |(s, look)| {
        let before = before.and_then(|b| b.parts.get(&s.name)).map_or(&[][..], |part| &part.containers);
        (s.name.clone(), part(stacks, engine, s, look, before).await)
    });
    let parts: BTreeMap<String, PartReport> = join_all(each).await.into_iter().collect();
    let root = context.docker.borrow().root.clone();
    let usage = facts::usage(root.as_deref());
    Report { revision: revision.unwrap_or_default(), settled, parts, usage, mtu: *context.mtu.borrow() }
}

async fn part(
    stacks: &Stacks,
    engine: Option<&Engine>,
    snapshot: &StackSnapshot,
    look: Result<Look, String>,
    before: &[ContainerReport],
) -> PartReport {
    let mut error = snapshot.progress.error.clone();
    let (seen, unseen, incomplete, problem) = match look {
        Ok(Look { containers, unseen, problem }) => {
            let incomplete = !unseen.is_empty();
            (containers, unseen, incomplete, problem.map(|e| error_chain(&e)))
        }
        Err(problem) => (Vec::new(), Vec::new(), true, Some(problem)),
    };
    error = error.or(problem);
    let containers = seen.iter().map(async |seen| {
        let mut container = container(snapshot, seen)?;
        container.ended = stacks.exits.of(&seen.id);
        if let Some(engine) = engine
            && has_failed(seen)
        {
            container.last_lines = last_lines(engine, snapshot, seen).await;
        }
        Some(container)
    });
    let mut containers: Vec<_> = join_all(containers).await.into_iter().flatten().collect();
    containers.extend(last_told(before, &unseen));
    PartReport { error, containers, incomplete }
}

/// The last reports of containers of which the engine did not tell: they are there, and a slow engine must not make them
/// look as if they were missing.
fn last_told(before: &[ContainerReport], unseen: &[String]) -> impl Iterator<Item = ContainerReport> {
    before.iter().filter(|container| unseen.contains(&container.id)).cloned()
}

/// Whether a container ended badly, is started again and again, or is not well.
fn has_failed(seen: &Seen) -> bool {
    match seen.state {
        State::Exited(status) => status != 0,
        State::Restarting => true,
        _ => seen.health == Some(Tested::Unhealthy) || (seen.restarts > 0 && seen.health != Some(Tested::Healthy)),
    }
}

async fn last_lines(engine: &Engine, snapshot: &StackSnapshot, seen: &Seen) -> Vec<String> {
    let log = engine.last_lines(&snapshot.name, &seen.service, LINES);
    // A report is not held up by an engine that does not answer.
    let lines = tokio::time::timeout(TEST, log).await.unwrap_or_default();
    lines.iter().map(|l| l.chars().take(WIDTH).collect()).collect()
}

/// Health tests that Docker has not got to yet: with Docker's own interval, a new container would be known to be healthy
/// half a minute after it was. A report does not wait for them. Each that succeeds makes the next one.
#[derive(Default)]
struct HealthTests {
    running: JoinSet<(TestedStart, bool)>,
    begun: BTreeSet<TestedStart>,
    healthy: BTreeSet<TestedStart>,
}

/// A container's id, and when it was started.
type TestedStart = (String, Option<i64>);

impl HealthTests {
    /// Waits until a test has succeeded; without one for ever.
    async fn next(&mut self) {
        loop {
            match self.running.join_next().await {
                Some(Ok((which, healthy))) => {
                    self.begun.remove(&which);
                    if healthy {
                        self.healthy.insert(which);
                        return;
                    }
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Takes over results, and begins a test of each container that has none.
    fn begin(&mut self, engine: &Engine, snapshots: &[StackSnapshot], looks: &mut [Result<Look, String>]) {
        let mut waiting = BTreeSet::new();
        for (snapshot, look) in snapshots.iter().zip(looks) {
            let seen = look.iter_mut().flat_map(|look| &mut look.containers);
            for seen in seen.filter(|s| s.health == Some(Tested::NotYet) && s.state == State::Running) {
                let which = (seen.id.clone(), seen.started);
                waiting.insert(which.clone());
                if self.healthy.contains(&which) {
                    seen.health = Some(Tested::Healthy);
                } else if snapshot.progress.tried && self.begun.insert(which.clone()) {
                    let (engine, stack, service) = (engine.clone(), snapshot.name.clone(), seen.service.clone());
                    self.running.spawn(async move {
                        let test = tokio::time::timeout(TEST, engine.health(&stack, &service)).await;
                        (which, matches!(test, Ok(Ok(HealthCheck::Healthy))))
                    });
                }
            }
        }
        // Docker knows of the others itself.
        self.healthy.retain(|which| waiting.contains(which));
    }
}

fn container(snapshot: &StackSnapshot, seen: &Seen) -> Option<ContainerReport> {
    let part = snapshot.part.as_ref();
    let replica = part.and_then(|p| p.replicas.get(&seen.service)).cloned().or_else(|| replica_of(&seen.service))?;
    let current = snapshot.progress.specs.get(&seen.service) == Some(&seen.spec);
    let generation = part.filter(|_| current).and_then(|p| p.generations.get(&seen.service)).copied();
    let state = match seen.state {
        State::Created => ContainerState::Created,
        State::Running => ContainerState::Running,
        State::Restarting => ContainerState::Restarting,
        State::Paused => ContainerState::Paused,
        State::Exited(status) => ContainerState::Exited(status),
        State::Dead => return None,
    };
    Some(ContainerReport {
        replica,
        generation: generation.unwrap_or_default(),
        id: seen.id.clone(),
        state,
        healthy: seen.health.map(|h| h == Tested::Healthy),
        restarts: seen.restarts,
        started: seen.started,
        last_lines: Vec::new(),
        ended: None,
        addresses: shared_addresses(part, seen),
        ports: seen.ports.clone(),
    })
}

/// Addresses on networks that reach across hosts: these are what other hosts need.
fn shared_addresses(part: Option<&Arc<Part>>, seen: &Seen) -> BTreeMap<String, Vec<IpAddr>> {
    let shared = shared_networks(part.map(|p| &**p));
    let of = seen.addresses.iter().filter(|(network, _)| shared.contains(*network));
    of.map(|(network, addresses)| (network.clone(), addresses.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::agent::Replica;
    use stackyard_core::stack::Stack;

    #[test]
    fn only_what_was_made_from_the_present_text_has_its_generation() {
        let replica = Replica { service: "web".into(), index: 2 };
        let part = Part::pack(
            Stack { name: "s".into(), ..Stack::default() },
            BTreeMap::from([("web-2".into(), replica.clone())]),
            BTreeMap::from([("web-2".into(), 7)]),
        );
        let mut snapshot = StackSnapshot { name: "s".into(), part: Some(Arc::new(part)), progress: Default::default() };
        snapshot.progress.specs.insert("web-2".into(), "new".into());
        let seen = |spec: &str, service: &str| Seen {
            service: service.into(),
            id: "1".into(),
            spec: spec.into(),
            state: State::Running,
            health: Some(Tested::NotYet),
            restarts: 0,
            started: Some(1),
            addresses: BTreeMap::new(),
            ports: Vec::new(),
        };
        let report = container(&snapshot, &seen("new", "web-2")).unwrap();
        assert_eq!((report.replica, report.generation, report.healthy), (replica, 7, Some(false)));
        assert_eq!(container(&snapshot, &seen("old", "web-2")).unwrap().generation, 0);
        let gone = container(&snapshot, &seen("old", "my-db-1")).unwrap();
        assert_eq!(gone.replica, Replica { service: "my-db".into(), index: 1 });
    }

    #[test]
    fn a_container_that_the_engine_lists_alone_is_as_it_was() {
        let report = |id: &str| ContainerReport {
            replica: Replica { service: "web".into(), index: 1 },
            generation: 7,
            id: id.into(),
            state: ContainerState::Running,
            healthy: Some(true),
            restarts: 0,
            started: Some(1),
            last_lines: Vec::new(),
            ended: None,
            addresses: BTreeMap::new(),
            ports: Vec::new(),
        };
        let before = [report("stuck"), report("gone")];
        let kept: Vec<_> = last_told(&before, &["stuck".to_owned(), "new".to_owned()]).collect();
        assert_eq!(kept, [report("stuck")]);
    }
}
