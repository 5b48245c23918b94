//! Yards on any OpenStack cloud, and the server that hosts' agents call.
//!
//! # The server
//!
//! [`daemon`] is the process, [`api`] what it offers, [`hub`] the agents' connections, [`ca`] its
//! certificate, `console` the way of people to it.
//!
//! [`local`] is the cloud of the server's own machine, which the crate `cloud` brings up.
//!
//! # Yards
//!
//! ```text
//! Inventory::take ──> observe ──> core::yard::plan ──> preflight ──> apply ──> (observe again)
//! ```
//!
//! The cloud is the state. [`Inventory`] lists a project with a number of requests that does not
//! depend on how much is in it (but for pages of thousands); marks say what belongs to which yard.
//! [`Run::apply`] walks a plan's graph in parallel; [`UpOperation`] and [`Removal`] are the whole way,
//! stacks included, which the command line and the server's own runs go alike. Every action may be run
//! again: what was made by a request whose answer got lost is found by its mark, what is gone already is
//! fine.

mod access;
pub mod api;
mod api_error;
mod app;
pub mod auth;
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
mod own_thread;
mod paths;
pub mod ports;
pub mod runs;
mod ssh;
pub mod stack;
