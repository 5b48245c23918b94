//! `stackyard image`

use super::yard::CloudArgs;
use super::{Context, ExitStatus};
use crate::printer::{UserError, bytes, table};
use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use stackyard_cloud::assets;
use stackyard_cloud::home::Home;
use stackyard_cloud::images::{PREFIX, options};
use stackyard_cloud::push::{self, PushResult, Target};
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, Folder, ImageState, Listing, Recipe};
use std::path::PathBuf;

/// Recipes that come with the program, in build order: the tiny guest needs a service image.
const BUILT_IN: [&str; 3] = ["services", "tiny", "docker-host"];

/// Recipes whose result is the disk of a virtual machine.
const GUESTS: [&str; 2] = ["tiny", "docker-host"];

/// Verbs of `stackyard image`.
#[derive(Subcommand)]
pub enum ImageVerb {
    /// Build images that are missing or whose recipe changed
    Build(BuildArgs),
    /// List images with their state and disk usage
    List,
    /// Pull images from a registry
    Pull(PullArgs),
    /// Write the disk image of a guest to a file
    Export(ExportArgs),
    /// Upload the disk image of a guest to a cloud
    ///
    /// An image that the cloud already has with the same content is not uploaded again.
    Push(PushArgs),
}

/// Arguments of `stackyard image build`.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// Recipes to build
    #[arg(value_name = "RECIPE", value_parser = BUILT_IN, required_unless_present = "recipe")]
    recipes: Vec<String>,

    /// Build your own recipe, a directory with an image.yaml
    #[arg(long, value_name = "DIR", conflicts_with = "recipes")]
    recipe: Option<PathBuf>,

    /// Rebuild everything to get Debian's security updates
    #[arg(long)]
    refresh: bool,
}

/// Arguments of `stackyard image pull`.
#[derive(clap::Args)]
pub struct PullArgs {
    /// Images to pull: registry/repository:tag
    #[arg(value_name = "REFERENCE", required = true)]
    references: Vec<String>,
}

/// Arguments of `stackyard image export`.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Guest to export; built first if necessary
    #[arg(value_name = "RECIPE", value_parser = GUESTS)]
    recipe: String,

    /// File to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Arguments of `stackyard image push`.
#[derive(clap::Args)]
pub struct PushArgs {
    /// Guest to upload; built first if necessary
    #[arg(value_name = "RECIPE", value_parser = GUESTS, required_unless_present = "file")]
    recipe: Option<String>,

    /// Upload this qcow2 or raw file instead
    #[arg(long, value_name = "FILE", conflicts_with = "recipe")]
    file: Option<PathBuf>,

    /// Name of the image in the cloud
    ///
    /// [default: the name of the recipe, or of the file without its extension]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Share the image with all projects (administrators only)
    #[arg(long)]
    public: bool,

    #[command(flatten)]
    cloud: CloudArgs,
}

/// Runs a verb of `stackyard image`.
pub async fn run(verb: ImageVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        ImageVerb::Build(args) => build(args, context).await,
        ImageVerb::List => list(context).await,
        ImageVerb::Pull(args) => pull(args, context).await,
        ImageVerb::Export(args) => export(args, context).await,
        ImageVerb::Push(args) => push(args, context).await,
    }
}

#[derive(Serialize)]
struct BuildResult {
    made: Vec<String>,
    kept: usize,
}

async fn build(args: BuildArgs, context: &Context) -> anyhow::Result<ExitStatus> {
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
    let mut result = BuildResult { made: Vec::new(), kept: 0 };
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
    Ok(ExitStatus::Done)
}

async fn list(context: &Context) -> anyhow::Result<ExitStatus> {
    let recipes = BUILT_IN.into_iter().map(assets::recipe).collect::<Result<Vec<_>, _>>()?;
    let docker = Docker::connect().await?;
    let listing = image::list(&docker, &recipes.iter().collect::<Vec<_>>(), PREFIX)
        .await
        .with_context(|| format!("cannot list the images of {}", docker.host()))?;
    context.printer.result(&listing, || text(&listing))?;
    Ok(ExitStatus::Done)
}

fn text(listing: &Listing) -> String {
    let rows = listing.images.iter().map(|image| {
        let there = image.state != ImageState::Missing;
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
    let stale = listing.images.iter().filter(|image| image.state != ImageState::UpToDate).count();
    let advice = if stale == 0 { String::new() } else { "; run `stackyard image build` for the others".to_owned() };
    let head = ["IMAGE", "STATE", "SIZE", "UNIQUE", "CONTENT"];
    table::table(head, rows)
        + &format!(
            "\n{} of {} images are up to date{advice}; {} on disk, shared layers counted once",
            listing.images.len() - stale,
            listing.images.len(),
            bytes(listing.total)
        )
}

fn state(state: ImageState) -> &'static str {
    match state {
        ImageState::UpToDate => "up to date",
        ImageState::Stale => "stale",
        ImageState::Foreign => "foreign",
        ImageState::Missing => "missing",
    }
}

#[derive(Serialize)]
struct PulledImage {
    reference: String,
    id: String,
}

async fn pull(args: PullArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let docker = Docker::connect().await?;
    let ids = image::pull_all(&docker, &args.references, &*context.printer.onlooker()).await?;
    let images = args.references.into_iter().zip(ids);
    let pulled: Vec<_> = images.map(|(reference, id)| PulledImage { reference, id }).collect();
    context
        .printer
        .result(&pulled, || pulled.iter().map(|p| format!("{}  {}\n", p.reference, p.id)).collect::<String>())?;
    Ok(ExitStatus::Done)
}

/// Builds a guest if necessary, and returns its recipe.
async fn build_guest(name: &str, docker: &Docker, context: &Context) -> anyhow::Result<Recipe> {
    let recipe = assets::recipe(name)?;
    image::build(docker, &recipe, &options(&Home::new(&context.home)), &*context.printer.onlooker()).await?;
    Ok(recipe)
}

#[derive(Serialize)]
struct ExportResult {
    file: PathBuf,
    bytes: u64,
}

async fn export(args: ExportArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let docker = Docker::connect().await?;
    let recipe = build_guest(&args.recipe, &docker, context).await?;
    let no_disk = || format!("cannot export {}: its recipe has no disk", args.recipe);
    let (reference, guest) = recipe.disk(PREFIX).with_context(no_disk)?;
    let size = image::extract(&docker, &reference, &guest.file, &args.file).await?;
    let exported = ExportResult { file: args.file, bytes: size };
    context.printer.result(&exported, || format!("{}: {}", exported.file.display(), bytes(size)))?;
    Ok(ExitStatus::Done)
}

async fn push(args: PushArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let onlooker = context.printer.onlooker();
    // Connect first: a wrong password is an error before the long build.
    let cloud = args.cloud.connect(None, &onlooker).await?;
    let home = Home::new(&context.home);
    let own = args.file.as_deref().and_then(|file| file.file_stem()?.to_str());
    let name = args.name.as_deref().or(args.recipe.as_deref()).or(own);
    let name = name.ok_or_else(|| UserError::new("cannot name the image after the file", "pass --name"))?;
    let target = Target { cloud: &cloud, home: &home, name, public: args.public };
    let pushed = match (&args.file, &args.recipe) {
        (Some(file), _) => push::file(file, &target, &*onlooker).await?,
        (None, recipe) => {
            let docker = Docker::connect().await?;
            let recipe = build_guest(recipe.as_deref().unwrap_or(name), &docker, context).await?;
            push::recipe(&docker, &recipe, &target, &*onlooker).await?
        }
    };
    context.printer.result(&pushed, || push_text(name, &pushed))?;
    Ok(ExitStatus::Done)
}

fn push_text(name: &str, pushed: &PushResult) -> String {
    let mut text = match pushed.uploaded {
        Some(size) => format!("Uploaded image {name}: {}, ID {}.", bytes(size), pushed.id),
        None => format!("Image {name} already has this content: ID {}.", pushed.id),
    };
    if !pushed.kept.is_empty() {
        text += &format!("\nKept earlier images that servers still use: {}", pushed.kept.join(", "));
    }
    text
}
