//! Which gateway a container's packets leave by when Docker has given it a bridge of this host's as well.
//!
//! Docker makes its own bridge the default route of such a container, in the kernel's main table, and refuses every route
//! there that holds an address which a network gets later. So the routes that win over Docker's are in tables of their
//! own, which rules lead to:
//!
//! | rule | table | which routes it takes |
//! |---|---|---|
//! | [`SPECIFIC`] | main | all but default routes: the container's networks, and the bridge itself |
//! | [`BY_SOURCE`] | [`TABLE`] + rank | for packets from an address, the gateway of its own network |
//! | [`NOT_BY_BRIDGE`] | main | a default route over any link but the bridge's: one of Docker's other networks |
//! | [`BY_GATEWAY`] + rank | [`TABLE`] + rank | for all other packets, the gateway of the network with the lowest rank |
//! | [`NOWHERE`] | [`TABLE`] | none: a network without a gateway has no way out by the bridge either |
//!
//! Routes go with their link, so whatever network is disconnected, the next in this order takes over by itself. Only a
//! bridge that Docker adds again has to be found again: its link is known by its group.

use crate::Error;
use crate::kernel::{Kernel, RTM_NEWROUTE, family};
use crate::link::RTM_NEWLINK;
use crate::namespace::Namespace;
use crate::netlink::NLM_F_CREATE_NEW;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::net::IpAddr;

const RTM_NEWRULE: u16 = 32;

/// Numbers of the rules; the kernel's own for the main table is 32766, and a rule without a number comes before all
/// others.
const SPECIFIC: u32 = 20_000;
const BY_SOURCE: u32 = 20_001;
const NOT_BY_BRIDGE: u32 = 20_002;
const BY_GATEWAY: u32 = 20_003;
const NOWHERE: u32 = BY_GATEWAY + RANKS;
/// Number of the table without a way out; those of gateways follow.
const TABLE: u32 = 32_000;
/// Group of the links that lead to Docker's bridge.
const GROUP: u32 = 32_000;
/// The lowest preference of a route, in case the table is not this module's alone.
const LAST: u32 = u32::MAX - 1;

/// Ranks are less than this.
pub const RANKS: u32 = 5_000;

/// An address of a container, and the gateway of its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOut {
    /// Whose gateway is taken for packets from no address of these: the lowest one's. Less than [`RANKS`].
    pub rank: u32,
    /// The address by which the link in the container is found.
    pub address: IpAddr,
    /// The next hop, of the same IP version; none for a network without one.
    pub gateway: Option<IpAddr>,
}

impl Namespace {
    /// Makes the rules and routes for a container's ways out; those that are there stay. `is_bridges` tells addresses of
    /// the host's bridge, which the container must not leave by.
    ///
    /// Returns whether all of it is in place: no while the container's links are still being made.
    ///
    /// # Errors
    /// [`Error::Kernel`]: the namespace cannot be entered, or the kernel refuses a rule or a route. A link that is not
    /// up yet is such a reason.
    pub fn keep_ways_out(&self, ways: &[WayOut], is_bridges: &(dyn Fn(IpAddr) -> bool + Sync)) -> Result<bool, Error> {
        self.within(|| keep(&mut Kernel::open()?, ways, is_bridges))
    }
}

fn keep(kernel: &mut Kernel, ways: &[WayOut], is_bridges: &dyn Fn(IpAddr) -> bool) -> Result<bool, Error> {
    // Rules first: until all is in place a container rather has no way out than a wrong one.
    let families: BTreeSet<bool> = ways.iter().map(|w| w.address.is_ipv6()).collect();
    for is_v6 in families {
        let family = if is_v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let main = u32::from(RouteHeader::RT_TABLE_MAIN);
        add_rule(kernel, family, SPECIFIC, main, &[RuleAttribute::SuppressPrefixLen(0)])?;
        add_rule(kernel, family, NOT_BY_BRIDGE, main, &[RuleAttribute::SuppressIfGroup(GROUP)])?;
        add_rule(kernel, family, NOWHERE, TABLE, &[])?;
        add_route(kernel, family, TABLE, None)?;
    }
    let addresses = kernel.all_addresses()?;
    let to_bridge = addresses.iter().find(|a| is_bridges(a.address)).map(|a| a.link);
    if let Some(link) = to_bridge {
        let mut message = LinkMessage::default();
        message.header.index = link;
        message.attributes.push(LinkAttribute::Group(GROUP));
        kernel
            .request(RTM_NEWLINK, 0, &message)
            .map_err(|f| Error::kernel(format!("set the group of link number {link}"))(f.error))?;
    }
    // Where another network of Docker's has the default route, Docker adds no bridge.
    let mut is_whole = to_bridge.is_some() || kernel.has_default_route()?;
    for way in ways.iter().filter(|w| w.rank < RANKS) {
        let Some(own) = addresses.iter().find(|a| a.address == way.address) else {
            is_whole = false;
            continue;
        };
        let Some(gateway) = way.gateway else { continue };
        let (family, table) = (family(way.address), TABLE + 1 + way.rank);
        add_route(kernel, family, table, Some((gateway, own.link)))?;
        add_rule(kernel, family, BY_SOURCE, table, &[RuleAttribute::Source(way.address)])?;
        add_rule(kernel, family, BY_GATEWAY + way.rank, table, &[])?;
    }
    Ok(is_whole)
}

/// Adds a rule that looks into a table, if it is not there.
fn add_rule(
    kernel: &mut Kernel,
    family: AddressFamily,
    number: u32,
    table: u32,
    condition: &[RuleAttribute],
) -> Result<(), Error> {
    let mut message = RuleMessage::default();
    message.header = RuleHeader { family, action: RuleAction::ToTable, ..RuleHeader::default() };
    message.attributes = vec![RuleAttribute::Priority(number), RuleAttribute::Table(table)];
    message.attributes.extend_from_slice(condition);
    if let Some(RuleAttribute::Source(address)) = condition.first() {
        message.header.src_len = if address.is_ipv4() { 32 } else { 128 };
    }
    match kernel.request(RTM_NEWRULE, NLM_F_CREATE_NEW, &message) {
        Err(f) if f.errno != Some(Errno::EXIST) => Err(Error::kernel(format!("add routing rule {number}"))(f.error)),
        _ => Ok(()),
    }
}

/// Adds the default route of a table, over a gateway on a link or to nowhere, if it is not there.
fn add_route(kernel: &mut Kernel, family: AddressFamily, table: u32, over: Option<(IpAddr, u32)>) -> Result<(), Error> {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family,
        protocol: RouteProtocol::Boot,
        scope: RouteScope::Universe,
        kind: if over.is_some() { RouteType::Unicast } else { RouteType::Unreachable },
        ..RouteHeader::default()
    };
    message.attributes.push(RouteAttribute::Table(table));
    match over {
        Some((gateway, link)) => {
            message.attributes.extend([RouteAttribute::Gateway(gateway.into()), RouteAttribute::Oif(link)]);
        }
        None => message.attributes.push(RouteAttribute::Priority(LAST)),
    }
    match kernel.request(RTM_NEWROUTE, NLM_F_CREATE_NEW, &message) {
        Err(f) if f.errno != Some(Errno::EXIST) => {
            let to = over.map_or("nowhere".to_owned(), |(gateway, _)| gateway.to_string());
            Err(Error::kernel(format!("add the default route over {to} to table {table}"))(f.error))
        }
        _ => Ok(()),
    }
}
