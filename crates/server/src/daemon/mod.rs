//! The server's process.
//!
//! ```text
//! $STACKYARD_HOME/server/     0700
//!   lock                      held by the process that runs; its process id
//!   socket                    the API for this machine, 0600
//!   settings.json             how it was run last, 0600
//!   stackyard.db              the store, unless it is PostgreSQL, 0600
//!   ca.pem, ca.key            its CA, kept for ever, 0600
//!   certificate.json          its certificate and key, 0600
//!   archives/                 files that stacks carry to their hosts, 0700
//!   log                       what it says when it runs in the background
//! ```
//!
//! It may be killed at any point: the store is a database, files are replaced whole, the lock goes
//! with the process, and a socket that is left is taken over by who has the lock.

mod detach;
mod listen;
mod settings;

pub use detach::{Detached, detach, stop};
pub use settings::{DEFAULT_LISTEN, DEFAULT_LOST_AFTER, Settings};

pub use crate::archive::DEFAULT_FILES_LIMIT;
pub use crate::audit::{DEFAULT_KEEP as DEFAULT_AUDIT_KEEP, DEFAULT_ROWS as DEFAULT_AUDIT_ROWS};
pub use crate::paths::{dir, socket};

use crate::api;
use crate::app::{self, App};
use crate::archive::Archives;
use crate::audit::AuditLog;
use crate::auth::{AttemptLimiter, CallerSlots, Connections, Keystones};
use crate::ca::{Ca, CaError};
use crate::cloud_watcher::CloudWatcher;
use crate::files;
use crate::hub::{Hub, HubTiming};
use crate::local::LocalCloud;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::readiness::Readiness;
use crate::runs::Runs;
use crate::stack::{StackRules, Stacks};
use crate::volumes::Volumes;
use rustix::process::{Resource, getrlimit};
use settings::{names, url};
use stackyard_openstack::Sources;
use stackyard_store::{Database, Store};
use stackyard_yard::TemplateRenderer;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The program that this process runs, also after another one has taken its place on disk.
const PROGRAM: &str = "/proc/self/exe";

/// File in the directory of a server that is being restored ([`crate::backup`]).
pub(crate) const RESTORING: &str = "restoring";

/// How often the store is asked whether it is still there and ours.
const STORE_EVERY: Duration = Duration::from_secs(15);

/// Time for the store to answer such a look.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// A file of its directory.
    #[error("{doing} {}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A server runs already.
    #[error("a server runs already on {} (process {pid}); stop it with `stackyard server stop`", .dir.display())]
    Running {
        /// Its directory.
        dir: PathBuf,
        /// Its process.
        pid: String,
    },
    /// A restoration was interrupted.
    #[error(
        "the server of {} is half restored; run `stackyard server restore` again, which completes it", .dir.display()
    )]
    Restoring {
        /// Its directory.
        dir: PathBuf,
    },
    /// An address is not to be had.
    #[error("listening on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Its store.
    #[error(transparent)]
    Store(#[from] stackyard_store::Error),
    /// It was started in the background and does not answer.
    #[error("the server was started and does not answer; the end of {}:\n{end}", .log.display())]
    Silent {
        /// Its log.
        log: PathBuf,
        /// The end of it.
        end: String,
    },
    /// It runs with other settings than were asked for.
    #[error("the server of {} runs already, with {differs}; stop it first: `stackyard server stop`", .dir.display())]
    Differs {
        /// Its directory.
        dir: PathBuf,
        /// What differs.
        differs: String,
    },
    /// It was told to stop and does not.
    #[error("process {pid} was told to stop and has not, after {seconds} s; `kill -9 {pid}` loses nothing")]
    StaysAlive {
        /// The process.
        pid: i32,
        /// Time that was waited.
        seconds: u64,
    },
    /// The running server does not say what it should.
    #[error("asking the running server")]
    Client(#[from] stackyard_client::ClientError),
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DaemonError {
    let path = path.to_owned();
    move |source| DaemonError::File { doing, path, source }
}

/// Held by the process that runs.
#[derive(Debug)]
pub(crate) struct ProcessLock(#[expect(dead_code, reason = "the lock is the open file")] File);

impl ProcessLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, DaemonError> {
        let path = dir.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let mut lock = open.map_err(file("opening", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
                return Err(DaemonError::Running { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(file("locking", &path)(error)),
        }
        let write = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        write.map_err(file("writing", &path))?;
        Ok(Self(lock))
    }
}

/// A server that runs. Dropped without [`Server::stop`], it ends as if it were killed.
#[derive(Debug)]
pub struct Server {
    app: App,
    listening: Vec<SocketAddr>,
    metrics_listening: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    lost: watch::Receiver<bool>,
    socket: PathBuf,
    /// Runs end with it.
    _life: watch::Sender<()>,
    _lock: ProcessLock,
}

impl Server {
    /// Starts a server on state directory `home`. What `settings` do not say is as last time. The process must call
    /// [`crate::render_templates`] when it is started with [`crate::RENDER_TEMPLATES`].
    ///
    /// # Errors
    /// [`DaemonError`]
    pub async fn start(home: &Path, settings: Settings) -> Result<Self, DaemonError> {
        let renderer = TemplateRenderer::apart(PathBuf::from(PROGRAM));
        Self::start_as(home, settings, HubTiming::default(), renderer).await
    }

    /// As [`Self::start`], with other times of connections, or without looking after stacks. Templates of packages are
    /// rendered in this process.
    ///
    /// # Errors
    /// [`DaemonError`]
    pub async fn start_with(home: &Path, settings: Settings, timing: HubTiming) -> Result<Self, DaemonError> {
        Self::start_as(home, settings, timing, TemplateRenderer::here()).await
    }

    async fn start_as(
        home: &Path,
        settings: Settings,
        timing: HubTiming,
        renderer: TemplateRenderer,
    ) -> Result<Self, DaemonError> {
        let dir = dir(home);
        files::make_dir(&dir).map_err(file("making", &dir))?;
        let lock = ProcessLock::take(&dir)?;
        if dir.join(RESTORING).exists() {
            return Err(DaemonError::Restoring { dir });
        }
        let last = Settings::last(&dir).map_err(file("reading the settings in", &dir))?;
        let before = last.sign_in();
        let mut settings = settings.or(last);
        if settings.listen.is_empty() {
            settings.listen.extend(DEFAULT_LISTEN.parse::<SocketAddr>());
        }
        let ca = Ca::open(&dir, names(&settings).map_err(file("asking for this machine's addresses for", &dir))?)?;
        let database =
            settings.database.clone().map_or_else(|| Database::File(dir.join("stackyard.db")), Database::Url);
        let store = Store::open(&database).await?;
        let mut listeners = Vec::new();
        for &address in &settings.listen {
            let listener = TcpListener::bind(address).await;
            listeners.push(listener.map_err(|source| DaemonError::Listen { address, source })?);
        }
        let mut open_listeners = Vec::new();
        for &address in settings.metrics_listen.iter().flatten() {
            let listener = TcpListener::bind(address).await;
            open_listeners.push(listener.map_err(|source| DaemonError::Listen { address, source })?);
        }
        let metrics_listening: Vec<SocketAddr> = open_listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
        let listening: Vec<SocketAddr> = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
        if settings.sign_in() != before {
            // What they may do was decided by other rules.
            store.remove_people().await?;
        }
        let audit_file = settings.audit_file();
        let audit = AuditLog::open(store.clone(), settings.audit_retention(), audit_file)
            .map_err(file("opening for the audit log", audit_file.unwrap_or(&dir)))?;
        settings.keep(&dir).map_err(file("writing the settings in", &dir))?;

        let hub = Hub::new(store.clone(), timing);
        let grace = Duration::from_secs(u64::from(settings.lost_after.unwrap_or(DEFAULT_LOST_AFTER)));
        let archives =
            Archives::open(&dir, settings.files_limit()).map_err(file("reading the files of stacks in", &dir))?;
        // Where people of several projects sign in, one must not get what was built for another.
        let rules = StackRules { grace, labelled_images: !settings.sign_in().clouds.is_empty() };
        let sources = Sources::of_process().with_file(settings.clouds.as_deref());
        let ports = Ports::new(store.clone(), sources.clone());
        let stacks = Stacks::new(store.clone(), hub.clone(), archives.clone(), ports.clone(), rules);
        let (life, alive) = watch::channel(());
        let looks = CloudWatcher::new(sources.clone());
        let metrics = Metrics::default();
        look_at_store(&store, &metrics).await?;
        let hook_targets = settings.hook_targets();
        let runs =
            Runs::open(store.clone(), home, sources.clone(), renderer, hook_targets, alive.clone(), metrics.clone())
                .await?;
        let local = LocalCloud::new(store.clone(), home, settings.clouds.clone(), alive);
        let files = getrlimit(Resource::Nofile).current.and_then(|n| usize::try_from(n).ok());
        let connections = Connections::new(files.unwrap_or(usize::MAX));
        let app = App::new(app::AppState {
            store,
            audit: audit.clone(),
            hub,
            stacks: stacks.clone(),
            archives,
            runs,
            ports: ports.clone(),
            volumes: Volumes::new(ports.clone()),
            local,
            looks,
            limiter: AttemptLimiter::default(),
            endless: CallerSlots::new(api::ENDLESS.0, api::ENDLESS.1),
            bodies: CallerSlots::new(api::GREAT_AT_ONCE.0, api::GREAT_AT_ONCE.1),
            keystones: Keystones::new(sources.clone(), settings.sign_in()),
            connections: connections.clone(),
            metrics: metrics.clone(),
            readiness: Readiness::default(),
            certificate_ends: ca.ends,
            dir: dir.clone(),
            url: url(&settings, &listening),
            ca_pem: ca.pem.clone(),
            ca_sha256: ca.sha256.clone(),
            names: ca.names.clone(),
            listen: listening.iter().map(ToString::to_string).collect(),
            started: stackyard_api::now(),
            changes: app::ChangeCounters::default(),
            turns: app::WriteLocks::default(),
            stopping: watch::Sender::new(false),
        });
        let (stop, stopping) = watch::channel(false);
        let router = api::router(&app);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let (connections, metrics) = (connections.clone(), metrics.clone());
            tasks.spawn(listen::https(listener, ca.tls(), connections, metrics, router.clone(), stopping.clone()));
        }
        for listener in open_listeners {
            tasks.spawn(listen::plain(listener, api::open_router(&app), stopping.clone()));
        }
        let socket = socket(home);
        tasks.spawn(listen::unix(bind(&socket)?, router, stopping.clone()));
        let mut ending = stopping.clone();
        if timing.stacks {
            tasks.spawn(async move {
                tokio::select! {
                    () = stacks.run() => {}
                    _ = ending.wait_for(|stop| *stop) => {}
                }
            });
        }
        let mut ending = stopping.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = ports.keep() => {}
                _ = ending.wait_for(|stop| *stop) => {}
            }
        });
        tasks.spawn(audit.keep(stopping.clone()));
        let (losing, lost) = watch::channel(false);
        tasks.spawn(watch_store(app.clone(), losing, stopping));
        if !metrics_listening.is_empty() {
            tracing::info!(listen = ?metrics_listening, "metrics without TLS and without a token");
        }
        tracing::info!(listen = ?listening, url = app.inner().url, database = app.store().database(), "the server runs");
        Ok(Self { app, listening, metrics_listening, stop, tasks, lost, socket, _life: life, _lock: lock })
    }

    /// Addresses that it listens on.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Addresses on which it shows its metrics without TLS and without a token.
    pub fn metrics_listening(&self) -> &[SocketAddr] {
        &self.metrics_listening
    }

    /// What its handlers share.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Waits until the store is another server's.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // The sender goes with the server alone.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Stops: takes no more connections, lets requests end that are under way, ends agents' ones.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.app.inner().stopping.send_replace(true);
        tokio::join!(self.app.runs().stop(), self.app.local().stop());
        self.app.hub().close();
        while self.tasks.join_next().await.is_some() {}
        // What was accepted before runs on for a moment in tasks of its own.
        let gone = async { self.stop.closed().await };
        let _ = tokio::time::timeout(Duration::from_secs(6), gone).await;
        std::fs::remove_file(&self.socket).ok();
        self.app.audit().close().await;
        self.app.store().close().await;
        tracing::info!("the server has stopped");
    }
}

/// Takes the socket's place. Only who has the lock gets here, so one that is there is left over.
fn bind(path: &Path) -> Result<UnixListener, DaemonError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file("removing", path)(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(file("listening on", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(file("protecting", path))?;
    Ok(listener)
}

async fn watch_store(app: App, losing: watch::Sender<bool>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(STORE_EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        match look_at_store(app.store(), &app.inner().metrics).await {
            Ok(()) => {}
            Err(error @ stackyard_store::Error::Locked { .. }) => {
                tracing::error!("{error}");
                losing.send_replace(true);
                return;
            }
            Err(error) => tracing::error!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string)),
        }
    }
}

/// Looks whether the store answers and is still ours, and counts that.
async fn look_at_store(store: &Store, metrics: &Metrics) -> Result<(), stackyard_store::Error> {
    let looking = async {
        store.ping().await?;
        store.host_count().await
    };
    counted(looking, metrics, STORE_PATIENCE).await
}

/// Counts a look at the store. One that gets no answer counts as failed, else the metrics would tell of the last one.
async fn counted(
    looking: impl Future<Output = Result<i64, stackyard_store::Error>>,
    metrics: &Metrics,
    patience: Duration,
) -> Result<(), stackyard_store::Error> {
    let begun = Instant::now();
    let looked = tokio::time::timeout(patience, looking).await;
    metrics.store_checked(looked.as_ref().ok().and_then(|l| l.as_ref().ok()).copied(), begun.elapsed());
    looked.map_or_else(
        |_| {
            tracing::error!("the store has not answered within {} s", patience.as_secs_f32());
            Ok(())
        },
        |looked| looked.map(drop),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_does_not_answer_counts_as_failed() {
        let metrics = Metrics::default();
        let failures = || {
            let text = metrics.text(&crate::metrics::Momentary::default()).unwrap();
            let line = text.lines().find(|l| l.starts_with("stackyard_store_check_failures_total ")).unwrap();
            line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
        };
        assert_eq!(failures(), 0);
        counted(std::future::pending(), &metrics, Duration::from_millis(10)).await.unwrap();
        assert_eq!(failures(), 1);
        counted(async { Ok(3) }, &metrics, STORE_PATIENCE).await.unwrap();
        assert_eq!(failures(), 1);
    }
}
