//! What nobody removes: ports of hosts that were removed, with the addresses that their NICs still let through, their
//! places in load balancers' pools, and floating IPs and security groups of containers that have no port any more.
//!
//! An agent removes what its own host has too much. What is left is found here, by its marks.

use super::here::Here;
use super::on_trunk::free_or_delete;
use super::pairs::{change_pairs, take_off};
use super::{Ports, beside, containers, is_for_trunk, said};
use stackyard_catalog::manifest;
use stackyard_core::text::error_chain;
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{Cloud, FloatingIp, Port, SecurityGroup};
use stackyard_store::Host;
use stackyard_yard::container_port::{ips, is_containers, whose};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// How often to look.
const EVERY: Duration = Duration::from_secs(120);

/// How long what was made for a container stays that has no port: its agent may be about to have another one made.
const PATIENCE: Duration = Duration::from_secs(300);

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
        // What has changed since in the clouds is looked up again.
        self.forget();
        self.0.trunks.forget();
        let mut clouds: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
        for yard in self.0.store.yards().await.map_err(|e| error_chain(&e))? {
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
        // Before the ports: a floating IP is made for one that is there. A group is made before, and has its time.
        let here = Here::of(cloud).await?;
        let mine = [("project_id", here.project.as_str())];
        let floating_ips: Vec<FloatingIp> = cloud.list(&mine).await.map_err(said("listing floating IPs"))?;
        let fields = ["id", "name", "description"].map(|field| ("fields", field));
        let brief: Vec<(&str, &str)> = mine.into_iter().chain(fields).collect();
        let groups: Vec<SecurityGroup> = cloud.list(&brief).await.map_err(said("listing security groups"))?;
        let ports = containers(cloud).await?;
        // After the ports: a host is known before it asks for one.
        let hosts = self.0.store.hosts(None, None).await.map_err(|e| error_chain(&e))?;
        let hosts: HashMap<&str, &Host> = hosts.iter().map(|h| (h.id.as_str(), h)).collect();
        self.0.nics.lock().retain(|host, _| hosts.contains_key(host.as_str()));
        // One that is just changing refuses, until next time.
        let members = self.tidy_members(cloud, yards, &hosts).await;
        let is_yards = |p: &Port| {
            let tagged = || p.tags.iter().any(|t| t.strip_prefix("stackyard:").is_some_and(|y| yards.contains(y)));
            let marked = |m: Mark| yards.contains(&m.yard) && m.is_in(&here.scope);
            Mark::parse(&p.description).map_or_else(tagged, marked)
        };
        let host_of = |p: &Port| whose(p).and_then(|(host, ..)| hosts.get(host).copied());
        for port in ports.iter().filter(|p| is_yards(p) && host_of(p).is_none()) {
            if !is_for_trunk(port) {
                let addresses = ips(port);
                let beside: Vec<Port> =
                    cloud.list(&[("network_id", &port.network_id)]).await.map_err(said("listing ports"))?;
                for nic in beside {
                    let change = take_off(nic.mac_address.clone(), &addresses);
                    change_pairs(cloud, nic, change).await?;
                }
            }
            free_or_delete(cloud, port).await?;
            tracing::info!(port = port.id, "removed: its host is gone");
        }
        let container = |p| {
            let ((.., endpoint), host) = (whose(p)?, host_of(p)?);
            Some((beside::name(&host.name, endpoint), host.yard.as_str()))
        };
        let containers: HashSet<(String, &str)> = ports.iter().filter_map(container).collect();
        let names: HashSet<(&str, &str)> = hosts.values().map(|h| (h.yard.as_str(), h.name.as_str())).collect();
        let ips = floating_ips.iter().map(|ip| (&ip.id, &ip.description));
        let strays: Vec<(&String, Mark)> = ips
            .chain(groups.iter().map(|g| (&g.id, &g.description)))
            .filter(|(_, text)| is_containers(text))
            .filter_map(|(id, text)| Some((id, here.read("", text)?)))
            .filter(|(_, m)| yards.contains(&m.yard) && !containers.contains(&(m.key.name.clone(), m.yard.as_str())))
            .collect();
        self.0.strays.lock().retain(|id, _| strays.iter().any(|(stray, _)| *stray == id));
        for (id, mark) in strays {
            let host = beside::host_of(&mark.key.name);
            let since = *self.0.strays.lock().entry(id.clone()).or_insert_with(Instant::now);
            if names.contains(&(mark.yard.as_str(), host)) && since.elapsed() < PATIENCE {
                continue;
            }
            let removed = match mark.key.kind {
                Kind::SecurityGroup => cloud.delete::<SecurityGroup>(id).await,
                _ => cloud.delete::<FloatingIp>(id).await,
            };
            removed.map_err(said(format!("removing {}", mark.key)))?;
            tracing::info!(of = %mark.key, "removed: its container is gone");
        }
        members
    }
}
