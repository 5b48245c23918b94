//! `stackyard cloud`

mod answers;
mod down;
mod logs;
mod preflight;
mod status;
mod test;
mod up;

use super::{Context, ExitStatus};
use clap::Subcommand;
use stackyard_cloud::home::Home;
use stackyard_cloud::{AnswerChanges, Local};
use std::path::PathBuf;

/// Verbs of `stackyard cloud`.
#[derive(Subcommand)]
pub enum CloudVerb {
    /// Check whether this machine can run the cloud
    Preflight(preflight::PreflightArgs),
    /// Start the cloud, or apply changed answers to it
    Up(up::UpArgs),
    /// Show the questions and the answers in effect
    Answers(answers::AnswersArgs),
    /// Show every service: health, restarts, uptime and memory
    ///
    /// Health comes from a real request to the service.
    Status,
    /// Print the logs of services
    Logs(logs::LogsArgs),
    /// Use the cloud as a user would and report what works
    Test(test::TestArgs),
    /// Stop the cloud and keep its data, or remove both
    Down(down::DownArgs),
}

/// Answers given on the command line.
#[derive(clap::Args)]
pub struct AnswerArgs {
    /// Answer a question; `up` keeps the answer for later runs
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Restore the default answer of a question
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,

    /// Replace all kept answers with those of a YAML file
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

impl From<AnswerArgs> for AnswerChanges {
    fn from(args: AnswerArgs) -> Self {
        Self { file: args.answers, set: args.set, unset: args.unset }
    }
}

/// Runs a verb of `stackyard cloud`.
pub async fn run(verb: CloudVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        CloudVerb::Preflight(args) => preflight::run(args, context).await,
        CloudVerb::Up(args) => up::run(args, context).await,
        CloudVerb::Answers(args) => answers::run(args, context),
        CloudVerb::Status => status::run(context).await,
        CloudVerb::Logs(args) => logs::run(args, context).await,
        CloudVerb::Test(args) => test::run(args, context).await,
        CloudVerb::Down(args) => down::run(args, context).await,
    }
}

/// The cloud of this machine, from the embedded package.
fn local(context: &Context) -> anyhow::Result<Local> {
    Ok(Local::embedded(Home::new(&context.home))?)
}
