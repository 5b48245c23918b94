//! How fast a link may send, by the kernel's token bucket filter (tc-tbf(8); net/sched/sch_tbf.c), over netlink.
//!
//! What would be sent faster waits up to 25 ms, and is dropped where more is waiting, as CNI's plugin `bandwidth` has it.

use crate::Error;
use crate::link::{self, Link};
use crate::netlink::{Failure, NLM_F_DUMP, NLM_F_PUT, Netlink, attribute, attributes, nested, string};
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

const RTM_NEWQDISC: u16 = 36;
const RTM_GETQDISC: u16 = 38;
/// Length of `struct tcmsg`, in bytes.
const HEADER: usize = 20;
/// What all packets of a link go through.
const TC_H_ROOT: u32 = 0xffff_ffff;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const KIND: &str = "tbf";
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
/// Packets cost their own length; with another value the kernel wants a table of what they cost.
const TC_LINKLAYER_ETHERNET: u8 = 1;
/// A frame's header.
const ETHERNET: u32 = 14;

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// In the long run, in bit/s.
    pub rate: u64,
    /// At once, in bits; 0: what passes in a tenth of a second.
    pub burst: u64,
}

impl Rate {
    /// The rate in bytes/s, and how many bytes may go at once by a link of that MTU: a packet must.
    fn bytes(&self, mtu: u32) -> (u64, u32) {
        let burst = if self.burst == 0 { self.rate / 10 } else { self.burst };
        let burst = u32::try_from(burst / 8).unwrap_or(u32::MAX / 2).min(u32::MAX / 2);
        ((self.rate / 8).max(1), burst.max(mtu + ETHERNET))
    }

    /// The rate as the kernel says it, in bit/s.
    pub fn in_kernel(&self) -> u64 {
        (self.rate / 8).max(1) * 8
    }
}

/// Limits how fast a link of this namespace sends. A limit that it has is changed.
///
/// # Errors
/// [`Error::Kernel`], also when there is no such link.
pub fn limit(name: &str, rate: &Rate) -> Result<(), Error> {
    let failed = |source| Error::Kernel { doing: format!("limit link {name}"), source };
    let mut socket = Netlink::open(NETLINK_ROUTE).map_err(Error::kernel("open a netlink socket"))?;
    let link = link::get_on(&mut socket, name)?.ok_or_else(|| failed(Errno::NODEV.into()))?;
    limit_on(&mut socket, &link, rate)
}

/// The same over a socket that is open.
pub(crate) fn limit_on(socket: &mut Netlink, link: &Link, rate: &Rate) -> Result<(), Error> {
    let (per_second, burst) = rate.bytes(link.mtu);
    let waiting = u32::try_from(per_second / 40).unwrap_or(u32::MAX / 2).saturating_add(burst);
    // struct tc_tbf_qopt: what a rate is, twice, the second for peaks; what may wait; the burst as a time, which
    // TCA_TBF_BURST says better; the peak's burst.
    let mut options = vec![0, TC_LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
    options.extend(u32::try_from(per_second).unwrap_or(u32::MAX).to_ne_bytes());
    options.extend([0; 12]);
    options.extend(waiting.to_ne_bytes());
    options.extend([0; 8]);
    let inside = [
        attribute(TCA_TBF_PARMS, &options),
        attribute(TCA_TBF_RATE64, &per_second.to_ne_bytes()),
        attribute(TCA_TBF_BURST, &burst.to_ne_bytes()),
    ];
    let message = [header(link.index), string(TCA_KIND, KIND), nested(TCA_OPTIONS, &inside)].concat();
    let done = socket.exchange(RTM_NEWQDISC, NLM_F_PUT, &message);
    done.map(drop).map_err(|f| {
        let doing = format!("limit link {} to {} bit/s (does the kernel have sch_tbf?)", link.name, rate.rate);
        Error::kernel(doing)(f.error)
    })
}

/// How fast a link may send, in bit/s, if it is limited so.
pub(crate) fn limit_of(socket: &mut Netlink, link: &Link) -> Result<Option<u64>, Error> {
    let answers = socket
        .exchange(RTM_GETQDISC, NLM_F_DUMP, &header(link.index))
        .map_err(|f: Failure| Error::kernel(format!("look up the limit of link {}", link.name))(f.error))?;
    Ok(answers.iter().find_map(|answer| read(answer, link.index)))
}

fn header(index: u32) -> Vec<u8> {
    let mut header = vec![0; HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[12..16].copy_from_slice(&TC_H_ROOT.to_ne_bytes());
    header
}

/// The rate in an answer, if that is the filter of all packets of a link.
fn read(answer: &[u8], index: u32) -> Option<u64> {
    let number = |data: &[u8], at: usize| data.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    if number(answer, 4)? != index || number(answer, 12)? != TC_H_ROOT {
        return None;
    }
    let find = |data: &[u8], wanted: u16| attributes(data).find(|(kind, _)| *kind == wanted).map(|(_, v)| v.to_vec());
    let behind = answer.get(HEADER..)?;
    if find(behind, TCA_KIND)?.strip_suffix(&[0])? != KIND.as_bytes() {
        return None;
    }
    let options = find(behind, TCA_OPTIONS)?;
    let large = find(&options, TCA_TBF_RATE64).and_then(|v| v.try_into().ok().map(u64::from_ne_bytes));
    let small = || number(&find(&options, TCA_TBF_PARMS)?, 8).map(u64::from);
    large.or_else(small).map(|bytes| bytes.saturating_mul(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_can_always_pass() {
        assert_eq!(Rate { rate: 8_000_000, burst: 800_000 }.bytes(1500), (1_000_000, 100_000));
        assert_eq!(Rate { rate: 8_000_000, burst: 0 }.bytes(1500), (1_000_000, 100_000));
        assert_eq!(Rate { rate: 8000, burst: 8 }.bytes(1500), (1000, 1514));
        assert_eq!(Rate { rate: 4, burst: u64::MAX }.bytes(1500), (1, u32::MAX / 2));
    }
}
