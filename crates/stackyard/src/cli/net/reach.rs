//! `stackyard net reach`

use super::super::yard::{Seen, YardArgs};
use super::super::{Context, End};
use serde_json::json;
use stackyard_server::net::{ports, reach};

/// Arguments of `stackyard net reach`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,
}

/// Prints who can reach whom.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let seen = Seen::look(&args.yard, context).await?;
    let ports = ports(&seen.graph, &seen.inventory);
    let table = reach(&seen.graph, &seen.inventory, &ports).table();
    let result = json!({"event": "result", "yard": seen.graph.yard, "table": table});
    context.printer.result(&result, || match table.targets.as_slice() {
        [] => "The yard has nobody that could be reached.".to_owned(),
        _ => table.text(),
    })?;
    Ok(End::Done)
}
