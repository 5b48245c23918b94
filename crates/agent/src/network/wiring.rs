//! This host's side of a port, off the threads that answer Docker: [`stackyard_wire`] blocks.

use crate::link_kinds::link_kinds;
use crate::network::ledger::Endpoint;
use crate::network::{Error, docker_bridge};
use futures_util::future::BoxFuture;
use ipnet::{IpNet, Ipv4Net};
use stackyard_core::agent::PortLink;
use stackyard_wire::binding::{self, Found, Naming, Plug, Vif};
use stackyard_wire::namespace::Namespace;
use stackyard_wire::{Switch, WayOut, link};
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Longest time for the local controller to wire a port.
const WIRED_WITHIN: Duration = Duration::from_secs(30);

/// By what kuryr finds a port that it unplugs (kuryr-lib 3.5.0, `libexec/kuryr/ovs`, `ovs_unbind_port`).
const KURYRS: [(&str, &str); 1] = [("owner", "kuryr")];

/// Plugs ports on this host.
pub(crate) trait Wiring: Send + Sync {
    /// Makes an endpoint's links, if not of what was prepared for it, and puts them on the switch; the container's end
    /// where it is to be, if that is known.
    fn plug(
        &self,
        endpoint: &Endpoint,
        mtu: u32,
        container_end: Option<&Arc<ContainerEnd>>,
        prepared: Option<PreparedLink>,
    ) -> BoxFuture<'static, Result<(), Error>>;
    /// Makes what it can of a port on a network that is still to be made; what that is called, if anything was made.
    fn prepare(
        &self,
        vif: &Vif,
        mtu: u32,
        container_end: Option<&Arc<ContainerEnd>>,
    ) -> BoxFuture<'_, Result<Option<PreparedLink>, Error>>;
    /// Removes what was prepared.
    fn discard(&self, prepared: PreparedLink) -> BoxFuture<'_, Result<(), Error>>;
    /// Puts the host's end on the switch again, for a container that runs; whether there is one.
    fn rewire(&self, endpoint: &Endpoint, mtu: u32) -> BoxFuture<'_, Result<bool, Error>>;
    /// Waits until the local controller has wired it.
    fn ready(&self, endpoint: &Endpoint) -> BoxFuture<'_, Result<(), Error>>;
    /// Removes an endpoint's links.
    fn unplug(&self, endpoint: &Endpoint) -> BoxFuture<'_, Result<(), Error>>;
    /// What there is of this plugin's on the host.
    fn plugged(&self) -> BoxFuture<'_, Result<Vec<Found>, Error>>;
    /// Names of all links of the host.
    fn links(&self) -> BoxFuture<'_, Result<HashSet<String>, Error>>;
    /// Whether the switch's database answers.
    fn answers(&self) -> BoxFuture<'_, Result<(), Error>>;
    /// What links on another the kernel can make, the kind first that can do most.
    fn kinds(&self) -> BoxFuture<'_, Result<Vec<PortLink>, Error>>;
    /// Removes such a thing, of which nothing else is known any more.
    fn remove(&self, found: &Found) -> BoxFuture<'_, Result<(), Error>>;
    /// Makes the rule that Docker's published ports need here. Returns the networks of Docker's bridge, none before Docker
    /// has made it.
    fn publisher(&self) -> BoxFuture<'_, Result<Vec<Ipv4Net>, Error>>;
    /// Looks whether that is still there, or ends it.
    fn keep_publisher(&self, wanted: bool) -> BoxFuture<'_, Result<(), Error>>;
    /// Makes the ways out of the container with this namespace, or those that are missing.
    fn keep_ways_out(&self) -> KeepWaysOut;
}

/// By the file of a container's namespace, and what its ways out are to be.
pub(crate) type KeepWaysOut =
    Arc<dyn Fn(PathBuf, Vec<WayOut>) -> BoxFuture<'static, Result<NamespaceSetup, Error>> + Send + Sync>;

/// How far Docker is with a container's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamespaceSetup {
    /// There is no namespace, not yet or no longer.
    Absent,
    /// Some links are missing.
    Partial,
    Whole,
}

/// Where a container's end of a link goes.
#[derive(Debug)]
pub(crate) struct ContainerEnd {
    pub(crate) namespace: Namespace,
    /// Its name there.
    pub(crate) name: String,
}

impl ContainerEnd {
    fn as_link(&self) -> link::Home<'_> {
        link::Home { namespace: &self.namespace, name: &self.name }
    }
}

/// Links that no port has yet.
#[derive(Debug)]
pub(crate) struct PreparedLink {
    /// What they are named after.
    pub(crate) link: String,
    vif: Vif,
}

impl PreparedLink {
    pub(crate) fn new(vif: &Vif) -> Self {
        // As much of an id as a name has: chance keeps it apart from ports' ids.
        let link = format!("{:011x}", rand::random::<u64>() >> 20);
        Self { link, vif: vif.clone() }
    }

    /// Whether a port that Neutron has bound so can have them.
    pub(crate) fn fits(&self, vif: &Vif) -> bool {
        self.vif == *vif
    }
}

/// This host.
pub(crate) struct HostWiring {
    /// Neutron's switch, where there is one.
    switch: Option<Switch>,
    /// By what the switch knows this plugin's ports.
    owner: String,
    naming: Naming,
    /// Whether there is the rule by which published ports answer; absent: not known yet.
    publishes: Mutex<Option<bool>>,
    /// What the kernel can make, once it was asked.
    kinds: OnceCell<Vec<PortLink>>,
}

impl HostWiring {
    pub(crate) fn new(switch: Option<Switch>, owner: String, naming: Naming) -> Self {
        Self { switch, owner, naming, publishes: Mutex::new(None), kinds: OnceCell::new() }
    }

    fn publishes(&self) -> MutexGuard<'_, Option<bool>> {
        self.publishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn set_publishing(&self, wanted: bool) -> Result<(), Error> {
        let owner = format!("stackyard-{}", self.owner);
        let set = tokio::task::spawn_blocking(move || docker_bridge::set_rule(&owner, wanted)).await;
        set.map_err(|e| Error::request(format!("cannot publish ports on this host: {e}")))??;
        *self.publishes() = Some(wanted);
        Ok(())
    }

    /// Does something with an endpoint's driver on a thread that may block.
    fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        endpoint: &Endpoint,
        mtu: u32,
        container_end: Option<&Arc<ContainerEnd>>,
        work: impl FnOnce(&dyn binding::Driver, &Plug<'_>) -> Result<T, stackyard_wire::Error> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let (switch, owner, endpoint) = (self.switch.clone(), self.owner.clone(), endpoint.clone());
        let container_end = container_end.cloned();
        let (host, container) = self.naming.devices(&endpoint.vif, &endpoint.link);
        let ids: &[_] = if self.naming == Naming::Kuryr { &KURYRS } else { &[] };
        let doing = format!("{doing} port {} (MAC address {})", endpoint.port, endpoint.mac);
        blocking(doing, move || {
            let Endpoint { port, mac, vif, .. } = &endpoint;
            let driver = binding::driver(vif, switch.as_ref())?;
            let container_end = container_end.as_deref().map(ContainerEnd::as_link);
            work(
                &*driver,
                &Plug { host: &host, container: &container, port, mac, mtu, owner: &owner, ids, home: container_end },
            )
        })
    }
}

impl Wiring for HostWiring {
    fn plug(
        &self,
        endpoint: &Endpoint,
        mtu: u32,
        container_end: Option<&Arc<ContainerEnd>>,
        prepared: Option<PreparedLink>,
    ) -> BoxFuture<'static, Result<(), Error>> {
        let limit = endpoint.limits.ingress;
        let ends = prepared.map(|p| self.naming.devices(&p.vif, &p.link));
        self.with("plug", endpoint, mtu, container_end, move |driver, plug| {
            let is_settled = match &ends {
                Some((host, container)) if driver.settle((host, container), plug).is_err() => {
                    // Then it is made anew.
                    link::delete(host)?;
                    false
                }
                ends => ends.is_some(),
            };
            if !is_settled {
                driver.plug(plug)?;
            }
            limit.map_or(Ok(()), |rate| stackyard_wire::limit(plug.host, &rate))
        })
    }

    fn prepare(
        &self,
        vif: &Vif,
        mtu: u32,
        container_end: Option<&Arc<ContainerEnd>>,
    ) -> BoxFuture<'_, Result<Option<PreparedLink>, Error>> {
        let (prepared, container_end) = (PreparedLink::new(vif), container_end.cloned());
        let (switch, owner) = (self.switch.clone(), self.owner.clone());
        let (host, container) = self.naming.devices(vif, &prepared.link);
        blocking("prepare a port".to_owned(), move || {
            let driver = binding::driver(&prepared.vif, switch.as_ref())?;
            let container_end = container_end.as_deref().map(ContainerEnd::as_link);
            let plug = Plug {
                host: &host,
                container: &container,
                port: "",
                mac: "",
                mtu,
                owner: &owner,
                ids: &[],
                home: container_end,
            };
            let is_made = driver.prepare(&plug).inspect_err(|_| drop(driver.unplug(&host, &container)))?;
            Ok(is_made.then_some(prepared))
        })
    }

    fn discard(&self, prepared: PreparedLink) -> BoxFuture<'_, Result<(), Error>> {
        let (host, _) = self.naming.devices(&prepared.vif, &prepared.link);
        blocking(format!("remove link {host}"), move || link::delete(&host).map(drop))
    }

    fn rewire(&self, endpoint: &Endpoint, mtu: u32) -> BoxFuture<'_, Result<bool, Error>> {
        // The link may have got its port's name.
        let named = if endpoint.vif.is_known_by_name() { &endpoint.port } else { &endpoint.link };
        let (host, _) = self.naming.devices(&endpoint.vif, named);
        let limit = endpoint.limits.ingress;
        self.with("plug again", endpoint, mtu, None, move |driver, plug| {
            let is_there = driver.rewire(plug)?;
            limit.filter(|_| is_there).map_or(Ok(()), |rate| stackyard_wire::limit(&host, &rate))?;
            Ok(is_there)
        })
    }

    fn ready(&self, endpoint: &Endpoint) -> BoxFuture<'_, Result<(), Error>> {
        self.with("use", endpoint, 0, None, |driver, plug| driver.wait_ready(plug.host, plug.port, WIRED_WITHIN))
    }

    fn unplug(&self, endpoint: &Endpoint) -> BoxFuture<'_, Result<(), Error>> {
        let (switch, endpoint) = (self.switch.clone(), endpoint.clone());
        let (host, container) = self.naming.devices(&endpoint.vif, &endpoint.link);
        blocking(format!("unplug port {}", endpoint.port), move || {
            match binding::driver(&endpoint.vif, switch.as_ref()) {
                Ok(driver) => driver.unplug(&host, &container),
                // What no driver takes was never plugged.
                Err(_) => Ok(()),
            }
        })
    }

    fn plugged(&self) -> BoxFuture<'_, Result<Vec<Found>, Error>> {
        let (switch, owner, naming) = (self.switch.clone(), self.owner.clone(), self.naming);
        blocking("look up what is plugged".to_owned(), move || binding::find(switch.as_ref(), &owner, naming))
    }

    fn links(&self) -> BoxFuture<'_, Result<HashSet<String>, Error>> {
        blocking("list this host's links".to_owned(), || Ok(link::list()?.into_iter().map(|l| l.name).collect()))
    }

    fn answers(&self) -> BoxFuture<'_, Result<(), Error>> {
        let switch = self.switch.clone();
        blocking("ask the switch".to_owned(), move || switch.map_or(Ok(()), |s| s.host_name().map(drop)))
    }

    fn kinds(&self) -> BoxFuture<'_, Result<Vec<PortLink>, Error>> {
        let ask = || blocking("find out which links this host's kernel has".to_owned(), link_kinds);
        Box::pin(async move { self.kinds.get_or_try_init(ask).await.cloned() })
    }

    fn remove(&self, found: &Found) -> BoxFuture<'_, Result<(), Error>> {
        let (switch, device) = (self.switch.clone(), found.device.clone());
        blocking(format!("remove link {device}"), move || binding::remove(switch.as_ref(), &device))
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Vec<Ipv4Net>, Error>> {
        Box::pin(async {
            let bridge = blocking("look up Docker's bridge".to_owned(), docker_bridge::bridge_networks).await?;
            let is_set = *self.publishes() == Some(true);
            if !is_set {
                self.set_publishing(true).await?;
            }
            Ok(bridge)
        })
    }

    fn keep_publisher(&self, wanted: bool) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let is_gone = *self.publishes() == Some(false);
            // A firewall that is loaded anew takes rules away.
            if wanted || !is_gone { self.set_publishing(wanted).await } else { Ok(()) }
        })
    }

    fn keep_ways_out(&self) -> KeepWaysOut {
        Arc::new(|sandbox, ways| {
            blocking(format!("set the routes in {}", sandbox.display()), move || ways_out_in(&sandbox, &ways))
        })
    }
}

fn ways_out_in(sandbox: &Path, ways: &[WayOut]) -> Result<NamespaceSetup, stackyard_wire::Error> {
    let Ok(namespace) = Namespace::open(sandbox) else { return Ok(NamespaceSetup::Absent) };
    // Where Docker is to put it, or has had it, lies an empty file.
    if !namespace.is_there().unwrap_or(false) {
        return Ok(NamespaceSetup::Absent);
    }
    let bridge = docker_bridge::bridge_networks()?;
    let is_bridges = |address: IpAddr| bridge.iter().any(|net| IpNet::V4(*net).contains(&address));
    Ok(if namespace.keep_ways_out(ways, &is_bridges)? { NamespaceSetup::Whole } else { NamespaceSetup::Partial })
}

/// This host's name in Neutron.
pub(crate) async fn host_name(switch: Switch) -> Result<String, Error> {
    blocking("look up this host's name".to_owned(), move || switch.host_name()).await?.ok_or(Error::NoHostName)
}

fn blocking<T: Send + 'static>(
    doing: String,
    work: impl FnOnce() -> Result<T, stackyard_wire::Error> + Send + 'static,
) -> BoxFuture<'static, Result<T, Error>> {
    Box::pin(async move {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(Error::wire(doing)),
            Err(e) => Err(Error::request(format!("cannot {doing}: {e}"))),
        }
    })
}
