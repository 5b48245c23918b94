//! Ports of containers on Neutron: the port itself, and what comes with it (floating IP, security group of its own,
//! membership in a load balancer's pool).
//!
//! Two callers make ports for containers, and share what is here:
//!
//! | caller | its containers | where |
//! |---|---|---|
//! | the stand-alone agent, with credentials of the cloud | ports bound to its host's switch | `stackyard_agent::network` |
//! | the server, for hosts of yards, which have no credentials | subports of the host's NIC, or addresses on it | [`host`] |
//!
//! The modules next to [`host`] hold the rules that are the same for both. What only a host of a yard must not do,
//! because somebody may have stolen it, is in `host::policy`.

mod broker;
mod container_port;
mod error;
pub mod exposed;
mod extras;
pub mod floating_ip;
pub mod host;
mod keyed_mutex;
pub mod load_balancer;
pub mod place_mark;
mod project;

pub use broker::{DeletePort, PoolBroker, PortBroker, answer};
pub use container_port::{
    DEVICE_OWNER, SEPARATOR, SUBPORT, is_container, is_containers, mac_of, mac_on, whose,
};
pub use error::{Error, Result};
pub use host::{HostBroker, HostPorts, YardHost, server_of};
pub use keyed_mutex::KeyedMutex;
pub use load_balancer::ProjectPools;
pub use project::scope_of;
