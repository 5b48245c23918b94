//! `stackyard agent standalone`

use super::super::yard::CloudArgs;
use super::super::{Context, End};
use stackyard_agent::cni;
use stackyard_agent::cnm::{self, PLUGINS, PoolSize};
use stackyard_wire::Remote;
use std::path::PathBuf;
use std::time::Duration;

/// Where the plugin keeps its state unless told otherwise.
const STATE: &str = "/var/lib/stackyard-agent/standalone";

/// Arguments of `stackyard agent standalone`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    cloud: CloudArgs,

    /// Name of Docker's network driver: `docker network create -d NAME` [default: stackyard, or what it replaces]
    #[arg(long, value_name = "NAME", value_parser = plugin_name)]
    name: Option<String>,

    /// Take the place of another driver: its options, its tags and names in Neutron
    #[arg(long, value_name = "DRIVER")]
    compat: Option<Compat>,

    /// Name of this machine in Neutron [default: external_ids:hostname of Open vSwitch]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Database of Open vSwitch: unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ADDRESS", default_value_t)]
    ovsdb: Remote,

    /// This machine has no Open vSwitch: Neutron's agent here is that of linuxbridge
    #[arg(long, conflicts_with = "ovsdb", requires = "host")]
    linuxbridge: bool,

    /// How many ports each network keeps ready, so that a container need not wait for Neutron: MOST, or LEAST-MOST to
    /// keep only LEAST once none is used (a network's option `pool` says otherwise)
    #[arg(long, value_name = "PORTS", default_value = "0", conflicts_with = "compat")]
    pool: PoolSize,

    /// How often to look for what is left over, and how long it must be so before it is removed
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..))]
    reconcile: u64,

    /// State directory
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,

    /// Where Docker looks for plugins
    #[arg(long, value_name = "DIR", default_value = PLUGINS)]
    plugins: PathBuf,

    /// Socket for CNI plugins [default: /run/stackyard/cni.sock; with another NAME cni-NAME.sock]
    #[arg(long, value_name = "PATH")]
    cni_socket: Option<PathBuf>,
}

/// A driver whose place it can take.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Compat {
    /// kuryr-libnetwork 18, as Zun uses it.
    Kuryr,
}

fn plugin_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(fits) {
        return Err("a name has letters, digits, `-`, `_` and `.`".to_owned());
    }
    Ok(text.to_owned())
}

/// Serves Docker and CNI plugins until it is told to end.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let cloud = args.cloud.connect(None, &context.printer.onlooker()).await?;
    let kuryr = args.compat == Some(Compat::Kuryr);
    let name = args.name.unwrap_or_else(|| if kuryr { "kuryr" } else { "stackyard" }.to_owned());
    let options = cnm::Options {
        cni: args.cni_socket.unwrap_or_else(|| cni::socket(&name)),
        name,
        kuryr,
        pool: args.pool,
        plugins: args.plugins,
        state: args.state,
        ovsdb: (!args.linuxbridge).then_some(args.ovsdb),
        host: args.host,
        cloud,
        reconcile: Duration::from_secs(args.reconcile),
    };
    tokio::select! {
        ended = cnm::run(options, context.printer.onlooker()) => ended?,
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(End::Done)
}
