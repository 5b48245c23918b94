//! Images that come as `docker save` wrote them.

use crate::docker::{Docker, is_not_found, status};
use bollard::query_parameters::{ImportImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
use futures_util::{Stream, TryStreamExt};
use stackyard_core::stack::is_image_reference;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Longest time that the engine may be silent while it unpacks.
const PATIENCE: Duration = Duration::from_secs(600);

/// An image that an engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageAtEngine {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: HashMap<String, String>,
}

/// The image that `reference` (a name or an id) means on this engine, if it means one. A text that cannot name an image
/// means none: in the path of the request, it would ask the engine for something else.
///
/// # Errors
/// The engine's.
pub async fn look_up(docker: &Docker, reference: &str) -> Result<Option<ImageAtEngine>, bollard::errors::Error> {
    if !is_image_reference(reference) {
        return Ok(None);
    }
    match docker.api().inspect_image(reference).await {
        Ok(image) => {
            let labels = image.config.and_then(|c| c.labels).unwrap_or_default();
            Ok(image.id.map(|id| ImageAtEngine { id, labels }))
        }
        Err(e) if is_not_found(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Id of the image that `reference` (a name or an id) means on this engine, if it means one.
///
/// # Errors
/// The engine's.
pub async fn id_of(docker: &Docker, reference: &str) -> Result<Option<String>, bollard::errors::Error> {
    Ok(look_up(docker, reference).await?.map(|image| image.id))
}

/// Loads images from the bytes of `docker save`; an error of the stream ends it.
pub async fn load(
    docker: &Docker,
    bytes: impl Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static,
) -> Result<(), bollard::errors::Error> {
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let bytes = bollard::body_try_stream(bytes);
    let api = docker.patient(PATIENCE);
    let mut answers = std::pin::pin!(api.import_image(options, bytes, None));
    while answers.try_next().await?.is_some() {}
    Ok(())
}

/// Lets `reference` mean the image `id`, which is there.
pub async fn tag(docker: &Docker, id: &str, reference: &str) -> Result<(), bollard::errors::Error> {
    let (repo, tag) = match reference.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((repo, tag)) => (repo, tag),
        None => (reference, "latest"),
    };
    let options = TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
    docker.api().tag_image(id, Some(options)).await
}

/// Removes the image `id` with these names of it. True when it is gone, or only others' names for it
/// are left; false while a container uses it.
pub async fn remove(docker: &Docker, id: &str, names: &BTreeSet<String>) -> Result<bool, bollard::errors::Error> {
    let remove = async |what: &str| match docker.api().remove_image(what, None::<RemoveImageOptions>, None).await {
        Ok(_) => Ok(true),
        Err(e) if is_not_found(&e) => Ok(true),
        Err(e) if status(&e) == Some(409) => Ok(false),
        Err(e) => Err(e),
    };
    for name in names {
        if id_of(docker, name).await?.as_deref() == Some(id) && !remove(name).await? {
            return Ok(false);
        }
    }
    match docker.api().inspect_image(id).await {
        Ok(image) if image.repo_tags.as_ref().is_none_or(Vec::is_empty) => remove(id).await,
        Ok(_) => Ok(true),
        Err(e) if is_not_found(&e) => Ok(true),
        Err(e) => Err(e),
    }
}
