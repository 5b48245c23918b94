//! `stackyard stack list` and `stackyard stack show`

use super::YardNameArgs;
use crate::cli::{Context, ExitStatus};
use crate::printer::table;
use stackyard_api::StackView;
use stackyard_core::health::Health;
use stackyard_core::rollout::ReplicaStatus;

/// Arguments of `stackyard stack list`.
#[derive(clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    yard: YardNameArgs,
}

/// Arguments of `stackyard stack show`.
#[derive(clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,
}

/// Lists the stacks of a yard.
pub async fn list(args: ListArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let stacks = args.yard.client(context)?.stacks(&args.yard.yard).await?;
    context.printer.result(&stacks, || {
        if stacks.is_empty() {
            return format!("The yard `{}` has no stacks.", args.yard.yard);
        }
        let rows = stacks.iter().map(|s| {
            let (ready, desired) = s.status.services.iter().fold((0, 0), |(r, d), s| (r + s.ready, d + s.desired));
            [s.name.clone(), state_text(s).to_owned(), format!("{ready}/{desired}"), s.deployed.clone()]
        });
        table::table(["STACK", "STATE", "CONTAINERS", "DEPLOYED"], rows)
    })?;
    Ok(ExitStatus::Done)
}

/// Shows a stack; exit code 1 if not all of it works.
pub async fn run(args: ShowArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let stack = args.yard.client(context)?.stack(&args.yard.yard, &args.stack, false).await?;
    context.printer.result(&stack, || text(&stack))?;
    let well = !stack.removing && stack.status.health == Health::Ready;
    Ok(if well { ExitStatus::Done } else { ExitStatus::Failed })
}

/// The state of a stack in a word or two.
pub fn state_text(stack: &StackView) -> &'static str {
    if stack.removing { "being removed" } else { stack.status.health.label() }
}

fn text(stack: &StackView) -> String {
    let status = &stack.status;
    let rows = status.services.iter().map(|s| {
        let reason = s.reason.as_deref().and_then(|w| w.lines().next()).unwrap_or_default().to_owned();
        [s.name.clone(), s.mode.clone(), format!("{}/{}", s.ready, s.desired), s.image.clone(), reason]
    });
    let mut text = table::table(["SERVICE", "MODE", "READY", "IMAGE", "PROBLEM"], rows);
    let replicas = status.services.iter().flat_map(|s| &s.replicas).map(|r| {
        let reason = r.reason.as_deref().and_then(|e| e.lines().next()).unwrap_or_default().to_owned();
        let container = r.container.as_deref().map(|c| c.chars().take(12).collect()).unwrap_or_default();
        let ports = r.ports.iter().map(|p| format!("{}->{}/{}", p.published, p.target, p.protocol.word()));
        [r.name.clone(), r.host_name.clone(), state(r), container, ports.collect::<Vec<_>>().join(" "), reason]
    });
    text += "\n";
    text += &table::table(["CONTAINER", "HOST", "STATE", "ID", "PORTS", "PROBLEM"], replicas);
    for note in &status.notes {
        text += &format!("\nnote: {note}");
    }
    if stack.versions.len() > 1 {
        let versions = stack.versions.iter().map(|v| match (v.succeeded, Some(v.number) == stack.previous) {
            (true, true) => format!("{} (rollback target)", v.number),
            (true, false) => v.number.to_string(),
            (false, _) => format!("{} (was never ready)", v.number),
        });
        text += &format!("\nKept versions: {}.", versions.collect::<Vec<_>>().join(", "));
    }
    let pool = stack.pool.as_ref().map(|p| format!(" on hosts of pool {p}")).unwrap_or_default();
    text + &format!("\nStack `{}`, version {}{pool}: {}.", stack.name, status.version, state_text(stack))
}

fn state(replica: &ReplicaStatus) -> String {
    let mut text = replica.state.clone();
    match (replica.status, replica.healthy) {
        (Some(status), _) => text += &format!(" ({status})"),
        (None, Some(true)) => text += ", healthy",
        (None, Some(false)) => text += ", unhealthy",
        (None, None) => {}
    }
    if replica.restarts > 0 {
        text += &format!(", restarted {} times", replica.restarts);
    }
    text
}
