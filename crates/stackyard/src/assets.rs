//! Built-in packages and image recipes, embedded so that the binary needs no files beside it.

use anyhow::Context as _;
use rust_embed::RustEmbed;
use stackyard_catalog::{Memory, Source};
use stackyard_cloud::images::Recipes;
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

/// A built-in package's files.
pub fn package(name: &str) -> anyhow::Result<Arc<dyn Source>> {
    let prefix = format!("{name}/");
    let mut tree = Memory::new(format!("catalog/{name}"));
    for path in Packages::iter() {
        if let (Some(below), Some(file)) = (path.strip_prefix(&prefix), Packages::get(&path)) {
            tree.insert(below, file.data);
        }
    }
    anyhow::ensure!(tree.list("")?.iter().any(|p| p == "package.yaml"), "there is no built-in package {name}");
    Ok(Arc::new(tree))
}

/// A built-in image recipe, with this program for the images that take one.
pub fn recipe(name: &str) -> anyhow::Result<Recipe> {
    Recipe::read(&Folder(format!("{name}/")))
        .and_then(with_program)
        .with_context(|| format!("reading the built-in recipe images/{name}"))
}

/// The recipe with this program, which becomes a guest's agent.
pub fn with_program(recipe: Recipe) -> Result<Recipe, RecipeError> {
    // the program that runs, even if its file was replaced since
    recipe.with_program("/proc/self/exe".as_ref())
}

/// The recipes of the cloud's images.
pub fn recipes() -> anyhow::Result<Recipes> {
    Ok(Recipes { services: recipe("services")?, tiny: recipe("tiny")? })
}

/// A folder of the embedded `images/`, by its path with a slash at the end.
struct Folder(String);

impl Files for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Images::iter().filter_map(|path| path.strip_prefix(&self.0).map(str::to_owned)).collect())
    }

    fn read(&self, path: &str) -> io::Result<Cow<'_, [u8]>> {
        Images::get(&format!("{}{path}", self.0)).map(|file| file.data).ok_or(io::ErrorKind::NotFound.into())
    }
}
