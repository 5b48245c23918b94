//! The words and decisions of Stackyard.
//!
//! Everything here is pure: no I/O, no clock, no randomness, no async. The other crates
//! bring facts in as values and carry decisions out.

pub mod address;
pub mod agent;
pub mod health;
pub mod mtu;
pub mod preflight;
pub mod progress;
pub mod reach;
pub mod rollout;
pub mod stack;
pub mod text;
pub mod yard;
