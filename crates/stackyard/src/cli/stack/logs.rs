//! `stackyard stack logs`

use super::YardName;
use crate::cli::{Context, End};
use futures_util::StreamExt;
use stackyard_server::client::LogQuery;
use std::io::Write;

/// Arguments of `stackyard stack logs`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardName,

    /// The stack
    stack: String,

    /// Services or containers (`web`, `web-2`), also those of one host (`web@host-1`); all when none is given
    service: Vec<String>,

    /// Go on printing what is written from now on
    #[arg(short, long)]
    follow: bool,

    /// Only the last lines of each container
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<u32>,
}

/// Prints the logs of all containers, mixed as they come, each line led by its container.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let client = args.yard.client(context)?;
    let query = LogQuery { only: args.service, follow: args.follow, tail: args.tail, since: None };
    let mut lines = client.stack_logs(&args.yard.yard, &args.stack, &query).await?;
    let mut end = End::Done;
    while let Some(line) = lines.next().await {
        let line = line?;
        let mut out = std::io::stdout().lock();
        if context.printer.is_json() {
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        } else if line.stream == "error" {
            context.printer.say(format!("host {}: {}", line.host, line.text));
        } else {
            match &line.replica {
                Some(replica) => writeln!(out, "{replica}@{}  {}", line.host, line.text)?,
                None => writeln!(out, "{}  {}", line.host, line.text)?,
            }
        }
        if line.stream == "error" {
            end = End::Failed;
        }
    }
    Ok(end)
}
