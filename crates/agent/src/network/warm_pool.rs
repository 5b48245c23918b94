//! The warm pool: ports that are made, bound, plugged and wired before a container wants one.
//!
//! A network may keep some ports ready (option `pool` of the network or of the plugin). They are made in
//! bulk, a request at a time, so that filling a pool never crowds Neutron. An attach takes one with the
//! address and the MAC address that it has, and asks Neutron nothing before the container runs; the port
//! learns whose it is afterwards.
//!
//! ```text
//!   wanted ──POST (many)──> made ──plug, wired──> ready ──RequestAddress / CreateEndpoint──> an endpoint's
//!                            └──── given back: DELETE ────┘                                   └─ PUT, later
//! ```
//!
//! CNI's are not plugged: what is made in a container's namespace is there sooner than what has to be moved into it, and
//! so is what then waits for the switch.
//!
//! A port is made with the mark of its Docker network and `device_id` [`SPARE`], and written to the ledger's
//! `spares/` before it is plugged. So a killed plugin finds its ports again, and those that it did not come to
//! write down are nobody's to the reconciler. A port is ready for endpoints of one [`Shape`]: the network's
//! own, and others once an endpoint has asked for them. What no endpoint has asked for in a while is given
//! back down to the pool's least size, and all of it with the network.

use crate::network::Error;
use crate::network::ledger::{Endpoint, Network, Spare};
use crate::network::options::{EndpointOptions, PoolSize};
use crate::network::port_manager::port_demand::{IDLE, SETTLED, Shape};
use crate::network::port_manager::{Frontend, PortManager};
use crate::network::ports::PortSpec;
use serde_json::json;
use stackyard_core::text::error_chain;
use stackyard_openstack::Port;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// `device_id` of a port that is no endpoint's; on a host of a yard its beginning.
pub(crate) const SPARE: &str = "spare";
/// Most ports in one request: Neutron makes them one after another, and locks what it needs meanwhile.
const AT_ONCE: usize = 16;
/// How often the pools are looked at when nothing happens.
const EVERY: Duration = Duration::from_secs(20);
/// Pause after Neutron has refused ports.
const PAUSE: Duration = Duration::from_secs(15);

impl EndpointOptions {
    /// The shape of a port that an endpoint with these options can take; none if only one of its own will do.
    pub(crate) fn shape(&self) -> Option<Shape> {
        let own = self.ip.is_some() || self.ip6.is_some() || self.port.is_some() || self.dns_name.is_some();
        (!own && self.own_group.is_none() && self.exposed.is_empty()).then(|| Shape {
            link: self.link,
            security_groups: self.security_groups.clone(),
            qos_policy: self.qos_policy.clone(),
            address_pairs: self.address_pairs.clone(),
            ..Shape::default()
        })
    }
}

impl PortManager {
    fn pool_of(&self, network: &Network) -> PoolSize {
        // kuryr's ports have the MAC addresses that Docker gives them.
        if self.kuryr { PoolSize::default() } else { network.pool.unwrap_or(self.pool) }
    }

    /// Takes a ready port, if there is one: the endpoint goes under `key`, or without one under its MAC address.
    pub(crate) async fn take_spare(
        &self,
        network_id: &str,
        network: &Network,
        key: Option<&str>,
        options: &EndpointOptions,
    ) -> Result<Option<Endpoint>, Error> {
        // A yard's server gives floating IPs to ports that it makes.
        let is_asked = self.broker().is_some() && options.floating_ip.is_some();
        let has_pool = self.pool_of(network).most > 0 && !is_asked;
        let has_any = has_pool || self.looks_ahead();
        let Some(shape) = options.shape().filter(|_| has_any) else { return Ok(None) };
        loop {
            let next = self.prefetch.next(network_id);
            if let Some(taken) = self.take_ready(network_id, &shape, has_pool, key, options).await? {
                return Ok(Some(taken));
            }
            if !next.await {
                return Ok(None);
            }
        }
    }

    /// Takes one of those that are ready now.
    async fn take_ready(
        &self,
        network_id: &str,
        shape: &Shape,
        has_pool: bool,
        key: Option<&str>,
        options: &EndpointOptions,
    ) -> Result<Option<Endpoint>, Error> {
        let _lock = self.locks.lock(&taking(network_id)).await;
        if has_pool {
            let asked = (network_id.to_owned(), shape.clone());
            self.port_demand.asked().insert(asked, Instant::now());
            self.port_demand.changed.notify_one();
        }
        let fits = |s: &Spare| s.ready && s.endpoint.network == network_id && s.endpoint.options == *shape;
        let fitting = self.ledger.spares.all().into_iter().filter(|(_, s)| fits(s));
        // A pool's is wired already.
        let Some((port, spare)) = fitting.min_by_key(|(_, s)| s.ahead) else { return Ok(None) };
        if spare.ahead {
            self.prefetch.ask(network_id);
        }
        let endpoint = Endpoint { options: options.clone(), unnamed: !spare.ahead, ..spare.endpoint };
        // In this order: killed in between, it is an endpoint's.
        self.ledger.endpoints.put(key.unwrap_or(&endpoint.mac), &endpoint)?;
        self.ledger.spares.remove(&port)?;
        Ok(Some(endpoint))
    }

    /// Gives back all ports that a network keeps ready; until what is returned is dropped, no others are made.
    pub(crate) async fn drain(&self, network_id: &str) -> Result<OwnedMutexGuard<()>, Error> {
        let turn = self.locks.lock(&filling(network_id)).await;
        self.prefetch.end(network_id).await;
        for (port, spare) in self.ledger.spares.all() {
            if spare.endpoint.network == network_id {
                self.give_back(&port).await?;
            }
        }
        self.port_demand.asked().retain(|(n, _), _| n != network_id);
        Ok(turn)
    }

    /// Gives a port back, unless an endpoint has taken it meanwhile. The caller has the turn of filling.
    pub(crate) async fn give_back(&self, port: &str) -> Result<(), Error> {
        let Some(spare) = self.ledger.spares.get(port) else { return Ok(()) };
        let turn = self.locks.lock(&taking(&spare.endpoint.network)).await;
        let Some(spare) = self.ledger.spares.get(port) else { return Ok(()) };
        self.ledger.spares.put(port, &Spare { ready: false, ..spare.clone() })?;
        drop(turn);
        self.wiring.unplug(&spare.endpoint).await?;
        self.return_port(SPARE, &spare.endpoint).await?;
        self.ledger.spares.remove(port)
    }

    /// Brings every pool to its size, and tells ports that were taken whose they are.
    pub(crate) async fn tend(&self) -> Result<(), Error> {
        for (id, network) in self.ledger.networks.all() {
            let size = self.pool_of(&network);
            if size.most > 0 {
                for (shape, since) in self.wanted_shapes(&id, &network) {
                    self.fill(&id, &network, &shape, size, since).await?;
                }
            }
        }
        for (key, endpoint) in self.ledger.endpoints.all() {
            if endpoint.unnamed && !key.contains(':') && self.port_demand.is_settled() {
                self.name_port(&key).await?;
            }
        }
        Ok(())
    }

    /// The shapes that a network keeps ports ready for, and for how long nothing has asked for them.
    fn wanted_shapes(&self, id: &str, network: &Network) -> Vec<(Shape, Duration)> {
        let asked = self.port_demand.asked();
        let own = network.defaults.shape().unwrap_or_default();
        let mut shapes: Vec<(Shape, Duration)> = vec![(own.clone(), self.started.elapsed())];
        for spare in self.ledger.spares.all().into_values().filter(|s| s.endpoint.network == id && !s.ahead) {
            if shapes.iter().all(|(s, _)| *s != spare.endpoint.options) {
                shapes.push((spare.endpoint.options, self.started.elapsed()));
            }
        }
        for ((_, shape), at) in asked.iter().filter(|((n, _), _)| n == id) {
            shapes.retain(|(s, _)| s != shape);
            shapes.push((shape.clone(), at.elapsed()));
        }
        shapes
    }

    /// Makes ports until a pool has its size, or gives back what has been idle.
    async fn fill(
        &self,
        id: &str,
        network: &Network,
        shape: &Shape,
        size: PoolSize,
        since: Duration,
    ) -> Result<(), Error> {
        let is_own = network.defaults.shape().as_ref() == Some(shape);
        let wanted = match since > IDLE {
            true if is_own => size.least,
            true => 0,
            false => size.most,
        };
        loop {
            let _lock = self.locks.lock(&filling(id)).await;
            if self.ledger.networks.get(id).is_none() {
                return Ok(());
            }
            let mut spares = self.ledger.spares.all();
            spares.retain(|_, s| s.endpoint.network == id && s.endpoint.options == *shape && !s.ahead);
            for spare in spares.values().filter(|s| !s.ready) {
                self.ready_spare(spare, network).await?;
            }
            for port in spares.keys().skip(wanted).filter(|_| since > IDLE) {
                self.give_back(port).await?;
            }
            let missing = wanted.saturating_sub(spares.len()).min(AT_ONCE);
            if missing == 0 || (!spares.is_empty() && !self.port_demand.is_settled()) {
                return Ok(());
            }
            for spare in self.make_spares(id, network, shape, missing, false).await? {
                self.ready_spare(&spare, network).await?;
            }
        }
    }

    /// Makes ports that no endpoint has yet, and writes them down: a pool's, which are still to be plugged, or `ahead` of
    /// containers, such as Docker gets when it asks for an address.
    pub(crate) async fn make_spares(
        &self,
        id: &str,
        network: &Network,
        shape: &Shape,
        count: usize,
        ahead: bool,
    ) -> Result<Vec<Spare>, Error> {
        let (key, ips) = (if ahead { id } else { SPARE }, network.addresses(None, None)?);
        let new = PortSpec {
            network_id: id,
            network,
            key,
            mac: None,
            ips,
            options: shape,
            before: None,
            container_end: None,
        };
        let mut made = Vec::new();
        for endpoint in self.make_ports(&new, count).await? {
            let spare = Spare { endpoint, ready: ahead, ahead };
            self.ledger.spares.put(&spare.endpoint.port, &spare)?;
            made.push(spare);
        }
        Ok(made)
    }

    /// Plugs a port that is made, and waits until it is wired; but for one of CNI's.
    async fn ready_spare(&self, spare: &Spare, network: &Network) -> Result<(), Error> {
        if self.frontend == Frontend::Docker {
            let plugged = self.plug_links(&spare.endpoint, network.mtu, None).await;
            if plugged.as_ref().is_err_and(|e| e.vlan_taken().is_some()) {
                // Another one will have another VLAN.
                self.give_back(&spare.endpoint.port).await?;
            }
            plugged?;
            self.wiring.ready(&spare.endpoint).await?;
        }
        self.ledger.spares.put(&spare.endpoint.port, &Spare { ready: true, ..spare.clone() })
    }

    /// Tells the cloud which endpoint has a port that was ready before.
    async fn name_port(&self, key: &str) -> Result<(), Error> {
        let Some(_lock) = self.locks.try_lock(key) else { return Ok(()) };
        let Some(endpoint) = self.ledger.endpoints.get(key).filter(|e| e.unnamed) else { return Ok(()) };
        if let Some(broker) = self.broker() {
            broker.rename(&endpoint.port, key).await?;
            return self.ledger.endpoints.put(key, &Endpoint { unnamed: false, ..endpoint });
        }
        let names = json!({"device_id": key, "name": self.port_name(key)});
        match self.cloud()?.update::<Port>(&endpoint.port, &names).await {
            Err(e) if !e.is_not_found() => return Err(Error::cloud(format!("naming port {}", endpoint.port))(e)),
            _ => {}
        }
        self.ledger.endpoints.put(key, &Endpoint { unnamed: false, ..endpoint })
    }
}

/// Tends the pools, for ever.
pub(crate) async fn keep(manager: &PortManager) {
    // A port that became an endpoint's just before the plugin was killed is that endpoint's.
    let taken: Vec<String> = manager.ledger.endpoints.all().into_values().map(|e| e.port).collect();
    for port in taken {
        if let Err(e) = manager.ledger.spares.remove(&port) {
            manager.complain("a pool's record stays", &e);
        }
    }
    // Links do not outlive a restart of the machine: they are looked at before a container gets one.
    for port in manager.ledger.spares.all().into_keys() {
        let unready = |spare: Option<Spare>| spare.map(|s| Spare { ready: false, ..s });
        if let Err(e) = manager.ledger.spares.alter(&port, unready) {
            manager.complain("a pool's record stays", &e);
        }
    }
    let mut before = String::new();
    loop {
        manager.learn_default_group().await;
        let problem = manager.tend().await.err().map(|e| error_chain(&e)).unwrap_or_default();
        if problem != before && !problem.is_empty() {
            manager.say(format!("pools of ports are not filled: {problem}"));
        }
        let failed = !problem.is_empty();
        before = problem;
        if failed {
            tokio::time::sleep(PAUSE).await;
        } else {
            let wait = if manager.port_demand.is_settled() { EVERY } else { SETTLED };
            let _ = tokio::time::timeout(wait, manager.port_demand.changed.notified()).await;
        }
    }
}

/// The turn of those who make ports and give them back.
pub(crate) fn filling(network: &str) -> String {
    format!("filling the pool of {network}")
}

/// The turn of those who take one, which is short.
fn taking(network: &str) -> String {
    format!("taking from the pool of {network}")
}
