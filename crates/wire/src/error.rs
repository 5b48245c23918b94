//! What can go wrong on the way to a plugged port.

use std::io;
use std::time::Duration;

/// Why something could not be plugged, unplugged or looked up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused.
    #[error("cannot {doing}")]
    Kernel {
        /// What was tried, on which link.
        doing: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Open vSwitch's database does not answer, or not in its protocol.
    #[error("Open vSwitch's database at {remote} does not answer; is ovsdb-server running, and is this its address?")]
    Unreachable {
        /// Its address.
        remote: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Open vSwitch's database refused a transaction.
    #[error("Open vSwitch's database refused to {doing}: {said}")]
    Refused {
        /// What was tried.
        doing: String,
        /// What it said: the error's name and its details.
        said: String,
    },
    /// Open vSwitch has no such bridge.
    #[error("Open vSwitch has no bridge {bridge}, where Neutron wants the port: is this the host it was bound to?")]
    NoBridge {
        /// The bridge's name.
        bridge: String,
    },
    /// The host has no link with the MAC address of its port.
    #[error(
        "this host has no link with the MAC address {mac} of its port in Neutron: is the NIC there, and is its MAC address the port's?"
    )]
    NoParent {
        /// The port's MAC address.
        mac: String,
    },
    /// A VLAN id is in use on the host's link.
    #[error("VLAN {id} of {parent} is in use: {holder} has it")]
    VlanTaken {
        /// The VLAN id.
        id: u16,
        /// The link that it is on.
        parent: String,
        /// Which link has it, as far as it can be seen.
        holder: String,
    },
    /// Neutron could not bind the port.
    #[error("Neutron could not bind the port to host {host:?} (vif_type {vif_type:?}): {hint}")]
    Binding {
        /// The host that was asked for.
        host: String,
        /// What Neutron made of it.
        vif_type: String,
        /// What usually is the reason.
        hint: &'static str,
    },
    /// There is no driver for this kind of port.
    #[error("ports of vif_type {vif_type:?}{detail} cannot be plugged here; {hint}")]
    Unsupported {
        /// What Neutron says.
        vif_type: String,
        /// More of what Neutron says; empty or led by a space.
        detail: String,
        /// What can be plugged.
        hint: &'static str,
    },
    /// The local controller did not wire the port in time.
    #[error("port {port} is not wired after {} s: {state}", limit.as_secs())]
    NotReady {
        /// The port's id.
        port: String,
        /// How long was waited.
        limit: Duration,
        /// What there is instead, and what to look at.
        state: String,
    },
}

impl Error {
    /// Wraps what the kernel said.
    pub(crate) fn kernel(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Kernel { doing, source }
    }
}
