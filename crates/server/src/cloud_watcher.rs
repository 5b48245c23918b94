//! Looks at clouds for those who watch a yard.
//!
//! A look costs a dozen requests, so a cloud is looked at only while somebody watches, and once for
//! all who do and for all yards that are on it:
//!
//! ```text
//! asked ──> none yet, or old ──> look ──> wait 15 s, or 3 while a run goes on ────────┐
//!                                 ^ │ differs: `changes` grows, readers ask again     │
//!                                 │ └──────────────> nobody watches any more: ends    │
//!                                 └───────────────────────────────────────────────────┘
//! ```
//!
//! Who watches holds a receiver of [`CloudWatcher::changes`], as every stream of events does. Whoever asks
//! while a cloud is being watched gets what was seen last, at once.

use crate::own_thread::on_own_thread;
use parking_lot::{Mutex, MutexGuard};
use stackyard_core::text::error_chain;
use stackyard_openstack::{Cloud, CloudConfig, Options, Sources};
use stackyard_yard::Inventory;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Time between two looks at a cloud that is being watched, and age at which a look is old.
const EVERY: Duration = Duration::from_secs(15);
/// The same while something is being done to the cloud.
const SOON: Duration = Duration::from_secs(3);
/// So long after somebody said so that is believed.
const BUSY: Duration = Duration::from_secs(30);
/// So long after the last question nobody watches a cloud any more, whoever listens to events.
const IDLE: Duration = Duration::from_secs(600);
/// How long a question waits for the first look. The look goes on after that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at clouds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CloudWatcher(Arc<WatcherState>);

#[derive(Debug)]
struct WatcherState {
    /// Where clouds.yaml is.
    sources: Sources,
    /// By name in clouds.yaml; empty for the one that variables or files point to.
    clouds: Mutex<HashMap<String, Arc<WatchedCloud>>>,
    /// Grows when a cloud is not as it was.
    changes: watch::Sender<u64>,
}

/// What is known of a cloud.
#[derive(Debug, Clone, Default)]
pub struct CloudSnapshot {
    /// Its name in clouds.yaml, once it was found.
    pub name: Option<String>,
    /// What it had at the last look that succeeded.
    pub inventory: Option<Arc<Inventory>>,
    /// When that was, in milliseconds since 1970.
    pub looked: Option<i64>,
    /// Why it could not be looked at since.
    pub error: Option<String>,
}

#[derive(Default)]
struct WatchedCloud {
    state: Mutex<CachedCloud>,
    /// Number of looks that ended, also in vain.
    looks: watch::Sender<u64>,
    /// Has it looked at before its time.
    wake: Notify,
}

#[derive(Default)]
struct CachedCloud {
    sighting: CloudSnapshot,
    /// When the last look ended.
    ended: Option<Instant>,
    /// When somebody asked last.
    asked: Option<Instant>,
    /// When somebody said last that something is being done to it.
    busy: Option<Instant>,
    /// A task looks after it.
    watched: bool,
    /// A connection that worked, with what it was made from.
    cloud: Option<(String, Cloud)>,
}

impl fmt::Debug for WatchedCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedCloud").finish_non_exhaustive()
    }
}

impl CachedCloud {
    fn is_busy(&self) -> bool {
        self.busy.is_some_and(|at| at.elapsed() < BUSY)
    }
}

impl WatchedCloud {
    fn state(&self) -> MutexGuard<'_, CachedCloud> {
        self.state.lock()
    }
}

impl CloudWatcher {
    /// Looks at clouds that are found in these places.
    pub fn new(sources: Sources) -> Self {
        Self(Arc::new(WatcherState { sources, clouds: Mutex::default(), changes: watch::Sender::default() }))
    }

    /// A number that grows when a cloud is not as it was. Whoever keeps the receiver watches the
    /// clouds that are asked for.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// What is known of the cloud of this name, else of the one that variables and files point to.
    /// Waits for the first look, some seconds at most; `busy` says that something is being done to the
    /// cloud, so that it is to be looked at more often.
    pub async fn at(&self, name: Option<&str>, busy: bool) -> CloudSnapshot {
        let name = name.unwrap_or_default();
        let watched = {
            let mut clouds = self.0.clouds.lock();
            clouds.entry(name.to_owned()).or_default().clone()
        };
        let mut looks = watched.looks.subscribe();
        let begin = {
            let mut state = watched.state();
            state.asked = Some(Instant::now());
            if busy {
                if !state.is_busy() {
                    watched.wake.notify_one();
                }
                state.busy = state.asked;
            }
            let old = state.ended.is_none_or(|at| at.elapsed() > EVERY);
            let begin = !state.watched && old;
            state.watched |= begin;
            if !begin && state.ended.is_some() {
                return state.sighting.clone();
            }
            begin
        };
        if begin {
            tokio::spawn(self.clone().watch(name.to_owned(), watched.clone()));
        }
        let _ = tokio::time::timeout(PATIENCE, looks.changed()).await;
        watched.state().sighting.clone()
    }

    /// Takes what was seen of a cloud for old: whoever asks next waits for another look.
    pub fn forget(&self, name: Option<&str>) {
        let clouds = self.0.clouds.lock();
        if let Some(watched) = clouds.get(name.unwrap_or_default()) {
            watched.state().ended = None;
            watched.wake.notify_one();
        }
    }

    /// Looks at a cloud again and again, until nobody watches.
    async fn watch(self, name: String, watched: Arc<WatchedCloud>) {
        loop {
            let changed = self.clone().look(name.clone(), watched.clone()).await;
            watched.looks.send_modify(|n| *n += 1);
            if changed {
                self.0.changes.send_modify(|n| *n += 1);
            }
            let pause = if watched.state().is_busy() { SOON } else { EVERY };
            let _ = tokio::time::timeout(pause, watched.wake.notified()).await;
            let mut state = watched.state();
            let idle = state.asked.is_none_or(|at| at.elapsed() > IDLE);
            if idle || self.0.changes.is_closed() {
                state.watched = false;
                drop(state);
                // Whoever watches nevertheless asks again.
                self.0.changes.send_modify(|n| *n += 1);
                return;
            }
        }
    }

    /// Looks once; whether what is known changed by it.
    async fn look(self, name: String, watched: Arc<WatchedCloud>) -> bool {
        let (of, at) = (name.clone(), watched.clone());
        let looked = on_own_thread("look", move || self.inventory(of, at)).await.flatten();
        let mut state = watched.state();
        state.ended = Some(Instant::now());
        match looked {
            Ok((name, inventory)) => {
                let last = state.sighting.inventory.as_deref();
                let same = state.sighting.error.is_none() && last.is_some_and(|last| is_same(last, &inventory));
                let looked = Some(stackyard_api::now());
                state.sighting =
                    CloudSnapshot { name: Some(name), inventory: Some(Arc::new(inventory)), looked, error: None };
                !same
            }
            Err(error) => {
                tracing::warn!("looking at cloud {name:?}: {error}");
                // Credentials may be others by now.
                state.cloud = None;
                let same = state.sighting.error.as_ref() == Some(&error);
                state.sighting.error = Some(error);
                !same
            }
        }
    }

    /// What a cloud has, with its name.
    async fn inventory(self, name: String, watched: Arc<WatchedCloud>) -> Result<(String, Inventory), String> {
        // Read for each look, since `cloud up` and people change it.
        let wanted = (!name.is_empty()).then_some(name.as_str());
        let config = CloudConfig::load_from(wanted, &self.0.sources).map_err(|e| error_chain(&e))?;
        let of = format!("{config:?}");
        let known = watched.state().cloud.clone().filter(|(from, _)| *from == of);
        let cloud = match known {
            Some((_, cloud)) => cloud,
            None => {
                let cloud = Cloud::connect(config, Options::default()).await.map_err(|e| error_chain(&e))?;
                watched.state().cloud = Some((of, cloud.clone()));
                cloud
            }
        };
        let taken = Box::pin(Inventory::take(&cloud)).await.map_err(|e| error_chain(&e))?;
        // What was seen before is nearer to the truth than a picture without the volumes.
        if let Some(unseen) = taken.unseen.iter().find(|u| !u.is_forbidden()) {
            return Err(unseen.to_string());
        }
        Ok((cloud.config().name.clone(), taken))
    }
}

/// Whether two looks saw the same, in whatever order.
fn is_same(a: &Inventory, b: &Inventory) -> bool {
    fn tell<T: fmt::Debug>(all: &mut Vec<String>, of: &[T]) {
        all.extend(of.iter().map(|one| format!("{one:?}")));
    }
    let told = |i: &Inventory| {
        let mut all = vec![i.project.clone()];
        tell(&mut all, &i.networks);
        tell(&mut all, &i.subnets);
        tell(&mut all, &i.routers);
        tell(&mut all, &i.ports);
        tell(&mut all, &i.security_groups);
        tell(&mut all, &i.floating_ips);
        tell(&mut all, &i.servers);
        tell(&mut all, &i.keypairs);
        tell(&mut all, &i.server_groups);
        tell(&mut all, &i.volumes);
        if let Some(b) = i.balancing.there() {
            tell(&mut all, &b.balancers);
            tell(&mut all, &b.listeners);
            tell(&mut all, &b.pools);
            tell(&mut all, &b.monitors);
            b.members.values().for_each(|of| tell(&mut all, of));
        }
        tell(&mut all, i.containers.there().map(Vec::as_slice).unwrap_or_default());
        all.sort_unstable();
        all
    };
    told(a) == told(b)
}
