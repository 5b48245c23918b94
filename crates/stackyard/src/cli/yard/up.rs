//! `stackyard up`

use super::super::{Context, End};
use super::stacks::{look, with_stacks};
use super::{YardArgs, as_service, confirmed, records};
use crate::printer::duration;
use serde_json::json;
use stackyard_core::stack::rollout::Status;
use stackyard_core::yard::plan::Action;
use stackyard_server::client::Patience;
use stackyard_server::{Session, YardStacks};
use std::collections::BTreeMap;
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
    let service = args.yard.service(context)?;
    let records = records(context);
    let _lock = records.lock(name)?;
    // Before the cloud is asked, so that a server that is missing and a file that it would not take
    // are found first.
    let stacks = look(&yard, service.as_ref(), context).await?;
    let cloud = args.yard.connect(&yard, context).await?;
    let session = Session::begin_with(&cloud, &yard.intended, as_service(service.as_ref())).await?;
    let plan = with_stacks(&session.plan, stacks.as_ref().map(|s| &s.at_server));
    let changed = !plan.is_noop();
    let mut choices = None;
    if changed {
        printer.plan(&plan)?;
    }
    if !session.plan.is_noop() {
        let found = session.preflight().await?;
        if !found.blockers.is_empty() {
            anyhow::bail!("this cannot be carried out:\n- {}", found.blockers.join("\n- "));
        }
        choices = Some(found.choices);
    }
    if changed && !args.yes && !confirmed(context, "this changes the yard")? {
        return Ok(End::Failed);
    }
    // First, so that a sweep takes nothing from a yard that is just coming up.
    records.keep(name, &yard.text)?;
    // What runs on hosts that go need not move elsewhere if it goes, too.
    if let Some(stacks) = &stacks {
        stacks.at_server.begin_removals().await?;
    }
    let hosts_changed = choices.is_some();
    if let Some(choices) = choices {
        session.apply(&choices, &*onlooker).await?;
    }
    session.tidy().await?;
    let statuses = match &stacks {
        Some(stacks) => {
            stacks.keep_secrets().await?;
            stacks.at_server.apply(hosts_changed, Patience::default(), &*onlooker).await?
        }
        None => BTreeMap::new(),
    };
    let counts = cloud.counts();
    let result = json!({
        "event": "result", "yard": name, "changed": changed, "took_s": began.elapsed().as_secs_f64(),
        "requests": counts.total, "mutating_requests": counts.mutating, "stacks": statuses,
    });
    printer.result(&result, || {
        let state = if changed { "is up" } else { "is as it should be" };
        let notes = notes(&statuses, stacks.as_ref().map(|s| &s.at_server));
        format!("{notes}The yard `{name}` {state} ({}, {} requests).", duration(began.elapsed()), counts.total)
    })?;
    Ok(End::Done)
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
