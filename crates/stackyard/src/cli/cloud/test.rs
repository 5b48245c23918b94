//! `stackyard cloud test`

use super::super::{Context, ExitStatus};
use super::local;
use crate::printer::duration;
use serde_json::json;
use stackyard_cloud::test::{self, Event, Options, TestOutcome, TestProfile};
use stackyard_cloud::{AnswerChanges, client};
use tokio::signal::unix::{SignalKind, signal};

/// Arguments of `stackyard cloud test`.
#[derive(clap::Args)]
pub struct TestArgs {
    /// Only remove leftovers of an earlier, interrupted test
    #[arg(long)]
    clean: bool,
}

/// Tests the cloud; exit code 1 if a check fails.
pub async fn run(args: TestArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let printer = &context.printer;
    let local = local(context)?;
    let cloud = client::connect(&local.entry()?).await?;
    if args.clean {
        let removed = test::clean(&cloud).await.map_err(anyhow::Error::msg)?;
        printer.result(&json!({"event": "result", "removed": removed}), || removed.clone())?;
        return Ok(ExitStatus::Done);
    }
    let profile = match local.answers(&AnswerChanges::default())?.text("profile").as_str() {
        "full" => TestProfile::Full,
        _ => TestProfile::Core,
    };
    let options = Options { profile, ..Options::default() };
    let report_event = |event: Event| match event {
        Event::Started(name) => {
            if printer.is_json() {
                printer.event(&json!({"event": "started", "check": name}));
            }
        }
        Event::Note(text) => printer.note(text),
        Event::Finished(check) if printer.is_json() => printer.event(&json!({
            "event": "check",
            "check": check.name,
            "outcome": word(check.outcome),
            "took_ms": u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX),
            "detail": check.detail,
        })),
        Event::Finished(check) => {
            let took = duration(check.took);
            printer.partial_result(&format!("{} {} ({took}) {}", word(check.outcome), check.name, check.detail));
        }
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cancel = async {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    };
    let report = test::run(&cloud, &options, &report_event, cancel).await;
    let (passed, failed) = (report.count(TestOutcome::Pass), report.count(TestOutcome::Fail));
    let skipped = report.count(TestOutcome::Skip);
    let result = json!({
        "event": "result", "passed": passed, "failed": failed, "skipped": skipped,
        "cancelled": report.cancelled,
    });
    printer.result(&result, || {
        let skipped = if skipped > 0 { format!(", {skipped} not in this profile") } else { String::new() };
        format!("{passed} passed, {failed} failed{skipped} ({})", duration(report.took))
    })?;
    Ok(if report.passed() { ExitStatus::Done } else { ExitStatus::Failed })
}

fn word(outcome: TestOutcome) -> &'static str {
    match outcome {
        TestOutcome::Pass => "PASS",
        TestOutcome::Fail => "FAIL",
        TestOutcome::Skip => "SKIP",
    }
}
