//! `stackyard net reach`

use super::super::yard::{ObservedYard, YardArgs};
use super::super::{Context, ExitStatus};
use serde_json::json;
use stackyard_yard::net::{ports, reach};

/// Arguments of `stackyard net reach`.
#[derive(clap::Args)]
pub struct ReachArgs {
    #[command(flatten)]
    yard: YardArgs,
}

/// Prints which members of the yard can reach each other.
pub async fn run(args: ReachArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let observed = ObservedYard::observe(&args.yard, context).await?;
    let ports = ports(&observed.graph, &observed.inventory);
    let table = reach(&observed.graph, &observed.inventory, &ports).table();
    let result = json!({"event": "result", "yard": observed.graph.yard, "table": table});
    context.printer.result(&result, || match table.targets.as_slice() {
        [] => "The yard has no members to reach yet.".to_owned(),
        _ => table.text(),
    })?;
    Ok(ExitStatus::Done)
}
