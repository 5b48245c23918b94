//! Stacks over the hosts of a yard.
//!
//! ```text
//!  API ── deploy, update, scale, roll back, remove ──> [ Stacks ] ──> store
//!                                                 │  ^
//!                       core::rollout::step│  │ reports, connections, drains
//!                                                 v  │
//!                                                [ Hub ] ──> agents
//! ```
//!
//! [`Stacks`] knows all stacks (read once, written before anything is done with a change) and
//! decides again whenever something happened and from time to time: [`Stacks::run`]. A look takes
//! no input but what there is, and two in a row do what one does, so it does not matter what wakes
//! it. What hosts should run is derived anew each time and told to the hub, which tells agents
//! only what changed.
//!
//! A removed stack stays until no host that is there runs anything of it.

mod image;
mod left_volumes;
mod network;
mod reconcile;
mod record;
mod update;
mod volumes;

use crate::archive::{ArchiveKey, Archives};
use crate::hub::Hub;
use crate::ports::Ports;
use left_volumes::left_volumes;
use record::StackRecord;
use stackyard_core::agent::Part;
use stackyard_core::health::Health;
use stackyard_core::rollout::{self, Status, Version};
use stackyard_core::stack::{NetworkNote, Stack};
use stackyard_core::text::error_chain;
use stackyard_store::Store;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify, watch};

/// A look at least so often while something is on its way.
const SOON: Duration = Duration::from_secs(1);

/// A look at least so often.
const LATE: Duration = Duration::from_secs(10);

/// How long agents have, after the server's start, to connect again: twice the longest pause between two attempts of an
/// agent (`agent::backoff`, 60 s), and the time of a handshake. Until then no host is lost that has not been seen yet.
const RETURN_WITHIN: Duration = Duration::from_secs(150);

/// Changes within this time make one look.
const GATHER: Duration = Duration::from_millis(150);

/// Why something about a stack cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// There is no such stack.
    #[error("yard {yard} has no stack {name}")]
    Missing {
        /// The yard.
        yard: String,
        /// The stack.
        name: String,
    },
    /// There is no such service.
    #[error("stack {stack} has no service {service}{}", there_are(.known))]
    NoService {
        /// The stack.
        stack: String,
        /// The service.
        service: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// It cannot be so.
    #[error("{0}")]
    Refused(
        /// Why, and what to do.
        String,
    ),
    /// It is being removed.
    #[error("stack {0} is being removed; wait until it is gone")]
    Leaving(
        /// The stack.
        String,
    ),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] stackyard_store::Error),
}

fn there_are(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!(" (there are: {})", known.join(", ")) }
}

/// A stack by yard and name.
type Key = (String, String);

/// The stacks of all yards. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stacks(Arc<StacksState>);

/// What the administrator of a server says about its stacks.
#[derive(Debug, Clone, Copy)]
pub struct StackRules {
    /// A host that is not connected for so long is lost.
    pub grace: Duration,
    /// Hosts get an image of the server's Docker Engine only if it is labelled for their yard.
    pub labelled_images: bool,
}

#[derive(Debug)]
struct StacksState {
    store: Store,
    hub: Hub,
    /// Files that stacks carry to their hosts.
    archives: Archives,
    /// Clouds of yards.
    ports: Ports,
    rules: StackRules,
    /// How long agents have to connect for the first time since the server started.
    return_within: Duration,
    known: Mutex<StackTable>,
    wake: Notify,
    /// Grows with each look.
    looked: watch::Sender<u64>,
    /// Grows when a stack comes, goes, is changed or stands otherwise than before.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct StackTable {
    /// Whether the store was read.
    read: bool,
    stacks: BTreeMap<Key, StackEntry>,
    /// Since when hosts are away.
    away: HashMap<String, Instant>,
    /// Hosts that were connected since the server started.
    seen: HashSet<String>,
    /// What hosts were told last.
    told: HashMap<String, Vec<Part>>,
    /// When the files of stacks were last compared with the archives that versions mount, and which these were.
    collected: Option<(Instant, BTreeSet<ArchiveKey>)>,
}

#[derive(Debug)]
struct StackEntry {
    kept: StackRecord,
    /// How it stood at the last look.
    status: Status,
}

/// A stack to deploy.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The stack.
    pub stack: Stack,
    /// Only hosts of this pool are used.
    pub pool: Option<String>,
    /// It is in the yard's manifest.
    pub declared: bool,
    /// What decides where its networks are.
    pub networks: NetworkChoice,
}

/// What decides where the networks of a stack are that name no driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkChoice {
    /// The manifest that the server keeps of the yard.
    Kept,
    /// `stackNetwork` of a manifest.
    Value(String),
    /// They are settled, as of a version.
    Settled,
}

/// What deploying a stack would do, or did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentChanges {
    /// What becomes of each service, by name.
    pub services: BTreeMap<String, ServiceChange>,
    /// Sentences about the networks of services.
    pub notes: Vec<NetworkNote>,
}

/// A stack as it stands.
#[derive(Debug, Clone)]
pub struct DeployedStack {
    /// Its yard.
    pub yard: String,
    /// Its name.
    pub name: String,
    /// It is being removed.
    pub removing: bool,
    /// The newest version.
    pub stack: Stack,
    /// Only hosts of this pool are used.
    pub pool: Option<String>,
    /// It came from the yard's manifest.
    pub declared: bool,
    /// Its versions that are kept, the newest first.
    pub versions: Vec<DeployedVersion>,
    /// Number of the version that a roll back without a number goes to.
    pub before: Option<u64>,
    /// When it was last deployed, in milliseconds since 1970.
    pub deployed: i64,
    /// How it stands.
    pub status: Status,
}

/// A version of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployedVersion {
    /// Its number.
    pub number: u64,
    /// All of it worked once.
    pub worked: bool,
}

/// What deploying a stack would do, or did, to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceChange {
    /// There was none.
    New,
    /// It differs in these parts.
    Changed(Vec<String>),
    /// It goes.
    Removed,
    /// It stays as it is.
    Same,
}

impl Stacks {
    /// The stacks in `store`, for the agents of `hub`, with the files in `archives`. `ports` knows the yards' clouds.
    ///
    /// After a start, agents connect again only after a pause that grows: a host that has not been connected since then is
    /// lost after 150 s at the earliest, whatever `rules` say.
    pub fn new(store: Store, hub: Hub, archives: Archives, ports: Ports, rules: StackRules) -> Self {
        let (known, wake) = (Mutex::default(), Notify::new());
        let (looked, changes) = (watch::Sender::new(0), watch::Sender::new(0));
        let return_within = RETURN_WITHIN.max(rules.grace);
        Self(Arc::new(StacksState { store, hub, archives, ports, rules, return_within, known, wake, looked, changes }))
    }

    /// Checks what can be checked before a stack is deployed, and finds the images that hosts are to
    /// get from here: id by reference.
    async fn checked(&self, yard: &str, stack: &Stack) -> Result<BTreeMap<String, String>, StackError> {
        rollout::check(stack).map_err(|e| StackError::Refused(e.to_string()))?;
        image::local(stack, yard, self.0.rules.labelled_images).await
    }

    /// Keeps the stacks as they should be, for ever.
    pub async fn run(self) {
        let mut changes = self.0.hub.changes();
        loop {
            let busy = match self.look().await {
                Ok(busy) => busy,
                Err(error) => {
                    tracing::error!("stacks: {}", error_chain(&error));
                    true
                }
            };
            let patience = if busy { SOON } else { LATE };
            let woken = async {
                tokio::select! {
                    () = self.0.wake.notified() => {}
                    gone = changes.changed() => if gone.is_err() { std::future::pending().await },
                }
            };
            if tokio::time::timeout(patience, woken).await.is_ok() {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Has all stacks looked at now, although nothing is known to have happened.
    pub fn poke(&self) {
        self.0.wake.notify_one();
    }

    /// A number that grows with each look, to wait for.
    pub fn looked(&self) -> watch::Receiver<u64> {
        self.0.looked.subscribe()
    }

    /// A number that grows when a stack comes, goes, is changed or stands otherwise than before.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|n| *n += 1);
    }

    /// Stacks of a yard, or of all, by yard and name.
    ///
    /// # Errors
    /// [`StackError::Store`]
    pub async fn list(&self, yard: Option<&str>) -> Result<Vec<DeployedStack>, StackError> {
        let known = self.known().await?;
        let of = known.stacks.iter().filter(|((y, _), _)| yard.is_none_or(|yard| y == yard));
        Ok(of.map(|(key, entry)| entry.now(key)).collect())
    }

    /// A stack.
    ///
    /// # Errors
    /// [`StackError::Missing`], [`StackError::Store`].
    pub async fn get(&self, yard: &str, name: &str) -> Result<DeployedStack, StackError> {
        let known = self.known().await?;
        Ok(known.entry(yard, name)?.now(&(yard.to_owned(), name.to_owned())))
    }

    /// What deploying a stack would do to its services, by name.
    ///
    /// # Errors
    /// [`StackError::Refused`] where it contradicts itself, [`StackError::Store`].
    pub async fn changes(&self, yard: &str, mut deployment: Deployment) -> Result<DeploymentChanges, StackError> {
        let notes = self.settle_networks(yard, &mut deployment).await?;
        let Deployment { stack, pool, .. } = deployment;
        let images = self.checked(yard, &stack).await?;
        self.0.archives.check_stack(&stack).map_err(StackError::Refused)?;
        let known = self.known().await?;
        let there = known.stacks.get(&(yard.to_owned(), stack.name.clone())).filter(|e| !e.kept.removing);
        let history = there.map(|e| e.kept.history.as_slice()).unwrap_or_default();
        let next = Version::next(stack, images, pool, history);
        Ok(DeploymentChanges { services: compare(&next, history.first()), notes })
    }

    /// Deploys a stack: from now on it should be like this.
    ///
    /// # Errors
    /// [`StackError::Refused`] where it contradicts itself, [`StackError::Leaving`],
    /// [`StackError::Store`].
    pub async fn deploy(&self, yard: &str, mut deployment: Deployment) -> Result<DeploymentChanges, StackError> {
        let notes = self.settle_networks(yard, &mut deployment).await?;
        let Deployment { stack, pool, declared, .. } = deployment;
        let images = self.checked(yard, &stack).await?;
        let name = stack.name.clone();
        let mut known = self.known().await?;
        let key = (yard.to_owned(), name.clone());
        let old = known.stacks.get(&key);
        if old.is_some_and(|e| e.kept.removing) {
            return Err(StackError::Leaving(name));
        }
        let mut kept = old.map(|e| e.kept.clone()).unwrap_or_default();
        // While nobody else looks: they are of no version until this one is kept.
        self.0.archives.take_for(yard, &stack).map_err(StackError::Refused)?;
        let next = Version::next(stack, images, pool, &kept.history);
        let services = compare(&next, kept.history.first());
        kept.history.insert(0, next);
        kept.declared |= declared;
        kept.history = rollout::needed(kept.history, &kept.state);
        kept.deployed = stackyard_api::now();
        self.keep(&mut known, key, kept).await?;
        drop(known);
        self.0.wake.notify_one();
        Ok(DeploymentChanges { services, notes })
    }

    /// Goes back to the version `to`, else to the last one that worked and is another than the
    /// newest: it becomes the newest one. The number of the version that it went back to.
    ///
    /// # Errors
    /// [`StackError::Missing`], [`StackError::Refused`] if there is no such version.
    pub async fn roll_back(&self, yard: &str, name: &str, to: Option<u64>) -> Result<u64, StackError> {
        let mut known = self.known().await?;
        let mut kept = known.entry(yard, name)?.staying(name)?;
        let found = match to {
            Some(number) => kept.history.iter().find(|v| v.number == number),
            None => rollout::before(&kept.history),
        };
        let Some(found) = found.cloned() else {
            let versions: Vec<String> = kept.history.iter().map(|v| v.number.to_string()).collect();
            let versions = versions.join(", ");
            return Err(StackError::Refused(match to {
                Some(to) => format!("stack {name} has no version {to}; there are {versions}"),
                None => format!(
                    "stack {name} has no other version that ever worked; of its versions {versions} name one with `--to`"
                ),
            }));
        };
        let (from, number) = (found.number, kept.history.iter().map(|v| v.number).max().unwrap_or(0) + 1);
        // What was the newest stays behind it, so that going back again comes here again if it worked.
        kept.history.insert(0, Version { number, ..found });
        kept.history = rollout::needed(kept.history, &kept.state);
        kept.deployed = stackyard_api::now();
        self.keep(&mut known, (yard.to_owned(), name.to_owned()), kept).await?;
        drop(known);
        self.0.wake.notify_one();
        Ok(from)
    }

    /// Changes how many containers services have.
    ///
    /// # Errors
    /// [`StackError::Missing`], [`StackError::NoService`], [`StackError::Refused`] for global ones.
    pub async fn scale(&self, yard: &str, name: &str, scale: &BTreeMap<String, u32>) -> Result<(), StackError> {
        let mut known = self.known().await?;
        let mut kept = known.entry(yard, name)?.staying(name)?;
        let Some(version) = kept.history.first_mut() else {
            return Err(StackError::Refused(format!("stack {name} has no version")));
        };
        for (service, count) in scale {
            let names = version.stack.services.keys().cloned().collect();
            let Some(found) = version.stack.services.get_mut(service) else {
                return Err(StackError::NoService { stack: name.into(), service: service.clone(), known: names });
            };
            if found.deploy.mode.is_global() {
                return Err(StackError::Refused(format!("service {service} has one container on each host")));
            }
            if *count > 1000 {
                return Err(StackError::Refused(format!("{service}={count}: more than 1000 are not run")));
            }
            found.deploy.replicas = *count;
        }
        rollout::check(&version.stack).map_err(|e| StackError::Refused(e.to_string()))?;
        self.keep(&mut known, (yard.to_owned(), name.to_owned()), kept).await?;
        drop(known);
        self.0.wake.notify_one();
        Ok(())
    }

    /// Removes a stack: its containers and networks go; volumes stay.
    ///
    /// # Errors
    /// [`StackError::Missing`], [`StackError::Store`].
    pub async fn remove(&self, yard: &str, name: &str) -> Result<(), StackError> {
        let mut known = self.known().await?;
        let mut kept = known.entry(yard, name)?.kept.clone();
        kept.removing = true;
        self.keep(&mut known, (yard.to_owned(), name.to_owned()), kept).await?;
        drop(known);
        self.0.wake.notify_one();
        Ok(())
    }
}

impl StackTable {
    fn entry(&self, yard: &str, name: &str) -> Result<&StackEntry, StackError> {
        let missing = || StackError::Missing { yard: yard.to_owned(), name: name.to_owned() };
        self.stacks.get(&(yard.to_owned(), name.to_owned())).ok_or_else(missing)
    }
}

impl StackEntry {
    fn now(&self, (yard, name): &Key) -> DeployedStack {
        let newest = self.kept.history.first();
        let mut status = self.status.clone();
        if !self.kept.removing && newest.is_some_and(|v| v.number != status.version) {
            // Nobody has looked at it since it was deployed.
            status.health = Health::Progressing;
        }
        let version = |v: &Version| DeployedVersion { number: v.number, worked: v.worked };
        DeployedStack {
            yard: yard.clone(),
            name: name.clone(),
            removing: self.kept.removing,
            stack: newest.map(|v| v.stack.clone()).unwrap_or_default(),
            pool: newest.and_then(|v| v.pool.clone()),
            declared: self.kept.declared,
            versions: self.kept.history.iter().map(version).collect(),
            before: rollout::before(&self.kept.history).map(|v| v.number),
            deployed: self.kept.deployed,
            status,
        }
    }

    fn staying(&self, name: &str) -> Result<StackRecord, StackError> {
        if self.kept.removing { Err(StackError::Leaving(name.to_owned())) } else { Ok(self.kept.clone()) }
    }
}

/// What becomes of each service, by name.
fn compare(next: &Version, old: Option<&Version>) -> BTreeMap<String, ServiceChange> {
    let gone = old.into_iter().flat_map(|v| v.stack.services.keys());
    let mut changes: BTreeMap<String, ServiceChange> =
        gone.map(|name| (name.clone(), ServiceChange::Removed)).collect();
    for name in next.stack.services.keys() {
        let change = match old.and_then(|o| next.changes(name, o)) {
            None => ServiceChange::New,
            Some(parts) if parts.is_empty() => ServiceChange::Same,
            Some(mut parts) => {
                let left = old.map(|old| left_volumes(&old.stack, &next.stack, name));
                parts.extend(left.into_iter().flatten());
                ServiceChange::Changed(parts)
            }
        };
        changes.insert(name.clone(), change);
    }
    changes
}
