//! ICMP and ICMPv6 echo (RFC 792, RFC 4443 section 4) over sockets that never fragment.
//!
//! `IP_PMTUDISC_PROBE` (ip(7)) sets "don't fragment", and sends what the interface takes even where the kernel has been
//! told before that less fits. With `IP_RECVERR` what routers say comes as errors of the socket, with who said it.

use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use rustix::io::Errno;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, Timeout, set_ip_mtu_discover, set_ipv6_mtu_discover, set_socket_timeout,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
};
use stackyard_wire::checksum;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Largest packet of IP, in bytes.
const LARGEST: usize = 65_535;

/// Length of an echo's header: type, code, checksum, identifier, sequence number.
pub(super) const HEADER: usize = 8;

/// A read waits no longer, so that who waits can look at something else meanwhile.
pub(super) const SLICE: Duration = Duration::from_millis(20);

/// `SO_EE_ORIGIN_LOCAL` of linux/errqueue.h: an error is this machine's own.
const ORIGIN_LOCAL: u8 = 1;

/// An echo request or reply, without what follows its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Echo {
    pub request: bool,
    pub identifier: u16,
    pub sequence: u16,
    /// The first eight bytes of its data.
    pub token: u64,
    /// Size of the packet that it came in, IP header included.
    pub size: u32,
}

/// What the kernel or somebody on the way said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Who; this machine itself if absent.
    pub by: Option<IpAddr>,
    /// It is too large; what would fit, 0 if that was not said.
    pub fits: Option<u32>,
    /// For people.
    pub why: String,
    /// The echo that it is about, if it says.
    pub about: Option<(u16, u16)>,
}

/// A socket for echoes.
pub(super) struct Socket {
    fd: OwnedFd,
    v6: bool,
    /// Raw: it sees all ICMP packets of its network namespace, and says itself which identifier its own have.
    raw: bool,
    buffer: Vec<u8>,
}

impl Socket {
    /// One that sends to an address, and hears what comes from there.
    pub fn to(address: IpAddr) -> io::Result<Self> {
        let socket = Self::open(address.is_ipv6(), true)?;
        if socket.v6 {
            set_ipv6_mtu_discover(&socket.fd, Ipv6PathMtuDiscovery::PROBE)?;
            setsockopt(&socket.fd, Ipv6RecvErr, &true)?;
        } else {
            set_ip_mtu_discover(&socket.fd, Ipv4PathMtuDiscovery::PROBE)?;
            setsockopt(&socket.fd, Ipv4RecvErr, &true)?;
        }
        connect(&socket.fd, &SocketAddr::new(address, 0))?;
        Ok(socket)
    }

    /// One that hears all echoes. It must be raw.
    pub fn ear(v6: bool) -> io::Result<Self> {
        Self::open(v6, false)
    }

    fn open(v6: bool, any: bool) -> io::Result<Self> {
        let (family, protocol) =
            if v6 { (AddressFamily::INET6, ipproto::ICMPV6) } else { (AddressFamily::INET, ipproto::ICMP) };
        let make = |kind| socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol));
        let (fd, raw) = match make(SocketType::RAW) {
            // Who is not root may send echoes where `net.ipv4.ping_group_range` lets them.
            Err(Errno::PERM | Errno::ACCESS) if any => (make(SocketType::DGRAM)?, false),
            other => (other?, true),
        };
        set_socket_timeout(&fd, Timeout::Recv, Some(SLICE))?;
        Ok(Self { fd, v6, raw, buffer: vec![0; LARGEST + 1] })
    }

    /// Length of the IP header of what is sent.
    fn ip_header(&self) -> usize {
        if self.v6 { 40 } else { 20 }
    }

    /// Sends an echo request that makes a packet of `size` bytes.
    pub fn request(&self, identifier: u16, sequence: u16, token: u64, size: u32) -> Result<(), Errno> {
        let length = usize::try_from(size).unwrap_or(LARGEST).saturating_sub(self.ip_header());
        let mut packet = vec![0; length.max(HEADER + 8)];
        packet[0] = if self.v6 { 128 } else { 8 };
        packet[4..6].copy_from_slice(&identifier.to_be_bytes());
        packet[6..8].copy_from_slice(&sequence.to_be_bytes());
        packet[HEADER..HEADER + 8].copy_from_slice(&token.to_be_bytes());
        if !self.v6 {
            // The kernel does that of ICMPv6.
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        send(&self.fd, &packet, SendFlags::empty()).map(drop)
    }

    /// The next echo; none within [`SLICE`]. What is no echo is passed over.
    ///
    /// # Errors
    /// The socket's: there may be a [`Complaint`].
    pub fn next(&mut self) -> Result<Option<Echo>, Errno> {
        self.receive(RecvFlags::empty())
    }

    /// Forgets what has come.
    pub fn drain(&mut self) {
        // Each error is told once.
        for _ in 0..1_000 {
            if matches!(self.receive(RecvFlags::DONTWAIT), Ok(None)) {
                break;
            }
        }
        while self.complaint().is_some() {}
    }

    fn receive(&mut self, flags: RecvFlags) -> Result<Option<Echo>, Errno> {
        let length = match recv(&self.fd, &mut self.buffer[..], flags) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(other) => return Err(other),
        };
        let packet = &self.buffer[..length];
        // Raw sockets of IPv4 get the IP header, too.
        let header = if self.raw && !self.v6 { usize::from(packet.first().unwrap_or(&0) & 0xf) * 4 } else { 0 };
        let icmp = packet.get(header..).unwrap_or_default();
        let ip_header = if header == 0 { self.ip_header() } else { header };
        Ok(Some(echo(icmp, self.v6, ip_header).unwrap_or(Echo {
            request: false,
            identifier: 0,
            sequence: 0,
            token: 0,
            size: 0,
        })))
    }

    /// The next of what was said of packets that were sent.
    pub fn complaint(&mut self) -> Option<Complaint> {
        // Space for either kind and the address of who said it; more than both have.
        let mut space = vec![0; 256];
        let mut slices = [IoSliceMut::new(&mut self.buffer)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<()>(self.fd.as_raw_fd(), &mut slices, Some(&mut space), flags).ok()?;
        let length = message.bytes;
        let mut found = None;
        for control in message.cmsgs().ok()? {
            let (error, offender) = match control {
                ControlMessageOwned::Ipv4RecvErr(error, from) => {
                    let ip =
                        |a: nix::libc::sockaddr_in| IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(a.sin_addr.s_addr)));
                    (error, from.map(ip))
                }
                ControlMessageOwned::Ipv6RecvErr(error, from) => {
                    (error, from.map(|a| IpAddr::V6(Ipv6Addr::from(a.sin6_addr.s6_addr))))
                }
                _ => continue,
            };
            let errno = Errno::from_raw_os_error(i32::try_from(error.ee_errno).unwrap_or(0));
            let local = error.ee_origin == ORIGIN_LOCAL;
            found = Some(Complaint {
                by: offender.filter(|ip| !local && !ip.is_unspecified()),
                fits: (errno == Errno::MSGSIZE).then_some(error.ee_info),
                why: meaning(self.v6, error.ee_type, error.ee_code)
                    .filter(|_| !local)
                    .map_or_else(|| io::Error::from(errno).to_string(), str::to_owned),
                about: None,
            });
        }
        let mut found = found?;
        let quoted = self.buffer.get(..length).unwrap_or_default();
        if let [_, _, _, _, i1, i0, s1, s0, ..] = quoted {
            found.about = Some((u16::from_be_bytes([*i1, *i0]), u16::from_be_bytes([*s1, *s0])));
        }
        Some(found)
    }

    /// Whether identifiers of requests are what they were sent with.
    pub fn is_raw(&self) -> bool {
        self.raw
    }
}

/// What a type and code mean that say that something did not get there (IANA's registries of ICMP and ICMPv6).
fn meaning(v6: bool, kind: u8, code: u8) -> Option<&'static str> {
    Some(match (v6, kind, code) {
        (false, 3, 0) | (true, 1, 0) => "no route to it",
        (false, 3, 1) | (true, 1, 3) => "it does not answer there (host unreachable)",
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => "a firewall forbids it",
        (false, 3, _) | (true, 1, _) => "it is unreachable",
        (false, 11, _) | (true, 3, _) => "it goes in circles (time exceeded)",
        _ => return None,
    })
}

/// An echo, if that is what a packet is.
fn echo(icmp: &[u8], v6: bool, ip_header: usize) -> Option<Echo> {
    let [kind, 0, _, _, i1, i0, s1, s0, data @ ..] = icmp else { return None };
    let request = match (v6, kind) {
        (false, 8) | (true, 128) => true,
        (false, 0) | (true, 129) => false,
        _ => return None,
    };
    Some(Echo {
        request,
        identifier: u16::from_be_bytes([*i1, *i0]),
        sequence: u16::from_be_bytes([*s1, *s0]),
        token: u64::from_be_bytes(data.first_chunk().copied()?),
        size: u32::try_from(icmp.len() + ip_header).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets() {
        let packet = [8, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0];
        let read = Echo { request: true, identifier: 0x102, sequence: 0x304, token: 9, size: 38 };
        assert_eq!(echo(&packet, false, 20), Some(read));
        assert_eq!(echo(&packet, true, 40), None, "not of this version");
        assert_eq!(echo(&packet[..15], false, 20), None);
        assert_eq!(echo(&[], false, 20), None);
    }
}
