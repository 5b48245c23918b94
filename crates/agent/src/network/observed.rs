//! What a pass of the reconciler compares: what the container runtime has, what the cloud has, and since when something
//! has looked wrong.

use crate::network::Error;
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use stackyard_core::agent::PoolMember;
use stackyard_core::text::error_chain;
use stackyard_openstack::{FloatingIp, Network, Port, QosPolicy, SecurityGroup, SubnetPool};
use stackyard_platform::docker::Docker;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// What Docker has, or what came by CNI and is in use.
#[derive(Debug, Default)]
pub(crate) struct RuntimeView {
    /// Ids of this driver's networks.
    pub(crate) networks: HashSet<String>,
    /// Network and MAC address of their endpoints, by id.
    pub(crate) endpoints: HashMap<String, (String, String)>,
}

fn unanswered(error: &dyn std::error::Error) -> Error {
    Error::Docker { doing: "its networks", said: error_chain(error) }
}

impl RuntimeView {
    /// Ids of a driver's networks.
    pub(crate) async fn networks_of(driver: &str) -> Result<Vec<String>, Error> {
        let docker = Docker::connect().await.map_err(|e| unanswered(&e))?;
        let filter = HashMap::from([("driver".to_owned(), vec![driver.to_owned()])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filter).build();
        let networks = docker.api().list_networks(Some(options)).await.map_err(|e| unanswered(&e))?;
        Ok(networks.into_iter().filter_map(|n| n.id).collect())
    }

    pub(crate) async fn of(driver: &str) -> Result<Self, Error> {
        let docker = Docker::connect().await.map_err(|e| unanswered(&e))?;
        let mut view = Self::default();
        for id in Self::networks_of(driver).await? {
            let inspected = docker.api().inspect_network(&id, None::<InspectNetworkOptions>).await;
            let inspected = match inspected {
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => continue,
                other => other.map_err(|e| unanswered(&e))?,
            };
            for endpoint in inspected.containers.unwrap_or_default().into_values() {
                let mac = endpoint.mac_address.unwrap_or_default();
                view.endpoints.extend(endpoint.endpoint_id.map(|e| (e, (id.clone(), mac))));
            }
            view.networks.insert(id);
        }
        Ok(view)
    }

    /// Whether a port is an endpoint's: by the endpoint's id, or by its MAC address when the port was made
    /// before there was one.
    pub(crate) fn has(&self, port: &Port, network: &str) -> bool {
        self.endpoints.contains_key(&port.device_id)
            || self.endpoints.values().any(|(n, mac)| (n == network || network.is_empty()) && *mac == port.mac_address)
    }
}

/// What looks wrong, and since when.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    since: HashMap<String, Instant>,
    now: HashSet<String>,
}

impl Suspects {
    pub(crate) fn begin(&mut self) {
        self.now.clear();
    }

    /// Notes that `what` looks wrong; whether it has for `grace`.
    pub(crate) fn lasts(&mut self, what: String, grace: Duration) -> bool {
        let since = *self.since.entry(what.clone()).or_insert_with(Instant::now);
        self.now.insert(what);
        since.elapsed() >= grace
    }

    /// What was not seen again is well.
    pub(crate) fn end(&mut self) {
        self.since.retain(|what, _| self.now.contains(what));
    }
}

/// What the cloud has of this plugin.
#[derive(Debug, Default)]
pub(crate) struct CloudView {
    pub(crate) ports: Vec<Port>,
    pub(crate) floating_ips: Vec<FloatingIp>,
    pub(crate) networks: Vec<Network>,
    /// Security groups of endpoints' own.
    pub(crate) groups: Vec<SecurityGroup>,
    /// Members of load balancers' pools that are this plugin's, by the pool's id.
    pub(crate) members: BTreeMap<String, Vec<PoolMember>>,
    /// Those that are no network's.
    pub(crate) pools: Vec<SubnetPool>,
    /// Those of containers' bandwidth.
    pub(crate) policies: Vec<QosPolicy>,
}
