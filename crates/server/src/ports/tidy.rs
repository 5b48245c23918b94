//! What nobody removes: ports of hosts that were removed, with the addresses that their NICs still let through.
//!
//! An agent removes what its own host has too much. What is left is found here, by its marks.

use super::pairs::{change_pairs, take_off};
use super::{DEVICE_OWNER, Ports, device, ips, lock, said};
use crate::error::chain;
use stackyard_catalog::manifest;
use stackyard_core::yard::Mark;
use stackyard_openstack::{Cloud, Port};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

/// How often to look.
const EVERY: Duration = Duration::from_secs(120);

impl Ports {
    /// Looks now and then, for ever.
    pub(crate) async fn keep(&self) {
        let mut before = String::new();
        loop {
            let _ = tokio::time::timeout(EVERY, self.0.wake.notified()).await;
            let failed = self.tidy().await.err().unwrap_or_default();
            if !failed.is_empty() && failed != before {
                tracing::warn!("ports of containers whose hosts are gone: {failed}");
            }
            before = failed;
        }
    }

    /// One look at all clouds of yards.
    async fn tidy(&self) -> Result<(), String> {
        let mut clouds: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
        for yard in self.0.store.yards().await.map_err(|e| chain(&e))? {
            if let Ok(gist) = manifest::gist("a yard's manifest", &yard.manifest)
                && gist.has_pools
            {
                clouds.entry(gist.cloud).or_default().insert(yard.name);
            }
        }
        let mut failed = Vec::new();
        for (name, yards) in clouds {
            let looked = async { self.tidy_cloud(&self.connect(name.as_deref()).await?, &yards).await };
            failed.extend(looked.await.err());
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    async fn tidy_cloud(&self, cloud: &Cloud, yards: &BTreeSet<String>) -> Result<(), String> {
        let listing = "listing the ports of containers";
        let ports: Vec<Port> = cloud.list(&[("device_owner", DEVICE_OWNER)]).await.map_err(said(listing))?;
        // After the ports: a host is known before it asks for one.
        let hosts = self.0.store.hosts(None, None).await.map_err(|e| chain(&e))?;
        let hosts: HashSet<&str> = hosts.iter().map(|h| h.id.as_str()).collect();
        lock(&self.0.nics).retain(|host, _| hosts.contains(host.as_str()));
        let is_stray = |p: &&Port| {
            let host = device(&p.device_id).map(|(host, ..)| host).unwrap_or_default();
            Mark::parse(&p.description).is_some_and(|m| yards.contains(&m.yard)) && !hosts.contains(host)
        };
        for port in ports.iter().filter(is_stray) {
            let addresses = ips(port);
            let beside: Vec<Port> =
                cloud.list(&[("network_id", &port.network_id)]).await.map_err(said("listing ports"))?;
            for nic in beside {
                let change = take_off(nic.mac_address.clone(), &addresses);
                change_pairs(cloud, nic, change).await?;
            }
            cloud.delete::<Port>(&port.id).await.map_err(said(format!("removing port {}", port.id)))?;
            tracing::info!(port = port.id, "removed: its host is gone");
        }
        Ok(())
    }
}
