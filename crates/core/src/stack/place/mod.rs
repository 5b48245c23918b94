//! Which host runs which container.
//!
//! A [`Board`] knows the hosts and what is on them; [`Board::pick`] finds the best host for one
//! more container of a service, or says for each host why not. It is pure: the same board gives
//! the same answer. What counts, in this order:
//!
//! | | |
//! |---|---|
//! | must | the host is ready; all constraints; room in memory and CPUs for what is set aside; published ports (and `expose`d ones of services on the host's own network) are free; no more than `max_replicas_per_node`; where its volumes are, if that host is ready; a Nova server, if it has a Cinder volume; a server of a pool, if it has a Neutron port; where the service is whose name spaces it shares |
//! | should | few of its like among the hosts with the same value of each spread label; few of its like on the host; few containers on the host; much memory left |
//!
//! What runs stays: whoever calls asks for a host only for containers that have none, or that
//! must leave theirs.

mod obstacle;
#[cfg(test)]
mod tests;

pub use obstacle::{Obstacle, Unplaced};

use super::deploy::{Constraint, What};
use super::{MountKind, NetworkMode, PortProtocol, Service, Stack, debian_arch};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A host, as far as placing goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Host {
    /// Its id.
    pub id: String,
    /// Its name, for people and constraints.
    pub name: String,
    /// The host pool that it is of.
    pub pool: Option<String>,
    /// Whether it is a Nova server, so that Cinder volumes can be attached to it.
    #[serde(default)]
    pub nova_server: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its architecture, as Debian names it.
    pub arch: String,
    /// Billionths of CPUs that it has.
    pub nano_cpus: u64,
    /// Memory that it has, in bytes.
    pub memory: u64,
    /// Address at which others reach it; none before its agent told one.
    pub address: Option<IpAddr>,
    /// Whether it can be counted on.
    pub state: HostState,
    /// What other stacks have on it.
    pub taken: Taken,
}

impl Host {
    /// Whether its containers may have Neutron ports: the server gives them to hosts of pools alone.
    pub fn has_ports(&self) -> bool {
        self.pool.is_some()
    }
}

/// Whether a host can be counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It is there and takes containers.
    #[default]
    Ready,
    /// Nothing is heard of it, for a short time. It keeps what it has and gets nothing new.
    Away,
    /// It is to have no containers.
    Drained,
    /// Nothing was heard of it for too long. What it had comes up elsewhere.
    Lost,
}

/// What is set aside on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Taken {
    /// Billionths of CPUs.
    pub nano_cpus: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// Ports of the host.
    pub ports: BTreeSet<Port>,
    /// Number of containers.
    pub containers: u32,
}

/// A port of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Its protocol.
    pub protocol: PortProtocol,
    /// The one address that it is open at; all if absent.
    pub address: Option<IpAddr>,
}

impl Port {
    /// Whether one host can have both.
    pub fn excludes(&self, other: &Self) -> bool {
        self.number == other.number
            && self.protocol == other.protocol
            && (self.address == other.address || self.address.is_none() || other.address.is_none())
    }
}

impl Taken {
    /// What one container of `service` takes.
    pub fn by(service: &Service) -> Self {
        Self {
            nano_cpus: service.deploy.nano_cpus,
            memory: service.mem_reservation.unwrap_or(0),
            ports: ports(service),
            containers: 1,
        }
    }

    /// Takes more.
    pub fn add(&mut self, more: &Self) {
        self.nano_cpus = self.nano_cpus.saturating_add(more.nano_cpus);
        self.memory = self.memory.saturating_add(more.memory);
        self.ports.extend(more.ports.iter().cloned());
        self.containers += more.containers;
    }

    fn remove(&mut self, less: &Self) {
        self.nano_cpus = self.nano_cpus.saturating_sub(less.nano_cpus);
        self.memory = self.memory.saturating_sub(less.memory);
        self.ports.retain(|p| !less.ports.contains(p));
        self.containers = self.containers.saturating_sub(less.containers);
    }
}

/// Ports of the host that a container of `service` holds, as far as they are known beforehand.
fn ports(service: &Service) -> BTreeSet<Port> {
    if service.network_mode == NetworkMode::Host {
        let known = service.expose.iter().filter_map(|text| {
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            let protocol = PortProtocol::from_word(protocol)?;
            Some(Port { number: number.parse().ok()?, protocol, address: None })
        });
        return known.collect();
    }
    let published = service.ports.iter().filter_map(|p| {
        let address = p.host_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified());
        // Of a range the engine takes one that is free.
        let number = p.published.filter(|_| p.published_last.is_none())?;
        Some(Port { number, protocol: p.protocol, address })
    });
    published.collect()
}

/// Hosts and what is on them.
#[derive(Debug, Clone)]
pub struct Board<'a> {
    spots: BTreeMap<&'a str, Spot<'a>>,
    pool: Option<&'a str>,
}

#[derive(Debug, Clone)]
struct Spot<'a> {
    host: &'a Host,
    taken: Taken,
    /// Containers by service.
    counts: BTreeMap<String, u32>,
}

/// What else is known of a container that wants a host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ties<'a> {
    /// Host that has its volumes.
    pub home: Option<&'a str>,
    /// Host that it must be on, since it shares the name spaces of a container there.
    pub with: Option<&'a str>,
    /// It has a Cinder volume, so its host must be a Nova server.
    pub cinder: bool,
    /// It has a Neutron port, so its host must be a server of a pool.
    pub neutron: bool,
}

impl<'a> Board<'a> {
    /// The hosts, with what other stacks have on them. With `pool`, only hosts of it are used.
    pub fn new(hosts: &'a [Host], pool: Option<&'a str>) -> Self {
        let spot = |host: &'a Host| Spot { host, taken: host.taken.clone(), counts: BTreeMap::new() };
        Self { spots: hosts.iter().map(|h| (h.id.as_str(), spot(h))).collect(), pool }
    }

    /// The host with this id.
    pub fn host(&self, id: &str) -> Option<&'a Host> {
        self.spots.get(id).map(|s| s.host)
    }

    /// The hosts, by id.
    pub fn hosts(&self) -> impl Iterator<Item = &'a Host> + '_ {
        self.spots.values().map(|s| s.host)
    }

    /// Puts a container on a host.
    pub fn put(&mut self, host: &str, name: &str, service: &Service) {
        if let Some(spot) = self.spots.get_mut(host) {
            spot.taken.add(&Taken::by(service));
            *spot.counts.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Takes a container off a host.
    pub fn remove(&mut self, host: &str, name: &str, service: &Service) {
        if let Some(spot) = self.spots.get_mut(host) {
            spot.taken.remove(&Taken::by(service));
            if let Some(count) = spot.counts.get_mut(name) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Why a host may not have containers of `service`, whatever else is on it.
    ///
    /// # Errors
    /// The obstacle.
    pub fn allows(&self, host: &Host, service: &Service) -> Result<(), Obstacle> {
        if host.state != HostState::Ready {
            return Err(Obstacle::State(host.state));
        }
        if let Some(pool) = self.pool.filter(|p| host.pool.as_deref() != Some(*p)) {
            return Err(Obstacle::Pool(pool.to_owned()));
        }
        let platform = service.engine.platform_constraint();
        match service.deploy.placement.constraints.iter().chain(&platform).find(|c| !meets(host, c)) {
            Some(constraint) => Err(Obstacle::Constraint(constraint.clone())),
            None => Ok(()),
        }
    }

    /// Whether one more container of the service `name` may be put on a host.
    ///
    /// # Errors
    /// The first obstacle.
    pub fn fits(&self, host: &str, name: &str, service: &Service, ties: Ties<'_>) -> Result<(), Obstacle> {
        let Some(spot) = self.spots.get(host) else { return Err(Obstacle::State(HostState::Lost)) };
        self.allows(spot.host, service)?;
        if ties.with.is_some_and(|with| with != host) {
            return Err(Obstacle::Shares);
        }
        if ties.cinder && !spot.host.nova_server {
            return Err(Obstacle::NoServer);
        }
        if ties.neutron && !spot.host.has_ports() {
            return Err(Obstacle::NoPorts);
        }
        if let Some(home) = ties.home.and_then(|id| self.spots.get(id))
            && home.host.id != host
            && matches!(home.host.state, HostState::Ready | HostState::Away)
            && self.allows(&Host { state: HostState::Ready, ..home.host.clone() }, service).is_ok()
        {
            return Err(Obstacle::Volumes(home.host.name.clone()));
        }
        if let Some(max) = service.deploy.placement.max_per_host
            && spot.counts.get(name).is_some_and(|n| *n >= max)
        {
            return Err(Obstacle::Enough(max));
        }
        let wants = Taken::by(service);
        let free = spot.host.memory.saturating_sub(spot.taken.memory);
        if wants.memory > free {
            return Err(Obstacle::Memory { free, needs: wants.memory });
        }
        let free = spot.host.nano_cpus.saturating_sub(spot.taken.nano_cpus);
        if wants.nano_cpus > free {
            return Err(Obstacle::Cpus { free, needs: wants.nano_cpus });
        }
        match wants.ports.iter().find(|p| spot.taken.ports.iter().any(|t| t.excludes(p))) {
            Some(port) => Err(Obstacle::Port(port.clone())),
            None => Ok(()),
        }
    }

    /// The best host for one more container of the service `name`.
    ///
    /// # Errors
    /// Why none will do.
    pub fn pick(&self, name: &str, service: &Service, ties: Ties<'_>) -> Result<&'a Host, Unplaced> {
        let mut obstacles = Vec::new();
        let mut best: Option<(Score, &'a Host)> = None;
        for (id, spot) in &self.spots {
            if let Err(obstacle) = self.fits(id, name, service, ties) {
                obstacles.push(obstacle);
                continue;
            }
            let score = self.score(spot, name, service);
            if best.as_ref().is_none_or(|(b, _)| score < *b) {
                best = Some((score, spot.host));
            }
        }
        best.map(|(_, host)| host).ok_or_else(|| Unplaced::new(obstacles))
    }

    /// The less, the better.
    fn score(&self, spot: &Spot<'a>, name: &str, service: &Service) -> Score {
        let like = |s: &Spot<'a>| s.counts.get(name).copied().unwrap_or(0);
        let labels = &service.deploy.placement.spread;
        let groups = (1..=labels.len()).map(|n| {
            let same = |s: &&Spot<'a>| labels[..n].iter().all(|l| s.host.labels.get(l) == spot.host.labels.get(l));
            self.spots.values().filter(same).map(like).sum()
        });
        let left = spot.host.memory.saturating_sub(spot.taken.memory);
        Score {
            groups: groups.collect(),
            like: like(spot),
            containers: spot.taken.containers,
            little: u64::MAX - left,
            name: spot.host.name.clone(),
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    groups: Vec<u32>,
    like: u32,
    containers: u32,
    little: u64,
    name: String,
}

/// Whether a host meets a constraint.
fn meets(host: &Host, constraint: &Constraint) -> bool {
    let value = match &constraint.what {
        What::Label(name) => host.labels.get(name).map(String::as_str),
        What::Hostname => Some(host.name.as_str()),
        What::Id => Some(host.id.as_str()),
        What::Pool => host.pool.as_deref(),
        What::Role => Some("worker"),
        What::Os => Some("linux"),
        What::Arch => {
            return (debian_arch(&host.arch) == debian_arch(&constraint.value)) == constraint.equal;
        }
    };
    (value == Some(constraint.value.as_str())) == constraint.equal
}

impl Stack {
    /// Whether containers of `service` have data in volumes of the host that they are on.
    pub fn is_tied(&self, service: &Service) -> bool {
        service.volumes.iter().any(|mount| match &mount.kind {
            MountKind::Volume { name, .. } => self.volumes.get(name).is_none_or(|v| {
                v.driver.as_deref().is_none_or(|d| d == "local") && !v.driver_opts.contains_key("type")
            }),
            _ => false,
        })
    }
}
