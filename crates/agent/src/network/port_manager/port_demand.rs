//! Which ports endpoints have asked for of late: what a warm pool is to hold.

use crate::network::options::EndpointOptions;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// For how long nothing must have been taken before ports are given back.
pub(crate) const IDLE: Duration = Duration::from_secs(600);
/// For how long nothing must have been taken before more is made, unless a pool is empty: what starts a container goes
/// first.
pub(crate) const SETTLED: Duration = Duration::from_secs(2);

/// What ports of a pool have in common: the security groups, above all.
pub(crate) type Shape = EndpointOptions;

/// What is known of the pools while the plugin runs.
#[derive(Default)]
pub(crate) struct PortDemand {
    /// When an endpoint last asked for a port of that network and shape.
    asked: Mutex<HashMap<(String, Shape), Instant>>,
    pub(crate) changed: Notify,
    /// [`SETTLED`]; nothing in tests, where [`PortDemand::default`] is used.
    settled: Duration,
}

impl PortDemand {
    pub(crate) fn new() -> Self {
        Self { settled: SETTLED, ..Self::default() }
    }

    /// When an endpoint last asked for a port of that network and shape.
    pub(crate) fn asked(&self) -> MutexGuard<'_, HashMap<(String, Shape), Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether ports of such a shape are to be kept ready.
    pub(crate) fn keeps(&self, is_it: impl Fn(&Shape) -> bool) -> bool {
        let asked = self.asked();
        asked.iter().any(|((_, shape), at)| is_it(shape) && at.elapsed() <= IDLE)
    }

    /// Whether nothing has been taken for a while.
    pub(crate) fn is_settled(&self) -> bool {
        let asked = self.asked();
        asked.values().all(|at| at.elapsed() >= self.settled)
    }
}
