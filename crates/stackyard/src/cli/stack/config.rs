//! `stackyard stack config`

use super::source::ComposeArgs;
use crate::cli::{Context, ExitStatus};
use serde_json::Value;
use stackyard_catalog::compose::open::open_and_tell;
use stackyard_catalog::compose::print::{document, yaml};
use std::collections::BTreeSet;

/// Arguments of `stackyard stack config`.
#[derive(clap::Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    compose: ComposeArgs,

    #[command(flatten)]
    listing: ListingArgs,

    /// Only check the files
    #[arg(short, long, conflicts_with = "listing")]
    quiet: bool,
}

/// What is listed instead of the file.
#[derive(clap::Args)]
#[group(id = "listing", multiple = false)]
struct ListingArgs {
    /// List the names of services
    #[arg(long)]
    services: bool,

    /// List the images of services
    #[arg(long)]
    images: bool,

    /// List the names of volumes
    #[arg(long)]
    volumes: bool,

    /// List the names of networks
    #[arg(long)]
    networks: bool,
}

/// Prints Compose files as one, in canonical form.
pub fn run(args: ConfigArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let opened = open_and_tell(&args.compose.request())?;
    for warning in &opened.loaded.warnings {
        context.printer.note(format!("warning: {warning}"));
    }
    if args.quiet {
        return Ok(ExitStatus::Done);
    }
    let document = document(&opened.loaded, &opened.dir);
    match args.listing.names(&document) {
        Some(names) => context.printer.result(&names, || names.iter().cloned().collect::<Vec<_>>().join("\n"))?,
        None => {
            let text = yaml(&document)?;
            context.printer.result(&document, || text)?;
        }
    }
    Ok(ExitStatus::Done)
}

impl ListingArgs {
    /// The names asked for; `None` when none are.
    fn names(&self, document: &Value) -> Option<BTreeSet<String>> {
        let keys = |section: &str| document[section].as_object().into_iter().flat_map(|m| m.keys().cloned()).collect();
        let section = [(self.services, "services"), (self.volumes, "volumes"), (self.networks, "networks")];
        if let Some((_, name)) = section.into_iter().find(|(asked, _)| *asked) {
            return Some(keys(name));
        }
        let services = || document["services"].as_object().into_iter().flat_map(|m| m.values());
        let image = |s: &Value| s["image"].as_str().map(|i| i.replace("$$", "$"));
        self.images.then(|| services().filter_map(image).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn images_are_listed_once() {
        let listing = ListingArgs { services: false, images: true, volumes: false, networks: false };
        let services = json!({"a": {"image": "i"}, "b": {"image": "i"}, "c": {"image": "j"}});
        let names = listing.names(&json!({"services": services})).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["i", "j"]);
    }
}
