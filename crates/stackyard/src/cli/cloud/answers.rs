//! `stackyard cloud answers`

use super::super::{Context, ExitStatus};
use super::{AnswerArgs, local};
use crate::printer::table;
use serde::Serialize;
use stackyard_cloud::AskedQuestion;

/// Arguments of `stackyard cloud answers`.
#[derive(clap::Args)]
pub struct AnswersArgs {
    #[command(flatten)]
    given: AnswerArgs,
}

#[derive(Serialize)]
struct AnswerRow<'a> {
    name: &'a str,
    label: &'a str,
    description: &'a str,
    value: String,
    origin: stackyard_catalog::Origin,
    allowed: String,
}

/// Shows the questions and their answers, with those of the command line. Keeps no answer.
pub fn run(args: AnswersArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let local = local(context)?;
    let answers = local.answers(&args.given.into())?;
    let asked = local.asked(&answers);
    let rows: Vec<AnswerRow> = asked
        .into_iter()
        .map(|AskedQuestion { question, shown, origin }| AnswerRow {
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
            ["QUESTION", "ANSWER", "SOURCE", "MEANING"],
            rows.iter().map(|row| {
                let origin = if row.origin == stackyard_catalog::Origin::Given { "given" } else { "default" };
                let meaning = format!("{} ({})", row.description.trim_end(), row.allowed);
                [row.name.to_owned(), row.value.clone(), origin.to_owned(), meaning]
            }),
        )
    })?;
    Ok(ExitStatus::Done)
}
