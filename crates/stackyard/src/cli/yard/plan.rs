//! `stackyard plan`

use super::super::{Context, ExitStatus};
use super::{YardArgs, load_stacks};
use serde_json::json;
use stackyard_yard::UpOperation;

/// Arguments of `stackyard plan`.
#[derive(clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    yard: YardArgs,
}

/// Shows what `up` would do, and what blocks it.
pub async fn run(args: PlanArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let yard = args.yard.load(context)?;
    let cloud = args.yard.connect(&yard, context).await?;
    let service = args.yard.service(context)?;
    let stacks = load_stacks(&yard, service.as_ref(), context).await?;
    let note = |text: String| context.printer.note(text);
    let operation = UpOperation::look(&yard, &cloud, service.as_ref(), stacks, &note).await?;
    operation.snapshot.inventory.warn(&*context.printer.onlooker());
    let found = operation.preflight().await?;
    let plan = operation.plan;
    let result = json!({"event": "result", "plan": plan, "summary": plan.summary(), "blockers": found.blockers});
    context.printer.result(&result, || {
        let mut text = plan.to_string();
        found.blockers.iter().filter(|b| !plan.refusals.contains(b)).for_each(|b| text += &format!("blocker: {b}\n"));
        text
    })?;
    Ok(match (found.blockers.is_empty(), plan.is_noop()) {
        (false, _) => ExitStatus::Failed,
        (true, true) => ExitStatus::Done,
        (true, false) => ExitStatus::Pending,
    })
}
