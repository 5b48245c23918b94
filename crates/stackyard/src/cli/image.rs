//! `stackyard image`

use super::yard::CloudArgs;
use super::{Context, End};
use crate::printer::{bytes, table};
use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use serde::Serialize;
use stackyard_cloud::assets;
use stackyard_cloud::home::Home;
use stackyard_cloud::images::{PREFIX, options};
use stackyard_cloud::push::{self, Pushed, Target};
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, Folder, Listing, Recipe, State};
use std::path::PathBuf;

/// Recipes that come with the program, in build order: the tiny guest is made from a service image.
const BUILT_IN: [&str; 3] = ["services", "tiny", "docker-host"];

/// Those of them that make the disk of a virtual machine.
const GUESTS: [&str; 2] = ["tiny", "docker-host"];

/// Verbs of `stackyard image`.
#[derive(Subcommand)]
pub enum Verb {
    /// Build the images that are missing or whose recipe changed
    Build(BuildArgs),
    /// Show the images, what they take on disk, and whether the recipe changed
    List,
    /// Pull images from a registry, with the progress of each layer
    Pull(PullArgs),
    /// Write the disk of a guest to a file
    Export(ExportArgs),
    /// Upload the disk of a guest to a cloud, once per content
    Push(PushArgs),
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

/// Arguments of `stackyard image export`.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Which guest; it is built first if need be
    #[arg(value_name = "RECIPE", value_parser = GUESTS)]
    recipe: String,

    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Arguments of `stackyard image push`.
#[derive(clap::Args)]
pub struct PushArgs {
    /// Which guest; it is built first if need be
    #[arg(value_name = "RECIPE", value_parser = GUESTS, required_unless_present = "file")]
    recipe: Option<String>,

    /// Upload this qcow2 or raw file instead
    #[arg(long, value_name = "FILE", conflicts_with = "recipe")]
    file: Option<PathBuf>,

    /// Name of the image in the cloud [default: the recipe's, the file's without its ending]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Let all projects use it (for administrators)
    #[arg(long)]
    public: bool,

    #[command(flatten)]
    cloud: CloudArgs,
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::Build(args) => build(args, context).await,
        Verb::List => list(context).await,
        Verb::Pull(args) => pull(args, context).await,
        Verb::Export(args) => export(args, context).await,
        Verb::Push(args) => push(args, context).await,
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
            let recipe = Recipe::read(&Folder(folder.clone())).and_then(assets::with_program);
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

/// The recipe of a guest, built.
async fn guest(name: &str, docker: &Docker, context: &Context) -> anyhow::Result<Recipe> {
    let recipe = assets::recipe(name)?;
    image::build(docker, &recipe, &options(&Home::new(&context.home)), &*context.printer.onlooker()).await?;
    Ok(recipe)
}

#[derive(Serialize)]
struct Exported {
    file: PathBuf,
    bytes: u64,
}

async fn export(args: ExportArgs, context: &Context) -> anyhow::Result<End> {
    let docker = Docker::connect().await?;
    let recipe = guest(&args.recipe, &docker, context).await?;
    let (reference, guest) = recipe.disk(PREFIX).with_context(|| format!("the recipe {} has no disk", args.recipe))?;
    let size = image::extract(&docker, &reference, &guest.file, &args.file).await?;
    let exported = Exported { file: args.file, bytes: size };
    context.printer.result(&exported, || format!("{}: {}", exported.file.display(), bytes(size)))?;
    Ok(End::Done)
}

async fn push(args: PushArgs, context: &Context) -> anyhow::Result<End> {
    let onlooker = context.printer.onlooker();
    // a wrong password is told before anything is built
    let cloud = args.cloud.connect(None, &onlooker).await?;
    let home = Home::new(&context.home);
    let own = args.file.as_deref().and_then(|file| file.file_stem()?.to_str());
    let name = args.name.as_deref().or(args.recipe.as_deref()).or(own);
    let name = name.ok_or_else(|| anyhow!("the file's name cannot be an image's; give one with --name"))?;
    let target = Target { cloud: &cloud, home: &home, name, public: args.public };
    let pushed = match (&args.file, &args.recipe) {
        (Some(file), _) => push::file(file, &target, &*onlooker).await?,
        (None, recipe) => {
            let docker = Docker::connect().await?;
            let recipe = guest(recipe.as_deref().unwrap_or(name), &docker, context).await?;
            push::recipe(&docker, &recipe, &target, &*onlooker).await?
        }
    };
    context.printer.result(&pushed, || said(name, &pushed))?;
    Ok(End::Done)
}

fn said(name: &str, pushed: &Pushed) -> String {
    let mut text = match pushed.uploaded {
        Some(size) => format!("Image {name} uploaded: {}, id {}.", bytes(size), pushed.id),
        None => format!("Image {name} is there with this content: id {}.", pushed.id),
    };
    if !pushed.kept.is_empty() {
        text += &format!("\nServers are made from former images, which stay: {}", pushed.kept.join(", "));
    }
    text
}
