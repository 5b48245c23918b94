//! Neutron subnets.

use serde::{Deserialize, Serialize, Serializer};

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, Unset, request};

/// A subnet.
#[derive(Debug, Clone, Deserialize)]
pub struct Subnet {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Its network's id.
    pub network_id: String,
    /// Its addresses.
    pub cidr: String,
    /// 4 or 6.
    pub ip_version: u32,
    /// The gateway's address, if it has one.
    pub gateway_ip: Option<String>,
    /// Addresses that ports get.
    #[serde(default)]
    pub allocation_pools: Vec<Pool>,
    /// Whether DHCP answers.
    #[serde(default)]
    pub enable_dhcp: bool,
    /// The project's id.
    #[serde(default)]
    pub project_id: String,
    /// When it was created; sorts by time.
    #[serde(default)]
    pub created_at: String,
    /// Name servers told by DHCP.
    #[serde(default)]
    pub dns_nameservers: Vec<String>,
    /// How IPv6 addresses are given: `slaac`, `dhcpv6-stateful`, `dhcpv6-stateless`.
    pub ipv6_address_mode: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Routes told by DHCP.
    #[serde(default)]
    pub host_routes: Vec<HostRoute>,
    /// Id of the subnet pool that its addresses are of.
    #[serde(default)]
    pub subnetpool_id: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A route of a subnet's hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    /// Addresses it leads to.
    pub destination: String,
    /// The next hop's address.
    pub nexthop: String,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// First.
    pub start: String,
    /// Last.
    pub end: String,
}

/// The gateway of a subnet to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gateway {
    /// The first address.
    #[default]
    Auto,
    /// None: for networks that lead nowhere.
    None,
    /// This one.
    Address(String),
}

impl Unset for Gateway {
    fn is_unset(&self) -> bool {
        *self == Self::Auto
    }
}

impl Serialize for Gateway {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Address(address) => serializer.serialize_str(address),
            Self::Auto | Self::None => serializer.serialize_none(),
        }
    }
}

request! {
    /// A subnet to create.
    NewSubnet {
        /// Name.
        name: String,
        /// Its network's id.
        network_id: String,
        /// Its addresses; from the subnet pool if empty.
        cidr: String,
        /// Id of the subnet pool that its addresses are of.
        subnetpool_id: Option<String>,
        /// 4 or 6.
        ip_version: u32,
        /// The gateway.
        gateway_ip: Gateway,
        /// Addresses that ports get; all but the gateway unless given.
        allocation_pools: Vec<Pool>,
        /// Whether DHCP answers; it does unless `false`.
        enable_dhcp: Option<bool>,
        /// Name servers told by DHCP.
        dns_nameservers: Vec<String>,
        /// What router advertisements say (IPv6).
        ipv6_ra_mode: Option<String>,
        /// How addresses are given (IPv6).
        ipv6_address_mode: Option<String>,
        /// Free text; where Stackyard puts its mark.
        description: String,
    }
}

impl Resource for Subnet {
    type New = NewSubnet;
    const KIND: Kind = Kind {
        service: Service::Network,
        noun: "subnet",
        path: "/subnets",
        list: "",
        one: "subnet",
        many: "subnets",
        by_name: ByName::Query,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}
