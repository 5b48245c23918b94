//! `stackyard agent`

mod standalone;

use super::host::parse_label;
use super::{Context, ExitStatus};
use crate::printer::{duration, table};
use anyhow::Context as _;
use clap::Subcommand;
use stackyard_agent::network::PLUGINS;
use stackyard_agent::server_link::join;
use stackyard_agent::state::{DEFAULT_DIR, StateDir};
use stackyard_agent::status::{Status, status};
use stackyard_agent::{config, prepare, run};
use stackyard_core::agent::{AgentConfig, CONFIG_PATH, ContainerReport, ContainerState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Verbs of `stackyard agent`.
#[derive(Subcommand)]
pub enum AgentVerb {
    /// Run the agent in the foreground
    ///
    /// The agent runs the containers that the server assigns to this host, until it is stopped.
    Run(RunArgs),
    /// Mount the data volume and set Docker's MTU before Docker starts
    Prepare(AgentPaths),
    /// Join this machine to a server
    Join(JoinArgs),
    /// Show the state of this machine's agent
    Status(AgentPaths),
    /// Connect containers to Neutron networks, without a Stackyard server
    ///
    /// Serves a network driver to Docker, and a socket to CNI plugins.
    Standalone(standalone::StandaloneArgs),
}

impl AgentVerb {
    /// Whether this is Docker's network driver, which waits for many requests at once.
    pub fn is_standalone(&self) -> bool {
        matches!(self, Self::Standalone(_))
    }
}

/// Options that locate the files of an agent.
#[derive(clap::Args)]
pub struct AgentPaths {
    /// Configuration file
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
    paths: AgentPaths,

    /// Directory where Docker looks for plugins
    #[arg(long, value_name = "DIR", default_value = PLUGINS)]
    plugins: PathBuf,

    /// Interval of the check for orphaned container ports, in seconds
    ///
    /// The agent deletes a port that has been orphaned for at least this long.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..))]
    reconcile: u64,
}

/// Arguments of `stackyard agent join`.
#[derive(clap::Args)]
pub struct JoinArgs {
    /// Server address, https://HOST:PORT; repeat it for several addresses
    #[arg(long, value_name = "URL", required = true)]
    server: Vec<String>,

    /// CA certificate of the server, a PEM file
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,

    /// File with the join token; `-` reads standard input
    ///
    /// [default: the token in STACKYARD_JOIN_TOKEN, else standard input]
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,

    /// Name of this host [default: its hostname]
    #[arg(long)]
    name: Option<String>,

    /// Label for placement constraints; repeat it for several labels
    ///
    /// The join token must be made with `--labels-from-machine`, or have a label of this name.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,

    #[command(flatten)]
    paths: AgentPaths,
}

/// Runs a verb of `stackyard agent`.
pub async fn run(verb: AgentVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        AgentVerb::Run(args) => run_agent(args, context).await,
        AgentVerb::Prepare(paths) => {
            let state = StateDir::open(paths.state)?;
            prepare::prepare(&paths.config, &state, &*context.printer.onlooker())?;
            Ok(ExitStatus::Done)
        }
        AgentVerb::Join(args) => join(args, context).await,
        AgentVerb::Status(paths) => show_status(&paths, context),
        AgentVerb::Standalone(args) => standalone::run(args, context).await,
    }
}

async fn run_agent(args: RunArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    super::server::allow_open_files();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let AgentPaths { config, state } = args.paths;
    let options = run::Options { config, state, plugins: args.plugins, reconcile: Duration::from_secs(args.reconcile) };
    tokio::select! {
        ended = run::run(options, context.printer.onlooker()) => ended?,
        // Containers keep running, and the agent has no state that an interruption could break.
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(ExitStatus::Done)
}

async fn join(args: JoinArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let ca = std::fs::read_to_string(&args.ca).with_context(|| format!("cannot read {}", args.ca.display()))?;
    let token = read_token(args.token.as_deref())?;
    let name = match args.name {
        Some(name) => name,
        None => {
            std::fs::read_to_string("/proc/sys/kernel/hostname").context("cannot read the host name")?.trim().into()
        }
    };
    // Keep the settings that `join` does not change: data volume and MTU.
    let before = match config::read(&args.paths.config) {
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
    let state = StateDir::open(args.paths.state)?;
    config::write(&args.paths.config, &config)?;
    let identity = join::join(&args.paths.config, &state, &*context.printer.onlooker()).await?;
    context.printer.result(&serde_json::json!({"host": identity.host}), || {
        format!("Joined as host {}. Run `stackyard agent run` to start the agent.", identity.host)
    })?;
    Ok(ExitStatus::Done)
}

/// Reads the join token. It is never an argument, which every user of this machine could read.
fn read_token(file: Option<&Path>) -> anyhow::Result<String> {
    let text = match (file, std::env::var("STACKYARD_JOIN_TOKEN")) {
        (None, Ok(token)) => token,
        (Some(file), _) if file.as_os_str() != "-" => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the join token from {}", file.display()))?,
        _ => std::io::read_to_string(std::io::stdin()).context("cannot read the join token from standard input")?,
    };
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "cannot join: the join token is empty");
    Ok(token.to_owned())
}

fn show_status(paths: &AgentPaths, context: &Context) -> anyhow::Result<ExitStatus> {
    let status = status(&paths.config, &StateDir::open(&paths.state)?)?;
    context.printer.result(&status, || text(&status))?;
    Ok(if status.last.connected.is_some() { ExitStatus::Done } else { ExitStatus::Failed })
}

fn text(status: &Status) -> String {
    let host = status.host.as_deref().unwrap_or("not joined");
    let mut text = format!("{} ({host}), server {}\n", status.name, status.servers.join(", "));
    let since = status.last.since.as_deref().map(|s| format!(" since {s}")).unwrap_or_default();
    text += &match (&status.last.connected, status.runs, &status.last.problem) {
        (Some(server), ..) => format!("connected to {server}{since}\n"),
        (None, false, _) => "no agent is running; containers keep running without it\n".to_owned(),
        (None, true, Some(problem)) => format!("disconnected{since}: {problem}\n"),
        (None, true, None) => "not connected yet\n".to_owned(),
    };
    let Some(report) = &status.last.report else { return text };
    let settled = if report.settled { "" } else { ", changes in progress" };
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
        (ContainerState::Running, Some(false)) => "unhealthy".to_owned(),
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
