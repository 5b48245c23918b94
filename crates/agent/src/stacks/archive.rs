//! Files that a stack carries along, as archives of the server: fetched once for each distinct content, and
//! removed when neither a stack nor a container mounts it.

use super::Stacks;
use super::fetch::{self, Access};
use crate::context::Context;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::StreamExt;
use stackyard_core::agent::Part;
use stackyard_core::progress::Onlooker;
use stackyard_core::stack::Archive;
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::Archives;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;

/// Archives on their way to this host.
pub(crate) struct ServerArchives {
    pub(super) archives: Archives,
    access: Access,
    /// Held while one is fetched, and while unused ones are removed.
    busy: tokio::sync::Mutex<()>,
}

impl ServerArchives {
    /// Resumes with what is on disk, without what a killed agent left half done.
    pub(crate) fn open(context: &Context, access: Access) -> Self {
        let archives = Archives::new(context.state.path());
        if let Err(e) = archives.sweep() {
            context.complain("files that were being unpacked may stay", &e);
        }
        Self { archives, access, busy: tokio::sync::Mutex::default() }
    }

    /// Brings the archives of a part to this host.
    pub(crate) async fn ensure(&self, part: &Part, onlooker: &dyn Onlooker) -> Result<(), String> {
        for archive in part.archives().into_values() {
            let _busy = self.busy.lock().await;
            if archive.is_well_named() && self.archives.has(&archive.digest) {
                continue;
            }
            let failed = |why| format!("cannot get the files {} from the server: {why}", archive.source);
            let fetched = async { self.fetch(archive).await.map_err(failed) };
            fetch::as_step(format!("files {}", archive.source), onlooker, fetched).await?;
        }
        Ok(())
    }

    async fn fetch(&self, archive: &Archive) -> Result<(), String> {
        let path = format!("/api/v1/archives/{}", archive.digest);
        let answer = fetch::get(&self.access, &path, &[], "get files").await?;
        let file = self.archives.scratch().map_err(|e| error_chain(&e))?;
        let file = receive(answer, file, archive.size).await?;
        self.archives.unpack(archive, file).await.map_err(|e| error_chain(&e))
    }

    /// Removes the archives that neither `wanted` parts nor containers mount.
    async fn collect(&self, wanted: impl Fn() -> BTreeSet<String>, docker: &Docker) -> Result<Vec<String>, String> {
        let _busy = self.busy.lock().await;
        // After the lock: what a stack got before is in its part by now.
        let mut used = wanted();
        used.extend(self.mounted(docker).await?);
        self.archives.collect(used).await.map_err(|e| error_chain(&e))
    }

    /// Archives that containers mount, also ones that ended.
    async fn mounted(&self, docker: &Docker) -> Result<BTreeSet<String>, String> {
        let all = ListContainersOptionsBuilder::new().all(true).build();
        let containers = docker.api().list_containers(Some(all)).await.map_err(|e| error_chain(&e))?;
        let mounts = containers.into_iter().flat_map(|c| c.mounts.unwrap_or_default());
        Ok(mounts.filter_map(|m| self.archives.digest_of(&m.source?)).collect())
    }
}

/// Writes a body of `size` bytes to a file.
async fn receive(answer: reqwest::Response, mut file: File, size: u64) -> Result<File, String> {
    let (mut body, mut got) = (answer.bytes_stream(), 0);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|e| error_chain(&e))?;
        got += piece.len() as u64;
        if got > size {
            return Err(format!("it sends more than the {size} bytes that the stack names"));
        }
        file.write_all(&piece).map_err(|e| format!("cannot write them to disk: {e}"))?;
    }
    if got < size { Err(format!("it sent {got} of {size} bytes")) } else { Ok(file) }
}

/// Removes archives that nothing mounts any more.
pub(super) async fn remove_unused(context: &Context, stacks: &Stacks, docker: &Docker) {
    match stacks.archives.collect(|| stacks.wanted_archives(), docker).await {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => context.say(format!("files of {} archives: removed, since nothing mounts them", gone.len())),
        Err(e) => context.say(format!("cannot remove files that nothing mounts: {e}")),
    }
}
