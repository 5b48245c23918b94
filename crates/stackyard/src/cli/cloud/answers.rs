//! `stackyard cloud answers`

use super::super::{Context, End};
use super::{GivenArgs, local};
use crate::printer::table;
use serde::Serialize;
use stackyard_cloud::Asked;

/// Arguments of `stackyard cloud answers`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: GivenArgs,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    label: &'a str,
    description: &'a str,
    value: String,
    origin: stackyard_catalog::Origin,
    allowed: String,
}

/// Shows the questions; with answers given, what they would make of it (nothing is kept).
pub fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let local = local(context)?;
    let answers = local.answers(&args.given.into())?;
    let asked = local.asked(&answers);
    let rows: Vec<Row> = asked
        .into_iter()
        .map(|Asked { question, shown, origin }| Row {
            name: &question.name,
            label: &question.label,
            description: &question.description,
            value: shown,
            origin,
            allowed: question.allowed(),
        })
        .collect();
    context.printer.result(&rows, || {
        table::table(
            ["QUESTION", "ANSWER", "", "MEANING"],
            rows.iter().map(|row| {
                let origin = if row.origin == stackyard_catalog::Origin::Given { "given" } else { "default" };
                let meaning = format!("{} ({})", row.description.trim_end(), row.allowed);
                [row.name.to_owned(), row.value.clone(), origin.to_owned(), meaning]
            }),
        )
    })?;
    Ok(End::Done)
}
