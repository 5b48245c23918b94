//! `stackyard stack diff`

use super::YardNameArgs;
use super::deploy::{ComposeArgs, read, text};
use crate::cli::{Context, ExitStatus};
use serde_json::json;
use stackyard_api::{StackChangeKind, StackDeploy};
use stackyard_core::rollout::Packed;

/// Arguments of `stackyard stack diff`.
#[derive(clap::Args)]
pub struct DiffArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    #[command(flatten)]
    compose: ComposeArgs,

    /// Use only hosts of this pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
}

/// Prints what `deploy` would change; exit code 3 if that is anything.
pub async fn run(args: DiffArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let stack = read(&args.compose.request(), context)?.stack;
    let name = stack.name.clone();
    let deploy = StackDeploy { stack: Packed::pack(stack), pool: args.pool, declared: false, network: None };
    let changes = args.yard.client(context)?.plan_stack(&args.yard.yard, &name, &deploy).await?;
    let lines: Vec<String> = changes.iter().filter(|c| c.kind != StackChangeKind::Same).map(text).collect();
    let result = json!({"event": "result", "stack": name, "changes": changes});
    context.printer.result(&result, || match lines.is_empty() {
        true => "No changes.".to_owned(),
        false => lines.join("\n"),
    })?;
    Ok(if lines.is_empty() { ExitStatus::Done } else { ExitStatus::Pending })
}
