//! OpenStack on this machine: the package `openstack` of the catalog, brought up in
//! containers, tried out, watched and removed.
//!
//! What OpenStack consists of stands in the package, not here. This crate checks the
//! machine ([`preflight`]), answers the package's questions, has the engine of the crate
//! `platform` deploy it, and then talks to the cloud as any client does.

pub mod assets;
pub mod client;
pub mod down;
pub mod home;
pub mod images;
pub mod preflight;
pub mod push;
pub mod ready;
pub mod seed;
pub mod status;
pub mod test;
pub mod up;

mod local;

pub use client::CLOUD;
pub use local::{AnswerChanges, AskedQuestion, Error, Intended, Local, STACK};
