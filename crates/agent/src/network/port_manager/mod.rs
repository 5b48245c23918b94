//! What all calls share, of one side (Docker's or CNI's): who it is, what it remembers, and what it makes ports with.
//!
//! What a manager does with ports stands in the modules of [`crate::network`], each by its feature; here is what they
//! keep in memory. All of it may be lost: the ledger has what must not be.

pub(crate) mod address_requests;
pub(crate) mod member_changes;
pub(crate) mod name_cache;
pub(crate) mod port_demand;
pub(crate) mod prefetch_demand;

use crate::log::agent_note;
use crate::network::ledger::{Endpoint, Ledger};
use crate::network::options::PoolSize;
use crate::network::wiring::{PreparedLink, Wiring};
use crate::network::{Error, kuryr_names};
use crate::state::StateDir;
use address_requests::AddressRequests;
use member_changes::MemberChanges;
use name_cache::NameCache;
use port_demand::PortDemand;
use prefetch_demand::PrefetchDemand;
use stackyard_core::progress::Onlooker;
use stackyard_core::text::error_chain;
use stackyard_openstack::Cloud;
use stackyard_ports::{KeyedMutex, PoolBroker, PortBroker, ProjectPools, place_mark};
use stackyard_wire::binding::{Naming, Vif};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Who asks for ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frontend {
    /// Docker's network driver.
    Docker,
    /// CNI plugins ([`crate::network::cni`]): container runtimes.
    Cni,
}

impl Frontend {
    /// How its marks and names begin.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Cni => "cni",
        }
    }
}

/// Where ports come from.
#[derive(Clone)]
pub(crate) enum PortSource {
    /// A cloud, with credentials of this process's own.
    Cloud(Cloud),
    /// A broker, on a host of a yard: its server asks the cloud.
    Broker(Arc<dyn PortBroker>),
}

/// What all calls share.
pub(crate) struct PortManager {
    pub(crate) frontend: Frontend,
    pub(crate) name: String,
    pub(crate) kuryr: bool,
    pub(crate) host: String,
    pub(crate) source: PortSource,
    /// Whether the cloud takes tags with what is made; asked for once, and only in kuryr's place.
    pub(crate) tags: tokio::sync::OnceCell<bool>,
    /// Whether the cloud has QoS policies that this user may make; asked for once.
    pub(crate) qos: std::sync::Mutex<Option<bool>>,
    pub(crate) wiring: Box<dyn Wiring>,
    /// How Neutron has bound the last port of each network: links for the next one are made while it is asked for it.
    pub(crate) bound: std::sync::Mutex<HashMap<String, Vif>>,
    /// Links of ports that are not plugged yet.
    pub(crate) prepared: std::sync::Mutex<HashMap<String, PreparedLink>>,
    /// Ports that are being plugged before there is an endpoint.
    pub(crate) plugging: std::sync::Mutex<HashMap<String, tokio::task::JoinHandle<Result<(), Error>>>>,
    pub(crate) ledger: Ledger,
    pub(crate) names: NameCache,
    pub(crate) address_requests: AddressRequests,
    pub(crate) pool: PoolSize,
    pub(crate) port_demand: PortDemand,
    pub(crate) prefetch: PrefetchDemand,
    pub(crate) member_changes: MemberChanges,
    pub(crate) started: tokio::time::Instant,
    /// Docker networks that are gone, and whose Neutron networks others use: so much was said.
    pub(crate) left_in_use: std::sync::Mutex<HashSet<String>>,
    pub(crate) locks: KeyedMutex,
    /// Told of each network namespace that Docker sets up, by its file.
    pub(crate) announce_sandbox: Option<tokio::sync::mpsc::Sender<String>>,
    pub(crate) onlooker: Arc<dyn Onlooker>,
}

impl PortManager {
    /// One on a host that bears no name in Neutron, in nobody's place, without ports that are ready before.
    pub(crate) fn new(
        frontend: Frontend,
        name: &str,
        source: PortSource,
        wiring: Box<dyn Wiring>,
        state: &StateDir,
        onlooker: Arc<dyn Onlooker>,
    ) -> Result<Self, crate::Error> {
        Ok(Self {
            frontend,
            name: name.to_owned(),
            kuryr: false,
            host: String::new(),
            source,
            tags: tokio::sync::OnceCell::new(),
            qos: std::sync::Mutex::default(),
            wiring,
            bound: std::sync::Mutex::default(),
            prepared: std::sync::Mutex::default(),
            plugging: std::sync::Mutex::default(),
            ledger: Ledger::open(state)?,
            names: NameCache::default(),
            address_requests: AddressRequests::default(),
            pool: PoolSize::default(),
            port_demand: PortDemand::new(),
            prefetch: PrefetchDemand::default(),
            member_changes: MemberChanges::default(),
            started: tokio::time::Instant::now(),
            left_in_use: std::sync::Mutex::default(),
            locks: KeyedMutex::default(),
            announce_sandbox: None,
            onlooker,
        })
    }

    /// The cloud itself.
    pub(crate) fn cloud(&self) -> Result<&Cloud, Error> {
        match &self.source {
            PortSource::Cloud(cloud) => Ok(cloud),
            PortSource::Broker(_) => Err(Error::request("a host of a yard does not speak to the cloud itself")),
        }
    }

    /// The broker that makes ports on a host of a yard; none where this process asks the cloud itself.
    pub(crate) fn broker(&self) -> Option<&dyn PortBroker> {
        match &self.source {
            PortSource::Cloud(_) => None,
            PortSource::Broker(broker) => Some(&**broker),
        }
    }

    /// Makes containers members of load balancers' pools.
    pub(crate) fn pool_broker(&self) -> Arc<dyn PoolBroker> {
        match &self.source {
            PortSource::Cloud(cloud) => Arc::new(ProjectPools::new(cloud.clone(), self.place())),
            PortSource::Broker(broker) => broker.clone(),
        }
    }

    /// The name under which an endpoint's link is found on this host: the host's end, or a macvlan that no
    /// container has.
    pub(crate) fn device_here(&self, endpoint: &Endpoint) -> String {
        let (host, container) = self.devices(endpoint);
        match self.source {
            PortSource::Cloud(_) => host,
            PortSource::Broker(_) => container,
        }
    }

    /// Whose marks are this plugin's.
    pub(crate) fn place(&self) -> String {
        format!("stackyard-{}:{}@{}", self.frontend.word(), self.name, self.host)
    }

    /// By what its ports are used.
    pub(crate) fn device_owner(&self) -> &'static str {
        if self.kuryr { kuryr_names::DEVICE_OWNER } else { place_mark::DEVICE_OWNER }
    }

    /// How links are named.
    pub(crate) fn naming(&self) -> Naming {
        naming(self.kuryr)
    }

    /// Names of an endpoint's links: the host's end and the container's.
    pub(crate) fn devices(&self, endpoint: &Endpoint) -> (String, String) {
        self.naming().devices(&endpoint.vif, &endpoint.link)
    }

    /// Writes a line to the log.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.onlooker.see(agent_note(text));
    }

    /// Writes a line about what went wrong to the log.
    pub(crate) fn complain(&self, what: &str, error: &dyn std::error::Error) {
        self.say(format!("{what}: {}", error_chain(error)));
    }
}

pub(crate) fn naming(kuryr: bool) -> Naming {
    if kuryr { Naming::Kuryr } else { Naming::Stackyard }
}
