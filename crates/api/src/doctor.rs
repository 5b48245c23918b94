//! Measurements of what gets through between hosts, and what follows from them.

use crate::{MtuPath, PortKind};
use serde::{Deserialize, Serialize};
use stackyard_core::mtu::Place;
use stackyard_core::mtu::search::{Found, Passage};
use std::net::IpAddr;
use utoipa::ToSchema;

/// What to measure.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MtuRequest {
    /// At most so many pairs; 64 unless told otherwise.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pub pairs: Option<usize>,
}

/// What to set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MtuFix {
    /// Steps of a measurement's advice.
    pub steps: Vec<MtuStep>,
}

/// One line of the answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum MtuEvent {
    /// Nothing new.
    Pulse,
    /// A measurement begins.
    Begun {
        /// Pairs that are measured.
        pairs: usize,
    },
    /// A pair is measured.
    Pair {
        /// What was found.
        pair: Box<MtuPair>,
    },
    /// All is measured.
    Report {
        /// What was found, and what follows from it.
        report: Box<MtuReport>,
    },
    /// A step was tried.
    Step {
        /// Which.
        step: MtuStep,
        /// What was changed, for people; nothing if it was so already.
        changed: Vec<String>,
        /// What went wrong.
        error: Option<String>,
    },
    /// Nothing more comes.
    End,
}

/// One end of a way: a host, a server, a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MtuEnd {
    /// What it is.
    pub kind: PortKind,
    /// Its name; of a container with its host's, `shop-web-1 on web-1`.
    pub name: String,
    /// Id of the host whose agent sends and listens there; absent where none does.
    pub host: Option<String>,
    /// Docker's id of the container, if it is one.
    pub container: Option<String>,
    /// The cloud's network that it is in.
    pub network: Option<String>,
    /// Its address; absent where nobody else can send to it.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// What is set on the way to it, the outermost layer first.
    pub set: Vec<MtuSet>,
}

/// What a layer is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MtuSet {
    /// What it is.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Its id, where it has one: of a network of the cloud, or of Docker's.
    pub id: Option<String>,
    /// In bytes.
    pub mtu: u32,
}

impl MtuEnd {
    /// What a layer is set to there.
    pub fn at(&self, place: Place) -> Option<&MtuSet> {
        self.set.iter().find(|s| s.place == place)
    }

    /// As `host web-1`.
    pub fn called(&self) -> String {
        format!("{} {}", self.kind.noun(), self.name)
    }
}

/// One way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MtuWay {
    /// What was measured; absent if nothing could be.
    pub found: Option<Found>,
    /// What it means.
    pub passage: Passage,
    /// Whether the other end's agent told what came; without, answers did.
    pub heard: bool,
    /// Why nothing could be measured.
    pub error: Option<String>,
}

impl MtuWay {
    /// What the measurement of a way gave.
    pub fn of(found: Result<Found, String>, heard: bool) -> Self {
        match found {
            Ok(found) => Self {
                passage: found.passage(),
                found: Some(found),
                heard,
                error: None,
            },
            Err(error) => Self {
                found: None,
                passage: Passage::Unknown,
                heard,
                error: Some(error),
            },
        }
    }
}

/// Two ends, and what gets from one to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MtuPair {
    /// One end, which has an agent.
    pub from: MtuEnd,
    /// The other end.
    pub to: MtuEnd,
    /// From the first to the second.
    pub there: MtuWay,
    /// The other way; absent where nobody sends from there, or nobody can send to the first.
    pub back: Option<MtuWay>,
}

impl MtuPair {
    /// Both ways, with who sends and who is sent to.
    pub fn ways(&self) -> impl Iterator<Item = (&MtuEnd, &MtuEnd, &MtuWay)> {
        let back = self.back.as_ref().map(|way| (&self.to, &self.from, way));
        std::iter::once((&self.from, &self.to, &self.there)).chain(back)
    }
}

/// An MTU to set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "of", deny_unknown_fields)]
pub enum MtuStep {
    /// Of a network of the cloud.
    Network {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// What it is, in bytes.
        from: u32,
        /// What it is to be.
        to: u32,
    },
    /// Of an interface of a host.
    Link {
        /// The host's id.
        host: String,
        /// Its name.
        host_name: String,
        /// The interface.
        name: String,
        /// What it is, in bytes.
        from: u32,
        /// What it is to be.
        to: u32,
    },
    /// Of a Docker network of a host: its bridge, and both ends of its containers' links.
    Containers {
        /// The host's id.
        host: String,
        /// Its name.
        host_name: String,
        /// Docker's id of the network.
        id: String,
        /// Its name.
        name: String,
        /// What it is, in bytes.
        from: u32,
        /// What it is to be.
        to: u32,
    },
}

impl std::fmt::Display for MtuStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network { name, from, to, .. } => write!(f, "network {name}: MTU {from} -> {to}"),
            Self::Link {
                host_name,
                name,
                from,
                to,
                ..
            } => {
                write!(f, "host {host_name}, interface {name}: MTU {from} -> {to}")
            }
            Self::Containers {
                host_name,
                name,
                from,
                to,
                ..
            } => {
                write!(
                    f,
                    "host {host_name}, containers in network {name}: MTU {from} -> {to}"
                )
            }
        }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MtuAdvice {
    /// What is wrong.
    pub problem: String,
    /// What to do, for good.
    pub remedy: String,
    /// What can be set at once.
    pub step: Option<MtuStep>,
    /// What of that does not last; empty if it does.
    pub lasts: String,
}

/// All that was measured, and what follows from it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MtuReport {
    /// Whether all that is let in arrives, as far as it was measured, and nothing is set too large.
    pub well: bool,
    /// What was measured.
    pub pairs: Vec<MtuPair>,
    /// Pairs that were not measured, since there are so many.
    pub left_out: usize,
    /// What could not be asked.
    pub notes: Vec<String>,
    /// What fits by what is set, layer by layer.
    pub paths: Vec<MtuPath>,
    /// What is not as it should be.
    pub advice: Vec<MtuAdvice>,
}
