//! Built-in packages and image recipes, embedded so that the binary needs no files beside it.

use crate::images::Recipes;
use rust_embed::RustEmbed;
use stackyard_catalog::{Memory, Source};
use stackyard_platform::image::{Files, Recipe, RecipeError};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;

#[derive(RustEmbed)]
#[folder = "../../catalog"]
struct Packages;

#[derive(RustEmbed)]
#[folder = "../../images"]
struct Images;

/// Something is not among what is embedded, or is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssetError {
    /// There is no such package.
    #[error("there is no built-in package {0}")]
    Package(String),
    /// The recipe of an image.
    #[error("reading the built-in recipe images/{name}")]
    Recipe {
        /// Which one.
        name: String,
        /// What is wrong with it.
        source: RecipeError,
    },
}

/// A built-in package's files.
///
/// # Errors
/// [`AssetError::Package`]
pub fn package(name: &str) -> Result<Arc<dyn Source>, AssetError> {
    let prefix = format!("{name}/");
    let mut tree = Memory::new(format!("catalog/{name}"));
    let mut found = false;
    for path in Packages::iter() {
        if let (Some(below), Some(file)) = (path.strip_prefix(&prefix), Packages::get(&path)) {
            found |= below == "package.yaml";
            tree.insert(below, file.data);
        }
    }
    if found { Ok(Arc::new(tree)) } else { Err(AssetError::Package(name.to_owned())) }
}

/// The built-in packages that yards can have: all but OpenStack, which is for one machine.
pub fn catalog() -> Memory {
    let mut tree = Memory::new("catalog");
    for path in Packages::iter().filter(|path| !path.starts_with("openstack/")) {
        if let Some(file) = Packages::get(&path) {
            tree.insert(path, file.data);
        }
    }
    tree
}

/// A built-in image recipe, with this program for the images that take one.
///
/// # Errors
/// [`AssetError::Recipe`]
pub fn recipe(name: &str) -> Result<Recipe, AssetError> {
    Recipe::read(&AssetFolder(format!("{name}/")))
        .and_then(with_program)
        .map_err(|source| AssetError::Recipe { name: name.to_owned(), source })
}

/// The recipe with this program, which becomes a guest's agent.
///
/// # Errors
/// The program's file cannot be read.
pub fn with_program(recipe: Recipe) -> Result<Recipe, RecipeError> {
    // the program that runs, even if its file was replaced since
    recipe.with_program("/proc/self/exe".as_ref())
}

/// The recipes of the cloud's images.
///
/// # Errors
/// [`AssetError::Recipe`]
pub fn recipes() -> Result<Recipes, AssetError> {
    Ok(Recipes { services: recipe("services")?, tiny: recipe("tiny")? })
}

/// A folder of the embedded `images/`, by its path with a slash at the end.
struct AssetFolder(String);

impl Files for AssetFolder {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Images::iter().filter_map(|path| path.strip_prefix(&self.0).map(str::to_owned)).collect())
    }

    fn read(&self, path: &str) -> io::Result<Cow<'_, [u8]>> {
        Images::get(&format!("{}{path}", self.0)).map(|file| file.data).ok_or(io::ErrorKind::NotFound.into())
    }
}
