//! All stacks of the host: the picture that the server gave, on disk and with a worker for each.

use crate::Error;
use crate::host::Host;
use crate::part::{Progress, Wish, Work, Worker, lock};
use crate::state::Durable;
use stackyard_core::agent::{Desired, Part, Replica};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};

const FILE: &str = "desired.json";

/// The stacks.
pub(crate) struct Parts {
    host: Arc<Host>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    revision: Option<u64>,
    workers: BTreeMap<String, Worker>,
}

/// A stack, as a report needs it.
pub(crate) struct Snapshot {
    pub(crate) name: String,
    /// Absent while it is removed.
    pub(crate) part: Option<Arc<Part>>,
    pub(crate) progress: Progress,
}

impl Parts {
    pub(crate) fn new(host: Arc<Host>) -> Arc<Self> {
        Arc::new(Self { host, inner: Mutex::default() })
    }

    /// Goes on with what is on disk.
    pub(crate) fn begin(self: &Arc<Self>) {
        match self.host.state.read::<Desired>(FILE) {
            Ok(Some(desired)) => {
                self.host.say(format!(
                    "goes on with revision {} of what should run here (stacks: {})",
                    desired.revision,
                    desired.parts.len()
                ));
                self.work(desired);
            }
            Ok(None) => {}
            // Written whole or not at all, so this is another version's or a broken disk's.
            Err(e) => self.host.complain("what the server said last is lost, it will say it again", &e),
        }
    }

    /// Takes over a new picture: to disk, then to the workers.
    pub(crate) fn set(self: &Arc<Self>, desired: Desired) -> Result<(), Error> {
        self.host.state.write(FILE, &desired, Durable::Yes)?;
        self.work(desired);
        Ok(())
    }

    /// Revision of the picture that is on disk.
    pub(crate) fn revision(&self) -> Option<u64> {
        lock(&self.inner).revision
    }

    /// Something happened to the containers of a stack; of all without a name.
    pub(crate) fn poke(&self, name: Option<&str>) {
        for (worker, it) in &lock(&self.inner).workers {
            if name.is_none_or(|n| n == worker) {
                it.poke.notify_one();
            }
        }
    }

    /// Revision, and the stacks with how far they got.
    pub(crate) fn snapshot(&self) -> (Option<u64>, Vec<Snapshot>) {
        let inner = lock(&self.inner);
        let of = |(name, worker): (&String, &Worker)| {
            let part = match &*worker.wish.borrow() {
                Wish::Run(part) => Some(part.clone()),
                Wish::Remove => None,
            };
            Snapshot { name: name.clone(), part, progress: worker.progress().clone() }
        };
        (inner.revision, inner.workers.iter().map(of).collect())
    }

    /// Which replica a service of a stack is.
    pub(crate) fn replica(&self, stack: &str, service: &str) -> Option<Replica> {
        let inner = lock(&self.inner);
        let known = inner.workers.get(stack).and_then(|w| match &*w.wish.borrow() {
            Wish::Run(part) => part.replicas.get(service).cloned(),
            Wish::Remove => None,
        });
        known.or_else(|| parse(service))
    }

    /// Whether all that should run does, and all that should not is gone.
    pub(crate) fn all_well(&self) -> bool {
        let well = |w: &Worker| {
            let progress = w.progress();
            progress.tried && progress.error.is_none()
        };
        lock(&self.inner).workers.values().all(well)
    }

    fn work(self: &Arc<Self>, desired: Desired) {
        if let Err(e) = self.host.handed.use_by(&desired.parts) {
            self.host.complain("images that nothing uses may stay", &e);
        }
        let mut inner = lock(&self.inner);
        inner.revision = Some(desired.revision);
        let mut gone: BTreeSet<String> = inner.workers.keys().cloned().collect();
        // Stacks of an earlier picture, also of one that an agent was killed in.
        match stackyard_platform::stack::known(self.host.state.path()) {
            Ok(known) => gone.extend(known),
            Err(e) => self.host.complain("stacks that should be removed may stay", &e),
        }
        for part in desired.parts {
            gone.remove(part.name());
            self.want(&mut inner, part.name().to_owned(), Wish::Run(Arc::new(part)));
        }
        for name in gone {
            self.want(&mut inner, name, Wish::Remove);
        }
        drop(inner);
        self.host.changed.notify_one();
    }

    fn want(self: &Arc<Self>, inner: &mut Inner, name: String, wish: Wish) {
        if let Some(worker) = inner.workers.get(&name) {
            worker.want(wish);
            return;
        }
        let (sender, receiver) = watch::channel(wish);
        let worker = Worker { wish: sender, poke: Arc::new(Notify::new()), progress: Arc::default() };
        let mut work = Work {
            host: self.host.clone(),
            name: name.clone(),
            wish: receiver,
            poke: worker.poke.clone(),
            progress: worker.progress.clone(),
        };
        inner.workers.insert(name.clone(), worker);
        let parts = self.clone();
        tokio::spawn(async move {
            loop {
                work.run().await;
                // It is removed; unless it is wanted again since.
                let mut inner = lock(&parts.inner);
                if !work.wish.has_changed().unwrap_or(false) {
                    inner.workers.remove(&name);
                    drop(inner);
                    parts.host.changed.notify_one();
                    parts.host.worked.notify_one();
                    return;
                }
            }
        });
    }
}

/// The replica that a service of a part is, by its name.
pub(crate) fn parse(service: &str) -> Option<Replica> {
    let (service, index) = service.rsplit_once('-')?;
    Some(Replica { service: service.to_owned(), index: index.parse().ok()? })
}
