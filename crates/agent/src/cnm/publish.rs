//! Ports of this host that lead to containers: `-p` without a floating IP.
//!
//! A host whose switch is Neutron's has no way into its networks. So a container that publishes ports gets a second
//! link, to Docker's own bridge `docker_gwbridge`, as containers on Docker's overlay networks do: a plugin that answers
//! Join without a gateway has Docker add it (moby `libnetwork/default_gateway.go`). Then Docker publishes itself: with
//! its checks, its DNAT rules, and all of it in `docker inspect`; it works on without this plugin. ADR 8 says why.
//!
//! Two things are left to do here:
//!
//! - The way out stays Neutron's. Docker makes the bridge the default route; what is more specific wins, so the
//!   container gets routes to all else over its network's gateways ([`all_but`], [`ALL_V6`]). Docker refuses routes that
//!   have the bridge's own addresses in them.
//! - Answers come back. Packets keep their sender through DNAT, whom the container would answer over Neutron, from an
//!   address that is none there. A rule of this host's makes the bridge's address the sender of what it has translated.

use super::ledger::Network;
use super::{Error, Plugin};
use crate::prepare::{self, tool};
use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::InspectNetworkOptions;
use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value, json};
use stackyard_platform::docker::Docker;
use std::collections::HashMap;
use std::ffi::OsStr;

/// The bridge and its network (moby `libnetwork/default_gateway.go`, `libnGWNetwork`).
const BRIDGE: &str = "docker_gwbridge";
/// How Docker makes it.
const OPTIONS: [(&str, &str); 3] = [
    ("com.docker.network.bridge.name", BRIDGE),
    ("com.docker.network.bridge.enable_icc", "false"),
    ("com.docker.network.bridge.enable_ip_masquerade", "true"),
];

/// Route types of Docker's: over a next hop, on the link itself.
const NEXT_HOP: u32 = 0;
const ON_LINK: u32 = 1;

/// All of IPv6 in two parts, as routes that win over a default route. The bridge has no IPv6; Docker from 28 on takes a
/// gateway of either version for one, and adds no bridge then.
const ALL_V6: [&str; 2] = ["::/1", "8000::/1"];

impl Plugin {
    /// Whether an endpoint can be published on this host.
    pub(super) async fn check_publishing(&self, network: &Network) -> Result<(), Error> {
        let taken = self.wiring.publisher().await?;
        let routed = network.subnets.iter().flat_map(|s| s.routes.iter().map(|(to, _)| to).chain([&s.cidr]));
        for cidr in routed.filter(|to| to.prefix_len() > 0) {
            if let Some(bridge) = taken.iter().find(|b| overlap(b, cidr)) {
                return Err(Error::request(format!(
                    "ports cannot be published (-p) on this host: Docker's network {BRIDGE} has the addresses {bridge}, \
                     the container's network, or a route of its, {cidr}; make {BRIDGE} anew with others, or name a floating \
                     IP (driver option `floating-ip`)"
                )));
            }
        }
        Ok(())
    }

    /// Has Docker publish a container's ports: changes what Join answers.
    pub(super) async fn publish_by_docker(&self, answer: &mut Value) -> Result<(), Error> {
        let taken = self.wiring.publisher().await?;
        answer["DisableGatewayService"] = false.into();
        let mut take = |field| answer.as_object_mut().and_then(|a| a.remove(field));
        let (gateway, gateway_v6) = (take("Gateway"), take("GatewayIPv6"));
        let mut routes = answer["StaticRoutes"].as_array().cloned().unwrap_or_default();
        let v4 = all_but(&taken).into_iter().map(|to| match &gateway {
            Some(gateway) => json!({"Destination": to.to_string(), "RouteType": NEXT_HOP, "NextHop": gateway}),
            // A network without a way out gets none by this host either.
            None => json!({"Destination": to.to_string(), "RouteType": ON_LINK}),
        });
        let v6 = gateway_v6
            .iter()
            .flat_map(|gateway| ALL_V6.map(|to| json!({"Destination": to, "RouteType": NEXT_HOP, "NextHop": gateway})));
        for route in v4.chain(v6) {
            if routes.iter().all(|r| r["Destination"] != route["Destination"]) {
                routes.push(route);
            }
        }
        answer["StaticRoutes"] = routes.into();
        Ok(())
    }
}

/// All of IPv4 that is in none of these, in as few parts as there can be.
fn all_but(taken: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let mut parts = vec![Ipv4Net::default()];
    for hole in taken {
        let split = |part: Ipv4Net| {
            if hole.contains(&part) {
                return Vec::new();
            }
            let mut left = Vec::new();
            let mut rest = part;
            while rest.contains(hole) && rest != *hole {
                let Ok(halves) = rest.subnets(rest.prefix_len() + 1) else { break };
                for half in halves {
                    if half.contains(hole) { rest = half } else { left.push(half) }
                }
            }
            if rest != *hole { vec![part] } else { left }
        };
        parts = parts.into_iter().flat_map(split).collect();
    }
    parts
}

fn overlap(bridge: &Ipv4Net, other: &IpNet) -> bool {
    let bridge = IpNet::V4(*bridge);
    bridge.contains(other) || other.contains(&bridge)
}

/// Makes Docker's bridge if it is not there yet; its addresses.
pub(super) async fn bridge() -> Result<Vec<Ipv4Net>, Error> {
    let failed = |e: &dyn std::error::Error| Error::Docker {
        doing: "its network docker_gwbridge",
        said: crate::error::chain(e),
    };
    let docker = Docker::connect().await.map_err(|e| failed(&e))?;
    for _ in 0..2 {
        match docker.api().inspect_network(BRIDGE, None::<InspectNetworkOptions>).await {
            Ok(found) => {
                let config = found.ipam.and_then(|i| i.config).unwrap_or_default();
                return Ok(config.iter().filter_map(|c| c.subnet.as_deref()?.parse().ok()).collect());
            }
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(e) => return Err(failed(&e)),
        }
        let options: HashMap<String, String> =
            OPTIONS.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let new = NetworkCreateRequest {
            name: BRIDGE.to_owned(),
            driver: Some("bridge".to_owned()),
            options: Some(options),
            ..NetworkCreateRequest::default()
        };
        match docker.api().create_network(new).await {
            // Somebody, as Docker itself, was quicker.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409 | 403, .. }) | Ok(_) => {}
            Err(e) => return Err(failed(&e)),
        }
    }
    Err(Error::request(format!("Docker's network {BRIDGE} is not there, although it was made just now")))
}

/// Makes or removes the rule by which answers come back. Blocks for a few milliseconds.
pub(super) fn set_rule(owner: &str, wanted: bool) -> Result<(), Error> {
    let run = |command: &str| {
        let words = ["-w", "-t", "nat", command, "POSTROUTING", "-o", BRIDGE, "-m", "conntrack", "--ctstate", "DNAT"];
        let words = words.into_iter().chain(["-m", "comment", "--comment", owner, "-j", "MASQUERADE"]);
        let words: Vec<&OsStr> = words.map(OsStr::new).collect();
        tool::run("publish ports on this host", "iptables", "iptables", &words)
    };
    let is_there = match run("-C") {
        // Where nobody can make a rule there is none.
        Err(prepare::Error::NoProgram { .. }) if !wanted => false,
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
    Err(tool::failed("publish ports on this host", "iptables", &done).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn all_but_the_bridge_is_routed() {
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        let parts = all_but(&[net("172.18.0.0/16")]);
        assert_eq!(parts.len(), 16);
        let holds = |address: &str| parts.iter().filter(|p| p.contains(&address.parse::<Ipv4Addr>().unwrap())).count();
        for (address, times) in
            [("172.18.0.2", 0), ("172.17.255.255", 1), ("172.19.0.0", 1), ("1.1.1.1", 1), ("255.255.255.255", 1)]
        {
            assert_eq!(holds(address), times, "{address}");
        }
        assert_eq!(all_but(&[]), [Ipv4Net::default()]);
        let two = all_but(&[net("10.0.0.0/8"), net("10.1.0.0/16"), net("192.168.1.0/24")]);
        assert!(
            two.iter()
                .all(|p| !p.contains(&net("10.1.0.0/16")) && !p.contains(&"192.168.1.9".parse::<Ipv4Addr>().unwrap()))
        );
        assert!(two.iter().any(|p| p.contains(&"192.168.2.9".parse::<Ipv4Addr>().unwrap())));
    }

    #[test]
    fn overlaps_go_both_ways() {
        let bridge = "172.18.0.0/16".parse().unwrap();
        assert!(overlap(&bridge, &"172.18.5.0/24".parse().unwrap()));
        assert!(overlap(&bridge, &"172.16.0.0/12".parse().unwrap()));
        assert!(!overlap(&bridge, &"172.19.0.0/16".parse().unwrap()));
    }
}
