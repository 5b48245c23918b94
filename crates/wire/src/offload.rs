//! Checksum offload, by the kernel's ethtool family of generic netlink
//! (Documentation/networking/ethtool-netlink.rst).
//!
//! A veth leaves checksums of TCP and UDP to hardware that is not there. A switch in the kernel knows that;
//! one in user space hands the packets on with wrong checksums, so that ping works and TCP does not
//! (openvswitch/ovs-issues#273).

use crate::Error;
use crate::netlink::{Netlink, attribute, attributes, nested, string};
use netlink_sys::protocols::NETLINK_GENERIC;
use std::io;

/// The family that knows families, `GENL_ID_CTRL`.
const CONTROL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

const ETHTOOL_MSG_FEATURES_SET: u8 = 12;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
const ETHTOOL_A_HEADER_FLAGS: u16 = 3;
/// Nobody reads what has changed.
const ETHTOOL_FLAG_OMIT_REPLY: u32 = 1 << 1;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;

/// What `ethtool -K LINK tx off` switches off on a veth; segmentation, which needs it, goes with it.
const FEATURES: [&str; 2] = ["tx-checksum-ip-generic", "tx-checksum-sctp"];

/// Makes the kernel compute the checksums of what leaves through a link.
///
/// # Errors
/// [`Error::Kernel`]; kernels before 5.7 do not know the request.
pub fn disable_checksum_offload(link: &str) -> Result<(), Error> {
    switch_off(link).map_err(Error::kernel(format!("switch checksum offload of link {link} off")))
}

fn switch_off(link: &str) -> io::Result<()> {
    let mut socket = Netlink::open(NETLINK_GENERIC)?;
    let family = family(&mut socket)?;
    // A bit without a value is one to clear.
    let bits = FEATURES.map(|name| nested(ETHTOOL_A_BITSET_BITS_BIT, &[string(ETHTOOL_A_BITSET_BIT_NAME, name)]));
    let message = [
        generic(ETHTOOL_MSG_FEATURES_SET),
        nested(
            ETHTOOL_A_FEATURES_HEADER,
            &[
                string(ETHTOOL_A_HEADER_DEV_NAME, link),
                attribute(ETHTOOL_A_HEADER_FLAGS, &ETHTOOL_FLAG_OMIT_REPLY.to_ne_bytes()),
            ],
        ),
        nested(ETHTOOL_A_FEATURES_WANTED, &[nested(ETHTOOL_A_BITSET_BITS, &bits)]),
    ];
    socket.exchange(family, 0, &message.concat()).map(drop).map_err(|f| f.error)
}

/// The number of the family `ethtool`.
fn family(socket: &mut Netlink) -> io::Result<u16> {
    let message = [generic(CTRL_CMD_GETFAMILY), string(CTRL_ATTR_FAMILY_NAME, "ethtool")];
    let answers = socket.exchange(CONTROL, 0, &message.concat()).map_err(|f| f.error)?;
    let id = answers.first().and_then(|answer| {
        let mut inside = attributes(answer.get(4..)?);
        let (_, value) = inside.find(|(kind, _)| *kind == CTRL_ATTR_FAMILY_ID)?;
        value.try_into().ok().map(u16::from_ne_bytes)
    });
    id.ok_or_else(|| io::Error::other("the kernel's answer has no number of the family ethtool"))
}

/// The header of a generic message: command, version 1, two bytes of nothing.
fn generic(command: u8) -> Vec<u8> {
    vec![command, 1, 0, 0]
}
