//! Links of the kernel, by rtnetlink(7): veth pairs, macvlans, ipvlans and VLAN links, their MTU, what becomes of them.

use crate::Error;
use crate::namespace::Namespace;
use crate::netlink::{Failure, NLM_F_CREATE_NEW, NLM_F_DUMP, Netlink};
use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoVeth, InfoVlan, IpVlanMode, LinkAttribute, LinkFlags, LinkHeader,
    LinkInfo, LinkMessage, MacVlanMode, VlanProtocol,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

pub(crate) const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

/// A link of this network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Name.
    pub name: String,
    /// Index.
    pub index: u32,
    /// Greatest packet, in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is one end of a veth pair.
    pub veth: bool,
    /// Whether it is a bridge.
    pub bridge: bool,
    /// Index of the bridge that it is in, or of whatever else it is a part of.
    pub master: Option<u32>,
    /// Index of a veth's other end, in the namespace that that is in.
    pub peer: Option<u32>,
    /// What it is on another link, if it is one of these, and that link's index.
    pub on: Option<(OnLink, u32)>,
    /// MAC address; empty where it has none.
    pub mac: String,
    /// What somebody noted down about it.
    pub alias: Option<String>,
}

/// A veth pair to make.
#[derive(Debug, Clone, Copy)]
pub struct Veth<'a> {
    /// Name of the end that stays, for the switch.
    pub host: &'a str,
    /// Name of the end that goes into the container.
    pub container: &'a str,
    /// Greatest packet of both ends, in bytes.
    pub mtu: u32,
    /// Whose it is: the alias of the host's end.
    pub owner: &'a str,
    /// Where the container's end is made, under the name that it has there; otherwise it is left in this namespace,
    /// for somebody to move. A move takes the kernel many times as long as making the pair.
    pub home: Option<Home<'a>>,
}

/// What a container's end of a veth pair is to be in its namespace.
#[derive(Debug, Clone, Copy)]
pub struct Home<'a> {
    /// The namespace.
    pub namespace: &'a Namespace,
    /// Name. The MAC address is for whoever brings it up ([`crate::kernel::Kernel::up`]).
    pub name: &'a str,
}

impl Veth<'_> {
    /// The name of the container's end, where it is.
    fn end(&self) -> &str {
        self.home.map_or(self.container, |home| home.name)
    }

    /// Does something with the container's end.
    fn in_home<T: Send>(&self, work: impl FnOnce(&str) -> Result<T, Error> + Send) -> Result<T, Error> {
        match self.home {
            Some(home) => home.namespace.within(|| work(home.name)),
            None => work(self.container),
        }
    }
}

/// Makes a veth pair, the host's end up. One that is there wholly is taken over and gets the MTU; what is
/// left of one whose other end is elsewhere is made anew. `finish` does what else is to be done to a new pair before
/// packets flow; it is repeated for one that was not finished.
///
/// # Errors
/// [`Error::Kernel`], also when there is a link of the name in the container's namespace; those of `finish`.
pub fn ensure_veth(pair: &Veth<'_>, finish: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let host = match whole(pair)? {
        Some(host) if host.mtu == pair.mtu && host.alias.as_deref() == Some(pair.owner) => {
            return if host.up { Ok(()) } else { bring_up(named(pair.host), pair.host) };
        }
        other => other,
    };
    match host {
        Some(_) => {
            pair.in_home(|name| set_mtu(name, pair.mtu))?;
            set_mtu(pair.host, pair.mtu)?;
        }
        None => make_veth(pair)?,
    }
    seclude(pair.host)?;
    finish()?;
    // Last: it says that the pair is finished.
    let mut message = named(pair.host);
    message.attributes.push(LinkAttribute::IfAlias(pair.owner.to_owned()));
    bring_up(message, pair.host)
}

/// Makes a veth pair that lacks nothing but its names and to be brought up ([`settle_veth`]).
///
/// # Errors
/// Those of [`ensure_veth`].
pub(crate) fn prepare_veth(pair: &Veth<'_>, finish: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    make_veth(pair)?;
    seclude(pair.host)?;
    finish()?;
    note(pair.host, pair.owner)
}

/// Gives the host's end of a pair its name and brings it up; the container's gets its name. Each is called the first of two
/// names before, and the second afterwards.
///
/// # Errors
/// [`Error::Kernel`], also when there are no such links.
pub(crate) fn settle_veth(host: (&str, &str), container: Option<(&str, &str)>) -> Result<(), Error> {
    let mut socket = Netlink::open(NETLINK_ROUTE).map_err(Error::kernel("open a netlink socket"))?;
    if let Some(names) = container {
        call_on(&mut socket, names, LinkFlags::empty())?;
    }
    call_on(&mut socket, host, LinkFlags::Up)
}

fn make_veth(pair: &Veth<'_>) -> Result<(), Error> {
    delete(pair.host)?;
    let mut peer = named(pair.end());
    peer.attributes.push(LinkAttribute::Mtu(pair.mtu));
    peer.attributes.extend(pair.home.map(|home| LinkAttribute::NetNsFd(home.namespace.as_fd().as_raw_fd())));
    let mut host = named(pair.host);
    host.attributes.push(LinkAttribute::Mtu(pair.mtu));
    host.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    let made = request(RTM_NEWLINK, NLM_F_CREATE_NEW, &host);
    made.map(drop).map_err(|f| Error::kernel(format!("make the veth pair {} and {}", pair.host, pair.end()))(f.error))
}

/// The host's end, if both ends of a pair are where they belong.
fn whole(pair: &Veth<'_>) -> Result<Option<Link>, Error> {
    let Some(host) = get(pair.host)? else { return Ok(None) };
    let end = pair.in_home(get)?;
    Ok(end.filter(|end| pair.home.is_none() || host.peer == Some(end.index)).map(|_| host))
}

/// Changes a link and brings it up.
pub(crate) fn bring_up(mut change: LinkMessage, name: &str) -> Result<(), Error> {
    (change.header.flags, change.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
    match request(RTM_NEWLINK, 0, &change) {
        Ok(_) => Ok(()),
        Err(f) => Err(Error::kernel(format!("bring link {name} up"))(f.error)),
    }
}

/// Gives a link another name; it is down for that moment.
///
/// # Errors
/// [`Error::Kernel`], also when there is no such link.
pub(crate) fn rename(from: &str, to: &str) -> Result<(), Error> {
    let mut socket = Netlink::open(NETLINK_ROUTE).map_err(Error::kernel("open a netlink socket"))?;
    let mut down = named(from);
    down.header.change_mask = LinkFlags::Up;
    let done = request_on(&mut socket, RTM_NEWLINK, 0, &down);
    done.map_err(|f| Error::kernel(format!("bring link {from} down"))(f.error))?;
    call_on(&mut socket, (from, to), LinkFlags::Up)
}

/// Gives a link that is down another name, over a socket that is open; then sets `flags`.
fn call_on(socket: &mut Netlink, (from, to): (&str, &str), flags: LinkFlags) -> Result<(), Error> {
    let doing = format!("rename link {from} to {to}");
    let failed = |source| Error::Kernel { doing: doing.clone(), source };
    let link = get_on(socket, from)?.ok_or_else(|| failed(Errno::NODEV.into()))?;
    let mut renamed = named(to);
    // By its number: the name is the one to give.
    renamed.header.index = link.index;
    (renamed.header.flags, renamed.header.change_mask) = (flags, flags);
    request_on(socket, RTM_NEWLINK, 0, &renamed).map(drop).map_err(|f| failed(f.error))
}

/// What a link can be on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLink {
    /// A macvlan, in mode bridge: it has a MAC address of its own.
    Macvlan,
    /// An ipvlan, in mode L2: it has its parent's MAC address.
    Ipvlan,
    /// What of its parent carries this VLAN id (IEEE 802.1Q), 1 to 4094. It has a MAC address of its own.
    Vlan(u16),
}

impl OnLink {
    /// What the kernel is told to make.
    fn info(self) -> Vec<LinkInfo> {
        let (kind, data) = match self {
            Self::Macvlan => (InfoKind::MacVlan, InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Bridge)])),
            Self::Ipvlan => (InfoKind::IpVlan, InfoData::IpVlan(vec![InfoIpVlan::Mode(IpVlanMode::L2)])),
            Self::Vlan(id) => {
                let data = vec![InfoVlan::Id(id), InfoVlan::Protocol(VlanProtocol::Ieee8021Q)];
                (InfoKind::Vlan, InfoData::Vlan(data))
            }
        };
        vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]
    }

    fn of(infos: &[LinkInfo]) -> Option<Self> {
        let id = |data: &InfoVlan| match data {
            InfoVlan::Id(id) => Some(Self::Vlan(*id)),
            _ => None,
        };
        infos.iter().find_map(|info| match info {
            LinkInfo::Kind(InfoKind::MacVlan) => Some(Self::Macvlan),
            LinkInfo::Kind(InfoKind::IpVlan) => Some(Self::Ipvlan),
            LinkInfo::Data(InfoData::Vlan(data)) => data.iter().find_map(id),
            _ => None,
        })
    }
}

/// Whether this kernel can make links of a kind; it loads its module for that, if there is one.
///
/// Nothing is made: the request names no link that the new one is to be on. What the kernel does not know at all it
/// refuses with `EOPNOTSUPP`, and what it knows, for the lack of that (`rtnl_newlink` in net/core/rtnetlink.c).
///
/// # Errors
/// [`Error::Kernel`], as without the right to make links.
pub fn can_make(kind: OnLink) -> Result<bool, Error> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::LinkInfo(kind.info()));
    match request(RTM_NEWLINK, NLM_F_CREATE_NEW, &message) {
        Err(f) if f.errno == Some(Errno::OPNOTSUPP) => Ok(false),
        Err(f) if matches!(f.errno, None | Some(Errno::PERM | Errno::ACCESS)) => {
            Err(Error::kernel("find out which kinds of links there are")(f.error))
        }
        _ => Ok(true),
    }
}

/// A link to make on another link of this host.
#[derive(Debug, Clone, Copy)]
pub struct Upper<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: OnLink,
    /// The link that it is on.
    pub parent: &'a Link,
    /// Its MAC address; for an ipvlan its parent's.
    pub mac: &'a str,
    /// Greatest packet, in bytes.
    pub mtu: u32,
    /// Whose it is: its alias.
    pub owner: &'a str,
}

/// Makes a link on another, down. Macvlans on one parent reach each other without the network, and so do ipvlans. One
/// that is there as it should be is taken over and gets the MTU; any other link of that name is made anew.
///
/// # Errors
/// [`Error::VlanTaken`] if another link has the VLAN id on that parent, [`Error::Kernel`].
pub fn ensure_upper(wanted: &Upper<'_>) -> Result<(), Error> {
    let Upper { name, kind, parent, mac, mtu, owner } = *wanted;
    match get(name)? {
        Some(there) if there.on == Some((kind, parent.index)) && there.mac.eq_ignore_ascii_case(mac) => {
            set_mtu(name, mtu)?;
        }
        there => {
            if there.is_some() {
                delete(name)?;
            }
            let doing = || format!("make {kind:?} {name} on {}", parent.name).to_lowercase();
            let mut message = named(name);
            message.attributes.extend([LinkAttribute::Link(parent.index), LinkAttribute::Mtu(mtu)]);
            message.attributes.push(LinkAttribute::LinkInfo(kind.info()));
            if kind != OnLink::Ipvlan {
                let address = bytes_of(mac).map_err(Error::kernel(doing()))?;
                message.attributes.push(LinkAttribute::Address(address));
            }
            let made = match request(RTM_NEWLINK, NLM_F_CREATE_NEW, &message) {
                Err(f) if f.errno == Some(Errno::EXIST) && matches!(kind, OnLink::Vlan(_)) => {
                    make_room(wanted, f)?;
                    request(RTM_NEWLINK, NLM_F_CREATE_NEW, &message)
                }
                other => other,
            };
            made.map_err(|f| Error::kernel(doing())(f.error))?;
        }
    }
    note(name, owner)
}

/// Notes something down about a link.
pub(crate) fn note(name: &str, alias: &str) -> Result<(), Error> {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::IfAlias(alias.to_owned()));
    match request(RTM_NEWLINK, 0, &message) {
        Ok(_) => Ok(()),
        Err(f) => Err(Error::kernel(format!("note whose link {name} is"))(f.error)),
    }
}

/// Removes what has a VLAN id on a parent that somebody else needs: a link that this owner has left here. A link of
/// any other's is not touched; one that is not here is in another network namespace, a container's.
fn make_room(wanted: &Upper<'_>, failure: Failure) -> Result<(), Error> {
    let Upper { kind, parent, owner, .. } = *wanted;
    let holder = list()?.into_iter().find(|l| l.on == Some((kind, parent.index)));
    match holder {
        Some(stale) if stale.alias.as_deref() == Some(owner) => delete(&stale.name).map(drop),
        holder => {
            let OnLink::Vlan(id) = kind else { return Err(Error::kernel("make a link")(failure.error)) };
            let holder = holder.map_or_else(|| "a link in another network namespace".to_owned(), |l| l.name);
            Err(Error::VlanTaken { id, parent: parent.name.clone(), holder })
        }
    }
}

/// The bytes of a MAC address.
pub(crate) fn bytes_of(mac: &str) -> io::Result<Vec<u8>> {
    let bytes: Option<Vec<u8>> = mac.split(':').map(|b| u8::from_str_radix(b, 16).ok()).collect();
    let none = || io::Error::new(io::ErrorKind::InvalidInput, format!("{mac:?} is no MAC address"));
    bytes.filter(|b| b.len() == 6).ok_or_else(none)
}

/// The link of that name, if there is one.
///
/// # Errors
/// [`Error::Kernel`].
pub fn get(name: &str) -> Result<Option<Link>, Error> {
    let mut socket = Netlink::open(NETLINK_ROUTE).map_err(Error::kernel("open a netlink socket"))?;
    get_on(&mut socket, name)
}

/// The same over a socket that is open.
pub(crate) fn get_on(socket: &mut Netlink, name: &str) -> Result<Option<Link>, Error> {
    match request_on(socket, RTM_GETLINK, 0, &named(name)) {
        Ok(answers) => Ok(answers.first().and_then(|a| read(a))),
        Err(f) if is_missing(&f) => Ok(None),
        Err(f) => Err(Error::kernel(format!("look up link {name}"))(f.error)),
    }
}

/// All links of this network namespace.
///
/// # Errors
/// [`Error::Kernel`].
pub fn list() -> Result<Vec<Link>, Error> {
    let answers = request(RTM_GETLINK, NLM_F_DUMP, &LinkMessage::default())
        .map_err(|f| Error::kernel("list the links")(f.error))?;
    Ok(answers.iter().filter_map(|a| read(a)).collect())
}

/// Removes a link, with a veth's other end wherever that is; whether it was there.
///
/// # Errors
/// [`Error::Kernel`].
pub fn delete(name: &str) -> Result<bool, Error> {
    match request(RTM_DELLINK, 0, &named(name)) {
        Ok(_) => Ok(true),
        Err(f) if is_missing(&f) => Ok(false),
        Err(f) => Err(Error::kernel(format!("remove link {name}"))(f.error)),
    }
}

/// Sets a link's greatest packet, in bytes.
///
/// # Errors
/// [`Error::Kernel`].
pub fn set_mtu(name: &str, mtu: u32) -> Result<(), Error> {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::Mtu(mtu));
    match request(RTM_NEWLINK, 0, &message) {
        Ok(_) => Ok(()),
        Err(f) => Err(Error::kernel(format!("set the MTU of link {name} to {mtu}"))(f.error)),
    }
}

/// Brings a link up with a MAC address, over a socket that is open.
pub(crate) fn up_on(socket: &mut Netlink, name: &str, mac: &str) -> Result<(), Error> {
    let doing = || format!("bring link {name} up");
    let address = bytes_of(mac).map_err(Error::kernel(doing()))?;
    let mut message = named(name);
    message.attributes.push(LinkAttribute::Address(address));
    (message.header.flags, message.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
    match request_on(socket, RTM_NEWLINK, 0, &message) {
        Ok(_) => Ok(()),
        Err(f) => Err(Error::kernel(doing())(f.error)),
    }
}

/// Keeps the host itself off a link that is the switch's: with a datapath in user space the kernel sees
/// the container's packets, too, and would answer them around all security groups. No IPv6 address, no
/// answer to ARP, nothing unicast in a broadcast frame (Documentation/networking/ip-sysctl.rst).
pub(crate) fn seclude(name: &str) -> Result<(), Error> {
    without_ipv6(name)?;
    set(name, "ipv4", "arp_ignore", "8")?;
    set(name, "ipv4", "drop_unicast_in_l2_multicast", "1")
}

/// Gives the host no IPv6 address on a link.
pub(crate) fn without_ipv6(name: &str) -> Result<(), Error> {
    set(name, "ipv6", "disable_ipv6", "1")
}

fn set(name: &str, family: &str, setting: &str, value: &str) -> Result<(), Error> {
    let path = Path::new("/proc/sys/net").join(family).join("conf").join(name).join(setting);
    match std::fs::write(&path, value) {
        // A kernel without IPv6.
        Err(e) if e.kind() == io::ErrorKind::NotFound && family == "ipv6" => Ok(()),
        other => other.map_err(Error::kernel(format!("write {value} to {}", path.display()))),
    }
}

pub(crate) fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header = LinkHeader::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    message
}

pub(crate) fn request(kind: u16, flags: u16, message: &LinkMessage) -> Result<Vec<Vec<u8>>, Failure> {
    request_on(&mut Netlink::open(NETLINK_ROUTE)?, kind, flags, message)
}

pub(crate) fn request_on(
    socket: &mut Netlink,
    kind: u16,
    flags: u16,
    message: &LinkMessage,
) -> Result<Vec<Vec<u8>>, Failure> {
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    socket.exchange(kind, flags, &payload)
}

fn is_missing(failure: &Failure) -> bool {
    failure.errno == Some(Errno::NODEV)
}

fn read(payload: &[u8]) -> Option<Link> {
    let message = LinkMessage::parse(payload).ok()?;
    let mut link = Link {
        name: String::new(),
        index: message.header.index,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        veth: false,
        bridge: false,
        master: None,
        peer: None,
        on: None,
        mac: String::new(),
        alias: None,
    };
    let (mut lower, mut kind) = (None, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(bytes) => {
                link.mac = bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
            }
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Link(index) => lower = Some(index),
            LinkAttribute::Controller(index) => link.master = Some(index),
            LinkAttribute::LinkInfo(infos) => {
                let is = |kind: InfoKind| infos.contains(&LinkInfo::Kind(kind));
                (link.veth, link.bridge) = (is(InfoKind::Veth), is(InfoKind::Bridge));
                kind = OnLink::of(&infos);
            }
            _ => {}
        }
    }
    link.on = kind.zip(lower);
    link.peer = lower.filter(|_| link.veth);
    Some(link)
}
