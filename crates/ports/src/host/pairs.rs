//! The address pairs of a NIC's port: one list, which several containers, and others than this server, change.

use super::HostBroker;
use crate::container_port::is_pair_of;
use crate::{Error, Result};
use rand::RngExt as _;
use stackyard_openstack::{AddressPair, Cloud, Port};
use std::time::Duration;

/// How often a change is tried that others come before.
const TRIES: u32 = 30;

/// Longest pause before the next try, in milliseconds.
const PAUSE: u64 = 100;

/// Takes the pairs of a NIC with the MAC address `own` off that were made for these addresses.
pub(super) fn take_off(own: String, addresses: &[String]) -> impl Fn(&mut Vec<AddressPair>) {
    move |all| all.retain(|pair| !is_pair_of(pair, &own, addresses))
}

impl HostBroker {
    /// Changes the pairs of the host's NIC, whose port was last seen as `nic`.
    pub(super) async fn change_pairs(
        &self,
        nic: Port,
        change: impl Fn(&mut Vec<AddressPair>),
    ) -> Result<()> {
        let (id, host) = (nic.id.clone(), &self.host.id);
        let _lock = self.shared.pair_locks.lock(&id).await;
        // Others may have changed it since.
        let newest = self
            .shared
            .nics
            .lock()
            .get(host)
            .and_then(|nics| nics.iter().find(|p| p.id == id).cloned());
        match change_pairs(&self.cloud, newest.unwrap_or(nic), change).await {
            Ok(now) => {
                let mut all = self.shared.nics.lock();
                for known in all
                    .get_mut(host)
                    .into_iter()
                    .flatten()
                    .filter(|p| p.id == id)
                {
                    known.clone_from(&now);
                }
                Ok(())
            }
            Err(e) => {
                if !e.is_own_mac_only() {
                    self.forget_nics();
                }
                Err(e)
            }
        }
    }
}

/// Changes the pairs of a port that was last seen so: the port as it is then. No change of others is lost.
pub(super) async fn change_pairs(
    cloud: &Cloud,
    mut port: Port,
    change: impl Fn(&mut Vec<AddressPair>),
) -> Result<Port> {
    let doing = format!(
        "changing which addresses port {} of the host's NIC lets through",
        port.id
    );
    for _ in 0..TRIES {
        let mut pairs = port.allowed_address_pairs.clone();
        change(&mut pairs);
        if pairs == port.allowed_address_pairs {
            return Ok(port);
        }
        let wanted = serde_json::json!({"allowed_address_pairs": pairs});
        match cloud
            .update_at::<Port>(&port.id, port.revision_number, &wanted)
            .await
        {
            Ok(now) => return Ok(now),
            Err(e) if e.status() == Some(412) => {
                let pause = rand::rng().random_range(1..=PAUSE);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                port = cloud
                    .get(&port.id)
                    .await
                    .map_err(Error::cloud(doing.as_str()))?;
            }
            // Neutron's own limit (`max_allowed_address_pair`, 10 unless the cloud says otherwise).
            Err(e) if e.to_string().contains("exceeds the maximum") => {
                return Err(Error::refused(format!(
                    "{} (that many containers' addresses fit on a NIC: the cloud's max_allowed_address_pair)",
                    Error::cloud(doing)(e)
                )));
            }
            Err(e) => return Err(Error::cloud(doing)(e)),
        }
    }
    Err(Error::refused(format!(
        "{doing}: other callers changed them in the meantime, {TRIES} times"
    )))
}
