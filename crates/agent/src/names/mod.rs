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
//! - After a restart, the agent opens its sockets again. Containers notice nothing but the gap. Questions wait until the
//!   engine has told what runs here.
//! - While the engine tells nothing of a container, its names lead where they led before.

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
use stackyard_core::agent::{NameUpdate, NamedContainer, Part, Report, named};
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

/// Tells of network namespaces that Docker sets up for containers that ask the resolver, by their files.
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
        // Before it is known what runs here, a name that nothing has may be a service's.
        let zone = watch::Sender::new(None);
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
        zone: &watch::Sender<Option<Arc<Zone>>>,
    ) {
        let mut picture = self.picture.subscribe();
        let mut own = None;
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
            let parts: Vec<_> = stacks.snapshot().1.into_iter().filter_map(|s| s.part).collect();
            let now = report.and_then(|r| own_names(parts.iter().map(|p| &**p), &r, own.as_deref()));
            own = now.or(own);
            if let Some(own) = &own {
                let picture = self.picture.borrow();
                zone.send_replace(Some(Arc::new(Zone::new(picture.0.values().flatten().chain(own)))));
            }
        }
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

/// Names of the host's own containers. `None` before the engine has told of any.
fn own_names<'a>(
    parts: impl IntoIterator<Item = &'a Part>,
    report: &Report,
    before: Option<&[NamedContainer]>,
) -> Option<Vec<NamedContainer>> {
    let mut reported = report.parts.values();
    // One container of which the engine never tells must not keep all names away.
    let answered = report.parts.is_empty() || reported.any(|p| !p.incomplete || !p.containers.is_empty());
    named(parts, report, before.or(answered.then_some(&[])))
}

async fn write(state: &StateDir, picture: Picture) -> Result<(), Error> {
    let state = state.clone();
    let written = tokio::task::spawn_blocking(move || state.write(FILE, &picture, Durable::No)).await;
    written.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::agent::{PartReport, Replica};
    use stackyard_core::stack::{Attachment, NETWORK_DRIVER, Network, NetworkMode, Service, Stack};

    #[test]
    fn own_names_are_unknown_until_the_engine_has_answered() {
        let mut stack = Stack { name: "shop".into(), ..Stack::default() };
        let front = Network { name: "shop_front".into(), driver: Some(NETWORK_DRIVER.into()), ..Network::default() };
        stack.networks.insert("front".into(), front);
        let on_front = NetworkMode::Networks([("front".to_owned(), Attachment::default())].into());
        stack.services.insert("db-1".into(), Service { network_mode: on_front, ..Service::default() });
        let replica = Replica { service: "db".into(), index: 1 };
        let part = Part::pack(stack, [("db-1".to_owned(), replica)].into(), BTreeMap::new());
        let of = |parts: &[(&str, bool)]| Report {
            parts: parts
                .iter()
                .map(|(name, incomplete)| {
                    ((*name).to_owned(), PartReport { incomplete: *incomplete, ..PartReport::default() })
                })
                .collect(),
            ..Report::default()
        };
        assert_eq!(own_names([&part], &of(&[("shop", true)]), None), None, "the engine is not reached yet");
        let there = own_names([&part], &of(&[("shop", false)]), None);
        assert_eq!(there.as_ref().map(Vec::len), Some(1));
        assert_eq!(own_names([&part], &of(&[("shop", true)]), there.as_deref()), there);
        let other = own_names([&part], &of(&[("bank", false), ("shop", true)]), None);
        assert_eq!(other.map(|o| o.len()), Some(1), "one stack does not keep the names of all away");
        assert_eq!(own_names([], &of(&[]), None), Some(Vec::new()));
    }

    #[test]
    fn hosts_that_an_update_does_not_mention_stay_or_go() {
        let list = |i| vec![zone::tests::container("web", i, true, &["10.0.0.1"])];
        let mut picture = Picture(BTreeMap::from([("a".into(), list(1)), ("b".into(), list(2))]));
        let hosts = ["a".to_owned(), "c".to_owned()].into();
        picture.update(NameUpdate { hosts, changed: BTreeMap::from([("c".into(), list(3))]) });
        assert_eq!(picture.0, BTreeMap::from([("a".into(), list(1)), ("c".into(), list(3))]));
    }
}
