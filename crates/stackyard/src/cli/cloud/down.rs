//! `stackyard cloud down`

use super::super::{Context, ExitStatus};
use super::local;
use serde_json::json;
use stackyard_cloud::down;
use stackyard_platform::docker::Docker;

/// Arguments of `stackyard cloud down`.
#[derive(clap::Args)]
pub struct DownArgs {
    /// Also remove the data, the secrets and the clouds.yaml entry
    #[arg(long)]
    purge: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

/// Stops the cloud, or removes it with its data.
pub async fn run(args: DownArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let printer = &context.printer;
    let local = local(context)?;
    let _lock = local.home().lock("stackyard cloud down")?;
    if args.purge && !args.yes {
        let question = "This permanently removes all servers, volumes, objects and images of the cloud. Type `purge` \
                        to continue:";
        if !printer.confirm_by_name("remove the cloud and its data", question, "purge")? {
            return Ok(ExitStatus::Failed);
        }
    }
    down::run(&local, &Docker::connect().await?, args.purge, &*printer.onlooker()).await?;
    printer.result(&json!({"event": "result", "purged": args.purge}), || {
        if args.purge {
            "The cloud and its data are removed.".to_owned()
        } else {
            "The cloud is down; its data is kept. `stackyard cloud up` starts it again.".to_owned()
        }
    })?;
    Ok(ExitStatus::Done)
}
