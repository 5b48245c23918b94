//! `stackyard cloud up`

use super::super::{Context, ExitStatus};
use super::{AnswerArgs, local, preflight};
use serde::Serialize;
use stackyard_cloud::{CLOUD, assets, ready, up};
use stackyard_platform::docker::Docker;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `stackyard cloud up`.
#[derive(clap::Args)]
pub struct UpArgs {
    #[command(flatten)]
    given: AnswerArgs,

    /// Do not ask before recreating or removing running services
    #[arg(short, long)]
    yes: bool,

    /// Continue despite preflight blockers
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct UpResult<'a> {
    event: &'static str,
    changed: bool,
    cloud: &'a str,
    clouds_yaml: Option<PathBuf>,
    took_s: u64,
}

/// Brings the cloud up.
pub async fn run(args: UpArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let began = Instant::now();
    let printer = &context.printer;
    let onlooker = printer.onlooker();
    let local = local(context)?;
    let given = args.given.into();
    let input = up::examine(&local, &given)?;
    let _lock = local.home().lock("stackyard cloud up")?;

    let report = stackyard_cloud::preflight::run(&input).await;
    preflight::print_problems(&report, printer);
    if report.blocked() && !args.force {
        return Ok(ExitStatus::Failed);
    }
    let docker = Docker::connect().await?;
    let recipes = assets::recipes()?;
    let prepared = up::prepare(&local, &docker, &recipes, &given, &input, &*onlooker).await?;
    for warning in &prepared.intended.rendered.warnings {
        printer.note(format!("warning: {warning}"));
    }
    let changed = !prepared.plan.is_noop();
    if changed {
        printer.plan(&prepared.plan)?;
        if prepared.plan.disturbs() && !args.yes && !printer.confirm("recreate or remove running services")? {
            return Ok(ExitStatus::Failed);
        }
    }
    prepared.carry_out(&*onlooker).await?;
    ready::run(&local, &prepared.intended, &docker, &recipes.tiny, &*onlooker).await?;

    let clouds_yaml = local.clouds_yaml().map(Path::to_owned);
    let result = UpResult { event: "result", changed, cloud: CLOUD, clouds_yaml, took_s: began.elapsed().as_secs() };
    printer.result(&result, || {
        let state = if changed { "is up" } else { "is up to date" };
        format!(
            "The cloud `{CLOUD}` {state} ({}). Its entry is in {}. Try:\n  stackyard cloud status\n  \
             stackyard cloud test\n  openstack --os-cloud {CLOUD} server list",
            crate::printer::duration(began.elapsed()),
            result.clouds_yaml.as_deref().unwrap_or(Path::new("no file, because HOME is not set")).display()
        )
    })?;
    Ok(ExitStatus::Done)
}
