//! `stackyard cloud down`

use super::super::{Context, End};
use super::local;
use serde_json::json;
use stackyard_cloud::down;
use stackyard_platform::docker::Docker;

/// Arguments of `stackyard cloud down`.
#[derive(clap::Args)]
pub struct Args {
    /// Remove the data, the secrets and the entry in clouds.yaml too
    #[arg(long)]
    purge: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Removes the cloud.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let printer = &context.printer;
    let local = local(context)?;
    let _lock = local.home().lock("stackyard cloud down")?;
    if args.purge && !args.yes {
        let question =
            "This removes all servers, volumes, objects and images of the cloud for good. Type `purge` to go on:";
        let risk = "--purge removes all servers, volumes, objects and images of the cloud";
        if printer.ask(question, risk)? != "purge" {
            return Ok(End::Failed);
        }
    }
    down::run(&local, &Docker::connect().await?, args.purge, &*printer.onlooker()).await?;
    printer.result(&json!({"event": "result", "purged": args.purge}), || {
        if args.purge {
            "The cloud is gone, with its data.".to_owned()
        } else {
            "The cloud is down; its data is kept. `stackyard cloud up` brings it back.".to_owned()
        }
    })?;
    Ok(End::Done)
}
