//! What really gets through: the server has agents send packets to each other, see how MTUs are set, and set them.
//!
//! Each is a stream of the tunnel ([`super::Open::Measure`]) whose chunks are JSON values.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Work on MTUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "work")]
pub enum Measure {
    /// How MTUs are set: one [`MtuSurvey`].
    Survey,
    /// Searches the largest packet that gets from here to an address: one [`crate::mtu::search::Found`]. A packet
    /// got there if it is answered, or if a [`Heard`] comes as input, from who listens there.
    Search {
        /// Id of the container that sends; the host itself if absent.
        from: Option<String>,
        /// The address.
        to: IpAddr,
        /// What the packets carry, so that they are told apart.
        token: u64,
        /// The largest to try, in bytes.
        most: u32,
        /// Whether somebody listens there.
        heard: bool,
    },
    /// Listens for the packets of a search, until the stream is closed: one [`Ear`] each.
    Listen {
        /// Id of the container that listens; the host itself if absent.
        at: Option<String>,
        /// For IPv6.
        ipv6: bool,
        /// What the packets carry.
        token: u64,
    },
    /// Sets an MTU: one [`MtuChanged`] for each link that had another.
    Set(MtuSetting),
}

/// From one who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ear {
    /// It listens.
    Ready,
    /// A packet came.
    Heard(Heard),
}

/// A packet of a search that came where it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Its number.
    pub sequence: u16,
    /// Its size in bytes, IP header included.
    pub size: u32,
}

/// How MTUs are set on a host, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MtuSurvey {
    /// The host's own interfaces that have addresses.
    pub links: Vec<MtuLink>,
    /// Networks of containers.
    pub networks: Vec<MtuNetwork>,
    /// Containers that run.
    pub containers: Vec<MtuContainer>,
    /// Why nothing is known of networks and containers.
    pub problem: Option<String>,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MtuLink {
    /// Its name.
    pub name: String,
    /// Greatest packet.
    pub mtu: u32,
    /// Its addresses, but for link-local ones.
    pub addresses: Vec<IpAddr>,
    /// Whether the default route leads there.
    pub default: bool,
    /// In a container: id of the Docker network that it leads to, if it is known.
    pub network: Option<String>,
}

/// A network of Docker's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MtuNetwork {
    /// Docker's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// The stack that it is of.
    pub stack: Option<String>,
    /// What its option says.
    pub option: Option<u32>,
    /// The bridge's name, where it is one.
    pub bridge: Option<String>,
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MtuContainer {
    /// Docker's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its interfaces.
    pub links: Vec<MtuLink>,
}

/// An MTU to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum MtuSetting {
    /// Of an interface of the host.
    Link {
        /// Its name.
        name: String,
        /// In bytes.
        mtu: u32,
    },
    /// Of a Docker network as it is: its bridge, and both ends of each of its containers' links.
    Network {
        /// Docker's id of the network.
        id: String,
        /// In bytes.
        mtu: u32,
    },
}

/// An MTU that was set, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MtuChanged {
    /// What has it, for people.
    pub what: String,
    /// What it was.
    pub from: u32,
    /// What it is.
    pub to: u32,
}
