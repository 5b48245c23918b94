//! `stackyard host`

use super::remote::ServerArgs;
use super::yard::{CloudArgs, LossArgs, YardArgs, up};
use super::{Context, ExitStatus, events};
use crate::printer::{UserError, bytes, table};
use anyhow::bail;
use clap::Subcommand;
use stackyard_api::{HostView, NewJoin};
use stackyard_client::EventsOf;
use std::net::IpAddr;
use std::path::PathBuf;

/// Verbs of `stackyard host`.
#[derive(Subcommand)]
pub enum HostVerb {
    /// List hosts
    List(ListArgs),
    /// Print the events of a host's containers
    ///
    /// Events are starts, exits with their reason, and changes of health.
    Events(EventsArgs),
    /// Print a command that joins a machine to a yard
    ///
    /// Run the command as root on the machine. It works for one machine, until it expires.
    Join(JoinArgs),
    /// Drain a host so that nothing runs on it; `--off` undoes it
    Drain(DrainArgs),
    /// Change the address at which others reach a host
    ///
    /// A host keeps the address that it joined with, whatever interfaces it gets later. Containers that know the
    /// address are recreated; templates that list hosts get it with the next deployment of their stack.
    Address(AddressArgs),
    /// Replace a host of a pool with a new one
    ///
    /// Marks the host, shows what `up` would change, and asks. Without a terminal it only marks the
    /// host: the next `up` of the yard replaces it.
    Replace(Box<ReplaceArgs>),
    /// Remove a host and refuse its agent
    Remove(RemoveArgs),
}

/// Arguments of `stackyard host list`.
#[derive(clap::Args)]
pub struct ListArgs {
    /// Show only hosts of this yard
    #[arg(long)]
    yard: Option<String>,

    /// Show only hosts of this pool
    #[arg(long)]
    pool: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host events`.
#[derive(clap::Args)]
pub struct EventsArgs {
    /// Host ID or YARD/NAME
    host: String,

    #[command(flatten)]
    filter: events::EventFilterArgs,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host join`.
#[derive(clap::Args)]
pub struct JoinArgs {
    /// Yard to join
    #[arg(long)]
    yard: String,

    /// Pool of the host
    #[arg(long)]
    pool: Option<String>,

    /// Name of the host [default: the machine's hostname]
    #[arg(long)]
    name: Option<String>,

    /// Label for placement constraints; repeat it for several labels
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,

    /// Accept labels that the machine gives itself, too
    #[arg(long)]
    labels_from_machine: bool,

    /// Minutes until the command expires
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    minutes: u32,

    /// Host that the machine replaces: ID or YARD/NAME
    #[arg(long, value_name = "HOST")]
    replaces: Option<String>,

    /// Server address that the machine uses, HOST or HOST:PORT
    ///
    /// [default: the server's first name]
    #[arg(long, value_name = "HOST")]
    reach: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host drain`.
#[derive(clap::Args)]
pub struct DrainArgs {
    /// Host ID or YARD/NAME
    host: String,

    /// Stop draining, so that the host accepts containers again
    #[arg(long)]
    off: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host address`.
#[derive(clap::Args)]
pub struct AddressArgs {
    /// Host ID or YARD/NAME
    host: String,

    /// IP address that the host has
    address: IpAddr,

    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `stackyard host replace`.
#[derive(clap::Args)]
pub struct ReplaceArgs {
    /// Host ID or YARD/NAME
    host: String,

    /// Do not ask for confirmation
    #[arg(short, long, conflicts_with = "cancel")]
    yes: bool,

    #[command(flatten)]
    loss: LossArgs,

    /// Remove the mark, before a run starts
    #[arg(long)]
    cancel: bool,

    /// Manifest of the yard [default: yard.yaml, if it is that yard's]
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
    /// Host ID or YARD/NAME
    host: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Parses a label, `KEY=VALUE`.
pub(super) fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs a verb of `stackyard host`.
pub async fn run(verb: HostVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        HostVerb::List(args) => {
            let hosts = args.server.client(context)?.hosts(args.yard.as_deref(), args.pool.as_deref()).await?;
            context.printer.result(&hosts, || list(&hosts))?;
        }
        HostVerb::Events(args) => {
            let client = args.server.client(context)?;
            return events::print_events(&client, EventsOf::Host(&args.host), args.filter, context).await;
        }
        HostVerb::Join(args) => {
            let join = NewJoin {
                yard: args.yard,
                pool: args.pool,
                name: args.name,
                labels: args.label.into_iter().collect(),
                labels_from_machine: args.labels_from_machine,
                ttl_s: Some(args.minutes * 60),
                replaces: args.replaces,
                server: args.reach,
            };
            let ticket = args.server.client(context)?.new_join(&join).await?;
            context.printer.note(format!("Run this as root on the machine, before {}:", ticket.expires));
            context.printer.result(&ticket, || ticket.command.clone())?;
        }
        HostVerb::Drain(args) => {
            args.server.client(context)?.drain_host(&args.host, !args.off).await?;
            let text = if args.off { "accepts containers again" } else { "is draining" };
            context.printer.result(&serde_json::json!({"host": args.host, "drain": !args.off}), || {
                format!("{} {text}.", args.host)
            })?;
        }
        HostVerb::Address(args) => {
            let host = args.server.client(context)?.set_host_address(&args.host, args.address).await?;
            let text = || format!("Others reach {}/{} at {}.", host.yard, host.name, args.address);
            context.printer.result(&host, text)?;
        }
        HostVerb::Replace(args) => return replace(*args, context).await,
        HostVerb::Remove(args) => {
            args.server.client(context)?.remove_host(&args.host).await?;
            context.printer.result(&serde_json::json!({"removed": args.host}), || format!("Removed {}.", args.host))?;
        }
    }
    Ok(ExitStatus::Done)
}

/// Marks a host for replacement and brings its yard up, or removes the mark.
async fn replace(args: ReplaceArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let printer = &context.printer;
    let Some(client) = args.server.client_if_any(context)? else {
        bail!(UserError::new(
            format!("cannot mark {}: no Stackyard server runs on this machine", args.host),
            "name the server with --server URL. No Stackyard server knows a host that joined another \
             cluster: delete its server in the cloud, then run `stackyard up` to recreate it",
        ));
    };
    let host = client.host(&args.host).await?;
    let name = format!("{}/{}", host.yard, host.name);
    if args.cancel {
        client.keep_host(&host.id).await?;
        printer.result(&serde_json::json!({"host": name, "replace": null}), || {
            format!("{name} is no longer marked for replacement.")
        })?;
        return Ok(ExitStatus::Done);
    }
    let runs_up = args.yes || printer.can_ask();
    let named = args.file.is_some();
    let file = args.file.unwrap_or_else(|| PathBuf::from("yard.yaml"));
    let yard = YardArgs { file, cloud: args.cloud, server: args.server };
    let is_its = if named || runs_up && yard.file.exists() {
        let manifest = yard.load(context)?.intended.yard;
        if named && manifest != host.yard {
            bail!("cannot replace {name}: {} is the manifest of yard `{manifest}`", yard.file.display());
        }
        manifest == host.yard
    } else {
        false
    };
    if args.yes && !is_its {
        bail!(UserError::new(
            format!("cannot bring up the yard `{}`: its manifest is not given", host.yard),
            "pass --file",
        ));
    }
    let marked = client.replace_host(&host.id).await?;
    let cancel = format!("To cancel, run `stackyard host replace {name} --cancel`.");
    if !(runs_up && is_its) {
        let text = || format!("The next `stackyard up` of yard {} replaces {name}. {cancel}", host.yard);
        printer.result(&marked, text)?;
        return Ok(ExitStatus::Done);
    }
    printer.note(format!("This run replaces {name}:"));
    match up::run(up::UpArgs { yard, yes: args.yes, loss: args.loss }, context).await {
        Ok(ExitStatus::Done) => {}
        other => {
            printer.note(format!("{name} stays marked until it is replaced. {cancel}"));
            return other;
        }
    }
    match client.host(&host.id).await {
        Err(e) if e.status() == Some(404) => Ok(ExitStatus::Done),
        Ok(_) => bail!(UserError::new(
            format!("cannot replace {name}: no server of the yard is this host"),
            "drain the host, remove it, and join another machine",
        )),
        Err(other) => Err(other.into()),
    }
}

fn list(hosts: &[HostView]) -> String {
    let rows = hosts.iter().map(|h| {
        let state = match (h.connected, &h.last_seen) {
            (true, _) if h.drain => "draining".to_owned(),
            (true, _) => "connected".to_owned(),
            (false, Some(at)) => format!("disconnected since {at}"),
            (false, None) => "never connected".to_owned(),
        };
        let state = if h.replace.is_some() { state + ", marked for replacement" } else { state };
        let containers = h.report.as_ref().map(|r| r.parts.values().map(|p| p.containers.len()).sum::<usize>());
        let size = format!("{} CPU, {}", h.facts.cpus, bytes(h.facts.memory));
        let address = h.address.map(|a| a.to_string()).unwrap_or_default();
        let is_gone = h.address.is_some_and(|a| !h.facts.addresses.contains(&a));
        let address = if is_gone { address + " (not on the host)" } else { address };
        let containers = containers.map_or_else(|| "?".to_owned(), |n| n.to_string());
        [h.yard.clone(), h.name.clone(), h.pool.clone(), state, containers, size, address, h.id.clone()]
    });
    table::table(["YARD", "NAME", "POOL", "STATE", "CONTAINERS", "SIZE", "ADDRESS", "ID"], rows)
}
