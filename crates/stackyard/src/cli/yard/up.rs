//! `stackyard up`

use super::super::{Context, ExitStatus};
use super::{LossArgs, YardArgs, load_stacks, records};
use crate::printer::duration;
use serde_json::json;
use stackyard_api::manifest_digest;
use stackyard_catalog::manifest::{Yard, check_companions, companions};
use stackyard_client::{Client, ClientError};
use stackyard_core::rollout::Status;
use stackyard_core::yard::plan::Action;
use stackyard_yard::{DataLoss, ResolvedChoices, UpOperation, YardStacks, scope};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Arguments of `stackyard up`.
#[derive(clap::Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub(in crate::cli) yard: YardArgs,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,

    #[command(flatten)]
    pub(in crate::cli) loss: LossArgs,
}

/// Brings the yard to the state that its manifest describes.
pub async fn run(args: UpArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let began = Instant::now();
    let printer = &context.printer;
    let onlooker = printer.onlooker();
    let yard = args.yard.load(context)?;
    let name = &yard.intended.yard;
    let service = args.yard.service(context)?;
    let records = records(context);
    let cloud = args.yard.connect(&yard, context).await?;
    let scope = scope(&cloud).await?;
    let lock = records.lock(name, &scope)?;
    // Before the cloud, so that a missing server or an invalid Compose file is the first error.
    let stacks = load_stacks(&yard, service.as_ref(), context).await?;
    let note = |text: String| printer.note(text);
    let operation = UpOperation::look(&yard, &cloud, service.as_ref(), stacks, &note).await?;
    operation.snapshot.inventory.warn(&*onlooker);
    let changed = !operation.plan.is_noop();
    let mut choices = ResolvedChoices::default();
    if changed {
        printer.plan(&operation.plan)?;
    }
    if !operation.snapshot.plan.is_noop() {
        let found = operation.preflight().await?;
        if !found.blockers.is_empty() {
            anyhow::bail!("cannot bring up the yard `{name}`:\n- {}", found.blockers.join("\n- "));
        }
        choices = found.choices;
    }
    let Some(loss) = args.loss.confirm(&operation.plan, args.yes, printer)? else { return Ok(ExitStatus::Failed) };
    let asked = matches!(loss, DataLoss::Confirmed(_));
    if changed && !args.yes && !asked && !printer.confirm(&format!("change the yard `{name}`"))? {
        return Ok(ExitStatus::Failed);
    }
    // First, so that a sweep takes nothing from a yard that is just coming up.
    records.keep(name, &scope, &yard.text)?;
    // On another cloud than the manifest names, the server could not find the yard.
    let elsewhere = args.yard.cloud.cloud.is_some() && args.yard.cloud.cloud != yard.intended.cloud;
    if !elsewhere {
        operation.take_name().await?;
        record_manifest(&yard, &args.yard.file, operation.service(), context).await;
    }
    let statuses = operation.carry_out(&lock, &choices, &loss, &*onlooker).await?;
    let counts = cloud.counts();
    let result = json!({
        "event": "result", "yard": name, "changed": changed,
        "took_s": began.elapsed().as_secs_f64(),
        "requests": counts.total, "mutating_requests": counts.mutating, "stacks": statuses,
    });
    printer.result(&result, || {
        let state = if changed { "is up" } else { "is up to date" };
        let stacks = stack_text(&statuses, operation.stacks());
        format!("{stacks}The yard `{name}` {state} ({}, {} requests).", duration(began.elapsed()), counts.total)
    })?;
    Ok(ExitStatus::Done)
}

/// Sends the manifest and the files that it names to the server, for the console and the history. A
/// yard works without this, so a failure is only a note.
async fn record_manifest(yard: &Yard, path: &Path, service: Option<&Client>, context: &Context) {
    let Some(service) = service else { return };
    let (name, files) = (&yard.intended.yard, companions(yard, path));
    if let Err(why) = check_companions(&files) {
        context.printer.note(format!("note: cannot add the manifest to the server's history: {why}"));
        return;
    }
    let kept = async {
        let known = match service.yard(name).await {
            Ok((text, revision)) if text == yard.text => {
                service.manifest(name, revision).await?.digest == manifest_digest(&text, &files)
            }
            Err(error) if error.status() != Some(404) => return Err(error),
            _ => false,
        };
        if known {
            return Ok(());
        }
        service.keep_yard_with(name, &yard.text, files, None).await.map(drop)
    };
    match kept.await {
        // A socket that a stopped server left behind.
        Ok(()) | Err(ClientError::Unreachable { .. }) => {}
        Err(error) => context.printer.note(format!("note: cannot add the manifest to the server's history: {error}")),
    }
}

/// Notes, deployed containers and removed stacks, one per line.
fn stack_text(statuses: &BTreeMap<String, Status>, stacks: Option<&YardStacks>) -> String {
    let mut text = String::new();
    for (name, status) in statuses {
        status.notes.iter().for_each(|note| text += &format!("note: stack {name}: {note}\n"));
        let containers: usize = status.services.iter().map(|s| s.ready).sum();
        text += &format!("The stack `{name}` works: {containers} containers.\n");
    }
    let gone = stacks.iter().flat_map(|s| &s.steps).filter(|s| s.action == Action::Remove);
    gone.for_each(|s| text += &format!("The stack `{}` is removed; its volumes stay.\n", s.name));
    text
}
