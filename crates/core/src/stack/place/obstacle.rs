//! Why a container finds no host, in words.

use super::{HostState, Port};
use crate::stack::deploy::{Constraint, What};
use serde::Serialize;
use std::fmt;

/// Why one host will not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Obstacle {
    /// It is not ready.
    State(HostState),
    /// It is not of this pool.
    Pool(String),
    /// It does not meet this constraint.
    Constraint(Constraint),
    /// Too little memory, in bytes.
    Memory {
        /// Not set aside.
        free: u64,
        /// To be set aside.
        needs: u64,
    },
    /// Too few CPUs, in billionths.
    Cpus {
        /// Not set aside.
        free: u64,
        /// To be set aside.
        needs: u64,
    },
    /// This port is taken.
    Port(Port),
    /// It has so many already, as many as it may.
    Enough(u32),
    /// The volumes are on the host of this name.
    Volumes(String),
    /// The service whose name spaces it shares is elsewhere.
    Shares,
    /// It is no Nova server, and the container has a Cinder volume.
    NoServer,
    /// It is no server of a pool, and the container has a Neutron port.
    NoPorts,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(HostState::Ready) => f.write_str("ready"),
            Self::State(HostState::Away) => f.write_str("not heard of for the moment"),
            Self::State(HostState::Drained) => f.write_str("drained"),
            Self::State(HostState::Lost) => f.write_str("lost"),
            Self::Pool(pool) => write!(f, "not of pool {pool}"),
            Self::Constraint(Constraint { what: What::Label(label), equal: true, value }) => {
                write!(f, "without label {label}={value}")
            }
            Self::Constraint(Constraint { what: What::Label(label), equal: false, value }) => {
                write!(f, "with label {label}={value}")
            }
            Self::Constraint(constraint) => write!(f, "not {constraint}"),
            Self::Memory { free, needs } => {
                write!(f, "too little memory (has {} free, needs {})", Size(*free), Size(*needs))
            }
            Self::Cpus { free, needs } => write!(f, "too few CPUs (has {} free, needs {})", Cpus(*free), Cpus(*needs)),
            Self::Port(port) => write!(f, "port {}/{} taken", port.number, port.protocol.word()),
            Self::Enough(max) => write!(f, "with {max} of it already (max_replicas_per_node)"),
            Self::Volumes(host) => write!(f, "without its volumes (they are on {host})"),
            Self::Shares => f.write_str("without the service whose name spaces it shares"),
            Self::NoServer => f.write_str("no Nova server, so a Cinder volume cannot be attached"),
            Self::NoPorts => f.write_str("no server of a pool, so its containers have no Neutron ports"),
        }
    }
}

/// Why no host will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unplaced {
    /// Obstacles, with the number of hosts that have them.
    obstacles: Vec<(Obstacle, usize)>,
}

impl Unplaced {
    /// The obstacles of all hosts.
    pub fn new(all: Vec<Obstacle>) -> Self {
        let mut obstacles: Vec<(Obstacle, usize)> = Vec::new();
        for obstacle in all {
            match obstacles.iter_mut().find(|(o, _)| *o == obstacle) {
                Some((_, count)) => *count += 1,
                None => obstacles.push((obstacle, 1)),
            }
        }
        obstacles.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self { obstacles }
    }
}

/// `2 hosts: 1 too little memory (has 512 MiB free, needs 1 GiB), 1 without label disk=ssd`
impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: usize = self.obstacles.iter().map(|(_, n)| n).sum();
        match (hosts, self.obstacles.as_slice()) {
            (0, _) => f.write_str("no hosts"),
            (1, [(obstacle, _)]) => write!(f, "1 host: {obstacle}"),
            (_, obstacles) => {
                let texts: Vec<String> = obstacles.iter().map(|(o, n)| format!("{n} {o}")).collect();
                write!(f, "{hosts} hosts: {}", texts.join(", "))
            }
        }
    }
}

/// Bytes, for people.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            n if n >= 1 << 30 => (1 << 30, "GiB"),
            n if n >= 1 << 20 => (1 << 20, "MiB"),
            n if n >= 1 << 10 => (1 << 10, "KiB"),
            _ => (1, "B"),
        };
        let (whole, tenth) = (self.0 / unit, self.0 % unit * 10 / unit);
        if tenth == 0 { write!(f, "{whole} {name}") } else { write!(f, "{whole}.{tenth} {name}") }
    }
}

/// Billionths of CPUs, for people.
struct Cpus(u64);

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 10_000_000);
        match hundredths {
            0 => write!(f, "{whole}"),
            h if h % 10 == 0 => write!(f, "{whole}.{}", h / 10),
            h => write!(f, "{whole}.{h:02}"),
        }
    }
}
