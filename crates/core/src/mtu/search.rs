//! The search for the largest packet that gets through, and what becomes of larger ones.
//!
//! Packets are sent that nobody may fragment. Three things can become of one that is too large: this machine does
//! not send it; somebody on the way says so (ICMP "fragmentation needed", RFC 792, or "packet too big", RFC 4443),
//! which path MTU discovery lives on; or nothing is ever heard of it, which is a black hole: connections are
//! established, and hang as soon as they carry much (RFC 2923, section 2.1).

use super::MIN_IPV4;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::ToSchema;

/// How often a packet of one size is sent before it counts as lost: packets are lost for other reasons, too.
const TRIES: u32 = 3;

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It arrived.
    Arrived,
    /// This machine did not send it: its interface there takes so much, in bytes.
    Held {
        /// Greatest packet of the interface.
        mtu: u32,
    },
    /// Somebody says that it is too large.
    TooLarge {
        /// Who.
        by: IpAddr,
        /// What would fit, in bytes; routers of before RFC 1191 do not say.
        mtu: Option<u32>,
    },
    /// Somebody says that it does not get there, whatever its size.
    Refused {
        /// Who; this machine itself if absent.
        by: Option<IpAddr>,
        /// What was said.
        why: String,
    },
    /// Nothing was heard of it.
    Lost,
}

/// Sends packets to one address.
pub trait Prober {
    /// Why it cannot.
    type Error;
    /// Sends one of `size` bytes, IP header included, that nobody may fragment, and waits for what becomes of it.
    /// `attempt` counts from 0 for each size.
    ///
    /// # Errors
    /// The search ends with it.
    fn probe(&mut self, size: u32, attempt: u32) -> Result<Fate, Self::Error>;
}

/// What becomes of packets that are larger than what gets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "what")]
#[schema(as = MtuBeyond)]
pub enum Beyond {
    /// They are not sent: the sender's interface is not larger.
    Held,
    /// Nobody asked for larger ones.
    Unasked,
    /// Somebody says that they are too large.
    Told {
        /// Who.
        #[schema(value_type = String)]
        by: IpAddr,
    },
    /// Somebody says that they do not get there.
    Refused {
        /// Who; the sender itself if absent.
        #[schema(value_type = Option<String>)]
        by: Option<IpAddr>,
        /// What was said.
        why: String,
    },
    /// They vanish.
    Lost,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MtuFound)]
pub struct Found {
    /// The largest packet that arrived, in bytes; absent if none did.
    pub largest: Option<u32>,
    /// The largest packet that the sender's interface lets in, in bytes; absent if it was not got to know.
    pub lets_in: Option<u32>,
    /// What becomes of larger ones.
    pub beyond: Beyond,
    /// Packets that were sent.
    pub probes: u32,
}

/// What that means for who sends packets of the size that the interface lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MtuPassage)]
pub enum Passage {
    /// All that is let in arrives.
    Fits,
    /// What is too large is dropped, and the sender is told so.
    Told,
    /// What is too large vanishes.
    BlackHole,
    /// Nothing passes, small or large.
    Filtered,
    /// It could not be measured.
    Unknown,
}

impl Found {
    /// What it means.
    pub fn passage(&self) -> Passage {
        match (self.largest, &self.beyond) {
            (None, _) => Passage::Filtered,
            (_, Beyond::Held | Beyond::Unasked) => Passage::Fits,
            (_, Beyond::Told { .. } | Beyond::Refused { .. }) => Passage::Told,
            (_, Beyond::Lost) => Passage::BlackHole,
        }
    }
}

struct Search<'a, P> {
    prober: &'a mut P,
    probes: u32,
    /// What routers said that fits, and which ones.
    told: Vec<(u32, IpAddr)>,
}

impl<P: Prober> Search<'_, P> {
    /// What becomes of packets of a size.
    fn fate(&mut self, size: u32) -> Result<Fate, P::Error> {
        for attempt in 0..TRIES {
            self.probes += 1;
            match self.prober.probe(size, attempt)? {
                Fate::Lost => {}
                fate => {
                    if let Fate::TooLarge { by, mtu: Some(mtu) } = fate {
                        self.told.push((mtu, by));
                    }
                    return Ok(fate);
                }
            }
        }
        Ok(Fate::Lost)
    }

    fn found(&self, largest: Option<u32>, lets_in: Option<u32>, fate: Fate) -> Found {
        let beyond = match fate {
            Fate::TooLarge { by, .. } => Beyond::Told { by },
            Fate::Refused { by, why } => Beyond::Refused { by, why },
            // Routers tell one sender a few times a second only (Linux: `icmp_ratelimit`): what one said of a
            // larger packet holds for this one if it is the size that was found.
            Fate::Lost => match self.told.iter().find(|(mtu, _)| Some(*mtu) == largest) {
                Some((_, by)) => Beyond::Told { by: *by },
                None => Beyond::Lost,
            },
            Fate::Held { .. } => Beyond::Held,
            Fate::Arrived => Beyond::Unasked,
        };
        Found { largest, lets_in, beyond, probes: self.probes }
    }
}

/// Searches the largest packet, of `most` bytes at most, that arrives. A path that carries what the interface lets in
/// costs three packets, one that a router tells of five, a black hole about eleven and those that are lost.
///
/// # Errors
/// What the prober says.
pub fn search<P: Prober>(prober: &mut P, most: u32) -> Result<Found, P::Error> {
    let mut search = Search { prober, probes: 0, told: Vec::new() };
    match search.fate(MIN_IPV4)? {
        Fate::Arrived => {}
        fate => return Ok(search.found(None, None, fate)),
    }
    let mut top = most.max(MIN_IPV4 + 1);
    let mut held = false;
    let mut fate = search.fate(top)?;
    if let Fate::Held { mtu } = fate
        && (MIN_IPV4 + 1..top).contains(&mtu)
    {
        (top, held) = (mtu, true);
        fate = search.fate(top)?;
    }
    if fate == Fate::Arrived {
        return Ok(search.found(Some(top), Some(top), if held { Fate::Held { mtu: top } } else { fate }));
    }
    // `low` arrived, `high` did not, of which `fate` tells.
    let (mut low, mut high) = (MIN_IPV4, top);
    let hint_of = |fate: &Fate| if let Fate::TooLarge { mtu, .. } = fate { *mtu } else { None };
    let mut hint = hint_of(&fate);
    while high - low > 1 {
        let hinted = hint.take().filter(|h| low < *h && *h < high);
        let size = hinted.unwrap_or(low + (high - low) / 2);
        match search.fate(size)? {
            Fate::Arrived => {
                low = size;
                hint = hinted.map(|h| h + 1);
            }
            other => {
                high = size;
                hint = hint_of(&other);
                fate = other;
            }
        }
    }
    Ok(search.found(Some(low), Some(top), fate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    /// A path: the sender's interface, then what carries less and whether it says so.
    struct Way {
        link: u32,
        hops: Vec<(u32, bool)>,
        filtered: bool,
        /// Every so many packets are lost; none if 0.
        lossy: u32,
        /// A router tells so often.
        tells: u32,
        sent: u32,
    }

    fn way(link: u32, hops: &[(u32, bool)]) -> Way {
        Way { link, hops: hops.to_vec(), filtered: false, lossy: 0, tells: 100, sent: 0 }
    }

    impl Prober for Way {
        type Error = Infallible;
        fn probe(&mut self, size: u32, _: u32) -> Result<Fate, Infallible> {
            if size > self.link {
                return Ok(Fate::Held { mtu: self.link });
            }
            self.sent += 1;
            if self.filtered || (self.lossy > 0 && self.sent.is_multiple_of(self.lossy)) {
                return Ok(Fate::Lost);
            }
            let hop = self.hops.iter().find(|(mtu, _)| size > *mtu);
            Ok(match hop {
                None => Fate::Arrived,
                Some((mtu, true)) if self.tells > 0 => {
                    self.tells -= 1;
                    Fate::TooLarge { by: ROUTER, mtu: Some(*mtu) }
                }
                Some(_) => Fate::Lost,
            })
        }
    }

    fn find(mut way: Way) -> Found {
        search(&mut way, 65_535).unwrap()
    }

    #[test]
    fn what_the_interface_lets_in_arrives() {
        let found = find(way(1500, &[]));
        assert_eq!((found.largest, found.lets_in, &found.beyond), (Some(1500), Some(1500), &Beyond::Held));
        assert_eq!((found.passage(), found.probes), (Passage::Fits, 3));
        let asked = search(&mut way(9000, &[]), 1500).unwrap();
        assert_eq!((asked.largest, asked.beyond, asked.probes), (Some(1500), Beyond::Unasked, 2));
        assert_eq!(find(way(1500, &[(1500, false), (9000, false)])).passage(), Passage::Fits);
    }

    #[test]
    fn a_router_that_tells_is_no_black_hole() {
        let found = find(way(1500, &[(1400, true)]));
        assert_eq!(
            (found.largest, found.lets_in, &found.beyond),
            (Some(1400), Some(1500), &Beyond::Told { by: ROUTER })
        );
        assert_eq!((found.passage(), found.probes), (Passage::Told, 5));
        // Two of them; the second is got to know once packets fit through the first.
        let found = find(way(9000, &[(1500, true), (1300, true)]));
        assert_eq!((found.largest, found.passage()), (Some(1300), Passage::Told));
        // One that is tired of telling.
        let found = find(Way { tells: 1, ..way(1500, &[(1400, true)]) });
        assert_eq!((found.largest, found.passage()), (Some(1400), Passage::Told));
    }

    #[test]
    fn a_black_hole_is_found_to_the_byte() {
        for limit in [69, 576, 1280, 1399, 1400, 1401, 1499] {
            let found = find(way(1500, &[(limit, false)]));
            assert_eq!((found.largest, found.lets_in, &found.beyond), (Some(limit), Some(1500), &Beyond::Lost));
            assert_eq!(found.passage(), Passage::BlackHole);
            assert!(found.probes <= 45, "{}", found.probes);
        }
        // Behind a router that tells there is one that does not.
        let found = find(way(9000, &[(1500, true), (1300, false)]));
        assert_eq!((found.largest, found.passage()), (Some(1300), Passage::BlackHole));
        // A packet that is lost now and then is none.
        let found = find(Way { lossy: 3, ..way(1500, &[(1400, false)]) });
        assert_eq!((found.largest, found.passage()), (Some(1400), Passage::BlackHole));
        assert_eq!(find(Way { lossy: 3, ..way(1500, &[]) }).passage(), Passage::Fits);
    }

    #[test]
    fn where_nothing_passes_nothing_is_said_of_sizes() {
        let found = find(Way { filtered: true, ..way(1500, &[]) });
        assert_eq!(found, Found { largest: None, lets_in: None, beyond: Beyond::Lost, probes: 3 });
        assert_eq!(found.passage(), Passage::Filtered);
        // A link that carries less than all must.
        assert_eq!(find(way(40, &[])).passage(), Passage::Filtered);
    }
}
