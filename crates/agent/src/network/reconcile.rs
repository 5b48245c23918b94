//! Brings cloud, switch and Docker (or what came by CNI) together again after anything was killed.
//!
//! | what is found | what is done |
//! |---|---|
//! | a port of this plugin's that is no endpoint's | unplugged and removed |
//! | a floating IP or security group that was made for an endpoint that is gone | removed |
//! | a member of a load balancer's pool that is no endpoint's, or that an endpoint lacks | removed, made |
//! | a firewall group that has lost an endpoint's port, or a router's | gets it again |
//! | a network that was made for a Docker network that is gone | removed, with its router, once nobody else uses them |
//! | a port of a pool whose Docker network is gone, or that is gone itself | given back |
//! | a QoS policy that was made for containers' bandwidth and is none's | removed |
//! | a subnet pool that was made in kuryr's place and is no network's | removed |
//! | a link on the switch, or a veth, of no port | removed |
//! | a container whose port is gone from the cloud | gets one with the same addresses, plugged in its place |
//! | a container whose link is on no bridge any more | is plugged again |
//! | a container that publishes ports and has no route to Neutron's gateway | gets it again |
//!
//! What is being made at this moment looks like what nobody needs. So all of this is done only to what was
//! seen so in every pass for as long as Docker could still come back to it.

use crate::network::Error;
use crate::network::cni::bandwidth;
use crate::network::docker::protocol::DeleteNetworkRequest;
use crate::network::kuryr_names::EXISTING_PORT;
use crate::network::ledger::{Endpoint, short};
use crate::network::observed::{CloudView, RuntimeView, Suspects};
use crate::network::options::EndpointOptions;
use crate::network::port_manager::{Frontend, PortManager};
use crate::network::ports::PortSpec;
use crate::network::warm_pool::filling;
use stackyard_core::agent::PoolMember;
use stackyard_core::text::error_chain;
use stackyard_openstack::{FixedIp, FloatingIp, Network, Port, SecurityGroup};
use stackyard_ports::place_mark;
use stackyard_wire::binding::Found;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// How often what is known of networks that CNI plugins name is looked up again.
const REFRESH: Duration = Duration::from_secs(300);

/// Runs passes, for ever.
pub(crate) async fn keep(manager: &PortManager, every: Duration) {
    let mut suspects = Suspects::default();
    let mut before = String::new();
    let mut refreshed = Instant::now();
    loop {
        if manager.frontend == Frontend::Cni && refreshed.elapsed() >= REFRESH {
            refreshed = Instant::now();
            crate::network::cni::refresh_networks(manager).await;
        }
        let problem = match manager.look_and_mend(&mut suspects, every).await {
            Ok(()) => String::new(),
            Err(e) => error_chain(&e),
        };
        if problem != before && !problem.is_empty() {
            manager.say(format!("what is left over is not looked for: {problem}"));
        }
        before = problem;
        tokio::time::sleep(every).await;
    }
}

impl PortManager {
    async fn look_and_mend(&self, suspects: &mut Suspects, grace: Duration) -> Result<(), Error> {
        if self.kuryr {
            self.take_over(&RuntimeView::of(&self.name).await?).await?;
        }
        let cloud = self.look_at_cloud().await?;
        // After the cloud: what is made meanwhile is in Docker and not in the cloud, and so only suspected.
        let view = match self.frontend {
            Frontend::Docker => RuntimeView::of(&self.name).await?,
            Frontend::Cni => self.attachments().await?,
        };
        self.mend(&cloud, &view, suspects, grace).await;
        Ok(())
    }

    /// Looks endpoints up that Docker has and that the ledger does not know: kuryr's.
    pub(crate) async fn take_over(&self, view: &RuntimeView) -> Result<(), Error> {
        for (id, (network, _)) in &view.endpoints {
            if let Some(_lock) = self.locks.try_lock(id) {
                self.network(network).await?;
                self.endpoint_of(network, id).await?;
            }
        }
        Ok(())
    }

    /// What came by CNI and is in use: its ADD has ended, its link is there, and the container's end not left here.
    pub(crate) async fn attachments(&self) -> Result<RuntimeView, Error> {
        let links = self.wiring.links().await?;
        let is_used = |endpoint: &Endpoint| {
            let (host, container) = self.devices(endpoint);
            // A port that has taken another's place may have given the link its name.
            let (renamed, _) = self.naming().devices(&endpoint.vif, &endpoint.port);
            let is_whole = endpoint.attachment.as_ref().is_none_or(|a| !a.unfinished);
            is_whole && (links.contains(&host) || links.contains(&renamed)) && !links.contains(&container)
        };
        let used = self.ledger.endpoints.all().into_iter().filter(|(_, e)| is_used(e));
        let networks = self.ledger.networks.all().into_keys().collect();
        Ok(RuntimeView { networks, endpoints: used.map(|(key, e)| (key, (e.network, e.mac))).collect() })
    }

    /// Load balancers may be away without the network being so.
    async fn look_at_members_anyhow(&self) -> BTreeMap<String, Vec<PoolMember>> {
        self.look_at_members().await.unwrap_or_else(|e| {
            self.complain("load balancers are not looked at", &e);
            BTreeMap::new()
        })
    }

    /// Lists what the cloud has of this plugin.
    pub(crate) async fn look_at_cloud(&self) -> Result<CloudView, Error> {
        if let Some(broker) = self.broker() {
            let ports = self.list_on_host(broker).await?;
            return Ok(CloudView { ports, members: self.look_at_members_anyhow().await, ..CloudView::default() });
        }
        let failed = || Error::cloud("listing what this plugin has in the cloud");
        let place = self.place();
        let known: HashSet<String> = self.ledger.endpoints.all().into_values().map(|e| e.port).collect();
        let query = [("device_owner", self.device_owner()), ("binding:host_id", self.host.as_str())];
        let mut ports: Vec<Port> = self.cloud()?.list(&query).await.map_err(failed())?;
        let is_taken = |p: &Port| self.kuryr && p.tags.iter().any(|t| t == EXISTING_PORT);
        ports.retain(|p| place_mark::network(&place, &p.description).is_some() || known.contains(&p.id) || is_taken(p));
        let project = self.cloud()?.project_id().await.map_err(failed())?;
        let mut floating_ips: Vec<FloatingIp> = match self.cloud()?.list(&[("project_id", &project)]).await {
            // A cloud without routers (Neutron's extension `router`) has none.
            Err(e) if e.is_not_found() => Vec::new(),
            all => all.map_err(failed())?,
        };
        floating_ips.retain(|f| place_mark::endpoint(&place, &f.description).is_some());
        // By CNI none are made.
        let mut networks: Vec<Network> = match self.frontend {
            Frontend::Docker => self.cloud()?.list(&[("project_id", &project)]).await.map_err(failed())?,
            Frontend::Cni => Vec::new(),
        };
        networks.retain(|n| place_mark::network(&place, &n.description).is_some());
        // By CNI none are made either.
        let mut groups: Vec<SecurityGroup> = match self.frontend {
            Frontend::Docker => {
                let brief = ["id", "name", "description"].map(|field| ("fields", field));
                self.cloud()?
                    .list(&[&[("project_id", project.as_str())], &brief[..]].concat())
                    .await
                    .map_err(failed())?
            }
            Frontend::Cni => Vec::new(),
        };
        groups.retain(|g| place_mark::endpoint(&place, &g.description).is_some());
        let pools = self.stray_pools().await?;
        let members = self.look_at_members_anyhow().await;
        let policies = match self.frontend {
            Frontend::Docker => Vec::new(),
            Frontend::Cni => bandwidth::policies(self).await?,
        };
        Ok(CloudView { ports, floating_ips, networks, groups, pools, members, policies })
    }

    /// One pass. What cannot be mended now is told, and tried again in the next.
    pub(crate) async fn mend(&self, cloud: &CloudView, view: &RuntimeView, suspects: &mut Suspects, grace: Duration) {
        suspects.begin();
        let endpoints = self.ledger.endpoints.all();
        self.remove_ports(cloud, view, &endpoints, suspects, grace).await;
        self.remove_floating_ips(cloud, view, suspects, grace).await;
        self.remove_groups(cloud, view, suspects, grace).await;
        self.remove_networks(cloud, view, suspects, grace).await;
        for pool in &cloud.pools {
            if suspects.lasts(format!("subnet pool {}", pool.id), grace) {
                let removed = self.release_kuryr_pool(&pool.id).await;
                self.tell(format!("subnet pool {} is no network's", pool.name), removed);
            }
        }
        match self.wiring.plugged().await {
            Ok(found) => {
                self.remove_links(&found, cloud, &endpoints, suspects, grace).await;
                self.restore(&found, cloud, view, &endpoints, suspects, grace).await;
            }
            Err(e) => self.complain("links are not looked at", &e),
        }
        let endpoints = self.ledger.endpoints.all();
        self.mend_members(cloud, view, &endpoints, suspects, grace).await;
        if self.broker().is_none() {
            self.mend_firewalls(&endpoints, |key| view.endpoints.contains_key(key)).await;
        }
        let publishes = endpoints.values().any(|e| e.options.on_host);
        if let Err(e) = self.wiring.keep_publisher(publishes).await {
            self.complain("published ports may not answer", &e);
        }
        self.restore_ways_out(view).await;
        bandwidth::remove_unused(self, cloud, suspects, grace).await;
        suspects.end();
    }

    async fn remove_ports(
        &self,
        cloud: &CloudView,
        view: &RuntimeView,
        endpoints: &BTreeMap<String, Endpoint>,
        suspects: &mut Suspects,
        grace: Duration,
    ) {
        let place = self.place();
        let spares = self.ledger.spares.all();
        for (port, spare) in &spares {
            let network = &spare.endpoint.network;
            let is_well = view.networks.contains(network) && cloud.ports.iter().any(|p| p.id == *port);
            if is_well || !suspects.lasts(format!("spare {port}"), grace) {
                continue;
            }
            let Some(_lock) = self.locks.try_lock(&filling(network)) else { continue };
            self.tell(format!("port {port} waits for no container"), self.give_back(port).await);
        }
        for port in cloud.ports.iter().filter(|p| !spares.contains_key(&p.id)) {
            let record = endpoints.iter().find(|(_, e)| e.port == port.id);
            let network = place_mark::network(&place, &port.description).or(record.map(|(_, e)| e.network.as_str()));
            let network = network.unwrap_or_default();
            if view.has(port, network) || !suspects.lasts(format!("port {}", port.id), grace) {
                continue;
            }
            let (key, endpoint) = match record {
                Some((key, endpoint)) => (key.clone(), endpoint.clone()),
                None => (port.device_id.clone(), self.endpoint(network, port.clone(), Default::default())),
            };
            let Some(_lock) = self.locks.try_lock(&key) else { continue };
            self.tell(format!("port {} belongs to no container", port.id), self.detach(&key, &endpoint).await);
        }
        // Records whose port is gone, too.
        for (key, endpoint) in endpoints {
            let there = view.endpoints.contains_key(key) || cloud.ports.iter().any(|p| p.id == endpoint.port);
            if there || !suspects.lasts(format!("record {key}"), grace) {
                continue;
            }
            let Some(_lock) = self.locks.try_lock(key) else { continue };
            self.tell(format!("endpoint {} is gone", short(key)), self.detach(key, endpoint).await);
        }
    }

    async fn remove_floating_ips(
        &self,
        cloud: &CloudView,
        view: &RuntimeView,
        suspects: &mut Suspects,
        grace: Duration,
    ) {
        let place = self.place();
        for ip in &cloud.floating_ips {
            let endpoint = place_mark::endpoint(&place, &ip.description).unwrap_or_default();
            if view.endpoints.contains_key(endpoint) || !suspects.lasts(format!("floating IP {}", ip.id), grace) {
                continue;
            }
            let Some(_lock) = self.locks.try_lock(endpoint) else { continue };
            let doing = Error::cloud(format!("removing floating IP {}", ip.address));
            let removed = match self.cloud() {
                Ok(cloud) => cloud.delete::<FloatingIp>(&ip.id).await.map(drop).map_err(doing),
                Err(e) => Err(e),
            };
            self.tell(format!("floating IP {} belongs to no container", ip.address), removed);
        }
    }

    async fn remove_groups(&self, cloud: &CloudView, view: &RuntimeView, suspects: &mut Suspects, grace: Duration) {
        let place = self.place();
        for group in &cloud.groups {
            let endpoint = place_mark::endpoint(&place, &group.description).unwrap_or_default();
            if view.endpoints.contains_key(endpoint) || !suspects.lasts(format!("security group {}", group.id), grace) {
                continue;
            }
            let Some(_lock) = self.locks.try_lock(endpoint) else { continue };
            let own = EndpointOptions { own_group: Some(group.id.clone()), ..EndpointOptions::default() };
            let removed = self.close_exposed(&own).await;
            self.tell(format!("security group {} belongs to no container", group.name), removed);
        }
    }

    async fn remove_networks(&self, cloud: &CloudView, view: &RuntimeView, suspects: &mut Suspects, grace: Duration) {
        let place = self.place();
        for network in &cloud.networks {
            let docker = place_mark::network(&place, &network.description).unwrap_or_default();
            if view.networks.contains(docker) || !suspects.lasts(format!("network {}", network.id), grace) {
                continue;
            }
            let Some(_lock) = self.locks.try_lock(docker) else { continue };
            // Said once, and not in each pass.
            let was_in_use = self.left_in_use().contains(docker);
            let removed = self.remove_parts(docker).await;
            if was_in_use && matches!(&removed, Err(Error::NetworkInUse { .. })) {
                continue;
            }
            let removed = removed.and_then(|()| self.ledger.networks.remove(docker));
            self.tell(format!("network {:?} belongs to no network of Docker", network.name), removed);
        }
        // Those on existing networks: their ports that are ready, and what kuryr has put there. And records of
        // networks that are gone already.
        for (id, network) in self.ledger.networks.all() {
            let marked = network.made && cloud.networks.iter().any(|n| n.id == network.neutron);
            let gone = !marked && !view.networks.contains(&id);
            if gone && suspects.lasts(format!("network record {id}"), grace) {
                let removed = self.delete_network(DeleteNetworkRequest { network: id.clone() }).await.map(drop);
                self.tell(format!("Docker network {} is gone", short(&id)), removed);
            }
        }
    }

    async fn remove_links(
        &self,
        found: &[Found],
        cloud: &CloudView,
        endpoints: &BTreeMap<String, Endpoint>,
        suspects: &mut Suspects,
        grace: Duration,
    ) {
        let spares = self.ledger.spares.all();
        let links = endpoints.values().map(|e| e.link.as_str()).chain(cloud.ports.iter().map(|p| p.id.as_str()));
        let links = links.chain(spares.keys().map(String::as_str));
        let known: HashSet<String> = links.flat_map(|link| self.naming().all(link)).collect();
        for link in found.iter().filter(|f| !known.contains(&f.device)) {
            if suspects.lasts(format!("link {}", link.device), grace) {
                let removed = self.wiring.remove(link).await;
                self.tell(format!("link {} belongs to no port", link.device), removed);
            }
        }
    }

    /// Gives containers that run their port or their place on the switch again.
    async fn restore(
        &self,
        found: &[Found],
        cloud: &CloudView,
        view: &RuntimeView,
        endpoints: &BTreeMap<String, Endpoint>,
        suspects: &mut Suspects,
        grace: Duration,
    ) {
        for (key, endpoint) in endpoints.iter().filter(|(key, _)| view.endpoints.contains_key(*key)) {
            let Some(network) = self.ledger.networks.get(&endpoint.network) else { continue };
            let has_port = cloud.ports.iter().any(|p| p.id == endpoint.port);
            let device = self.device_here(endpoint);
            // On a host of a yard the link is in the container, where it cannot be seen from here.
            let is_plugged = self.broker().is_some()
                || found.iter().any(|f| f.device == device && f.port.as_ref() == Some(&endpoint.port));
            let lasts = (!has_port && suspects.lasts(format!("lost port of {key}"), grace))
                || (!is_plugged && suspects.lasts(format!("lost link of {key}"), grace));
            let Some(_lock) = self.locks.try_lock(key).filter(|_| lasts) else { continue };
            let mut endpoint = endpoint.clone();
            if !has_port {
                let made = self.remake_port(key, &mut endpoint).await;
                let failed = made.is_err();
                self.tell(format!("endpoint {} has lost its port and gets a new one", short(key)), made);
                if failed {
                    continue;
                }
            }
            let wired = match self.wiring.rewire(&endpoint, network.mtu).await {
                Ok(true) if endpoint.vif.is_known_by_name() => {
                    endpoint.link.clone_from(&endpoint.port);
                    self.ledger.endpoints.put(key, &endpoint)
                }
                Ok(true) => Ok(()),
                Ok(false) => Err(Error::request("its link is gone: the container must be started again")),
                Err(e) => Err(e),
            };
            self.tell(format!("endpoint {} is plugged again", short(key)), wired);
        }
    }

    /// Makes a port with the addresses of one that is gone.
    async fn remake_port(&self, key: &str, endpoint: &mut Endpoint) -> Result<(), Error> {
        if endpoint.adopted {
            return Err(Error::request(format!("port {} was not made by this plugin", endpoint.port)));
        }
        let network = self.ledger.networks.need(&endpoint.network)?;
        let ips: Vec<FixedIp> = endpoint.ips.clone();
        let wanted = PortSpec {
            network_id: &endpoint.network,
            network: &network,
            key,
            mac: Some(&endpoint.mac),
            ips,
            options: &endpoint.options,
            before: Some(endpoint),
            container_end: None,
        };
        let made = self.make_port(&wanted).await?;
        *endpoint = Endpoint {
            link: endpoint.link.clone(),
            floating_ip: endpoint.floating_ip.clone(),
            limits: endpoint.limits,
            attachment: endpoint.attachment.clone(),
            sandbox: endpoint.sandbox.clone(),
            rank: endpoint.rank,
            ..made
        };
        self.ledger.endpoints.put(key, endpoint)?;
        if let Some(group) = &endpoint.options.firewall_group {
            self.guard(group, std::slice::from_ref(&endpoint.port)).await?;
        }
        match endpoint.floating_ip.clone() {
            Some(id) => self.lead(&id, endpoint).await?,
            None => self.give_floating_ip(key, endpoint).await?,
        }
        self.ledger.endpoints.put(key, endpoint)
    }

    pub(crate) fn tell(&self, what: String, done: Result<(), Error>) {
        match done {
            Ok(()) => self.say(what),
            Err(e) => self.complain(&what, &e),
        }
    }
}
