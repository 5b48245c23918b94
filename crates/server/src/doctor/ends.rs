//! Who is measured, and with whom.

use stackyard_api::{HostView, MtuEnd, MtuSet, PortKind, PortView};
use stackyard_core::agent::MtuSurvey;
use stackyard_core::mtu::Place;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Two ends by their places in the list of ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndPair {
    /// One with an agent.
    pub from: usize,
    /// One with an address.
    pub to: usize,
}

/// The address that others send to: IPv4's first, since machines always have that here.
fn first(addresses: impl Iterator<Item = IpAddr> + Clone) -> Option<IpAddr> {
    addresses.clone().find(IpAddr::is_ipv4).or_else(|| addresses.into_iter().next())
}

/// The ends of a yard: a host and a server for each network that it is in, and one container of each network of
/// Docker's on each host. `surveys` are what hosts' agents say, by the hosts' ids.
pub fn ends(ports: &[PortView], hosts: &[HostView], surveys: &BTreeMap<String, MtuSurvey>) -> Vec<MtuEnd> {
    let mut ends = Vec::new();
    let network_of = |p: &PortView| {
        let set = p.mtu.filter(|m| *m > 0);
        set.map(|mtu| MtuSet { place: Place::Network, name: p.network.clone(), id: Some(p.network_id.clone()), mtu })
    };
    let address_of =
        |p: &PortView| first(p.addresses.iter().filter_map(|a| a.parse().ok()).collect::<Vec<_>>().into_iter());
    let mut containers = Vec::new();
    for host in hosts {
        let mine = |p: &&PortView| p.owner.as_ref().is_some_and(|o| o.host.as_ref() == Some(&host.id));
        let mine: Vec<&PortView> = ports.iter().filter(|p| p.kind == PortKind::Host).filter(mine).collect();
        let survey = surveys.get(&host.id);
        let links = survey.map(|s| s.links.as_slice()).unwrap_or_default();
        let begin = ends.len();
        let mut add = |address: Option<IpAddr>, network: Option<&str>, beneath: Option<MtuSet>| {
            let link = links.iter().find(|l| address.is_some_and(|a| l.addresses.contains(&a)));
            let link = link.map(|l| MtuSet { place: Place::Link, name: l.name.clone(), id: None, mtu: l.mtu });
            ends.push(MtuEnd {
                kind: PortKind::Host,
                name: host.name.clone(),
                host: survey.map(|_| host.id.clone()),
                container: None,
                network: network.map(str::to_owned),
                address,
                set: beneath.into_iter().chain(link).collect(),
            });
        };
        for port in &mine {
            add(address_of(port), Some(&port.network), network_of(port));
        }
        if mine.is_empty() {
            // The link of the default route first, as the agent names it.
            let default = links.iter().find(|l| l.default).and_then(|l| first(l.addresses.iter().copied()));
            add(default.or_else(|| first(host.facts.addresses.iter().copied())), None, None);
        }
        let Some(survey) = survey else { continue };
        // The way of containers to others is the host's.
        let outer = ends[begin..].iter().find(|e| e.at(Place::Link).is_some_and(|s| is_default(survey, &s.name)));
        let outer = outer.or_else(|| ends.get(begin)).cloned();
        containers.extend(outer.into_iter().flat_map(|outer| of_containers(&outer, survey)));
    }
    for port in ports.iter().filter(|p| matches!(p.kind, PortKind::Server | PortKind::Host)) {
        let Some(owner) = port.owner.as_ref().filter(|o| o.host.is_none()) else { continue };
        ends.push(MtuEnd {
            kind: port.kind,
            name: owner.name.clone(),
            host: None,
            container: None,
            network: Some(port.network.clone()),
            address: address_of(port),
            set: network_of(port).into_iter().collect(),
        });
    }
    ends.extend(containers);
    ends
}

fn is_default(survey: &MtuSurvey, link: &str) -> bool {
    survey.links.iter().any(|l| l.default && l.name == link)
}

/// One container of each network of a host.
fn of_containers(outer: &MtuEnd, survey: &MtuSurvey) -> Vec<MtuEnd> {
    let of = |network: &stackyard_core::agent::MtuNetwork| {
        let there = survey.containers.iter().find_map(|c| {
            let link = c.links.iter().find(|l| l.network.as_ref() == Some(&network.id))?;
            Some((c, link))
        });
        let (container, link) = there?;
        // Behind a bridge, addresses are the host's own affair; all other drivers give such as others know.
        let address = first(link.addresses.iter().copied()).filter(|_| network.bridge.is_none());
        let set = MtuSet {
            place: Place::Containers,
            name: network.name.clone(),
            id: Some(network.id.clone()),
            mtu: link.mtu,
        };
        Some(MtuEnd {
            kind: PortKind::Container,
            name: format!("{} on {}", container.name, outer.name),
            host: outer.host.clone(),
            container: Some(container.id.clone()),
            network: outer.network.clone(),
            address,
            set: outer.set.iter().cloned().chain([set]).collect(),
        })
    };
    survey.networks.iter().filter_map(of).collect()
}

/// Whom to measure with whom, and how many are left out: neighbours in each network first, then each container with
/// one outside of its host, one pair for two networks, then all others; `most` at most.
pub fn pairs(ends: &[MtuEnd], most: usize) -> (Vec<EndPair>, usize) {
    let mut networks: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (at, end) in ends.iter().enumerate().filter(|(_, e)| e.address.is_some()) {
        networks.entry(end.network.as_deref()).or_default().push(at);
    }
    let machine = |at: usize| (&ends[at].name, ends[at].kind);
    let pair = |a: usize, b: usize| {
        let (from, to) = if ends[a].host.is_some() { (a, b) } else { (b, a) };
        (ends[from].host.is_some() && machine(from) != machine(to)).then_some(EndPair { from, to })
    };
    // Around a ring: near neighbours first, and each pair once.
    let ring = |of: &[usize], distance: usize| -> Vec<EndPair> {
        let around = |at: usize| pair(of[at], of[(at + distance) % of.len()]);
        let once = if distance * 2 == of.len() { distance } else { of.len() };
        (0..once).filter_map(around).collect()
    };
    let farthest = |of: &Vec<usize>| of.len() / 2;
    let mut all: Vec<EndPair> = networks.values().filter(|of| farthest(of) > 0).flat_map(|of| ring(of, 1)).collect();
    for (at, container) in ends.iter().enumerate().filter(|(_, e)| e.container.is_some() && e.address.is_none()) {
        let others = networks.get(&container.network.as_deref()).map(Vec::as_slice).unwrap_or_default();
        let own = |other: &usize| ends[*other].host == container.host;
        let host = |other: &usize| ends[*other].kind == PortKind::Host;
        // Those after its own host first, so that not all ask one.
        let begin = others.iter().position(own).unwrap_or(0);
        let around = || others.iter().cycle().skip(begin).take(others.len()).copied();
        let to = around()
            .find(|o| !own(o) && host(o))
            .or_else(|| around().find(|o| !own(o)))
            .or_else(|| around().find(host));
        all.extend(to.and_then(|to| pair(at, to)));
    }
    let firsts: Vec<usize> = networks.values().filter_map(|of| of.first().copied()).collect();
    for (i, a) in firsts.iter().enumerate() {
        all.extend(firsts[i + 1..].iter().filter_map(|b| pair(*a, *b)));
    }
    let far = networks.values().map(farthest).max().unwrap_or(0);
    for distance in 2..=far {
        let wide = networks.values().filter(|of| farthest(of) >= distance);
        all.extend(wide.flat_map(|of| ring(of, distance)));
    }
    let left_out = all.len().saturating_sub(most);
    all.truncate(most);
    (all, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(kind: PortKind, name: &str, agent: bool, network: &str, last: Option<u8>) -> MtuEnd {
        MtuEnd {
            kind,
            name: name.to_owned(),
            host: agent.then(|| name.rsplit(' ').next().unwrap_or_default().to_owned()),
            container: (kind == PortKind::Container).then(|| "c".to_owned()),
            network: Some(network.to_owned()),
            address: last.map(|l| IpAddr::from([10, 0, 0, l])),
            set: Vec::new(),
        }
    }

    fn named(ends: &[MtuEnd], most: usize) -> (Vec<String>, usize) {
        let (pairs, left_out) = pairs(ends, most);
        (pairs.iter().map(|p| format!("{}>{}", ends[p.from].name, ends[p.to].name)).collect(), left_out)
    }

    #[test]
    fn each_pair_once_near_ones_first() {
        let hosts: Vec<MtuEnd> =
            (1..=5).map(|n| end(PortKind::Host, &format!("h{n}"), true, "front", Some(n))).collect();
        let (all, left_out) = named(&hosts, 100);
        assert_eq!(all, ["h1>h2", "h2>h3", "h3>h4", "h4>h5", "h5>h1", "h1>h3", "h2>h4", "h3>h5", "h4>h1", "h5>h2"]);
        assert_eq!(left_out, 0);
        assert_eq!(named(&hosts, 5), (all[..5].to_vec(), 5));
        assert_eq!(named(&hosts[..2], 100).0, ["h1>h2"]);
        assert_eq!(named(&hosts[..4], 100).0, ["h1>h2", "h2>h3", "h3>h4", "h4>h1", "h1>h3", "h2>h4"]);
        assert_eq!(named(&hosts[..1], 100), (vec![], 0));
    }

    #[test]
    fn one_of_two_has_an_agent_and_the_other_an_address() {
        let ends = [
            end(PortKind::Host, "h1", true, "front", Some(1)),
            end(PortKind::Host, "h2", true, "front", Some(2)),
            end(PortKind::Server, "db", false, "front", Some(3)),
            end(PortKind::Server, "mq", false, "back", Some(4)),
            end(PortKind::Container, "web on h2", true, "front", None),
            end(PortKind::Container, "own on h1", true, "front", Some(5)),
        ];
        let (all, _) = named(&ends, 100);
        assert!(all.contains(&"web on h2>h1".to_owned()), "{all:?}");
        assert!(all.contains(&"own on h1>h1".to_owned()) || all.contains(&"h1>own on h1".to_owned()), "{all:?}");
        assert!(all.iter().any(|p| p.ends_with(">mq")), "over a router: {all:?}");
        assert!(all.iter().all(|p| !p.starts_with("db") && !p.starts_with("mq")), "{all:?}");
        let alone = [ends[1].clone(), ends[4].clone()];
        assert_eq!(named(&alone, 100).0, ["web on h2>h2"], "there is nobody else");
    }
}
