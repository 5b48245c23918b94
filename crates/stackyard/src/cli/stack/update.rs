//! `stackyard stack update`

use super::YardName;
use super::deploy::text;
use super::wait::WaitArgs;
use crate::cli::{Context, End};
use anyhow::bail;
use serde_json::json;
use stackyard_server::api::StackUpdate;
use stackyard_server::stack::ServiceUpdate;
use std::collections::BTreeMap;

/// Arguments of `stackyard stack update`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardName,

    /// The stack
    stack: String,

    /// The service
    service: String,

    /// Another image, `name:tag`
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// Set a variable of its environment; NAME alone takes the value from here, where nobody else sees it
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = variable)]
    env: Vec<(String, String)>,

    /// Remove a variable of its environment
    #[arg(long, value_name = "NAME")]
    env_rm: Vec<String>,

    /// Show what would change, and change nothing; exit code 3 if there is anything
    #[arg(long)]
    plan: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let set = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set here; write {name}=VALUE"));
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Ok((text.to_owned(), set(text)?)),
    }
}

/// Changes a service, and waits until all of the stack works.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let set = args.env.into_iter().map(|(name, value)| (name, Some(value)));
    let environment: BTreeMap<_, _> = set.chain(args.env_rm.into_iter().map(|name| (name, None))).collect();
    if args.image.is_none() && environment.is_empty() {
        bail!("nothing is to be changed; say --image, --env or --env-rm");
    }
    let update = ServiceUpdate { image: args.image, environment };
    let update = StackUpdate { services: [(args.service, update)].into() };
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    if args.plan {
        let changes = client.plan_stack_update(yard, name, &update).await?;
        let lines: Vec<String> = changes.iter().filter(|c| c.what != "same").map(text).collect();
        let result = json!({"event": "result", "stack": name, "changes": changes});
        context.printer.result(&result, || match lines.is_empty() {
            true => "Nothing would change.".to_owned(),
            false => lines.join("\n"),
        })?;
        return Ok(if lines.is_empty() { End::Done } else { End::Pending });
    }
    for change in client.update_stack(yard, name, &update).await?.iter().filter(|c| c.what != "same") {
        context.printer.say(text(change));
    }
    super::manage::finish(&client, yard, name, &args.wait, context, "is updated").await
}
