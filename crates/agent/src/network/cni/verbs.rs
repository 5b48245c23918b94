//! The operations, with ports instead of whatever else plugins make.

use super::bandwidth;
use super::config::AttachSpec;
use super::failure::{Failure, code};
use super::protocol::{Address, AttachResult, CniRequest};
use crate::network::ledger::{Attachment, Endpoint, Network};
use crate::network::names::Scope;
use crate::network::options::PoolSize;
use crate::network::port_manager::PortManager;
use crate::network::ports::PortSpec;
use crate::network::subnets::{mtu_of, record};
use crate::network::wiring::ContainerEnd;
use crate::network::{Error, ledger};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Map, Value, json};
use stackyard_core::text::error_chain;
use stackyard_openstack::{FixedIp, Subnet};
use stackyard_wire::namespace::Namespace;
use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// Under what an attach is written down, and its port's `device_id`. No container's id has an `@`.
pub(crate) fn key(request: &CniRequest) -> String {
    format!("{}@{}", request.container, request.ifname)
}

/// Where the container's end of a link goes, if its namespace is given.
pub(crate) fn container_end(request: &CniRequest, namespace: Option<OwnedFd>) -> Option<Arc<ContainerEnd>> {
    let namespace = Namespace::of(namespace?, Path::new(&request.netns));
    Some(Arc::new(ContainerEnd { namespace, name: request.ifname.clone() }))
}

/// ADD: a port, plugged; with its end in the container's namespace, if that is given. The caller waits until it is
/// wired, and says so with [`finish`], or has it taken back.
pub(crate) async fn add(
    manager: &PortManager,
    request: &CniRequest,
    container_end: Option<&Arc<ContainerEnd>>,
) -> Result<(Endpoint, AttachResult), Failure> {
    let spec = AttachSpec::read(request)?;
    let key = key(request);
    if let Some(stale) = manager.ledger.endpoints.get(&key) {
        // The plugin has looked: the container does not have it.
        manager.detach(&key, &stale).await?;
    }
    manager.check_extras(&spec.options).await?;
    let made = match make(manager, &spec, &key, container_end).await {
        // What is remembered of network and names may not hold any more.
        Err(Error::Cloud { source, .. }) if source.is_not_found() => {
            manager.names.forget();
            bandwidth::forget(manager, &spec)?;
            let (id, _) = network(manager, &spec.network).await?;
            manager.ledger.networks.remove(&id)?;
            make(manager, &spec, &key, container_end).await
        }
        other => other,
    };
    let (network, mut endpoint) = made?;
    endpoint.attachment = Some(Attachment {
        network: spec.name.clone(),
        container: request.container.clone(),
        ifname: request.ifname.clone(),
        unfinished: true,
    });
    let plugged = async {
        manager.ledger.endpoints.put(&key, &endpoint)?;
        manager.give_extras(&key, &mut endpoint).await?;
        manager.plug_links(&endpoint, network.mtu, container_end).await
    };
    if let Err(e) = plugged.await {
        return Err(manager.undo(&key, &endpoint, e).await.into());
    }
    let mut attached = attached(manager, &endpoint, &network, &spec.dns);
    attached.device = attached.device.filter(|_| container_end.is_none());
    Ok((endpoint, attached))
}

/// Notes down that an ADD has ended well.
pub(crate) fn finish(manager: &PortManager, request: &CniRequest) -> Result<(), Error> {
    manager.ledger.endpoints.alter(&key(request), |endpoint| {
        let endpoint = endpoint?;
        let attachment = endpoint.attachment.map(|a| Attachment { unfinished: false, ..a });
        Some(Endpoint { attachment, ..endpoint })
    })
}

async fn make(
    manager: &PortManager,
    spec: &AttachSpec,
    key: &str,
    container_end: Option<&Arc<ContainerEnd>>,
) -> Result<(Network, Endpoint), Error> {
    let (id, network) = network(manager, &spec.network).await?;
    let network = pooled(manager, &id, network, spec).await?;
    let mut options = spec.options.clone();
    let limits = bandwidth::prepare(manager, spec, &mut options).await?;
    let takes_any = spec.mac.is_none() && spec.ips.is_empty() && spec.subnets.is_empty();
    if takes_any && let Some(endpoint) = manager.take_spare(&id, &network, Some(key), &options).await? {
        return Ok((network, Endpoint { limits, ..endpoint }));
    }
    let ips = fixed_ips(&chosen(manager, spec, &network).await?, !spec.subnets.is_empty(), &spec.ips)?;
    let mac = spec.mac.as_deref();
    let wanted =
        PortSpec { network_id: &id, network: &network, key, mac, ips, options: &options, before: None, container_end };
    let endpoint = match &options.port {
        Some(port) => manager.adopt_port(&wanted, port).await?,
        None => manager.make_port(&wanted).await?,
    };
    Ok((network, Endpoint { limits, ..endpoint }))
}

/// DEL: the port goes, whatever has become of the container.
pub(crate) async fn del(manager: &PortManager, request: &CniRequest) -> Result<(), Failure> {
    let key = key(request);
    match manager.ledger.endpoints.get(&key) {
        Some(endpoint) => Ok(manager.detach(&key, &endpoint).await?),
        // Gone, or never made; what the cloud may have of it is nobody's, and the reconciler finds it.
        None => Ok(()),
    }
}

/// CHECK, as far as the agent knows: what the plugin is to find in the namespace.
pub(crate) async fn check(manager: &PortManager, request: &CniRequest) -> Result<AttachResult, Failure> {
    let spec = AttachSpec::read(request)?;
    let (container, ifname) = (&request.container, &request.ifname);
    let different = |msg: String| Failure::new(code::DIFFERENT, msg);
    let endpoint = manager.ledger.endpoints.get(&key(request));
    let endpoint = endpoint.ok_or_else(|| different(format!("container {container} has no port for {ifname}")))?;
    let network = manager.ledger.networks.need(&endpoint.network)?;
    let (host, _) = manager.devices(&endpoint);
    let plugged = manager.wiring.plugged().await?;
    if !plugged.iter().any(|f| f.device == host && f.port.as_ref() == Some(&endpoint.port)) {
        return Err(different(format!("{host} is not on the switch for port {}", endpoint.port)));
    }
    bandwidth::check(manager, &spec, &endpoint).await?;
    Ok(attached(manager, &endpoint, &network, &spec.dns))
}

/// GC: gives back all of a network configuration that the runtime does not list.
pub(crate) async fn gc(manager: &PortManager, request: &CniRequest) -> Result<(), Failure> {
    let name = request.config.get("name").and_then(Value::as_str).unwrap_or_default();
    let listed = ["cni.dev/valid-attachments", "cni.dev/attachments"].iter().find_map(|k| request.config.get(*k));
    let listed = listed.and_then(Value::as_array).ok_or_else(|| {
        Failure::new(code::CONFIG, "GC needs the list `cni.dev/valid-attachments`: what it does not have is removed")
    })?;
    let mut valid = HashSet::new();
    for attachment in listed {
        match (attachment["containerID"].as_str(), attachment["ifname"].as_str()) {
            (Some(container), Some(ifname)) => valid.insert((container, ifname)),
            _ => {
                let msg = format!("cni.dev/valid-attachments: {attachment} must have containerID and ifname");
                return Err(Failure::new(code::CONFIG, msg));
            }
        };
    }
    let mut failed = Vec::new();
    for (key, endpoint) in manager.ledger.endpoints.all() {
        let Some(attachment) = endpoint.attachment.as_ref().filter(|a| a.network == name) else { continue };
        if valid.contains(&(attachment.container.as_str(), attachment.ifname.as_str())) {
            continue;
        }
        // One that is being made is the runtime's, which just did not know of it yet.
        let Some(_lock) = manager.locks.try_lock(&key) else { continue };
        if let Err(e) = manager.detach(&key, &endpoint).await {
            failed.push(error_chain(&e));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(code::TRY_LATER, failed.join("; ")))
}

/// STATUS: whether an ADD could succeed.
pub(crate) async fn status(manager: &PortManager, request: &CniRequest) -> Result<(), Failure> {
    let spec = AttachSpec::read(request)?;
    manager.wiring.answers().await.map_err(|e| Failure::new(code::LIMITED, error_chain(&e)))?;
    let unavailable = |e: Error| Failure::new(code::UNAVAILABLE, error_chain(&e));
    let id = manager.id_of::<stackyard_openstack::Network>(&spec.network, Scope::Visible).await.map_err(unavailable)?;
    let asked = manager.cloud()?.get::<stackyard_openstack::Network>(&id).await;
    asked.map(drop).map_err(|e| unavailable(Error::cloud(format!("looking up network {:?}", spec.network))(e)))
}

/// The network that a name or an id means; the cloud is asked once.
async fn network(manager: &PortManager, wanted: &str) -> Result<(String, Network), Error> {
    let id = manager.id_of::<stackyard_openstack::Network>(wanted, Scope::Visible).await?;
    if let Some(known) = manager.ledger.networks.get(&id) {
        return Ok((id, known));
    }
    let network = look_up(manager, &id).await?;
    manager.ledger.networks.put(&id, &network)?;
    Ok((id, network))
}

async fn look_up(manager: &PortManager, id: &str) -> Result<Network, Error> {
    let doing = || Error::cloud(format!("looking up network {id}"));
    let found: stackyard_openstack::Network = manager.cloud()?.get(id).await.map_err(doing())?;
    let subnets: Vec<Subnet> = manager.cloud()?.list(&[("network_id", &found.id)]).await.map_err(doing())?;
    let subnets = subnets.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    if subnets.is_empty() {
        return Err(Error::request(format!("network {:?} has no subnet to take addresses from", found.name)));
    }
    let mtu = mtu_of(&found);
    let (defaults, port_security) = (Default::default(), found.port_security_enabled);
    let (id, made) = (found.id, false);
    Ok(Network { neutron: id, mtu, subnets, made, defaults, pool: None, port_security, guarded: None, internal: false })
}

/// Notes down how many ports a network is to keep ready, and what for, if the configuration says so.
async fn pooled(manager: &PortManager, id: &str, network: Network, spec: &AttachSpec) -> Result<Network, Error> {
    // None for long where no container comes: nobody says when a configuration goes.
    let pool = spec.pool.map(|most| PoolSize { least: 0, most });
    if pool.is_none() || pool == network.pool {
        return Ok(network);
    }
    let network = Network { pool, defaults: spec.options.shape().unwrap_or_default(), ..network };
    manager.ledger.networks.put(id, &network)?;
    if spec.pool == Some(0) {
        drop(manager.drain(id).await?);
    }
    manager.port_demand.changed.notify_one();
    Ok(network)
}

/// Looks up again what is known of networks: a gateway, a route may have come.
pub(crate) async fn refresh_networks(manager: &PortManager) {
    for (id, known) in manager.ledger.networks.all() {
        let refreshed = match look_up(manager, &id).await {
            Ok(network) => {
                let network = Network { pool: known.pool, defaults: known.defaults.clone(), ..network };
                if network == known { Ok(()) } else { manager.ledger.networks.put(&id, &network) }
            }
            Err(Error::Cloud { source, .. }) if source.is_not_found() => manager.ledger.networks.remove(&id),
            Err(e) => Err(e),
        };
        if let Err(e) = refreshed {
            manager.complain(&format!("network {id} is as it was known before"), &e);
        }
    }
}

/// The subnets that the configuration names, or all.
async fn chosen<'a>(
    manager: &PortManager,
    spec: &AttachSpec,
    network: &'a Network,
) -> Result<Vec<&'a ledger::Subnet>, Error> {
    if spec.subnets.is_empty() {
        return Ok(network.subnets.iter().collect());
    }
    let mut chosen = Vec::new();
    for wanted in &spec.subnets {
        let found = match wanted.parse::<IpNet>() {
            Ok(cidr) => network.subnets.iter().find(|s| s.cidr == cidr.trunc()),
            Err(_) => {
                let id = manager.id_of::<Subnet>(wanted, Scope::Visible).await?;
                network.subnets.iter().find(|s| s.id == id)
            }
        };
        let missing = || Error::request(format!("network {:?} has no subnet {wanted:?}", spec.network));
        chosen.push(found.ok_or_else(missing)?);
    }
    Ok(chosen)
}

/// The addresses to ask for: the wanted ones, and whichever is free in each subnet that is named and has none of
/// them; where none is named, in the first of each IP version.
fn fixed_ips(subnets: &[&ledger::Subnet], named: bool, wanted: &[IpAddr]) -> Result<Vec<FixedIp>, Error> {
    let mut ips = Vec::new();
    let mut has: Vec<&ledger::Subnet> = Vec::new();
    for address in wanted {
        let subnet = subnets.iter().find(|s| s.cidr.contains(address));
        let subnet = subnet.ok_or_else(|| Error::request(format!("{address} is in no subnet of the network")))?;
        ips.push(FixedIp { subnet_id: subnet.id.clone(), ip_address: Some(address.to_string()) });
        has.push(subnet);
    }
    for subnet in subnets {
        let is_v4 = subnet.cidr.addr().is_ipv4();
        let is_served = has.iter().any(|s| if named { s.id == subnet.id } else { s.cidr.addr().is_ipv4() == is_v4 });
        if !is_served {
            ips.push(FixedIp { subnet_id: subnet.id.clone(), ip_address: None });
            has.push(subnet);
        }
    }
    Ok(ips)
}

/// How the container's end of an endpoint is to be set up.
fn attached(manager: &PortManager, endpoint: &Endpoint, network: &Network, dns: &Map<String, Value>) -> AttachResult {
    let (host, device) = manager.devices(endpoint);
    let (mut addresses, mut routes, mut servers) = (Vec::new(), Vec::new(), Vec::new());
    for ip in &endpoint.ips {
        let subnet = network.subnets.iter().find(|s| s.id == ip.subnet_id);
        let address = ip.ip_address.as_deref().and_then(|a| a.parse::<IpAddr>().ok());
        let (Some(subnet), Some(address)) = (subnet, address) else { continue };
        let Ok(with_length) = IpNet::new(address, subnet.cidr.prefix_len()) else { continue };
        addresses.push(Address { address: with_length, gateway: subnet.gateway });
        let default: IpNet = match address {
            IpAddr::V4(_) => Ipv4Net::default().into(),
            IpAddr::V6(_) => Ipv6Net::default().into(),
        };
        // A second subnet's gateway is no second way out.
        let of_subnet = subnet.gateway.map(|g| (default, g)).into_iter().chain(subnet.routes.iter().copied());
        routes.extend(of_subnet.filter(|(to, _)| *to != default || !routes_to(&routes, default)).collect::<Vec<_>>());
        servers.extend(subnet.dns.iter().filter(|s| !servers.contains(*s)).cloned().collect::<Vec<String>>());
    }
    let mut dns = dns.clone();
    if !servers.is_empty() && !dns.contains_key("nameservers") {
        dns.insert("nameservers".to_owned(), json!(servers));
    }
    let (limits, device) = (endpoint.limits, Some(device));
    AttachResult { host, device, mac: endpoint.mac.clone(), mtu: network.mtu, addresses, routes, dns, limits }
}

fn routes_to(routes: &[(IpNet, IpAddr)], to: IpNet) -> bool {
    routes.iter().any(|(other, _)| *other == to)
}
