//! `stackyard man`

use super::{Cli, ExitStatus};
use anyhow::Context as _;
use clap::CommandFactory;
use std::path::PathBuf;

/// Arguments of `stackyard man`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// Directory for the pages, one page per command
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the manual pages.
pub fn run(args: &ManArgs) -> anyhow::Result<ExitStatus> {
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot create the directory {}", args.dir.display()))?;
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .with_context(|| format!("cannot write the manual pages to {}", args.dir.display()))?;
    Ok(ExitStatus::Done)
}
