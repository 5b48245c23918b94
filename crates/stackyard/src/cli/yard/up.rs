//! `stackyard up`

use super::super::{Context, End};
use super::stacks::{Stacks, lines};
use super::{YardArgs, as_service, confirmed, records};
use crate::printer::duration;
use serde_json::json;
use stackyard_server::Session;
use std::time::Instant;

/// Arguments of `stackyard up`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Brings the cloud to what the manifest says.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let began = Instant::now();
    let printer = &context.printer;
    let onlooker = printer.onlooker();
    let yard = args.yard.load()?;
    let name = &yard.intended.yard;
    let stacks = Stacks::of(&yard, context)?;
    let records = records(context);
    let _lock = records.lock(name)?;
    let cloud = args.yard.connect(&yard, context).await?;
    let service = args.yard.service(context)?;
    let session = Session::begin_with(&cloud, &yard.intended, as_service(service.as_ref())).await?;
    // Asked before the first creation, so that a file that no server takes is found then.
    let pending = match &stacks {
        Some(stacks) => lines(&stacks.plan().await?),
        None => String::new(),
    };
    let mut changed = !session.plan.is_noop();
    let mut choices = None;
    if changed {
        printer.plan(&session.plan)?;
        let found = session.preflight().await?;
        if !found.blockers.is_empty() {
            anyhow::bail!("this cannot be carried out:\n- {}", found.blockers.join("\n- "));
        }
        choices = Some(found.choices);
    }
    if !pending.is_empty() {
        printer.say(pending.trim_end());
    }
    if (changed || !pending.is_empty()) && !args.yes && !confirmed(context, "this changes the yard")? {
        return Ok(End::Failed);
    }
    // First, so that a sweep takes nothing from a yard that is just coming up.
    records.keep(name, &yard.text)?;
    if let Some(choices) = choices {
        session.apply(&choices, &*onlooker).await?;
    }
    if let Some(stacks) = stacks {
        changed |= stacks.deploy(context).await?;
    }
    session.tidy().await?;
    let counts = cloud.counts();
    let result = json!({
        "event": "result", "yard": name, "changed": changed, "took_s": began.elapsed().as_secs_f64(),
        "requests": counts.total, "mutating_requests": counts.mutating,
    });
    printer.result(&result, || {
        let state = if changed { "is up" } else { "is as it should be" };
        format!("The yard `{name}` {state} ({}, {} requests).", duration(began.elapsed()), counts.total)
    })?;
    Ok(End::Done)
}
