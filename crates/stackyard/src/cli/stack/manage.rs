//! `stackyard stack scale`, `rollback` and `remove`

use super::YardName;
use super::wait::WaitArgs;
use crate::cli::{Context, End};
use serde_json::json;

/// Arguments of `stackyard stack scale`.
#[derive(clap::Args)]
pub struct ScaleArgs {
    #[command(flatten)]
    yard: YardName,

    /// The stack
    stack: String,

    /// Services, and how many containers each is to have
    #[arg(required = true, value_name = "SERVICE=N", value_parser = count)]
    services: Vec<(String, u32)>,

    #[command(flatten)]
    wait: WaitArgs,
}

fn count(text: &str) -> Result<(String, u32), String> {
    let (service, count) = text.split_once('=').ok_or("SERVICE=N is expected")?;
    let count = count.parse().map_err(|_| format!("{count:?} is not a number"))?;
    Ok((service.to_owned(), count))
}

/// Changes how many containers services have.
pub async fn scale(args: ScaleArgs, context: &Context) -> anyhow::Result<End> {
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    client.scale_stack(yard, name, args.services.into_iter().collect()).await?;
    finish(&client, yard, name, &args.wait, context, "is scaled").await
}

/// Arguments of `stackyard stack rollback`.
#[derive(clap::Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    yard: YardName,

    /// The stack
    stack: String,

    /// Number of the version to go back to; `stack show` lists them [default: the last one that worked]
    #[arg(long, value_name = "N")]
    to: Option<u64>,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Goes back to what was deployed before.
pub async fn roll_back(args: RollbackArgs, context: &Context) -> anyhow::Result<End> {
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    let version = client.roll_back_stack(yard, name, args.to).await?;
    finish(&client, yard, name, &args.wait, context, &format!("is as in version {}", version.number)).await
}

/// Arguments of `stackyard stack remove`.
#[derive(clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    yard: YardName,

    /// The stack
    stack: String,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Removes a stack, and waits until nothing of it runs.
pub async fn remove(args: RemoveArgs, context: &Context) -> anyhow::Result<End> {
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    client.remove_stack(yard, name).await?;
    if args.wait.waits() {
        client.gone(yard, name, args.wait.patience()).await?;
    }
    let result = json!({"event": "result", "stack": name, "gone": args.wait.waits()});
    context.printer.result(&result, || match args.wait.waits() {
        true => format!("The stack `{name}` is gone; its volumes stay on their hosts."),
        false => format!("The stack `{name}` goes."),
    })?;
    Ok(End::Done)
}

/// Waits as told, and says how it ended.
pub async fn finish(
    client: &stackyard_server::client::Client,
    yard: &str,
    name: &str,
    wait: &WaitArgs,
    context: &Context,
    what: &str,
) -> anyhow::Result<End> {
    let status = match wait.waits() {
        true => Some(client.converged(yard, name, wait.patience(), &*context.printer.onlooker()).await?.status),
        false => None,
    };
    let result = json!({"event": "result", "stack": name, "status": status});
    context.printer.result(&result, || match wait.waits() {
        true => format!("The stack `{name}` {what}."),
        false => format!("The stack `{name}` is on its way."),
    })?;
    Ok(End::Done)
}
