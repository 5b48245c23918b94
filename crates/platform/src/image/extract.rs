//! Files out of images.

use super::UNFINISHED;
use crate::docker::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, ListContainersOptions, RemoveContainerOptions,
};
use futures_util::{StreamExt, TryStreamExt};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio_util::io::{StreamReader, SyncIoBridge};

/// Label of the containers that files are taken from.
const MARK: &str = "extract";

/// An extraction takes less.
const LONGEST: Duration = Duration::from_secs(600);

/// A file could not be taken out of an image.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The engine refused or broke off.
    #[error("cannot take {path} out of image {image}")]
    Docker {
        /// The image.
        image: String,
        /// Path within the image.
        path: String,
        /// The engine's answer.
        #[source]
        source: bollard::errors::Error,
    },
    /// The path is there but no plain file, or the transfer broke off.
    #[error("cannot read {path} of image {image}")]
    Read {
        /// The image.
        image: String,
        /// Path within the image.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy could not be written.
    #[error("cannot write {path}")]
    Write {
        /// Path on this machine.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Copies the file at `path` of `image` to `target` on this machine; answers its size in bytes.
///
/// `target` appears complete or not at all, with mode 0600. The image's program does not run:
/// a container is created from it, read, and removed.
pub async fn extract(docker: &Docker, image: &str, path: &str, target: &Path) -> Result<u64, ExtractError> {
    let failed = |source| ExtractError::Docker { image: image.to_owned(), path: path.to_owned(), source };
    forget_killed(docker).await.map_err(failed)?;
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        // an image without a command needs one to be created; it never runs
        cmd: Some(vec!["none".to_owned()]),
        labels: Some([(UNFINISHED.to_owned(), MARK.to_owned())].into()),
        ..Default::default()
    };
    let container = docker.api().create_container(None::<CreateContainerOptions>, body).await.map_err(failed)?.id;
    let copied = copy(docker, &container, image, path, target).await;
    let removed = remove(docker, &container).await;
    let size = copied?;
    removed.map_err(failed)?;
    Ok(size)
}

/// Removes containers that extractions left when they were killed.
async fn forget_killed(docker: &Docker) -> Result<(), bollard::errors::Error> {
    let filters = [("label".to_owned(), vec![format!("{UNFINISHED}={MARK}")])].into();
    let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    for container in docker.api().list_containers(Some(options)).await? {
        if let (Some(id), Some(created)) = (container.id, container.created)
            && now - created > LONGEST.as_secs() as i64
        {
            remove(docker, &id).await?;
        }
    }
    Ok(())
}

async fn remove(docker: &Docker, container: &str) -> Result<(), bollard::errors::Error> {
    let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
    match docker.api().remove_container(container, Some(options)).await {
        Err(error) if crate::docker::is_not_found(&error) => Ok(()),
        other => other,
    }
}

async fn copy(docker: &Docker, container: &str, image: &str, path: &str, target: &Path) -> Result<u64, ExtractError> {
    let read = |source| ExtractError::Read { image: image.to_owned(), path: path.to_owned(), source };
    let write = |source| ExtractError::Write { path: target.to_owned(), source };
    let options = DownloadFromContainerOptions { path: path.to_owned() };
    let mut chunks = Box::pin(docker.patient(LONGEST).download_from_container(container, Some(options)));
    // the first piece tells whether the path is there
    let first = chunks.try_next().await.map_err(|source| ExtractError::Docker {
        image: image.to_owned(),
        path: path.to_owned(),
        source,
    })?;
    let rest = chunks.map_err(io::Error::other);
    let stream = futures_util::stream::iter(first.map(Ok)).chain(rest);
    let folder = target.parent().unwrap_or(Path::new(".")).to_owned();
    let reader = SyncIoBridge::new(StreamReader::new(Box::pin(stream)));
    let work = tokio::task::spawn_blocking(move || unpack(reader, &folder));
    let (file, size) = match work.await {
        Ok(Ok(done)) => done,
        Ok(Err(ExtractFault::Read(source))) => return Err(read(source)),
        Ok(Err(ExtractFault::Write(source))) => return Err(write(source)),
        Err(panic) => return Err(read(io::Error::other(panic))),
    };
    file.persist(target).map_err(|error| write(error.error))?;
    Ok(size)
}

enum ExtractFault {
    Read(io::Error),
    Write(io::Error),
}

/// Takes the only file out of the archive into a temporary file in `folder`.
fn unpack(reader: impl io::Read, folder: &Path) -> Result<(tempfile::NamedTempFile, u64), ExtractFault> {
    let mut archive = tar::Archive::new(reader);
    let mut entry = match archive.entries().map_err(ExtractFault::Read)?.next() {
        Some(entry) => entry.map_err(ExtractFault::Read)?,
        None => return Err(ExtractFault::Read(io::ErrorKind::UnexpectedEof.into())),
    };
    if !entry.header().entry_type().is_file() {
        return Err(ExtractFault::Read(io::Error::new(io::ErrorKind::InvalidData, "it is not a plain file")));
    }
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(ExtractFault::Write)?;
    let size = io::copy(&mut entry, &mut file).map_err(ExtractFault::Read)?;
    if size != entry.header().size().map_err(ExtractFault::Read)? {
        return Err(ExtractFault::Read(io::ErrorKind::UnexpectedEof.into()));
    }
    file.as_file().sync_all().map_err(ExtractFault::Write)?;
    Ok((file, size))
}
