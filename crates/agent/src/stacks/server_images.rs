//! Images that this host got from the server. Nothing else would ever remove them: no registry has
//! them, and nobody logs in here.
//!
//! An image is written down before it is fetched, so one that a killed agent got is known. It is
//! removed when no stack uses it as it is now, nor as it was before (to which a roll back goes), and
//! all that should run does. Containers and names that others gave keep an image.

use super::fetch::Access;
use crate::context::Context;
use crate::state::{Durable, StateDir};
use serde::{Deserialize, Serialize};
use stackyard_core::agent::Part;
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use stackyard_platform::image::remove;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

const FILE: &str = "images.json";

/// Images by id: the names that they came under.
type Images = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct ImageRecords {
    handed: Images,
    stacks: BTreeMap<String, StackImages>,
}

/// Ids of images that a stack uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StackImages {
    now: BTreeSet<String>,
    before: BTreeSet<String>,
}

impl ImageRecords {
    fn use_by(&mut self, parts: &[Part]) {
        self.stacks.retain(|name, _| parts.iter().any(|p| p.name() == name));
        for part in parts {
            let now: BTreeSet<String> = part.images.values().cloned().collect();
            let uses = self.stacks.entry(part.name().to_owned()).or_default();
            if uses.now != now {
                uses.before = std::mem::replace(&mut uses.now, now);
            }
        }
    }

    fn unused(&self) -> Images {
        let used = |id: &String| self.stacks.values().any(|u| u.now.contains(id) || u.before.contains(id));
        self.handed.iter().filter(|(id, _)| !used(id)).map(|(id, names)| (id.clone(), names.clone())).collect()
    }
}

/// What is known of such images, also on disk.
pub(crate) struct ServerImages {
    state: StateDir,
    known: Mutex<ImageRecords>,
    pub(super) access: Access,
    /// One image at a time is fetched: two stacks often want the same.
    pub(super) fetching: tokio::sync::Mutex<()>,
}

impl ServerImages {
    /// Goes on with what is on disk; nothing if that cannot be read.
    pub(crate) fn open(state: StateDir, access: Access) -> Self {
        let known = state.read(FILE).ok().flatten().unwrap_or_default();
        Self { state, known: Mutex::new(known), access, fetching: tokio::sync::Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, ImageRecords> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut ImageRecords)) -> Result<(), crate::Error> {
        let mut known = self.lock();
        let before = known.clone();
        change(&mut known);
        if *known == before { Ok(()) } else { self.state.write(FILE, &*known, Durable::No) }
    }

    /// Notes an image before it is fetched.
    pub(crate) fn note(&self, id: &str, reference: &str) -> Result<(), crate::Error> {
        self.change(|known| {
            known.handed.entry(id.to_owned()).or_default().insert(reference.to_owned());
        })
    }

    /// Notes what a new picture of what should run uses.
    pub(crate) fn use_by(&self, parts: &[Part]) -> Result<(), crate::Error> {
        self.change(|known| known.use_by(parts))
    }
}

/// Removes images that nothing uses any more.
pub(super) async fn remove_unused(context: &Context, images: &ServerImages, docker: &Docker) {
    // No worker fetches one of them in this time.
    let _one = images.fetching.lock().await;
    let unused = images.lock().unused();
    for (id, names) in unused {
        if let Err(e) = forget(context, images, docker, &id, &names).await {
            context.say(format!("cannot remove image {id}, which nothing uses: {e}"));
        }
    }
}

async fn forget(
    context: &Context,
    images: &ServerImages,
    docker: &Docker,
    id: &str,
    names: &BTreeSet<String>,
) -> Result<(), String> {
    // One that a container still has is tried again when work ends the next time.
    if remove(docker, id, names).await.map_err(|e| error_chain(&e))? {
        let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
        context.say(format!("image {names}: removed, since nothing uses it"));
        images.change(|known| drop(known.handed.remove(id))).map_err(|e| error_chain(&e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::Stack;
    use tokio::sync::watch;

    fn part(stack: &str, ids: &[&str]) -> Part {
        let mut part = Part::pack(Stack { name: stack.into(), ..Stack::default() }, BTreeMap::new(), BTreeMap::new());
        part.images = ids.iter().map(|id| (format!("app:{id}"), (*id).to_owned())).collect();
        part
    }

    #[test]
    fn what_is_used_now_or_was_before_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let handed = ServerImages::open(state.clone(), watch::Sender::default().subscribe());
        ["1", "2", "3"].iter().for_each(|id| handed.note(id, "app").unwrap());
        let unused = |handed: &ServerImages| handed.lock().unused().into_keys().collect::<Vec<_>>();
        // An update goes through pictures that have both.
        for ids in [&["1"][..], &["1", "2"], &["2"], &["2"]] {
            handed.use_by(&[part("site", ids)]).unwrap();
        }
        assert_eq!(unused(&handed), ["3"]);
        for ids in [&["2", "3"][..], &["3"]] {
            handed.use_by(&[part("site", ids), part("other", &["2"])]).unwrap();
        }
        assert_eq!(unused(&handed), ["1"]);
        // Another process knows it, too.
        let again = ServerImages::open(state, watch::Sender::default().subscribe());
        again.use_by(&[part("other", &["2"])]).unwrap();
        assert_eq!(unused(&again), ["1", "3"]);
        again.use_by(&[]).unwrap();
        assert_eq!(unused(&again), ["1", "2", "3"]);
    }
}
