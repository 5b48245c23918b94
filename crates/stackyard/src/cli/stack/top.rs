//! `stackyard stack top`

use super::YardNameArgs;
use crate::cli::{Context, ExitStatus};
use crate::printer::table::columns;
use stackyard_api::ContainerTop;

/// Arguments of `stackyard stack top`.
#[derive(clap::Args)]
pub struct TopArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    /// Only these services or containers, such as `web`, `web-2` or `web@host-1`
    only: Vec<String>,
}

/// Lists the processes of a stack's containers; exit code 1 if a host does not tell of one.
pub async fn run(args: TopArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let all = args.yard.client(context)?.stack_top(&args.yard.yard, &args.stack, &args.only).await?;
    context.printer.result(&all, || match all.is_empty() {
        true => format!("The stack `{}` has no containers.", args.stack),
        false => all.iter().map(text).collect::<Vec<_>>().join("\n"),
    })?;
    Ok(if all.iter().all(|c| c.reason.is_none()) { ExitStatus::Done } else { ExitStatus::Failed })
}

fn text(of: &ContainerTop) -> String {
    let head = format!("{} on {}\n", of.container, of.host);
    match &of.reason {
        Some(reason) => format!("{head}{reason}\n"),
        None => head + &columns(of.titles.clone(), of.processes.clone()),
    }
}
