//! `stackyard stack update`

use super::YardNameArgs;
use super::deploy::text;
use super::wait::WaitArgs;
use crate::cli::{Context, ExitStatus};
use crate::printer::UserError;
use anyhow::bail;
use serde_json::json;
use stackyard_api::{ServiceUpdate, StackChangeKind, StackUpdate};
use std::collections::BTreeMap;

/// Arguments of `stackyard stack update`.
#[derive(clap::Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    /// Name of the service
    service: String,

    /// Use this image, such as `name:tag`
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// Set an environment variable of the service
    ///
    /// NAME alone copies the variable from this environment, so that its value is not on the
    /// command line.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = variable)]
    env: Vec<(String, String)>,

    /// Remove an environment variable of the service
    #[arg(long, value_name = "NAME")]
    env_rm: Vec<String>,

    /// Show changes without applying them; exit code 3 means pending changes
    #[arg(long)]
    plan: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let set = |name: &str| {
        std::env::var(name).map_err(|_| format!("{name} is not set in this environment; pass {name}=VALUE"))
    };
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Ok((text.to_owned(), set(text)?)),
    }
}

/// Changes a service, and waits until all of its stack works.
pub async fn run(args: UpdateArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let set = args.env.into_iter().map(|(name, value)| (name, Some(value)));
    let environment: BTreeMap<_, _> = set.chain(args.env_rm.into_iter().map(|name| (name, None))).collect();
    if args.image.is_none() && environment.is_empty() {
        bail!(UserError::new(
            format!("cannot update service {}: no change is given", args.service),
            "pass --image, --env or --env-rm",
        ));
    }
    let update = ServiceUpdate { image: args.image, environment };
    let update = StackUpdate { services: [(args.service, update)].into() };
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    if args.plan {
        let changes = client.plan_stack_update(yard, name, &update).await?;
        let lines: Vec<String> = changes.iter().filter(|c| c.kind != StackChangeKind::Same).map(text).collect();
        let result = json!({"event": "result", "stack": name, "changes": changes});
        context.printer.result(&result, || match lines.is_empty() {
            true => "No changes.".to_owned(),
            false => lines.join("\n"),
        })?;
        return Ok(if lines.is_empty() { ExitStatus::Done } else { ExitStatus::Pending });
    }
    for change in client.update_stack(yard, name, &update).await?.iter().filter(|c| c.kind != StackChangeKind::Same) {
        context.printer.note(text(change));
    }
    super::manage::finish(&client, yard, name, &args.wait, context, "is updated").await
}
