//! What the containers of a stack do, by what the engine alone knows.

use super::observe::PARALLEL;
use super::{Engine, Error, files, labels, observe};
use crate::docker::{Docker, is_not_found};
use bollard::models::{ContainerInspectResponse, EndpointSettings, EventMessage, HealthStatusEnum, PortMap};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use stackyard_core::agent::BoundPort;
use stackyard_core::stack::PortProtocol;
use stackyard_core::stack::observed::State;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Time that the engine has to tell of one container. A virtual machine without KVM may take seconds.
const LOOKED_WITHIN: Duration = Duration::from_secs(10);

/// A container of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The service that it was made for.
    pub service: String,
    /// Its id.
    pub id: String,
    /// Digest of what it was made from, see [`stackyard_core::stack::spec::Spec::digest`].
    pub spec: String,
    /// What it does.
    pub state: State,
    /// What its health test said last.
    pub health: Option<Tested>,
    /// Times that the engine started it again by itself.
    pub restarts: i64,
    /// When it was last started, in seconds since 1970; absent when it never was.
    pub started: Option<i64>,
    /// Its addresses by network; none while it does not run.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Its ports that the host forwards, sorted; none while it does not run.
    pub ports: Vec<BoundPort>,
}

/// What the engine knows of a container's health test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tested {
    /// The engine has not tested often enough to say.
    NotYet,
    /// The test succeeds.
    Healthy,
    /// The test fails.
    Unhealthy,
}

/// The containers of a stack, as far as the engine told of them.
#[derive(Debug)]
pub struct Look {
    /// The containers, ordered by name.
    pub containers: Vec<Seen>,
    /// Ids of containers of which the engine did not tell.
    pub unseen: Vec<String>,
    /// What the engine said of one of those; nothing if it only did not answer in time.
    pub problem: Option<Error>,
}

impl Engine {
    /// The containers of the stack `name`. One of which the engine does not tell does not hide the others.
    ///
    /// # Errors
    /// [`Error::Engine`]: there is no list of containers.
    pub async fn look_at(&self, name: &str) -> Result<Look, Error> {
        let ids = self.container_ids(name).await?;
        let looked: Vec<_> = stream::iter(ids)
            .map(async |id| (id.clone(), self.inspect_within(LOOKED_WITHIN, id).await))
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let (mut there, mut unseen, mut problem) = (Vec::new(), Vec::new(), None);
        for (id, container) in looked {
            let error = match container {
                Ok(container) => {
                    there.extend(container);
                    continue;
                }
                Err(Error::Engine { source: bollard::errors::Error::RequestTimeoutError, .. }) => None,
                Err(e) => Some(e),
            };
            unseen.push(id);
            problem = error.or(problem);
        }
        there.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Look { containers: there.iter().map(seen).collect(), unseen, problem })
    }

    /// Inspects a container that may be gone, and gives up when the engine does not answer: it does not while it starts
    /// the container or waits for a network of it.
    pub(super) async fn inspect_within(
        &self,
        time: Duration,
        id: String,
    ) -> Result<Option<ContainerInspectResponse>, Error> {
        let answer = timeout(time, self.api().inspect_container(&id, None)).await;
        match answer.unwrap_or(Err(bollard::errors::Error::RequestTimeoutError)) {
            Err(e) if is_not_found(&e) => Ok(None),
            other => other.map(Some).map_err(Error::engine(format!("inspect container {id}"))),
        }
    }
}

/// Names of the stacks that were worked on with the state directory `state` and not removed since.
pub fn known(state: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for path in files::entries(&state.join("stacks"))? {
        names.extend(path.file_name().and_then(|n| n.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Events of the engine after which a container of a stack is not what it was.
const EVENTS: [&str; 10] =
    ["create", "start", "restart", "die", "oom", "destroy", "pause", "unpause", "rename", "health_status"];

/// Something happened to a container of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The stack.
    pub stack: String,
    /// Id of the container.
    pub id: String,
    /// What happened, as far as it is more than that something did.
    pub end: Option<End>,
}

/// How a container comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It used more memory than it may, and a process of it was ended.
    OutOfMemory,
    /// It ended with this exit status.
    Died(i64),
    /// It is removed.
    Gone,
}

/// What happens to containers of stacks, until the engine ends the stream.
pub fn changes(docker: &Docker) -> BoxStream<'static, Result<Change, bollard::errors::Error>> {
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![labels::STACK.to_owned()]),
        ("event".to_owned(), EVENTS.map(str::to_owned).to_vec()),
    ]);
    let options = EventsOptionsBuilder::new().filters(&filters).build();
    docker.api().events(Some(options)).try_filter_map(async |e| Ok(change(e))).boxed()
}

fn change(event: EventMessage) -> Option<Change> {
    let actor = event.actor?;
    let mut attributes = actor.attributes?;
    let end = match event.action.as_deref() {
        Some("oom") => Some(End::OutOfMemory),
        Some("die") => attributes.get("exitCode").and_then(|code| code.parse().ok()).map(End::Died),
        Some("destroy") => Some(End::Gone),
        _ => None,
    };
    Some(Change { stack: attributes.remove(labels::STACK)?, id: actor.id.unwrap_or_default(), end })
}

fn seen(c: &ContainerInspectResponse) -> Seen {
    Seen {
        service: observe::label(c, labels::SERVICE).unwrap_or_default().to_owned(),
        id: c.id.clone().unwrap_or_default(),
        spec: observe::label(c, labels::SPEC).unwrap_or_default().to_owned(),
        state: observe::state(c),
        health: health(c),
        restarts: c.restart_count.unwrap_or_default(),
        started: observe::started(c).map(|ns| ns / 1_000_000_000),
        addresses: addresses(c),
        ports: ports(c),
    }
}

fn addresses(c: &ContainerInspectResponse) -> BTreeMap<String, Vec<IpAddr>> {
    let networks = c.network_settings.as_ref().and_then(|s| s.networks.as_ref());
    let of = |endpoint: &EndpointSettings| -> Vec<IpAddr> {
        let both = [&endpoint.ip_address, &endpoint.global_ipv6_address];
        both.into_iter().flatten().filter_map(|text| text.parse().ok()).collect()
    };
    let all = networks.into_iter().flatten().map(|(name, endpoint)| (name.clone(), of(endpoint)));
    all.filter(|(_, addresses)| !addresses.is_empty()).collect()
}

/// Ports that the host forwards. Docker lists those that it forwards itself. On a network whose driver does that, it
/// repeats only what was asked for.
fn ports(c: &ContainerInspectResponse) -> Vec<BoundPort> {
    if observe::state(c) != State::Running {
        return Vec::new();
    }
    let forwarded = c.network_settings.as_ref().and_then(|s| s.ports.as_ref());
    let asked = c.host_config.as_ref().and_then(|h| h.port_bindings.as_ref());
    let mut ports: Vec<BoundPort> = [forwarded, asked].into_iter().flatten().flat_map(bound_ports).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Bindings with one port of the host: `80/tcp` to addresses and ports.
fn bound_ports(map: &PortMap) -> impl Iterator<Item = BoundPort> {
    map.iter().flat_map(|(key, bindings)| {
        let parsed = key
            .split_once('/')
            .and_then(|(port, protocol)| Some((port.parse().ok()?, PortProtocol::from_word(protocol)?)));
        bindings.iter().flatten().filter_map(move |binding| {
            let (target, protocol) = parsed?;
            let published = binding.host_port.as_deref()?.parse().ok().filter(|port| *port > 0)?;
            let address: Option<IpAddr> = binding.host_ip.as_deref().and_then(|ip| ip.parse().ok());
            let host_ip = address.filter(|ip| !ip.is_unspecified());
            Some(BoundPort { target, protocol, published, host_ip })
        })
    })
}

fn health(c: &ContainerInspectResponse) -> Option<Tested> {
    match c.state.as_ref()?.health.as_ref()?.status? {
        HealthStatusEnum::STARTING => Some(Tested::NotYet),
        HealthStatusEnum::HEALTHY => Some(Tested::Healthy),
        HealthStatusEnum::UNHEALTHY => Some(Tested::Unhealthy),
        HealthStatusEnum::NONE | HealthStatusEnum::EMPTY => None,
    }
}
