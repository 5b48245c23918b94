//! In kuryr-libnetwork's place: `stackyard agent standalone --compat kuryr`.
//!
//! kuryr-libnetwork keeps all its state in Neutron: it finds networks, pools and ports by tags and names
//! ([`crate::network::kuryr_names`]). Here these are written as it writes them, and what the ledger does not know is looked up
//! as it looks it up. So each can take over from the other, also while containers run: the links have its
//! names, too ([`stackyard_wire::binding::Naming::Kuryr`]).
//!
//! | call | what is different |
//! |---|---|
//! | RequestPool | makes a Neutron subnet pool, whose id Docker keeps as the pool's ([`ipam`]) |
//! | CreateNetwork | tags the network and its subnets; on an existing network makes subnets that it lacks ([`networks`]) |
//! | CreateEndpoint | tags the port; an existing port with that address or MAC address is used ([`ports`]) |
//! | any | networks, pools and endpoints that the ledger does not know are looked up by tags |
//!
//! What is better stays so: one POST for a port, no polling, the reconciler, MTU on both ends.

mod ipam;
mod networks;
mod ports;
#[cfg(test)]
mod tests;
