//! One look at all stacks: decides, writes down what changed, tells the hosts.

use super::{Key, StackError, StackTable, Stacks, volumes};
use crate::hub::HostActivity;
use stackyard_core::agent::{Part, Report};
use stackyard_core::health::Health;
use stackyard_core::rollout::{self, HostReport, Input, Status};
use stackyard_core::stack::place::{Host, HostState, Taken};
use stackyard_store::Host as Row;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the files of stacks are looked through although versions mount the same ones.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// What hosts should run, by host and stack.
type Parts = BTreeMap<String, BTreeMap<String, Part>>;

impl Stacks {
    /// Looks; true while something is on its way.
    ///
    /// # Errors
    /// [`StackError::Store`]; the next look goes on.
    pub(super) async fn look(&self) -> Result<bool, StackError> {
        let mut known = self.known().await?;
        let rows = self.0.store.hosts(None, None).await?;
        let seen = self.0.hub.all();
        self.note_away(&mut known, &rows, &seen);
        let mut parts: Parts = rows.iter().map(|h| (h.id.clone(), BTreeMap::new())).collect();
        let mut busy = false;
        let keys: Vec<Key> = known.stacks.keys().cloned().collect();
        for key in keys {
            let hosts = self.hosts(&known, &rows, &seen, &key);
            busy |= self.stack(&mut known, &key, &hosts, &seen, &mut parts).await?;
        }
        // What was decided is written by now; then hosts may know it.
        for (host, parts) in parts {
            let parts: Vec<Part> = parts.into_values().collect();
            if known.told.get(&host) != Some(&parts) {
                self.0.hub.set_desired(&host, parts.clone()).await?;
                known.told.insert(host, parts);
            }
        }
        self.0.hub.tell_names();
        self.collect_archives(&mut known);
        let there: BTreeSet<&String> = rows.iter().map(|h| &h.id).collect();
        known.told.retain(|host, _| there.contains(host));
        drop(known);
        self.0.looked.send_modify(|n| *n += 1);
        Ok(busy)
    }

    /// Removes files that no version of a stack mounts: when versions mount others than before, and now and then, for
    /// uploads whose stack never came.
    fn collect_archives(&self, known: &mut StackTable) {
        let mut used = BTreeSet::new();
        for ((yard, _), entry) in &known.stacks {
            let archives = entry.kept.history.iter().flat_map(|v| v.stack.archives().into_keys());
            used.extend(archives.map(|digest| (yard.clone(), digest.to_owned())));
        }
        let is_done = |(when, last): &(Instant, BTreeSet<_>)| when.elapsed() < COLLECT_EVERY && *last == used;
        if known.collected.as_ref().is_some_and(is_done) {
            return;
        }
        known.collected = match self.0.archives.collect(&used) {
            Ok(()) => Some((Instant::now(), used)),
            Err(error) => {
                tracing::error!("cannot remove files that no stack mounts: {error}");
                None
            }
        };
    }

    /// Notes since when hosts are away.
    fn note_away(&self, known: &mut StackTable, rows: &[Row], seen: &HashMap<String, HostActivity>) {
        let connected = |id: &String| seen.get(id).is_some_and(|s| s.connected);
        known.away.retain(|id, _| !connected(id) && rows.iter().any(|h| h.id == *id));
        known.seen.retain(|id| rows.iter().any(|h| h.id == *id));
        known.seen.extend(rows.iter().filter(|h| connected(&h.id)).map(|h| h.id.clone()));
        for host in rows.iter().filter(|h| !connected(&h.id)) {
            known.away.entry(host.id.clone()).or_insert_with(Instant::now);
        }
    }

    /// Hosts of a stack's yard, with what other stacks have on them.
    fn hosts(&self, known: &StackTable, rows: &[Row], seen: &HashMap<String, HostActivity>, key: &Key) -> Vec<Host> {
        let host = |row: &Row| {
            let grace = if known.seen.contains(&row.id) { self.0.rules.grace } else { self.0.return_within };
            let lost = known.away.get(&row.id).is_some_and(|since| since.elapsed() >= grace);
            let state = match (lost, row.drain.is_on(), seen.get(&row.id).is_some_and(|s| s.connected)) {
                (true, ..) => HostState::Lost,
                (_, true, _) => HostState::Drained,
                (_, _, true) => HostState::Ready,
                (_, _, false) => HostState::Away,
            };
            Host {
                id: row.id.clone(),
                name: row.name.clone(),
                pool: Some(row.pool.clone()).filter(|p| !p.is_empty()),
                nova_server: row.facts.server_id.is_some(),
                labels: row.labels.clone(),
                arch: row.facts.arch.clone(),
                nano_cpus: u64::from(row.facts.cpus) * 1_000_000_000,
                memory: row.facts.memory,
                address: row.address,
                state,
                taken: taken(known, key, &row.id),
            }
        };
        rows.iter().filter(|row| row.yard == key.0).map(host).collect()
    }

    /// Looks at one stack; true while something of it is on its way.
    async fn stack(
        &self,
        known: &mut StackTable,
        key: &Key,
        hosts: &[Host],
        seen: &HashMap<String, HostActivity>,
        parts: &mut Parts,
    ) -> Result<bool, StackError> {
        let reports: Vec<(String, Arc<Report>)> = hosts
            .iter()
            .filter(|h| matches!(h.state, HostState::Ready | HostState::Drained))
            .filter_map(|h| {
                let seen = seen.get(&h.id).filter(|s| s.connected)?;
                Some((h.id.clone(), seen.report.clone()?))
            })
            .collect();
        let heard: BTreeMap<String, HostReport<'_>> = reports
            .iter()
            .map(|(id, report)| {
                let current = self.0.hub.desired(id).is_some_and(|d| d.revision == report.revision);
                (id.clone(), HostReport { part: report.parts.get(&key.1), settled: report.settled && current })
            })
            .collect();
        let Some(entry) = known.stacks.get(key) else { return Ok(false) };
        if entry.kept.removing {
            return self.leave(known, key, hosts, &heard, seen).await;
        }
        let now = stackyard_api::now();
        let input = Input { history: &entry.kept.history, hosts, reports: &heard, now };
        let mut output = rollout::step(input, entry.kept.state.clone());
        for (host, part) in &output.parts {
            let Some(seen) = seen.get(host).filter(|s| s.connected) else { continue };
            let name = hosts.iter().find(|h| h.id == *host).map_or(host.as_str(), |h| h.name.as_str());
            volumes::tell_waits(&mut output.status, name, part, &seen.waits);
        }
        let works = output.status.health == Health::Ready
            && entry.kept.history.first().is_some_and(|v| !v.worked && v.number == output.state.version);
        if works || output.state != entry.kept.state {
            let mut kept = entry.kept.clone();
            kept.state = output.state;
            if let Some(newest) = kept.history.first_mut() {
                newest.worked |= works;
            }
            kept.history = rollout::needed(kept.history, &kept.state);
            self.keep(known, key.clone(), kept).await?;
        }
        for (host, part) in output.parts {
            parts.entry(host).or_default().insert(key.1.clone(), part);
        }
        let busy = output.status.health != Health::Ready;
        if let Some(entry) = known.stacks.get_mut(key)
            && entry.status != output.status
        {
            entry.status = output.status;
            self.changed();
        }
        Ok(busy)
    }

    /// A stack that is to go: forgotten when no host that is there has anything of it.
    async fn leave(
        &self,
        known: &mut StackTable,
        key: &Key,
        hosts: &[Host],
        heard: &BTreeMap<String, HostReport<'_>>,
        seen: &HashMap<String, HostActivity>,
    ) -> Result<bool, StackError> {
        // It was told before this look that the stack is to go: `told` has no part of it.
        let told = |id: &String| known.told.get(id).is_some_and(|parts| parts.iter().all(|p| p.name() != key.1));
        let gone = |host: &Host| match host.state {
            HostState::Lost => true,
            HostState::Away => false,
            HostState::Ready | HostState::Drained => {
                heard.get(&host.id).is_some_and(|r| r.settled && r.part.is_none()) && told(&host.id)
            }
        };
        let left: Vec<&Host> = hosts.iter().filter(|h| !gone(h)).collect();
        let errors = left.iter().filter_map(|h| {
            let error = heard.get(&h.id)?.part?.error.as_ref()?;
            Some(format!("{}: {error}", h.name))
        });
        let waits = left.iter().filter_map(|h| Some((h, seen.get(&h.id).filter(|s| s.connected)?)));
        let waits = waits.flat_map(|(h, seen)| {
            let of_stack = seen.waits.iter().filter(|((stack, _), _)| *stack == key.1);
            of_stack.map(|(_, why)| format!("{}: {why}", h.name))
        });
        let reasons: Vec<String> = errors.chain(waits).collect();
        if left.is_empty() {
            self.forget(known, key).await?;
            return Ok(false);
        }
        if let Some(entry) = known.stacks.get_mut(key) {
            let leaving = Status { health: Health::Progressing, services: Vec::new(), reasons, ..entry.status.clone() };
            if entry.status != leaving {
                entry.status = leaving;
                self.changed();
            }
        }
        Ok(true)
    }
}

/// What other stacks have on a host.
fn taken(known: &StackTable, key: &Key, host: &str) -> Taken {
    let mut taken = Taken::default();
    for (_, entry) in known.stacks.iter().filter(|(k, e)| k.0 == key.0 && *k != key && !e.kept.removing) {
        for slot in entry.kept.state.slots.iter().filter(|s| s.host == host) {
            let service = &slot.replica.service;
            let version = entry.kept.history.iter().find(|v| v.generations.get(service) == Some(&slot.generation));
            if let Some(service) = version.and_then(|v| v.stack.services.get(service)) {
                taken.add(&Taken::by(service));
            }
        }
    }
    taken
}
