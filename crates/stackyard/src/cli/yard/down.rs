//! `stackyard down`

use super::super::{Context, ExitStatus};
use super::{LossArgs, YardArgs, records};
use crate::printer::duration;
use serde_json::json;
use stackyard_catalog::manifest::{ManifestSummary, gist, removed_kinds};
use stackyard_client::ClientError;
use stackyard_core::yard::Kind;
use stackyard_yard::{DataLoss, DownOperation, scope};
use std::collections::BTreeSet;
use std::time::Instant;

/// Arguments of `stackyard down`.
#[derive(clap::Args)]
pub struct DownArgs {
    #[command(flatten)]
    yard: YardArgs,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    loss: LossArgs,
}

/// What of a manifest is needed to remove its yard.
struct RemovedYard {
    name: String,
    cloud: Option<String>,
    has_pools: bool,
    kinds: BTreeSet<Kind>,
}

impl RemovedYard {
    /// Reads the manifest. A package that cannot be found keeps nothing from being removed.
    fn load(args: &YardArgs, context: &Context) -> anyhow::Result<Self> {
        let error = match args.load(context) {
            Ok(yard) => {
                let intended = yard.intended;
                let (has_pools, kinds) = (!intended.pools.is_empty(), intended.kinds());
                return Ok(Self { name: intended.yard, cloud: intended.cloud, has_pools, kinds });
            }
            Err(error) => error,
        };
        let Ok(text) = std::fs::read_to_string(&args.file) else { return Err(error) };
        let file = args.file.display().to_string();
        match gist(&file, &text) {
            Ok(ManifestSummary { name: Some(name), cloud, has_pools, has_packages: true }) => {
                let goes = "what the cloud has with the yard's mark is removed all the same";
                context.printer.note(format!("note: {error}\nnote: {goes}"));
                Ok(Self { name, cloud, has_pools, kinds: removed_kinds(&file, &text) })
            }
            _ => Err(error),
        }
    }
}

/// Removes everything that the yard has in the cloud.
pub async fn run(args: DownArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let began = Instant::now();
    let printer = &context.printer;
    let yard = RemovedYard::load(&args.yard, context)?;
    let name = &yard.name;
    let records = records(context);
    let cloud = args.yard.cloud.connect(yard.cloud.as_deref(), &printer.onlooker()).await?;
    let scope = scope(&cloud).await?;
    let lock = records.lock(name, &scope)?;
    let service = args.yard.service(context)?;
    let note = |text: String| printer.note(text);
    let removal = DownOperation::look(name, yard.kinds, &cloud, service.as_ref(), &note).await?;
    let removed = removal.plan.summary().remove;
    let mut loss = args.loss.data_loss();
    if removed > 0 {
        printer.plan(&removal.plan)?;
        if !removal.plan.refusals.is_empty() {
            anyhow::bail!("cannot remove the yard `{name}`:\n- {}", removal.plan.refusals.join("\n- "));
        }
        let action = format!("remove the yard `{name}`");
        let confirmed = match loss.check(&removal.plan) {
            Ok(()) => args.yes || printer.confirm(&action)?,
            Err(refused) if args.yes || !printer.can_ask() => return Err(refused.into()),
            Err(_) => {
                loss = DataLoss::Allowed;
                let question = format!("This removes the yard and its data. Type its name, `{name}`:");
                printer.confirm_by_name(&action, &question, name)?
            }
        };
        if !confirmed {
            return Ok(ExitStatus::Failed);
        }
    }
    removal.carry_out(&lock, yard.has_pools, &loss, &*printer.onlooker(), &note).await?;
    records.forget(name, &scope)?;
    if let Some(service) = removal.service()
        && let Err(error) = service.yard_is_gone(name).await
        && !matches!(error, ClientError::Unreachable { .. })
        && error.status() != Some(404)
    {
        printer.note(format!("note: the server still lists the yard: {error}"));
    }
    let result = json!({"event": "result", "yard": name, "removed": removed, "took_s": began.elapsed().as_secs_f64()});
    printer.result(&result, || {
        let took = duration(began.elapsed());
        format!("Removed the yard `{name}`: {removed} resources removed, none left in the cloud ({took}).")
    })?;
    Ok(ExitStatus::Done)
}
