//! A stack: services, volumes, networks and files as the Compose specification knows them.
//!
//! The crate `catalog` reads packages and Compose files into these types; the crate
//! `platform` carries them out on a container engine. Everything is resolved here:
//! no interpolation is left, durations are durations, sizes are bytes, relative
//! paths are absolute.
//!
//! Source of the field meanings: the Compose specification (compose-spec, `05-services.md`).

mod archive;
pub mod cinder_volume;
pub mod deploy;
pub mod observed;
mod options;
pub mod own_host;
pub mod place;
pub mod plan;
mod reference;
mod service;
pub mod spec;
mod stack_network;
pub mod status;
pub mod template;

pub use archive::{ARCHIVE_ROOT, Archive, is_archive_digest};
pub use cinder_volume::{CinderVolume, Filesystem, VOLUME_DRIVER};
pub use options::{DeviceRequest, EngineOptions, ServiceHook, debian_arch};
pub use reference::is_image_reference;
pub use service::{
    Attachment, Bind, CgroupMode, Config, Dependency, DependencyCondition, Device, FileAccess, FileMount, HealthTest,
    Healthcheck, Logging, Mount, MountKind, NetworkMode, PortProtocol, Propagation, PublishedPort, RestartPolicy,
    Service, Ulimit,
};

pub use stack_network::{NO_STACK_NETWORK, NetworkInput, NetworkNote, STACK_GROUP_OPTION, StackNetwork};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A named set of services with the volumes, networks and files they use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stack {
    /// Name; also the prefix of every container, volume and network of the stack.
    pub name: String,
    /// Services by name; only those whose profiles are active.
    pub services: BTreeMap<String, Service>,
    /// Networks by the name that services use.
    pub networks: BTreeMap<String, Network>,
    /// Named volumes by the name that services use.
    pub volumes: BTreeMap<String, Volume>,
    /// Configuration files by name.
    pub configs: BTreeMap<String, Config>,
    /// Secret files by name; as configs, but never shown.
    pub secrets: BTreeMap<String, Config>,
}

impl Stack {
    /// Whether the service `name` is a one-shot job: some service waits for its successful
    /// end, its mode says so, or its own label `dev.stackyard.job` is `true`.
    pub fn is_job(&self, name: &str) -> bool {
        let said = |s: &Service| s.deploy.mode.is_job() || s.labels.get(JOB_LABEL).is_some_and(|v| v == "true");
        Service::is_job(name, self.services.values()) || self.services.get(name).is_some_and(said)
    }

    /// Networks that `service` sits on, by key; the key `default` when it names none.
    ///
    /// Empty when it shares or lacks a network name space.
    pub fn attachments(&self, service: &Service) -> BTreeMap<String, Attachment> {
        service.network_mode.attachments()
    }

    /// The network with `key`; the implied one when the stack does not describe it.
    pub fn network(&self, key: &str) -> Network {
        self.networks
            .get(key)
            .cloned()
            .unwrap_or_else(|| Network { name: format!("{}_{key}", self.name), ..Network::default() })
    }

    /// Whether two services are on one network that reaches across hosts.
    pub fn meet_across_hosts(&self, one: &Service, other: &Service) -> bool {
        let theirs = self.attachments(other);
        self.attachments(one).keys().any(|key| theirs.contains_key(key) && self.network(key).crosses_hosts())
    }

    /// Whether containers of a service on a host of a yard ask the agent's resolver. A service that declares port 53 is a
    /// name server itself, and could not listen on all addresses next to the agent's.
    pub fn asks_resolver(&self, service: &Service) -> bool {
        !service.serves_dns() && self.is_across_hosts(service)
    }

    /// Whether a service is on a network that reaches across hosts.
    pub fn is_across_hosts(&self, service: &Service) -> bool {
        self.attachments(service).keys().any(|key| self.network(key).crosses_hosts())
    }

    /// Keys of the networks that services sit on.
    pub fn network_keys(&self) -> BTreeSet<String> {
        self.services.values().flat_map(|s| self.attachments(s).into_keys()).collect()
    }
}

impl Service {
    /// Whether it declares the port of DNS, so that it is a name server itself.
    fn serves_dns(&self) -> bool {
        self.ports.iter().any(|p| p.target == DNS) || self.expose.iter().any(|p| is_dns(p))
    }
}

/// Port of DNS (RFC 1035, section 4.2).
const DNS: u16 = 53;

/// Whether a port of an image or of `expose` is that of DNS, or a range with it: `53`, `53/udp`, `50-60`.
pub fn is_dns(port: &str) -> bool {
    let numbers = port.split('/').next().unwrap_or_default();
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.trim().parse::<u16>().ok();
    number(first).zip(number(last)).is_some_and(|(first, last)| (first..=last).contains(&DNS))
}

/// Key of the network of services that name none.
pub const DEFAULT_NETWORK: &str = "default";

/// Label of a service that declares it a one-shot job.
pub const JOB_LABEL: &str = "dev.stackyard.job";

/// Driver of networks whose containers have Neutron ports.
pub const NETWORK_DRIVER: &str = "stackyard";

/// Name server of containers on networks that reach across hosts: the agent listens there in the container's own
/// network namespace. Docker's resolver forwards to it what it does not know.
pub const RESOLVER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(127, 0, 0, 153);

/// Driver option of an endpoint whose container asks [`RESOLVER`]. The network driver hears of it before the container's
/// first program runs, and does not learn the container's labels.
pub const RESOLVER_OPTION: &str = "resolver";

/// A container network of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Name on the engine; `<stack>_<key>` unless the file gives one.
    pub name: String,
    /// Made by somebody else: it must exist and is never removed.
    pub external: bool,
    /// Driver; the engine's default when absent.
    pub driver: Option<String>,
    /// Options for the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
    /// No route to the outside.
    pub internal: bool,
    /// IPv6 is wanted.
    pub enable_ipv6: bool,
    /// Driver that gives out addresses; the engine's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipam_driver: Option<String>,
    /// Address pools as (subnet CIDR, gateway).
    pub subnets: Vec<(String, Option<String>)>,
    /// Part of a subnet that containers get addresses of, by subnet; all of it where absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ip_ranges: BTreeMap<String, String>,
    /// Addresses that the driver keeps for others, by subnet and name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, BTreeMap<String, String>>,
    /// Options for the driver that gives out addresses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ipam_options: BTreeMap<String, String>,
}

impl Network {
    /// Whether containers of the stack meet here across hosts, and find each other by name.
    pub fn crosses_hosts(&self) -> bool {
        self.driver.as_deref() == Some(NETWORK_DRIVER) && !self.external
    }
}

/// A named volume of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Name on the engine; `<stack>_<key>` unless the file gives one.
    pub name: String,
    /// Made by somebody else: it must exist and is never removed.
    pub external: bool,
    /// Driver; `local` when absent.
    pub driver: Option<String>,
    /// Options for the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_on_networks_that_reach_across_hosts_ask_the_resolver() {
        let mut stack = Stack { name: "shop".into(), ..Stack::default() };
        let front = |external| Network { driver: Some(NETWORK_DRIVER.into()), external, ..Network::default() };
        stack.networks.extend([("front".into(), front(false)), ("theirs".into(), front(true))]);
        let on = |networks: &[&str]| {
            let attachments = networks.iter().map(|n| ((*n).to_owned(), Attachment::default())).collect();
            Service { network_mode: NetworkMode::Networks(attachments), ..Service::default() }
        };
        let asks = |service: &Service| stack.asks_resolver(service);
        assert!(asks(&on(&["default", "front"])));
        assert!(!asks(&on(&["default"])) && !asks(&on(&["theirs"])) && !asks(&Service::default()));
        assert!(!asks(&Service { network_mode: NetworkMode::Host, ..Service::default() }));
        let open = |port: &str| Service { expose: vec![port.into()], ..on(&["front"]) };
        for port in ["53", "53/udp", "50-60", "53-53/tcp"] {
            assert!(!asks(&open(port)), "{port}: it is a name server itself");
        }
        for port in ["5353/udp", "54-60", "x"] {
            assert!(asks(&open(port)), "{port}");
        }
    }
}
