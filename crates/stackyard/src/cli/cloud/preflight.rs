//! `stackyard cloud preflight`

use super::super::{Context, ExitStatus};
use super::{AnswerArgs, local};
use crate::printer::{Printer, table};
use serde_json::json;
use stackyard_cloud::preflight::{self, Check, Outcome, Report};
use stackyard_cloud::up;

/// Arguments of `stackyard cloud preflight`.
#[derive(clap::Args)]
pub struct PreflightArgs {
    #[command(flatten)]
    given: AnswerArgs,
}

/// Prints the table of checks; exit code 1 if there is a blocker.
pub async fn run(args: PreflightArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let input = up::examine(&local(context)?, &args.given.into())?;
    let report = preflight::run(&input).await;
    context.printer.result(&report, || text(&report))?;
    Ok(if report.blocked() { ExitStatus::Failed } else { ExitStatus::Done })
}

/// Prints the problems that `cloud up` will meet: a warning on one line, a blocker with its fix.
pub fn print_problems(report: &Report, printer: &Printer) {
    if printer.is_json() {
        let rows: Vec<&Check> = report.at_least(Outcome::Warn).collect();
        printer.event(&json!({"event": "preflight", "blocked": report.blocked(), "problems": rows}));
        return;
    }
    for check in report.at_least(Outcome::Warn) {
        let means = check.means.as_deref().map_or_else(String::new, |m| format!("; {m}"));
        printer.note(format!("preflight {}: {}: {}{means}", check.result, check.title, check.seen));
        if check.result == Outcome::Fail
            && let Some(mend) = &check.mend
        {
            printer.note(format!("    fix: {mend}"));
        }
    }
    if report.blocked() {
        printer.note("Nothing was changed. Run `stackyard cloud preflight` to see all checks.");
        printer.note("To ignore the blockers, pass --force to `stackyard cloud up`.");
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
        "{}\n{} passed, {} notes, {} warnings, {} blockers",
        table::table(["RESULT", "CHECK", "FINDING"], rows),
        count(Outcome::Pass),
        count(Outcome::Info),
        count(Outcome::Warn),
        count(Outcome::Fail)
    )
}
