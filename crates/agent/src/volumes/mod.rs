//! Cinder volumes of stacks on this host: attached by the server, found by their ids, mounted before their container is
//! created, unmounted before another host gets them.
//!
//! ```text
//!            Attach?  ──> Attached(id)     disk, file system, mount      container
//!   Asked ─────────────────> Attached ────────────────────────────────> bind mount of `data`
//!     ^                         │  container removed, unmounted, and no other mount anywhere
//!     │ wanted again            v
//!     └───────────────────── Unmounted ──> Detach! ──> Detached: forgotten
//! ```
//!
//! The ledger has a file for each volume, written before what it stands for: killed at any point, the agent finds there
//! what may be attached or mounted. Only an attached volume is mounted, and one that was unmounted to be detached is
//! asked for again first. A disk that is attached needs no server: a host that boots while the server is away mounts it.
//!
//! A container gets the directory `data` of the volume as a bind mount that Docker does not create. If the volume is not
//! mounted, there is no such directory, and Docker refuses to start the container: nothing is ever written next to a
//! volume ([ADR 19](../../../../docs/adr/0019-volumes-as-bind-mounts.md)).

mod ledger;
mod mount;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::prepare::Devices;
use crate::server_link::rpc::AskServer;
use crate::state::StateDir;
use futures_util::future::join_all;
use ledger::{LedgerPhase, VolumeLedger};
use stackyard_core::agent::{Answer, Ask, VolumeAnswer, VolumeAsk};
use stackyard_core::progress::Onlooker;
use stackyard_core::stack::cinder_volume::is_volume_key;
use stackyard_core::stack::{Bind, Filesystem, MountKind, Stack};
use stackyard_core::text::error_chain;
use stackyard_ports::KeyedMutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// Directory of a volume that its container gets. There is none in the empty directory below the mount.
const DATA: &str = "data";

/// How long the kernel may take to show a disk that is attached.
const APPEAR: Duration = Duration::from_secs(20);

/// How often a disk is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The volumes of this host's stacks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Volumes(Arc<VolumesState>);

struct VolumesState {
    /// Asks the server.
    server: Arc<dyn AskServer>,
    onlooker: Arc<dyn Onlooker>,
    devices: Devices,
    /// Where volumes are mounted: a directory for each stack, in it one for each volume.
    dir: PathBuf,
    ledger: VolumeLedger,
    /// Held while something is done about a volume.
    turns: KeyedMutex,
}

/// The volumes of a stack that are not mounted, by key, each with the reason for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MissingVolumes {
    /// They come once something else has happened.
    pub(crate) waits: BTreeMap<String, String>,
    /// Something went wrong.
    pub(crate) failed: BTreeMap<String, String>,
}

/// Why a volume is not mounted, or not released.
enum VolumeDelay {
    Waits(String),
    Failed(String),
}

impl MissingVolumes {
    /// The services of a stack whose volumes are missing, and those that share their name spaces.
    pub(crate) fn withheld(&self, stack: &Stack) -> BTreeSet<String> {
        let is_missing = |key: &str| self.waits.contains_key(key) || self.failed.contains_key(key);
        let uses = |(name, s): (&String, &stackyard_core::stack::Service)| {
            stack.cinder_volumes(s).any(is_missing).then(|| name.clone())
        };
        let mut out: BTreeSet<String> = stack.services.iter().filter_map(uses).collect();
        loop {
            let shares = |s: &stackyard_core::stack::Service| s.shares().into_iter().any(|other| out.contains(other));
            let more: Vec<String> =
                stack.services.iter().filter(|(n, s)| !out.contains(*n) && shares(s)).map(|(n, _)| n.clone()).collect();
            if more.is_empty() {
                return out;
            }
            out.extend(more);
        }
    }

    /// The failures, each as one of the container that should have the volume.
    pub(crate) fn failures(&self, stack: &Stack) -> Option<String> {
        let of = |(key, why): (&String, &String)| {
            let name = stack.cinder_users(key).next().unwrap_or(key);
            format!("container {name}: volume {key}: {why}")
        };
        let all: Vec<String> = self.failed.iter().map(of).collect();
        (!all.is_empty()).then(|| all.join("\n\n"))
    }
}

impl Volumes {
    /// Volumes below the state directory `state`.
    ///
    /// # Errors
    /// [`Error::File`]
    pub(crate) fn open(
        state: &StateDir,
        server: Arc<dyn AskServer>,
        devices: Devices,
        onlooker: Arc<dyn Onlooker>,
    ) -> Result<Self, Error> {
        let (dir, ledger) = (state.path().join("volumes"), VolumeLedger::open(state)?);
        Ok(Self(Arc::new(VolumesState { server, onlooker, devices, dir, ledger, turns: KeyedMutex::default() })))
    }

    /// Stacks that may have a volume attached to this host.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Invalid`].
    pub(crate) fn stacks(&self) -> Result<BTreeSet<String>, Error> {
        Ok(self.0.ledger.all()?.into_iter().map(|e| e.stack).collect())
    }

    /// Keys of a stack's Cinder volumes that its services mount, with their file systems.
    fn wanted(stack: &Stack) -> BTreeMap<String, Result<Filesystem, String>> {
        let keys = stack.services.values().flat_map(|s| stack.cinder_volumes(s));
        let keys: BTreeSet<&str> = keys.collect();
        let filesystem = |key: &str| stack.volumes[key].cinder().map(|v| v.filesystem);
        keys.into_iter().map(|key| (key.to_owned(), filesystem(key))).collect()
    }

    fn place(&self, stack: &str, key: &str) -> PathBuf {
        self.0.dir.join(stack).join(key)
    }

    /// Turns mounts of Cinder volumes into bind mounts of where they are mounted here. It is the same each time, whether
    /// they are mounted or not.
    pub(crate) fn bind(&self, stack: &mut Stack) {
        let cinder: BTreeSet<String> =
            stack.volumes.iter().filter(|(_, v)| v.is_cinder()).map(|(k, _)| k.clone()).collect();
        for mount in stack.services.values_mut().flat_map(|s| &mut s.volumes) {
            if let MountKind::Volume { name, .. } = &mount.kind
                && cinder.contains(name)
            {
                let source = self.place(&stack.name, name).join(DATA).display().to_string();
                mount.kind = MountKind::Bind(Bind { source, create_host_path: false, propagation: None });
            }
        }
        stack.volumes.retain(|key, _| !cinder.contains(key));
    }

    /// Attaches and mounts the volumes that a stack's services have, all at once; which are missing.
    pub(crate) async fn bring(&self, stack: &Stack) -> MissingVolumes {
        let each = Self::wanted(stack).into_iter().map(async |(key, filesystem)| {
            let (volumes, name, of) = (self.clone(), stack.name.clone(), key.clone());
            // It is carried out to its end, also when the caller has another goal by then.
            let work = tokio::spawn(async move {
                let filesystem = filesystem.map_err(VolumeDelay::Failed)?;
                volumes.bring_one(&name, &of, filesystem).await
            });
            (key, work.await.unwrap_or_else(|e| Err(VolumeDelay::Failed(format!("the agent failed: {e}")))))
        });
        let mut missing = MissingVolumes::default();
        for (key, result) in join_all(each).await {
            match result {
                Ok(()) => {}
                Err(VolumeDelay::Waits(why)) => drop(missing.waits.insert(key, why)),
                Err(VolumeDelay::Failed(why)) => drop(missing.failed.insert(key, why)),
            }
        }
        missing
    }

    async fn bring_one(&self, stack: &str, key: &str, filesystem: Filesystem) -> Result<(), VolumeDelay> {
        if !is_volume_key(key) {
            return Err(VolumeDelay::Failed(format!("{key:?} cannot name a volume")));
        }
        let turn = self.turn(stack, key).await;
        let id = self.attach(stack, key).await?;
        let began = Instant::now();
        while !self.has_disk(&id) {
            if began.elapsed() > APPEAR {
                let text = format!("the disk of volume {id} has not appeared within {} s", APPEAR.as_secs());
                return Err(VolumeDelay::Waits(text));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let (state, place) = (self.0.clone(), self.place(stack, key));
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            mount::mount(&id, filesystem, &place, &state.devices, state.ledger.state(), &*state.onlooker)?;
            let data = place.join(DATA);
            std::fs::create_dir_all(&data).map_err(|e| format!("cannot make directory {}: {e}", data.display()))
        });
        work.await.unwrap_or_else(|e| Err(e.to_string())).map_err(VolumeDelay::Failed)
    }

    /// Has a volume attached, and remembers that; its id. What is attached already is not asked for.
    async fn attach(&self, stack: &str, key: &str) -> Result<String, VolumeDelay> {
        let ledger = &self.0.ledger;
        let known = ledger.read(stack, key).map_err(|e| VolumeDelay::Failed(error_chain(&e)))?;
        if let Some(LedgerPhase::Attached { id }) = &known
            && self.has_disk(id)
        {
            return Ok(id.clone());
        }
        let write =
            |phase: LedgerPhase| ledger.write(stack, key, phase).map_err(|e| VolumeDelay::Failed(error_chain(&e)));
        if !matches!(known, Some(LedgerPhase::Attached { .. } | LedgerPhase::Asked)) {
            write(LedgerPhase::Asked)?;
        }
        match self.ask(VolumeAsk::Attach { stack: stack.to_owned(), volume: key.to_owned() }).await? {
            VolumeAnswer::Attached { id } => {
                write(LedgerPhase::Attached { id: id.clone() })?;
                Ok(id)
            }
            VolumeAnswer::Wait { why } => Err(VolumeDelay::Waits(why)),
            VolumeAnswer::Detached => Err(VolumeDelay::Failed("the server's answer fits another question".to_owned())),
        }
    }

    /// Unmounts the volumes that a stack had here but for those in `kept`, and has them detached. What still waits, in
    /// words.
    ///
    /// # Errors
    /// Why one cannot be unmounted or detached, for people.
    pub(crate) async fn release(&self, stack: &str, kept: &BTreeSet<String>) -> Result<Option<String>, String> {
        let known = self.0.ledger.all().map_err(|e| error_chain(&e))?;
        let leaving = known.into_iter().filter(|e| e.stack == stack && !kept.contains(&e.volume));
        let each = leaving.map(async |entry| {
            let volumes = self.clone();
            let work = tokio::spawn(async move { volumes.release_one(&entry.stack, &entry.volume).await });
            work.await.unwrap_or_else(|e| Err(VolumeDelay::Failed(format!("the agent failed: {e}"))))
        });
        let (mut waits, mut failed) = (Vec::new(), Vec::new());
        for result in join_all(each).await {
            match result {
                Ok(()) => {}
                Err(VolumeDelay::Waits(why)) => waits.push(why),
                Err(VolumeDelay::Failed(why)) => failed.push(why),
            }
        }
        if failed.is_empty() { Ok((!waits.is_empty()).then(|| waits.join("; "))) } else { Err(failed.join("; ")) }
    }

    async fn release_one(&self, stack: &str, key: &str) -> Result<(), VolumeDelay> {
        let turn = self.turn(stack, key).await;
        let (state, place) = (self.0.clone(), self.place(stack, key));
        let (of, name) = (stack.to_owned(), key.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let known = state.ledger.read(&of, &name).map_err(|e| error_chain(&e))?;
            if let Some(LedgerPhase::Attached { id }) = known {
                mount::unmount(&id, &place, &state.devices)?;
                state.ledger.write(&of, &name, LedgerPhase::Unmounted).map_err(|e| error_chain(&e))?;
            }
            Ok::<_, String>(turn)
        });
        let _turn = work
            .await
            .unwrap_or_else(|e| Err(e.to_string()))
            .map_err(|why| VolumeDelay::Failed(format!("volume {key} of stack {stack}: {why}")))?;
        match self.ask(VolumeAsk::Detach { stack: stack.to_owned(), volume: key.to_owned() }).await? {
            VolumeAnswer::Detached => {
                self.0.ledger.remove(stack, key).map_err(|e| VolumeDelay::Failed(error_chain(&e)))?;
                // Empty directories; they do no harm if they stay.
                let _ = std::fs::remove_dir(self.place(stack, key));
                let _ = std::fs::remove_dir(self.0.dir.join(stack));
                Ok(())
            }
            VolumeAnswer::Wait { why } => Err(VolumeDelay::Waits(why)),
            VolumeAnswer::Attached { .. } => {
                Err(VolumeDelay::Failed("the server's answer fits another question".to_owned()))
            }
        }
    }

    /// Asks the server; one that is away passes.
    async fn ask(&self, ask: VolumeAsk) -> Result<VolumeAnswer, VolumeDelay> {
        match self.0.server.ask(Ask::Volume(ask)).await {
            Ok(Answer::Volume(answer)) => Ok(answer),
            Ok(Answer::Refused { why }) => Err(VolumeDelay::Failed(why)),
            Ok(_) => Err(VolumeDelay::Failed("the server's answer fits another question".to_owned())),
            Err(why) => Err(VolumeDelay::Waits(why)),
        }
    }

    fn has_disk(&self, id: &str) -> bool {
        self.0.devices.of_volume(id).iter().any(|device| device.exists())
    }

    async fn turn(&self, stack: &str, key: &str) -> OwnedMutexGuard<()> {
        self.0.turns.lock(&format!("{stack}:{key}")).await
    }
}
