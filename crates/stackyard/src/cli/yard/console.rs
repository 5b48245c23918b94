//! `stackyard console`

use super::super::{Context, End};
use super::YardArgs;
use anyhow::bail;
use serde_json::json;
use stackyard_server::server_log;

/// Arguments of `stackyard console`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// The server, or host of a pool, as the manifest and `status` call it
    #[arg(value_name = "SERVER")]
    name: String,

    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
}

/// Prints the end of a server's console log.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let yard = args.yard.load()?;
    let cloud = args.yard.connect(&yard, context).await?;
    let name = &yard.intended.yard;
    let Some((id, text)) = server_log(&cloud, name, &args.name, Some(args.lines)).await? else {
        bail!(
            "cloud {} has no server {} of yard {name}; `stackyard status` lists them",
            cloud.config().name,
            args.name
        );
    };
    let result = json!({"server": args.name, "id": id, "text": text});
    context.printer.result(&result, || text.clone())?;
    Ok(End::Done)
}
