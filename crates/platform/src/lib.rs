//! Containers on hosts: Docker Engine through its API.

pub mod docker;
pub mod image;
pub mod stack;
