//! Containers on Neutron networks: Docker's network and IPAM drivers ("CNM"), stand-alone and on hosts of a yard.
//!
//! Docker calls a plugin for each step of a container's network. Here a Docker network is a Neutron
//! network, and an endpoint of a container is a Neutron port, plugged on this host by [`stackyard_wire`]:
//!
//! ```text
//!  docker run ──> dockerd ──(Unix socket, `docker::plugin`)──┐
//!                                                    v
//!   RequestAddress   `ipam`        an address; without `--ip` the port is made here (POST), and begun to be plugged
//!   CreateEndpoint   `endpoints`   the port, if it is not made yet (POST); plugged
//!   Join             `endpoints`   wait until the local controller has wired it; gateway, routes; addresses are
//!                                  announced soon after (`announce`)
//!   DeleteEndpoint   `endpoints`   unplugged; the port goes (DELETE)
//!
//!   `prefetch`       ports for containers that are about to start, when several start together
//!   `warm_pool`      ports that are ready before they are asked for: then none of the above asks Neutron
//!   `load_balancer`  members of load balancers' pools, made and removed beside the above
//!   `reconcile`      at the start and from then on: ports <-> containers <-> switch
//! ```
//!
//! When the port is made. Docker tells the options of an endpoint (security groups ...) with
//! CreateEndpoint, but wants an address before, with RequestAddress. With Docker's IPAM driver `null`,
//! or with `--ip`, all is known when CreateEndpoint comes, and one POST has everything in its body.
//! Where our IPAM driver is to choose, the port is made at once, with what its network says, and
//! CreateEndpoint finds it by its addresses and changes it only if the endpoint has options of its own.
//!
//! What it guarantees:
//!
//! - One POST for an attach and one DELETE for a detach; what an endpoint wants beside its port (`floating_ip`,
//!   `firewall`, `expose`) costs requests of its own, and none if it wants none. Whether a port
//!   is ready is learnt from Open vSwitch on this host: Neutron is never polled.
//! - What is made carries this plugin's place and the Docker network (ports also `device_owner` and `device_id`) in
//!   the request that makes it. Killed at any point, the next pass of `reconcile` finds what belongs to
//!   nobody, and containers that have lost their port. What it has not seen for a while to be anybody's,
//!   it removes; while Docker does not answer, it removes nothing.
//! - Asked again for what it has done, it gives the same answer.
//!
//! Stand-alone means that this process has credentials of the cloud. Hosts of a yard have none: there the server
//! asks Neutron, and containers are macvlans on the host's own NIC (`server_broker`).
//!
//! Who stands on whom; no module uses one that uses it:
//!
//! ```text
//!   standalone, yard_host         start it all
//!   reconcile
//!   docker, cni                   what the two kinds of callers ask for
//!   warm_pool, prefetch, server_broker, load_balancer, endpoint, ports, names, floating_ip, firewall, expose, announce
//!   port_manager                  what all of these share and remember, of one kind of callers
//!   ledger, wiring, observed, subnets, options, bandwidth, kuryr_names, docker_bridge, error
//! ```

mod announce;
mod bandwidth;
pub mod cni;
mod docker;
mod docker_bridge;
mod endpoint;
mod error;
mod expose;
mod firewall;
mod floating_ip;
mod kuryr_names;
mod ledger;
mod load_balancer;
mod names;
mod observed;
mod options;
mod port_manager;
mod ports;
mod prefetch;
mod reconcile;
mod server_broker;
pub mod standalone;
mod subnets;
#[cfg(test)]
mod tests;
mod warm_pool;
mod wiring;
pub(crate) mod yard_host;

pub use error::Error;
pub use options::PoolSize;

/// The plugin's name, unless it is given another.
pub const PLUGIN: &str = "stackyard";

/// Where Docker looks for plugins.
pub const PLUGINS: &str = "/run/docker/plugins";
