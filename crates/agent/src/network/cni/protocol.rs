//! What plugin and agent say to each other: a JSON document a line, over a Unix socket.
//!
//! One connection is one operation. The plugin sends a [`CniRequest`]; the agent answers with [`Reply::Done`] or
//! [`Reply::Failed`]. With ADD and CHECK comes [`Reply::Attached`] first; after that of ADD the plugin sends
//! [`CONFIGURED`] when the container's end is set up. A connection that ends before takes the attach back.
//!
//! With the request of an ADD comes the container's network namespace, as a file descriptor (`SCM_RIGHTS`, unix(7)): a
//! link is made there at once where that is possible, and does not have to be moved.

use super::failure::Failure;
use crate::network::bandwidth::Bandwidth;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// Longest line, in bytes.
pub(crate) const LONGEST: u64 = 16 << 20;

/// The line that ends an ADD.
pub(crate) const CONFIGURED: &str = "configured";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
}

/// An operation, as the runtime asked for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CniRequest {
    pub(crate) command: Command,
    /// `CNI_CONTAINERID`.
    #[serde(default)]
    pub(crate) container: String,
    /// `CNI_IFNAME`.
    #[serde(default)]
    pub(crate) ifname: String,
    /// `CNI_ARGS`.
    #[serde(default)]
    pub(crate) args: Vec<(String, String)>,
    /// `CNI_NETNS`, for messages: here it may be another file, or none.
    #[serde(default)]
    pub(crate) netns: String,
    /// The network configuration, but for the previous result.
    pub(crate) config: Map<String, Value>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    Attached(AttachResult),
    Done,
    Failed(Failure),
}

/// A port that is plugged, and how the container's end is to be set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttachResult {
    /// The host's end of the link.
    pub(crate) host: String,
    /// The container's end, if it is still in the host's namespace.
    #[serde(default)]
    pub(crate) device: Option<String>,
    pub(crate) mac: String,
    /// Greatest packet, in bytes.
    pub(crate) mtu: u32,
    pub(crate) addresses: Vec<Address>,
    /// Destinations and next hops.
    pub(crate) routes: Vec<(IpNet, IpAddr)>,
    pub(crate) dns: Map<String, Value>,
    /// What the kernel limits: on the host's end that is done, on the container's it is the plugin's to do.
    #[serde(default)]
    pub(crate) limits: Bandwidth,
}

/// An address with the prefix length of its subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) address: IpNet,
    pub(crate) gateway: Option<IpAddr>,
}
