//! Containers that ask the agent's resolver for names.
//!
//! Docker's embedded resolver answers the names of an engine's own containers, and forwards everything else to the
//! container's name servers, from the container's network namespace. A container on a network that reaches across hosts
//! has one name server, [`RESOLVER`], where the agent listens inside that namespace. It has no aliases on such a
//! network: Docker would answer them with the replicas of this host alone.

use super::create::ContainerRequest;
use super::observe::PARALLEL;
use super::{Engine, Error, labels};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions};
use futures_util::{StreamExt, stream};
use stackyard_core::stack::{Attachment, RESOLVER, RESOLVER_OPTION, Service, Stack, is_dns};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Files that Docker takes a container's options from: the second one where systemd-resolved manages the first.
const RESOLV_CONFS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Time that the engine has to tell of one container: questions of new ones wait.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// An option that changes nothing: five seconds are the default (resolv.conf(5)). Docker takes no empty list.
const DEFAULT_OPTION: &str = "timeout:5";

/// The network namespace of a running container that asks the agent's resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// File of the namespace, unique among running containers. Docker may have mounted it where this process does not
    /// see it.
    pub path: PathBuf,
    /// Id of a process in the namespace.
    pub process: i64,
    /// Stack that the container belongs to.
    pub stack: String,
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
        self.engine.resolver && !self.image_serves_dns && self.stack.asks_resolver(self.service)
    }

    /// Name servers that the engine writes down for the container.
    pub(super) fn name_servers(&self) -> Vec<String> {
        if self.asks_resolver() { vec![RESOLVER.to_string()] } else { self.service.dns.clone() }
    }

    /// Options for `/etc/resolv.conf` that the engine writes down for the container.
    ///
    /// Where `ndots` is set, Docker's resolver answers names without a dot that it does not know itself, instead of
    /// forwarding them (moby `libnetwork/resolver.go`, `NdotsSet`). So a container that asks the agent has none: neither
    /// its service's nor the host's.
    pub(super) fn resolver_options(&self) -> Vec<String> {
        let own = &self.service.engine.dns_opt;
        if !self.asks_resolver() {
            return own.clone();
        }
        without_ndots(own, || RESOLV_CONFS.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect())
    }

    /// Options of the container's endpoint on the network `key`, for the network's driver.
    pub(super) fn endpoint_options(&self, key: &str, attachment: &Attachment) -> BTreeMap<String, String> {
        let mut options = attachment.driver_opts.clone();
        if self.asks_resolver() && self.stack.network(key).crosses_hosts() {
            options.insert(RESOLVER_OPTION.to_owned(), "true".to_owned());
        }
        options
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

/// `own` options of resolv.conf(5) without `ndots`. Without any of its own, a container would have the host's, which
/// `host` reads: then it has those without `ndots`.
fn without_ndots(own: &[String], host: impl FnOnce() -> Vec<String>) -> Vec<String> {
    let is_ndots = |option: &str| option == "ndots" || option.starts_with("ndots:");
    let kept: Vec<String> = own.iter().filter(|o| !is_ndots(o)).cloned().collect();
    if !kept.is_empty() {
        return kept;
    }
    let files = host();
    let lines = files.iter().flat_map(|text| text.lines());
    let words = lines.map(str::split_whitespace).filter_map(|mut w| (w.next()? == "options").then_some(w));
    let (ndots, mut kept): (Vec<_>, Vec<_>) = words.flatten().map(str::to_owned).partition(|o| is_ndots(o));
    if ndots.is_empty() {
        return Vec::new();
    }
    kept.sort();
    kept.dedup();
    if kept.is_empty() {
        kept.push(DEFAULT_OPTION.to_owned());
    }
    kept
}

impl Engine {
    /// Whether the image of a service that would ask the agent's resolver is that of a name server.
    pub(super) async fn image_serves_dns(&self, stack: &Stack, service: &Service) -> Result<bool, Error> {
        if !self.resolver || !stack.asks_resolver(service) {
            return Ok(false);
        }
        let image = match self.api().inspect_image(&service.image).await {
            // Making the container says so.
            Err(e) if crate::docker::is_not_found(&e) => return Ok(false),
            other => other.map_err(Error::engine(format!("inspect image {}", service.image)))?,
        };
        let ports = image.config.and_then(|c| c.exposed_ports).unwrap_or_default();
        Ok(ports.iter().any(|p| is_dns(p)))
    }

    /// The network namespaces of all running containers that ask the agent's resolver, and why some are missing. One of
    /// which the engine does not tell does not hide the others.
    ///
    /// # Errors
    /// [`Error::Engine`]: there is no list of containers.
    pub async fn sandboxes(&self, cache: &mut SandboxCache) -> Result<(Vec<Sandbox>, Option<Error>), Error> {
        let filters = HashMap::from([("label".to_owned(), vec![labels::RESOLVER.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        let list = self.api().list_containers(Some(options)).await;
        let list = list.map_err(Error::engine("list the containers that ask the resolver"))?;
        self.learn_networks(&list, cache).await?;
        // One that waits to be started again has no namespace.
        let runs = |c: &&ContainerSummary| c.state != Some(ContainerSummaryStateEnum::RESTARTING);
        let known = &cache.places;
        let looked = stream::iter(list.iter().filter(runs)).map(async |container| {
            let key = identity(container);
            let place = match known.get(&key).cloned() {
                Some(place) => Ok(Some(place)),
                None => self.place(key.0.clone()).await,
            };
            (container, key, place)
        });
        let looked: Vec<_> = looked.buffer_unordered(PARALLEL).collect().await;
        let (mut sandboxes, mut places, mut problem) = (Vec::new(), BTreeMap::new(), None);
        for (container, key, place) in looked {
            match place {
                Ok(Some(place)) => {
                    sandboxes.push(sandbox(container, place.clone(), cache));
                    places.insert(key, place);
                }
                Ok(None) => {}
                Err(e) => problem = Some(e),
            }
        }
        cache.places = places;
        Ok((sandboxes, problem))
    }

    /// Where a container's network namespace is, while it runs.
    async fn place(&self, id: String) -> Result<Option<Place>, Error> {
        let Some(container) = self.inspect_within(KNOWN_WITHIN, id).await? else { return Ok(None) };
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
    let text = |label: &str| container.labels.as_ref().and_then(|l| l.get(label));
    let servers: Vec<String> =
        text(labels::RESOLVER).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let internal = |id: &String| cache.internal.get(id).copied().unwrap_or_default();
    Sandbox {
        path,
        process,
        stack: text(labels::STACK).cloned().unwrap_or_default(),
        networks: endpoints(container).map(|(name, _)| name.clone()).collect(),
        name_servers: servers.iter().filter_map(|s| s.parse().ok()).collect(),
        is_internal: endpoints(container).all(|(_, e)| e.network_id.as_ref().is_some_and(internal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_asks_the_resolver_has_no_ndots() {
        let options = |own: &[&str], host: &[&str]| {
            let texts = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
            without_ndots(&texts(own), || texts(host))
        };
        assert_eq!(options(&["ndots:1", "timeout:2"], &["options ndots:5"]), ["timeout:2"]);
        assert!(options(&["ndots:1"], &["nameserver 10.0.0.1\noptions edns0"]).is_empty(), "the host's");
        let host = ["options ndots:2 edns0\noptions\trotate\n", "options edns0\n# options ndots:1"];
        assert_eq!(options(&[], &host), ["edns0", "rotate"], "the host's without it");
        assert_eq!(options(&["ndots:0"], &["options ndots:2"]), [DEFAULT_OPTION], "an empty list means the host's");
        assert!(options(&[], &["options ndotsx:2"]).is_empty());
    }
}
