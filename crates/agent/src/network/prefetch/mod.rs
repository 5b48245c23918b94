//! Ports that are made ahead, for containers that are about to start.
//!
//! Docker makes one endpoint of a network at a time (moby `libnetwork/network.go`, `CreateEndpoint` holds the network's
//! lock from the first address on). Of containers that start together, each would so wait for the ports of all before it
//! to be made, one by one, while Neutron waits for Docker in between. So when a port has to be made for a container, Docker
//! is asked how many others of that network have been created and are yet to start, and theirs are made meanwhile:
//!
//! ```text
//!   RequestAddress ──POST (its own)──────────────────────────> answered
//!        └── Docker: who else is about to start? ──POST (several) ──> spares ──> the next RequestAddress
//! ```
//!
//! They are ports such as the first one would have been, so that a container costs Neutron no more than before, and their
//! records are a pool's ([`crate::network::warm_pool`]): whoever finds none while some are being made waits for them. What nobody has
//! taken for a while is given back, as when a container was created and never started.

use crate::network::Error;
use crate::network::ledger::short;
use crate::network::port_manager::prefetch_demand::NetworkDemand;
use crate::network::port_manager::{Frontend, PortManager};
use crate::network::warm_pool::filling;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{InspectNetworkOptions, ListContainersOptionsBuilder};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Most ports in one request: none of them is there before the last one is.
const AT_ONCE: usize = 2;
/// Requests under way at a time.
const REQUESTS: usize = 4;
/// How long Docker is not asked after somebody has asked for a port: whoever waits comes first.
const ASIDE: Duration = Duration::from_millis(20);
/// Longest time for Docker to say who is about to start.
const DOCKER_WITHIN: Duration = Duration::from_secs(2);
/// For how long a container that was created counts as about to start, in seconds.
const ABOUT_TO_START: i64 = 60;
/// For how long nobody must have taken one before they are given back.
const UNTAKEN: Duration = Duration::from_secs(10);

impl PortManager {
    /// How many ports a network lacks for containers that are about to start.
    async fn lacking(&self, engine: &mut EngineClient, id: &str) -> Result<usize, String> {
        if self.ledger.networks.get(id).is_none_or(|network| network.defaults.shape().is_none()) {
            return Ok(0);
        }
        let asked = tokio::time::timeout(DOCKER_WITHIN, engine.containers(id)).await;
        let (name, containers) = asked.map_err(|_| format!("Docker has not answered in {DOCKER_WITHIN:?}"))??;
        let held = self.ledger.endpoints.all();
        let held = held.iter().filter(|(_, e)| e.network == id).map(|(key, e)| (key.as_str(), e.mac.as_str()));
        let (expected, starting) = look(&containers, &[id, &name], held, crate::network::ledger::now());
        let spares = self.ledger.spares.all().into_values().filter(|s| s.endpoint.network == id && s.ready).count();
        Ok(self.prefetch.with(id, |demand| demand.lacks(expected, starting + spares)))
    }

    /// Makes ports ahead; those that wait for some are told.
    async fn make_ahead(&self, id: &str, count: usize) {
        let made = self.make_some(id, count).await;
        self.prefetch.with(id, |demand| {
            demand.ahead -= count;
            demand.active = Some(Instant::now());
            // Whoever comes next makes one, and hears why there are none.
            demand.look &= made.is_ok();
        });
        self.prefetch.made.notify_waiters();
        if let Err(e) = made {
            self.complain("ports are not made ahead", &e);
        }
    }

    pub(crate) async fn make_some(&self, id: &str, count: usize) -> Result<(), Error> {
        let Some(network) = self.ledger.networks.get(id) else { return Ok(()) };
        // Ports that are alike.
        let Some(shape) = network.defaults.shape() else { return Ok(()) };
        self.make_spares(id, &network, &shape, count, true).await.map(drop)
    }

    /// Gives back what nobody takes.
    pub(crate) async fn give_back_ahead(&self, untaken: Duration) {
        for (port, spare) in self.ledger.spares.all().into_iter().filter(|(_, s)| s.ahead) {
            let id = &spare.endpoint.network;
            let active = self.prefetch.with(id, |demand| demand.active).unwrap_or(self.started);
            if active.elapsed() < untaken {
                continue;
            }
            // They have failed to start, or will be started by and by.
            self.prefetch.with(id, NetworkDemand::ignore);
            let _lock = self.locks.lock(&filling(id)).await;
            if let Err(e) = self.give_back(&port).await {
                self.complain(&format!("port {port}, which no container has taken, stays"), &e);
            }
        }
    }

    /// Whether ports are made ahead: not where Docker gives MAC addresses, and not where nothing waits for another.
    pub(crate) fn looks_ahead(&self) -> bool {
        self.frontend == Frontend::Docker && !self.kuryr && self.broker().is_none()
    }
}

/// Docker Engine, once it was asked something, and the names of its networks by id.
#[derive(Default)]
struct EngineClient {
    docker: OnceCell<Docker>,
    names: HashMap<String, String>,
}

impl EngineClient {
    /// The name of a network, and the containers that are or will be on it.
    async fn containers(&mut self, id: &str) -> Result<(String, Vec<ContainerSummary>), String> {
        let docker = self.docker.get_or_try_init(Docker::connect).await.map_err(|e| error_chain(&e))?.api();
        let name = match self.names.get(id) {
            Some(name) => name.clone(),
            None => {
                let inspected = docker.inspect_network(id, None::<InspectNetworkOptions>).await;
                let name = inspected.map_err(|e| error_chain(&e))?.name.unwrap_or_default();
                self.names.insert(id.to_owned(), name.clone());
                name
            }
        };
        // Of a container that has not started yet, Docker tells the network as its user has named it.
        let filter = HashMap::from([("network".to_owned(), vec![id.to_owned(), name.clone()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filter).build();
        let containers = docker.list_containers(Some(options)).await.map_err(|e| error_chain(&e))?;
        Ok((name, containers))
    }
}

/// Which of `containers` seem about to start on a network that they call by one of `names`, and how many of these have one
/// of the endpoints `held` (id or MAC address, and MAC address) already. `now` in seconds since 1970.
fn look<'a>(
    containers: &[ContainerSummary],
    names: &[&str],
    held: impl Iterator<Item = (&'a str, &'a str)>,
    now: i64,
) -> (HashSet<String>, usize) {
    let (mut created, mut known) = (HashSet::new(), HashSet::new());
    for container in containers {
        let networks = container.network_settings.as_ref().and_then(|s| s.networks.as_ref());
        let on_it = networks.into_iter().flatten().find(|(name, on)| {
            names.contains(&name.as_str()) || on.network_id.as_deref().is_some_and(|id| names.contains(&id))
        });
        let Some((_, on)) = on_it else { continue };
        if container.state != Some(ContainerSummaryStateEnum::CREATED) {
            known.extend(on.endpoint_id.as_deref().into_iter().chain(on.mac_address.as_deref()));
            continue;
        }
        let chooses = on.ipam_config.as_ref().is_some_and(|c| {
            [&c.ipv4_address, &c.ipv6_address].iter().any(|a| a.as_deref().is_some_and(|a| !a.is_empty()))
        });
        let is_new = container.created.is_some_and(|at| at > now - ABOUT_TO_START);
        created.extend(container.id.clone().filter(|_| is_new && !chooses));
    }
    // Docker tells of a container's endpoint when it has started.
    let starting = held.filter(|(key, mac)| !known.contains(key) && !known.contains(mac)).count();
    (created, starting)
}

/// Makes ports ahead and gives back what nobody takes, for ever.
pub(crate) async fn keep(manager: &PortManager) {
    if manager.looks_ahead() {
        tokio::join!(make(manager), give_back(manager));
    }
    std::future::pending().await
}

async fn give_back(manager: &PortManager) {
    loop {
        tokio::time::sleep(UNTAKEN / 4).await;
        manager.give_back_ahead(UNTAKEN).await;
    }
}

async fn make(manager: &PortManager) {
    let (mut engine, mut requests) = (EngineClient::default(), FuturesUnordered::new());
    let mut due = None;
    loop {
        tokio::select! {
            () = manager.prefetch.asked.notified() => {
                due.get_or_insert_with(|| Instant::now() + ASIDE);
                continue;
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => due = None,
            Some(()) = requests.next(), if !requests.is_empty() => {}
        }
        for id in manager.prefetch.networks_to_look_at() {
            if requests.len() >= REQUESTS {
                break;
            }
            // Before Docker is asked: who comes meanwhile is not forgotten.
            manager.prefetch.with(&id, |demand| demand.look = false);
            let mut lacking = manager.lacking(&mut engine, &id).await.unwrap_or_else(|e| {
                manager.say(format!("who is about to start on network {} is not known: {e}", short(&id)));
                0
            });
            while lacking > 0 && requests.len() < REQUESTS {
                let (id, count) = (id.clone(), lacking.min(AT_ONCE));
                lacking -= count;
                manager.prefetch.with(&id, |demand| demand.ahead += count);
                requests.push(async move { manager.make_ahead(&id, count).await });
            }
            manager.prefetch.with(&id, |demand| demand.look |= lacking > 0);
        }
    }
}
