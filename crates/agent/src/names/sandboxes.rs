//! Which network namespaces the resolver listens in.

use super::listener::{Shared, listen};
use super::zone::Zone;
use crate::Error;
use crate::context::Context;
use stackyard_core::text::error_chain;
use stackyard_platform::stack::{Sandbox, SandboxCache};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch as tokio_watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Docker is asked at least so often, in case an event got lost.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Least time between two questions to Docker.
const CALM: Duration = Duration::from_millis(20);

/// A namespace that Docker announced and whose container is not known after this time is given up.
const KNOWN_WITHIN: Duration = Duration::from_secs(90);

/// What failed is tried again after this time: a listener, a question to Docker about a container.
const AGAIN: Duration = Duration::from_secs(5);

/// Asks Docker for the running containers that use the resolver whenever containers changed, for ever.
pub(super) async fn watch(context: &Context, found: mpsc::Sender<Vec<Sandbox>>) {
    let mut changes = context.containers.subscribe();
    let mut cache = SandboxCache::default();
    let mut before = String::new();
    loop {
        changes.mark_unchanged();
        let mut pause = LOOK_EVERY;
        if let Ok(engine) = context.engine() {
            let problem = match engine.sandboxes(&mut cache).await {
                Ok((sandboxes, problem)) => {
                    if found.send(sandboxes).await.is_err() {
                        return;
                    }
                    problem
                }
                Err(e) => Some(e),
            };
            let text = problem.as_ref().map(|e| error_chain(e)).unwrap_or_default();
            if problem.is_some() {
                pause = AGAIN;
                if text != before {
                    context.say(format!("new containers do not find services on other hosts: {text}"));
                }
            }
            before = text;
        }
        sleep(CALM).await;
        let _ = timeout(pause, changes.changed()).await;
    }
}

/// Begins to listen, on a thread of its own: in namespaces that Docker announces, and in those of the containers that
/// are `found`.
///
/// # Errors
/// [`Error::File`] if there is no thread.
pub(super) fn spawn(
    context: Arc<Context>,
    zone: tokio_watch::Receiver<Option<Arc<Zone>>>,
    mut announced: mpsc::Receiver<String>,
    mut found: mpsc::Receiver<Vec<Sandbox>>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(16).build();
    let runtime = runtime.map_err(Error::file("start", "the resolver"))?;
    let work = async move {
        let mut listeners = Listeners { context, shared: Shared::new(zone), all: HashMap::new() };
        loop {
            tokio::select! {
                Some(path) = announced.recv() => listeners.announce(path.into()),
                sandboxes = found.recv() => match sandboxes {
                    Some(sandboxes) => listeners.set(sandboxes),
                    None => return,
                },
            }
        }
    };
    let thread = std::thread::Builder::new().name("names".to_owned()).spawn(move || runtime.block_on(work));
    thread.map(drop).map_err(Error::file("start", "the resolver"))
}

struct Listeners {
    context: Arc<Context>,
    shared: Shared,
    all: HashMap<PathBuf, Listener>,
}

struct Listener {
    sandbox: tokio_watch::Sender<Option<Arc<Sandbox>>>,
    since: Instant,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listeners {
    /// Docker sets up a namespace: its container is not known yet.
    fn announce(&mut self, path: PathBuf) {
        if !self.all.contains_key(&path) {
            let listener = self.begin(&path);
            self.all.insert(path, listener);
        }
    }

    /// These containers run. Sockets in all other namespaces are closed: an open socket keeps a namespace alive.
    fn set(&mut self, sandboxes: Vec<Sandbox>) {
        self.all.retain(|path, listener| {
            let unknown = listener.sandbox.borrow().is_none() && listener.since.elapsed() < KNOWN_WITHIN;
            unknown || sandboxes.iter().any(|s| s.path == *path)
        });
        for sandbox in sandboxes {
            let path = sandbox.path.clone();
            self.announce(path.clone());
            if let Some(listener) = self.all.get(&path) {
                let sandbox = Some(Arc::new(sandbox));
                listener.sandbox.send_if_modified(|known| {
                    let is_new = *known != sandbox;
                    *known = sandbox;
                    is_new
                });
            }
        }
    }

    fn begin(&self, path: &Path) -> Listener {
        let sandbox = tokio_watch::Sender::new(None);
        let task = tokio::spawn(keep(self.context.clone(), path.to_owned(), self.shared.clone(), sandbox.subscribe()));
        Listener { sandbox, since: Instant::now(), task }
    }
}

/// Listens in a namespace, and again after a failure, for ever.
async fn keep(
    context: Arc<Context>,
    path: PathBuf,
    shared: Shared,
    sandbox: tokio_watch::Receiver<Option<Arc<Sandbox>>>,
) {
    let mut before = String::new();
    loop {
        let problem = listen(path.clone(), shared.clone(), sandbox.clone()).await;
        let text = error_chain(&problem);
        // A container that never started has no namespace.
        if sandbox.borrow().is_some() && text != before {
            context.say(format!("the container of {} finds no services: {text}", path.display()));
            before = text;
        }
        sleep(AGAIN).await;
    }
}
