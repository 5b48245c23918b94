//! `stackyard stack scale`, `rollback` and `remove`

use super::YardNameArgs;
use super::wait::WaitArgs;
use crate::cli::{Context, ExitStatus};
use serde_json::json;

/// Arguments of `stackyard stack scale`.
#[derive(clap::Args)]
pub struct ScaleArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    /// Services with their new number of containers
    #[arg(required = true, value_name = "SERVICE=N", value_parser = count)]
    services: Vec<(String, u32)>,

    #[command(flatten)]
    wait: WaitArgs,
}

fn count(text: &str) -> Result<(String, u32), String> {
    let (service, count) = text.split_once('=').ok_or("expected SERVICE=N")?;
    let count = count.parse().map_err(|_| format!("{count:?} is not a number"))?;
    Ok((service.to_owned(), count))
}

/// Changes the number of containers of services.
pub async fn scale(args: ScaleArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    client.scale_stack(yard, name, args.services.into_iter().collect()).await?;
    finish(&client, yard, name, &args.wait, context, "is scaled").await
}

/// Arguments of `stackyard stack rollback`.
#[derive(clap::Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    /// Version to restore, as listed by `stack show`
    ///
    /// [default: the last version that worked]
    #[arg(long, value_name = "N")]
    to: Option<u64>,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Restores an earlier version of a stack.
pub async fn roll_back(args: RollbackArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    let version = client.roll_back_stack(yard, name, args.to).await?;
    finish(&client, yard, name, &args.wait, context, &format!("is back at version {}", version.number)).await
}

/// Arguments of `stackyard stack remove`.
#[derive(clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Removes a stack, and waits until its containers are removed.
pub async fn remove(args: RemoveArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let client = args.yard.client(context)?;
    let (yard, name) = (&args.yard.yard, &args.stack);
    client.remove_stack(yard, name).await?;
    if args.wait.waits() {
        client.gone(yard, name, args.wait.patience()).await?;
    }
    let result = json!({"event": "result", "stack": name, "gone": args.wait.waits()});
    context.printer.result(&result, || match args.wait.waits() {
        true => format!("The stack `{name}` is removed; its volumes stay."),
        false => format!("The server is removing the stack `{name}`."),
    })?;
    Ok(ExitStatus::Done)
}

/// Waits as the options say, and prints the result.
pub async fn finish(
    client: &stackyard_client::Client,
    yard: &str,
    name: &str,
    wait: &WaitArgs,
    context: &Context,
    done: &str,
) -> anyhow::Result<ExitStatus> {
    let status = match wait.waits() {
        true => Some(client.converged(yard, name, wait.patience(), &*context.printer.onlooker()).await?.status),
        false => None,
    };
    let result = json!({"event": "result", "stack": name, "status": status});
    context.printer.result(&result, || match wait.waits() {
        true => format!("The stack `{name}` {done}."),
        false => format!("The server is updating the stack `{name}`."),
    })?;
    Ok(ExitStatus::Done)
}
