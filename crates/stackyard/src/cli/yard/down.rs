//! `stackyard down`

use super::super::{Context, End};
use super::stacks::{forget_secrets, with_stacks};
use super::{YardArgs, confirmed, records};
use crate::printer::duration;
use serde_json::json;
use stackyard_server::client::{ClientError, Patience, WaitError};
use stackyard_server::{Session, YardStacks};
use std::time::{Duration, Instant};

/// How long stacks may take to go before their hosts do.
const LEAVE: Patience = Patience { most: Duration::from_secs(180), failing: Duration::from_secs(180) };

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
    let service = args.yard.service(context)?;
    let stacks = match &service {
        Some(client) => match YardStacks::removal(client.clone(), name).await {
            Ok(stacks) => Some(stacks),
            // Hosts go anyhow; a server that is gone must not keep them.
            Err(error @ ClientError::Unreachable { .. }) => {
                printer.say(format!("note: if the yard has stacks, the server goes on knowing them: {error}"));
                None
            }
            Err(other) => return Err(other.into()),
        },
        None => None,
    };
    let plan = with_stacks(&plan, stacks.as_ref());
    let removed = plan.summary().remove;
    if removed > 0 {
        printer.plan(&plan)?;
        if !plan.refusals.is_empty() {
            anyhow::bail!("nothing was removed:\n- {}", plan.refusals.join("\n- "));
        }
        if !args.yes && !confirmed(context, "this removes servers and volumes with their data")? {
            return Ok(End::Failed);
        }
        let onlooker = printer.onlooker();
        if let Some(stacks) = &stacks {
            match stacks.apply(false, LEAVE, &*onlooker).await {
                Err(WaitError::Client(error)) => return Err(error.into()),
                // The hosts go all the same, and machines that stay let go of it when they are back.
                Err(error) => printer.say(format!("note: {error}")),
                Ok(_) => {}
            }
        }
        Session::remove(&cloud, name, &*onlooker).await?;
    }
    if let Some(service) = service.filter(|_| stacks.is_some()) {
        if !yard.intended.pools.is_empty()
            && let Err(e) = Session::forget_hosts(&cloud, name, &service).await
        {
            printer.say(format!("The server still lists the yard's hosts (`stackyard host remove`): {e}"));
        }
        if let Err(e) = forget_secrets(name, &service).await {
            printer.say(format!("note: the server keeps secrets of packages of the yard: {e}"));
        }
    }
    records.forget(name)?;
    let result = json!({"event": "result", "yard": name, "removed": removed, "took_s": began.elapsed().as_secs_f64()});
    printer.result(&result, || {
        let took = duration(began.elapsed());
        format!("The yard `{name}` is gone: {removed} resources removed, nothing is left in the cloud ({took}).")
    })?;
    Ok(End::Done)
}
