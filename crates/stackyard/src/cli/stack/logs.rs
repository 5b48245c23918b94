//! `stackyard stack logs`

use super::YardNameArgs;
use crate::cli::{Context, ExitStatus};
use futures_util::StreamExt;
use stackyard_client::LogQuery;

/// Arguments of `stackyard stack logs`.
#[derive(clap::Args)]
pub struct LogsArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    /// Services or containers, such as `web`, `web-2` or `web@host-1` [default: all]
    service: Vec<String>,

    /// Keep printing new lines
    #[arg(short, long)]
    follow: bool,

    /// Print only this many lines from the end of each log
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<u32>,
}

/// Prints the log lines of all containers as they arrive, each with its container before it.
pub async fn run(args: LogsArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let client = args.yard.client(context)?;
    let query = LogQuery { only: args.service, follow: args.follow, tail: args.tail, since: None };
    let mut lines = client.stack_logs(&args.yard.yard, &args.stack, &query).await?;
    let mut end = ExitStatus::Done;
    while let Some(line) = lines.next().await {
        let line = line?;
        if context.printer.is_json() {
            context.printer.line(&serde_json::to_string(&line)?)?;
        } else if line.stream == "error" {
            context.printer.note(format!("host {}: {}", line.host, line.text));
        } else {
            let source = line.replica.as_ref().map_or_else(String::new, |replica| format!("{replica}@"));
            context.printer.line(&format!("{source}{}  {}", line.host, line.text))?;
        }
        if line.stream == "error" {
            end = ExitStatus::Failed;
        }
    }
    Ok(end)
}
