//! `stackyard cloud`

mod answers;
mod down;
mod logs;
mod preflight;
mod status;
mod test;
mod up;

use super::{Context, End};
use clap::Subcommand;
use stackyard_cloud::home::Home;
use stackyard_cloud::{Given, Local};
use std::path::PathBuf;

/// Verbs of `stackyard cloud`.
#[derive(Subcommand)]
pub enum Verb {
    /// Check whether this machine can carry the cloud, and how well
    Preflight(preflight::Args),
    /// Bring the cloud up, or to what the answers say now
    Up(up::Args),
    /// Show the package's questions with the answers that count
    Answers(answers::Args),
    /// Show every service: health by a real request, restarts, uptime, memory
    Status,
    /// Print a service's log
    Logs(logs::Args),
    /// Use the cloud as a user would, and tell what works
    Test(test::Args),
    /// Remove the containers and keep the data; with --purge remove everything
    Down(down::Args),
}

/// Answers given on the command line.
#[derive(clap::Args)]
pub struct GivenArgs {
    /// Answer a question; kept for later runs
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Let a question's default count again
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,

    /// Take all answers from a YAML file; replaces those kept
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

impl From<GivenArgs> for Given {
    fn from(args: GivenArgs) -> Self {
        Self { file: args.answers, set: args.set, unset: args.unset }
    }
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::Preflight(args) => preflight::run(args, context).await,
        Verb::Up(args) => up::run(args, context).await,
        Verb::Answers(args) => answers::run(args, context),
        Verb::Status => status::run(context).await,
        Verb::Logs(args) => logs::run(args, context).await,
        Verb::Test(args) => test::run(args, context).await,
        Verb::Down(args) => down::run(args, context).await,
    }
}

/// The cloud of this machine, from the embedded package.
fn local(context: &Context) -> anyhow::Result<Local> {
    Ok(Local::embedded(Home::new(&context.home))?)
}
