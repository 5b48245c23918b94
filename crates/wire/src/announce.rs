//! Tells a container's neighbours which MAC address its addresses have now.
//!
//! An address that another container had a moment ago is still that one's to whoever has spoken to it: to other
//! machines for up to a minute (`base_reachable_time_ms`), and to a router of OVN as long as it is asked for
//! (`mac_binding_age_threshold`). Neighbours that know an address take a new MAC address from an announcement.

use crate::Error;
use crate::namespace::Namespace;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrStorage, sendto, socket};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

/// A MAC address.
type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
/// That of `ff02::1`, all nodes of a link (RFC 2464, section 7).
const ALL_NODES: Mac = [0x33, 0x33, 0, 0, 0, 1];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;

impl Namespace {
    /// Announces those of the addresses that links in there have, each on its link; how many there were.
    ///
    /// # Errors
    /// [`Error::Kernel`]: the namespace cannot be entered, or the kernel does not send.
    pub fn announce(&self, addresses: &[IpAddr]) -> Result<usize, Error> {
        self.within(|| announce(addresses))
    }
}

/// The same, in this thread's namespace. Only getifaddrs(3) gives the address of a link as a socket takes it without
/// `unsafe`, and it gives those of IP, too.
fn announce(addresses: &[IpAddr]) -> Result<usize, Error> {
    let all: Vec<_> = getifaddrs().map_err(|e| Error::kernel("list addresses")(e.into()))?.collect();
    let links: HashMap<&str, &LinkAddr> = all
        .iter()
        .filter_map(|one| Some((one.interface_name.as_str(), one.address.as_ref()?.as_link_addr()?)))
        .collect();
    let there = all.iter().filter_map(|one| {
        let address = ip(one.address.as_ref()?).filter(|ip| addresses.contains(ip))?;
        let link = links.get(one.interface_name.as_str())?;
        Some((address, one.interface_name.as_str(), *link, link.addr()?))
    });
    let mut count = 0;
    for (address, name, link, mac) in there {
        let frame = match address {
            IpAddr::V4(ip) => arp_announcement(mac, ip),
            IpAddr::V6(ip) => neighbor_advertisement(mac, ip),
        };
        send(link, &frame).map_err(|e| Error::kernel(format!("announce {address} on link {name}"))(e.into()))?;
        count += 1;
    }
    Ok(count)
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

fn send(link: &LinkAddr, frame: &[u8]) -> nix::Result<()> {
    // Of no protocol: it receives nothing.
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
    sendto(socket.as_raw_fd(), frame, link, MsgFlags::empty()).map(drop)
}

/// An ARP Announcement, with its Ethernet header (RFC 5227, section 2.3): a request for the sender's own address.
fn arp_announcement(mac: Mac, ip: Ipv4Addr) -> Vec<u8> {
    // Ethernet, IPv4, lengths of their addresses, request (RFC 826).
    const REQUEST: [u8; 8] = [0, 1, 0x08, 0, 6, 4, 0, 1];
    let ip = ip.octets();
    [&BROADCAST[..], &mac, &ETHERTYPE_ARP, &REQUEST, &mac, &ip, &[0; 6], &ip].concat()
}

/// An unsolicited Neighbor Advertisement, with its IPv6 and Ethernet headers (RFC 4861, sections 4.4 and 7.2.6).
fn neighbor_advertisement(mac: Mac, ip: Ipv6Addr) -> Vec<u8> {
    /// Type 136, code 0, no checksum yet, flag O: what neighbours know is overridden.
    const HEADER: [u8; 8] = [136, 0, 0, 0, 0x20, 0, 0, 0];
    /// Option 2, of 8 bytes: the target's link-layer address.
    const TARGET_LINK: [u8; 2] = [2, 1];
    let (from, to) = (ip.octets(), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets());
    let mut message = [&HEADER[..], &from, &TARGET_LINK, &mac].concat();
    let length = [0, u8::try_from(message.len()).unwrap_or(u8::MAX)];
    // The pseudo-header (RFC 8200, section 8.1).
    let sum = checksum(&[&from[..], &to, &[0, 0], &length, &[0, 0, 0, ICMPV6], &message].concat());
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    // Version 6; hop limit 255, without which it is not believed.
    let header = [&[0x60, 0, 0, 0][..], &length, &[ICMPV6, 255], &from, &to].concat();
    [&ALL_NODES[..], &mac, &ETHERTYPE_IPV6, &header, &message].concat()
}

/// The Internet checksum (RFC 1071).
pub fn checksum(data: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = data.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums() {
        // The example of RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[1]), !0x0100);
    }
}
