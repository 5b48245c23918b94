//! Which way a container leaves that publishes ports on this host: by its Neutron network, and not by the bridge that
//! Docker adds to publish them.
//!
//! Docker tells no plugin when it has set up a container's namespace, and accepts no routes for it that would do
//! ([`stackyard_wire::WayOut`] says why). So the agent makes the rules and routes itself: it looks often for the
//! namespace after Join, and the reconciler looks again in each pass.

use crate::log::agent_note;
use crate::network::Error;
use crate::network::docker::protocol::EndpointRequest;
use crate::network::ledger::Endpoint;
use crate::network::observed::RuntimeView;
use crate::network::port_manager::PortManager;
use crate::network::wiring::NamespaceSetup;
use stackyard_core::text::error_chain;
use stackyard_wire::{RANKS, WayOut};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the namespace is looked at while Docker sets it up, a matter of about 100 ms.
const OFTEN: Duration = Duration::from_millis(4);
/// How long a namespace is looked at so often, from the moment it is there.
const SET_UP_WITHIN: Duration = Duration::from_secs(3);
/// How long Docker has to make the namespace after Join.
const THERE_WITHIN: Duration = Duration::from_secs(60);

/// The place of a network among those of a container, by Docker's id of it: Docker joins them in any order, and a
/// container is to leave by the same one each time that it starts.
fn rank_of(network: &str) -> u32 {
    network.get(..3).and_then(|id| u32::from_str_radix(id, 16).ok()).unwrap_or_default()
}

impl PortManager {
    /// Writes down which container an endpoint joins, if that publishes ports; whether Docker publishes them on this
    /// host.
    ///
    /// Docker tells CreateEndpoint of a container's first endpoint what is published, and Join of each.
    pub(crate) async fn publishes_on_host(
        &self,
        request: &EndpointRequest,
        endpoint: &mut Endpoint,
    ) -> Result<bool, Error> {
        if self.kuryr || request.sandbox_key.is_empty() || !(request.publishes() || endpoint.options.on_host) {
            return Ok(false);
        }
        let others: Vec<Endpoint> = self.in_sandbox(&request.sandbox_key, &request.endpoint);
        let by_floating_ip = others.iter().chain([&*endpoint]).any(|e| !e.options.publish.is_empty());
        let _lock = self.locks.lock(&request.endpoint).await;
        if endpoint.sandbox != request.sandbox_key {
            endpoint.sandbox.clone_from(&request.sandbox_key);
            let taken: BTreeSet<u32> = others.iter().map(|e| e.rank).collect();
            let free = (rank_of(&endpoint.network)..RANKS).find(|rank| !taken.contains(rank));
            endpoint.rank = free.unwrap_or_default();
        }
        endpoint.options.on_host = !by_floating_ip;
        self.ledger.endpoints.put(&request.endpoint, endpoint)?;
        Ok(endpoint.options.on_host)
    }

    /// The other endpoints of a container that publishes ports.
    fn in_sandbox(&self, sandbox: &str, but: &str) -> Vec<Endpoint> {
        let all = self.ledger.endpoints.all().into_iter();
        all.filter(|(key, e)| e.sandbox == sandbox && key != but).map(|(_, e)| e).collect()
    }

    /// The ways out of a container that publishes ports on this host.
    pub(crate) fn ways_out(&self, sandbox: &str) -> Vec<WayOut> {
        let endpoints = self.in_sandbox(sandbox, "").into_iter().filter(|e| e.options.on_host);
        let ways = endpoints.flat_map(|endpoint| {
            let network = self.ledger.networks.get(&endpoint.network);
            let subnets = network.map(|n| n.subnets).unwrap_or_default().into_iter();
            subnets.filter_map(move |subnet| {
                let address = endpoint.address_in(&subnet.id)?;
                let default = subnet.routes.iter().find(|(to, _)| to.prefix_len() == 0).map(|(_, via)| *via);
                Some(WayOut { rank: endpoint.rank, address, gateway: subnet.gateway.or(default) })
            })
        });
        ways.collect()
    }

    /// Makes a container's ways out as soon as Docker has set up its namespace. Nobody waits for that.
    pub(crate) fn make_ways_out(&self, sandbox: &str) {
        let (ways, onlooker) = (self.ways_out(sandbox), self.onlooker.clone());
        let sandbox = PathBuf::from(sandbox);
        let keep = self.wiring.keep_ways_out();
        tokio::spawn(async move {
            let (mut since, mut patience) = (Instant::now(), THERE_WITHIN);
            let mut failed = None;
            while since.elapsed() < patience {
                match keep(sandbox.clone(), ways.clone()).await {
                    Ok(NamespaceSetup::Whole) => return,
                    Ok(NamespaceSetup::Absent) => {}
                    made => {
                        if patience == THERE_WITHIN {
                            (since, patience) = (Instant::now(), SET_UP_WITHIN);
                        }
                        failed = made.err();
                    }
                }
                sleep(OFTEN).await;
            }
            if let Some(e) = failed {
                let sandbox = sandbox.display();
                onlooker.see(agent_note(format!("the container of {sandbox} has no way out yet: {}", error_chain(&e))));
            }
        });
    }

    /// Looks at the ways out of all containers that publish ports on this host.
    pub(crate) async fn restore_ways_out(&self, view: &RuntimeView) {
        let all = self.ledger.endpoints.all();
        let running = all.iter().filter(|(key, e)| e.options.on_host && view.endpoints.contains_key(*key));
        let sandboxes: BTreeSet<&str> = running.map(|(_, e)| e.sandbox.as_str()).filter(|s| !s.is_empty()).collect();
        let keep = self.wiring.keep_ways_out();
        for sandbox in sandboxes {
            if let Err(e) = keep(PathBuf::from(sandbox), self.ways_out(sandbox)).await {
                self.complain(&format!("the way out of the container of {sandbox} is not looked at"), &e);
            }
        }
    }
}
