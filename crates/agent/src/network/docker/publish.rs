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

use crate::network::Error;
use crate::network::docker_bridge::BRIDGE;
use crate::network::ledger::Network;
use crate::network::port_manager::PortManager;
use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

impl PortManager {
    /// Whether an endpoint can be published on this host.
    pub(crate) async fn check_publishing(&self, network: &Network) -> Result<(), Error> {
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
    pub(crate) async fn publish_by_docker(&self, answer: &mut Value) -> Result<(), Error> {
        self.wiring.publisher().await?;
        answer["DisableGatewayService"] = false.into();
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
