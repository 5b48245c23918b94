//! `stackyard man`

use super::{Cli, End};
use anyhow::Context as _;
use clap::CommandFactory;
use std::path::PathBuf;

/// Arguments of `stackyard man`.
#[derive(clap::Args)]
pub struct Args {
    /// Directory for the pages, one a command
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the manual pages.
pub fn run(args: &Args) -> anyhow::Result<End> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("making the directory {}", args.dir.display()))?;
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .with_context(|| format!("writing manual pages to {}", args.dir.display()))?;
    Ok(End::Done)
}
