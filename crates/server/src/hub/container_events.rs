//! What happened to containers, by what their hosts report: kept for people, and bounded.
//!
//! A report says the whole; what is new in it against the one before is what happened meanwhile. The first
//! report of a host since the server started tells nothing new. What happened between two reports (at
//! least every tenth of a second while something changes) is told by its end: a container that was started
//! again says how it ended before.

use stackyard_api::{ContainerEvent, ContainerEventKind};
use stackyard_core::agent::{ContainerReport, ContainerState, PartReport, Report};
use stackyard_store::Host;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Events of all hosts that are kept, and their bytes. Where there are more, the host that has most of what is too much
/// loses its oldest.
const KEEP: usize = 5000;
const BYTES: usize = 16 << 20;

/// Events that somebody wants to know of.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this yard.
    pub yard: Option<String>,
    /// Of this stack.
    pub stack: Option<String>,
    /// Of the host with this id.
    pub host: Option<String>,
    /// Of these services or replicas, also those of one host: `web`, `web-2`, `web@host-1`; all when empty.
    pub only: BTreeSet<String>,
    /// Of this kind.
    pub kind: Option<ContainerEventKind>,
}

impl EventFilter {
    fn fits(&self, event: &ContainerEvent) -> bool {
        let is = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        let called =
            |name: &str| self.only.contains(name) || self.only.contains(&format!("{name}@{}", event.host_name));
        is(&self.yard, &event.yard)
            && is(&self.stack, &event.stack)
            && is(&self.host, &event.host)
            && self.kind.is_none_or(|kind| kind == event.kind)
            && (self.only.is_empty() || called(&event.service) || called(&event.replica))
    }
}

/// How much of the events that are kept is a host's.
#[derive(Debug, Default, Clone, Copy)]
struct HostShare {
    events: usize,
    bytes: usize,
}

/// What happened lately.
#[derive(Debug, Default)]
pub(super) struct ContainerEvents {
    last: u64,
    kept: VecDeque<ContainerEvent>,
    /// How much of that is a host's, by its id.
    shares: HashMap<String, HostShare>,
    /// By host and stack, what was known before an engine stopped answering.
    held: HashMap<(String, String), PartReport>,
}

impl ContainerEvents {
    /// Takes what a host reports of `stacks` at `at`, in milliseconds since 1970.
    pub fn take(&mut self, host: &Host, before: Option<&Report>, now: &Report, stacks: &BTreeSet<&String>, at: i64) {
        let Some(before) = before else { return };
        let none = PartReport::default();
        for stack in stacks.iter().copied() {
            let (old, new) = (before.parts.get(stack).unwrap_or(&none), now.parts.get(stack).unwrap_or(&none));
            let key = (host.id.clone(), (*stack).clone());
            let held = self.held.remove(&key);
            let known = held.as_ref().unwrap_or(old);
            // An engine that does not answer says nothing of containers. An older agent does not tell it from none.
            let is_silent = new.error.is_some() && new.containers.is_empty();
            let now = (new.incomplete || is_silent).then(|| completed(new, known));
            for (kind, of) in compare(known, now.as_ref().unwrap_or(new)) {
                self.add(host, stack, kind, of, at);
            }
            self.held.extend(now.map(|now| (key, now)));
        }
    }

    fn add(&mut self, host: &Host, stack: &str, kind: ContainerEventKind, of: &ContainerReport, at: i64) {
        let end = matches!(kind, ContainerEventKind::Died | ContainerEventKind::Restarted);
        let wrong = end
            || matches!(
                kind,
                ContainerEventKind::Recreated | ContainerEventKind::Removed | ContainerEventKind::Unhealthy
            );
        let status = match of.state {
            ContainerState::Exited(status) => Some(status),
            _ => of.ended.map(|e| e.status),
        };
        // More than any of a server before this one, so that who was told of those can go on here.
        self.last = (self.last + 1).max(at.unsigned_abs());
        let event = ContainerEvent {
            seq: self.last,
            at: stackyard_api::time(at),
            yard: host.yard.clone(),
            host: host.id.clone(),
            host_name: host.name.clone(),
            stack: stack.to_owned(),
            service: of.replica.service.clone(),
            replica: of.replica.to_string(),
            container: of.id.clone(),
            kind,
            status: status.filter(|_| end),
            oom: end && of.ended.is_some_and(|e| e.oom),
            lines: if wrong { of.last_lines.clone() } else { Vec::new() },
        };
        let share = self.shares.entry(host.id.clone()).or_default();
        (share.events, share.bytes) = (share.events + 1, share.bytes + size(&event));
        self.kept.push_back(event);
        while self.kept.len() > KEEP {
            self.drop_oldest_of_host_with_most(|share| share.events);
        }
        while self.shares.values().map(|share| share.bytes).sum::<usize>() > BYTES {
            self.drop_oldest_of_host_with_most(|share| share.bytes);
        }
    }

    /// Drops the oldest event of the host that has most: a host that tells without end loses its own.
    fn drop_oldest_of_host_with_most(&mut self, of: impl Fn(&HostShare) -> usize) {
        let host = self.shares.iter().max_by_key(|(_, share)| of(share)).map(|(host, _)| host.clone());
        let at = self.kept.iter().position(|e| Some(&e.host) == host.as_ref());
        let Some(gone) = at.and_then(|at| self.kept.remove(at)) else { return };
        if let Some(share) = self.shares.get_mut(&gone.host) {
            (share.events, share.bytes) = (share.events - 1, share.bytes - size(&gone));
        }
        self.shares.retain(|_, share| share.events > 0);
    }

    /// Forgets a host that is none any more; what happened there stays.
    pub fn forget(&mut self, host: &str) {
        self.held.retain(|(of, _), _| of != host);
    }

    /// Number of the last one, of any host; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Those after number `after`, the oldest first.
    pub fn after(&self, after: u64, filter: &EventFilter) -> Vec<ContainerEvent> {
        let start = self.kept.partition_point(|e| e.seq <= after);
        self.kept.range(start..).filter(|e| filter.fits(e)).cloned().collect()
    }

    /// At most `most` of those before number `before`, of all without one, the newest first.
    pub fn before(&self, before: Option<u64>, most: usize, filter: &EventFilter) -> Vec<ContainerEvent> {
        let older = self.kept.iter().rev().filter(|e| before.is_none_or(|b| e.seq < b));
        older.filter(|e| filter.fits(e)).take(most).cloned().collect()
    }
}

/// Bytes of an event, about.
fn size(event: &ContainerEvent) -> usize {
    let texts = [&event.stack, &event.service, &event.replica, &event.container].into_iter().chain(&event.lines);
    size_of::<ContainerEvent>() + texts.map(|t| t.len() + size_of::<String>()).sum::<usize>()
}

/// A part with what was `known` of replicas that it does not list.
fn completed(part: &PartReport, known: &PartReport) -> PartReport {
    let mut part = part.clone();
    let unseen = known.containers.iter().filter(|k| part.containers.iter().all(|c| c.replica != k.replica));
    let unseen: Vec<_> = unseen.cloned().collect();
    part.containers.extend(unseen);
    part
}

/// What is new of a stack on a host, and of which container.
fn compare<'r>(before: &'r PartReport, now: &'r PartReport) -> Vec<(ContainerEventKind, &'r ContainerReport)> {
    let by_name = |part: &'r PartReport| -> BTreeMap<String, &'r ContainerReport> {
        part.containers.iter().map(|c| (c.replica.to_string(), c)).collect()
    };
    let (old, new) = (by_name(before), by_name(now));
    let there = new.iter().flat_map(|(name, container)| {
        changed(old.get(name).copied(), container).into_iter().map(|kind| (kind, *container))
    });
    let gone = old.iter().filter(|(name, _)| !new.contains_key(*name)).map(|(_, c)| (ContainerEventKind::Removed, *c));
    there.chain(gone).collect()
}

/// What happened to one container.
fn changed(before: Option<&ContainerReport>, now: &ContainerReport) -> Vec<ContainerEventKind> {
    let mut all = Vec::new();
    let runs = |c: &ContainerReport| c.state == ContainerState::Running;
    let ended = |c: &ContainerReport| matches!(c.state, ContainerState::Exited(_) | ContainerState::Restarting);
    let same = before.filter(|b| b.id == now.id);
    match (before, same) {
        (None, _) => all.push(ContainerEventKind::Created),
        (Some(_), None) => all.push(ContainerEventKind::Recreated),
        _ => {}
    }
    if now.restarts > same.map_or(0, |b| b.restarts) {
        all.push(ContainerEventKind::Restarted);
    } else if ended(now) && !same.is_some_and(ended) {
        all.push(ContainerEventKind::Died);
    } else if runs(now) && same.is_none_or(|b| !runs(b) || b.started != now.started) {
        all.push(ContainerEventKind::Started);
    }
    let healthy = |c: &ContainerReport| c.healthy.filter(|_| runs(c));
    match (same.and_then(healthy), healthy(now)) {
        (Some(false) | None, Some(true)) => all.push(ContainerEventKind::Healthy),
        (Some(true), Some(false)) => all.push(ContainerEventKind::Unhealthy),
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::agent::{Ended, Replica};

    fn container(id: &str, state: ContainerState) -> ContainerReport {
        ContainerReport {
            replica: Replica { service: "web".into(), index: 1 },
            generation: 1,
            id: id.into(),
            state,
            healthy: None,
            restarts: 0,
            started: Some(1),
            last_lines: Vec::new(),
            ended: None,
            addresses: Default::default(),
            ports: Vec::new(),
        }
    }

    fn report(containers: Vec<ContainerReport>) -> Report {
        let parts = [("site".to_owned(), PartReport { containers, ..PartReport::default() })].into();
        Report { parts, ..Report::default() }
    }

    fn host() -> Host {
        Host {
            id: "h".into(),
            yard: "shop".into(),
            name: "web-1".into(),
            pool: String::new(),
            labels: BTreeMap::new(),
            facts: stackyard_core::agent::Facts::default(),
            address: None,
            joined: 0,
            last_seen: None,
            drain: stackyard_store::Drain::No,
            replace: None,
            revision: 0,
            digest: String::new(),
            removed: None,
        }
    }

    fn taken(reports: &[Report]) -> ContainerEvents {
        let (mut events, mut before) = (ContainerEvents::default(), None);
        for now in reports {
            events.take(&host(), before, now, &BTreeSet::from([&"site".to_owned()]), 1000);
            before = Some(now);
        }
        events
    }

    /// What happens on the way over these reports.
    fn told(reports: &[Report]) -> Vec<(ContainerEventKind, Option<i64>, bool)> {
        let all = taken(reports).after(0, &EventFilter::default());
        all.into_iter().map(|e| (e.kind, e.status, e.oom)).collect()
    }

    #[test]
    fn a_life_is_told_once() {
        let running = container("1", ContainerState::Running);
        let well = ContainerReport { healthy: Some(true), ..running.clone() };
        let ill = ContainerReport { healthy: Some(false), ..running.clone() };
        let dead = container("1", ContainerState::Exited(7));
        let life = [
            report(vec![]),
            report(vec![container("1", ContainerState::Created)]),
            report(vec![ill.clone()]),
            report(vec![well.clone()]),
            report(vec![well]),
            report(vec![ill]),
            report(vec![dead.clone()]),
            report(vec![dead]),
            report(vec![container("2", ContainerState::Running)]),
            report(vec![]),
        ];
        use ContainerEventKind::{Created, Died, Healthy, Recreated, Removed, Started, Unhealthy};
        let all = told(&life);
        let kinds: Vec<ContainerEventKind> = all.iter().map(|e| e.0).collect();
        assert_eq!(kinds, [Created, Started, Healthy, Unhealthy, Died, Recreated, Started, Removed]);
        assert_eq!(all[4], (Died, Some(7), false));
        assert_eq!(told(&life[2..3]), [], "what was there when the server started did not just happen");
    }

    #[test]
    fn one_that_was_started_again_says_how_it_ended() {
        let running = container("1", ContainerState::Running);
        let again = ContainerReport {
            restarts: 1,
            started: Some(9),
            ended: Some(Ended { status: 137, oom: true }),
            ..running.clone()
        };
        assert_eq!(
            told(&[report(vec![running]), report(vec![again])]),
            [(ContainerEventKind::Restarted, Some(137), true)]
        );
    }

    #[test]
    fn an_engine_that_does_not_answer_removes_nothing() {
        let running = report(vec![container("1", ContainerState::Running)]);
        let mut silent = report(vec![]);
        silent.parts.get_mut("site").unwrap().error = Some("no engine".into());
        assert_eq!(told(&[running.clone(), silent.clone()]), []);
        assert_eq!(told(&[running.clone(), silent.clone(), silent.clone(), running.clone()]), [], "nor makes anything");
        let all = told(&[running, silent.clone(), report(vec![container("1", ContainerState::Exited(7))])]);
        assert_eq!(all, [(ContainerEventKind::Died, Some(7), false)], "what happened meanwhile is told");
        let made = told(&[silent, report(vec![container("1", ContainerState::Running)])]);
        assert_eq!(
            made.iter().map(|e| e.0).collect::<Vec<_>>(),
            [ContainerEventKind::Created, ContainerEventKind::Started]
        );
    }

    #[test]
    fn an_engine_that_does_not_tell_of_one_container_does_not_remove_it() {
        let first = container("1", ContainerState::Running);
        let mut second = container("2", ContainerState::Running);
        second.replica.index = 2;
        let died = ContainerReport { state: ContainerState::Exited(7), ..first.clone() };
        let mut unseen = report(vec![died.clone()]);
        unseen.parts.get_mut("site").unwrap().incomplete = true;
        let all = report(vec![first, second.clone()]);
        let end = [(ContainerEventKind::Died, Some(7), false)];
        assert_eq!(told(&[all.clone(), unseen.clone(), unseen.clone()]), end);
        assert_eq!(told(&[all.clone(), unseen.clone(), report(vec![died.clone(), second])]), end, "nor make it");
        let gone = told(&[all, unseen, report(vec![died])]);
        assert_eq!(
            gone.iter().map(|e| e.0).collect::<Vec<_>>(),
            [ContainerEventKind::Died, ContainerEventKind::Removed]
        );
    }

    #[test]
    fn numbers_grow_over_servers_and_those_that_were_told_are_left_out() {
        let life = [report(vec![]), report(vec![container("1", ContainerState::Running)]), report(vec![])];
        let all = EventFilter::default();
        let events = taken(&life);
        let seqs: Vec<u64> = events.after(0, &all).iter().map(|e| e.seq).collect();
        assert_eq!(seqs, [1000, 1001, 1002], "from the time, in milliseconds, on");
        assert_eq!(events.after(1000, &all).len(), 2);
        assert_eq!(events.after(1002, &all), []);
        let newest: Vec<u64> = events.before(None, 2, &all).iter().map(|e| e.seq).collect();
        assert_eq!(newest, [1002, 1001]);
        assert_eq!(events.before(Some(1001), 2, &all).len(), 1);

        let only = |name: &str| EventFilter { only: [name.to_owned()].into(), ..EventFilter::default() };
        for (filter, n) in [(only("web"), 3), (only("web-1@web-1"), 3), (only("web@web-2"), 0), (only("db"), 0)] {
            assert_eq!(events.after(0, &filter).len(), n, "{filter:?}");
        }
        let gone = EventFilter { kind: Some(ContainerEventKind::Removed), ..EventFilter::default() };
        assert_eq!(events.before(None, 9, &gone).len(), 1);
        let other = EventFilter { stack: Some("other".to_owned()), ..EventFilter::default() };
        assert_eq!(events.before(None, 9, &other), []);
    }

    #[test]
    fn many_small_events_of_a_host_displace_no_large_ones_of_others() {
        let stack = "site".to_owned();
        let stacks = BTreeSet::from([&stack]);
        let none = report(vec![]);
        let mut dead = container("1", ContainerState::Exited(1));
        dead.last_lines = vec!["x".repeat(1200); 20];
        let told = report(vec![dead]);
        let mut events = ContainerEvents::default();
        let quiet = Host { id: "quiet".into(), ..host() };
        for at in 0..300 {
            let (before, now) = if at % 2 == 0 { (&none, &told) } else { (&told, &none) };
            events.take(&quiet, Some(before), now, &stacks, at);
        }
        let of_quiet = |events: &ContainerEvents| events.kept.iter().filter(|e| e.host == "quiet").count();
        let before = of_quiet(&events);
        let small = report(vec![container("1", ContainerState::Created)]);
        for at in 0..2 * KEEP as i64 {
            let (old, now) = if at % 2 == 0 { (&none, &small) } else { (&small, &none) };
            events.take(&host(), Some(old), now, &stacks, 1000 + at);
        }
        assert_eq!(events.kept.len(), KEEP);
        assert_eq!(of_quiet(&events), before);
    }

    #[test]
    fn a_host_that_tells_without_end_loses_its_own() {
        let stack = "site".to_owned();
        let stacks = BTreeSet::from([&stack]);
        let (none, mut dead) = (report(vec![]), container("1", ContainerState::Exited(1)));
        dead.last_lines = vec!["x".repeat(1200); 20];
        let loud = report(vec![dead]);
        let mut events = ContainerEvents::default();
        let quiet = Host { id: "quiet".into(), ..host() };
        events.take(&quiet, Some(&none), &report(vec![container("1", ContainerState::Running)]), &stacks, 1);
        for at in 0..2 * KEEP as i64 {
            let (before, now) = if at % 2 == 0 { (&none, &loud) } else { (&loud, &none) };
            events.take(&host(), Some(before), now, &stacks, at);
        }
        let kept = events.after(0, &EventFilter::default());
        assert_eq!(kept.iter().filter(|e| e.host == "quiet").count(), 2, "the other's are still there");
        let bytes: usize = kept.iter().map(size).sum();
        assert!(bytes <= BYTES && bytes > BYTES / 2, "{bytes} bytes in {} events", kept.len());
        assert_eq!(bytes, events.shares.values().map(|share| share.bytes).sum::<usize>());
        assert!(kept.is_sorted_by_key(|e| e.seq));

        // A stack that the host was never told to run.
        let count = events.kept.len();
        let mut forged = report(vec![container("1", ContainerState::Running)]);
        forged.parts = forged.parts.into_values().map(|part| ("payments".to_owned(), part)).collect();
        events.take(&quiet, Some(&none), &forged, &stacks, 1);
        assert_eq!(events.kept.len(), count);
    }
}
