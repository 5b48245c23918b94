//! The real server on loopback, with agents that speak to it as ours do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archives;
mod audit;
mod backups;
mod balancers;
mod clouds;
mod console;
mod doctor;
mod document;
mod graph;
mod host_lists;
mod hub;
mod identity;
mod join;
mod keystone;
mod life;
mod local;
mod metrics;
mod names;
mod net;
mod nouns;
mod pages;
#[path = "../../../store/tests/store/place.rs"]
#[allow(dead_code, reason = "the tests of the store use all of it")]
mod place;
mod ports;
mod replace;
mod restart;
mod roles;
mod runs;
mod stack_networks;
mod stacks;
mod support;
mod top;
mod trunks;
mod volumes;
mod withstand;
