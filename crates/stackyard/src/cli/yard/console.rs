//! `stackyard console`

use super::super::{Context, ExitStatus};
use super::YardArgs;
use crate::printer::UserError;
use anyhow::bail;
use serde_json::json;
use stackyard_yard::server_log;

/// Arguments of `stackyard console`.
#[derive(clap::Args)]
pub struct ConsoleArgs {
    #[command(flatten)]
    yard: YardArgs,

    /// Server or pool host, by its name in `stackyard status`
    #[arg(value_name = "SERVER")]
    name: String,

    /// Print this many lines
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
}

/// Prints the end of a server's console log.
pub async fn run(args: ConsoleArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let yard = args.yard.load(context)?;
    let cloud = args.yard.connect(&yard, context).await?;
    let name = &yard.intended.yard;
    let Some((id, text)) = server_log(&cloud, name, &args.name, Some(args.lines)).await? else {
        bail!(UserError::new(
            format!("cannot find server {} of yard {name} in cloud {}", args.name, cloud.config().name),
            "run `stackyard status` to list the servers",
        ));
    };
    let result = json!({"server": args.name, "id": id, "text": text});
    context.printer.result(&result, || text.clone())?;
    Ok(ExitStatus::Done)
}
