//! Docker's network and IPAM drivers: the plugin's socket and protocol, networks, endpoints, address pools.

mod endpoints;
pub(crate) mod ipam;
mod kuryr;
mod networks;
pub(crate) mod plugin;
pub(crate) mod protocol;
pub(crate) mod publish;
#[cfg(test)]
pub(crate) mod tests;
mod way_out;
