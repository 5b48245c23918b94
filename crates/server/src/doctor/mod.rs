//! What really gets through a yard's networks: measured between its hosts, servers and containers, compared with what
//! is set at each layer, and put right.
//!
//! ```text
//!   look (cloud) + surveys (agents) ──> ends ──> pairs ──> measured, some at once ──> advice ──> steps ──> fix
//! ```
//!
//! Ends and pairs, and the advice, are worked out without asking anybody ([`ends`], [`advise`]); what is in between asks
//! the agents over their tunnels. A machine without an agent answers echoes, so what gets there is measured by who
//! has one.
//!
//! What it guarantees:
//!
//! - Packets go to addresses of the yard's own ends alone, at most 100 kB a second for each search, for at most
//!   [`AT_ONCE`] pairs at once.
//! - A step sets one MTU and may be repeated; whoever is killed in the middle begins again with a measurement.

mod advise;
mod ends;
mod fix;
mod measure;

pub use advise::{Measurements, advise};
pub use ends::{EndPair, ends, pairs};
pub(crate) use fix::fix;
pub(crate) use measure::{measure, survey};

/// Pairs that are measured at once.
pub const AT_ONCE: usize = 4;

/// Pairs that are measured unless somebody says otherwise.
pub const PAIRS: usize = 64;
