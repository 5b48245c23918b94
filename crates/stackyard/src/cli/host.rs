//! `stackyard host`

use super::remote::ServerArgs;
use super::yard::{CloudArgs, LossArgs, YardArgs, up};
use super::{Context, End, events};
use crate::printer::{bytes, table};
use anyhow::bail;
use clap::Subcommand;
use stackyard_server::api::{HostView, NewJoin};
use stackyard_server::client::EventsOf;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Verbs of `stackyard host`.
#[derive(Subcommand)]
pub enum Verb {
    /// List hosts
    List(ListArgs),
    /// Tell what happened to a host's containers: started, ended and why, healthy or not
    Events(EventsArgs),
    /// Print the line that joins any machine, as root on it: a token for one machine, for 15 minutes
    Join(JoinArgs),
    /// Set a host apart: nothing is to run on it; `--off` takes it back
    Drain(DrainArgs),
    /// Make a host of a pool anew: mark it, show what the yard's run would do, and ask; without a terminal, mark it
    Replace(Box<ReplaceArgs>),
    /// Remove a host: its agent is no longer let in
    Remove(RemoveArgs),
}

/// Arguments of `stackyard host list`.
#[derive(clap::Args)]
pub struct ListArgs {
    /// Only hosts of this yard
    #[arg(long)]
    yard: Option<String>,

    /// Only hosts of this pool
    #[arg(long)]
    pool: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host events`.
#[derive(clap::Args)]
pub struct EventsArgs {
    /// Id, or YARD/NAME
    host: String,

    #[command(flatten)]
    which: events::Which,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host join`.
#[derive(clap::Args)]
pub struct JoinArgs {
    /// Yard that the machine joins
    #[arg(long)]
    yard: String,

    /// Pool of the host
    #[arg(long)]
    pool: Option<String>,

    /// Name of the host [default: what the machine calls itself]
    #[arg(long)]
    name: Option<String>,

    /// Label for placement constraints; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,

    /// Minutes that the line may be used
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    minutes: u32,

    /// Host that the machine takes the place of, by its id or as YARD/NAME
    #[arg(long, value_name = "HOST")]
    replaces: Option<String>,

    /// Name or address (with :PORT) at which the machine reaches the server [default: the server's first name]
    #[arg(long, value_name = "HOST")]
    reach: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host drain`.
#[derive(clap::Args)]
pub struct DrainArgs {
    /// Id, or YARD/NAME
    host: String,

    /// End draining: the host takes containers again
    #[arg(long)]
    off: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host replace`.
#[derive(clap::Args)]
pub struct ReplaceArgs {
    /// Id, or YARD/NAME
    host: String,

    /// Do not ask: carry the yard's run out
    #[arg(short, long, conflicts_with = "cancel")]
    yes: bool,

    #[command(flatten)]
    loss: LossArgs,

    /// Take the mark back, before a run has begun
    #[arg(long)]
    cancel: bool,

    /// The yard's manifest [default: yard.yaml, if it is that yard's]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    cloud: CloudArgs,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host remove`.
#[derive(clap::Args)]
pub struct RemoveArgs {
    /// Id, or YARD/NAME
    host: String,

    #[command(flatten)]
    server: ServerArgs,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::List(args) => {
            let hosts = args.server.client(context)?.hosts(args.yard.as_deref(), args.pool.as_deref()).await?;
            context.printer.result(&hosts, || list(&hosts))?;
        }
        Verb::Events(args) => {
            let client = args.server.client(context)?;
            return events::tell(&client, EventsOf::Host(&args.host), args.which, context).await;
        }
        Verb::Join(args) => {
            let join = NewJoin {
                yard: args.yard,
                pool: args.pool,
                name: args.name,
                labels: args.label.into_iter().collect(),
                ttl_s: Some(args.minutes * 60),
                replaces: args.replaces,
                server: args.reach,
            };
            let ticket = args.server.client(context)?.new_join(&join).await?;
            context.printer.say(format!("Run this as root on the machine, before {}:", ticket.expires));
            context.printer.result(&ticket, || ticket.command.clone())?;
        }
        Verb::Drain(args) => {
            args.server.client(context)?.drain_host(&args.host, !args.off).await?;
            let text = if args.off { "takes containers again" } else { "drains" };
            context.printer.result(&serde_json::json!({"host": args.host, "drain": !args.off}), || {
                format!("{} {text}.", args.host)
            })?;
        }
        Verb::Replace(args) => return replace(*args, context).await,
        Verb::Remove(args) => {
            args.server.client(context)?.remove_host(&args.host).await?;
            context
                .printer
                .result(&serde_json::json!({"removed": args.host}), || format!("{} is removed.", args.host))?;
        }
    }
    Ok(End::Done)
}

/// Marks a host to be replaced, and goes on with the run of its yard; or takes the mark back.
async fn replace(args: ReplaceArgs, context: &Context) -> anyhow::Result<End> {
    let printer = &context.printer;
    let Some(client) = args.server.client_if_any(context)? else {
        bail!(
            "cannot mark {}: hosts are known to the server that they joined, and none runs on this machine; `--server URL` \
             names another. A host that joined by somebody else's command is known to none: remove its server from \
             the cloud, and `stackyard up` makes it anew",
            args.host
        );
    };
    let host = client.host(&args.host).await?;
    let name = format!("{}/{}", host.yard, host.name);
    if args.cancel {
        client.keep_host(&host.id).await?;
        printer.result(&serde_json::json!({"host": name, "replace": null}), || format!("{name} stays as it is."))?;
        return Ok(End::Done);
    }
    let goes_on = args.yes || !printer.is_json() && std::io::stdin().is_terminal();
    let named = args.file.is_some();
    let file = args.file.unwrap_or_else(|| PathBuf::from("yard.yaml"));
    let yard = YardArgs { file, cloud: args.cloud, server: args.server };
    let is_its = if named || goes_on && yard.file.exists() {
        let manifest = yard.load()?.intended.yard;
        if named && manifest != host.yard {
            bail!("{} is the manifest of yard `{manifest}`, not of `{}`", yard.file.display(), host.yard);
        }
        manifest == host.yard
    } else {
        false
    };
    if args.yes && !is_its {
        bail!("`--yes` brings the yard `{}` up, which needs its manifest; name it with `--file`", host.yard);
    }
    let marked = client.replace_host(&host.id).await?;
    let taken_back = format!("`stackyard host replace {name} --cancel` takes that back");
    if !(goes_on && is_its) {
        let text =
            || format!("{name} is replaced by the next run of yard {} (`stackyard up`); {taken_back}.", host.yard);
        printer.result(&marked, text)?;
        return Ok(End::Done);
    }
    printer.say(format!("{name} is to be replaced by this run:"));
    match up::run(up::Args { yard, yes: args.yes, loss: args.loss }, context).await {
        Ok(End::Done) => {}
        other => {
            printer.say(format!("{name} keeps its mark until it is replaced; {taken_back}."));
            return other;
        }
    }
    match client.host(&host.id).await {
        Err(e) if e.status() == Some(404) => Ok(End::Done),
        Ok(_) => bail!(
            "{name} was not replaced: no server of the yard is this host. Replace the machine yourself: drain the host, \
             remove it, and join another one"
        ),
        Err(other) => Err(other.into()),
    }
}

fn list(hosts: &[HostView]) -> String {
    let rows = hosts.iter().map(|h| {
        let state = match (h.connected, &h.last_seen) {
            (true, _) if h.drain => "drains".to_owned(),
            (true, _) => "connected".to_owned(),
            (false, Some(at)) => format!("away since {at}"),
            (false, None) => "never seen".to_owned(),
        };
        let state = if h.replace.is_some() { state + ", to be replaced" } else { state };
        let containers = h.report.as_ref().map(|r| r.parts.values().map(|p| p.containers.len()).sum::<usize>());
        let size = format!("{} CPU, {}", h.facts.cpus, bytes(h.facts.memory));
        let address = h.facts.addresses.first().map(ToString::to_string).unwrap_or_default();
        let containers = containers.map_or_else(|| "?".to_owned(), |n| n.to_string());
        [h.yard.clone(), h.name.clone(), h.pool.clone(), state, containers, size, address, h.id.clone()]
    });
    table::table(["YARD", "NAME", "POOL", "STATE", "CONTAINERS", "SIZE", "ADDRESS", "ID"], rows)
}
