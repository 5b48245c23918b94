//! Ports of containers on hosts that are Nova servers: agents ask over their tunnel, Neutron is asked here.
//!
//! ```text
//!   container ── VLAN ── NIC of the host ── trunk on Neutron's port of that NIC ── the container's own port
//! ```
//!
//! where the cloud has trunks and the host's kernel VLANs ([`trunks`], [`on_trunk`]). Elsewhere
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
//! Made in this order: port, pair; removed in the other. So no address is let through that is nobody's, and what a
//! killed server leaves is a port without a pair, which the agent finds, or [`tidy`] once the host is removed.

mod balancers;
mod beside;
mod exposed;
mod floating;
mod here;
mod network;
mod on_nic;
mod on_trunk;
mod options;
mod pairs;
mod tidy;
mod trunks;

use beside::Beside;
use here::Here;
use options::Memory;
use pairs::Turns;
use parking_lot::Mutex;
use serde_json::json;
use stackyard_catalog::manifest;
use stackyard_core::agent::{Answer, Ask, ContainerPort, NewContainerPort, PortAddress, PortLink};
use stackyard_core::text::error_chain;
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{Cloud, CloudConfig, FixedIp, Options, Port, Server, Sources};
use stackyard_store::{Host, Store};
use stackyard_yard::container_port::{DEVICE_OWNER, SUBPORT, ips, is_ours, mac_on, whose};
use stackyard_yard::{POOL, metadata_mark};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use trunks::{No, Trunks};

/// What the links of older agents can be.
const OLDER_LINKS: [PortLink; 2] = [PortLink::Macvlan, PortLink::Ipvlan];

/// Ports of containers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ports(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    sources: Sources,
    /// Clouds that were connected to, by what they were made from.
    clouds: Mutex<HashMap<String, Cloud>>,
    /// Ports of hosts' NICs as they were last, by the host's id.
    nics: Mutex<HashMap<String, Vec<Port>>>,
    /// Names of clouds that let a port use its own MAC address alone.
    own_mac_alone: Mutex<HashSet<String>>,
    turns: Turns,
    trunks: Trunks,
    memory: Memory,
    /// Floating IPs of containers without a port, by id, and since when.
    strays: Mutex<HashMap<String, Instant>>,
    wake: Notify,
}

/// What a cloud said, for people.
fn said(doing: impl Into<String>) -> impl FnOnce(stackyard_openstack::Error) -> String {
    let doing = doing.into();
    move |e| format!("{doing}: {}{}", error_chain(&e), e.hint().map(|h| format!("; {h}")).unwrap_or_default())
}

/// Why something failed, and what could not be taken back of it.
fn and_left(why: String, taken_back: Result<(), String>) -> String {
    match taken_back {
        Ok(()) => why,
        Err(left) => format!("{why}; then, {left}"),
    }
}

/// Whether that is a container's port of a host.
fn is_of(port: &Port, host: &Host) -> bool {
    whose(port).is_some_and(|(of, ..)| of == host.id)
}

/// Whether such a port was made to be behind a trunk, or is there: a NIC's pairs have nothing to do with it.
fn is_for_trunk(port: &Port) -> bool {
    port.device_owner != DEVICE_OWNER || port.device_id.is_empty()
}

/// The ports of all hosts' containers.
async fn containers(cloud: &Cloud) -> Result<Vec<Port>, String> {
    let project = Here::of(cloud).await?.project;
    let mut query = vec![("project_id", project.as_str())];
    query.extend([DEVICE_OWNER, SUBPORT, ""].map(|owner| ("device_owner", owner)));
    let mut all: Vec<Port> = cloud.list(&query).await.map_err(said("listing the ports of containers"))?;
    all.retain(|p| whose(p).is_some());
    Ok(all)
}

/// The beginning of one of Docker's ids, as Docker shows it.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// Whether that can be one of Docker's ids.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn addresses(port: &Port) -> Vec<PortAddress> {
    let one = |ip: &FixedIp| PortAddress {
        subnet: ip.subnet_id.clone(),
        address: ip.ip_address.as_deref().and_then(|a| a.parse().ok()),
    };
    port.fixed_ips.iter().map(one).collect()
}

impl Ports {
    /// Ports on the clouds that are found in these places.
    pub fn new(store: Store, sources: Sources) -> Self {
        Self(Arc::new(Inner {
            store,
            sources,
            clouds: Mutex::default(),
            nics: Mutex::default(),
            own_mac_alone: Mutex::default(),
            turns: Turns::default(),
            trunks: Trunks::default(),
            memory: Memory::default(),
            strays: Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// Has what is left of removed hosts looked for soon.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Answers a host.
    pub(crate) async fn answer(&self, host: &Host, ask: Ask) -> Answer {
        match self.carry_out(host, ask).await {
            Ok(answer) => answer,
            Err(why) => Answer::Refused { why },
        }
    }

    async fn carry_out(&self, host: &Host, ask: Ask) -> Result<Answer, String> {
        let Some(cloud) = self.cloud(&host.yard).await? else {
            // Machines of a yard that is no cloud's have none, and ask now and then.
            let none = Answer::Ports { ports: Vec::new() };
            let unknown = || format!("the server has no manifest of yard {}, and so knows no cloud of it", host.yard);
            return if ask == Ask::Ports { Ok(none) } else { Err(unknown()) };
        };
        match ask {
            Ask::Network { network, links } => {
                self.network(&cloud, host, network.as_deref(), &links).await.map(Answer::Network)
            }
            Ask::Make(new) => self.make(&cloud, host, &new).await.map(Answer::Port),
            Ask::Remove { port, network, addresses, floating_ip, exposed } => {
                let beside = Beside { floating_ip, exposed };
                self.remove(&cloud, host, &port, &network, &addresses, beside).await.map(|()| Answer::Removed)
            }
            Ask::OtherVlan { port, taken } => self.other_vlan(&cloud, host, &port, taken).await.map(Answer::Port),
            Ask::Name { port, endpoint } => self.name(&cloud, host, &port, &endpoint).await.map(|()| Answer::Named),
            Ask::Ports => self.list(&cloud, host).await.map(|ports| Answer::Ports { ports }),
            Ask::Pool { pool } => {
                self.pool(&cloud, host, &pool).await.map(|(id, address)| Answer::Pool { id, address })
            }
            Ask::Members { pools } => self.members(&cloud, host, pools).await.map(|pools| Answer::Members { pools }),
            Ask::Enlist { pool, members } => {
                self.enlist(&cloud, host, &pool, &members).await.map(|()| Answer::Enlisted)
            }
            Ask::Dismiss { pool, member } => {
                self.dismiss(&cloud, host, &pool, &member).await.map(|()| Answer::Dismissed)
            }
            Ask::Unknown => {
                Err("the server is older than this agent and does not know what it asks for: update it".to_owned())
            }
        }
    }

    /// The cloud of a yard, if the server has a manifest of it.
    pub(crate) async fn cloud(&self, yard: &str) -> Result<Option<Cloud>, String> {
        let row = self.0.store.yard(yard).await.map_err(|e| error_chain(&e))?;
        let Some(row) = row else { return Ok(None) };
        let gist = manifest::gist("the yard's manifest", &row.manifest).map_err(|e| error_chain(&e))?;
        self.connect(gist.cloud.as_deref()).await.map(Some)
    }

    /// Read for each call, since `cloud up` and people change it.
    async fn connect(&self, name: Option<&str>) -> Result<Cloud, String> {
        let config = CloudConfig::load_from(name, &self.0.sources).map_err(|e| error_chain(&e))?;
        let of = format!("{config:?}");
        if let Some(known) = self.0.clouds.lock().get(&of) {
            return Ok(known.clone());
        }
        let cloud = Cloud::connect(config, Options::default()).await.map_err(|e| error_chain(&e))?;
        self.0.clouds.lock().insert(of, cloud.clone());
        Ok(cloud)
    }

    /// The ports of a host's NICs, as the cloud has them now; none if no server is that host.
    async fn nics(&self, cloud: &Cloud, host: &Host) -> Result<Vec<Port>, String> {
        let doing = || said(format!("looking up the server that host {} is", host.name));
        // Nova's names are regular expressions; those of hosts have no signs in them.
        let servers: Vec<Server> = cloud.list(&[("name", &format!("^{}$", host.name))]).await.map_err(doing())?;
        let (scope, key) = (Here::of(cloud).await?.scope, Key::new(Kind::Server, &host.name));
        let is_its = |s: &&Server| {
            let is_marked = metadata_mark(&s.metadata).is_some_and(|m| m.is_of(&host.yard, &scope, &key));
            is_marked && s.metadata.get(POOL) == Some(&host.pool)
        };
        // After a run that was broken off there may be doubles.
        let is_said = |s: &&Server| host.facts.server_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(&s.id));
        let its: Vec<&Server> = servers.iter().filter(is_its).collect();
        let nics: Vec<Port> = match its.iter().copied().find(is_said).or_else(|| its.first().copied()) {
            Some(server) => cloud.list(&[("device_id", &server.id)]).await.map_err(doing())?,
            None => Vec::new(),
        };
        self.0.nics.lock().insert(host.id.clone(), nics.clone());
        Ok(nics)
    }

    /// The port of a host's NIC in a network, as it was last.
    async fn nic(&self, cloud: &Cloud, host: &Host, network: &str) -> Result<Option<Port>, String> {
        let find = |nics: &[Port]| nics.iter().find(|p| p.network_id == network).cloned();
        let known = self.0.nics.lock().get(&host.id).and_then(|nics| find(nics));
        match known {
            Some(nic) => Ok(Some(nic)),
            None => Ok(find(&self.nics(cloud, host).await?)),
        }
    }

    /// Says of a host that has no NIC why, if that is because it is no server.
    fn no_server(&self, cloud: &Cloud, host: &Host) -> String {
        if self.0.nics.lock().get(&host.id).is_some_and(|nics| !nics.is_empty()) {
            return String::new();
        }
        format!(
            ": it is no server of a pool of yard {} on cloud {}, and only containers on those get ports through the server",
            host.yard,
            cloud.config().name
        )
    }

    async fn make(&self, cloud: &Cloud, host: &Host, new: &NewContainerPort) -> Result<ContainerPort, String> {
        if !is_id(&new.docker_network) || !is_id(&new.endpoint) {
            return Err("network and endpoint must be named by Docker's ids".to_owned());
        }
        let links = if new.links.is_empty() { &OLDER_LINKS[..] } else { &new.links };
        let mut without = None;
        if links.contains(&PortLink::Vlan) {
            match self.trunk(cloud, host, &new.network).await {
                Ok((lane, nic)) => return self.make_on_trunk(cloud, host, &lane, &nic, new).await,
                Err(No::Trunk(why)) => without = Some(why),
                Err(No::Answer(why)) => return Err(why),
            }
        }
        let without = without.unwrap_or_else(|| {
            let words: Vec<&str> = links.iter().map(|link| link.word()).collect();
            format!("it can be {} (what the host's kernel has, and option `link`)", words.join(" or "))
        });
        if let Some(option) = new.options.named().first() {
            return Err(format!("option `{option}` is for containers whose link is a trunk's; here, {without}"));
        }
        let kinds: Vec<PortLink> = links.iter().copied().filter(|link| *link != PortLink::Vlan).collect();
        if kinds.is_empty() {
            return Err(format!("there is no trunk to be had for it: {without}"));
        }
        self.make_on_nic(cloud, host, new, &kinds, &without).await
    }

    /// Gives a port of a host's containers to another endpoint of the same network.
    async fn name(&self, cloud: &Cloud, host: &Host, id: &str, endpoint: &str) -> Result<(), String> {
        if !is_id(endpoint) {
            return Err("an endpoint must be named by Docker's id".to_owned());
        }
        let doing = || said(format!("naming port {id}"));
        let port: Port = cloud.get(id).await.map_err(doing())?;
        let Some((_, network, _)) = whose(&port).filter(|_| is_of(&port, host)) else {
            return Err(format!("port {id} is no port of a container of host {}", host.name));
        };
        let place = if port.device_id.is_empty() { "name" } else { "device_id" };
        let whose = format!("{}/{network}/{endpoint}", host.id);
        let names = json!({place: whose, "description": Here::of(cloud).await?.of_port(host, endpoint)});
        cloud.update::<Port>(id, &names).await.map(drop).map_err(doing())
    }

    async fn remove(
        &self,
        cloud: &Cloud,
        host: &Host,
        id: &str,
        network: &str,
        addresses: &[IpAddr],
        beside: Beside,
    ) -> Result<(), String> {
        let doing = || said(format!("removing port {id}"));
        let port: Port = match cloud.get(id).await {
            Err(e) if e.is_not_found() => return self.close_what_is_free(cloud, host, network, addresses).await,
            other => other.map_err(doing())?,
        };
        if !is_of(&port, host) {
            return Err(format!("port {id} is no port of a container of host {}", host.name));
        }
        if is_for_trunk(&port) {
            return self.remove_from_trunk(cloud, host, &port, beside).await;
        }
        self.close(cloud, host, &port.network_id, &ips(&port)).await?;
        cloud.delete::<Port>(id).await.map(drop).map_err(doing())
    }

    async fn list(&self, cloud: &Cloud, host: &Host) -> Result<Vec<ContainerPort>, String> {
        let all = containers(cloud).await?;
        let own: Vec<&Port> = all.iter().filter(|p| is_of(p, host)).collect();
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let nics = self.nics(cloud, host).await?;
        let trunks = match own.iter().any(|p| is_for_trunk(p)) {
            true => self.trunks_of(cloud, &nics).await?,
            false => Vec::new(),
        };
        let mut listed = Vec::new();
        for port in own {
            if is_for_trunk(port) {
                listed.extend(self.behind(cloud, &nics, &trunks, port).await?);
                continue;
            }
            let nic = nics.iter().find(|n| n.network_id == port.network_id);
            let parent = nic.map(|n| n.mac_address.clone()).unwrap_or_default();
            let mac = mac_on(nic, port);
            let link = if is_ours(&mac) { PortLink::Macvlan } else { PortLink::Ipvlan };
            listed.push(container_port(port, link, mac, parent));
        }
        Ok(listed)
    }
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
