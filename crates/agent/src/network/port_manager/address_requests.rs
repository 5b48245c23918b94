//! What Docker's IPAM calls tell of endpoints that are still to be made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What endpoints have asked for that Docker is about to make.
///
/// They go under their MAC address where Docker gives one, as in kuryr's place; else under the network:
/// Docker makes one endpoint of a network at a time (moby `libnetwork/network.go`, `CreateEndpoint` holds the
/// network's lock from the first address on).
#[derive(Default)]
pub(crate) struct AddressRequests(Mutex<HashMap<String, PendingEndpoint>>);

/// What is known of an endpoint in between.
#[derive(Default, Clone)]
pub(crate) struct PendingEndpoint {
    /// Addresses that a user has chosen (`--ip`).
    pub(crate) chosen: Vec<IpAddr>,
    /// The key of its port's record, and the subnets whose addresses Docker has got.
    pub(crate) port: Option<(String, Vec<String>)>,
}

impl AddressRequests {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, PendingEndpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, who: &str, address: IpAddr) {
        let mut all = self.lock();
        let half = all.entry(who.to_owned()).or_default();
        // The second of a version is the next endpoint's.
        half.chosen.retain(|a| a.is_ipv4() != address.is_ipv4());
        half.chosen.push(address);
    }

    pub(crate) fn of(&self, who: &str) -> PendingEndpoint {
        self.lock().get(who).cloned().unwrap_or_default()
    }

    pub(crate) fn hand_out(&self, who: &str, key: &str, subnet: &str) {
        let mut all = self.lock();
        let half = all.entry(who.to_owned()).or_default();
        match &mut half.port {
            Some((known, subnets)) if known == key => subnets.push(subnet.to_owned()),
            other => *other = Some((key.to_owned(), vec![subnet.to_owned()])),
        }
    }

    pub(crate) fn forget(&self, who: &str) {
        self.lock().remove(who);
    }

    pub(crate) fn forget_address(&self, address: IpAddr) {
        self.lock().values_mut().for_each(|half| half.chosen.retain(|a| *a != address));
    }
}
