//! `stackyard stack diff`

use super::YardNameArgs;
use super::deploy::{tell_notes, text};
use super::source::SourceArgs;
use crate::cli::{Context, ExitStatus};
use serde_json::json;
use stackyard_api::StackChangeKind;

/// Arguments of `stackyard stack diff`.
#[derive(clap::Args)]
pub struct DiffArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    #[command(flatten)]
    source: SourceArgs,
}

/// Prints what `deploy` would change; exit code 3 if that is anything.
pub async fn run(args: DiffArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let (client, prepared) = args.source.prepare(&args.yard, context).await?;
    let name = prepared.name;
    let changes = client.plan_stack(&args.yard.yard, &name, &prepared.deploy).await?;
    let lines: Vec<String> = changes.iter().filter(|c| c.kind != StackChangeKind::Same).map(text).collect();
    let result = json!({"event": "result", "stack": name, "changes": changes});
    context.printer.result(&result, || match lines.is_empty() {
        true => "No changes.".to_owned(),
        false => lines.join("\n"),
    })?;
    tell_notes(&changes, context);
    Ok(if lines.is_empty() { ExitStatus::Done } else { ExitStatus::Pending })
}
