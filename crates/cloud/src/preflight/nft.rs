//! Names of the tables of nftables, asked of the kernel itself.

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::os::fd::AsRawFd;

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE` (linux/netfilter/nfnetlink.h, nf_tables.h).
const GET_TABLE: u16 = 10 << 8 | 1;
/// `NLM_F_REQUEST | NLM_F_DUMP` (linux/netlink.h).
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const LAST: [u16; 2] = [2, 3];
/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;

/// The tables of all families in this network name space; empty where they may not be seen.
///
/// Source: netlink(7); linux/netfilter/nf_tables.h.
pub fn tables() -> Vec<String> {
    ask().unwrap_or_default()
}

fn ask() -> nix::Result<Vec<String>> {
    let netlink =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)?;
    setsockopt(&netlink, sockopt::ReceiveTimeout, &TimeVal::new(1, 0))?;
    // Header: length, type, flags, sequence number, port; then the family (any), version, id.
    let mut request = Vec::with_capacity(20);
    request.extend(20u32.to_ne_bytes());
    request.extend(GET_TABLE.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([0; 12]);
    send(netlink.as_raw_fd(), &request, MsgFlags::empty())?;

    let (mut names, mut buffer) = (Vec::new(), vec![0; 32 * 1024]);
    loop {
        let length = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        if length == 0 || !read(&buffer[..length], &mut names) {
            return Ok(names);
        }
    }
}

/// Takes the names from a batch of messages; false when the last one was among them.
fn read(mut batch: &[u8], names: &mut Vec<String>) -> bool {
    // A message is at least its header of 16 bytes.
    let of_message = |b: &[u8]| {
        let length = usize::try_from(u32::from_ne_bytes(b.get(..4)?.try_into().ok()?)).ok()?;
        (length >= 16).then_some(length)
    };
    while let Some((message, rest)) = part(batch, of_message) {
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        if LAST.contains(&kind) {
            return false;
        }
        let mut attributes = message.get(20..).unwrap_or_default();
        while let Some((attribute, rest)) =
            part(attributes, |b| Some(u16::from_ne_bytes(b.get(..2)?.try_into().ok()?).into()))
        {
            if u16::from_ne_bytes([attribute[2], attribute[3]]) == TABLE_NAME {
                names.push(String::from_utf8_lossy(&attribute[4..]).trim_end_matches('\0').to_owned());
            }
            attributes = rest;
        }
        batch = rest;
    }
    true
}

/// Splits off the first part, whose length is in its head; parts are aligned to 4 bytes.
fn part(bytes: &[u8], length: impl Fn(&[u8]) -> Option<usize>) -> Option<(&[u8], &[u8])> {
    let length = length(bytes)?;
    let part = bytes.get(..length).filter(|p| p.len() >= 4)?;
    Some((part, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_messages_end_the_reading() {
        let mut names = vec![];
        assert!(read(&[], &mut names));
        assert!(read(&[0; 40], &mut names));
        assert!(read(&[255; 40], &mut names));
        assert!(names.is_empty());
    }
}
