//! `stackyard image`

use super::{Context, End};
use crate::assets;
use crate::printer::{bytes, table};
use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use stackyard_cloud::home::Home;
use stackyard_cloud::images::{PREFIX, options};
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, Folder, Listing, Recipe, State};
use std::path::PathBuf;

/// Recipes that come with the program, in build order: the guest is made from a service image.
const BUILT_IN: [&str; 2] = ["services", "tiny"];

/// Verbs of `stackyard image`.
#[derive(Subcommand)]
pub enum Verb {
    /// Build the images that are missing or whose recipe changed
    Build(BuildArgs),
    /// Show the images, what they take on disk, and whether the recipe changed
    List,
    /// Pull images from a registry, with the progress of each layer
    Pull(PullArgs),
}

/// Arguments of `stackyard image build`.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// Which recipes
    #[arg(value_name = "RECIPE", value_parser = BUILT_IN, required_unless_present = "recipe")]
    recipes: Vec<String>,

    /// Build a recipe of your own: a folder with an image.yaml
    #[arg(long, value_name = "DIR", conflicts_with = "recipes")]
    recipe: Option<PathBuf>,

    /// Build everything again, to get Debian's security updates
    #[arg(long)]
    refresh: bool,
}

/// Arguments of `stackyard image pull`.
#[derive(clap::Args)]
pub struct PullArgs {
    /// Names of images: registry/repository:tag
    #[arg(value_name = "REFERENCE", required = true)]
    references: Vec<String>,
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::Build(args) => build(args, context).await,
        Verb::List => list(context).await,
        Verb::Pull(args) => pull(args, context).await,
    }
}

#[derive(Serialize)]
struct Built {
    made: Vec<String>,
    kept: usize,
}

async fn build(args: BuildArgs, context: &Context) -> anyhow::Result<End> {
    let recipes: Vec<Recipe> = match args.recipe {
        Some(folder) => {
            let recipe = Recipe::read(&Folder(folder.clone()));
            vec![recipe.with_context(|| format!("cannot use the recipe in {}", folder.display()))?]
        }
        None => BUILT_IN
            .into_iter()
            .filter(|name| args.recipes.iter().any(|wanted| wanted == name))
            .map(assets::recipe)
            .collect::<Result<_, _>>()?,
    };
    let docker = Docker::connect().await?;
    let mut options = options(&Home::new(&context.home));
    options.refresh = args.refresh;
    let onlooker = context.printer.onlooker();
    let mut result = Built { made: Vec::new(), kept: 0 };
    for recipe in &recipes {
        let built = image::build(&docker, recipe, &options, &*onlooker).await?;
        result.made.extend(built.made);
        result.kept += built.kept;
    }
    context.printer.result(&result, || match (result.made.len(), result.kept) {
        (0, kept) => format!("Nothing to build: {kept} images are up to date."),
        (made, 0) => format!("{made} images built."),
        (made, kept) => format!("{made} images built, {kept} were up to date."),
    })?;
    Ok(End::Done)
}

async fn list(context: &Context) -> anyhow::Result<End> {
    let recipes = BUILT_IN.into_iter().map(assets::recipe).collect::<Result<Vec<_>, _>>()?;
    let docker = Docker::connect().await?;
    let listing = image::list(&docker, &recipes.iter().collect::<Vec<_>>(), PREFIX)
        .await
        .with_context(|| format!("cannot list the images of {}", docker.host()))?;
    context.printer.result(&listing, || text(&listing))?;
    Ok(End::Done)
}

fn text(listing: &Listing) -> String {
    let rows = listing.images.iter().map(|image| {
        let there = image.state != State::Missing;
        let size = |n: u64| if there { bytes(n) } else { String::new() };
        let content = image.content.as_deref().and_then(|c| c.get(..12)).unwrap_or_default();
        [
            image.reference.clone(),
            state(image.state).to_owned(),
            size(image.size),
            size(image.unique),
            content.to_owned(),
        ]
    });
    let stale = listing.images.iter().filter(|image| image.state != State::UpToDate).count();
    let advice = if stale == 0 { String::new() } else { "; `stackyard image build` makes what is not".to_owned() };
    let head = ["IMAGE", "STATE", "SIZE", "ALONE", "CONTENT"];
    table::table(head, rows)
        + &format!(
            "\n{} of {} images are up to date{advice}; {} on disk, shared layers counted once",
            listing.images.len() - stale,
            listing.images.len(),
            bytes(listing.total)
        )
}

fn state(state: State) -> &'static str {
    match state {
        State::UpToDate => "up to date",
        State::Stale => "stale",
        State::Foreign => "not ours",
        State::Missing => "missing",
    }
}

#[derive(Serialize)]
struct Pulled {
    reference: String,
    id: String,
}

async fn pull(args: PullArgs, context: &Context) -> anyhow::Result<End> {
    let docker = Docker::connect().await?;
    let ids = image::pull_all(&docker, &args.references, &*context.printer.onlooker()).await?;
    let pulled: Vec<_> = args.references.into_iter().zip(ids).map(|(reference, id)| Pulled { reference, id }).collect();
    context
        .printer
        .result(&pulled, || pulled.iter().map(|p| format!("{}  {}\n", p.reference, p.id)).collect::<String>())?;
    Ok(End::Done)
}
