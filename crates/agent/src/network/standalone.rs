//! `stackyard agent standalone`: serves Docker and CNI plugins with credentials of the cloud.

use crate::network::docker::plugin;
use crate::network::options::PoolSize;
use crate::network::port_manager::{Frontend, PortManager, PortSource, naming};
use crate::network::wiring::{self, HostWiring};
use crate::network::{Error, cni, load_balancer, prefetch, reconcile, warm_pool};
use crate::state::StateDir;
use stackyard_core::progress::Onlooker;
use stackyard_openstack::Cloud;
use stackyard_wire::{Ovsdb, Remote, Switch};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    let frontend = |frontend: Frontend, state: &StateDir| -> Result<Arc<PortManager>, Error> {
        let (kuryr, pool) = match frontend {
            Frontend::Docker => (options.kuryr, options.pool),
            Frontend::Cni => (false, PoolSize::default()),
        };
        let owner = format!("{}:{}", frontend.word(), options.name);
        let wiring = Box::new(HostWiring::new(switch.clone(), owner, naming(kuryr)));
        let source = PortSource::Cloud(options.cloud.clone());
        let manager = PortManager::new(frontend, &options.name, source, wiring, state, onlooker.clone())?;
        Ok(Arc::new(PortManager { kuryr, pool, host: host.clone(), ..manager }))
    };
    let docker = frontend(Frontend::Docker, &state)?;
    let cni_ports = frontend(Frontend::Cni, &StateDir::open(state.path().join("cni"))?)?;
    let listener = plugin::listen(&options.plugins, &docker.name)?;
    let cni_listener = cni::listen(&options.cni)?;
    docker.say(format!(
        "network driver {} serves Docker, {} CNI plugins; ports are bound to host {:?} of cloud {}",
        docker.name,
        options.cni.display(),
        docker.host,
        options.cloud.config().name
    ));
    tokio::select! {
        ended = plugin::serve(listener, docker.clone()) => ended,
        () = cni::serve(cni_listener, cni_ports.clone()) => Ok(()),
        () = reconcile::keep(&docker, options.reconcile) => Ok(()),
        () = reconcile::keep(&cni_ports, options.reconcile) => Ok(()),
        () = warm_pool::keep(&docker) => Ok(()),
        () = warm_pool::keep(&cni_ports) => Ok(()),
        () = prefetch::keep(&docker) => Ok(()),
        () = load_balancer::keep(&docker) => Ok(()),
        () = load_balancer::keep(&cni_ports) => Ok(()),
    }
}
