//! Containers on Neutron networks for runtimes that speak CNI (containerd, CRI-O, podman, Kubernetes):
//! the plugin `stackyard-cni`, and its side in the agent.
//!
//! The plugin is this same binary under another name. It lives for milliseconds, in one thread; it knows
//! the container's namespace, and the agent knows cloud and switch:
//!
//! ```text
//!  runtime ── CNI_COMMAND=ADD ──> `shim`                             agent: `serve`, `verbs`
//!                                   │ ── Request, namespace ──────────> a port (POST), meanwhile its link
//!                                   │ <───────────────── Attached ────  on the switch, one end in the namespace
//!             in the namespace: MAC address, up, addresses, routes      meanwhile: wired?
//!                                   │ ── configured ──────────────────> the attach is whole
//!             result on stdout      │ <───────────────────── Done ────
//! ```
//!
//! What it guarantees:
//!
//! - One request of Neutron's for an ADD and one for a DEL; whether a port is wired is learnt from Open
//!   vSwitch on this host, while the namespace is being set up.
//! - An ADD whose plugin goes away before it has said that all is configured is taken back at once. If the
//!   agent goes away, too, the reconciler finds it: what came by CNI is in use as long as its ADD has ended well and the
//!   host's end of its link is there. Docker is not asked.
//! - DEL needs neither the namespace nor a previous result, and may be repeated.
//!
//! CNI's specification 1.1.0 is at <https://www.cni.dev/docs/spec/>, what `args` and `runtimeConfig` mean at
//! <https://www.cni.dev/docs/conventions/>.

pub(crate) mod bandwidth;
mod config;
mod failure;
mod protocol;
mod result;
mod serve;
pub mod shim;
mod spec;
#[cfg(test)]
mod tests;
mod verbs;

pub(crate) use serve::{listen, serve};
pub(crate) use verbs::refresh_networks;

use std::path::PathBuf;

/// Where plugins look for the agent unless told otherwise.
const SOCKET: &str = "/run/stackyard/cni.sock";
/// The plugin's name: the key `type` of a network configuration.
pub const PLUGIN: &str = "stackyard-cni";

/// Where an agent of that name listens unless told otherwise: two may run beside each other.
pub fn socket(name: &str) -> PathBuf {
    let usual = PathBuf::from(SOCKET);
    if name == "stackyard" { usual } else { usual.with_file_name(format!("cni-{name}.sock")) }
}
