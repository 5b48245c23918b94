//! Docker's own bridge, by which it publishes ports, and the rule by which answers come back over it
//! ([`crate::network::docker::publish`] says why).

use crate::network::Error;
use crate::program;
use ipnet::Ipv4Net;
use stackyard_wire::kernel::Kernel;
use std::ffi::OsStr;
use std::net::IpAddr;

/// The bridge, and Docker's network of that name (moby `libnetwork/default_gateway.go`, `libnGWNetwork`).
pub(crate) const BRIDGE: &str = "docker_gwbridge";

/// The bridge's IPv4 networks as the kernel has them; none before Docker makes the bridge for the first container that
/// needs it.
///
/// Docker itself is not asked: at boot it answers no requests while it waits for this plugin.
pub(crate) fn bridge_networks() -> Result<Vec<Ipv4Net>, stackyard_wire::Error> {
    let mut kernel = Kernel::open()?;
    let Some(bridge) = kernel.link(BRIDGE)? else { return Ok(Vec::new()) };
    let network = |(address, length)| match address {
        IpAddr::V4(address) => Ipv4Net::new(address, length).ok().map(|net| net.trunc()),
        IpAddr::V6(_) => None,
    };
    Ok(kernel.addresses(&bridge)?.into_iter().filter_map(network).collect())
}

/// Makes or removes the rule by which answers come back. Blocks for a few milliseconds.
pub(crate) fn set_rule(owner: &str, wanted: bool) -> Result<(), Error> {
    let run = |command: &str| {
        let words = ["-w", "-t", "nat", command, "POSTROUTING", "-o", BRIDGE, "-m", "conntrack", "--ctstate", "DNAT"];
        let words = words.into_iter().chain(["-m", "comment", "--comment", owner, "-j", "MASQUERADE"]);
        let words: Vec<&OsStr> = words.map(OsStr::new).collect();
        program::run("publish ports on this host", "iptables", "iptables", &words)
    };
    let is_there = match run("-C") {
        // Where nobody can make a rule there is none.
        Err(program::Error::Missing { .. }) if !wanted => false,
        looked => looked?.status.success(),
    };
    if is_there == wanted {
        return Ok(());
    }
    // Before Docker's own, which only know what leaves its networks.
    let done = run(if wanted { "-I" } else { "-D" })?;
    if done.status.success() {
        return Ok(());
    }
    Err(program::failed("publish ports on this host", "iptables", &done).into())
}
