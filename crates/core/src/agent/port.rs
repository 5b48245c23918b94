//! Ports of containers: what an agent asks for, and what the server, which asks Neutron, answers.

use super::volume::{VolumeAnswer, VolumeAsk};
use crate::stack::STACK_GROUP_OPTION;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What an agent asks for its host's containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Ask {
    /// A network that a NIC of the host is in, or another one of its yard.
    Network {
        /// Its name or id; the only one that the host is in if absent.
        network: Option<String>,
        /// Kinds of links that containers' may be of there; see [`NewContainerPort::links`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        links: Vec<PortLink>,
    },
    /// A port for a container.
    Make(Box<NewContainerPort>),
    /// A port goes, with all that was done for it.
    Remove {
        /// Its id.
        port: String,
        /// Id of its network; empty if it is not known.
        network: String,
        /// The addresses that it had, which are let through no more even if it is gone already.
        addresses: Vec<IpAddr>,
        /// Whether there may be a floating IP that was made for it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        floating_ip: bool,
        /// Whether there may be a security group that was made for it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        exposed: bool,
    },
    /// All ports of the host's containers.
    Ports,
    /// Another VLAN id for a port, whose own the host cannot use.
    OtherVlan {
        /// The port's id.
        port: String,
        /// Ids that the host cannot use.
        taken: Vec<u16>,
    },
    /// A port that was made before there was an endpoint for it has one.
    Name {
        /// The port's id.
        port: String,
        /// Docker's id of the endpoint.
        endpoint: String,
    },
    /// A pool of a load balancer, whose members containers are to be.
    Pool {
        /// `BALANCER/POOL`, a name of one of both that means but one pool, or the pool's id.
        pool: String,
    },
    /// What members pools have that are containers of the host.
    Members {
        /// Ids of the pools; all that the host's containers may be members of if there is none.
        pools: Vec<String>,
    },
    /// Containers become members of a pool; one that is a member already stays so.
    Enlist {
        /// Id of the pool.
        pool: String,
        /// The containers.
        members: Vec<NewPoolMember>,
    },
    /// A container is a member of a pool no more.
    Dismiss {
        /// Id of the pool.
        pool: String,
        /// Id of the member.
        member: String,
    },
    /// A Cinder volume of a stack on this host.
    Volume(VolumeAsk),
    /// Something that only a newer agent asks for.
    #[serde(other)]
    Unknown,
}

/// A container that is to be a member of a load balancer's pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPoolMember {
    /// Docker's id of its network.
    pub docker_network: String,
    /// Docker's id of the endpoint.
    pub endpoint: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// Where it listens.
    pub port: u16,
    /// Its share of the traffic, relative to the other members; 1 if absent.
    pub weight: Option<u32>,
    /// Id of the subnet that the address is in. A yard's server looks that up itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
}

/// A container that is a member of a load balancer's pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMember {
    /// Id of the member.
    pub id: String,
    /// What it is a member as.
    #[serde(flatten)]
    pub of: NewPoolMember,
}

/// A port that a container is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewContainerPort {
    /// Id of the network in Neutron.
    pub network: String,
    /// Docker's id of its network.
    pub docker_network: String,
    /// Docker's id of the endpoint.
    pub endpoint: String,
    /// The MAC address that the container has had from the server before, or that somebody has chosen.
    pub mac: Option<String>,
    /// The subnets that it gets addresses of.
    pub addresses: Vec<PortAddress>,
    /// Kinds of links that the container's may be of: the host can make them. An older agent names none, and can
    /// make macvlans and ipvlans.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<PortLink>,
    /// The VLAN id that the container's link has already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// What the port is to have beside. A server that does not know this answers with a port that is no VLAN's.
    #[serde(default, skip_serializing_if = "PortOptions::is_empty")]
    pub options: PortOptions,
}

/// What only a port can have that is a container's alone, behind a trunk of the host's NIC. Names are names or ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortOptions {
    /// Security groups; absent: those of the NIC.
    pub security_groups: Option<Vec<String>>,
    /// QoS policy.
    pub qos_policy: Option<String>,
    /// A floating IP that is there, or the external network to get one from.
    pub floating_ip: Option<String>,
    /// Ports of the floating IP that lead to the container; without any, all do.
    pub publish: Vec<PublishedPort>,
    /// Addresses and CIDRs that it may send from beside its own, and their MAC addresses.
    pub address_pairs: Vec<(String, Option<String>)>,
    /// A port that is there already.
    pub port: Option<String>,
    /// Name in the cloud's DNS.
    pub dns_name: Option<String>,
    /// What it listens on, which is let in.
    pub exposed: Vec<ExposedPorts>,
    /// Whether it is in the yard's security group for stacks, too.
    pub stack_group: bool,
}

impl PortOptions {
    /// Whether it is to have nothing beside.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The options that are set, by the words that users know them by.
    pub fn named(&self) -> Vec<&'static str> {
        let all = [
            ("security-groups", self.security_groups.is_some()),
            ("qos-policy", self.qos_policy.is_some()),
            ("floating-ip", self.floating_ip.is_some() || !self.publish.is_empty()),
            ("allowed-address-pairs", !self.address_pairs.is_empty()),
            ("port", self.port.is_some()),
            ("dns-name", self.dns_name.is_some()),
            ("expose", !self.exposed.is_empty()),
            (STACK_GROUP_OPTION, self.stack_group),
        ];
        all.into_iter().filter(|(_, is)| *is).map(|(word, _)| word).collect()
    }
}

/// A port of a floating IP that leads to one of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The container's.
    pub inside: u16,
    /// The floating IP's.
    pub outside: u16,
}

/// A range of ports of a protocol that a container listens on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExposedPorts {
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
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
    /// The MAC address that it is to have: a VLAN's is the port's own, others are not.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<PortAddress>,
    /// MAC address of the host's NIC that the link is to be on; empty where the host has no port there any more.
    pub parent_mac: String,
    /// Id of a VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// What the link of a container is on the host's NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortLink {
    /// A macvlan.
    Macvlan,
    /// An ipvlan: it has the NIC's MAC address.
    Ipvlan,
    /// A VLAN of the NIC, whose port is a trunk that carries the container's.
    Vlan,
}

impl PortLink {
    /// All kinds, the one first that can do most.
    pub const ALL: [Self; 3] = [Self::Vlan, Self::Macvlan, Self::Ipvlan];

    /// The word by which users know it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Vlan => "trunk",
        }
    }
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
    /// It has its name.
    Named,
    /// The ports.
    Ports {
        /// All of them.
        ports: Vec<ContainerPort>,
    },
    /// The pool.
    Pool {
        /// Its id.
        id: String,
        /// Its load balancer's address.
        address: IpAddr,
    },
    /// The members.
    Members {
        /// By ids of their pools; of the pools that were asked for, all that there are.
        pools: BTreeMap<String, Vec<PoolMember>>,
    },
    /// They are members.
    Enlisted,
    /// It is a member no more.
    Dismissed,
    /// The answer to [`Ask::Volume`].
    Volume(VolumeAnswer),
    /// It is not done.
    Refused {
        /// Why, for people.
        why: String,
    },
}
