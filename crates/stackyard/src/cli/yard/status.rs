//! `stackyard status`

use super::super::{Context, End};
use super::{YardArgs, as_service};
use crate::printer::table;
use serde::Serialize;
use stackyard_core::yard::Kind;
use stackyard_core::yard::observed::State;
use stackyard_core::yard::plan::Action;
use stackyard_server::Session;

/// Arguments of `stackyard status`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,
}

#[derive(Serialize)]
struct Status {
    yard: String,
    /// Whether all is as intended.
    as_intended: bool,
    resources: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    kind: Kind,
    name: String,
    state: String,
    detail: String,
    id: Option<String>,
}

/// Shows what there is of a yard; exit code 1 when it is not as intended.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let yard = args.yard.load()?;
    let cloud = args.yard.connect(&yard, context).await?;
    let service = args.yard.service(context)?;
    let session = Session::begin_with(&cloud, &yard.intended, as_service(service.as_ref())).await?;
    let notes = session.notes();
    let steps = session.plan.steps.iter().filter(|s| s.action != Action::Discard && s.key.kind != Kind::Rule);
    let resources = steps
        .map(|step| {
            let seen = session.observed.resources.iter().find(|s| s.key == step.key && Some(&s.id) == step.id.as_ref());
            let state = match (seen.map(|s| &s.state), step.action) {
                (None, _) => "missing".to_owned(),
                (_, Action::Remove) => "not in the manifest".to_owned(),
                (Some(State::Broken(why)), _) => format!("BROKEN: {why}"),
                (Some(State::Pending(word) | State::Stopped(word)), _) => word.clone(),
                (_, Action::Change | Action::Recreate) => "differs".to_owned(),
                _ => "ok".to_owned(),
            };
            let detail = notes.get(&step.key).cloned().unwrap_or_default();
            Row { kind: step.key.kind, name: step.key.name.clone(), state, detail, id: step.id.clone() }
        })
        .collect();
    let status = Status { yard: yard.intended.yard.clone(), as_intended: session.plan.is_noop(), resources };
    context.printer.result(&status, || {
        let rows = status.resources.iter();
        let rows = rows.map(|r| [r.kind.noun().to_owned(), r.name.clone(), r.state.clone(), r.detail.clone()]);
        let text = table::table(["KIND", "NAME", "STATE", ""], rows);
        let end = if status.as_intended {
            "All is as the manifest says."
        } else {
            "`stackyard plan` shows what differs from the manifest."
        };
        format!("{text}\n{end}")
    })?;
    Ok(if status.as_intended { End::Done } else { End::Failed })
}
