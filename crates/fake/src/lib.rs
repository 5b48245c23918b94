//! An OpenStack that is not there: the requests that yards make, answered from memory over HTTP,
//! with delays, and with a fault where a test wants one.
//!
//! It keeps the rules that decide whether a run can be killed and repeated: what is in use cannot
//! be removed, addresses and rules are unique, servers and volumes take their time, and a request
//! whose client has gone is carried out nevertheless.

mod compute;
mod http;
mod identity;
mod load_balancer;
mod network;
mod object;
mod rule;
mod trunk;
mod volume;
mod world;

pub use http::{Fake, Fault, Seen};
pub use identity::Identity;
pub use world::{Booted, Twin, World};
