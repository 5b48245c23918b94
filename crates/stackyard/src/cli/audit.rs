//! `stackyard audit`

use super::remote::ServerArgs;
use super::{Context, ExitStatus};
use crate::printer::table;

/// Arguments of `stackyard audit`.
#[derive(clap::Args)]
pub struct AuditArgs {
    /// Show at most this many entries
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1000))]
    last: u32,

    /// Show only entries of this caller
    #[arg(long, value_name = "CALLER")]
    actor: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Shows the audit log, the newest entries first.
pub async fn run(args: AuditArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let entries = args.server.client(context)?.audit(args.actor.as_deref(), None, args.last).await?;
    context.printer.result(&entries, || {
        let rows = entries.iter().map(|e| {
            let verb = e.verb.split(' ').next().unwrap_or_default();
            let result = e.result.clone().unwrap_or_else(|| "unfinished".to_owned());
            [e.at.clone(), e.actor.clone(), format!("{verb} {}", e.target), result]
        });
        table::table(["TIME", "CALLER", "ACTION", "RESULT"], rows)
    })?;
    Ok(ExitStatus::Done)
}
