//! The store on both databases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod both;
mod copies;
mod life;
mod place;
