//! All stacks of the host: the picture that the server gave, on disk and with a worker for each.

mod archive;
mod exit_status;
mod fetch;
mod image;
pub(crate) mod report;
mod server_images;
mod worker;

use crate::Error;
use crate::context::Context;
use crate::state::Durable;
use crate::volumes::Volumes;
use archive::ServerArchives;
use exit_status::ExitStatuses;
use fetch::Access;
use server_images::ServerImages;
use stackyard_core::agent::{Desired, Part, Replica};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};
use worker::{StackProgress, StackTarget, StackWorker, WorkerHandle, lock};

const FILE: &str = "desired.json";

/// The stacks.
pub(crate) struct Stacks {
    context: Arc<Context>,
    /// Images that came from the server.
    pub(crate) images: Arc<ServerImages>,
    /// Files that came from the server.
    pub(crate) archives: Arc<ServerArchives>,
    /// Work on a stack has ended: what it used may be unused.
    work_ended: Arc<Notify>,
    volumes: Volumes,
    /// How containers ended last.
    pub(crate) exits: ExitStatuses,
    table: Mutex<StackTable>,
}

#[derive(Default)]
struct StackTable {
    revision: Option<u64>,
    workers: BTreeMap<String, WorkerHandle>,
}

/// A stack, as a report needs it.
pub(crate) struct StackSnapshot {
    pub(crate) name: String,
    /// Absent while it is removed.
    pub(crate) part: Option<Arc<Part>>,
    pub(crate) progress: StackProgress,
}

impl Stacks {
    /// `access` tells where the server answers, once this host has joined.
    pub(crate) fn new(context: Arc<Context>, access: Access, volumes: Volumes) -> Arc<Self> {
        let images = Arc::new(ServerImages::open(context.state.clone(), access.clone()));
        let archives = Arc::new(ServerArchives::open(&context, access));
        Arc::new(Self {
            context,
            images,
            archives,
            work_ended: Arc::default(),
            volumes,
            exits: ExitStatuses::default(),
            table: Mutex::default(),
        })
    }

    /// Goes on with what is on disk.
    pub(crate) fn begin(self: &Arc<Self>) {
        match self.context.state.read::<Desired>(FILE) {
            Ok(Some(desired)) => {
                self.context.say(format!(
                    "resumes with revision {} of what should run here (stacks: {})",
                    desired.revision,
                    desired.parts.len()
                ));
                self.work(desired);
            }
            Ok(None) => {}
            // Written whole or not at all, so this is another version's or a broken disk's.
            Err(e) => self.context.complain("what the server said last is lost, it will say it again", &e),
        }
    }

    /// Takes over a new picture: to disk, then to the workers.
    pub(crate) fn set(self: &Arc<Self>, desired: Desired) -> Result<(), Error> {
        self.context.state.write(FILE, &desired, Durable::Yes)?;
        self.work(desired);
        Ok(())
    }

    /// Revision of the picture that is on disk.
    pub(crate) fn revision(&self) -> Option<u64> {
        lock(&self.table).revision
    }

    /// Something happened to the containers of a stack; of all without a name.
    pub(crate) fn poke(&self, name: Option<&str>) {
        for (worker, it) in &lock(&self.table).workers {
            if name.is_none_or(|n| n == worker) {
                it.poke.notify_one();
            }
        }
    }

    /// Revision, and the stacks with how far they got.
    pub(crate) fn snapshot(&self) -> (Option<u64>, Vec<StackSnapshot>) {
        let table = lock(&self.table);
        let of = |(name, worker): (&String, &WorkerHandle)| {
            let part = match &*worker.target.borrow() {
                StackTarget::Run(part) => Some(part.clone()),
                StackTarget::Remove => None,
            };
            StackSnapshot { name: name.clone(), part, progress: worker.progress().clone() }
        };
        (table.revision, table.workers.iter().map(of).collect())
    }

    /// The replica that a service of a stack is.
    pub(crate) fn replica(&self, stack: &str, service: &str) -> Option<Replica> {
        let table = lock(&self.table);
        let known = table.workers.get(stack).and_then(|w| match &*w.target.borrow() {
            StackTarget::Run(part) => part.replicas.get(service).cloned(),
            StackTarget::Remove => None,
        });
        known.or_else(|| replica_of(service))
    }

    /// Whether all that should run does, and all that should not is gone.
    pub(crate) fn all_well(&self) -> bool {
        let well = |w: &WorkerHandle| {
            let progress = w.progress();
            progress.tried && progress.error.is_none()
        };
        lock(&self.table).workers.values().all(well)
    }

    /// Digests of the archives that stacks mount as they are wanted now.
    fn wanted_archives(&self) -> BTreeSet<String> {
        let (_, stacks) = self.snapshot();
        let parts = stacks.iter().filter_map(|s| s.part.as_ref());
        parts.flat_map(|part| part.archives().into_keys()).map(str::to_owned).collect()
    }

    fn work(self: &Arc<Self>, desired: Desired) {
        if let Err(e) = self.images.use_by(&desired.parts) {
            self.context.complain("images that nothing uses may stay", &e);
        }
        let mut table = lock(&self.table);
        table.revision = Some(desired.revision);
        let mut gone: BTreeSet<String> = table.workers.keys().cloned().collect();
        // Stacks of an earlier picture, also of one that an agent was killed in.
        match stackyard_platform::stack::known(self.context.state.path()) {
            Ok(known) => gone.extend(known),
            Err(e) => self.context.complain("stacks that should be removed may stay", &e),
        }
        match self.volumes.stacks() {
            Ok(known) => gone.extend(known),
            Err(e) => self.context.complain("volumes of removed stacks may stay attached", &e),
        }
        for part in desired.parts {
            gone.remove(part.name());
            self.set_target(&mut table, part.name().to_owned(), StackTarget::Run(Arc::new(part)));
        }
        for name in gone {
            self.set_target(&mut table, name, StackTarget::Remove);
        }
        drop(table);
        self.context.changed.notify_one();
    }

    fn set_target(self: &Arc<Self>, table: &mut StackTable, name: String, target: StackTarget) {
        if let Some(worker) = table.workers.get(&name) {
            worker.set_target(target);
            return;
        }
        let (sender, receiver) = watch::channel(target);
        let handle = WorkerHandle { target: sender, poke: Arc::new(Notify::new()), progress: Arc::default() };
        let mut worker = StackWorker {
            context: self.context.clone(),
            images: self.images.clone(),
            archives: self.archives.clone(),
            work_ended: self.work_ended.clone(),
            volumes: self.volumes.clone(),
            name: name.clone(),
            target: receiver,
            poke: handle.poke.clone(),
            progress: handle.progress.clone(),
        };
        table.workers.insert(name.clone(), handle);
        let stacks = self.clone();
        tokio::spawn(async move {
            loop {
                worker.run().await;
                // It is removed; unless it is wanted again since.
                let mut table = lock(&stacks.table);
                if !worker.target.has_changed().unwrap_or(false) {
                    table.workers.remove(&name);
                    drop(table);
                    stacks.context.changed.notify_one();
                    stacks.work_ended.notify_one();
                    return;
                }
            }
        });
    }
}

/// Removes images and files that nothing uses any more, whenever work on stacks has ended, for ever.
pub(crate) async fn tidy(context: &Context, stacks: &Stacks) {
    loop {
        stacks.work_ended.notified().await;
        if !stacks.all_well() {
            continue;
        }
        let Ok(engine) = context.engine() else { continue };
        server_images::remove_unused(context, &stacks.images, engine.docker()).await;
        archive::remove_unused(context, stacks, engine.docker()).await;
    }
}

/// The replica that a service of a part is, by its name.
pub(crate) fn replica_of(service: &str) -> Option<Replica> {
    let (service, index) = service.rsplit_once('-')?;
    Some(Replica { service: service.to_owned(), index: index.parse().ok()? })
}
