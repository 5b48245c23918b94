//! `stackyard down`

use super::super::{Context, End};
use super::{YardArgs, confirmed, records, stacks};
use crate::printer::duration;
use serde_json::json;
use stackyard_server::Session;
use std::time::Instant;

/// Arguments of `stackyard down`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Removes all that the cloud has of a yard.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let began = Instant::now();
    let printer = &context.printer;
    let yard = args.yard.load()?;
    let name = &yard.intended.yard;
    let records = records(context);
    let _lock = records.lock(name)?;
    let cloud = args.yard.connect(&yard, context).await?;
    let plan = Session::plan_removal(&cloud, name).await?;
    let removed = plan.summary().remove;
    let known = stacks::known(name, context).await;
    if removed > 0 || !known.is_empty() {
        printer.plan(&plan)?;
        if !plan.refusals.is_empty() {
            anyhow::bail!("nothing was removed:\n- {}", plan.refusals.join("\n- "));
        }
        known.iter().for_each(|stack| printer.say(format!("remove stack {stack}")));
        if !args.yes && !confirmed(context, "this removes servers and volumes with their data")? {
            return Ok(End::Failed);
        }
        stacks::remove(name, &known, context).await?;
        Session::remove(&cloud, name, &*printer.onlooker()).await?;
    }
    if !yard.intended.pools.is_empty()
        && let Some(service) = args.yard.service(context)?
        && let Err(e) = Session::forget_hosts(&cloud, name, &service).await
    {
        printer.say(format!("The server still lists the yard's hosts (`stackyard host remove`): {e}"));
    }
    records.forget(name)?;
    let result = json!({"event": "result", "yard": name, "removed": removed, "took_s": began.elapsed().as_secs_f64()});
    printer.result(&result, || {
        let took = duration(began.elapsed());
        format!("The yard `{name}` is gone: {removed} resources removed, nothing is left in the cloud ({took}).")
    })?;
    Ok(End::Done)
}
