//! The operations, with ports instead of whatever else plugins make.

use super::bandwidth;
use super::config::Wish;
use super::failure::{Failure, code};
use super::protocol::{Address, Attached, Request};
use crate::network::ledger::{Attachment, Endpoint, Network};
use crate::network::names::Whose;
use crate::network::options::PoolSize;
use crate::network::port_manager::Plugin;
use crate::network::ports::Wanted;
use crate::network::subnets::{mtu_of, record};
use crate::network::wiring::Home;
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
pub(crate) fn key(request: &Request) -> String {
    format!("{}@{}", request.container, request.ifname)
}

/// Where the container's end of a link goes, if its namespace is given.
pub(crate) fn home(request: &Request, namespace: Option<OwnedFd>) -> Option<Arc<Home>> {
    let namespace = Namespace::of(namespace?, Path::new(&request.netns));
    Some(Arc::new(Home { namespace, name: request.ifname.clone() }))
}

/// ADD: a port, plugged; with its end in the container's namespace, if that is given. The caller waits until it is
/// wired, and says so with [`finish`], or has it taken back.
pub(crate) async fn add(
    plugin: &Plugin,
    request: &Request,
    home: Option<&Arc<Home>>,
) -> Result<(Endpoint, Attached), Failure> {
    let wish = Wish::read(request)?;
    let key = key(request);
    if let Some(stale) = plugin.ledger.endpoints.get(&key) {
        // The plugin has looked: the container does not have it.
        plugin.detach(&key, &stale).await?;
    }
    plugin.check_edges(&wish.options).await?;
    let made = match make(plugin, &wish, &key, home).await {
        // What is remembered of network and names may not hold any more.
        Err(Error::Cloud { source, .. }) if source.is_not_found() => {
            plugin.names.forget();
            bandwidth::forget(plugin, &wish)?;
            let (id, _) = network(plugin, &wish.network).await?;
            plugin.ledger.networks.remove(&id)?;
            make(plugin, &wish, &key, home).await
        }
        other => other,
    };
    let (network, mut endpoint) = made?;
    endpoint.attachment = Some(Attachment {
        network: wish.name.clone(),
        container: request.container.clone(),
        ifname: request.ifname.clone(),
        unfinished: true,
    });
    let plugged = async {
        plugin.ledger.endpoints.put(&key, &endpoint)?;
        plugin.give_edges(&key, &mut endpoint).await?;
        plugin.plug_links(&endpoint, network.mtu, home).await
    };
    if let Err(e) = plugged.await {
        return Err(plugin.undo(&key, &endpoint, e).await.into());
    }
    let mut attached = attached(plugin, &endpoint, &network, &wish.dns);
    attached.device = attached.device.filter(|_| home.is_none());
    Ok((endpoint, attached))
}

/// Notes down that an ADD has ended well.
pub(crate) fn finish(plugin: &Plugin, request: &Request) -> Result<(), Error> {
    plugin.ledger.endpoints.alter(&key(request), |endpoint| {
        let endpoint = endpoint?;
        let attachment = endpoint.attachment.map(|a| Attachment { unfinished: false, ..a });
        Some(Endpoint { attachment, ..endpoint })
    })
}

async fn make(plugin: &Plugin, wish: &Wish, key: &str, home: Option<&Arc<Home>>) -> Result<(Network, Endpoint), Error> {
    let (id, network) = network(plugin, &wish.network).await?;
    let network = pooled(plugin, &id, network, wish).await?;
    let mut options = wish.options.clone();
    let limits = bandwidth::prepare(plugin, wish, &mut options).await?;
    let takes_any = wish.mac.is_none() && wish.ips.is_empty() && wish.subnets.is_empty();
    if takes_any && let Some(endpoint) = plugin.take_spare(&id, &network, Some(key), &options).await? {
        return Ok((network, Endpoint { limits, ..endpoint }));
    }
    let ips = fixed_ips(&chosen(plugin, wish, &network).await?, !wish.subnets.is_empty(), &wish.ips)?;
    let mac = wish.mac.as_deref();
    let wanted = Wanted { network_id: &id, network: &network, key, mac, ips, options: &options, before: None, home };
    let endpoint = match &options.port {
        Some(port) => plugin.adopt_port(&wanted, port).await?,
        None => plugin.make_port(&wanted).await?,
    };
    Ok((network, Endpoint { limits, ..endpoint }))
}

/// DEL: the port goes, whatever has become of the container.
pub(crate) async fn del(plugin: &Plugin, request: &Request) -> Result<(), Failure> {
    let key = key(request);
    match plugin.ledger.endpoints.get(&key) {
        Some(endpoint) => Ok(plugin.detach(&key, &endpoint).await?),
        // Gone, or never made; what the cloud may have of it is nobody's, and the reconciler finds it.
        None => Ok(()),
    }
}

/// CHECK, as far as the agent knows: what the plugin is to find in the namespace.
pub(crate) async fn check(plugin: &Plugin, request: &Request) -> Result<Attached, Failure> {
    let wish = Wish::read(request)?;
    let (container, ifname) = (&request.container, &request.ifname);
    let different = |msg: String| Failure::new(code::DIFFERENT, msg);
    let endpoint = plugin.ledger.endpoints.get(&key(request));
    let endpoint = endpoint.ok_or_else(|| different(format!("container {container} has no port for {ifname}")))?;
    let network = plugin.ledger.networks.need(&endpoint.network)?;
    let (host, _) = plugin.devices(&endpoint);
    let plugged = plugin.wiring.plugged().await?;
    if !plugged.iter().any(|f| f.device == host && f.port.as_ref() == Some(&endpoint.port)) {
        return Err(different(format!("{host} is not on the switch for port {}", endpoint.port)));
    }
    bandwidth::check(plugin, &wish, &endpoint).await?;
    Ok(attached(plugin, &endpoint, &network, &wish.dns))
}

/// GC: gives back all of a network configuration that the runtime does not list.
pub(crate) async fn gc(plugin: &Plugin, request: &Request) -> Result<(), Failure> {
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
    for (key, endpoint) in plugin.ledger.endpoints.all() {
        let Some(attachment) = endpoint.attachment.as_ref().filter(|a| a.network == name) else { continue };
        if valid.contains(&(attachment.container.as_str(), attachment.ifname.as_str())) {
            continue;
        }
        // One that is being made is the runtime's, which just did not know of it yet.
        let Some(_turn) = plugin.turns.try_take(&key) else { continue };
        if let Err(e) = plugin.detach(&key, &endpoint).await {
            failed.push(error_chain(&e));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(code::TRY_LATER, failed.join("; ")))
}

/// STATUS: whether an ADD could succeed.
pub(crate) async fn status(plugin: &Plugin, request: &Request) -> Result<(), Failure> {
    let wish = Wish::read(request)?;
    plugin.wiring.answers().await.map_err(|e| Failure::new(code::LIMITED, error_chain(&e)))?;
    let unavailable = |e: Error| Failure::new(code::UNAVAILABLE, error_chain(&e));
    let id = plugin.id_of::<stackyard_openstack::Network>(&wish.network, Whose::Anybodys).await.map_err(unavailable)?;
    let asked = plugin.cloud()?.get::<stackyard_openstack::Network>(&id).await;
    asked.map(drop).map_err(|e| unavailable(Error::cloud(format!("looking up network {:?}", wish.network))(e)))
}

/// The network that a name or an id means; the cloud is asked once.
async fn network(plugin: &Plugin, wanted: &str) -> Result<(String, Network), Error> {
    let id = plugin.id_of::<stackyard_openstack::Network>(wanted, Whose::Anybodys).await?;
    if let Some(known) = plugin.ledger.networks.get(&id) {
        return Ok((id, known));
    }
    let network = look_up(plugin, &id).await?;
    plugin.ledger.networks.put(&id, &network)?;
    Ok((id, network))
}

async fn look_up(plugin: &Plugin, id: &str) -> Result<Network, Error> {
    let doing = || Error::cloud(format!("looking up network {id}"));
    let found: stackyard_openstack::Network = plugin.cloud()?.get(id).await.map_err(doing())?;
    let subnets: Vec<Subnet> = plugin.cloud()?.list(&[("network_id", &found.id)]).await.map_err(doing())?;
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
async fn pooled(plugin: &Plugin, id: &str, network: Network, wish: &Wish) -> Result<Network, Error> {
    // None for long where no container comes: nobody says when a configuration goes.
    let pool = wish.pool.map(|most| PoolSize { least: 0, most });
    if pool.is_none() || pool == network.pool {
        return Ok(network);
    }
    let network = Network { pool, defaults: wish.options.shape().unwrap_or_default(), ..network };
    plugin.ledger.networks.put(id, &network)?;
    if wish.pool == Some(0) {
        drop(plugin.drain(id).await?);
    }
    plugin.pools.changed.notify_one();
    Ok(network)
}

/// Looks up again what is known of networks: a gateway, a route may have come.
pub(crate) async fn refresh_networks(plugin: &Plugin) {
    for (id, known) in plugin.ledger.networks.all() {
        let refreshed = match look_up(plugin, &id).await {
            Ok(network) => {
                let network = Network { pool: known.pool, defaults: known.defaults.clone(), ..network };
                if network == known { Ok(()) } else { plugin.ledger.networks.put(&id, &network) }
            }
            Err(Error::Cloud { source, .. }) if source.is_not_found() => plugin.ledger.networks.remove(&id),
            Err(e) => Err(e),
        };
        if let Err(e) = refreshed {
            plugin.complain(&format!("network {id} is as it was known before"), &e);
        }
    }
}

/// The subnets that the configuration names, or all.
async fn chosen<'a>(plugin: &Plugin, wish: &Wish, network: &'a Network) -> Result<Vec<&'a ledger::Subnet>, Error> {
    if wish.subnets.is_empty() {
        return Ok(network.subnets.iter().collect());
    }
    let mut chosen = Vec::new();
    for wanted in &wish.subnets {
        let found = match wanted.parse::<IpNet>() {
            Ok(cidr) => network.subnets.iter().find(|s| s.cidr == cidr.trunc()),
            Err(_) => {
                let id = plugin.id_of::<Subnet>(wanted, Whose::Anybodys).await?;
                network.subnets.iter().find(|s| s.id == id)
            }
        };
        let missing = || Error::request(format!("network {:?} has no subnet {wanted:?}", wish.network));
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
fn attached(plugin: &Plugin, endpoint: &Endpoint, network: &Network, dns: &Map<String, Value>) -> Attached {
    let (host, device) = plugin.devices(endpoint);
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
    Attached { host, device, mac: endpoint.mac.clone(), mtu: network.mtu, addresses, routes, dns, limits }
}

fn routes_to(routes: &[(IpNet, IpAddr)], to: IpNet) -> bool {
    routes.iter().any(|(other, _)| *other == to)
}
