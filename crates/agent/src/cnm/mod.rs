//! Containers on Neutron networks: Docker's network and IPAM drivers ("CNM"), stand-alone and on hosts of a yard.
//!
//! Docker calls a plugin for each step of a container's network. Here a Docker network is a Neutron
//! network, and an endpoint of a container is a Neutron port, plugged on this host by [`stackyard_wire`]:
//!
//! ```text
//!  docker run ──> dockerd ──(Unix socket, `plugin`)──┐
//!                                                    v
//!   RequestAddress   `pools`       an address; without `--ip` the port is made here (POST), and begun to be plugged
//!   CreateEndpoint   `endpoints`   the port, if it is not made yet (POST); plugged
//!   Join             `endpoints`   wait until the local controller has wired it; gateway, routes; addresses are
//!                                  announced soon after (`announce`)
//!   DeleteEndpoint   `endpoints`   unplugged; the port goes (DELETE)
//!
//!   `ahead`          ports for containers that are about to start, when several start together
//!   `pool`           ports that are ready before they are asked for: then none of the above asks Neutron
//!   `load_balancer`  members of load balancers' pools, made and removed beside the above
//!   `reconcile`      at the start and from then on: ports <-> containers <-> switch
//! ```
//!
//! When the port is made. Docker tells the options of an endpoint (security groups ...) with
//! CreateEndpoint, but wants an address before, with RequestAddress. With Docker's IPAM driver `null`,
//! or with `--ip`, all is known when CreateEndpoint comes, and one POST has everything in its body.
//! Where our IPAM driver is to choose, the port is made at once, with what its network says, and
//! CreateEndpoint finds it by its addresses and changes it only if the endpoint has options of its own.
//!
//! What it guarantees:
//!
//! - One POST for an attach and one DELETE for a detach; what an endpoint wants beside its port (`floating_ip`,
//!   `firewall`, `expose`) costs requests of its own, and none if it wants none. Whether a port
//!   is ready is learnt from Open vSwitch on this host: Neutron is never polled.
//! - What is made carries this plugin's place and the Docker network (ports also `device_owner` and `device_id`) in
//!   the request that makes it. Killed at any point, the next pass of `reconcile` finds what belongs to
//!   nobody, and containers that have lost their port. What it has not seen for a while to be anybody's,
//!   it removes; while Docker does not answer, it removes nothing.
//! - Asked again for what it has done, it gives the same answer.
//!
//! Stand-alone means that this process has credentials of the cloud. Hosts of a yard have none: there the server
//! asks Neutron, and containers are macvlans on the host's own NIC (`yard`).

mod ahead;
pub(crate) mod announce;
mod balancers;
#[cfg(test)]
mod edges;
mod endpoints;
mod error;
mod expose;
mod firewall;
mod floating_ip;
#[cfg(test)]
mod kills;
mod kuryr;
pub(crate) mod ledger;
mod load_balancer;
pub(crate) mod mark;
pub(crate) mod names;
pub(crate) mod networks;
pub(crate) mod options;
#[cfg(test)]
pub(crate) mod paper;
mod plugin;
mod pool;
mod pools;
pub(crate) mod ports;
mod protocol;
mod publish;
pub(crate) mod reconcile;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod turns;
mod way_out;
pub(crate) mod wiring;
pub(crate) mod yard;

use crate::log::agent_note;
use crate::server_link::rpc::AskServer;
use crate::state::StateDir;
pub use error::Error;
use ledger::{Endpoint, Ledger};
use names::Names;
pub use options::PoolSize;
use pools::Wanted;
use stackyard_core::progress::Onlooker;
use stackyard_core::text::error_chain;
use stackyard_openstack::Cloud;
use stackyard_wire::binding::{Naming, Vif};
use stackyard_wire::{Ovsdb, Remote, Switch};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use turns::Turns;
use wiring::{Local, Wiring};

/// The plugin's name, unless it is given another.
pub const PLUGIN: &str = "stackyard";

/// Where Docker looks for plugins.
pub const PLUGINS: &str = "/run/docker/plugins";

/// What the plugin is started with.
pub struct Options {
    /// Its name: the driver's in `docker network create`.
    pub name: String,
    /// Where its socket goes.
    pub plugins: PathBuf,
    /// Where it keeps what it must not forget.
    pub state: PathBuf,
    /// The database of Open vSwitch; none on a host without, whose ports are in bridges of the kernel.
    pub ovsdb: Option<Remote>,
    /// Whether it takes kuryr-libnetwork's place.
    pub kuryr: bool,
    /// This host's name in Neutron; that of Open vSwitch's database if absent.
    pub host: Option<String>,
    /// The cloud.
    pub cloud: Cloud,
    /// How many ports each network keeps ready unless it says otherwise.
    pub pool: PoolSize,
    /// How often the reconciler runs, and for how long something must be nobody's before it is removed.
    pub reconcile: Duration,
    /// Where the socket for CNI plugins goes.
    pub cni: PathBuf,
}

/// Who asks for ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// Docker's network driver.
    Docker,
    /// CNI plugins ([`crate::cni`]): container runtimes.
    Cni,
}

impl Front {
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
pub(crate) enum Source {
    /// A cloud, with credentials of this process's own.
    Cloud(Cloud),
    /// The server of the yard that this host is of.
    Server(Arc<dyn AskServer>),
}

/// What all calls share.
pub(crate) struct Plugin {
    pub(crate) front: Front,
    pub(crate) name: String,
    pub(crate) kuryr: bool,
    pub(crate) host: String,
    pub(crate) source: Source,
    /// Whether the cloud takes tags with what is made; asked for once, and only in kuryr's place.
    pub(crate) tags: tokio::sync::OnceCell<bool>,
    /// Whether the cloud has QoS policies that this user may make; asked for once.
    pub(crate) qos: std::sync::Mutex<Option<bool>>,
    pub(crate) wiring: Box<dyn Wiring>,
    /// How Neutron has bound the last port of each network: links for the next one are made while it is asked for it.
    pub(crate) bound: std::sync::Mutex<HashMap<String, Vif>>,
    /// Links of ports that are not plugged yet.
    pub(crate) prepared: std::sync::Mutex<HashMap<String, wiring::Prepared>>,
    /// Ports that are being plugged before there is an endpoint.
    pub(crate) plugging: std::sync::Mutex<HashMap<String, tokio::task::JoinHandle<Result<(), Error>>>>,
    pub(crate) ledger: Ledger,
    pub(crate) names: Names,
    pub(crate) wanted: Wanted,
    pub(crate) pool: PoolSize,
    pub(crate) pools: pool::Pools,
    pub(crate) ahead: ahead::Ahead,
    pub(crate) members: load_balancer::Members,
    pub(crate) started: tokio::time::Instant,
    /// Docker networks that are gone, and whose Neutron networks others use: so much was said.
    pub(crate) left_in_use: std::sync::Mutex<HashSet<String>>,
    pub(crate) turns: Turns,
    pub(crate) onlooker: Arc<dyn Onlooker>,
}

impl Plugin {
    /// One on a host that bears no name in Neutron, in nobody's place, without ports that are ready before.
    pub(crate) fn new(
        front: Front,
        name: &str,
        source: Source,
        wiring: Box<dyn Wiring>,
        state: &StateDir,
        onlooker: Arc<dyn Onlooker>,
    ) -> Result<Self, crate::Error> {
        Ok(Self {
            front,
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
            names: Names::default(),
            wanted: Wanted::default(),
            pool: PoolSize::default(),
            pools: pool::Pools::new(),
            ahead: ahead::Ahead::default(),
            members: load_balancer::Members::default(),
            started: tokio::time::Instant::now(),
            left_in_use: std::sync::Mutex::default(),
            turns: Turns::default(),
            onlooker,
        })
    }

    /// The cloud itself.
    pub(crate) fn cloud(&self) -> Result<&Cloud, Error> {
        match &self.source {
            Source::Cloud(cloud) => Ok(cloud),
            Source::Server(_) => Err(Error::request("a host of a yard does not speak to the cloud itself")),
        }
    }

    /// The name under which an endpoint's link is found on this host: the host's end, or a macvlan that no
    /// container has.
    pub(crate) fn device_here(&self, endpoint: &Endpoint) -> String {
        let (host, container) = self.devices(endpoint);
        match self.source {
            Source::Cloud(_) => host,
            Source::Server(_) => container,
        }
    }

    /// Whose marks are this plugin's.
    pub(crate) fn place(&self) -> String {
        format!("stackyard-{}:{}@{}", self.front.word(), self.name, self.host)
    }

    /// By what its ports are used.
    pub(crate) fn device_owner(&self) -> &'static str {
        if self.kuryr { kuryr::words::DEVICE_OWNER } else { mark::DEVICE_OWNER }
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

fn naming(kuryr: bool) -> Naming {
    if kuryr { Naming::Kuryr } else { Naming::Stackyard }
}

/// Serves Docker and CNI plugins, for ever.
///
/// # Errors
/// What is wrong before the first call: the state directory, a socket, no name of this host.
pub async fn run(options: Options, onlooker: Arc<dyn Onlooker>) -> Result<(), Error> {
    let state = StateDir::open(&options.state)?;
    let _lock = state.lock()?;
    let switch = options.ovsdb.map(|remote| Switch::new(Ovsdb::new(remote)));
    let host = match (options.host, &switch) {
        (Some(host), _) => host,
        (None, Some(switch)) => wiring::host_name(switch.clone()).await?,
        (None, None) => return Err(Error::NoHostName),
    };
    let front = |front: Front, state: &StateDir| -> Result<Arc<Plugin>, Error> {
        let (kuryr, pool) = match front {
            Front::Docker => (options.kuryr, options.pool),
            Front::Cni => (false, PoolSize::default()),
        };
        let owner = format!("{}:{}", front.word(), options.name);
        let wiring = Box::new(Local::new(switch.clone(), owner, naming(kuryr)));
        let source = Source::Cloud(options.cloud.clone());
        let plugin = Plugin::new(front, &options.name, source, wiring, state, onlooker.clone())?;
        Ok(Arc::new(Plugin { kuryr, pool, host: host.clone(), ..plugin }))
    };
    let docker = front(Front::Docker, &state)?;
    let cni = front(Front::Cni, &StateDir::open(state.path().join("cni"))?)?;
    let listener = plugin::listen(&options.plugins, &docker.name)?;
    let for_cni = crate::cni::listen(&options.cni)?;
    docker.say(format!(
        "network driver {} serves Docker, {} CNI plugins; ports are bound to host {:?} of cloud {}",
        docker.name,
        options.cni.display(),
        docker.host,
        options.cloud.config().name
    ));
    tokio::select! {
        ended = plugin::serve(listener, docker.clone()) => ended,
        () = crate::cni::serve(for_cni, cni.clone()) => Ok(()),
        () = reconcile::keep(&docker, options.reconcile) => Ok(()),
        () = reconcile::keep(&cni, options.reconcile) => Ok(()),
        () = pool::keep(&docker) => Ok(()),
        () = pool::keep(&cni) => Ok(()),
        () = ahead::keep(&docker) => Ok(()),
        () = load_balancer::keep(&docker) => Ok(()),
        () = load_balancer::keep(&cni) => Ok(()),
    }
}
