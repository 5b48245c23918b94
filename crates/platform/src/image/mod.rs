//! Images of services: building, pulling, listing.
//!
//! A *recipe* is a folder with an `image.yaml`: a Debian root made by mmdebstrap, a few fat
//! images built on it with Docker's classic builder, and many *names* that differ from a fat
//! image only in user and environment. [`build`] makes all that is missing or stale:
//!
//! ```text
//! rootfs ──> base ──┬──> infra ──────> names (mariadb-server, rabbitmq, ...)
//!                   └──> openstack ─┬> names (keystone, nova-api, ...)
//!                                   └> hypervisor ──> names (nova-compute, ...)
//! ```
//!
//! What an image carries, and what follows from it:
//!
//! | label | says | used for |
//! |---|---|---|
//! | [`CONTENT`] | hash of everything that the recipe says about it | an image with the right hash is left alone |
//! | [`PARENT`] | id of the image it was built from | a rebuilt parent makes it stale |
//! | [`RECIPE`] | which recipe, of which prefix, made it | old generations are removed when a build succeeded |
//! | [`UNFINISHED`] | the same, while the build goes on; empty in what is finished | leftovers of a killed build are found |
//!
//! Guarantees: a tag always points to a finished image; a build that was killed at any point
//! is taken up by the next one, which also removes what the killed one left; when nothing
//! changed, nothing is done, at the price of one list of images and one of containers.
//! One build at a time per state folder: a second one waits for the first.

mod base;
mod build;
mod context;
mod credentials;
mod extract;
mod host;
mod list;
mod load;
mod names;
mod output;
mod pull;
mod recipe;
mod sources;
mod tidy;

pub use build::{BuildError, Built, Options, build};
pub use credentials::CredentialError;
pub use extract::{ExtractError, extract};
pub use list::{ImageState, ListedImage, Listing, list};
pub use load::{ImageAtEngine, id_of, load, look_up, remove, tag};
pub use pull::{PullError, pull, pull_all, pull_as};
pub use recipe::{GuestRecipe, ImageRecipe, NameRecipe, Recipe, RecipeError, RootRecipe};
pub use sources::{Files, Folder};

/// Label: hash of everything that the recipe says about the image.
pub const CONTENT: &str = "dev.stackyard.content";
/// Label: id of the image that this one was built from; empty for a root.
pub const PARENT: &str = "dev.stackyard.parent";
/// Label: which recipe made the image: `<prefix>/<recipe>:<release>`.
pub const RECIPE: &str = "dev.stackyard.recipe";
/// Label: as [`RECIPE`], on what a build has not finished; empty on finished images.
pub const UNFINISHED: &str = "dev.stackyard.unfinished";
