//! Networks, subnets, routers.

use super::super::short::{self, Short};
use super::part;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::IpAddr;

part! {
    /// A network with its subnets.
    Network {
        /// Name.
        name: String,
        /// Addresses of its only subnet; `subnets` says more.
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        cidr: Option<IpNet>,
        /// Subnets.
        #[serde(default)]
        subnets: Vec<Subnet>,
        /// A router of its own with a way out (`{external: public}`), or the name of another.
        #[serde(default, deserialize_with = "short::option")]
        #[schemars(with = "Option<Short<NetworkRouter>>")]
        router: Option<NetworkRouter>,
        /// Greatest packet, in bytes; what the cloud allows if absent.
        #[serde(default)]
        mtu: Option<u32>,
        /// Whether ports get security groups and may only send from their own addresses.
        #[serde(default)]
        port_security: Option<bool>,
        /// Name servers that DHCP tells, for subnets that do not say.
        #[serde(default)]
        dns: Vec<IpAddr>,
    }
}

part! {
    /// A network's router.
    NetworkRouter {
        /// Another router's name or id.
        #[serde(default)]
        name: Option<String>,
        /// The external network of a router made for this network.
        #[serde(default)]
        external: Option<String>,
    }
}

impl From<String> for NetworkRouter {
    fn from(name: String) -> Self {
        Self { name: Some(name), external: None }
    }
}

part! {
    /// A subnet.
    Subnet {
        /// Name within the network; its address if absent.
        #[serde(default)]
        name: Option<String>,
        /// Its addresses.
        #[schemars(with = "String")]
        cidr: IpNet,
        /// The gateway's address; the first one if absent.
        #[serde(default)]
        gateway: Option<IpAddr>,
        /// Whether DHCP answers; it does unless `false`.
        #[serde(default)]
        dhcp: Option<bool>,
        /// Name servers that DHCP tells.
        #[serde(default)]
        dns: Vec<IpAddr>,
        /// Ranges of addresses that ports get, as `10.0.0.10-10.0.0.99`.
        #[serde(default)]
        pools: Vec<String>,
        /// How IPv6 addresses are given; `slaac` if absent.
        #[serde(default)]
        ipv6_mode: Option<Ipv6Mode>,
    }
}

/// How IPv6 addresses are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// Guests make them from router advertisements.
    Slaac,
    /// By DHCPv6.
    Dhcpv6Stateful,
    /// As with `slaac`, and DHCPv6 tells the rest.
    Dhcpv6Stateless,
}

impl Ipv6Mode {
    /// Neutron's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Slaac => "slaac",
            Self::Dhcpv6Stateful => "dhcpv6-stateful",
            Self::Dhcpv6Stateless => "dhcpv6-stateless",
        }
    }
}

part! {
    /// A router.
    Router {
        /// Name.
        name: String,
        /// External network it leads to.
        #[serde(default)]
        external: Option<String>,
        /// Networks of the yard it connects, with all their subnets.
        #[serde(default)]
        networks: Vec<String>,
    }
}
