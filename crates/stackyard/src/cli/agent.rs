//! `stackyard agent`

mod standalone;

use super::{Context, End};
use crate::printer::{duration, table};
use anyhow::Context as _;
use clap::Subcommand;
use stackyard_agent::cnm::PLUGINS;
use stackyard_agent::state::{DEFAULT_DIR, StateDir};
use stackyard_agent::status::{Status, status};
use stackyard_agent::{config, join, prepare, run};
use stackyard_core::agent::{AgentConfig, CONFIG_PATH, ContainerReport, ContainerState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Verbs of `stackyard agent`.
#[derive(Subcommand)]
pub enum Verb {
    /// Run what the server says, for ever
    Run(RunArgs),
    /// Mount the data volume and set Docker's MTU; runs before Docker starts
    Prepare(Place),
    /// Join this machine to a server
    Join(JoinArgs),
    /// Show how the agent of this machine is doing
    Status(Place),
    /// Give containers of this machine ports of Neutron networks, without a server: Docker's network driver
    Standalone(standalone::Args),
}

impl Verb {
    /// Whether this is the plugin of Docker's, which has much to wait for at once.
    pub fn is_standalone(&self) -> bool {
        matches!(self, Self::Standalone(_))
    }
}

/// Where an agent has its files.
#[derive(clap::Args)]
pub struct Place {
    /// Configuration
    #[arg(long, value_name = "FILE", default_value = CONFIG_PATH)]
    config: PathBuf,

    /// State directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    state: PathBuf,
}

/// Arguments of `stackyard agent run`.
#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    place: Place,

    /// Where Docker looks for plugins
    #[arg(long, value_name = "DIR", default_value = PLUGINS)]
    plugins: PathBuf,

    /// How often to look for ports of containers that are left over, and how long one must be so before it is removed
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..))]
    reconcile: u64,
}

/// Arguments of `stackyard agent join`.
#[derive(clap::Args)]
pub struct JoinArgs {
    /// Address of the server, https://host:port; may be given several times
    #[arg(long, value_name = "URL", required = true)]
    server: Vec<String>,

    /// File with the certificate of the server's CA (PEM)
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,

    /// File with the join token; `-` reads it from standard input [default: the token in
    /// STACKYARD_JOIN_TOKEN, else standard input]
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,

    /// Name of this host [default: its host name]
    #[arg(long)]
    name: Option<String>,

    /// Label for placement constraints; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,

    #[command(flatten)]
    place: Place,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::Run(args) => keep(args, context).await,
        Verb::Prepare(place) => {
            let state = StateDir::open(place.state)?;
            prepare::prepare(&place.config, &state, &*context.printer.onlooker())?;
            Ok(End::Done)
        }
        Verb::Join(args) => join(args, context).await,
        Verb::Status(place) => show(&place, context),
        Verb::Standalone(args) => standalone::run(args, context).await,
    }
}

async fn keep(args: RunArgs, context: &Context) -> anyhow::Result<End> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let Place { config, state } = args.place;
    let options = run::Options { config, state, plugins: args.plugins, reconcile: Duration::from_secs(args.reconcile) };
    tokio::select! {
        ended = run::run(options, context.printer.onlooker()) => ended?,
        // Containers go on; there is nothing that a kill would leave half done.
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(End::Done)
}

async fn join(args: JoinArgs, context: &Context) -> anyhow::Result<End> {
    let ca = std::fs::read_to_string(&args.ca).with_context(|| format!("cannot read {}", args.ca.display()))?;
    let token = token(args.token.as_deref())?;
    let name = match args.name {
        Some(name) => name,
        None => {
            std::fs::read_to_string("/proc/sys/kernel/hostname").context("cannot read the host name")?.trim().into()
        }
    };
    // What else is configured (a data volume) stays.
    let before = match config::read(&args.place.config) {
        Err(stackyard_agent::Error::NoConfig { .. }) => None,
        other => Some(other?),
    };
    let mut config = AgentConfig {
        server: args.server,
        ca,
        token: Some(token),
        name,
        labels: args.label.into_iter().collect::<BTreeMap<_, _>>(),
        data_volume: None,
        mtu: None,
    };
    if let Some(before) = before {
        (config.data_volume, config.mtu) = (before.data_volume, before.mtu);
    }
    let state = StateDir::open(args.place.state)?;
    config::write(&args.place.config, &config)?;
    let identity = join::join(&args.place.config, &state, &*context.printer.onlooker()).await?;
    context.printer.result(&serde_json::json!({"host": identity.host}), || {
        format!("Joined as host {}. `stackyard agent run` runs what the server says.", identity.host)
    })?;
    Ok(End::Done)
}

/// The join token; never an argument, which every user of this machine could read.
fn token(file: Option<&Path>) -> anyhow::Result<String> {
    let text = match (file, std::env::var("STACKYARD_JOIN_TOKEN")) {
        (None, Ok(token)) => token,
        (Some(file), _) if file.as_os_str() != "-" => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the join token from {}", file.display()))?,
        _ => std::io::read_to_string(std::io::stdin()).context("cannot read the join token from standard input")?,
    };
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "the join token is empty");
    Ok(token.to_owned())
}

fn show(place: &Place, context: &Context) -> anyhow::Result<End> {
    let status = status(&place.config, &StateDir::open(&place.state)?)?;
    context.printer.result(&status, || text(&status))?;
    Ok(if status.last.connected.is_some() { End::Done } else { End::Failed })
}

fn text(status: &Status) -> String {
    let host = status.host.as_deref().unwrap_or("has not joined");
    let mut text = format!("{} ({host}), server {}\n", status.name, status.servers.join(", "));
    let since = status.last.since.as_deref().map(|s| format!(" since {s}")).unwrap_or_default();
    text += &match (&status.last.connected, status.runs, &status.last.problem) {
        (Some(server), ..) => format!("connected to {server}{since}\n"),
        (None, false, _) => "no agent runs here; containers go on without it\n".to_owned(),
        (None, true, Some(problem)) => format!("cut off{since}: {problem}\n"),
        (None, true, None) => "not connected yet\n".to_owned(),
    };
    let Some(report) = &status.last.report else { return text };
    let settled = if report.settled { "" } else { ", at work" };
    text += &format!("revision {}{settled}\n", report.revision);
    let rows = report.parts.iter().flat_map(|(stack, part)| part.containers.iter().map(move |c| row(stack, c)));
    let rows: Vec<[String; 4]> = rows.collect();
    if !rows.is_empty() {
        text += &table::table(["STACK", "REPLICA", "STATE", "SINCE"], rows);
    }
    for (stack, part) in &report.parts {
        if let Some(error) = &part.error {
            text += &format!("\nstack {stack}: {error}");
        }
    }
    text
}

fn row(stack: &str, container: &ContainerReport) -> [String; 4] {
    let state = match (container.state, container.healthy) {
        (ContainerState::Running, Some(true)) => "healthy".to_owned(),
        (ContainerState::Running, Some(false)) => "not healthy".to_owned(),
        (ContainerState::Running, None) => "running".to_owned(),
        (ContainerState::Created, _) => "created".to_owned(),
        (ContainerState::Restarting, _) => "restarting".to_owned(),
        (ContainerState::Paused, _) => "paused".to_owned(),
        (ContainerState::Exited(status), _) => format!("exited ({status})"),
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let started = container.started.and_then(|s| u64::try_from(s).ok()).map(std::time::Duration::from_secs);
    let since = started.and_then(|s| now.checked_sub(s)).map(duration).unwrap_or_default();
    [stack.to_owned(), container.replica.to_string(), state, since]
}
