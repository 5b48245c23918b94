//! `stackyard server`

use super::server_backup::{self, BackupArgs, RestoreArgs};
use super::{Context, ExitStatus};
use crate::printer::table;
use anyhow::Context as _;
use clap::Subcommand;
use clap::builder::{OsStringValueParser, TypedValueParser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stackyard_api::Role;
use stackyard_client::Client;
use stackyard_server::daemon::{self, DEFAULT_LISTEN, Detached, Server, Settings};
use stackyard_yard::AllowedHost;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

/// Arguments of `stackyard server`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ServerArgs {
    #[command(subcommand)]
    verb: Option<ServerVerb>,

    /// Address to listen on; repeat it for several addresses
    ///
    /// [default: as last time, else 127.0.0.1:7440]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,

    /// Name or address for the server's certificate; repeat it for several
    ///
    /// The certificate also covers the addresses that the server listens on. Hosts use the first
    /// name. [default: as last time]
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,

    /// PostgreSQL database: postgres://USER:PASSWORD@HOST/DATABASE
    ///
    /// [default: as last time, else SQLite]
    #[arg(long, env = "STACKYARD_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,

    /// Seconds until a host without a connected agent counts as lost
    ///
    /// The containers of a lost host start on other hosts. [default: as last time, else 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(5..=86_400))]
    lost_after: Option<u32>,

    /// MiB that the files of one stack may have together
    ///
    /// These are the files and directories next to a Compose file that its services mount.
    /// [default: as last time, else 64]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    files_limit: Option<u32>,

    /// Read the clouds of yards from this clouds.yaml
    ///
    /// [default: as last time, else OS_CLIENT_CONFIG_FILE, else clouds.yaml in the current
    /// directory, the user's openstack directory or the system's openstack directory]
    #[arg(long, value_name = "FILE")]
    clouds: Option<PathBuf>,

    /// Let users of this cloud sign in; repeat it for several clouds
    ///
    /// The name is an entry of clouds.yaml. Users sign in to the console with Keystone and see the
    /// yards of their project. Pass '' to turn sign-in off. [default: as last time, else none]
    #[arg(long, value_name = "NAME")]
    sign_in_cloud: Option<Vec<String>>,

    /// Map a Keystone role to viewer, operator or admin; repeat for several
    ///
    /// Keystone roles that you omit have no access.
    /// [default: as last time, else admin=admin member=operator reader=viewer]
    #[arg(long, value_name = "KEYSTONE=ROLE", value_parser = sign_in_role)]
    sign_in_role: Option<Vec<(String, Role)>>,

    /// Let manifests send requests to this host; repeat it for several
    ///
    /// Join commands with `http` go to public addresses only. A host is a name, an address or a
    /// network (10.0.0.0/8). Pass '' to allow none. [default: as last time, else none]
    #[arg(long, value_name = "HOST", value_parser = hook_host)]
    allow_hook_host: Option<Vec<Option<AllowedHost>>>,

    /// Show metrics on this address, without TLS and token
    ///
    /// A port alone is one of 127.0.0.1. Anyone who reaches the address can read the metrics. Pass
    /// '' to turn it off. [default: as last time, else none]
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = metrics_address)]
    metrics_listen: Option<Vec<MetricsAddress>>,

    /// Keep entries of the audit log for this many days, as 400d
    ///
    /// [default: as last time, else 400d]
    #[arg(long, value_name = "DAYS", value_parser = days)]
    audit_keep: Option<u32>,

    /// Keep at most this many entries of the audit log
    ///
    /// The server removes older ones. [default: as last time, else 1000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    audit_rows: Option<u32>,

    /// Also append the audit log to this file, as JSON lines
    ///
    /// A file that the server creates has mode 0600. You may rename it at any time. Pass '' to turn
    /// it off. [default: as last time, else none]
    #[arg(long, value_name = "FILE", value_parser = file_or_none())]
    audit_file: Option<PathBuf>,

    /// Start in the background, and return when the server answers
    #[arg(long)]
    detach: bool,
}

#[derive(Subcommand)]
enum ServerVerb {
    /// Stop the server on this machine
    Stop,
    /// Show the server on this machine; exit code 1 if none runs
    Status,
    /// Write everything that the server keeps into one encrypted file
    ///
    /// The server may run. The file has the store, the CA with its key, the certificate, the
    /// settings, the files of stacks and the manifests of yards. It is an age file for your
    /// passphrase, with a gzipped tar in it.
    Backup(BackupArgs),
    /// Restore a server from a backup
    ///
    /// The whole backup is checked before anything changes. Hosts and tokens find the restored
    /// server if it has the name or address of the old one. Stop the old server first.
    Restore(RestoreArgs),
}

impl ServerArgs {
    /// Whether this process becomes the server, which gets a small runtime.
    pub fn serves(&self) -> bool {
        self.verb.is_none() && !self.detach
    }
}

/// Parses a host; nothing is none.
fn hook_host(text: &str) -> Result<Option<AllowedHost>, String> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// Parses `KEYSTONE=ROLE`.
fn sign_in_role(text: &str) -> Result<(String, Role), String> {
    let pair = text.split_once('=').and_then(|(name, role)| Some((name.trim(), Role::from_name(role.trim())?)));
    match pair {
        Some((name, role)) if !name.is_empty() => Ok((name.to_owned(), role)),
        _ => Err("expected KEYSTONE=ROLE, such as `member=operator`; roles are viewer, operator and admin".to_owned()),
    }
}

/// Parses a path, also the empty one, which clap's own parser refuses.
fn file_or_none() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Parses `400d`, or days without a unit.
fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse().ok().filter(|days| (1..=36_500).contains(days));
    days.ok_or_else(|| "expected days, 1d to 36500d".to_owned())
}

/// An address for metrics; none turns them off.
#[derive(Debug, Clone, Copy)]
struct MetricsAddress(Option<SocketAddr>);

/// Parses `ADDRESS:PORT`, `PORT`, or nothing.
fn metrics_address(text: &str) -> Result<MetricsAddress, String> {
    if text.is_empty() {
        return Ok(MetricsAddress(None));
    }
    let address = match text.parse::<u16>() {
        Ok(port) => Some(SocketAddr::from(([127, 0, 0, 1], port))),
        Err(_) => text.parse().ok(),
    };
    let expected = || "expected ADDRESS:PORT, such as `10.0.0.5:7441`, or a port of 127.0.0.1".to_owned();
    address.map(|address| MetricsAddress(Some(address))).ok_or_else(expected)
}

/// Runs, starts, stops or shows the server.
pub async fn run(args: ServerArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    match args.verb {
        Some(ServerVerb::Stop) => {
            let ran = daemon::stop(&context.home).await?;
            let text = if ran { "The server is stopped." } else { "No server was running." };
            context.printer.result(&serde_json::json!({"stopped": ran}), || text.to_owned())?;
            Ok(ExitStatus::Done)
        }
        Some(ServerVerb::Status) => status(context).await,
        Some(ServerVerb::Backup(args)) => server_backup::backup(args, context).await,
        Some(ServerVerb::Restore(args)) => server_backup::restore(args, context).await,
        None => {
            let detached = args.detach;
            let settings = settings(args)?;
            if detached { detach(settings, context).await } else { serve(settings, context).await }
        }
    }
}

/// The absolute path; the empty one stays empty.
fn absolute_or_none(path: PathBuf) -> std::io::Result<PathBuf> {
    if path.as_os_str().is_empty() { Ok(path) } else { std::path::absolute(path) }
}

/// The settings that a command line tells.
fn settings(args: ServerArgs) -> std::io::Result<Settings> {
    Ok(Settings {
        listen: args.listen,
        names: args.name,
        database: args.database,
        lost_after: args.lost_after,
        files_limit: args.files_limit,
        clouds: args.clouds.map(std::path::absolute).transpose()?,
        sign_in_clouds: args.sign_in_cloud.map(|all| all.into_iter().filter(|c| !c.is_empty()).collect()),
        sign_in_roles: args.sign_in_role.map(|all| all.into_iter().collect()),
        hook_hosts: args.allow_hook_host.map(|all| all.into_iter().flatten().collect()),
        metrics_listen: args.metrics_listen.map(|all| all.into_iter().filter_map(|a| a.0).collect()),
        audit_keep: args.audit_keep,
        audit_rows: args.audit_rows,
        audit_file: args.audit_file.map(absolute_or_none).transpose()?,
    })
}

/// Options of `stackyard server` that tell these settings, all but the database: every user can read arguments.
fn options(settings: &Settings) -> Vec<OsString> {
    // Without `..`, so that the compiler asks for the option of a new setting.
    let Settings {
        listen,
        names,
        database: _,
        lost_after,
        files_limit,
        clouds,
        sign_in_clouds,
        sign_in_roles,
        hook_hosts,
        metrics_listen,
        audit_keep,
        audit_rows,
        audit_file,
    } = settings;
    let mut options = Vec::new();
    let mut add = |option: &str, value: OsString| options.extend([option.into(), value]);
    listen.iter().for_each(|address| add("--listen", address.to_string().into()));
    names.iter().for_each(|name| add("--name", name.into()));
    lost_after.iter().for_each(|seconds| add("--lost-after", seconds.to_string().into()));
    files_limit.iter().for_each(|mib| add("--files-limit", mib.to_string().into()));
    clouds.iter().for_each(|file| add("--clouds", file.into()));
    audit_keep.iter().for_each(|days| add("--audit-keep", format!("{days}d").into()));
    audit_rows.iter().for_each(|rows| add("--audit-rows", rows.to_string().into()));
    audit_file.iter().for_each(|file| add("--audit-file", file.into()));
    for (name, role) in sign_in_roles.iter().flatten() {
        add("--sign-in-role", format!("{name}={}", role.name()).into());
    }
    let lists = [
        ("--sign-in-cloud", sign_in_clouds.clone()),
        ("--allow-hook-host", hook_hosts.as_ref().map(|all| all.iter().map(ToString::to_string).collect())),
        ("--metrics-listen", metrics_listen.as_ref().map(|all| all.iter().map(ToString::to_string).collect())),
    ];
    for (option, values) in lists {
        match values {
            // Nothing differs from what was told last time.
            Some(values) if values.is_empty() => add(option, OsString::new()),
            values => values.into_iter().flatten().for_each(|value| add(option, value.into())),
        }
    }
    options
}

async fn serve(settings: Settings, context: &Context) -> anyhow::Result<ExitStatus> {
    let level = std::env::var("STACKYARD_LOG").ok().and_then(|l| l.parse::<LevelFilter>().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        // It would use `eprintln!`, which panics when the reader of standard error goes away.
        .log_internal_errors(false)
        .init();
    allow_open_files();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A server that was started from a terminal outlives it when it is detached.
    let mut hangup = signal(SignalKind::hangup())?;
    let server = Server::start(&context.home, settings).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {}
            () = server.lost() => {
                server.stop().await;
                anyhow::bail!("cannot continue: another server has taken over the database");
            }
        }
    }
    server.stop().await;
    Ok(ExitStatus::Done)
}

/// Each agent's connection is an open file of the server. Each container that asks an agent for names takes three of the
/// agent, and each of its connections one. A service has 1,024 unless it asks for more.
pub(super) fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!("cannot raise the limit of open files from {:?} to {:?}: {error}", limit.current, limit.maximum);
    }
}

async fn detach(settings: Settings, context: &Context) -> anyhow::Result<ExitStatus> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let mut command = Command::new(program);
    command.arg("--home").arg(&context.home).arg("server");
    command.args(options(&settings));
    // In the environment, because every user can read arguments.
    match &settings.database {
        Some(url) => command.env("STACKYARD_DATABASE", url),
        None => command.env_remove("STACKYARD_DATABASE"),
    };
    let (view, state) = match daemon::detach(&context.home, &settings, command).await? {
        Detached::Started(view) => (view, "is running"),
        Detached::Runs(view) => (view, "is already running"),
    };
    context.printer.result(&view, || {
        format!(
            "The server {state}: {} (process {})\n\
             The console has the same address. Create a token to sign in: stackyard token create NAME --role admin",
            view.url, view.pid
        )
    })?;
    Ok(ExitStatus::Done)
}

async fn status(context: &Context) -> anyhow::Result<ExitStatus> {
    let client = Client::socket(&daemon::socket(&context.home))?;
    let view = match client.server().await {
        Ok(view) => view,
        Err(stackyard_client::ClientError::Unreachable { .. }) => {
            context.printer.result(&serde_json::json!({"running": false}), || {
                format!("No server is running. Run `stackyard server --detach` to start one on {DEFAULT_LISTEN}.")
            })?;
            return Ok(ExitStatus::Failed);
        }
        Err(other) => return Err(other.into()),
    };
    context.printer.result(&view, || {
        let rows = [
            ("url", view.url.clone()),
            ("listens on", view.listen.join(", ")),
            ("certificate for", view.names.join(", ")),
            ("CA, SHA-256", view.ca_sha256.clone()),
            ("database", view.database.clone()),
            ("agents connected", view.connected.to_string()),
            ("sign-in with Keystone", if view.sign_in.is_empty() { "no".to_owned() } else { view.sign_in.join(", ") }),
            ("process", format!("{}, since {}", view.pid, view.started)),
            ("version", view.version.clone()),
        ];
        table::table(["SERVER", ""], rows.map(|(key, value)| [key.to_owned(), value]))
    })?;
    Ok(ExitStatus::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        server: ServerArgs,
    }

    /// The settings of the process that `--detach` starts. It has the database from its environment.
    fn handed_on(told: &Settings) -> Settings {
        let words = [OsString::from("server")].into_iter().chain(options(told));
        Settings { database: told.database.clone(), ..settings(Cli::parse_from(words).server).unwrap() }
    }

    #[test]
    fn a_detached_server_is_told_everything() {
        // Without `..`: a new setting must be here.
        let all = Settings {
            listen: vec!["127.0.0.1:7440".parse().unwrap(), "[::1]:7440".parse().unwrap()],
            names: vec!["yard.example".to_owned(), "10.0.0.5".to_owned()],
            database: Some("postgres://me:pw@h/d".to_owned()),
            lost_after: Some(300),
            files_limit: Some(7),
            clouds: Some("/etc/openstack/clouds.yaml".into()),
            sign_in_clouds: Some(vec!["a".to_owned(), "b".to_owned()]),
            sign_in_roles: Some([("member".to_owned(), Role::Operator), ("x".to_owned(), Role::Viewer)].into()),
            hook_hosts: Some(vec!["rancher.example".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]),
            metrics_listen: Some(vec!["127.0.0.1:7441".parse().unwrap()]),
            audit_keep: Some(90),
            audit_rows: Some(5_000),
            audit_file: Some("/var/log/stackyard/audit.jsonl".into()),
        };
        assert_eq!(handed_on(&all), all);
        assert!(!options(&all).iter().any(|word| word.to_string_lossy().contains("pw")));
        assert_eq!(handed_on(&Settings::default()), Settings::default());
        let none = Settings {
            sign_in_clouds: Some(Vec::new()),
            hook_hosts: Some(Vec::new()),
            metrics_listen: Some(Vec::new()),
            audit_file: Some(PathBuf::new()),
            ..Settings::default()
        };
        assert_eq!(handed_on(&none), none);
    }
}
