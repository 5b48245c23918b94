//! What follows from a measurement.
//!
//! In a network of the cloud all machines must have one MTU: what Neutron says, or what gets through if that is less.
//! Where machines are in no such network, two that lose packets to each other get what gets through between them. What
//! is told to the sender is no mistake there: path MTU discovery lives on it. Containers get no more than their host's
//! interface has.

use stackyard_api::{MtuAdvice, MtuEnd, MtuPair, MtuStep, MtuWay, PortKind};
use stackyard_core::agent::{MtuNetwork, MtuSurvey};
use stackyard_core::mtu::search::Passage;
use stackyard_core::mtu::{Layer, MIN_IPV6, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Option of Docker's networks.
const OPTION: &str = "com.docker.network.driver.mtu";

/// What Docker takes without being told.
const DOCKERS: u32 = 1500;

/// What is known.
#[derive(Debug, Clone, Copy)]
pub struct Measurements<'a> {
    /// The ends.
    pub ends: &'a [MtuEnd],
    /// What was measured.
    pub pairs: &'a [MtuPair],
    /// How hosts are set, by their ids.
    pub surveys: &'a BTreeMap<String, MtuSurvey>,
    /// What hosts' agents give networks of stacks, in bytes.
    pub agents: &'a BTreeMap<String, u32>,
    /// What networks of the cloud are, by their names, where the cloud says so.
    pub layers: &'a BTreeMap<String, Layer>,
}

fn link(end: &MtuEnd) -> Option<u32> {
    end.at(Place::Link).map(|s| s.mtu)
}

/// What is lost on a way without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Something between the machines carries so much.
    Between(u32),
    /// The machine that is sent to has a smaller interface than the one that sends.
    Smaller,
}

/// What is lost on a way between two machines; nothing if all arrives or the sender is told.
fn loss(from: &MtuEnd, to: &MtuEnd, way: &MtuWay) -> Option<Loss> {
    if way.passage != Passage::BlackHole {
        return None;
    }
    let found = way.found.as_ref()?;
    let largest = found.largest?;
    let near = link(from).or(found.lets_in)?;
    let far = link(to).or_else(|| to.at(Place::Network).map(|s| s.mtu)).unwrap_or(near);
    if largest < near.min(far) {
        return Some(Loss::Between(largest));
    }
    (far < near).then_some(Loss::Smaller)
}

/// What a machine's interface is to be, by the host's id and the interface's name.
type Links = BTreeMap<(String, String), u32>;

/// All that is not as it should be, and what to do.
pub fn advise(known: &Measurements<'_>) -> Vec<MtuAdvice> {
    let mut advice = Vec::new();
    let mut links = Links::new();
    let networks: BTreeSet<Option<&str>> = known.ends.iter().map(|e| e.network.as_deref()).collect();
    for network in networks {
        match network {
            Some(name) => of_network(known, name, &mut advice, &mut links),
            None => of_machines(known, &mut advice, &mut links),
        }
    }
    for container in known.ends.iter().filter(|e| e.kind == PortKind::Container) {
        advice.extend(of_containers(known, container, &links));
    }
    let steps: Vec<MtuStep> = advice.iter().filter_map(|a| a.step.clone()).collect();
    let ways = known.pairs.iter().flat_map(MtuPair::ways);
    advice.extend(ways.filter_map(|(from, to, way)| elsewhere(from, to, way, &steps)));
    advice
}

/// Losses between machines of one network.
fn losses<'a>(
    known: &Measurements<'a>,
    network: Option<&'a str>,
) -> impl Iterator<Item = (&'a MtuEnd, &'a MtuEnd, Loss)> {
    let ways = known.pairs.iter().flat_map(MtuPair::ways);
    let inside = ways.filter(move |(from, to, _)| {
        let here = |end: &MtuEnd| end.network.as_deref() == network;
        here(from) && here(to) && (from.host.is_none() || from.host != to.host)
    });
    inside.filter_map(|(from, to, way)| Some((from, to, loss(from, to, way)?)))
}

/// A network of the cloud.
fn of_network(known: &Measurements<'_>, name: &str, advice: &mut Vec<MtuAdvice>, links: &mut Links) {
    let machines = || known.ends.iter().filter(|e| e.network.as_deref() == Some(name) && e.kind != PortKind::Container);
    let said = machines().find_map(|e| e.at(Place::Network));
    let between = losses(known, Some(name)).filter_map(|(from, to, loss)| match loss {
        Loss::Between(largest) => Some((largest, from, to)),
        Loss::Smaller => None,
    });
    let worst = between.min_by_key(|(largest, ..)| *largest);
    let smaller: BTreeSet<&str> = losses(known, Some(name))
        .filter(|(.., loss)| *loss == Loss::Smaller)
        .filter_map(|(_, to, _)| to.host.as_deref())
        .collect();
    let Some(right) = [said.map(|s| s.mtu), worst.map(|(largest, ..)| largest)].into_iter().flatten().min() else {
        return;
    };
    if let (Some(said), Some((largest, from, to))) = (said, worst)
        && largest < said.mtu
    {
        let id = said.id.clone().unwrap_or_default();
        advice.push(MtuAdvice {
            problem: format!(
                "network {name} has an MTU of {}, and packets of more than {largest} bytes vanish in it (from {} to {})",
                said.mtu,
                from.called(),
                to.called()
            ),
            remedy: beneath(known.layers.get(name), said.mtu, largest),
            step: Some(MtuStep::Network { id, name: name.to_owned(), from: said.mtu, to: largest }),
            lasts: "machines that were not asked here learn it when they ask DHCP again".to_owned(),
        });
    }
    for (machine, host, set) in machines().filter_map(|e| Some((e, e.host.as_deref()?, e.at(Place::Link)?))) {
        let problem = if set.mtu > right {
            format!("interface {} of {} has an MTU of {}, and {right} fit", set.name, machine.called(), set.mtu)
        } else if set.mtu < right && smaller.contains(host) {
            format!(
                "interface {} of {} has an MTU of {}, and others of network {name} send it up to {right}, which vanish",
                set.name,
                machine.called(),
                set.mtu
            )
        } else {
            continue;
        };
        let lasts =
            format!("until the machine's network is configured again; DHCP then sets the MTU of network {name}");
        advice.push(MtuAdvice {
            problem,
            remedy: format!(
                "have the machine take its MTU from DHCP, and set none in its own configuration but {right}"
            ),
            ..of_link(known, host, machine, &set.name, set.mtu, right, lasts, links)
        });
    }
}

/// What is beneath a network that carries less than Neutron says.
fn beneath(layer: Option<&Layer>, said: u32, largest: u32) -> String {
    let set = format!("set the network's MTU to {largest}");
    let Some(layer) = layer else {
        return format!("{set}, or have what is beneath it carry what {said} needs (`stackyard net mtu` works it out)");
    };
    let (has, needs) = (layer.needed(largest), layer.needed(said));
    let mut text = format!(
        "{set}, or have what is beneath it ({layer}) carry {needs} bytes, where about {has} get through; Neutron is told \
         what there is by `global_physnet_mtu` and `path_mtu`"
    );
    if needs > said + 4 {
        text += "; a provider network of type VLAN takes nothing of it, and no overlay is in an overlay then";
    }
    text
}

/// Machines that are in no network of the cloud.
fn of_machines(known: &Measurements<'_>, advice: &mut Vec<MtuAdvice>, links: &mut Links) {
    // What each gets: the least of what gets through to and from it.
    let mut right: BTreeMap<&str, (u32, &MtuEnd, &MtuEnd)> = BTreeMap::new();
    for (from, to, loss) in losses(known, None) {
        let fits = match loss {
            Loss::Between(largest) => Some(largest),
            Loss::Smaller => link(to),
        };
        let Some(fits) = fits else { continue };
        for host in [from, to].into_iter().filter_map(|e| e.host.as_deref()) {
            let at = right.entry(host).or_insert((fits, from, to));
            if fits < at.0 {
                *at = (fits, from, to);
            }
        }
    }
    for machine in known.ends.iter().filter(|e| e.network.is_none() && e.kind == PortKind::Host) {
        let (Some(host), Some(set)) = (machine.host.as_deref(), machine.at(Place::Link)) else { continue };
        let Some((fits, from, to)) = right.get(host).filter(|(fits, ..)| *fits < set.mtu) else { continue };
        let lasts = "until the machine starts again or its network is configured again".to_owned();
        advice.push(MtuAdvice {
            problem: format!(
                "interface {} of {} has an MTU of {}, and packets of more than {fits} bytes vanish (from {} to {})",
                set.name,
                machine.called(),
                set.mtu,
                from.called(),
                to.called()
            ),
            remedy: format!(
                "write an MTU of {fits} to the machine's network configuration, or have what is in between carry {} or \
                 say that it does not: it sends no ICMP \"fragmentation needed\", or a firewall drops it",
                set.mtu
            ),
            ..of_link(known, host, machine, &set.name, set.mtu, *fits, lasts, links)
        });
    }
}

/// The step for an interface, and what it brings.
#[allow(clippy::too_many_arguments, reason = "each is a part of one sentence")]
fn of_link(
    known: &Measurements<'_>,
    host: &str,
    machine: &MtuEnd,
    name: &str,
    from: u32,
    to: u32,
    mut lasts: String,
    links: &mut Links,
) -> MtuAdvice {
    links.insert((host.to_owned(), name.to_owned()), to);
    let survey = known.surveys.get(host);
    let default = survey.is_some_and(|s| s.links.iter().any(|l| l.default && l.name == name));
    let stacks = survey.is_some_and(|s| s.networks.iter().any(|n| follows(known, host, n)));
    if default && stacks && known.agents.get(host) != Some(&to) {
        lasts += "; a minute later the host's agent recreates networks of stacks with it, and their containers";
    }
    if to < MIN_IPV6 {
        lasts += &format!("; IPv6 needs {MIN_IPV6} and does not work with it");
    }
    let step =
        MtuStep::Link { host: host.to_owned(), host_name: machine.name.clone(), name: name.to_owned(), from, to };
    MtuAdvice { problem: String::new(), remedy: String::new(), step: Some(step), lasts }
}

/// Whether an agent gives a network its host's MTU: a stack's, for which nobody has chosen another. What Docker takes
/// by itself an agent does not say.
fn follows(known: &Measurements<'_>, host: &str, network: &MtuNetwork) -> bool {
    let own = known.agents.get(host).filter(|own| **own != DOCKERS);
    let given = network.option.is_none() || network.option.as_ref() == own;
    network.stack.is_some() && network.driver == "bridge" && given
}

/// The containers of a network of a host.
fn of_containers(known: &Measurements<'_>, end: &MtuEnd, links: &Links) -> Option<MtuAdvice> {
    let (host, set) = (end.host.as_deref()?, end.at(Place::Containers)?);
    let survey = known.surveys.get(host)?;
    let network = survey.networks.iter().find(|n| Some(&n.id) == set.id.as_ref())?;
    let all = survey.containers.iter().flat_map(|c| &c.links).filter(|l| l.network.as_ref() == Some(&network.id));
    let largest = all.map(|l| l.mtu).max().unwrap_or(set.mtu);
    let outer = end.at(Place::Link)?;
    let to_be = links.get(&(host.to_owned(), outer.name.clone())).copied().unwrap_or(outer.mtu);
    // What is lost on the way to its own host is the bridge's.
    let own = known.pairs.iter().filter(|p| p.from.container == end.container && p.to.host == p.from.host);
    let own = own.filter(|p| p.there.passage == Passage::BlackHole).find_map(|p| p.there.found.as_ref()?.largest);
    let fits = own.map_or(to_be, |own| own.min(to_be));
    if largest <= fits {
        return None;
    }
    let host_name = end.name.rsplit(" on ").next().unwrap_or_default();
    let said = survey.networks.iter().find(|n| n.id == network.id).and_then(|n| n.option);
    let (remedy, lasts) = if follows(known, host, network) {
        let remedy =
            "the host's agent gives the networks of stacks the MTU of its host, a minute after that has changed";
        (remedy.to_owned(), "their containers are recreated then, with the same".to_owned())
    } else {
        let now = said.map(|s| format!(" (it says {s})")).unwrap_or_default();
        let remedy = match (&network.stack, network.bridge.as_deref()) {
            (Some(stack), _) => format!(
                "write `driver_opts: {{{OPTION}: \"{fits}\"}}` to the network in the Compose file of stack {stack}{now}"
            ),
            (None, Some("docker0")) => format!("write `\"mtu\": {fits}` to the host's /etc/docker/daemon.json"),
            (None, _) => format!("recreate the network: `docker network create -o {OPTION}={fits} ...`{now}"),
        };
        (
            remedy,
            "until its containers are recreated: a Docker network keeps the MTU that it was created with".to_owned(),
        )
    };
    Some(MtuAdvice {
        problem: format!(
            "containers in network {} of host {host_name} have an MTU of {largest}, and {fits} fit",
            network.name
        ),
        remedy,
        step: Some(MtuStep::Containers {
            host: host.to_owned(),
            host_name: host_name.to_owned(),
            id: network.id.clone(),
            name: network.name.clone(),
            from: largest,
            to: fits,
        }),
        lasts,
    })
}

/// What is lost and no step is about: between two networks, or where nothing is known of the machines.
fn elsewhere(from: &MtuEnd, to: &MtuEnd, way: &MtuWay, steps: &[MtuStep]) -> Option<MtuAdvice> {
    let own = from.host.is_some() && from.host == to.host;
    let about = |step: &MtuStep| match step {
        MtuStep::Network { name, .. } => from.network.as_ref() == Some(name),
        MtuStep::Link { host, .. } => [&from.host, &to.host].contains(&&Some(host.clone())),
        MtuStep::Containers { .. } => false,
    };
    let is_done = from.network == to.network && steps.iter().any(about);
    if way.passage != Passage::BlackHole || is_done || own {
        return None;
    }
    let largest = way.found.as_ref()?.largest?;
    Some(MtuAdvice {
        problem: format!("packets of more than {largest} bytes from {} to {} vanish", from.called(), to.called()),
        remedy: format!(
            "have what is in between say so: let ICMP \"fragmentation needed\" (type 3, code 4; of IPv6 \"packet too \
             big\", type 2) pass its firewalls; or set an MTU of {largest} at both ends"
        ),
        step: None,
        lasts: String::new(),
    })
}

#[cfg(test)]
mod tests;
