//! `stackyard completions`

use super::{Cli, Context, ExitStatus};
use clap::CommandFactory;
use clap_complete::Shell;

/// Arguments of `stackyard completions`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// Shell to complete for
    shell: Shell,
}

/// Prints the completion script.
pub fn run(args: &CompletionsArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    // Into memory first: `generate` panics if its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stackyard", &mut script);
    context.printer.bytes(&script)?;
    Ok(ExitStatus::Done)
}
