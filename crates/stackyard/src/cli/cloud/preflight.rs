//! `stackyard cloud preflight`

use super::super::{Context, End};
use super::{GivenArgs, local};
use crate::printer::{Printer, table};
use serde_json::json;
use stackyard_cloud::preflight::{self, Check, Outcome, Report};
use stackyard_cloud::up;

/// Arguments of `stackyard cloud preflight`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: GivenArgs,
}

/// Prints the table; exit code 1 on a blocker.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let input = up::examine(&local(context)?, &args.given.into())?;
    let report = preflight::run(&input).await;
    context.printer.result(&report, || text(&report))?;
    Ok(if report.blocked() { End::Failed } else { End::Done })
}

/// Says what `cloud up` should be known to run into: warnings in a line each, blockers in full.
pub fn say_problems(report: &Report, printer: &Printer) {
    if printer.is_json() {
        let rows: Vec<&Check> = report.at_least(Outcome::Warn).collect();
        printer.event(&json!({"event": "preflight", "blocked": report.blocked(), "problems": rows}));
        return;
    }
    for check in report.at_least(Outcome::Warn) {
        let means = check.means.as_deref().map_or_else(String::new, |m| format!("; {m}"));
        printer.say(format!("preflight {}: {}: {}{means}", check.result, check.title, check.seen));
        if check.result == Outcome::Fail
            && let Some(mend) = &check.mend
        {
            printer.say(format!("    to mend it: {mend}"));
        }
    }
    if report.blocked() {
        printer.say(
            "Nothing was changed. `stackyard cloud preflight` shows all checks; `--force` goes on in spite of them.",
        );
    }
}

fn text(report: &Report) -> String {
    let rows = report.checks.iter().map(|check| {
        let mut seen = check.seen.clone();
        if let Some(means) = &check.means {
            seen += &format!("\n{means}");
        }
        if let Some(mend) = check.mend.as_ref().filter(|_| check.result >= Outcome::Warn) {
            seen += &format!("\n> {mend}");
        }
        [check.result.to_string(), check.title.clone(), seen]
    });
    let count = |outcome| report.count(outcome);
    format!(
        "{}\n{} passed, {} to know, {} warnings, {} blockers",
        table::table(["RESULT", "CHECK", "SEEN"], rows),
        count(Outcome::Pass),
        count(Outcome::Info),
        count(Outcome::Warn),
        count(Outcome::Fail)
    )
}
