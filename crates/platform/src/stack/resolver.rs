//! Containers that ask the agent's resolver for names.
//!
//! Docker's embedded resolver answers the names of an engine's own containers, and forwards everything else to the
//! container's name servers, from the container's network namespace. A container on a network that reaches across hosts
//! has one name server, [`RESOLVER`], where the agent listens inside that namespace. It has no aliases on such a
//! network: Docker would answer them with the replicas of this host alone.

use super::create::ContainerRequest;
use super::{Engine, Error, labels};
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions};
use stackyard_core::stack::{Attachment, RESOLVER, Service, Stack};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;

/// Port of DNS (RFC 1035, section 4.2).
const DNS: u16 = 53;

/// The network namespace of a running container that asks the agent's resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// File of the namespace, unique among running containers. Docker may have mounted it where this process does not
    /// see it.
    pub path: PathBuf,
    /// Id of a process in the namespace.
    pub process: i64,
    /// Names on the engine of the networks that the container is on.
    pub networks: BTreeSet<String>,
    /// Name servers that its service names; the host's if there are none.
    pub name_servers: Vec<IpAddr>,
    /// None of its networks has a way to the outside.
    pub is_internal: bool,
}

/// What is known of sandboxes from earlier looks, by container and its endpoints: these are new after each start.
#[derive(Debug, Default)]
pub struct SandboxCache {
    places: BTreeMap<(String, Vec<String>), Place>,
    /// Whether a network is internal, by its id.
    internal: HashMap<String, bool>,
}

/// A namespace's file, and a process in it.
type Place = (PathBuf, i64);

impl ContainerRequest<'_> {
    fn asks_resolver(&self) -> bool {
        self.engine.resolver && asks_resolver(self.stack, self.service)
    }

    /// Name servers that the engine writes down for the container.
    pub(super) fn name_servers(&self) -> Vec<String> {
        if self.asks_resolver() { vec![RESOLVER.to_string()] } else { self.service.dns.clone() }
    }

    /// The mark of a container that asks the agent's resolver.
    pub(super) fn resolver_label(&self) -> Option<(String, String)> {
        self.asks_resolver().then(|| (labels::RESOLVER.to_owned(), labels::json(&self.service.dns)))
    }

    /// Names that Docker's resolver answers on the network `key`.
    pub(super) fn aliases(&self, key: &str, attachment: &Attachment) -> Vec<String> {
        if self.asks_resolver() && self.stack.network(key).crosses_hosts() {
            return Vec::new();
        }
        std::iter::once(self.name.to_owned()).chain(attachment.aliases.iter().cloned()).collect()
    }
}

impl Engine {
    /// The network namespaces of all running containers that ask the agent's resolver.
    ///
    /// # Errors
    /// [`Error::Engine`]
    pub async fn sandboxes(&self, cache: &mut SandboxCache) -> Result<Vec<Sandbox>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![labels::RESOLVER.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        let list = self.api().list_containers(Some(options)).await;
        let list = list.map_err(Error::engine("list the containers that ask the resolver"))?;
        self.learn_networks(&list, cache).await?;
        let (mut sandboxes, mut places) = (Vec::new(), BTreeMap::new());
        for container in &list {
            let key = identity(container);
            let place = match cache.places.get(&key).cloned() {
                Some(place) => place,
                None => match self.place(&key.0).await? {
                    Some(place) => place,
                    None => continue,
                },
            };
            sandboxes.push(sandbox(container, place.clone(), cache));
            places.insert(key, place);
        }
        cache.places = places;
        Ok(sandboxes)
    }

    /// Where a container's network namespace is, while it runs.
    async fn place(&self, id: &str) -> Result<Option<Place>, Error> {
        let container = match self.api().inspect_container(id, None).await {
            Err(e) if crate::docker::is_not_found(&e) => return Ok(None),
            other => other.map_err(Error::engine(format!("inspect container {id}")))?,
        };
        let key = container.network_settings.and_then(|s| s.sandbox_key).filter(|k| !k.is_empty());
        let process = container.state.and_then(|s| s.pid).filter(|pid| *pid > 0);
        Ok(key.map(PathBuf::from).zip(process))
    }

    async fn learn_networks(&self, list: &[ContainerSummary], cache: &mut SandboxCache) -> Result<(), Error> {
        let ids = list.iter().flat_map(endpoints).filter_map(|(_, e)| e.network_id.as_ref());
        if ids.into_iter().all(|id| cache.internal.contains_key(id)) {
            return Ok(());
        }
        let networks = self.api().list_networks(None::<ListNetworksOptions>).await;
        let networks = networks.map_err(Error::engine("list networks"))?;
        let all = networks.into_iter().filter_map(|n| Some((n.id?, n.internal.unwrap_or_default())));
        cache.internal = all.collect();
        Ok(())
    }
}

/// Whether containers of a service ask the agent's resolver. A service that declares port 53 is a name server itself,
/// and could not listen on all addresses next to the agent's.
fn asks_resolver(stack: &Stack, service: &Service) -> bool {
    let is_dns = |port: &String| port.split('/').next() == Some("53");
    let serves_dns = service.ports.iter().any(|p| p.target == DNS) || service.expose.iter().any(is_dns);
    let mut networks = stack.attachments(service).into_keys().map(|key| stack.network(&key));
    !serves_dns && networks.any(|n| n.crosses_hosts())
}

fn endpoints(container: &ContainerSummary) -> impl Iterator<Item = (&String, &bollard::models::EndpointSettings)> {
    container.network_settings.iter().filter_map(|s| s.networks.as_ref()).flatten()
}

/// A container's id and the ids of its endpoints.
fn identity(container: &ContainerSummary) -> (String, Vec<String>) {
    let mut ids: Vec<String> = endpoints(container).filter_map(|(_, e)| e.endpoint_id.clone()).collect();
    ids.sort();
    (container.id.clone().unwrap_or_default(), ids)
}

fn sandbox(container: &ContainerSummary, (path, process): Place, cache: &SandboxCache) -> Sandbox {
    let label = container.labels.as_ref().and_then(|l| l.get(labels::RESOLVER));
    let servers: Vec<String> = label.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let internal = |id: &String| cache.internal.get(id).copied().unwrap_or_default();
    Sandbox {
        path,
        process,
        networks: endpoints(container).map(|(name, _)| name.clone()).collect(),
        name_servers: servers.iter().filter_map(|s| s.parse().ok()).collect(),
        is_internal: endpoints(container).all(|(_, e)| e.network_id.as_ref().is_some_and(internal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::{NETWORK_DRIVER, Network, NetworkMode};

    #[test]
    fn containers_on_networks_that_reach_across_hosts_ask_the_resolver() {
        let mut stack = Stack { name: "shop".into(), ..Stack::default() };
        let front = |external| Network { driver: Some(NETWORK_DRIVER.into()), external, ..Network::default() };
        stack.networks.extend([("front".into(), front(false)), ("theirs".into(), front(true))]);
        let on = |networks: &[&str]| {
            let attachments = networks.iter().map(|n| ((*n).to_owned(), Attachment::default())).collect();
            Service { network_mode: NetworkMode::Networks(attachments), ..Service::default() }
        };
        let asks = |service: &Service| asks_resolver(&stack, service);
        assert!(asks(&on(&["default", "front"])));
        assert!(!asks(&on(&["default"])) && !asks(&on(&["theirs"])) && !asks(&Service::default()));
        assert!(!asks(&Service { network_mode: NetworkMode::Host, ..Service::default() }));
        let open = |port: &str| Service { expose: vec![port.into()], ..on(&["front"]) };
        assert!(!asks(&open("53")) && !asks(&open("53/udp")), "it is a name server itself");
        assert!(asks(&open("5353/udp")));
    }
}
