//! What fits through a yard's networks, from their underlay to the containers.

use crate::inventory::Inventory;
use stackyard_api::{Graph, HostView, MtuPath, PortKind, PortOwner, PortView};
use stackyard_core::mtu::neutron::layer_of;
use stackyard_core::mtu::{Basis, Chain, Layer, Place, Stretch};
use stackyard_openstack::Network;
use std::collections::BTreeMap;

/// Name of the underlay of networks of this type; those of one name share it.
fn underlay_of(network: &Network) -> &str {
    network
        .physical_network
        .as_deref()
        .filter(|n| !n.is_empty())
        .unwrap_or("tunnels")
}

/// The ways of a yard's hosts, servers and containers; those that are alike are one. `underlay` is what the
/// cloud's own network carries, in bytes, if somebody knows better than the cloud tells.
pub fn mtu_paths(
    graph: &Graph,
    inventory: Option<&Inventory>,
    ports: &[PortView],
    hosts: &[HostView],
    underlay: Option<u32>,
) -> Vec<MtuPath> {
    // What each underlay carries at least, as Neutron has been told: it gives no network more.
    let mut least: BTreeMap<&str, u32> = BTreeMap::new();
    for network in inventory.into_iter().flat_map(|i| &i.networks) {
        if let (Some(layer), Some(mtu)) = (layer(network), network.mtu.filter(|m| *m > 0)) {
            let at = least.entry(underlay_of(network)).or_default();
            *at = layer.needed(mtu).max(*at);
        }
    }
    let beneath = |id: &str| -> Vec<Stretch> {
        let network = inventory
            .into_iter()
            .flat_map(|i| &i.networks)
            .find(|n| n.id == id);
        let Some(network) = network else {
            return Vec::new();
        };
        let layer = layer(network);
        let (name, set) = match &layer {
            Some(_) => (
                underlay_of(network).to_owned(),
                least.get(underlay_of(network)).copied(),
            ),
            None => (String::new(), None),
        };
        let (set, basis) = match underlay {
            Some(given) => (Some(given), Basis::Given),
            None => (
                set,
                if set.is_some() {
                    Basis::AtLeast
                } else {
                    Basis::Unknown
                },
            ),
        };
        let network = Stretch {
            place: Place::Network,
            name: network.name.clone(),
            set: network.mtu.filter(|m| *m > 0),
            basis: Basis::Neutron,
            layer,
        };
        // Where nothing is known of it, the path begins in the network.
        let under = Stretch {
            place: Place::Underlay,
            name,
            set,
            basis,
            layer: None,
        };
        if under.set.is_some() {
            vec![under, network]
        } else {
            vec![network]
        }
    };
    let mut paths: Vec<MtuPath> = Vec::new();
    let mut add = |network: Option<&str>, kind, owner: PortOwner, stretches: Vec<Stretch>| {
        let chain = Chain::of(stretches);
        let network = network.map(str::to_owned);
        match paths
            .iter_mut()
            .find(|p| (&p.network, p.kind, &p.chain) == (&network, kind, &chain))
        {
            Some(path) if path.of.contains(&owner) => {}
            Some(path) => path.of.push(owner),
            None => paths.push(MtuPath {
                network,
                kind,
                of: vec![owner],
                chain,
            }),
        }
    };
    for host in hosts {
        let node = graph
            .nodes
            .iter()
            .find(|n| n.host.as_ref() == Some(&host.id));
        let owner = node.map_or_else(
            || PortOwner {
                name: host.name.clone(),
                node: None,
                host: Some(host.id.clone()),
            },
            PortOwner::from,
        );
        let of_host = |p: &&PortView| {
            p.owner
                .as_ref()
                .is_some_and(|o| o.host.as_ref() == Some(&host.id))
        };
        let mine: Vec<&PortView> = ports
            .iter()
            .filter(|p| p.kind == PortKind::Host)
            .filter(of_host)
            .collect();
        let first = host.address.map(|a| a.to_string());
        let port = mine
            .iter()
            .find(|p| first.as_ref().is_some_and(|a| p.addresses.contains(a)))
            .or(mine.first());
        let mut stretches = port.map(|p| beneath(&p.network_id)).unwrap_or_default();
        let link = Some(host.facts.mtu).filter(|m| *m > 0);
        let containers = host.report.as_ref().and_then(|r| r.mtu);
        for (place, set) in [(Place::Link, link), (Place::Containers, containers)] {
            let basis = if set.is_some() {
                Basis::Agent
            } else {
                Basis::Unknown
            };
            stretches.push(Stretch {
                place,
                name: String::new(),
                set,
                basis,
                layer: Some(Layer::Flat),
            });
        }
        add(
            port.map(|p| p.network.as_str()),
            PortKind::Host,
            owner,
            stretches,
        );
    }
    for port in ports {
        let joined = port.owner.as_ref().is_some_and(|o| o.host.is_some());
        let goes = match port.kind {
            PortKind::Server | PortKind::Container => true,
            // One that has not joined says nothing of itself.
            PortKind::Host => !joined,
            _ => false,
        };
        let owner = port.owner.clone().filter(|_| goes);
        let Some(owner) = owner.or_else(|| {
            goes.then(|| PortOwner {
                name: port.name.clone(),
                node: None,
                host: None,
            })
        }) else {
            continue;
        };
        let stretches = beneath(&port.network_id);
        let kind = if port.kind == PortKind::Host {
            PortKind::Server
        } else {
            port.kind
        };
        if !stretches.is_empty() {
            add(Some(&port.network), kind, owner, stretches);
        }
    }
    // What breaks comes first.
    paths.sort_by_key(|p| !p.chain.breaks);
    paths
}

/// What a network's packets are put into, where the cloud says so.
pub fn layer(network: &Network) -> Option<Layer> {
    network.network_type.as_deref().and_then(layer_of)
}
