//! `stackyard cloud logs`

use super::super::{Context, ExitStatus};
use super::local;
use futures_util::StreamExt;
use stackyard_cloud::{STACK, up};
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::LogOptions;

/// Arguments of `stackyard cloud logs`.
#[derive(clap::Args)]
pub struct LogsArgs {
    /// Services to print [default: all]
    service: Vec<String>,

    /// Keep printing new lines
    #[arg(short, long)]
    follow: bool,

    /// Print only this many lines from the end
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,

    /// Print the time before each line
    #[arg(short, long)]
    timestamps: bool,
}

/// Prints log lines as they arrive, each with its service before it unless there is only one.
pub async fn run(args: LogsArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let engine = up::engine(&local(context)?, &Docker::connect().await?);
    let options =
        LogOptions { follow: args.follow, tail: args.tail, timestamps: args.timestamps, ..LogOptions::default() };
    let mut lines = engine.logs(STACK, &args.service, options).await?;
    let alone = args.service.len() == 1;
    while let Some(line) = lines.next().await {
        let line = line?;
        if context.printer.is_json() {
            context.printer.line(&serde_json::to_string(&line)?)?;
        } else if alone {
            context.printer.line(&line.text)?;
        } else {
            context.printer.line(&format!("{}  {}", line.service, line.text))?;
        }
    }
    Ok(ExitStatus::Done)
}
