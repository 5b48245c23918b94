//! `stackyard cloud up`

use super::super::{Context, End};
use super::{GivenArgs, local, preflight};
use serde::Serialize;
use stackyard_cloud::{CLOUD, assets, ready, up};
use stackyard_platform::docker::Docker;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `stackyard cloud up`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: GivenArgs,

    /// Do not ask before running services are recreated or removed
    #[arg(short, long)]
    yes: bool,

    /// Go on although preflight found a blocker
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Result<'a> {
    event: &'static str,
    changed: bool,
    cloud: &'a str,
    clouds_yaml: Option<PathBuf>,
    took_s: u64,
}

/// Brings the cloud up.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let began = Instant::now();
    let printer = &context.printer;
    let onlooker = printer.onlooker();
    let local = local(context)?;
    let given = args.given.into();
    let input = up::examine(&local, &given)?;
    let _lock = local.home().lock("stackyard cloud up")?;

    let report = stackyard_cloud::preflight::run(&input).await;
    preflight::say_problems(&report, printer);
    if report.blocked() && !args.force {
        return Ok(End::Failed);
    }
    let docker = Docker::connect().await?;
    let recipes = assets::recipes()?;
    let prepared = up::prepare(&local, &docker, &recipes, &given, &input, &*onlooker).await?;
    for warning in &prepared.intended.rendered.warnings {
        printer.say(format!("warning: {warning}"));
    }
    let changed = !prepared.plan.is_noop();
    if changed {
        printer.plan(&prepared.plan)?;
        if prepared.plan.disturbs()
            && !args.yes
            && !context.printer.confirmed("this recreates or removes running services")?
        {
            return Ok(End::Failed);
        }
    }
    prepared.carry_out(&*onlooker).await?;
    ready::run(&local, &prepared.intended, &docker, &recipes.tiny, &*onlooker).await?;

    let clouds_yaml = local.clouds_yaml().map(Path::to_owned);
    let result = Result { event: "result", changed, cloud: CLOUD, clouds_yaml, took_s: began.elapsed().as_secs() };
    printer.result(&result, || {
        let state = if changed { "is up" } else { "is as it should be" };
        format!(
            "The cloud `{CLOUD}` {state} ({}). Its entry is in {}; try\n  stackyard cloud status\n  stackyard cloud test\n  \
             openstack --os-cloud {CLOUD} server list",
            crate::printer::duration(began.elapsed()),
            result.clouds_yaml.as_deref().unwrap_or(Path::new("no file, since HOME is not set")).display()
        )
    })?;
    Ok(End::Done)
}
