//! `stackyard up`

use super::super::{Context, End};
use super::{LossArgs, YardArgs, look, records};
use crate::printer::duration;
use serde_json::json;
use stackyard_catalog::manifest::{Yard, companions};
use stackyard_core::stack::rollout::Status;
use stackyard_core::yard::plan::Action;
use stackyard_server::api::manifest_digest;
use stackyard_server::client::{Client, ClientError};
use stackyard_server::{Bringing, Choices, DataLoss, YardStacks, scope};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Arguments of `stackyard up`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(in crate::cli) yard: YardArgs,

    /// Do not ask
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,

    #[command(flatten)]
    pub(in crate::cli) loss: LossArgs,
}

/// Brings the cloud to what the manifest says.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let began = Instant::now();
    let printer = &context.printer;
    let onlooker = printer.onlooker();
    let yard = args.yard.load()?;
    let name = &yard.intended.yard;
    let service = args.yard.service(context)?;
    let records = records(context);
    let cloud = args.yard.connect(&yard, context).await?;
    let scope = scope(&cloud).await?;
    let lock = records.lock(name, &scope)?;
    // Before the cloud is looked at, so that a server that is missing and a file that it would not take
    // are found first.
    let stacks = look(&yard, service.as_ref(), context).await?;
    let say = |text: String| printer.say(text);
    let bringing = Bringing::look(&yard, &cloud, service.as_ref(), stacks, &say).await?;
    bringing.session.inventory.warn(&*onlooker);
    let changed = !bringing.plan.is_noop();
    let mut choices = Choices::default();
    if changed {
        printer.plan(&bringing.plan)?;
    }
    if !bringing.session.plan.is_noop() {
        let found = bringing.preflight().await?;
        if !found.blockers.is_empty() {
            anyhow::bail!("this cannot be carried out:\n- {}", found.blockers.join("\n- "));
        }
        choices = found.choices;
    }
    let Some(loss) = args.loss.settle(&bringing.plan, args.yes, printer)? else { return Ok(End::Failed) };
    let asked = matches!(loss, DataLoss::Confirmed(_));
    if changed && !args.yes && !asked && !printer.confirmed("this changes the yard")? {
        return Ok(End::Failed);
    }
    // First, so that a sweep takes nothing from a yard that is just coming up.
    records.keep(name, &scope, &yard.text)?;
    // On another cloud than the manifest says, the server would look for it in vain.
    let elsewhere = args.yard.cloud.cloud.is_some() && args.yard.cloud.cloud != yard.intended.cloud;
    if !elsewhere {
        bringing.take_name().await?;
        note(&yard, &args.yard.file, bringing.service(), context).await;
    }
    let statuses = bringing.carry_out(&lock, &choices, &loss, &*onlooker).await?;
    let counts = cloud.counts();
    let result = json!({
        "event": "result", "yard": name, "changed": changed, "took_s": began.elapsed().as_secs_f64(),
        "requests": counts.total, "mutating_requests": counts.mutating, "stacks": statuses,
    });
    printer.result(&result, || {
        let state = if changed { "is up" } else { "is as it should be" };
        let notes = notes(&statuses, bringing.stacks());
        format!("{notes}The yard `{name}` {state} ({}, {} requests).", duration(began.elapsed()), counts.total)
    })?;
    Ok(End::Done)
}

/// Has the server know the manifest and the files that it names, for its pages and its history. The yard does
/// not need it.
async fn note(yard: &Yard, path: &Path, service: Option<&Client>, context: &Context) {
    let Some(service) = service else { return };
    let (name, files) = (&yard.intended.yard, companions(yard, path));
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
        Err(error) => context.printer.say(format!("note: the server's history lacks this manifest: {error}")),
    }
}

/// What should be known of the stacks that were waited for, and how many containers of them work.
fn notes(statuses: &BTreeMap<String, Status>, stacks: Option<&YardStacks>) -> String {
    let mut text = String::new();
    for (name, status) in statuses {
        status.notes.iter().for_each(|note| text += &format!("note: stack {name}: {note}\n"));
        let containers: usize = status.services.iter().map(|s| s.ready).sum();
        text += &format!("The stack `{name}` works: {containers} containers.\n");
    }
    let gone = stacks.iter().flat_map(|s| &s.steps).filter(|s| s.action == Action::Remove);
    gone.for_each(|s| text += &format!("The stack `{}` is gone; its volumes stay on their hosts.\n", s.name));
    text
}
