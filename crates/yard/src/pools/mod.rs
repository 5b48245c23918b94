//! Pools of container hosts: servers that join a platform when they boot.
//!
//! ```text
//!            ┌─ docker:  mint a token ── user data with agent.json ─┐
//! create ────┼─ ssh:     its own user data ── ACTIVE ── install ────┼── ACTIVE ── wait: joined, connected
//!            └─ command: fetch it ── user data that runs it ────────┘             (command: its end, on the console)
//! remove ─── drain ── wait until empty ── DELETE ── forget the host
//! ```
//!
//! What differs from boot to boot (tokens, commands) is got as late as can be, right before the
//! request that makes the server, and is no part of what is compared. Killed in between, a token
//! is lost that was good for this one host and for some minutes; the next run mints another. Killed
//! while a host drains, the next run goes on, or takes it back if its server is to stay by then.
//!
//! That a host is to be made anew although it works is a mark on the host that joined, so it goes with it:
//! whatever is killed, who comes in its place has none.
//!
//! Whether a host has joined is known to the server that it joins ([`HostService`]), or, for
//! somebody else's command, is kept in the Nova server's metadata ([`JOINED`]).

mod command;
mod health;
mod hook_targets;
mod service;
mod user_data;

pub(crate) use command::{JoinTarget, fetch, missing};
pub(crate) use health::{HostKnowledge, judge, patience, stale};
pub use hook_targets::{AllowedHost, HookTargets};
pub use user_data::install as install_script;
pub(crate) use user_data::{UserData, too_large, will_be_too_large};
