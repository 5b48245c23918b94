//! `stackyard completions`

use super::{Cli, End};
use clap::CommandFactory;
use clap_complete::Shell;

/// Arguments of `stackyard completions`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the completion script.
#[allow(clippy::unnecessary_wraps, reason = "all verbs have one form")]
pub fn run(args: &Args) -> anyhow::Result<End> {
    clap_complete::generate(args.shell, &mut Cli::command(), "stackyard", &mut std::io::stdout());
    Ok(End::Done)
}
