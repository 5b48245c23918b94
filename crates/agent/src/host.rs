//! What the tasks of a running agent share.

use crate::ask::Asking;
use crate::ends::Ends;
use crate::handed::Handed;
use crate::http::Client;
use crate::join::{Identity, note};
use crate::state::StateDir;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::Engine;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, watch};

/// Docker Engine, once it answers.
#[derive(Clone, Default)]
pub(crate) struct Docker {
    pub(crate) engine: Option<Engine>,
    /// Its version.
    pub(crate) version: String,
    /// Its data directory.
    pub(crate) root: Option<PathBuf>,
    /// Why it does not answer.
    pub(crate) problem: String,
}

/// Where a server answers, and as whom to call there.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) servers: Vec<String>,
    pub(crate) client: Client,
    pub(crate) identity: Identity,
}

/// What the tasks share.
pub(crate) struct Host {
    pub(crate) state: StateDir,
    pub(crate) onlooker: Arc<dyn Onlooker>,
    pub(crate) docker: watch::Sender<Docker>,
    /// Absent until the host has joined.
    pub(crate) access: watch::Sender<Option<Access>>,
    /// Questions to the server.
    pub(crate) asking: Arc<Asking>,
    /// MTU of container networks, in bytes; the engine's default if absent.
    pub(crate) mtu: watch::Sender<Option<u32>>,
    /// How containers ended last.
    pub(crate) ends: Ends,
    /// Something changed that a report should tell.
    pub(crate) changed: Notify,
    /// One image at a time is fetched: two stacks often want the same.
    pub(crate) fetching: Mutex<()>,
    /// Images that came from the server.
    pub(crate) handed: Handed,
    /// Work on a stack has ended.
    pub(crate) worked: Notify,
}

impl Host {
    pub(crate) fn new(state: StateDir, onlooker: Arc<dyn Onlooker>) -> Self {
        Self {
            handed: Handed::open(state.clone()),
            worked: Notify::new(),
            state,
            onlooker,
            docker: watch::Sender::default(),
            access: watch::Sender::default(),
            asking: Arc::default(),
            mtu: watch::Sender::default(),
            ends: Ends::default(),
            changed: Notify::new(),
            fetching: Mutex::default(),
        }
    }

    /// Writes a line to the log.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.onlooker.see(note(text));
    }

    /// Writes a line about what went wrong to the log.
    pub(crate) fn complain(&self, what: &str, error: &dyn std::error::Error) {
        self.say(format!("{what}: {}", error_chain(error)));
    }

    /// The engine, when it answers.
    pub(crate) fn engine(&self) -> Result<Engine, String> {
        let docker = self.docker.borrow();
        docker.engine.clone().ok_or_else(|| docker.problem.clone())
    }
}

/// Passes events on with the name of a stack before each step; progress is left out, nobody
/// watches an agent's bars.
pub(crate) struct Named<'a> {
    pub(crate) stack: &'a str,
    pub(crate) onlooker: &'a dyn Onlooker,
}

impl Onlooker for Named<'_> {
    fn see(&self, event: Event) {
        let name = |step: String| format!("stack {}: {step}", self.stack);
        self.onlooker.see(match event {
            Event::Progress { .. } => return,
            Event::Started { step, doing } => Event::Started { step: name(step), doing },
            Event::Note { step, text } => {
                Event::Note { step: Some(step.map_or_else(|| format!("stack {}", self.stack), name)), text }
            }
            Event::Done { step, did, took } => Event::Done { step: name(step), did, took },
            Event::Failed { step, error } => Event::Failed { step: name(step), error },
        });
    }
}

/// Longest time between two attempts to reach a server, or to bring a stack up.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
