//! `stackyard sweep`

use super::super::{Context, ExitStatus};
use super::{CloudArgs, LossArgs, records};
use crate::printer::table;
use serde_json::json;
use stackyard_core::progress::Event;
use stackyard_core::yard::plan::removal;
use stackyard_yard::{Error, Inventory, SweepResult, remove_yard, sweep};
use std::collections::BTreeSet;

/// Arguments of `stackyard sweep`.
#[derive(clap::Args)]
pub struct SweepArgs {
    #[command(flatten)]
    cloud: CloudArgs,

    /// Look only for resources of this yard
    #[arg(long, value_name = "NAME")]
    yard: Vec<String>,

    /// Remove the resources found
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    loss: LossArgs,
}

/// Lists resources with our mark that belong to no known yard, and removes them with `--yes`.
pub async fn run(args: SweepArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let printer = &context.printer;
    let onlooker = printer.onlooker();
    let cloud = args.cloud.connect(None, &onlooker).await?;
    let known = records(context).known()?;
    let SweepResult { mut orphans, unseen } = sweep(&cloud, &known).await?;
    for unseen in &unseen {
        let text = format!("note: {unseen}; the sweep skips them");
        onlooker.see(Event::Note { step: None, text });
    }
    orphans.retain(|o| args.yard.is_empty() || args.yard.contains(&o.mark.yard));
    let yards: BTreeSet<&str> = orphans.iter().map(|o| o.mark.yard.as_str()).collect();
    if args.yes {
        let loss = args.loss.data_loss();
        // Check all yards first: one refusal must leave all of them untouched.
        let inventory = Inventory::take(&cloud).await?;
        for yard in &yards {
            loss.check(&removal(yard, &inventory.observe(yard, None)))?;
        }
        for yard in &yards {
            match remove_yard(&cloud, yard, None, &loss, &*onlooker).await {
                // A note above has reported it.
                Err(Error::FailedListing { steps: None, .. }) => {}
                other => other?,
            }
        }
    }
    let found: Vec<_> = orphans.iter().map(|o| json!({"yard": o.mark.yard, "key": o.mark.key, "id": o.id})).collect();
    let result = json!({"event": "result", "found": found, "removed": args.yes});
    printer.result(&result, || {
        if orphans.is_empty() {
            return "This project has no resources of unknown yards.".to_owned();
        }
        let row = |o: &stackyard_yard::MarkedResource| [o.mark.yard.clone(), o.mark.key.to_string(), o.id.clone()];
        let text = table::table(["YARD", "RESOURCE", "ID"], orphans.iter().map(row));
        let end = if args.yes {
            "Removed."
        } else {
            "This machine does not know these yards. To remove them, run `stackyard sweep --yes`."
        };
        format!("{text}\n{end}")
    })?;
    Ok(ExitStatus::Done)
}
