//! Verbs about Cinder volumes of stacks: `stackyard volume ...`.

use super::remote::YardNameArgs;
use super::{Context, ExitStatus};
use crate::printer::table;
use anyhow::bail;
use clap::Subcommand;
use serde_json::json;
use stackyard_api::VolumeView;
use stackyard_client::Client;

/// Verbs of `stackyard volume`.
#[derive(Subcommand)]
pub enum VolumeVerb {
    /// List the Cinder volumes of a yard's stacks
    #[command(visible_alias = "ls")]
    List(VolumeListArgs),
    /// Show a Cinder volume of a stack
    Show(VolumeShowArgs),
    /// Remove a Cinder volume that no stack needs, with its data
    #[command(visible_alias = "rm")]
    Remove(VolumeRemoveArgs),
}

/// Arguments of `stackyard volume list`.
#[derive(clap::Args)]
pub struct VolumeListArgs {
    #[command(flatten)]
    yard: YardNameArgs,
}

/// Arguments of `stackyard volume show`.
#[derive(clap::Args)]
pub struct VolumeShowArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Volume, as STACK/VOLUME or by Cinder's id
    #[arg(value_name = "VOLUME")]
    volume: String,
}

/// Arguments of `stackyard volume remove`.
#[derive(clap::Args)]
pub struct VolumeRemoveArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Volume, as STACK/VOLUME or by Cinder's id
    #[arg(value_name = "VOLUME")]
    volume: String,

    /// Allow losing the data on the volume
    #[arg(long)]
    allow_data_loss: bool,
}

/// Runs a verb of `stackyard volume`.
pub async fn run(verb: VolumeVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        VolumeVerb::List(args) => list(args, context).await,
        VolumeVerb::Show(args) => show(args, context).await,
        VolumeVerb::Remove(args) => remove(args, context).await,
    }
}

fn name(volume: &VolumeView) -> String {
    format!("{}/{}", volume.stack, volume.volume)
}

/// Finds the one volume that the user means.
async fn find(client: &Client, yard: &str, wanted: &str) -> anyhow::Result<VolumeView> {
    let all = client.volumes(yard).await?;
    let mut found: Vec<VolumeView> = all.into_iter().filter(|v| v.id == wanted || name(v) == wanted).collect();
    match (found.pop(), found.as_slice()) {
        (Some(one), []) => Ok(one),
        (None, _) => bail!("the yard `{yard}` has no volume `{wanted}`; `stackyard volume list` prints those it has"),
        (Some(last), others) => {
            let ids: Vec<&str> = others.iter().chain([&last]).map(|v| v.id.as_str()).collect();
            bail!("the yard `{yard}` has several volumes `{wanted}`; name one by its id: {}", ids.join(", "))
        }
    }
}

async fn list(args: VolumeListArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let yard = &args.yard.yard;
    let volumes = args.yard.client(context)?.volumes(yard).await?;
    context.printer.result(&volumes, || {
        if volumes.is_empty() {
            return format!("The stacks of the yard `{yard}` have no Cinder volumes.");
        }
        let rows = volumes.iter().map(|v| {
            let server = v.server.clone().unwrap_or_default();
            [name(v), format!("{}Gi", v.size), v.status.clone(), server, v.id.clone()]
        });
        table::table(["VOLUME", "SIZE", "STATE", "SERVER", "ID"], rows)
    })?;
    Ok(ExitStatus::Done)
}

async fn show(args: VolumeShowArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let client = args.yard.client(context)?;
    let volume = find(&client, &args.yard.yard, &args.volume).await?;
    context.printer.result(&volume, || {
        let needed = if volume.needed { "yes" } else { "no" };
        let rows = [
            ("volume", name(&volume)),
            ("id", volume.id.clone()),
            ("name in Cinder", volume.name.clone()),
            ("size", format!("{}Gi", volume.size)),
            ("type", volume.volume_type.clone().unwrap_or_default()),
            ("state", volume.status.clone()),
            ("server", volume.server.clone().unwrap_or_default()),
            ("needed by its stack", needed.to_owned()),
            ("created", volume.created.clone()),
        ];
        table::table(["FIELD", "VALUE"], rows.into_iter().map(|(field, value)| [field.to_owned(), value]))
    })?;
    Ok(ExitStatus::Done)
}

async fn remove(args: VolumeRemoveArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let (client, printer) = (args.yard.client(context)?, &context.printer);
    let volume = find(&client, &args.yard.yard, &args.volume).await?;
    let name = name(&volume);
    let mut allowed = args.allow_data_loss;
    if !allowed && printer.can_ask() {
        let question = format!("This deletes the data of volume {name} ({}). Type its name, `{name}`:", volume.id);
        allowed = printer.confirm_by_name(&format!("remove the volume `{name}`"), &question, &name)?;
        if !allowed {
            return Ok(ExitStatus::Failed);
        }
    }
    client.remove_volume(&args.yard.yard, &volume.id, allowed).await?;
    let result = json!({"event": "result", "volume": name, "id": volume.id});
    printer.result(&result, || format!("Removed the volume `{name}` ({}).", volume.id))?;
    Ok(ExitStatus::Done)
}
