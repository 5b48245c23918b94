//! Who can reach whom, by what security groups let through.
//!
//! ```text
//! groups with rules ─┐
//!                    ├─ table ──> sources x targets, in each cell what goes through, and by which rule
//! parties (ports) ───┘
//! ```
//!
//! A packet goes through if the sender's groups let it out, the receiver's let it in, and there is a way:
//! both ports are in networks that routers join ([`Member::zone`]). Answers follow by themselves: Neutron's
//! rules are stateful. A port without port security is open; one with port security and no group lets
//! nothing in. What a guest's own firewall does is not known here.
//!
//! Beside the parties there are sources that rules speak of: everybody, addresses, and groups of others. For
//! these only the receiver's rules count.

mod flow;
mod text;

pub use flow::Flow;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use utoipa::ToSchema;

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Whether all its members are parties, so that it is no source of its own.
    pub known: bool,
    /// What it lets through.
    pub rules: Vec<Rule>,
}

/// What a group lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// For people: `web: tcp 80 from anywhere`.
    pub name: String,
    /// To the port, not from it.
    pub ingress: bool,
    /// Of IPv6, not IPv4.
    pub ipv6: bool,
    /// Protocol by Neutron's name or number; all if absent.
    pub proto: Option<String>,
    /// First and last port; of ICMP type and code. Absent ones are all.
    pub ports: (Option<u32>, Option<u32>),
    /// The other side.
    pub peer: Peer,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Everybody.
    Any,
    /// Addresses.
    Net(IpNet),
    /// Members of the group with this id.
    Group(String),
}

/// Who has ports: servers that are like each other, a pool of hosts, a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    /// Unique in the scene, as `server/web`.
    pub id: String,
    /// What it is.
    pub kind: PartyKind,
    /// Its name.
    pub name: String,
    /// Its ports.
    pub members: Vec<Member>,
    /// What a load balancer listens on.
    pub listeners: Vec<Listener>,
}

/// What a source or a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReachKind)]
pub enum PartyKind {
    /// Everybody.
    Anywhere,
    /// Addresses that a rule names.
    Addresses,
    /// A security group whose members are no parties.
    Group,
    /// Servers.
    #[default]
    Server,
    /// Hosts of a pool.
    Pool,
    /// Containers with ports of their own.
    Container,
    /// A load balancer.
    LoadBalancer,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// What it is at: a server's id.
    pub machine: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Ids of its groups.
    pub groups: Vec<String>,
    /// Its groups are enforced (port security).
    pub filtered: bool,
    /// Networks that routers join have the same.
    pub zone: usize,
    /// Addresses outside that lead to it.
    pub doors: Vec<String>,
}

/// What a load balancer listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// `tcp`, `udp`.
    pub proto: String,
    /// Its port.
    pub port: u32,
    /// Who answers: addresses and ports.
    pub backends: Vec<(IpAddr, u32)>,
    /// Whether these see the client's address, so that their groups must let the client in (OVN); else
    /// they see the balancer's.
    pub transparent: bool,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scene {
    /// Security groups by id.
    pub groups: BTreeMap<String, Group>,
    /// Who has ports.
    pub parties: Vec<Party>,
}

/// A row or a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReachEnd)]
pub struct End {
    /// Unique among rows, and among columns: a party's id, `anywhere`, `net/10.0.0.0/8`, `group/ID`.
    pub id: String,
    /// What it is.
    pub kind: PartyKind,
    /// Its name.
    pub name: String,
    /// How many machines it is; 0 where that is not known.
    pub count: usize,
    /// Addresses outside that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<String>,
}

/// What goes from a row to a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReachCell)]
pub struct Cell {
    /// Id of the row.
    pub from: String,
    /// Id of the column.
    pub to: String,
    /// What goes through, each once.
    pub grants: Vec<Grant>,
}

/// Something that goes through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReachGrant)]
pub struct Grant {
    /// What, for people: `tcp 80`, `icmp`, `everything`, `tcp 22 (IPv6)`.
    pub what: String,
    /// Why.
    pub by: Vec<Why>,
    /// Between some of the machines only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub some: bool,
    /// A load balancer takes it, and no member behind lets it in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
}

/// Why something goes through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "text")]
#[schema(as = ReachWhy)]
pub enum Why {
    /// A rule, for people.
    Rule(String),
    /// A load balancer's listener, as `tcp 80`.
    Listener(String),
    /// Port security is off.
    Open,
}

/// Who can reach whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = ReachTable)]
pub struct Table {
    /// Rows: everybody, addresses, groups of others, then the parties.
    pub sources: Vec<End>,
    /// Columns: the parties.
    pub targets: Vec<End>,
    /// What goes through; nothing does where there is no cell.
    pub cells: Vec<Cell>,
}

/// Where packets come from.
enum Source<'s> {
    Anywhere,
    Net(IpNet),
    Group(&'s str),
    Member(&'s Member),
}

/// Flows of one kind between two parties.
#[derive(Default)]
struct Gathered {
    by: BTreeSet<Why>,
    pairs: BTreeSet<(usize, usize)>,
    blocked: bool,
}

impl Scene {
    /// The table.
    pub fn table(&self) -> Table {
        let targets: Vec<End> = self.parties.iter().map(|p| p.end()).collect();
        let (nets, groups) = self.named_by_rules();
        let mut sources = vec![End::of("anywhere", PartyKind::Anywhere, "")];
        let mut cells = Vec::new();
        let mut row = |end: &End, from: &[(usize, Source<'_>)], own: Option<&Party>| {
            for to in &self.parties {
                let grants = self.grants(from, to, own.is_some_and(|own| own.id == to.id));
                if !grants.is_empty() {
                    cells.push(Cell { from: end.id.clone(), to: to.id.clone(), grants });
                }
            }
        };
        row(&sources[0], &[(0, Source::Anywhere)], None);
        for net in nets {
            let end = End::of(&format!("net/{net}"), PartyKind::Addresses, &net.to_string());
            row(&end, &[(0, Source::Net(net))], None);
            sources.push(end);
        }
        for (id, group) in groups {
            let end = End::of(&format!("group/{id}"), PartyKind::Group, &group.name);
            row(&end, &[(0, Source::Group(id))], None);
            sources.push(end);
        }
        for party in self.parties.iter().filter(|p| p.asks()) {
            let end = party.end();
            let machines = party.machines();
            let from = party.members.iter().map(|m| (index(&machines, &m.machine), Source::Member(m)));
            row(&end, &from.collect::<Vec<_>>(), Some(party));
            sources.push(end);
        }
        Table { sources, targets, cells }
    }

    /// Addresses and groups of others that ingress rules of the parties' groups speak of.
    fn named_by_rules(&self) -> (BTreeSet<IpNet>, BTreeMap<&str, &Group>) {
        let used: BTreeSet<&String> = self.parties.iter().flat_map(|p| &p.members).flat_map(|m| &m.groups).collect();
        let used = used.into_iter().filter_map(|id| self.groups.get(id));
        let (mut nets, mut groups) = (BTreeSet::new(), BTreeMap::new());
        for rule in used.flat_map(|g| &g.rules).filter(|r| r.ingress) {
            match &rule.peer {
                Peer::Any => {}
                Peer::Net(net) => {
                    nets.insert(net.trunc());
                }
                Peer::Group(id) => {
                    if let Some((id, group)) = self.groups.get_key_value(id).filter(|(_, g)| !g.known) {
                        groups.insert(id.as_str(), group);
                    }
                }
            }
        }
        (nets, groups)
    }

    /// What goes from ports of one party, each with the number of its machine, to another party.
    fn grants(&self, from: &[(usize, Source<'_>)], to: &Party, same: bool) -> Vec<Grant> {
        let machines = to.machines();
        let mut all: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut gathered: BTreeMap<Flow, Gathered> = BTreeMap::new();
        for (at, source) in from {
            for member in &to.members {
                let pair = (*at, index(&machines, &member.machine));
                // What a machine sends to itself passes no group.
                if same && (pair.0 == pair.1 || to.kind == PartyKind::LoadBalancer) {
                    continue;
                }
                all.insert(pair);
                let mut note = |flow: Flow, why: &BTreeSet<Why>, blocked: bool| {
                    let at = gathered.entry(flow).or_default();
                    at.by.extend(why.iter().cloned());
                    at.pairs.insert(pair);
                    at.blocked |= blocked;
                };
                if to.kind == PartyKind::LoadBalancer {
                    self.through(source, member, to).into_iter().for_each(|(f, why, blocked)| note(f, &why, blocked));
                } else {
                    self.flows(source, member).into_iter().for_each(|(f, why)| note(f, &why, false));
                }
            }
        }
        flow::merge(gathered.into_iter().map(|(flow, g)| (flow, g.by, g.pairs != all, g.blocked)))
    }

    /// What goes from a source to a port.
    fn flows(&self, source: &Source<'_>, to: &Member) -> Vec<(Flow, BTreeSet<Why>)> {
        if let Source::Member(from) = source
            && from.zone != to.zone
        {
            return Vec::new();
        }
        let mut flows = Vec::new();
        for ipv6 in [false, true] {
            let speaks = |m: &Member| m.addresses.iter().any(|a| a.is_ipv6() == ipv6);
            let given = match source {
                Source::Member(from) => speaks(from),
                Source::Net(net) => net.addr().is_ipv6() == ipv6,
                Source::Anywhere | Source::Group(_) => true,
            };
            if !given || !speaks(to) {
                continue;
            }
            let incoming: Vec<(Flow, Why)> = if to.filtered {
                let rules = self.rules(to, true, ipv6).filter(|r| self.comes_from(&r.peer, source));
                rules.map(|r| (Flow::of(r), Why::Rule(r.name.clone()))).collect()
            } else {
                vec![(Flow::everything(ipv6), Why::Open)]
            };
            match source {
                Source::Member(from) if from.filtered => {
                    let outgoing: Vec<&Rule> =
                        self.rules(from, false, ipv6).filter(|r| self.goes_to(&r.peer, to)).collect();
                    for (flow, why) in &incoming {
                        for rule in &outgoing {
                            let Some(both) = flow.and(&Flow::of(rule)) else { continue };
                            let mut by = BTreeSet::from([why.clone()]);
                            // That everything may go out is the usual thing, and no reason.
                            if Flow::of(rule) != Flow::everything(ipv6) {
                                by.insert(Why::Rule(rule.name.clone()));
                            }
                            flows.push((both, by));
                        }
                    }
                }
                _ => flows.extend(incoming.into_iter().map(|(flow, why)| (flow, BTreeSet::from([why])))),
            }
        }
        flows
    }

    /// What goes from a source through a load balancer; the last says that no member lets it in.
    fn through(&self, source: &Source<'_>, vip: &Member, to: &Party) -> Vec<(Flow, BTreeSet<Why>, bool)> {
        let open = Member { filtered: false, ..vip.clone() };
        let ways = self.flows(source, &open);
        let mut flows = Vec::new();
        for listener in &to.listeners {
            let flow = |ipv6| Flow::port(&listener.proto, listener.port, ipv6);
            let why = Why::Listener(format!("{} {}", listener.proto, listener.port));
            // Once for each IP version, by whatever rule it goes out.
            let mut ways: Vec<&(Flow, BTreeSet<Why>)> =
                ways.iter().filter(|(way, _)| way.and(&flow(way.ipv6)).is_some()).collect();
            ways.dedup_by_key(|(way, _)| way.ipv6);
            for (way, by) in ways {
                let mut by: BTreeSet<Why> = by.iter().filter(|w| **w != Why::Open).cloned().collect();
                by.insert(why.clone());
                flows.push((flow(way.ipv6), by, !self.lets_in(listener, source, vip)));
            }
        }
        flows
    }

    /// Whether a member behind a listener lets in what comes through it.
    fn lets_in(&self, listener: &Listener, source: &Source<'_>, vip: &Member) -> bool {
        // On this side groups let it out already: to the balancer.
        let sender = match source {
            Source::Member(from) if listener.transparent => Some(*from),
            _ if listener.transparent => None,
            _ => Some(vip),
        };
        let sender = sender.map(|from| Member { filtered: false, ..from.clone() });
        let sender = sender.as_ref().map(Source::Member);
        let seen = sender.as_ref().unwrap_or(source);
        let members = || self.parties.iter().flat_map(|p| &p.members);
        listener.backends.iter().any(|(address, port)| {
            // One that is not known here may do as it likes.
            let Some(member) = members().find(|m| m.zone == vip.zone && m.addresses.contains(address)) else {
                return true;
            };
            let wanted = Flow::port(&listener.proto, *port, address.is_ipv6());
            self.flows(seen, member).iter().any(|(flow, _)| flow.and(&wanted).is_some())
        })
    }

    fn rules<'s>(&'s self, of: &'s Member, ingress: bool, ipv6: bool) -> impl Iterator<Item = &'s Rule> {
        let groups = of.groups.iter().filter_map(|id| self.groups.get(id));
        groups.flat_map(|g| &g.rules).filter(move |r| r.ingress == ingress && r.ipv6 == ipv6)
    }

    /// Whether all of a source is on the other side of an ingress rule; of a port one address will do.
    fn comes_from(&self, peer: &Peer, source: &Source<'_>) -> bool {
        match (peer, source) {
            (Peer::Any, _) => true,
            (Peer::Net(net), Source::Net(from)) => net.contains(from),
            (Peer::Net(net), Source::Member(from)) => from.addresses.iter().any(|a| net.contains(a)),
            (Peer::Group(id), Source::Group(from)) => id == from,
            (Peer::Group(id), Source::Member(from)) => from.groups.contains(id),
            _ => false,
        }
    }

    fn goes_to(&self, peer: &Peer, to: &Member) -> bool {
        match peer {
            Peer::Any => true,
            Peer::Net(net) => to.addresses.iter().any(|a| net.contains(a)),
            Peer::Group(id) => to.groups.contains(id),
        }
    }
}

impl Party {
    fn machines(&self) -> Vec<&str> {
        let machines: BTreeSet<&str> = self.members.iter().map(|m| m.machine.as_str()).collect();
        machines.into_iter().collect()
    }

    /// Whether it sends anything of its own: a balancer that hands packets on as they are does not.
    fn asks(&self) -> bool {
        self.kind != PartyKind::LoadBalancer || self.listeners.iter().any(|l| !l.transparent)
    }

    fn end(&self) -> End {
        let doors: BTreeSet<&String> = self.members.iter().flat_map(|m| &m.doors).collect();
        End {
            id: self.id.clone(),
            kind: self.kind,
            name: self.name.clone(),
            count: self.machines().len(),
            doors: doors.into_iter().cloned().collect(),
        }
    }
}

impl End {
    fn of(id: &str, kind: PartyKind, name: &str) -> Self {
        Self { id: id.to_owned(), kind, name: name.to_owned(), count: 0, doors: Vec::new() }
    }
}

/// Place of a machine among those of its party.
fn index(machines: &[&str], machine: &str) -> usize {
    machines.binary_search(&machine).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
