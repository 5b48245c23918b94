//! Netlink's own layer (RFC 3549; linux/netlink.h): one request, its answers, the kernel's reason.

use netlink_sys::{Socket, SocketAddr};
use std::io;

/// Length of a message's header, in bytes.
const HEADER: usize = 16;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
/// Make it; fail where it is there already.
pub(crate) const NLM_F_CREATE_NEW: u16 = 0x400 | 0x200;
/// Make it, or change what is there.
pub(crate) const NLM_F_PUT: u16 = 0x400 | 0x100;
/// All of a kind.
pub(crate) const NLM_F_DUMP: u16 = 0x300;
/// An error does not repeat the request's payload.
const NLM_F_CAPPED: u16 = 0x100;
/// An error has attributes behind it.
const NLM_F_ACK_TLVS: u16 = 0x200;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Attribute of an error: the reason in words.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Marks an attribute that holds attributes.
const NLA_F_NESTED: u16 = 0x8000;

/// What a request failed with.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The error number; absent where the socket itself failed.
    pub(crate) errno: Option<rustix::io::Errno>,
    /// For people: the number's meaning and the kernel's reason.
    pub(crate) error: io::Error,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { errno: None, error }
    }
}

/// A socket to the kernel, in the network namespace of the thread that opened it.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens one of a protocol, as [`netlink_sys::protocols::NETLINK_ROUTE`].
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Reasons in words: kernels before 4.12 have none, which changes nothing else.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends one request; returns the payloads of all answers.
    pub(crate) fn exchange(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = Vec::with_capacity(HEADER + payload.len());
        request.extend(u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX).to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend((NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
        request.extend(self.sequence.to_ne_bytes());
        request.extend(0_u32.to_ne_bytes());
        request.extend(payload);
        self.socket.send(&request, 0)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = datagram.as_slice();
            while let Some((message, next)) = split(rest) {
                rest = next;
                if message.sequence != self.sequence {
                    continue;
                }
                match message.kind {
                    NLMSG_ERROR => return outcome(&message).map(|()| answers),
                    NLMSG_DONE => return Ok(answers),
                    _ => answers.push(message.payload.to_vec()),
                }
            }
        }
    }
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

/// The first message of a datagram, and what follows it.
fn split(data: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32_at(data, 0)?).ok()?;
    let payload = data.get(HEADER..length)?;
    let message = Message { kind: u16_at(data, 4)?, flags: u16_at(data, 6)?, sequence: u32_at(data, 8)?, payload };
    Some((message, data.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// Whether an `NLMSG_ERROR` is an acknowledgement, which has the number 0.
fn outcome(message: &Message<'_>) -> Result<(), Failure> {
    let code = u32_at(message.payload, 0).unwrap_or(0).cast_signed();
    if code == 0 {
        return Ok(());
    }
    let errno = rustix::io::Errno::from_raw_os_error(code.wrapping_neg());
    let error = io::Error::from(errno);
    let request = match message.flags & NLM_F_CAPPED {
        0 => usize::try_from(u32_at(message.payload, 4).unwrap_or(0)).unwrap_or(0),
        _ => HEADER,
    };
    let behind = message.payload.get(4 + request..).unwrap_or_default();
    let said = match message.flags & NLM_F_ACK_TLVS {
        0 => None,
        _ => attributes(behind).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG).map(|(_, value)| text(value)),
    };
    let error = match said {
        Some(said) => io::Error::new(error.kind(), format!("{said} ({error})")),
        None => error,
    };
    Err(Failure { errno: Some(errno), error })
}

/// An attribute: length, kind, value, padded to four bytes.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut out = Vec::with_capacity(length.next_multiple_of(4));
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(length.next_multiple_of(4), 0);
    out
}

/// An attribute that holds attributes.
pub(crate) fn nested(kind: u16, inside: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NLA_F_NESTED, &inside.concat())
}

/// An attribute that holds text, ended by a zero.
pub(crate) fn string(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// Kinds and values of attributes one behind the other.
pub(crate) fn attributes(data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & !NLA_F_NESTED;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let both = [string(3, "eth0"), nested(1, &[attribute(7, &[1, 2])])].concat();
        assert_eq!(both.len(), 12 + 12);
        let read: Vec<(u16, &[u8])> = attributes(&both).collect();
        assert_eq!(read[0], (3, b"eth0\0".as_slice()));
        assert_eq!(attributes(read[1].1).next(), Some((7, [1, 2].as_slice())));
    }

    #[test]
    fn what_is_cut_short_ends_the_list() {
        assert_eq!(attributes(&[9, 0, 1, 0, 5]).count(), 0);
        assert_eq!(attributes(&[2, 0, 1, 0]).count(), 0, "shorter than its own header");
        assert!(split(&[40, 0, 0, 0, 2, 0]).is_none());
    }

    #[test]
    fn a_refusal_says_why() {
        let mut socket = Netlink::open(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
        // RTM_GETLINK of an index that no link has.
        let mut payload = vec![0; 16];
        payload[4..8].copy_from_slice(&0x7fff_fff0_u32.to_ne_bytes());
        let failure = socket.exchange(18, 0, &payload).unwrap_err();
        assert_eq!(failure.errno, Some(rustix::io::Errno::NODEV));
    }
}
