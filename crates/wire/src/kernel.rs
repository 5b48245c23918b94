//! What a process that sets up one container does over netlink: links, addresses, routes, limits.

use crate::Error;
use crate::limit::{self, Rate};
use crate::link::{self, Link};
use crate::namespace::Namespace;
use crate::netlink::{Failure, NLM_F_CREATE_NEW, NLM_F_DUMP, Netlink};
use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

const RTM_NEWADDR: u16 = 20;

const RTM_GETADDR: u16 = 22;

pub(crate) const RTM_NEWROUTE: u16 = 24;

const RTM_GETROUTE: u16 = 26;

/// What a container's end of a link is to be there.
#[derive(Debug, Clone, Copy)]
pub struct Inside<'a> {
    /// Name.
    pub name: &'a str,
    /// MAC address, six bytes in hexadecimal with colons between.
    pub mac: &'a str,
    /// Greatest packet, in bytes.
    pub mtu: u32,
}

/// A route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to: address and prefix length.
    pub to: (IpAddr, u8),
    /// The next hop; none for what is on the link itself.
    pub via: Option<IpAddr>,
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkAddress {
    /// The link's number.
    pub(crate) link: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix_len: u8,
}

/// The kernel's network as the thread saw it that opened this, wherever the thread has gone since.
pub struct Kernel(Netlink);

impl Kernel {
    /// That of this thread's namespace.
    ///
    /// # Errors
    /// [`Error::Kernel`]; so for all methods.
    pub fn open() -> Result<Self, Error> {
        Netlink::open(NETLINK_ROUTE).map(Self).map_err(Error::kernel("open a netlink socket"))
    }

    /// The link of that name, if there is one.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        link::get_on(&mut self.0, name)
    }

    /// Moves a link of this namespace into another, with the name, address and MTU that it is to have there.
    /// It is down there.
    pub fn hand_over(&mut self, device: &str, to: &Namespace, inside: &Inside<'_>) -> Result<(), Error> {
        let doing = format!("move link {device} into {} as {}", to.path.display(), inside.name);
        let failed = |source| Error::Kernel { doing: doing.clone(), source };
        let link = self.link(device)?.ok_or_else(|| failed(Errno::NODEV.into()))?;
        let mac = link::bytes_of(inside.mac).map_err(failed)?;
        let mut message = LinkMessage::default();
        // By its number: a name would be the one to look for, not the one to give.
        message.header.index = link.index;
        message.attributes = vec![
            LinkAttribute::NetNsFd(to.as_fd().as_raw_fd()),
            LinkAttribute::IfName(inside.name.to_owned()),
            LinkAttribute::Address(mac),
            LinkAttribute::Mtu(inside.mtu),
        ];
        link::request_on(&mut self.0, link::RTM_NEWLINK, 0, &message).map(drop).map_err(|f| failed(f.error))
    }

    /// Brings a link up with a MAC address, six bytes in hexadecimal with colons between.
    pub fn up(&mut self, name: &str, mac: &str) -> Result<(), Error> {
        link::up_on(&mut self.0, name, mac)
    }

    /// Limits how fast a link sends. A limit that it has is changed.
    pub fn limit(&mut self, link: &Link, rate: &Rate) -> Result<(), Error> {
        limit::limit_on(&mut self.0, link, rate)
    }

    /// How fast a link may send, in bit/s, if it is limited.
    pub fn limit_of(&mut self, link: &Link) -> Result<Option<u64>, Error> {
        limit::limit_of(&mut self.0, link)
    }

    /// Gives a link an address. One of IPv6 is not probed for doubles: whoever gave it knows.
    pub fn add_address(&mut self, link: &Link, address: IpAddr, prefix: u8) -> Result<(), Error> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix;
        message.header.index = link.index;
        if address.is_ipv6() {
            message.header.flags = AddressHeaderFlags::Nodad;
        }
        message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        self.request(RTM_NEWADDR, NLM_F_CREATE_NEW, &message).map(drop).map_err(|f| {
            let doing = format!("give link {} the address {address}/{prefix}", link.name);
            Error::kernel(doing)(f.error)
        })
    }

    /// Addresses of a link, with their prefix lengths.
    pub fn addresses(&mut self, link: &Link) -> Result<Vec<(IpAddr, u8)>, Error> {
        let all = self.all_addresses()?.into_iter();
        Ok(all.filter(|a| a.link == link.index).map(|a| (a.address, a.prefix_len)).collect())
    }

    /// Addresses of all links.
    pub(crate) fn all_addresses(&mut self) -> Result<Vec<LinkAddress>, Error> {
        let answers = self
            .request(RTM_GETADDR, NLM_F_DUMP, &AddressMessage::default())
            .map_err(|f| Error::kernel("list addresses")(f.error))?;
        let read = answers.iter().filter_map(|a| AddressMessage::parse(a).ok());
        let address = |m: AddressMessage| {
            // IPv4 has both; that of a point-to-point link's other end is not meant.
            let local = m.attributes.iter().find_map(|a| match a {
                AddressAttribute::Local(ip) => Some(*ip),
                _ => None,
            });
            let any = m.attributes.iter().find_map(|a| match a {
                AddressAttribute::Address(ip) => Some(*ip),
                _ => None,
            });
            Some(LinkAddress { link: m.header.index, address: local.or(any)?, prefix_len: m.header.prefix_len })
        };
        Ok(read.filter_map(address).collect())
    }

    /// Adds a route over a link; whether there was none to that destination before.
    pub fn add_route(&mut self, link: &Link, route: &Route) -> Result<bool, Error> {
        let (to, length) = route.to;
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(to),
            destination_prefix_length: length,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope: if route.via.is_none() && to.is_ipv4() { RouteScope::Link } else { RouteScope::Universe },
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        if length > 0 {
            message.attributes.push(RouteAttribute::Destination(to.into()));
        }
        message.attributes.extend(route.via.map(|via| RouteAttribute::Gateway(via.into())));
        message.attributes.push(RouteAttribute::Oif(link.index));
        match self.request(RTM_NEWROUTE, NLM_F_CREATE_NEW, &message) {
            Ok(_) => Ok(true),
            Err(f) if f.errno == Some(Errno::EXIST) => Ok(false),
            Err(f) => {
                let via = route.via.map(|v| format!(" over {v}")).unwrap_or_default();
                Err(Error::kernel(format!("add the route to {to}/{length}{via} on link {}", link.name))(f.error))
            }
        }
    }

    /// Routes of the main table over a link.
    pub fn routes(&mut self, link: &Link) -> Result<Vec<Route>, Error> {
        let answers = self
            .request(RTM_GETROUTE, NLM_F_DUMP, &RouteMessage::default())
            .map_err(|f| Error::kernel("list routes")(f.error))?;
        let read = answers.iter().filter_map(|a| RouteMessage::parse(a).ok());
        Ok(read.filter_map(|m| route_over(link.index, &m)).collect())
    }

    /// Whether the main table has a default route of IPv4.
    pub(crate) fn has_default_route(&mut self) -> Result<bool, Error> {
        let answers = self
            .request(RTM_GETROUTE, NLM_F_DUMP, &RouteMessage::default())
            .map_err(|f| Error::kernel("list routes")(f.error))?;
        let mut headers = answers.iter().filter_map(|a| RouteMessage::parse(a).ok()).map(|m| m.header);
        Ok(headers.any(|h| {
            h.address_family == AddressFamily::Inet
                && h.table == RouteHeader::RT_TABLE_MAIN
                && h.destination_prefix_length == 0
        }))
    }

    pub(crate) fn request(&mut self, kind: u16, flags: u16, message: &impl Emitable) -> Result<Vec<Vec<u8>>, Failure> {
        let mut payload = vec![0; message.buffer_len()];
        message.emit(&mut payload);
        self.0.exchange(kind, flags, &payload)
    }
}

/// Makes a link of this thread's namespace listen to what it is told alone: no addresses and routes of
/// router advertisements; IPv6 switched on if it is needed (Documentation/networking/ip-sysctl.rst).
///
/// # Errors
/// [`Error::Kernel`].
pub fn prepare_ipv6(name: &str, needed: bool) -> Result<(), Error> {
    let settings = [("accept_ra", "0", true), ("disable_ipv6", "0", needed)];
    for (setting, value, _) in settings.iter().filter(|(_, _, wanted)| *wanted) {
        let path = Path::new("/proc/sys/net/ipv6/conf").join(name).join(setting);
        match std::fs::write(&path, value) {
            // A kernel without IPv6.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !needed => {}
            other => other.map_err(Error::kernel(format!("write {value} to {}", path.display())))?,
        }
    }
    Ok(())
}

fn route_over(link: u32, message: &RouteMessage) -> Option<Route> {
    let RouteHeader { address_family, destination_prefix_length, table, kind, .. } = message.header;
    if table != RouteHeader::RT_TABLE_MAIN || kind != RouteType::Unicast {
        return None;
    }
    let mut to: IpAddr = match address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut via, mut over) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => to = ip(address)?,
            RouteAttribute::Gateway(address) => via = ip(address),
            RouteAttribute::Oif(index) => over = Some(*index),
            _ => {}
        }
    }
    (over == Some(link)).then_some(Route { to: (to, destination_prefix_length), via })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

pub(crate) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
