//! `stackyard cloud logs`

use super::super::{Context, End};
use super::local;
use futures_util::StreamExt;
use stackyard_cloud::{STACK, up};
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::LogOptions;
use std::io::Write;

/// Arguments of `stackyard cloud logs`.
#[derive(clap::Args)]
pub struct Args {
    /// Services; all when none is given
    service: Vec<String>,

    /// Go on printing what is written from now on
    #[arg(short, long)]
    follow: bool,

    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,

    /// Put the time before each line
    #[arg(short, long)]
    timestamps: bool,
}

/// Prints the logs, mixed as they come; each line is led by its service when there are several.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let engine = up::engine(&local(context)?, &Docker::connect().await?);
    let options =
        LogOptions { follow: args.follow, tail: args.tail, timestamps: args.timestamps, ..LogOptions::default() };
    let mut lines = engine.logs(STACK, &args.service, options).await?;
    let alone = args.service.len() == 1;
    let mut out = std::io::stdout().lock();
    while let Some(line) = lines.next().await {
        let line = line?;
        if context.printer.is_json() {
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        } else if alone {
            writeln!(out, "{}", line.text)?;
        } else {
            writeln!(out, "{}  {}", line.service, line.text)?;
        }
    }
    Ok(End::Done)
}
