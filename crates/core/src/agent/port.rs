//! Ports of containers: what an agent asks for, and what the server, which asks Neutron, answers.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What an agent asks for its host's containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Ask {
    /// A network that a NIC of the host is in.
    Network {
        /// Its name or id; the only one that the host is in if absent.
        network: Option<String>,
    },
    /// A port for a container.
    Make(NewContainerPort),
    /// A port goes, with all that was done for it.
    Remove {
        /// Its id.
        port: String,
        /// Id of its network; empty if it is not known.
        network: String,
        /// The addresses that it had, which are let through no more even if it is gone already.
        addresses: Vec<IpAddr>,
    },
    /// All ports of the host's containers.
    Ports,
}

/// A port that a container is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewContainerPort {
    /// Id of the network in Neutron, which a NIC of the host is in.
    pub network: String,
    /// Docker's id of its network.
    pub docker_network: String,
    /// Docker's id of the endpoint.
    pub endpoint: String,
    /// The MAC address that the container has had from the server before.
    pub mac: Option<String>,
    /// The subnets that it gets addresses of.
    pub addresses: Vec<PortAddress>,
}

/// An address of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortAddress {
    /// Id of the subnet.
    pub subnet: String,
    /// The address; in a request, whichever is free if absent.
    pub address: Option<IpAddr>,
}

/// A port of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerPort {
    /// Its id.
    pub id: String,
    /// Docker's id of its network.
    pub docker_network: String,
    /// Docker's id of the endpoint.
    pub endpoint: String,
    /// Id of the network in Neutron.
    pub network: String,
    /// What the container's link is to be.
    pub link: PortLink,
    /// The MAC address that it is to have. It is not the port's own.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<PortAddress>,
    /// MAC address of the host's NIC that the link is to be on; empty where the host has no port there any more.
    pub parent_mac: String,
}

/// What the link of a container is on the host's NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortLink {
    /// A macvlan.
    Macvlan,
    /// An ipvlan: it has the NIC's MAC address.
    Ipvlan,
}

/// A network that a host is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostNetwork {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Greatest packet, in bytes.
    pub mtu: Option<u32>,
    /// Its subnets.
    pub subnets: Vec<HostSubnet>,
}

/// A subnet of such a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSubnet {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub cidr: String,
    /// 4 or 6.
    pub ip_version: u32,
    /// The gateway's address, if it has one.
    pub gateway: Option<String>,
    /// Destinations and next hops.
    pub routes: Vec<(String, String)>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Answer {
    /// The network.
    Network(HostNetwork),
    /// The port that was made.
    Port(ContainerPort),
    /// It is gone.
    Removed,
    /// The ports.
    Ports {
        /// All of them.
        ports: Vec<ContainerPort>,
    },
    /// It is not done.
    Refused {
        /// Why, for people.
        why: String,
    },
}
