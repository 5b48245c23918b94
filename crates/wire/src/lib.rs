//! One Linux host's network, as far as a container's Neutron port needs it.
//!
//! A port that Neutron has bound to this host says how it wants to be plugged (`binding:vif_type`,
//! `binding:vif_details`). [`binding::driver`] finds the driver for that; the driver makes a veth
//! pair ([`link`]), puts one end on the bridge that Neutron names ([`Switch`]), and can wait until
//! the local controller has wired it. The other end is for whoever runs the container: Docker, or a CNI
//! plugin with [`namespace`]; once that has its addresses, its neighbours are told
//! ([`namespace::Namespace::announce`]).
//!
//! ```text
//!   container ── sc…  veth  sy… ── br-int          Open vSwitch (OVSDB, RFC 7047)
//!                 (netlink)          external_ids: iface-id = port ──> ovn-controller / agent
//! ```
//!
//! Where Neutron's agent filters with iptables there is a bridge of the kernel in between, and with that of linuxbridge
//! nothing but one ([`binding`]).
//!
//! On a host that is itself a server of the cloud there is no such switch: the container's end is a VLAN of the
//! host's own NIC, whose port in Neutron carries the container's as a trunk ([`binding::VLAN`]); or a macvlan or an
//! ipvlan on that NIC, whose port may use its addresses ([`binding::MACVLAN`]).
//!
//! What it guarantees:
//!
//! - Every operation is idempotent: names come from the port's id, so whoever is killed in the
//!   middle repeats it, and what is there already is taken over.
//! - Nothing is run: no `ip`, no `ovs-vsctl`; netlink and OVSDB's own protocol.
//! - All calls block, for a few milliseconds but for the waits, which take a limit. There is no
//!   async runtime in here: a CNI plugin lives for milliseconds.

mod announce;
pub mod binding;
mod bridge;
mod error;
pub mod kernel;
mod limit;
pub mod link;
pub mod namespace;
mod netlink;
mod offload;
mod ovsdb;
mod switch;
mod way_out;

pub use announce::checksum;
pub use error::Error;
pub use limit::{Rate, limit};
pub use offload::disable_checksum_offload;
pub use ovsdb::{Ovsdb, Remote};
pub use switch::{Controller, Datapath, Plugged, Switch, SwitchPort};
pub use way_out::{RANKS, WayOut};
