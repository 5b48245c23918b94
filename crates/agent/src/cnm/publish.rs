//! Ports of this host that lead to containers: `-p` without a floating IP.
//!
//! A host whose switch is Neutron's has no way into its networks. So a container that publishes ports gets a second
//! link, to Docker's own bridge `docker_gwbridge`, as containers on Docker's overlay networks do: a plugin that answers
//! Join without a gateway has Docker add it (moby `libnetwork/default_gateway.go`). Then Docker publishes itself: with
//! its checks, its DNAT rules, and all of it in `docker inspect`; it works on without this plugin. ADR 8 says why.
//!
//! Three things are left to do here:
//!
//! - The way out stays Neutron's. Docker makes the bridge the default route; rules of this plugin's lead to Neutron's
//!   gateway instead ([`super::way_out`]).
//! - No endpoint of such a container may have a gateway in Docker's eyes. Docker would take it for the container's way
//!   out, and publish by it and no longer by the bridge. So all of a container's endpoints here have none, also those
//!   of networks that do not publish, and those of a container whose ports another network of Docker's publishes.
//! - Answers come back. Packets keep their sender through DNAT, whom the container would answer over Neutron, from an
//!   address that is none there. A rule of this host's makes the bridge's address the sender of what it has translated.

use super::ledger::Network;
use super::{Error, Plugin, Source};
use crate::program;
use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;
use stackyard_wire::kernel::Kernel;
use std::ffi::OsStr;
use std::net::IpAddr;

/// The bridge, and Docker's network of that name (moby `libnetwork/default_gateway.go`, `libnGWNetwork`).
const BRIDGE: &str = "docker_gwbridge";
impl Plugin {
    /// Whether an endpoint can be published on this host.
    pub(super) async fn check_publishing(&self, network: &Network) -> Result<(), Error> {
        let taken = self.wiring.publisher().await?;
        let routed = network.subnets.iter().flat_map(|s| s.routes.iter().map(|(to, _)| to).chain([&s.cidr]));
        for cidr in routed.filter(|to| to.prefix_len() > 0) {
            if let Some(bridge) = taken.iter().find(|b| overlap(b, cidr)) {
                return Err(Error::request(format!(
                    "ports cannot be published (-p) on this host: Docker's network {BRIDGE} has the addresses {bridge}, \
                     the container's network, or a route of its, {cidr}; recreate {BRIDGE} with others, or name a floating \
                     IP (driver option `floating-ip`)"
                )));
            }
        }
        Ok(())
    }

    /// Has Docker publish a container's ports: changes what Join answers.
    pub(super) async fn publish_by_docker(&self, answer: &mut Value) -> Result<(), Error> {
        // On a host of a yard nothing is published by the bridge, but maybe by another network of Docker's.
        if let Source::Cloud(_) = self.source {
            self.wiring.publisher().await?;
            answer["DisableGatewayService"] = false.into();
        }
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("Gateway");
            answer.remove("GatewayIPv6");
        }
        // A default route counts as a gateway, too.
        let is_default = |route: &Value| route["Destination"].as_str().is_some_and(|to| to.ends_with("/0"));
        if let Some(routes) = answer["StaticRoutes"].as_array_mut() {
            routes.retain(|route| !is_default(route));
        }
        Ok(())
    }
}

fn overlap(bridge: &Ipv4Net, other: &IpNet) -> bool {
    let bridge = IpNet::V4(*bridge);
    bridge.contains(other) || other.contains(&bridge)
}

/// The bridge's IPv4 networks as the kernel has them; none before Docker makes the bridge for the first container that
/// needs it.
///
/// Docker itself is not asked: at boot it answers no requests while it waits for this plugin.
pub(super) fn bridge_networks() -> Result<Vec<Ipv4Net>, stackyard_wire::Error> {
    let mut kernel = Kernel::open()?;
    let Some(bridge) = kernel.link(BRIDGE)? else { return Ok(Vec::new()) };
    let network = |(address, length)| match address {
        IpAddr::V4(address) => Ipv4Net::new(address, length).ok().map(|net| net.trunc()),
        IpAddr::V6(_) => None,
    };
    Ok(kernel.addresses(&bridge)?.into_iter().filter_map(network).collect())
}

/// Makes or removes the rule by which answers come back. Blocks for a few milliseconds.
pub(super) fn set_rule(owner: &str, wanted: bool) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_go_both_ways() {
        let bridge = "172.18.0.0/16".parse().unwrap();
        assert!(overlap(&bridge, &"172.18.5.0/24".parse().unwrap()));
        assert!(overlap(&bridge, &"172.16.0.0/12".parse().unwrap()));
        assert!(!overlap(&bridge, &"172.19.0.0/16".parse().unwrap()));
    }
}
