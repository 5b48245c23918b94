//! Firewall groups (FWaaS v2): ports in a group are guarded by its policies.
//!
//! An endpoint's option puts its own port into a group, where the cloud's driver takes such ports; a network's option
//! puts the ports of the router that it gets. A group's ports are one list, which everybody reads and writes as a
//! whole. Neutron refuses a change of a list that has changed since (`If-Match`), but lets two through that come at the
//! same moment (measured, Neutron 28): so what was written is read again, and the reconciler looks, too. A port that
//! is removed leaves its group by itself.

use crate::network::Error;
use crate::network::ledger::Endpoint;
use crate::network::names::Scope;
use crate::network::port_manager::PortManager;
use serde_json::json;
use stackyard_openstack::{FirewallGroup, Port};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a change is tried that others come before.
const TRIES: u32 = 10;
/// Pause before the second try, in milliseconds; it grows by itself.
const PAUSE: u64 = 60;

impl PortManager {
    /// Id of a firewall group.
    pub(crate) async fn firewall_group(&self, wanted: &str) -> Result<String, Error> {
        match self.id_of::<FirewallGroup>(wanted, Scope::Project).await {
            Err(Error::Cloud { source, .. }) if source.is_not_found() => Err(Error::request(
                "option `firewall-group`: this cloud has no firewall groups (Neutron's extension fwaas_v2)",
            )),
            other => other,
        }
    }

    /// Puts ports into a group.
    pub(crate) async fn guard(&self, group: &str, ports: &[String]) -> Result<(), Error> {
        let doing = format!("putting port {} into firewall group {group:?}", ports.join(", "));
        let with = |now: &[String]| {
            let missing = ports.iter().filter(|p| !now.contains(p)).cloned().collect::<Vec<_>>();
            (!missing.is_empty()).then(|| [now, &missing].concat())
        };
        self.change_group(group, &doing, with).await
    }

    /// Takes ports out of a group that may be gone.
    pub(crate) async fn unguard(&self, group: &str, ports: &[String]) -> Result<(), Error> {
        let doing = format!("taking port {} out of firewall group {group:?}", ports.join(", "));
        let without = |now: &[String]| {
            let left = now.iter().filter(|p| !ports.contains(p)).cloned().collect::<Vec<_>>();
            (left.len() < now.len()).then_some(left)
        };
        match self.change_group(group, &doing, without).await {
            Err(Error::Cloud { source, .. }) if source.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Changes a group's list of ports until `change` has nothing to change in what is read.
    async fn change_group(
        &self,
        group: &str,
        doing: &str,
        change: impl Fn(&[String]) -> Option<Vec<String>>,
    ) -> Result<(), Error> {
        let id = self.firewall_group(group).await?;
        for attempt in 1..=TRIES {
            let now: FirewallGroup = self.cloud()?.get(&id).await.map_err(Error::cloud(doing))?;
            let Some(ports) = change(&now.ports) else { return Ok(()) };
            // An empty list must be sent, too.
            let ports = json!({"ports": ports});
            let changed = match now.revision_number {
                Some(revision) => self.cloud()?.update_at::<FirewallGroup>(&id, revision, &ports).await,
                None => self.cloud()?.update::<FirewallGroup>(&id, &ports).await,
            };
            match changed {
                Ok(_) => continue,
                Err(e) if e.kind() == Some("FirewallGroupPortNotSupported") => {
                    return Err(Error::request(format!(
                        "{doing}: {e}; where its driver takes ports of routers alone, as OVN's does, give the option \
                         `firewall-group` to a network that is made with a router (`external`, `router`)"
                    )));
                }
                // Changed meanwhile; is changing; another's port has gone since.
                Err(e) if attempt < TRIES && may_pass(&e) => {}
                Err(e) => return Err(Error::cloud(doing)(e)),
            }
            let jitter = rand::random_range(0..PAUSE);
            tokio::time::sleep(Duration::from_millis(PAUSE * u64::from(attempt) + jitter)).await;
        }
        Err(Error::request(format!("{doing}: others change it all the time; tried {TRIES} times")))
    }

    /// Puts the ports of a new network's router into a group; which they are.
    pub(crate) async fn guard_router(&self, network: &str, group: &str) -> Result<Vec<String>, Error> {
        let doing = Error::cloud(format!("looking up the ports of the router of network {network}"));
        let all: Vec<Port> = self.cloud()?.list(&[("network_id", network)]).await.map_err(doing)?;
        let of_router = all.into_iter().filter(|p| p.device_owner.starts_with("network:router_interface"));
        let ports: Vec<String> = of_router.map(|p| p.id).collect();
        self.guard(group, &ports).await?;
        Ok(ports)
    }

    /// Puts back what another's change has taken out of a group.
    pub(crate) async fn mend_firewalls(&self, endpoints: &BTreeMap<String, Endpoint>, known: impl Fn(&str) -> bool) {
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // Held until the end: nobody's port goes meanwhile.
        let mut locks = Vec::new();
        for (key, endpoint) in endpoints.iter().filter(|(key, _)| known(key)) {
            let Some(group) = &endpoint.options.firewall_group else { continue };
            let Some(turn) = self.locks.try_lock(key) else { continue };
            if let Some(now) = self.ledger.endpoints.get(key).filter(|e| e.port == endpoint.port) {
                wanted.entry(group.clone()).or_default().push(now.port);
                locks.push(turn);
            }
        }
        for id in self.ledger.networks.all().into_keys() {
            let Some(turn) = self.locks.try_lock(&id) else { continue };
            if let Some(guarded) = self.ledger.networks.get(&id).and_then(|n| n.guarded) {
                wanted.entry(guarded.group).or_default().extend(guarded.ports);
                locks.push(turn);
            }
        }
        for (group, ports) in wanted {
            if let Err(e) = self.guard(&group, &ports).await {
                self.complain("a firewall group may lack ports", &e);
            }
        }
    }
}

/// Whether a change may be taken a moment later.
fn may_pass(error: &stackyard_openstack::Error) -> bool {
    matches!(error.status(), Some(404 | 412)) || error.kind() == Some("FirewallGroupInPendingState")
}
