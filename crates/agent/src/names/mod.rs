//! Names of services across hosts: the agent's resolver.
//!
//! ```text
//!  server ── Names ──> [ Picture ] ── names.json
//!                          │  own containers <── reports
//!                          v
//!                       [ Zone ]            Docker ── events ──> [ sandboxes ]
//!                          │                Docker ── Join ─────────┐  │
//!                          v                                       v  v
//!      question ──> [ listener, one for each container's network namespace ] ──> its own name servers
//! ```
//!
//! A container on a network that reaches across hosts has Docker's embedded resolver, as any container of a network of
//! the user's has. That one forwards what it does not know to [`RESOLVER`](stackyard_core::stack::RESOLVER), from the
//! container's network namespace. The agent listens there, inside that namespace (ADR 21).
//!
//! - A container gets names of the networks that it is on. Its namespace is its identity.
//! - Names of other hosts come from the server, and stay on disk while it is away. Names of this host come from its own
//!   containers.
//! - All listeners run on one thread of their own, so that work on stacks does not delay answers.
//! - After a restart, the agent opens its sockets again. Containers notice nothing but the gap.

pub mod answer;
mod forward;
mod listener;
mod sandboxes;
mod upstream;
pub mod zone;

use crate::Error;
use crate::context::Context;
use crate::stacks::Stacks;
use crate::state::{Durable, StateDir};
use serde::{Deserialize, Serialize};
use stackyard_core::agent::{NameUpdate, NamedContainer, Report, named};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use zone::Zone;

/// Where the names of other hosts are kept.
const FILE: &str = "names.json";

/// Least time between two writes of the file.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Network namespaces that Docker is setting up, and that the resolver has not taken notice of.
const ANNOUNCED: usize = 1024;

/// What the server told of other hosts, by the host's id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Picture(BTreeMap<String, Vec<NamedContainer>>);

impl Picture {
    fn update(&mut self, update: NameUpdate) {
        self.0.retain(|host, _| update.hosts.contains(host));
        self.0.extend(update.changed);
    }
}

/// Names of other hosts, and what a running agent answers from them.
pub(crate) struct Names {
    picture: watch::Sender<Picture>,
}

/// Tells of network namespaces that Docker sets up, by their files.
pub(crate) type Announcements = mpsc::Sender<String>;

impl Names {
    /// Reads what the server told before.
    pub(crate) fn open(context: &Context) -> Self {
        let kept = context.state.read::<Picture>(FILE).unwrap_or_else(|e| {
            context.complain("names of other hosts are lost, the server will tell them again", &e);
            None
        });
        Self { picture: watch::Sender::new(kept.unwrap_or_default()) }
    }

    /// A way to tell of network namespaces, and its other end, for [`Self::run`].
    pub(crate) fn announcements() -> (Announcements, mpsc::Receiver<String>) {
        mpsc::channel(ANNOUNCED)
    }

    /// Takes what the server tells.
    pub(crate) fn update(&self, update: NameUpdate) {
        self.picture.send_modify(|picture| picture.update(update));
    }

    /// Answers questions of containers, for ever.
    pub(crate) async fn run(
        &self,
        context: &Arc<Context>,
        stacks: &Stacks,
        reports: watch::Receiver<Option<Report>>,
        announced: mpsc::Receiver<String>,
    ) {
        let zone = watch::Sender::new(Arc::new(self.zone(stacks, None)));
        let (found, sandboxes) = mpsc::channel(1);
        if let Err(e) = sandboxes::spawn(context.clone(), zone.subscribe(), announced, sandboxes) {
            context.complain("containers do not find services on other hosts", &e);
            return;
        }
        tokio::join!(self.follow(stacks, reports, &zone), self.keep(context), sandboxes::watch(context, found));
    }

    /// Makes the zone again whenever names changed, for ever.
    async fn follow(
        &self,
        stacks: &Stacks,
        mut reports: watch::Receiver<Option<Report>>,
        zone: &watch::Sender<Arc<Zone>>,
    ) {
        let mut picture = self.picture.subscribe();
        loop {
            let ended = tokio::select! {
                changed = picture.changed() => changed.is_err(),
                changed = reports.changed() => changed.is_err(),
            };
            if ended {
                return;
            }
            let report = reports.borrow_and_update().clone();
            picture.mark_unchanged();
            zone.send_replace(Arc::new(self.zone(stacks, report.as_ref())));
        }
    }

    fn zone(&self, stacks: &Stacks, report: Option<&Report>) -> Zone {
        let parts: Vec<_> = stacks.snapshot().1.into_iter().filter_map(|s| s.part).collect();
        let own = report.map(|r| named(parts.iter().map(|p| &**p), r)).unwrap_or_default();
        let picture = self.picture.borrow();
        Zone::new(picture.0.values().flatten().chain(&own))
    }

    /// Writes down what the server tells, for ever.
    async fn keep(&self, context: &Context) {
        let mut picture = self.picture.subscribe();
        while picture.changed().await.is_ok() {
            let now = picture.borrow_and_update().clone();
            if let Err(e) = write(&context.state, now).await {
                context.complain("names of other hosts are not written down", &e);
            }
            tokio::time::sleep(WRITE_EVERY).await;
        }
    }
}

async fn write(state: &StateDir, picture: Picture) -> Result<(), Error> {
    let state = state.clone();
    let written = tokio::task::spawn_blocking(move || state.write(FILE, &picture, Durable::No)).await;
    written.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_an_update_does_not_mention_stay_or_go() {
        let list = |i| vec![zone::tests::container("web", i, true, &["10.0.0.1"])];
        let mut picture = Picture(BTreeMap::from([("a".into(), list(1)), ("b".into(), list(2))]));
        let hosts = ["a".to_owned(), "c".to_owned()].into();
        picture.update(NameUpdate { hosts, changed: BTreeMap::from([("c".into(), list(3))]) });
        assert_eq!(picture.0, BTreeMap::from([("a".into(), list(1)), ("c".into(), list(3))]));
    }
}
