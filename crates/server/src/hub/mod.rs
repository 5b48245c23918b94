//! The agents' hub.
//!
//! ```text
//!                     set_desired                      Seen, changes
//!  reconcilers ──────────────────────> [ host ] ──────────────────────> reconcilers, API
//!                open_stream ─────────>    │    <───────── reports
//!                                    one connection
//! ```
//!
//! One entry a host: what should run there, what it said last, and its connection if it has one.
//! A newer connection of a host takes the place of the older (the machine may have lost its network
//! and not know it). Nothing is queued for a host that is away: it is told the whole picture when it
//! comes. What should run is not kept here over a restart: whoever reconciles says it again, and if
//! that is what the agent has already (by a digest in the store), nothing is sent.

mod bounds;
mod connection;
mod container_events;
mod names;
mod stream;

pub(crate) use bounds::bounded_facts;
pub(crate) use connection::{ConnectionAudit, serve};
pub use container_events::EventFilter;
pub use stream::{AgentStream, Output, StreamInput};

use bounds::{AgentPace, bounded_report};
use connection::AgentLink;
use container_events::ContainerEvents;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};
use stackyard_api::ContainerEvent;
use stackyard_core::agent::{Answer, Desired, NamedContainer, Open, Part, Report, VolumeAnswer, VolumeAsk};
use stackyard_store::{Host, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Times of a connection.
#[derive(Debug, Clone, Copy)]
pub struct HubTiming {
    /// A ping is sent so often.
    pub ping: Duration,
    /// A connection from which nothing came for so long is given up.
    pub silence: Duration,
    /// Time for an agent to take a message, and to say the first one.
    pub patience: Duration,
    /// Stacks are looked after. Without it nobody but the caller says what hosts should run.
    pub stacks: bool,
}

impl Default for HubTiming {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { ping: seconds(20), silence: seconds(60), patience: seconds(30), stacks: true }
    }
}

/// Why a stream cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The host's agent is not connected.
    #[error("host {host} is not connected: its machine is off, cut off, or its agent does not run")]
    Away {
        /// Id of the host.
        host: String,
    },
}

/// What is known of a host.
#[derive(Debug, Clone, Default)]
pub struct HostActivity {
    /// Whether its agent is connected.
    pub connected: bool,
    /// What it said last, since the server started.
    pub report: Option<Arc<Report>>,
    /// What its stacks wait for before they get a volume, by stack and the volume's key.
    pub waits: BTreeMap<(String, String), String>,
}

/// The hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub(Arc<HubState>);

#[derive(Debug)]
struct HubState {
    store: Store,
    timing: HubTiming,
    entries: Mutex<HashMap<String, HostEntry>>,
    changes: watch::Sender<u64>,
    events: Mutex<ContainerEvents>,
    /// Grows when names of containers change.
    names: watch::Sender<u64>,
    /// Agents are told names.
    tells_names: AtomicBool,
    /// Held while a desired state is set, so that revisions are stored in their order.
    order: tokio::sync::Mutex<()>,
}

/// A host.
#[derive(Debug)]
struct HostEntry {
    desired: watch::Sender<Option<Arc<Desired>>>,
    /// Of `desired`'s parts.
    digest: String,
    /// Stacks that the host was told to run since the server started.
    stacks: BTreeSet<String>,
    link: Option<AgentLink>,
    report: Option<Arc<Report>>,
    waits: BTreeMap<(String, String), String>,
    /// The host's yard, once it is known.
    yard: Option<String>,
    /// Names of its containers; absent while they are not known.
    named: Option<Arc<Vec<NamedContainer>>>,
    /// How fast its agent is read, also over connections that follow each other.
    pace: AgentPace,
}

impl Default for HostEntry {
    fn default() -> Self {
        Self {
            desired: watch::Sender::new(None),
            digest: String::new(),
            stacks: BTreeSet::new(),
            link: None,
            report: None,
            waits: BTreeMap::new(),
            yard: None,
            named: None,
            pace: AgentPace::new(Instant::now()),
        }
    }
}

impl Hub {
    pub(crate) fn new(store: Store, timing: HubTiming) -> Self {
        let (changes, order) = (watch::Sender::new(0), tokio::sync::Mutex::default());
        let (entries, events) = (Mutex::default(), Mutex::default());
        let (names, tells_names) = (watch::Sender::new(0), AtomicBool::new(false));
        Self(Arc::new(HubState { store, timing, entries, changes, events, names, tells_names, order }))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, HostEntry>> {
        self.0.entries.lock()
    }

    fn timing(&self) -> HubTiming {
        self.0.timing
    }

    /// Says what should run on a host: all of it. Nothing happens if it is what was said last, also
    /// by a server before this one; else the agent is told, now or when it comes. The revision.
    ///
    /// # Errors
    /// [`stackyard_store::Error`]; nothing was sent then.
    pub async fn set_desired(&self, host: &str, parts: Vec<Part>) -> Result<u64, stackyard_store::Error> {
        let digest = digest(&parts);
        let _order = self.0.order.lock().await;
        let current = {
            let mut entries = self.entries();
            let entry = entries.entry(host.to_owned()).or_default();
            let desired = entry.desired.borrow().clone();
            desired.filter(|_| entry.digest == digest).map(|d| d.revision)
        };
        if let Some(revision) = current {
            return Ok(revision);
        }
        let kept = self.0.store.host(host).await?;
        let yard = kept.as_ref().map(|h| h.yard.clone());
        let (last, same) = kept.map_or((0, false), |h| (h.revision, h.digest == digest));
        let revision = if same {
            last
        } else {
            // More than any before, also where an older store was put back.
            let now = stackyard_api::now().unsigned_abs();
            let revision = now.max(last + 1);
            self.0.store.keep_revision(host, revision, &digest).await?;
            revision
        };
        let mut entries = self.entries();
        let entry = entries.entry(host.to_owned()).or_default();
        entry.digest = digest;
        entry.stacks.extend(parts.iter().map(|p| p.stack().name.clone()));
        entry.yard = yard.or(entry.yard.take());
        entry.desired.send_replace(Some(Arc::new(Desired { revision, parts })));
        entry.forget_waits();
        let renamed = entry.refresh_names();
        drop(entries);
        if renamed {
            self.names_changed();
        }
        Ok(revision)
    }

    /// What should run on a host, if that was said since the server started.
    pub fn desired(&self, host: &str) -> Option<Arc<Desired>> {
        self.entries().get(host).and_then(|e| e.desired.borrow().clone())
    }

    /// What is known of a host.
    pub fn seen(&self, host: &str) -> Option<HostActivity> {
        self.entries().get(host).map(HostEntry::seen)
    }

    /// What is known of all hosts, by id. A host of which nothing is known is not among them.
    pub fn all(&self) -> HashMap<String, HostActivity> {
        self.entries().iter().map(|(id, entry)| (id.clone(), entry.seen())).collect()
    }

    /// Number of agents that are connected.
    pub fn connected(&self) -> usize {
        self.entries().values().filter(|e| e.link.is_some()).count()
    }

    /// A number that grows when a host connects, reports, goes, or is drained. Look at it with
    /// [`watch::Receiver::changed`] and then at the hosts: several changes may come as one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Says that something about hosts changed.
    pub(crate) fn changed(&self) {
        self.0.changes.send_modify(|n| *n += 1);
    }

    fn events(&self) -> MutexGuard<'_, ContainerEvents> {
        self.0.events.lock()
    }

    /// Number of the last thing that happened to a container; 0 before there is one.
    pub fn last_event(&self) -> u64 {
        self.events().last()
    }

    /// What happened to containers after number `after`, as far as it was kept, the oldest first. When there
    /// is more, [`Hub::changes`] says so.
    pub fn events_after(&self, after: u64, filter: &EventFilter) -> Vec<ContainerEvent> {
        self.events().after(after, filter)
    }

    /// At most `most` of what happened to containers before number `before`, or of all, the newest first.
    pub fn events_before(&self, before: Option<u64>, most: usize, filter: &EventFilter) -> Vec<ContainerEvent> {
        self.events().before(before, most, filter)
    }

    /// Opens a stream to a host.
    ///
    /// # Errors
    /// [`HubError::Away`]
    pub fn open_stream(&self, host: &str, open: Open) -> Result<AgentStream, HubError> {
        let away = || HubError::Away { host: host.to_owned() };
        let entries = self.entries();
        let link = entries.get(host).and_then(|e| e.link.as_ref()).ok_or_else(away)?;
        link.open(open).ok_or_else(away)
    }

    /// Ends the connection of a host; its agent comes again.
    pub(crate) fn disconnect(&self, host: &str) {
        if let Some(entry) = self.entries().get_mut(host) {
            entry.link = None;
        }
    }

    /// Ends the connection of a host that is none any more.
    pub(crate) fn forget(&self, host: &str) {
        self.entries().remove(host);
        self.events().forget(host);
        self.names_changed();
        self.changed();
    }

    /// Ends all connections.
    pub(crate) fn close(&self) {
        for entry in self.entries().values_mut() {
            entry.link = None;
        }
    }

    /// Makes a connection the one of its host; what should run there, and the connection whose place it took.
    fn attach(&self, host: &Host, link: AgentLink) -> (watch::Receiver<Option<Arc<Desired>>>, Option<String>) {
        let attached = {
            let mut entries = self.entries();
            let entry = entries.entry(host.id.clone()).or_default();
            entry.yard = Some(host.yard.clone());
            let replaced = entry.link.replace(link).map(|link| link.shown());
            (entry.desired.subscribe(), replaced)
        };
        self.changed();
        attached
    }

    /// When the next message of a host's agent is read, after one of so many bytes.
    fn next_read(&self, host: &str, bytes: usize) -> Instant {
        let now = Instant::now();
        let pace = self.entries().get_mut(host).map(|entry| entry.pace.after(bytes, now));
        now + pace.unwrap_or_default()
    }

    /// A connection has ended; `number` says which, since a newer one may be there.
    fn detach(&self, host: &str, number: u64) {
        if let Some(entry) = self.entries().get_mut(host)
            && entry.link.as_ref().is_some_and(|l| l.number() == number)
        {
            entry.link = None;
        }
        self.changed();
    }

    /// Notes what a host waits for before it gets a volume, or that it waits no longer. Only volumes count that the host
    /// should have: an agent may ask for any name.
    fn note_wait(&self, host: &str, ask: &VolumeAsk, answer: &Answer) {
        let (stack, volume) = ask.volume();
        let why = match answer {
            Answer::Volume(VolumeAnswer::Wait { why }) => Some(why.clone()),
            _ => None,
        };
        let is_new = self.entries().get_mut(host).is_some_and(|entry| {
            let key = (stack.to_owned(), volume.to_owned());
            match &why {
                Some(why) if entry.should_have(stack, volume) => {
                    entry.waits.insert(key, why.clone()).as_ref() != Some(why)
                }
                _ => entry.waits.remove(&key).is_some(),
            }
        });
        if is_new {
            self.changed();
        }
    }

    fn report(&self, host: &Host, number: u64, report: Report) {
        let mut renamed = false;
        if let Some(entry) = self.entries().get_mut(&host.id)
            && entry.link.as_ref().is_some_and(|l| l.number() == number)
        {
            let (report, before) = (bounded_report(report), entry.report.take());
            // Nothing happens to stacks that the host was never told to run.
            let stacks = before.iter().flat_map(|b| b.parts.keys()).chain(report.parts.keys());
            let stacks: BTreeSet<&String> = stacks.filter(|s| entry.stacks.contains(*s)).collect();
            self.events().take(host, before.as_deref(), &report, &stacks, stackyard_api::now());
            entry.report = Some(Arc::new(report));
            renamed = entry.refresh_names();
        }
        if renamed {
            self.names_changed();
        }
        self.changed();
    }
}

impl HostEntry {
    fn seen(&self) -> HostActivity {
        HostActivity { connected: self.link.is_some(), report: self.report.clone(), waits: self.waits.clone() }
    }

    /// Whether a stack with this volume should run on the host.
    fn should_have(&self, stack: &str, volume: &str) -> bool {
        let desired = self.desired.borrow();
        let mut parts = desired.iter().flat_map(|d| &d.parts);
        parts.any(|p| p.name() == stack && p.stack().volumes.contains_key(volume))
    }

    /// Forgets what the host waits for with volumes that it should no longer have.
    fn forget_waits(&mut self) {
        let mut waits = std::mem::take(&mut self.waits);
        waits.retain(|(stack, volume), _| self.should_have(stack, volume));
        self.waits = waits;
    }
}

/// SHA-256 of parts as they are sent, in hexadecimal digits.
fn digest(parts: &[Part]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // Parts are maps of strings and numbers: they always have a JSON form.
        hash.update(serde_json::to_vec(part).unwrap_or_default());
    }
    stackyard_core::text::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::{Stack, Volume};

    fn desired(volumes: &[&str]) -> Option<Arc<Desired>> {
        let volumes = volumes.iter().map(|name| ((*name).to_owned(), Volume::default())).collect();
        let stack = Stack { name: "site".to_owned(), volumes, ..Stack::default() };
        let parts = vec![Part::pack(stack, BTreeMap::new(), BTreeMap::new())];
        Some(Arc::new(Desired { revision: 1, parts }))
    }

    #[test]
    fn a_host_waits_for_volumes_that_it_should_have_alone() {
        let mut entry = HostEntry::default();
        assert!(!entry.should_have("site", "data"), "nothing was said yet");
        entry.desired.send_replace(desired(&["data", "logs"]));
        assert!(entry.should_have("site", "data"));
        assert!(!entry.should_have("site", &"x".repeat(4 << 20)) && !entry.should_have("other", "data"));
        let wait = |volume: &str| (("site".to_owned(), volume.to_owned()), "why".to_owned());
        entry.waits = [wait("data"), wait("logs")].into();
        entry.desired.send_replace(desired(&["logs"]));
        entry.forget_waits();
        assert_eq!(entry.waits, [wait("logs")].into());
    }
}
