//! How MTUs are set on this host.

use super::{namespace_of, within};
use crate::context::Context;
use crate::default_route;
use crate::mtu::OPTION;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, ListNetworksOptions};
use stackyard_core::agent::{MtuContainer, MtuLink, MtuNetwork, MtuSurvey};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::labels::STACK;
use stackyard_wire::link::{self, Link};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Containers that are looked at, at most: one of each network is enough to know how it is.
const MOST: usize = 500;

/// Docker's option that names a bridge.
const BRIDGE: &str = "com.docker.network.bridge.name";

/// Looks at links, networks and containers.
pub(crate) async fn survey(context: &Context) -> Result<MtuSurvey, String> {
    let mut survey = MtuSurvey::default();
    if let Err(problem) = of_docker(context, &mut survey).await {
        survey.problem = Some(problem);
    }
    let bridges: Vec<String> = survey.networks.iter().filter_map(|n| n.bridge.clone()).collect();
    survey.links = within(None, move || {
        let default = default_route::interface();
        let mut links = links_here()?;
        // The host's ends of containers' links have none.
        links.retain(|(link, seen)| !bridges.contains(&link.name) && !seen.addresses.is_empty());
        Ok(links.into_iter().map(|(l, seen)| MtuLink { default: Some(&l.name) == default.as_ref(), ..seen }).collect())
    })
    .await?;
    Ok(survey)
}

async fn of_docker(context: &Context, survey: &mut MtuSurvey) -> Result<(), String> {
    let engine = context.engine()?;
    let docker = engine.docker().api();
    let failed = |e: bollard::errors::Error| {
        format!("asking Docker Engine for its networks and containers: {}", error_chain(&e))
    };
    for network in docker.list_networks(None::<ListNetworksOptions>).await.map_err(failed)? {
        let (id, driver) = (network.id.unwrap_or_default(), network.driver.unwrap_or_default());
        let options = network.options.unwrap_or_default();
        survey.networks.push(MtuNetwork {
            bridge: bridge(&id, &driver, &options),
            option: options.get(OPTION).and_then(|o| o.parse().ok()),
            stack: network.labels.unwrap_or_default().remove(STACK),
            name: network.name.unwrap_or_default(),
            id,
            driver,
        });
    }
    survey.networks.sort_by(|a, b| a.name.cmp(&b.name));
    for container in docker.list_containers(None::<ListContainersOptions>).await.map_err(failed)?.into_iter().take(MOST)
    {
        let Some(id) = container.id else { continue };
        // One that ends meanwhile has no links.
        if let Some((name, links)) = links_of(docker, &id).await {
            survey.containers.push(MtuContainer { id, name, links });
        }
    }
    survey.containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(())
}

/// Name of a network's bridge.
pub(super) fn bridge(id: &str, driver: &str, options: &HashMap<String, String>) -> Option<String> {
    let made = || id.get(..12).map(|short| format!("br-{short}"));
    (driver == "bridge").then(|| options.get(BRIDGE).cloned().or_else(made)).flatten()
}

/// Name and links of a container; nothing if it has none of its own.
async fn links_of(docker: &bollard::Docker, id: &str) -> Option<(String, Vec<MtuLink>)> {
    let inside = inside(docker, id).await?;
    let links = within(Some(inside.namespace.clone()), links_here).await.ok()?;
    let with_network = |(link, seen): (Link, MtuLink)| {
        let network = inside.network(&link, &seen).map(str::to_owned);
        MtuLink { network, ..seen }
    };
    let links: Vec<MtuLink> = links.into_iter().map(with_network).filter(|l| l.network.is_some()).collect();
    Some((inside.name, links)).filter(|(_, links)| !links.is_empty())
}

/// A container that runs in a network namespace of its own.
pub(super) struct InspectedContainer {
    pub name: String,
    pub namespace: PathBuf,
    endpoints: Vec<ContainerInterface>,
}

/// Where it is in a network.
struct ContainerInterface {
    /// Empty where the driver does not say.
    mac: String,
    address: Option<IpAddr>,
    network: String,
}

impl InspectedContainer {
    /// Id of the network that a link in there leads to.
    pub fn network(&self, link: &Link, seen: &MtuLink) -> Option<&str> {
        let is = |e: &&ContainerInterface| {
            (!e.mac.is_empty() && e.mac == link.mac) || e.address.is_some_and(|a| seen.addresses.contains(&a))
        };
        self.endpoints.iter().find(is).map(|e| e.network.as_str())
    }
}

pub(super) async fn inside(docker: &bollard::Docker, id: &str) -> Option<InspectedContainer> {
    let container = docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?;
    let namespace = namespace_of(container.state.and_then(|s| s.pid))?;
    let networks = container.network_settings.and_then(|s| s.networks).unwrap_or_default();
    let endpoint = |n: bollard::models::EndpointSettings| {
        let mac = n.mac_address.unwrap_or_default();
        let address = n.ip_address.and_then(|a| a.parse().ok());
        // One in the host's network or another container's has neither.
        let named = !mac.is_empty() || address.is_some();
        Some(ContainerInterface { mac, address, network: n.network_id.filter(|_| named)? })
    };
    let endpoints: Vec<ContainerInterface> = networks.into_values().filter_map(endpoint).collect();
    let name = container.name.unwrap_or_default().trim_start_matches('/').to_owned();
    (!endpoints.is_empty()).then_some(InspectedContainer { name, namespace, endpoints })
}

/// The links of this thread's network namespace, with their addresses.
pub(super) fn links_here() -> Result<Vec<(Link, MtuLink)>, String> {
    let addresses = addresses_here()?;
    let links = link::list().map_err(|e| error_chain(&e))?;
    let seen = |link: Link| {
        let addresses = addresses.iter().filter(|(name, _)| *name == link.name).map(|(_, ip)| *ip).collect();
        let seen = MtuLink { name: link.name.clone(), mtu: link.mtu, addresses, ..MtuLink::default() };
        (link, seen)
    };
    Ok(links.into_iter().map(seen).collect())
}

fn addresses_here() -> Result<Vec<(String, IpAddr)>, String> {
    let all = nix::ifaddrs::getifaddrs().map_err(|e| format!("listing the addresses: {e}"))?;
    let outer = |ip: &IpAddr| match ip {
        IpAddr::V4(a) => !a.is_loopback() && !a.is_link_local(),
        IpAddr::V6(a) => !a.is_loopback() && !a.is_unicast_link_local(),
    };
    let one = |i: nix::ifaddrs::InterfaceAddress| {
        let ip = crate::facts::address(i.address.as_ref()?)?;
        outer(&ip).then_some((i.interface_name, ip))
    };
    Ok(all.filter_map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bridges() {
        let named = HashMap::from([(BRIDGE.to_owned(), "docker0".to_owned())]);
        let id = "0123456789abcdef";
        assert_eq!(bridge(id, "bridge", &named).as_deref(), Some("docker0"));
        assert_eq!(bridge(id, "bridge", &HashMap::new()).as_deref(), Some("br-0123456789ab"));
        assert_eq!(bridge(id, "macvlan", &named), None);
    }
}
