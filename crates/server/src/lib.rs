//! The server that hosts' agents call: API, sign-in, agents' hub, stacks, runs, console.
//!
//! ```text
//! backup ── a server's state in one encrypted file, and back
//! daemon ── the process: lock, store, listeners
//!   api ── one file a noun: handlers over `App`
//!     access ── what callers may do        join, ssh ── how hosts join
//!       app ── what all handlers share
//!         runs, local ── runs of yards and of this machine's cloud (crates `yard`, `cloud`)
//!         stack ── versions of stacks, and which host runs what
//!           archive ── files that stacks carry to their hosts
//!         ports ── ports of containers on hosts of yards
//!         hub ── the agents' connections
//!         volumes ── Cinder volumes of stacks
//!         cloud_watcher ── clouds, looked at while someone watches
//!         audit ── who did what, from where
//!         auth ── who calls
//!         request ── what is known of a request while it is served
//!         metrics ── what Prometheus reads
//! ```
//!
//! A module uses only those below it. The engine of yards is the crate `yard`, the wire types are `api`'s.

mod access;
pub mod api;
mod api_error;
mod app;
mod archive;
mod audit;
pub mod auth;
pub mod backup;
pub mod ca;
mod cloud_watcher;
mod console;
pub mod daemon;
pub mod doctor;
mod files;
mod host;
pub mod hub;
mod join;
pub mod local;
mod manifest;
pub mod metrics;
mod own_thread;
mod paths;
pub mod ports;
mod readiness;
mod request;
pub mod runs;
mod ssh;
pub mod stack;
mod volumes;
