//! A host's side of a yard: `stackyard agent`.
//!
//! [`prepare`] runs before Docker starts: it mounts the host's data volume and gives Docker the
//! network's MTU. [`run`] joins the host to its server, and then keeps what the server wants to
//! run there running:
//!
//! ```text
//!         ┌─── server_link ────┐           one connection at a time, outbound
//! Desired │                    │ Report, streams
//!         v                    │
//! disk <── stacks       stacks::report <── Docker's events (engine), timer
//!            │ one worker a stack ^
//!            v                    │
//!      platform::stack::Engine ── Docker Engine
//! ```
//!
//! What it guarantees:
//!
//! - It holds no credential of a cloud. What it holds (its token, configs and secrets of the
//!   stacks on this host) lies in the state directory, readable for root alone.
//! - What the server said last is on disk before it is acted on. Cut off, or started again
//!   without a server, the agent goes on with that.
//! - It may be killed at any point. The engine's steps are safe to be killed in; a join that was
//!   answered but not written down is asked again with the same nonce.
//! - A new picture from the server takes over at once: work on stacks that it changes is dropped
//!   (which is the same as being killed), work on all others goes on.
//! - One agent works with a state directory at a time.
//! - Answers to containers that look for services ([`names`]) come from a thread of their own, from
//!   what the agent knows, whether or not the server is there.

mod backoff;
pub mod config;
mod context;
mod default_route;
mod engine;
mod error;
mod facts;
mod link_kinds;
mod log;
mod mtu;
pub mod names;
pub mod network;
pub mod prepare;
pub mod probe;
pub mod program;
pub mod run;
pub mod server_link;
mod stacks;
pub mod state;
pub mod status;
mod streams;
mod volumes;

pub use error::Error;
