//! One build at a time, and no leftovers of builds that were killed.
//!
//! | leftover | found by | removed |
//! |---|---|---|
//! | temporary folders | they are in `<state>/images-tmp` | before a build |
//! | containers of build steps and of names | label UNFINISHED = scope | before a build |
//! | untagged images: stages, steps, old generations | label RECIPE = scope | after a build |
//!
//! Images go last because the next build takes up finished steps from them.

use super::build::{BuildError, Run};
use super::{RECIPE, UNFINISHED};
use bollard::query_parameters::{ListContainersOptions, PruneImagesOptions, RemoveContainerOptions};
use rustix::fs::{FlockOperation, flock};
use stackyard_core::progress::Event;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Holds other builds off; the kernel lets go of it when the process ends.
pub struct TidyLock(#[allow(dead_code, reason = "held, not used")] std::fs::File);

impl TidyLock {
    /// Takes the lock, waiting for a build that has it.
    pub async fn take(run: &Run<'_>) -> Result<Self, BuildError> {
        let failed = |source| BuildError::Host { doing: "lock the folder for builds", source };
        std::fs::create_dir_all(&run.options.state).map_err(failed)?;
        let file = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(run.options.state.join("images.lock"))
            .map_err(failed)?;
        let mut told = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(rustix::io::Errno::WOULDBLOCK) if told => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    told = true;
                    run.tell(Event::Note { step: None, text: "waiting for another build of images".to_owned() });
                }
                Err(errno) => return Err(failed(errno.into())),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Folder of temporary folders; holds nothing else.
pub fn temp_folder(state: &Path) -> PathBuf {
    state.join("images-tmp")
}

/// Removes what a killed build left in the way. Call it with the lock held.
pub async fn before(run: &Run<'_>) -> Result<(), BuildError> {
    let temp = temp_folder(&run.options.state);
    let failed = |source| BuildError::Host { doing: "empty the folder of temporary files", source };
    let mut tries = 0..25;
    loop {
        match std::fs::remove_dir_all(&temp) {
            Ok(()) => break,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            // the programs of a build that was killed just now may still be on their way out
            Err(_) if tries.next().is_some() => tokio::time::sleep(Duration::from_millis(200)).await,
            Err(error) => return Err(failed(error)),
        }
    }
    std::fs::create_dir_all(&temp).map_err(failed)?;
    let options = ListContainersOptions { all: true, filters: Some(filter(run, UNFINISHED)), ..Default::default() };
    let list = run.docker.api().list_containers(Some(options)).await.map_err(run.failed("list containers of", "*"))?;
    for id in list.into_iter().filter_map(|container| container.id) {
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        match run.docker.api().remove_container(&id, Some(options)).await {
            Err(error) if !crate::docker::is_not_found(&error) => {
                return Err(run.failed("remove a leftover container of", "*")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes untagged images of this recipe that no container uses.
pub async fn after(run: &Run<'_>) -> Result<(), BuildError> {
    let mut filters = filter(run, RECIPE);
    filters.insert("dangling".to_owned(), vec!["true".to_owned()]);
    let options = PruneImagesOptions { filters: Some(filters) };
    run.patient().prune_images(Some(options)).await.map(drop).map_err(run.failed("prune", "*"))
}

fn filter(run: &Run<'_>, label: &str) -> HashMap<String, Vec<String>> {
    [("label".to_owned(), vec![format!("{label}={}", run.scope)])].into()
}
