//! What is there of recipes' images, and what it takes on disk.

use super::recipe::Recipe;
use super::{CONTENT, PARENT};
use crate::docker::Docker;
use bollard::errors::Error;
use bollard::models::ImageSummary;
use bollard::query_parameters::ListImagesOptions;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Requests at the same time.
const JOBS: usize = 8;

/// The images of some recipes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// In the order of the recipes.
    pub images: Vec<ListedImage>,
    /// Bytes that all of them take on disk, with shared layers counted once.
    pub total: u64,
}

/// One image that a recipe makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedImage {
    /// Name in the recipe, such as `keystone`.
    pub name: String,
    /// Repository and tag.
    pub reference: String,
    /// How it compares with the recipe.
    pub state: ImageState,
    /// The engine's id, when it is there.
    pub id: Option<String>,
    /// Content hash that it carries, when it carries one.
    pub content: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
    /// Bytes of all its layers.
    pub size: u64,
    /// Bytes of layers that no other image of the listing has.
    pub unique: u64,
}

/// How an image compares with its recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageState {
    /// What the recipe says.
    UpToDate,
    /// Made from another version of the recipe, or before its parent was built again.
    Stale,
    /// Not made by a recipe: pulled or built by someone else.
    Foreign,
    /// Not there.
    Missing,
}

/// Lists the images that `recipes` make under `prefix`, there or not.
pub async fn list(docker: &Docker, recipes: &[&Recipe], prefix: &str) -> Result<Listing, Error> {
    let mut by_reference = HashMap::new();
    for image in docker.api().list_images(None::<ListImagesOptions>).await? {
        for tag in &image.repo_tags {
            by_reference.insert(tag.clone(), image.clone());
        }
    }
    let mut images = Vec::new();
    for recipe in recipes {
        let known =
            recipe.images.iter().map(|i| (&i.name, &i.from)).chain(recipe.names.iter().map(|n| (&n.name, &n.from)));
        for (name, from) in known {
            let parent = by_reference.get(&format!("{prefix}/{from}:{}", recipe.release));
            let reference = format!("{prefix}/{name}:{}", recipe.release);
            images.push(listed(name, &reference, recipe.content(name), by_reference.get(&reference), parent));
        }
    }
    let total = sizes(docker, &mut images).await?;
    Ok(Listing { images, total })
}

fn listed(
    name: &str,
    reference: &str,
    wanted: &str,
    image: Option<&ImageSummary>,
    parent: Option<&ImageSummary>,
) -> ListedImage {
    let content = image.and_then(|image| image.labels.get(CONTENT)).cloned();
    let state = match (image, &content) {
        (None, _) => ImageState::Missing,
        (_, None) => ImageState::Foreign,
        (Some(image), Some(content)) => {
            let child = parent.is_none_or(|parent| image.labels.get(PARENT) == Some(&parent.id));
            if content == wanted && child { ImageState::UpToDate } else { ImageState::Stale }
        }
    };
    ListedImage {
        name: name.to_owned(),
        reference: reference.to_owned(),
        state,
        id: image.map(|image| image.id.clone()),
        content,
        created: image.map(|image| image.created),
        size: image.map_or(0, |image| u64::try_from(image.size).unwrap_or(0)),
        unique: 0,
    }
}

/// A layer: all of an image's history up to it. The engine lists no sizes of layers by digest.
type Layer = Vec<(i64, String, i64)>;

/// Fills in `unique`; answers the size of all layers.
async fn sizes(docker: &Docker, images: &mut [ListedImage]) -> Result<u64, Error> {
    let ids: BTreeSet<String> = images.iter().filter_map(|image| image.id.clone()).collect();
    let histories: BTreeMap<String, Vec<Layer>> = stream::iter(ids)
        .map(|id| async move {
            let history = docker.api().image_history(&id).await?;
            let mut so_far = Layer::new();
            let mut layers = Vec::new();
            for item in history.into_iter().rev() {
                so_far.push((item.created, item.created_by, item.size));
                if item.size > 0 {
                    layers.push(so_far.clone());
                }
            }
            Ok::<_, Error>((id, layers))
        })
        .buffer_unordered(JOBS)
        .try_collect()
        .await?;
    let mut users: HashMap<&Layer, usize> = HashMap::new();
    for layer in histories.values().flatten() {
        *users.entry(layer).or_default() += 1;
    }
    let size = |layer: &Layer| layer.last().map_or(0, |(_, _, size)| u64::try_from(*size).unwrap_or(0));
    for image in images {
        let layers = image.id.as_ref().and_then(|id| histories.get(id)).map_or(&[][..], Vec::as_slice);
        image.unique = layers.iter().filter(|layer| users.get(layer) == Some(&1)).map(size).sum();
    }
    Ok(users.into_keys().map(size).sum())
}
