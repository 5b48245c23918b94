//! The address pairs of a NIC's port: one list, which several containers, and others beside this server, change.

use super::{Ports, said};
use parking_lot::Mutex;
use rand::RngExt as _;
use stackyard_openstack::{AddressPair, Cloud, Port};
use stackyard_store::Host;
use stackyard_yard::container_port::is_pair_of;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// What stands in OVN's refusal of a MAC address that is not the port's own.
pub(super) const VRRP: &str = "VRRP";

/// How often a list is tried to be changed that others change at the same time.
const TRIES: u32 = 30;

/// Longest pause before the next, in milliseconds.
const PAUSE: u64 = 100;

/// Takes the pairs of a NIC with the MAC address `own` off that were made for these addresses.
pub(super) fn take_off(own: String, addresses: &[String]) -> impl Fn(&mut Vec<AddressPair>) {
    move |all| all.retain(|pair| !is_pair_of(pair, &own, addresses))
}

/// Held, by a port's id, while its pairs are changed.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    async fn take(&self, port: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock();
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
            all.entry(port.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}

impl Ports {
    /// Changes the pairs of a host's NIC, whose port was last seen as `nic`.
    pub(super) async fn change_pairs(
        &self,
        cloud: &Cloud,
        host: &Host,
        nic: Port,
        change: impl Fn(&mut Vec<AddressPair>),
    ) -> Result<(), String> {
        let id = nic.id.clone();
        let _turn = self.0.turns.take(&id).await;
        // Others may have had their turn since.
        let newest = self.0.nics.lock().get(&host.id).and_then(|nics| nics.iter().find(|p| p.id == id).cloned());
        let changed = change_pairs(cloud, newest.unwrap_or(nic), change).await;
        let mut all = self.0.nics.lock();
        match changed {
            Ok(now) => {
                for known in all.get_mut(&host.id).into_iter().flatten().filter(|p| p.id == id) {
                    known.clone_from(&now);
                }
                Ok(())
            }
            Err(why) => {
                if !why.contains(VRRP) {
                    // It may be another NIC by now.
                    all.remove(&host.id);
                }
                Err(why)
            }
        }
    }
}

/// Changes the pairs of a port that was last seen so; the port as it is then. No change of anybody else's is lost.
pub(super) async fn change_pairs(
    cloud: &Cloud,
    mut port: Port,
    change: impl Fn(&mut Vec<AddressPair>),
) -> Result<Port, String> {
    let doing = format!("changing which addresses port {} of the host's NIC lets through", port.id);
    for _ in 0..TRIES {
        let mut pairs = port.allowed_address_pairs.clone();
        change(&mut pairs);
        if pairs == port.allowed_address_pairs {
            return Ok(port);
        }
        let wanted = serde_json::json!({"allowed_address_pairs": pairs});
        match cloud.update_at::<Port>(&port.id, port.revision_number, &wanted).await {
            Ok(now) => return Ok(now),
            Err(e) if e.status() == Some(412) => {
                let pause = rand::rng().random_range(1..=PAUSE);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                port = cloud.get(&port.id).await.map_err(said(doing.as_str()))?;
            }
            Err(e) => {
                // Neutron's own limit (`max_allowed_address_pair`, 10 unless the cloud says otherwise).
                let is_limit = e.to_string().contains("exceeds the maximum");
                let hint = " (that many containers' addresses fit on a NIC: the cloud's max_allowed_address_pair)";
                return Err(format!("{}{}", said(doing)(e), if is_limit { hint } else { "" }));
            }
        }
    }
    Err(format!("{doing}: other callers changed them in the meantime, {TRIES} times"))
}
