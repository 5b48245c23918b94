//! `stackyard down`

use super::super::{Context, End};
use super::{LossArgs, YardArgs, can_ask, records};
use crate::printer::duration;
use serde_json::json;
use stackyard_server::client::ClientError;
use stackyard_server::{DataLoss, Removal, scope};
use std::time::Instant;

/// Arguments of `stackyard down`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    loss: LossArgs,
}

/// Removes all that the cloud has of a yard.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let began = Instant::now();
    let printer = &context.printer;
    let yard = args.yard.load()?;
    let name = &yard.intended.yard;
    let records = records(context);
    let cloud = args.yard.connect(&yard, context).await?;
    let scope = scope(&cloud).await?;
    let lock = records.lock(name, &scope)?;
    let service = args.yard.service(context)?;
    let say = |text: String| printer.say(text);
    let removal = Removal::look(name, yard.intended.kinds(), &cloud, service.as_ref(), &say).await?;
    let removed = removal.plan.summary().remove;
    let mut loss = args.loss.word();
    if removed > 0 {
        printer.plan(&removal.plan)?;
        if !removal.plan.refusals.is_empty() {
            anyhow::bail!("nothing was removed:\n- {}", removal.plan.refusals.join("\n- "));
        }
        let confirmed = match loss.check(&removal.plan) {
            Ok(()) => args.yes || printer.confirmed("this removes all that the yard has")?,
            Err(refused) if !can_ask(args.yes, printer) => return Err(refused.into()),
            Err(_) => {
                loss = DataLoss::Allowed;
                printer.typed(&format!("All of this goes, with its data. Type the yard's name, `{name}`:"), name)?
            }
        };
        if !confirmed {
            return Ok(End::Failed);
        }
    }
    removal.carry_out(&lock, !yard.intended.pools.is_empty(), &loss, &*printer.onlooker(), &say).await?;
    records.forget(name, &scope)?;
    if let Some(service) = removal.service()
        && let Err(error) = service.yard_is_gone(name).await
        && !matches!(error, ClientError::Unreachable { .. })
        && error.status() != Some(404)
    {
        printer.say(format!("note: the server still lists the yard: {error}"));
    }
    let result = json!({"event": "result", "yard": name, "removed": removed, "took_s": began.elapsed().as_secs_f64()});
    printer.result(&result, || {
        let took = duration(began.elapsed());
        format!("The yard `{name}` is gone: {removed} resources removed, nothing is left in the cloud ({took}).")
    })?;
    Ok(End::Done)
}
