//! The store on both databases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod both;
mod life;
mod place;
