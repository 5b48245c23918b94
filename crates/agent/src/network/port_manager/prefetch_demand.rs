//! For which networks ports are to be made ahead, and how many are being made ([`crate::network::prefetch`]).

use futures_util::future::Either;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is made, and has to be, for each Docker network.
#[derive(Default)]
pub(crate) struct PrefetchDemand {
    networks: Mutex<HashMap<String, NetworkDemand>>,
    /// Somebody has asked for a port.
    pub(crate) asked: Notify,
    /// Some are made, or could not be.
    pub(crate) made: Notify,
}

#[derive(Default)]
pub(crate) struct NetworkDemand {
    /// Ports that are being made for those who have asked.
    pub(crate) own: usize,
    /// Ports that are being made ahead.
    pub(crate) ahead: usize,
    /// Whether Docker is to be asked who else is about to start.
    pub(crate) look: bool,
    /// When one was last asked for or made.
    pub(crate) active: Option<Instant>,
    /// Ids of containers that seemed about to start when Docker was last asked.
    pub(crate) expected: HashSet<String>,
    /// Of these those for which ports were made in vain.
    pub(crate) ignored: HashSet<String>,
}

impl NetworkDemand {
    /// How many ports are lacking for these containers, of which, or for which, so many have one.
    pub(crate) fn lacks(&mut self, expected: HashSet<String>, have: usize) -> usize {
        self.ignored.retain(|container| expected.contains(container));
        self.expected = expected;
        (self.expected.len() - self.ignored.len()).saturating_sub(have + self.own + self.ahead)
    }

    /// Counts those no longer that were expected and did not come.
    pub(crate) fn ignore(&mut self) {
        self.ignored.clone_from(&self.expected);
    }
}

/// A port is being made for somebody who has asked for it.
pub(crate) struct OwnPort<'a>(&'a PrefetchDemand, &'a str);

impl Drop for OwnPort<'_> {
    fn drop(&mut self) {
        self.0.with(self.1, |demand| demand.own -= 1);
    }
}

impl PrefetchDemand {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, NetworkDemand>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with<T>(&self, network: &str, change: impl FnOnce(&mut NetworkDemand) -> T) -> T {
        let mut networks = self.lock();
        change(networks.entry(network.to_owned()).or_default())
    }

    /// Notes that somebody makes a port of its own, and that others may be about to.
    pub(crate) fn make_own<'a>(&'a self, network: &'a str) -> OwnPort<'a> {
        self.with(network, |demand| demand.own += 1);
        self.ask(network);
        OwnPort(self, network)
    }

    /// Notes that somebody has taken one.
    pub(crate) fn ask(&self, network: &str) {
        self.with(network, |demand| {
            demand.look = true;
            demand.active = Some(Instant::now());
        });
        self.asked.notify_one();
    }

    /// Waits for the next ports of a network; not at all, and `false`, if none are being made. To be called before a look
    /// at what there is, and awaited after it.
    pub(crate) fn next(&self, network: &str) -> impl Future<Output = bool> {
        let mut made = Box::pin(self.made.notified());
        made.as_mut().enable();
        if self.lock().get(network).is_none_or(|demand| demand.ahead == 0) {
            return Either::Left(std::future::ready(false));
        }
        Either::Right(async move {
            made.await;
            true
        })
    }

    /// Waits until none are being made for a network, which goes.
    pub(crate) async fn end(&self, network: &str) {
        while self.next(network).await {}
        self.lock().retain(|id, demand| id != network || demand.own > 0);
    }

    pub(crate) fn networks_to_look_at(&self) -> Vec<String> {
        self.lock().iter().filter(|(_, demand)| demand.look).map(|(id, _)| id.clone()).collect()
    }
}
