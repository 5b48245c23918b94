//! `stackyard catalog ...`

mod install;
mod show;

use super::{Context, ExitStatus};
use serde_json::json;
use stackyard_yard::{Catalogs, printable};

/// Verbs about catalogs and the packages of a manifest.
#[derive(clap::Subcommand)]
pub enum CatalogVerb {
    /// Add a catalog: a directory, or a tar archive
    Add(AddArgs),
    /// List catalogs with their sources and digests
    List,
    /// List packages, those with a text in name or description
    Search(show::SearchArgs),
    /// Show a package: its questions, versions and digest
    Show(show::ShowArgs),
    /// Copy the sources of catalogs again
    Update(UpdateArgs),
    /// Remove a catalog from this machine
    Remove(NameArgs),
    /// Write a package into a manifest
    ///
    /// Shows where the package is from, and what it brings and wants, and asks first. `stackyard up` deploys it.
    Install(install::InstallArgs),
    /// Write another version of a package into a manifest
    Upgrade(install::UpgradeArgs),
    /// Remove a package from a manifest
    ///
    /// The next `stackyard up` removes what it brought.
    Uninstall(install::UninstallArgs),
}

/// Arguments of `catalog add`.
#[derive(clap::Args)]
pub struct AddArgs {
    /// Name of the catalog on this machine
    name: String,

    /// Directory or archive (.tar, .tar.gz) to copy
    source: String,
}

/// Arguments of `catalog update`.
#[derive(clap::Args)]
pub struct UpdateArgs {
    /// Catalog [default: all but the built-in one]
    name: Option<String>,
}

/// A catalog by name.
#[derive(clap::Args)]
pub struct NameArgs {
    /// Name of the catalog
    name: String,
}

/// The catalogs of this machine.
pub fn catalogs(context: &Context) -> Catalogs {
    Catalogs::new(&context.home, stackyard_cloud::assets::catalog())
}

/// Runs a verb about catalogs.
pub async fn run(verb: CatalogVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        CatalogVerb::Add(args) => add(&args, context),
        CatalogVerb::List => show::list(context),
        CatalogVerb::Search(args) => show::search(&args, context),
        CatalogVerb::Show(args) => show::run(&args, context),
        CatalogVerb::Update(args) => update(&args, context),
        CatalogVerb::Remove(args) => remove(&args, context),
        CatalogVerb::Install(args) => install::install(args, context).await,
        CatalogVerb::Upgrade(args) => install::upgrade(args, context).await,
        CatalogVerb::Uninstall(args) => install::uninstall(&args, context),
    }
}

fn add(args: &AddArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let catalogs = catalogs(context);
    let record = catalogs.add(&args.name, &args.source)?;
    let index = catalogs.index(&args.name)?;
    index.mistakes.iter().for_each(|mistake| context.printer.note(format!("note: left out: {}", printable(mistake))));
    let packages: Vec<String> = index.packages.iter().map(|p| p.id.to_string()).collect();
    context.printer.result(&json!({"event": "result", "catalog": record, "packages": packages}), || {
        format!("Added the catalog `{}` ({}): {}.", record.name, record.digest, packages.join(", "))
    })?;
    Ok(ExitStatus::Done)
}

fn update(args: &UpdateArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let catalogs = catalogs(context);
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => {
            let all = catalogs.list()?;
            let damaged = all.iter().filter_map(|c| c.damage.as_ref());
            damaged.for_each(|why| context.printer.note(format!("note: left out: {}", printable(why))));
            let sound = all.into_iter().filter(|c| c.damage.is_none() && c.name != stackyard_yard::BUILT_IN);
            sound.map(|c| c.name).collect()
        }
    };
    let mut updated = Vec::new();
    for name in &names {
        let (before, after) = catalogs.update(name)?;
        let changed = before.digest != after.digest;
        updated.push(json!({"catalog": after, "changed": changed}));
    }
    context.printer.result(&json!({"event": "result", "updated": updated}), || {
        let line = |u: &serde_json::Value| {
            let changed = if u["changed"] == true { "changed" } else { "unchanged" };
            format!("{}: {changed} ({})\n", u["catalog"]["name"].as_str().unwrap_or_default(), u["catalog"]["digest"])
        };
        updated.iter().map(line).collect()
    })?;
    Ok(ExitStatus::Done)
}

fn remove(args: &NameArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let record = catalogs(context).remove(&args.name)?;
    context.printer.result(&json!({"event": "result", "removed": record}), || {
        format!("Removed the catalog `{}`. Yards with packages of it need it for their next `up`.", record.name)
    })?;
    Ok(ExitStatus::Done)
}
