//! What `stackyard agent status` shows.

use crate::Error;
use crate::server_link::identity;
use crate::state::{Durable, StateDir};
use crate::{config, mtu};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stackyard_core::agent::Report;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

const FILE: &str = "status.json";

/// How an agent is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// An agent runs.
    pub runs: bool,
    /// Name of the host.
    pub name: String,
    /// Id of the host; absent until it has joined.
    pub host: Option<String>,
    /// Addresses of the server.
    pub servers: Vec<String>,
    /// MTU that containers get now, in bytes.
    pub mtu: Option<u32>,
    /// What the running agent, or the last one, wrote down.
    #[serde(flatten)]
    pub last: LastStatus,
}

/// What an agent writes down as it goes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LastStatus {
    /// Server that it is connected to.
    pub connected: Option<String>,
    /// Since when it has been connected or cut off, RFC 3339.
    pub since: Option<String>,
    /// Why it is cut off.
    pub problem: Option<String>,
    /// What runs.
    pub report: Option<Report>,
}

/// Looks at the configuration in `path` and the state directory.
pub fn status(path: &Path, state: &StateDir) -> Result<Status, Error> {
    let config = config::read(path)?;
    let runs = state.is_locked();
    let mut last: LastStatus = state.read(FILE).ok().flatten().unwrap_or_default();
    if !runs {
        last.connected = None;
    }
    Ok(Status {
        runs,
        host: identity(&config, state)?.map(|i| i.host),
        mtu: mtu::now(&config),
        name: config.name,
        servers: config.server,
        last,
    })
}

/// The running agent's side.
pub(crate) struct StatusFile {
    state: StateDir,
    last: Mutex<LastStatus>,
}

impl StatusFile {
    pub(crate) fn new(state: StateDir) -> Self {
        Self { state, last: Mutex::default() }
    }

    pub(crate) fn connected(&self, server: &str) {
        let mut last = self.lock();
        last.connected = Some(server.to_owned());
        last.since = Some(Timestamp::now().to_string());
        last.problem = None;
        self.write(&last);
    }

    pub(crate) fn cut_off(&self, problem: &str) {
        let mut last = self.lock();
        if last.connected.take().is_some() || last.since.is_none() {
            last.since = Some(Timestamp::now().to_string());
        }
        if last.problem.as_deref() != Some(problem) {
            last.problem = Some(problem.to_owned());
            self.write(&last);
        }
    }

    pub(crate) fn report(&self, report: Report) {
        let mut last = self.lock();
        last.report = Some(report);
        self.write(&last);
    }

    fn lock(&self) -> MutexGuard<'_, LastStatus> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only for people who look: nothing depends on it.
    fn write(&self, last: &LastStatus) {
        let _ = self.state.write(FILE, last, Durable::No);
    }
}
