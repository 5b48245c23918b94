//! Disks of virtual machines into Glance, once per content.
//!
//! What is put there carries three properties: `stackyard` with [`MARK`], `stackyard_name` with the
//! name that it was pushed as, `stackyard_digest` with a digest of the content. An image with the
//! right digest is left alone. Else the new one is uploaded beside it and takes the name over:
//!
//! ```text
//!            PUT ended                    PATCH name           a newer one has the name
//! queued ──> active, "NAME (uploading)" ────────> active, "NAME" ────────> active, "NAME-<digest>"
//!    │                                                                       │ no server uses it
//!    └──────────────── killed: the next push removes it ─────────────────────┴──> removed
//! ```
//!
//! So there is no moment without an image of that name; for the time between two requests there
//! are two. A former image stays as long as a server is made from it, since to rebuild or move
//! that server may need it; each push looks again. Images of other owners, and those without the
//! mark, are never touched.

mod disk;
mod sort;

pub use disk::{Disk, DiskError};

use crate::home::Home;
use crate::seed::step;
use sort::SortedDisk;
use stackyard_core::progress::{Amount, Event, Onlooker, Unit};
use stackyard_openstack::{Cloud, Error, Image, NewImage, Server};
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, ExtractError, Recipe};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The mark on what is put here.
pub const MARK: &str = "stackyard:image";

/// Image properties of the mark, of the name and of the content's digest.
const PROPERTY: &str = "stackyard";
const NAME: &str = "stackyard_name";
const DIGEST: &str = "stackyard_digest";

const GIB: u64 = 1 << 30;

/// Longest time that Glance may take from the last byte to an active image: it may copy it.
const ACTIVATION: Duration = Duration::from_secs(1200);

/// Where to and under which name.
pub struct Target<'a> {
    /// The cloud.
    pub cloud: &'a Cloud,
    /// Where the lock and the temporary file are.
    pub home: &'a Home,
    /// Name of the image.
    pub name: &'a str,
    /// Whether all projects see it; for administrators.
    pub public: bool,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PushResult {
    /// Id of the image that has the name now.
    pub id: String,
    /// Bytes that were uploaded; `None` if it was there already.
    pub uploaded: Option<u64>,
    /// Ids of what was removed: uploads that were killed, former images.
    pub removed: Vec<String>,
    /// Ids of former images that servers use.
    pub kept: Vec<String>,
}

/// A push failed. The next one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The cloud.
    #[error(transparent)]
    Cloud(#[from] Error),
    /// The recipe makes no disk.
    #[error("recipe {0} is for images of containers, not for a guest: there is no disk to push")]
    NoGuest(String),
    /// The engine could not tell which disk there is.
    #[error("cannot inspect image {image}; is it built?")]
    Inspect {
        /// The container image.
        image: String,
        /// What the engine said.
        #[source]
        source: bollard::errors::Error,
    },
    /// The disk could not be had from the engine.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// The disk cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The state directory.
    #[error("cannot use {} for the disk's temporary file", .path.display())]
    ImagePlace {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Puts the disk that `recipe` made (it must be built) into a cloud.
///
/// # Errors
/// See [`PushError`].
pub async fn recipe(
    docker: &Docker,
    recipe: &Recipe,
    target: &Target<'_>,
    onlooker: &dyn Onlooker,
) -> Result<PushResult, PushError> {
    let (reference, guest) =
        recipe.disk(crate::images::PREFIX).ok_or_else(|| PushError::NoGuest(recipe.name.clone()))?;
    let failed = |source| PushError::Inspect { image: reference.clone(), source };
    let digest = docker.api().inspect_image(&reference).await.map_err(failed)?.id.unwrap_or_default();
    let new = NewImage {
        disk_format: guest.disk_format.clone(),
        min_disk: (guest.min_disk_mib << 20).div_ceil(GIB),
        min_ram: guest.min_ram_mib,
        properties: guest.properties.clone(),
        ..NewImage::default()
    };
    let place = ImagePlace::take(target.home).await?;
    let disk = Source::Docker { docker, reference: &reference, path: &guest.file, copy: place.folder.join("disk") };
    once(target, &digest, new, &disk, onlooker).await
}

/// Puts a disk on this machine into a cloud.
///
/// # Errors
/// See [`PushError`].
pub async fn file(path: &Path, target: &Target<'_>, onlooker: &dyn Onlooker) -> Result<PushResult, PushError> {
    let (disk, digest) = Disk::read(path).await?;
    let new = NewImage {
        disk_format: disk.format.to_owned(),
        min_disk: disk.virtual_size.div_ceil(GIB),
        ..NewImage::default()
    };
    let _place = ImagePlace::take(target.home).await?;
    once(target, &digest, new, &Source::File(path), onlooker).await
}

/// Where the content is.
enum Source<'a> {
    File(&'a Path),
    Docker { docker: &'a Docker, reference: &'a str, path: &'a str, copy: PathBuf },
}

/// One push at a time; the folder for its temporary file, emptied of what a killed one left.
struct ImagePlace {
    folder: PathBuf,
    _lock: File,
}

impl ImagePlace {
    async fn take(home: &Home) -> Result<Self, PushError> {
        let folder = home.dir().join("images/push");
        let failed = |source| PushError::ImagePlace { path: folder.clone(), source };
        std::fs::create_dir_all(home.dir().join("images")).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(folder.with_extension("lock"));
        let lock = file.map_err(failed)?;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(200)).await,
                Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        std::fs::create_dir(&folder).map_err(failed)?;
        Ok(Self { folder, _lock: lock })
    }
}

impl Drop for ImagePlace {
    fn drop(&mut self) {
        // what stays, the next push removes
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Looks what is there and does what is missing.
async fn once(
    target: &Target<'_>,
    digest: &str,
    new: NewImage,
    source: &Source<'_>,
    onlooker: &dyn Onlooker,
) -> Result<PushResult, PushError> {
    let (cloud, name) = (target.cloud, target.name);
    let (by_name, by_property) = ([("name", name)], [(NAME, name)]);
    let (mut images, pushed, project) =
        tokio::try_join!(cloud.list(&by_name), cloud.list(&by_property), cloud.project_id())?;
    images.extend(pushed);
    let sorted = SortedDisk::new(images, name, digest, &project);
    for stranger in &sorted.strangers {
        let text = format!("the cloud has another image {name:?} that was not pushed from here; its id is {stranger}");
        onlooker.see(Event::Note { step: None, text });
    }

    let mut done = PushResult { id: String::new(), uploaded: None, removed: Vec::new(), kept: Vec::new() };
    for id in sorted.unfinished {
        if cloud.delete::<Image>(&id).await? {
            onlooker
                .see(Event::Note { step: None, text: format!("removed image {id}: its upload was never finished") });
            done.removed.push(id);
        }
    }
    let mut current = match sorted.current {
        Some(image) => image,
        None => {
            let key = format!("image {name}");
            let work = upload(target, digest, new, source, &key, onlooker);
            let (image, bytes) = step(onlooker, key.clone(), "uploading", "uploaded", work).await?;
            done.uploaded = Some(bytes);
            image
        }
    };
    if sort::is_owned(&current, &project) {
        if current.name.as_deref() != Some(name) {
            current = cloud.change_image(&current.id, &[("name", name)]).await?;
        }
        if target.public && current.visibility != "public" {
            current = cloud.change_image(&current.id, &[("visibility", "public")]).await?;
        }
    }
    done.id = current.id;
    for image in sorted.former {
        if retire(cloud, &image, name).await? {
            let text = format!("removed image {}: {name} is a newer one, and no server uses it", image.id);
            onlooker.see(Event::Note { step: None, text });
            done.removed.push(image.id);
        } else {
            done.kept.push(image.id);
        }
    }
    Ok(done)
}

/// Makes an image and uploads its content; answers the bytes, too.
async fn upload(
    target: &Target<'_>,
    digest: &str,
    mut new: NewImage,
    source: &Source<'_>,
    key: &str,
    onlooker: &dyn Onlooker,
) -> Result<(Image, u64), PushError> {
    let file = match source {
        Source::File(path) => *path,
        Source::Docker { docker, reference, path, copy } => {
            let doing = Some("reading the disk".to_owned());
            onlooker.see(Event::Progress { step: key.to_owned(), doing, amount: None });
            image::extract(docker, reference, path, copy).await?;
            copy
        }
    };
    let total = std::fs::metadata(file).map_err(DiskError::reading(file))?.len();
    new.name = format!("{} (uploading)", target.name);
    new.container_format = "bare".to_owned();
    new.visibility = if target.public { "public" } else { "private" }.to_owned();
    let ours = [(PROPERTY, MARK), (NAME, target.name), (DIGEST, digest)];
    new.properties.extend(ours.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let image: Image = target.cloud.create(&new).await?;
    let sent = send(target.cloud, &image.id, file, total, key, onlooker).await;
    if sent.is_err() {
        // otherwise the next push removes it
        let _ = target.cloud.delete::<Image>(&image.id).await;
    }
    Ok((sent?, total))
}

/// Sends the content, telling how far it is, and waits until the image is active.
async fn send(
    cloud: &Cloud,
    id: &str,
    file: &Path,
    total: u64,
    key: &str,
    onlooker: &dyn Onlooker,
) -> Result<Image, Error> {
    let tell = |doing: Option<&str>, amount| {
        onlooker.see(Event::Progress { step: key.to_owned(), doing: doing.map(str::to_owned), amount });
    };
    let sent = Arc::new(AtomicU64::new(0));
    let seen = sent.clone();
    let upload = cloud.upload_image(id, file, move |bytes| sent.store(bytes, Ordering::Relaxed));
    tell(Some("uploading"), None);
    let watch = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            tell(None, Some(Amount { done: seen.load(Ordering::Relaxed), total: Some(total), unit: Unit::Bytes }));
        }
    };
    tokio::select! {
        done = upload => done?,
        () = watch => {}
    }
    cloud.wait_for::<Image>(id, &["active"], ACTIVATION).await
}

/// Removes a former image, or takes its name away while servers use it; whether it is gone.
async fn retire(cloud: &Cloud, image: &Image, name: &str) -> Result<bool, Error> {
    if is_unused(cloud, &image.id).await {
        match cloud.delete::<Image>(&image.id).await {
            // volumes are made from it, it is protected, or a server boots just now
            Err(e) if matches!(e.status(), Some(403 | 409)) => {}
            other => return other.map(|_| true),
        }
    }
    let former = former_name(image, name);
    if image.name.as_deref() != Some(&former) {
        cloud.change_image(&image.id, &[("name", &former)]).await?;
    }
    Ok(false)
}

/// What a former image is called.
fn former_name(image: &Image, name: &str) -> String {
    let digest = image.property(DIGEST).unwrap_or(&image.id);
    let digest = digest.rsplit(':').next().unwrap_or(digest);
    format!("{name}-{}", digest.get(..12).unwrap_or(digest))
}

/// Whether certainly no server is made from the image; of other projects' servers only an
/// administrator knows, but those use only what is public.
async fn is_unused(cloud: &Cloud, id: &str) -> bool {
    let all = match cloud.list::<Server>(&[("image", id), ("all_tenants", "1")]).await {
        Err(e) if e.status() == Some(403) => cloud.list::<Server>(&[("image", id)]).await,
        other => other,
    };
    all.is_ok_and(|servers| servers.is_empty())
}
