//! Ports of containers on hosts that are Nova servers: agents ask over their tunnel, the server asks Neutron here.
//!
//! ```text
//!   container ── VLAN ── NIC of the host ── trunk on Neutron's port of that NIC ── the container's own port
//! ```
//!
//! where the cloud has trunks and the host's kernel VLANs ([`trunk`], [`subport`]). Elsewhere ([`nic`])
//!
//! ```text
//!   container ── macvlan or ipvlan ── NIC of the host ── Neutron's port of that NIC
//!                                                         allowed_address_pairs: the container's address
//!   the container's own port: unbound; it keeps the address, and says whose it is
//! ```
//!
//! A host may ask for networks that its NICs are in and, by a trunk, for others of its yard; and for ports of its own
//! containers. Which server it is, is not believed but looked up: the yard's server of the host's name, by its mark.
//! Ports carry the yard's mark, so that `down` and `sweep` find them, and whose they are: `HOST/NETWORK/ENDPOINT`, the
//! host's id here and Docker's ids; in `device_id`, or in the name, since Neutron takes no port with a `device_id` into
//! a trunk (`services/trunk/rules.py`, `check_not_in_use`).
//!
//! A macvlan's MAC address begins with `02:59`, and is not that of the container's port: a cloud that knows where a
//! port's MAC address is would send the container's packets there, and an unbound port is nowhere. OVN lets a port use
//! its own MAC address alone (neutron, `validate_port_allowed_address_pairs_vrrp_mac`): there links are ipvlans,
//! which have the NIC's.
//!
//! Made in this order: port, pair; removed in the other. So no address is let through without a port that has it, and
//! a killed server leaves a port without a pair, which the agent finds, or [`sweep`] once the host is removed.

mod exposed;
mod floating_ip;
mod members;
mod network;
mod nic;
mod pairs;
mod policy;
mod stack_group;
mod subport;
mod sweep;
mod trunk;

use crate::broker::{DeletePort, PoolBroker, PortBroker};
use crate::container_port::{DEVICE_OWNER, SUBPORT, ips, is_ours, mac_on, whose};
use crate::extras::{Extras, short};
use crate::project::{ProjectScope, scope_of};
use crate::{Error, KeyedMutex, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use policy::Lookups;
use serde_json::json;
use stackyard_core::agent::{
    ContainerPort, HostNetwork, NewContainerPort, NewPoolMember, PoolMember, PortAddress, PortLink,
};
use stackyard_core::yard::{Key, Kind, Mark, POOL_METADATA};
use stackyard_openstack::{Cloud, FixedIp, Port, Server};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use trunk::{NoTrunk, Trunks};

/// The kinds of links of agents that name none.
const OLDER_LINKS: [PortLink; 2] = [PortLink::Macvlan, PortLink::Ipvlan];

/// A host of a yard whose containers get ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YardHost {
    /// The server's id of the host.
    pub id: String,
    /// Its name, unique in its yard.
    pub name: String,
    /// The yard.
    pub yard: String,
    /// The pool; empty for a machine that belongs to none.
    pub pool: String,
    /// The Nova server that its agent says it is: a hint for the case that several have its name and mark.
    pub server_id: Option<String>,
}

impl YardHost {
    /// Whether that is the port of one of its containers.
    fn owns(&self, port: &Port) -> bool {
        whose(port).is_some_and(|(host, ..)| host == self.id)
    }

    /// Whose a container's port is, as its name or `device_id` says.
    fn device(&self, docker_network: &str, endpoint: &str) -> String {
        format!("{}/{docker_network}/{endpoint}", self.id)
    }

    /// The tag by which a user says that the yard's containers may use a port, a floating IP or a pool that exists.
    fn tag(&self) -> String {
        format!("stackyard:{}", self.yard)
    }
}

/// Container ports of all hosts of yards: what is remembered of their clouds between requests. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HostPorts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Ports of hosts' NICs as they were last, by the host's id.
    nics: Mutex<HashMap<String, Vec<Port>>>,
    /// Names of clouds that let a port use its own MAC address alone.
    own_mac_alone: Mutex<HashSet<String>>,
    /// Held, by a port's id, while its pairs are changed.
    pair_locks: KeyedMutex,
    trunks: Trunks,
    lookups: Lookups,
    /// Ports that are out of their trunk for a moment.
    moving: Mutex<HashSet<String>>,
    /// Extras of containers without a port, by id, and since when.
    strays: Mutex<HashMap<String, Instant>>,
}

impl HostPorts {
    /// Whether the cloud has trunks (Neutron's extension `trunk`), so that containers' ports can be behind hosts' NICs.
    ///
    /// # Errors
    /// The cloud refused.
    pub async fn has_trunks(&self, cloud: &Cloud) -> Result<bool> {
        self.0.has_trunks(cloud).await
    }

    /// The broker of one host's containers. `cloud` is the one that the host's yard is in.
    pub fn broker(&self, cloud: Cloud, host: YardHost) -> HostBroker {
        HostBroker {
            shared: self.0.clone(),
            cloud,
            host,
        }
    }
}

/// Makes ports for one host's containers, straight from Neutron.
#[derive(Debug, Clone)]
pub struct HostBroker {
    shared: Arc<Shared>,
    cloud: Cloud,
    host: YardHost,
}

/// The Nova server that a host is: the yard's server of its name, by its mark. What its agent says of itself only chooses
/// between duplicates.
///
/// # Errors
/// The cloud refused.
pub async fn server_of(
    cloud: &Cloud,
    host: &YardHost,
) -> stackyard_openstack::Result<Option<Server>> {
    // Nova's names are regular expressions; those of hosts have no signs in them.
    let query = [("name", &*format!("^{}$", host.name))];
    let mut its: Vec<Server> = cloud.list(&query).await?;
    let (scope, key) = (scope_of(cloud).await?, Key::new(Kind::Server, &host.name));
    its.retain(|s| {
        Mark::from_metadata(&s.metadata).is_some_and(|m| m.is_of(&host.yard, &scope, &key))
            && s.metadata.get(POOL_METADATA) == Some(&host.pool)
    });
    // After a run that was interrupted there may be duplicates.
    let is_said = |s: &Server| {
        host.server_id
            .as_deref()
            .is_some_and(|id| id.eq_ignore_ascii_case(&s.id))
    };
    let chosen = its.iter().position(is_said).unwrap_or(0);
    Ok((chosen < its.len()).then(|| its.swap_remove(chosen)))
}

/// Whether a container's port was made to be behind a trunk, or is there: then no pair of a NIC is for it.
fn is_for_trunk(port: &Port) -> bool {
    port.device_owner != DEVICE_OWNER || port.device_id.is_empty()
}

/// The ports of all hosts' containers.
async fn containers(cloud: &Cloud) -> Result<Vec<Port>> {
    let project = ProjectScope::of(cloud).await?.project;
    let mut query = vec![("project_id", project.as_str())];
    query.extend([DEVICE_OWNER, SUBPORT, ""].map(|owner| ("device_owner", owner)));
    let failed = Error::cloud("listing the ports of containers");
    let mut all: Vec<Port> = cloud.list(&query).await.map_err(failed)?;
    all.retain(|p| whose(p).is_some());
    Ok(all)
}

/// Refuses what cannot be one of Docker's ids.
fn check_id(id: &str) -> Result<()> {
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Error::refused(
        "network and endpoint must be named by Docker's ids",
    ))
}

/// The addresses that a new port is to have.
fn fixed_ips(new: &NewContainerPort) -> Vec<FixedIp> {
    let fixed = |a: &PortAddress| FixedIp {
        subnet_id: a.subnet.clone(),
        ip_address: a.address.map(|address| address.to_string()),
    };
    new.addresses.iter().map(fixed).collect()
}

fn addresses(port: &Port) -> Vec<PortAddress> {
    let address = |ip: &FixedIp| PortAddress {
        subnet: ip.subnet_id.clone(),
        address: ip.ip_address.as_deref().and_then(|a| a.parse().ok()),
    };
    port.fixed_ips.iter().map(address).collect()
}

fn container_port(port: &Port, link: PortLink, mac: String, parent_mac: String) -> ContainerPort {
    let (_, docker_network, endpoint) = whose(port).unwrap_or_default();
    ContainerPort {
        id: port.id.clone(),
        docker_network: docker_network.to_owned(),
        endpoint: endpoint.to_owned(),
        network: port.network_id.clone(),
        link,
        mac,
        addresses: addresses(port),
        parent_mac,
        vlan: None,
    }
}

impl HostBroker {
    async fn project(&self) -> Result<ProjectScope> {
        ProjectScope::of(&self.cloud).await
    }

    /// The mark of a resource of the host's yard.
    async fn mark(&self, kind: Kind, name: impl Into<String>) -> Result<Mark> {
        Ok(self.project().await?.mark(&self.host.yard, kind, name))
    }

    /// The mark of a container's port.
    async fn port_mark(&self, endpoint: &str) -> Result<String> {
        let name = format!("{}.{}", self.host.name, short(endpoint));
        Ok(self.mark(Kind::Port, name).await?.to_string())
    }

    /// The ports of the host's NICs, as the cloud has them now; none if no server is that host.
    async fn nics(&self) -> Result<Vec<Port>> {
        let doing = format!("looking up the server that host {} is", self.host.name);
        let server = server_of(&self.cloud, &self.host).await;
        let nics: Vec<Port> = match server.map_err(Error::cloud(doing.as_str()))? {
            Some(server) => {
                let query = [("device_id", server.id.as_str())];
                self.cloud.list(&query).await.map_err(Error::cloud(doing))?
            }
            None => Vec::new(),
        };
        self.shared
            .nics
            .lock()
            .insert(self.host.id.clone(), nics.clone());
        Ok(nics)
    }

    /// The port of the host's NIC in a network, as it was last.
    async fn nic(&self, network: &str) -> Result<Option<Port>> {
        let find = |nics: &[Port]| nics.iter().find(|p| p.network_id == network).cloned();
        let known = self
            .shared
            .nics
            .lock()
            .get(&self.host.id)
            .and_then(|nics| find(nics));
        match known {
            Some(nic) => Ok(Some(nic)),
            None => Ok(find(&self.nics().await?)),
        }
    }

    /// Has the host's NICs looked up again: they may be others by now.
    fn forget_nics(&self) {
        self.shared.nics.lock().remove(&self.host.id);
    }

    /// Explains why the host has no NIC, if that is because it is no server.
    fn no_server(&self) -> String {
        let Self { cloud, host, .. } = self;
        if self
            .shared
            .nics
            .lock()
            .get(&host.id)
            .is_some_and(|nics| !nics.is_empty())
        {
            return String::new();
        }
        format!(
            ": it is no server of a pool of yard {} on cloud {}, and only containers on those get ports through the server",
            host.yard,
            cloud.config().name
        )
    }

    async fn create_port(&self, new: &NewContainerPort) -> Result<ContainerPort> {
        check_id(&new.docker_network)?;
        check_id(&new.endpoint)?;
        let links = if new.links.is_empty() {
            &OLDER_LINKS[..]
        } else {
            &new.links
        };
        let mut without = None;
        if links.contains(&PortLink::Vlan) {
            match self.trunk(&new.network).await {
                Ok((trunk, nic)) => return self.create_subport(&trunk, &nic, new).await,
                Err(NoTrunk::Never(why)) => without = Some(why),
                Err(NoTrunk::Failed(e)) => return Err(e),
            }
        }
        let without = without.unwrap_or_else(|| {
            let words: Vec<&str> = links.iter().map(|link| link.word()).collect();
            let words = words.join(" or ");
            format!("it can be {words} (what the host's kernel has, and option `link`)")
        });
        if let Some(option) = new.options.named().first() {
            return Err(Error::refused(format!(
                "option `{option}` is for containers whose link is a trunk's; here, {without}"
            )));
        }
        let kinds: Vec<PortLink> = links
            .iter()
            .copied()
            .filter(|link| *link != PortLink::Vlan)
            .collect();
        if kinds.is_empty() {
            return Err(Error::refused(format!(
                "there is no trunk to be had for it: {without}"
            )));
        }
        self.create_on_nic(new, &kinds, &without).await
    }

    /// A port of the host's containers; refuses any other.
    async fn own_port(&self, id: &str, doing: &str) -> Result<Port> {
        let port: Port = self.cloud.get(id).await.map_err(Error::cloud(doing))?;
        self.check_own(&port)?;
        Ok(port)
    }

    fn check_own(&self, port: &Port) -> Result<()> {
        if self.host.owns(port) {
            return Ok(());
        }
        let (id, name) = (&port.id, &self.host.name);
        Err(Error::refused(format!(
            "port {id} is no port of a container of host {name}"
        )))
    }

    /// Gives a port of the host's containers to another endpoint of the same network.
    async fn rename_port(&self, id: &str, endpoint: &str) -> Result<()> {
        check_id(endpoint)?;
        let doing = format!("naming port {id}");
        let port = self.own_port(id, &doing).await?;
        let (_, network, _) = whose(&port).unwrap_or_default();
        let place = if port.device_id.is_empty() {
            "name"
        } else {
            "device_id"
        };
        let device = self.host.device(network, endpoint);
        let names = json!({place: device, "description": self.port_mark(endpoint).await?});
        self.cloud
            .update::<Port>(id, &names)
            .await
            .map(drop)
            .map_err(Error::cloud(doing))
    }

    async fn delete_port(&self, gone: &DeletePort) -> Result<()> {
        let failed = || Error::cloud(format!("removing port {}", gone.port));
        let port: Port = match self.cloud.get(&gone.port).await {
            Err(e) if e.is_not_found() => {
                return self
                    .close_free_addresses(&gone.network, &gone.addresses)
                    .await;
            }
            other => other.map_err(failed())?,
        };
        self.check_own(&port)?;
        if is_for_trunk(&port) {
            let extras = Extras {
                floating_ip: gone.floating_ip,
                exposed: gone.exposed,
            };
            let endpoint = whose(&port)
                .map(|(.., endpoint)| endpoint)
                .unwrap_or_default();
            return self.delete_subport(&port, extras, endpoint).await;
        }
        self.close_addresses(&port.network_id, &ips(&port)).await?;
        self.cloud
            .delete::<Port>(&gone.port)
            .await
            .map(drop)
            .map_err(failed())
    }

    async fn list_ports(&self) -> Result<Vec<ContainerPort>> {
        let all = containers(&self.cloud).await?;
        let own: Vec<&Port> = all.iter().filter(|p| self.host.owns(p)).collect();
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let nics = self.nics().await?;
        let trunks = match own.iter().any(|p| is_for_trunk(p)) {
            true => self.trunks_of(&nics).await?,
            false => Vec::new(),
        };
        let mut listed = Vec::new();
        for port in own {
            if is_for_trunk(port) {
                listed.extend(self.read_subport(&nics, &trunks, port).await?);
                continue;
            }
            let nic = nics.iter().find(|n| n.network_id == port.network_id);
            let parent = nic.map(|n| n.mac_address.clone()).unwrap_or_default();
            let mac = mac_on(nic, port);
            let link = if is_ours(&mac) {
                PortLink::Macvlan
            } else {
                PortLink::Ipvlan
            };
            listed.push(container_port(port, link, mac, parent));
        }
        Ok(listed)
    }
}

impl PortBroker for HostBroker {
    fn network<'a>(
        &'a self,
        wanted: Option<&'a str>,
        links: &'a [PortLink],
    ) -> BoxFuture<'a, Result<HostNetwork>> {
        self.find_network(wanted, links).boxed()
    }

    fn create<'a>(&'a self, new: &'a NewContainerPort) -> BoxFuture<'a, Result<ContainerPort>> {
        self.create_port(new).boxed()
    }

    fn delete<'a>(&'a self, gone: &'a DeletePort) -> BoxFuture<'a, Result<()>> {
        self.delete_port(gone).boxed()
    }

    fn other_vlan<'a>(
        &'a self,
        port: &'a str,
        taken: &'a [u16],
    ) -> BoxFuture<'a, Result<ContainerPort>> {
        self.change_vlan(port, taken).boxed()
    }

    fn rename<'a>(&'a self, port: &'a str, endpoint: &'a str) -> BoxFuture<'a, Result<()>> {
        self.rename_port(port, endpoint).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ContainerPort>>> {
        self.list_ports().boxed()
    }
}

impl PoolBroker for HostBroker {
    fn pool<'a>(&'a self, wanted: &'a str) -> BoxFuture<'a, Result<(String, IpAddr)>> {
        self.find_pool(wanted).boxed()
    }

    fn members<'a>(
        &'a self,
        pools: &'a [String],
    ) -> BoxFuture<'a, Result<BTreeMap<String, Vec<PoolMember>>>> {
        self.list_members(pools).boxed()
    }

    fn enlist<'a>(
        &'a self,
        pool: &'a str,
        members: &'a [NewPoolMember],
    ) -> BoxFuture<'a, Result<()>> {
        self.add_members(pool, members).boxed()
    }

    fn dismiss<'a>(&'a self, pool: &'a str, member: &'a str) -> BoxFuture<'a, Result<()>> {
        self.remove_member(pool, member).boxed()
    }
}
