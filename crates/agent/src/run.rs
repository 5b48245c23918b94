//! `stackyard agent run`.

use crate::backoff::{Backoff, LONGEST_PAUSE};
use crate::context::Context;
use crate::names::Names;
use crate::network::yard_host;
use crate::prepare::{Devices, volume};
use crate::server_link::rpc::RpcClient;
use crate::server_link::{self, ConnectionHandler, ConnectionSession, ServerAccess, ServerClient, join};
use crate::stacks::{self, Stacks, report};
use crate::state::StateDir;
use crate::status::StatusFile;
use crate::streams::Streams;
use crate::volumes::Volumes;
use crate::{Error, config, engine, mtu};
use stackyard_core::agent::{AgentConfig, Report, ToAgent, ToServer};
use stackyard_core::progress::Onlooker;
use stackyard_core::text::error_chain;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the data volume is looked at.
const GROW_EVERY: Duration = Duration::from_secs(30);

/// What an agent is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its configuration.
    pub config: PathBuf,
    /// Its state directory.
    pub state: PathBuf,
    /// Where Docker looks for plugins.
    pub plugins: PathBuf,
    /// How often it looks for ports of containers that are left over, and for how long one must be nobody's
    /// before it is removed.
    pub reconcile: Duration,
}

/// Runs the agent, for ever.
///
/// # Errors
/// [`Error::Locked`] when another one runs, and what is wrong with the configuration. Later
/// problems (no server, no Docker Engine) are told to `onlooker` and waited out.
pub async fn run(options: Options, onlooker: Arc<dyn Onlooker>) -> Result<(), Error> {
    let config = config::read(&options.config)?;
    let state = StateDir::open(&options.state)?;
    let _lock = state.lock()?;
    let context = Arc::new(Context::new(state.clone(), onlooker));
    let access = watch::Sender::default();
    let rpc: Arc<RpcClient> = Arc::default();
    let volumes = Volumes::open(&state, rpc.clone(), Devices::default(), context.onlooker.clone())?;
    let stacks = Stacks::new(context.clone(), access.subscribe(), volumes);
    let names = Arc::new(Names::open(&context));
    let (announce, announced) = Names::announcements();
    let server = ServerTasks {
        context: context.clone(),
        stacks: stacks.clone(),
        names: names.clone(),
        rpc,
        access,
        status: StatusFile::new(state),
    };
    mtu::begin(&context, &config);
    stacks.begin();
    let reports = watch::Sender::new(None);
    let seen = reports.subscribe();
    tokio::join!(
        engine::watch(&context, &stacks),
        mtu::watch(&context, &config),
        grow(&context, &config),
        stacks::tidy(&context, &stacks),
        report::keep(&context, &stacks, &reports),
        yard_host::run(&context, &server.rpc, &options.plugins, options.reconcile, &announce),
        names.run(&context, &stacks, reports.subscribe(), announced),
        show(&server.status, reports.subscribe()),
        server.keep(&options.config, &seen),
    );
    Ok(())
}

/// What talks to the server, and acts on what it says.
struct ServerTasks {
    context: Arc<Context>,
    stacks: Arc<Stacks>,
    names: Arc<Names>,
    rpc: Arc<RpcClient>,
    /// Absent until the host has joined.
    access: watch::Sender<Option<ServerAccess>>,
    status: StatusFile,
}

impl ServerTasks {
    /// Joins when needed and keeps the connection, for ever.
    async fn keep(&self, path: &Path, reports: &watch::Receiver<Option<Report>>) {
        let mut backoff = Backoff::new(Duration::from_secs(1), LONGEST_PAUSE);
        let mut before = String::new();
        loop {
            // Read each time: `stackyard agent join` may have written another one.
            let error = match access(&self.context, path).await {
                Ok(access) => {
                    self.access.send_replace(Some(access.clone()));
                    backoff.reset();
                    server_link::keep(&self.context, &self.rpc, &access, reports, self).await
                }
                Err(e) => e,
            };
            let text = error_chain(&error);
            self.status.cut_off(&text);
            if text != before {
                self.context.say(text.clone());
                before = text;
            }
            let pause = if matches!(error, Error::Server { .. }) { backoff.next() } else { LONGEST_PAUSE };
            tokio::time::sleep(pause).await;
        }
    }
}

impl ConnectionHandler for ServerTasks {
    fn connected(&self, server: &str) {
        self.status.connected(server);
    }

    fn cut_off(&self, problem: &str) {
        self.status.cut_off(problem);
    }

    fn revision(&self) -> Option<u64> {
        self.stacks.revision()
    }

    fn begin(&self, out: mpsc::Sender<ToServer>) -> Box<dyn ConnectionSession> {
        let streams = Streams::new(self.context.clone(), self.stacks.clone(), out);
        Box::new(ServerSession { stacks: self.stacks.clone(), names: self.names.clone(), streams })
    }
}

/// Serves one connection.
struct ServerSession {
    stacks: Arc<Stacks>,
    names: Arc<Names>,
    streams: Streams,
}

impl ConnectionSession for ServerSession {
    fn handle(&mut self, message: ToAgent) -> Result<(), Error> {
        match message {
            // What cannot be kept is not begun: it would be forgotten by the next start.
            ToAgent::Desired(desired) => return self.stacks.set(*desired),
            ToAgent::Names(update) => self.names.update(*update),
            ToAgent::Open { stream, open } => self.streams.open(stream, open),
            ToAgent::Input { stream, data } => self.streams.input(stream, data.0),
            ToAgent::Resize { stream, rows, columns } => self.streams.resize(stream, rows, columns),
            ToAgent::Credit { stream, bytes } => self.streams.credit(stream, bytes),
            ToAgent::Close { stream } => self.streams.close(stream),
            // The connection has handed it on.
            ToAgent::Answer { .. } => {}
        }
        Ok(())
    }
}

async fn access(context: &Context, path: &Path) -> Result<ServerAccess, Error> {
    let identity = join::join(path, &context.state, &*context.onlooker).await?;
    let config = config::read(path)?;
    let client = ServerClient::new(&config.ca).map_err(|problem| Error::Invalid { path: path.to_owned(), problem })?;
    Ok(ServerAccess { servers: config.server, client, identity })
}

/// Writes reports down for `stackyard agent status`.
async fn show(status: &StatusFile, mut reports: watch::Receiver<Option<Report>>) {
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        if let Some(report) = report {
            status.report(report);
        }
    }
}

/// Lets the file system of the data volume follow the volume, for ever.
async fn grow(context: &Arc<Context>, config: &AgentConfig) {
    let Some(wanted) = config.data_volume.clone() else { return };
    let mut before = String::new();
    let mut tried = volume::GrowAttempt::default();
    loop {
        tokio::time::sleep(GROW_EVERY).await;
        let (context_, wanted, was) = (context.clone(), wanted.clone(), tried);
        let work = tokio::task::spawn_blocking(move || {
            let mut tried = was;
            let grown = volume::grow_mounted(&wanted, &mut tried, &*context_.onlooker);
            (grown, tried)
        });
        let Ok((grown, now)) = work.await else { continue };
        tried = now;
        if let Err(e) = grown {
            let text = error_chain(&e);
            if text != before {
                context.say(text.clone());
                before = text;
            }
        }
    }
}
