//! `stackyard agent standalone`

use super::super::yard::CloudArgs;
use super::super::{Context, ExitStatus};
use stackyard_agent::network::{PLUGINS, PoolSize, cni, standalone};
use stackyard_wire::Remote;
use std::path::PathBuf;
use std::time::Duration;

/// Default state directory of the plugin.
const STATE: &str = "/var/lib/stackyard-agent/standalone";

/// Arguments of `stackyard agent standalone`.
#[derive(clap::Args)]
pub struct StandaloneArgs {
    #[command(flatten)]
    cloud: CloudArgs,

    /// Name of the network driver, for `docker network create -d NAME`
    ///
    /// [default: stackyard, or the name of the driver that --compat replaces]
    #[arg(long, value_name = "NAME", value_parser = plugin_name)]
    name: Option<String>,

    /// Replace another driver, with its options, tags and names
    #[arg(long, value_name = "DRIVER")]
    compat: Option<CompatDriver>,

    /// Name of this machine in Neutron
    ///
    /// [default: external_ids:hostname of Open vSwitch]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Open vSwitch database: unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ADDRESS", default_value_t)]
    ovsdb: Remote,

    /// Use Neutron's linuxbridge agent, not Open vSwitch
    #[arg(long, conflicts_with = "ovsdb", requires = "host")]
    linuxbridge: bool,

    /// Ports that each network keeps ready: MOST or LEAST-MOST
    ///
    /// A container that gets such a port does not wait for Neutron. With LEAST-MOST a network whose
    /// ports are all unused keeps LEAST. The option `pool` of a network overrides this.
    #[arg(long, value_name = "PORTS", default_value = "0", conflicts_with = "compat")]
    pool: PoolSize,

    /// Interval of the check for orphaned resources, in seconds
    ///
    /// The agent deletes a resource that has been orphaned for at least this long.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..))]
    reconcile: u64,

    /// State directory
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,

    /// Directory where Docker looks for plugins
    #[arg(long, value_name = "DIR", default_value = PLUGINS)]
    plugins: PathBuf,

    /// Socket for CNI plugins
    ///
    /// [default: /run/stackyard/cni.sock, or cni-NAME.sock there with --name NAME]
    #[arg(long, value_name = "PATH")]
    cni_socket: Option<PathBuf>,
}

/// A network driver that this one can replace.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CompatDriver {
    /// kuryr-libnetwork 18, as Zun uses it
    Kuryr,
}

fn plugin_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(fits) {
        return Err("use letters, digits, `-`, `_` and `.`, and no `.` at the start".to_owned());
    }
    Ok(text.to_owned())
}

/// Serves Docker and CNI plugins until a signal stops it.
pub async fn run(args: StandaloneArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let cloud = args.cloud.connect(None, &context.printer.onlooker()).await?;
    let kuryr = args.compat == Some(CompatDriver::Kuryr);
    let name = args.name.unwrap_or_else(|| if kuryr { "kuryr" } else { "stackyard" }.to_owned());
    let options = standalone::Options {
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
        ended = standalone::run(options, context.printer.onlooker()) => ended?,
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(ExitStatus::Done)
}
