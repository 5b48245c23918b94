//! How fast packets may go to a container and out of it; `cni::bandwidth` sees to it.

use serde::{Deserialize, Serialize};
use stackyard_wire::Rate;

/// Most kbit that Neutron takes.
const MOST: u64 = 0x7fff_ffff;

/// Limits, as CNI means the directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bandwidth {
    /// To the container.
    pub(crate) ingress: Option<Rate>,
    /// Out of it.
    pub(crate) egress: Option<Rate>,
}

/// A policy that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BandwidthPolicy {
    pub(crate) id: String,
}

/// A limit in Neutron's units: kbit/s and kbit.
///
/// Switches drop what is too much, and do not keep it waiting: a stream of TCP then pauses for 200 ms or more, and what
/// the limit allows in that time is lost to it beyond the burst. So the burst is at least the 80 % of a second that
/// Neutron's documentation wants for TCP; by a smaller one a stream would get half of the rate.
pub(crate) fn in_kbit(rate: &Rate) -> (u64, u64) {
    let (rate, burst) = (rate.rate.div_ceil(1000).min(MOST), rate.burst.div_ceil(1000));
    (rate, burst.max(rate * 4 / 5).min(MOST))
}

impl Bandwidth {
    /// The limits with Neutron's words for their directions, which are CNI's.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, (u64, u64))> {
        let all = [("ingress", self.ingress), ("egress", self.egress)];
        all.into_iter().filter_map(|(direction, rate)| Some((direction, in_kbit(&rate?))))
    }

    /// What policies alike have in common.
    pub(crate) fn key(&self) -> String {
        let each: Vec<String> = self.each().map(|(way, (rate, burst))| format!("{way}-{rate}-{burst}")).collect();
        each.join("-")
    }
}
