//! What Docker sends (moby `libnetwork/docs/remote.md` and `ipam.md`). What is left out may be absent or
//! null.

use crate::network::options;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Null counts as absent: Go writes empty maps and lists so.
fn null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// `NetworkDriver.CreateNetwork`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CreateNetworkRequest {
    #[serde(rename = "NetworkID")]
    pub(crate) network: String,
    #[serde(deserialize_with = "null")]
    pub(crate) options: Map<String, Value>,
    #[serde(rename = "IPv4Data", deserialize_with = "null")]
    pub(crate) ipv4: Vec<IpamData>,
    #[serde(rename = "IPv6Data", deserialize_with = "null")]
    pub(crate) ipv6: Vec<IpamData>,
}

/// A pool of a network, as IPAM gave it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct IpamData {
    /// CIDR.
    #[serde(deserialize_with = "null")]
    pub(crate) pool: String,
    /// Address with the pool's prefix length.
    #[serde(deserialize_with = "null")]
    pub(crate) gateway: String,
}

/// `NetworkDriver.DeleteNetwork`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeleteNetworkRequest {
    #[serde(rename = "NetworkID")]
    pub(crate) network: String,
}

/// `NetworkDriver.CreateEndpoint`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CreateEndpointRequest {
    #[serde(rename = "NetworkID")]
    pub(crate) network: String,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint: String,
    #[serde(deserialize_with = "null")]
    pub(crate) interface: EndpointInterface,
    #[serde(deserialize_with = "null")]
    pub(crate) options: Map<String, Value>,
}

/// What an endpoint has already.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct EndpointInterface {
    /// IPv4 address with its prefix length.
    #[serde(deserialize_with = "null")]
    pub(crate) address: String,
    /// IPv6 address with its prefix length.
    #[serde(rename = "AddressIPv6", deserialize_with = "null")]
    pub(crate) address_v6: String,
    #[serde(deserialize_with = "null")]
    pub(crate) mac_address: String,
}

/// All other calls about an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct EndpointRequest {
    #[serde(rename = "NetworkID")]
    pub(crate) network: String,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint: String,
    /// A file that is the container's network namespace, as soon as there is one; said by `Join` alone.
    #[serde(deserialize_with = "null")]
    pub(crate) sandbox_key: String,
    #[serde(deserialize_with = "null")]
    pub(crate) options: Map<String, Value>,
}

impl EndpointRequest {
    /// Whether the container publishes ports. Docker says so with `Join`, whichever endpoint of the container it is.
    pub(crate) fn publishes(&self) -> bool {
        options::publishes(&self.options)
    }
}

/// `IpamDriver.RequestPool`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RequestPoolRequest {
    #[serde(deserialize_with = "null")]
    pub(crate) pool: String,
    #[serde(deserialize_with = "null")]
    pub(crate) sub_pool: String,
    #[serde(deserialize_with = "null")]
    pub(crate) options: Map<String, Value>,
    #[serde(rename = "V6")]
    pub(crate) v6: bool,
}

/// `IpamDriver.ReleasePool`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReleasePoolRequest {
    #[serde(rename = "PoolID")]
    pub(crate) pool: String,
}

/// `IpamDriver.RequestAddress` and `IpamDriver.ReleaseAddress`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AddressRequest {
    #[serde(rename = "PoolID")]
    pub(crate) pool: String,
    /// Without prefix length; empty if any will do.
    #[serde(deserialize_with = "null")]
    pub(crate) address: String,
    #[serde(deserialize_with = "null")]
    pub(crate) options: Map<String, Value>,
}
