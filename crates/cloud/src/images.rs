//! The images that the cloud's stack needs: built here, or pulled from the user's registry.

use crate::home::Home;
use stackyard_core::progress::Onlooker;
use stackyard_core::stack::Stack;
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, BuildError, Options, PullError, Recipe};
use std::collections::BTreeSet;

/// Prefix of the images that are built on this machine.
pub const PREFIX: &str = "stackyard";

/// The recipes that the cloud's images are built from.
#[derive(Debug, Clone)]
pub struct Recipes {
    /// The service images.
    pub services: Recipe,
    /// The tiny test guest.
    pub tiny: Recipe,
}

/// Why an image is missing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagesError {
    /// It could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It could not be pulled.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The engine could not be asked.
    #[error("cannot list the images of {host}")]
    List {
        /// Address of the engine.
        host: String,
        /// What it said.
        source: bollard::errors::Error,
    },
}

/// Makes sure that every image of `stack` is there.
///
/// `stackyard/...` images are built where they are missing or where their recipe changed;
/// all others are pulled when missing (never when present: a tag that moves in the registry
/// is the user's to pull).
///
/// # Errors
/// See [`ImagesError`].
pub async fn ensure(
    docker: &Docker,
    stack: &Stack,
    recipes: &Recipes,
    home: &Home,
    onlooker: &dyn Onlooker,
) -> Result<(), ImagesError> {
    let tag = &recipes.services.release;
    let ours =
        |reference: &str| reference.starts_with(&format!("{PREFIX}/")) && reference.ends_with(&format!(":{tag}"));
    let wanted: BTreeSet<&str> = stack.services.values().map(|s| s.image.as_str()).collect();
    if wanted.iter().any(|reference| ours(reference)) {
        image::build(docker, &recipes.services, &options(home), onlooker).await?;
    }
    image::build(docker, &recipes.tiny, &options(home), onlooker).await?;
    let mut missing = Vec::new();
    for reference in wanted.into_iter().filter(|reference| !ours(reference)) {
        match docker.api().inspect_image(reference).await {
            Ok(_) => {}
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                missing.push(reference.to_owned());
            }
            Err(source) => return Err(ImagesError::List { host: docker.host().to_owned(), source }),
        }
    }
    image::pull_all(docker, &missing, onlooker).await?;
    Ok(())
}

/// How images are built for the cloud of `home`.
pub fn options(home: &Home) -> Options {
    Options { prefix: PREFIX.to_owned(), ..Options::new(home.dir().join("images")) }
}
