//! `stackyard stack list` and `stackyard stack show`

use super::YardNameArgs;
use crate::cli::{Context, ExitStatus};
use crate::printer::table;
use stackyard_api::StackView;
use stackyard_core::rollout::{ReplicaStatus, Standing};

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
            [s.name.clone(), standing(s), format!("{ready}/{desired}"), s.deployed.clone()]
        });
        table::table(["STACK", "STATE", "CONTAINERS", "DEPLOYED"], rows)
    })?;
    Ok(ExitStatus::Done)
}

/// Shows a stack; exit code 1 if not all of it works.
pub async fn run(args: ShowArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let stack = args.yard.client(context)?.stack(&args.yard.yard, &args.stack, false).await?;
    context.printer.result(&stack, || text(&stack))?;
    let well = !stack.removing && stack.status.standing == Standing::Converged;
    Ok(if well { ExitStatus::Done } else { ExitStatus::Failed })
}

/// The state of a stack in a word or two.
pub fn standing(stack: &StackView) -> String {
    let word = match stack.status.standing {
        _ if stack.removing => "being removed",
        Standing::Converged => "works",
        Standing::Working => "on its way",
        Standing::Failing => "FAILING",
        Standing::Failed => "GIVEN UP",
    };
    word.to_owned()
}

fn text(stack: &StackView) -> String {
    let status = &stack.status;
    let rows = status.services.iter().map(|s| {
        let why = s.why.as_deref().and_then(|w| w.lines().next()).unwrap_or_default().to_owned();
        [s.name.clone(), s.mode.clone(), format!("{}/{}", s.ready, s.desired), s.image.clone(), why]
    });
    let mut text = table::table(["SERVICE", "MODE", "READY", "IMAGE", "PROBLEM"], rows);
    let replicas = status.services.iter().flat_map(|s| &s.replicas).map(|r| {
        let error = r.error.as_deref().and_then(|e| e.lines().next()).unwrap_or_default().to_owned();
        let container = r.container.as_deref().map(|c| c.chars().take(12).collect()).unwrap_or_default();
        [r.name.clone(), r.host_name.clone(), state(r), container, error]
    });
    text += "\n";
    text += &table::table(["CONTAINER", "HOST", "STATE", "ID", "PROBLEM"], replicas);
    for note in &status.notes {
        text += &format!("\nnote: {note}");
    }
    if stack.versions.len() > 1 {
        let versions = stack.versions.iter().map(|v| match (v.worked, Some(v.number) == stack.before) {
            (true, true) => format!("{} (rollback target)", v.number),
            (true, false) => v.number.to_string(),
            (false, _) => format!("{} (never worked)", v.number),
        });
        text += &format!("\nKept versions: {}.", versions.collect::<Vec<_>>().join(", "));
    }
    let pool = stack.pool.as_ref().map(|p| format!(" on hosts of pool {p}")).unwrap_or_default();
    text + &format!("\nStack `{}`, version {}{pool}: {}.", stack.name, status.version, standing(stack))
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
