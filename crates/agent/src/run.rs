//! `stackyard agent run`.

use crate::backoff::Backoff;
use crate::cnm::yard;
use crate::host::{Access, Host, LONGEST};
use crate::http::Client;
use crate::parts::Parts;
use crate::prepare::volume;
use crate::state::StateDir;
use crate::status::Board;
use crate::{Error, config, docker, handed, join, link, mtu, report};
use stackyard_core::agent::{AgentConfig, Report};
use stackyard_core::progress::Onlooker;
use stackyard_core::text::error_chain;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

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
    let host = Arc::new(Host::new(state.clone(), onlooker));
    let parts = Parts::new(host.clone());
    let board = Board::new(state);
    mtu::begin(&host, &config);
    parts.begin();
    let reports = watch::Sender::new(None);
    let seen = reports.subscribe();
    tokio::join!(
        docker::watch(&host, &parts),
        mtu::watch(&host, &config),
        grow(&host, &config),
        handed::tidy(&host, &parts),
        report::keep(&host, &parts, &reports),
        yard::run(&host, &options.plugins, options.reconcile),
        show(&board, reports.subscribe()),
        serve(&host, &parts, &options.config, &seen, &board),
    );
    Ok(())
}

/// Joins when needed and keeps the connection, for ever.
async fn serve(
    host: &Arc<Host>,
    parts: &Arc<Parts>,
    path: &Path,
    reports: &watch::Receiver<Option<Report>>,
    board: &Board,
) {
    let mut backoff = Backoff::new(Duration::from_secs(1), LONGEST);
    let mut before = String::new();
    loop {
        // Read each time: `stackyard agent join` may have written another one.
        let error = match access(host, path).await {
            Ok(access) => {
                host.access.send_replace(Some(access.clone()));
                backoff.reset();
                link::keep(host, parts, &access, reports, board).await
            }
            Err(e) => e,
        };
        let text = error_chain(&error);
        board.cut_off(&text);
        if text != before {
            host.say(text.clone());
            before = text;
        }
        let pause = if matches!(error, Error::Server { .. }) { backoff.next() } else { LONGEST };
        tokio::time::sleep(pause).await;
    }
}

async fn access(host: &Host, path: &Path) -> Result<Access, Error> {
    let identity = join::join(path, &host.state, &*host.onlooker).await?;
    let config = config::read(path)?;
    let client = Client::new(&config.ca).map_err(|problem| Error::Invalid { path: path.to_owned(), problem })?;
    Ok(Access { servers: config.server, client, identity })
}

/// Writes reports down for `stackyard agent status`.
async fn show(board: &Board, mut reports: watch::Receiver<Option<Report>>) {
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        if let Some(report) = report {
            board.report(report);
        }
    }
}

/// Lets the file system of the data volume follow the volume, for ever.
async fn grow(host: &Arc<Host>, config: &AgentConfig) {
    let Some(wanted) = config.data_volume.clone() else { return };
    let mut before = String::new();
    let mut tried = volume::Tried::default();
    loop {
        tokio::time::sleep(GROW_EVERY).await;
        let (host_, wanted, was) = (host.clone(), wanted.clone(), tried);
        let work = tokio::task::spawn_blocking(move || {
            let mut tried = was;
            let grown = volume::grow_mounted(&wanted, &mut tried, &*host_.onlooker);
            (grown, tried)
        });
        let Ok((grown, now)) = work.await else { continue };
        tried = now;
        if let Err(e) = grown {
            let text = error_chain(&e);
            if text != before {
                host.say(text.clone());
                before = text;
            }
        }
    }
}
