//! `stackyard plan`

use super::super::{Context, End};
use super::stacks::{Stacks, lines};
use super::{YardArgs, as_service};
use serde_json::json;
use stackyard_server::Session;

/// Arguments of `stackyard plan`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,
}

/// Shows what `up` would do, and what stands in its way.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let yard = args.yard.load()?;
    let cloud = args.yard.connect(&yard, context).await?;
    let service = args.yard.service(context)?;
    let session = Session::begin_with(&cloud, &yard.intended, as_service(service.as_ref())).await?;
    let found = session.preflight().await?;
    let stacks = match Stacks::of(&yard, context)? {
        Some(stacks) => stacks.plan().await?,
        None => Vec::new(),
    };
    let pending = lines(&stacks);
    let result = json!({
        "event": "result", "plan": session.plan, "summary": session.plan.summary(),
        "blockers": found.blockers, "stacks": stacks,
    });
    context.printer.result(&result, || {
        let mut text = session.plan.to_string();
        text += &pending;
        found
            .blockers
            .iter()
            .filter(|b| !session.plan.refusals.contains(b))
            .for_each(|b| text += &format!("in the way: {b}\n"));
        text
    })?;
    Ok(match (found.blockers.is_empty(), session.plan.is_noop() && pending.is_empty()) {
        (false, _) => End::Failed,
        (true, true) => End::Done,
        (true, false) => End::Pending,
    })
}
