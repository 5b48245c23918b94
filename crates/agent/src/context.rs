//! What the tasks of a running agent share.

use crate::log::agent_note;
use crate::state::StateDir;
use stackyard_core::progress::Onlooker;
use stackyard_core::text::error_chain;
use stackyard_platform::stack::Engine;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Docker Engine, once it answers.
#[derive(Clone, Default)]
pub(crate) struct EngineState {
    pub(crate) engine: Option<Engine>,
    /// Its version.
    pub(crate) version: String,
    /// Its data directory.
    pub(crate) root: Option<PathBuf>,
    /// Why it does not answer.
    pub(crate) problem: String,
}

/// State directory, log, Docker Engine and MTU: what every task needs.
pub(crate) struct Context {
    pub(crate) state: StateDir,
    pub(crate) onlooker: Arc<dyn Onlooker>,
    pub(crate) docker: watch::Sender<EngineState>,
    /// MTU of container networks, in bytes; the engine's default if absent.
    pub(crate) mtu: watch::Sender<Option<u32>>,
    /// Grows when something happened to containers.
    pub(crate) containers: watch::Sender<u64>,
    /// Something changed that a report should tell.
    pub(crate) changed: Notify,
}

impl Context {
    pub(crate) fn new(state: StateDir, onlooker: Arc<dyn Onlooker>) -> Self {
        Self {
            state,
            onlooker,
            docker: watch::Sender::default(),
            mtu: watch::Sender::default(),
            containers: watch::Sender::default(),
            changed: Notify::new(),
        }
    }

    /// Writes a line to the log.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.onlooker.see(agent_note(text));
    }

    /// Writes a line about what went wrong to the log.
    pub(crate) fn complain(&self, what: &str, error: &dyn std::error::Error) {
        self.say(format!("{what}: {}", error_chain(error)));
    }

    /// Says that something happened to containers.
    pub(crate) fn containers_changed(&self) {
        self.containers.send_modify(|n| *n += 1);
        self.changed.notify_one();
    }

    /// The engine, when it answers.
    pub(crate) fn engine(&self) -> Result<Engine, String> {
        let docker = self.docker.borrow();
        docker.engine.clone().ok_or_else(|| docker.problem.clone())
    }
}
