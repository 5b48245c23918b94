//! What goes through: a protocol and its ports.

use super::{Grant, Rule, Why};
use crate::yard::intend::protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Packets of one IP version, of a protocol or of all, to ports or to all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Protocol; all if absent.
    proto: Option<String>,
    /// First and last port. Of ICMP type and code, the latter of which may be absent.
    ports: Option<(u32, Option<u32>)>,
    /// IPv6, not IPv4.
    pub(super) ipv6: bool,
}

impl Flow {
    /// All of an IP version.
    pub fn everything(ipv6: bool) -> Self {
        Self { proto: None, ports: None, ipv6 }
    }

    /// One port.
    pub fn port(proto: &str, port: u32, ipv6: bool) -> Self {
        Self { proto: Some(proto.to_owned()), ports: Some((port, Some(port))), ipv6 }
    }

    /// What a rule lets through.
    pub fn of(rule: &Rule) -> Self {
        let proto = rule.proto.as_deref().and_then(|p| protocol(p, rule.ipv6));
        let ports = match (proto.as_deref(), rule.ports) {
            (None, _) | (_, (None, _)) => None,
            (Some("icmp" | "icmpv6"), (Some(kind), code)) => Some((kind, code)),
            (Some(_), (Some(1), Some(65_535))) => None,
            (Some(_), (Some(min), max)) => Some((min, Some(max.unwrap_or(min)))),
        };
        Self { proto, ports, ipv6: rule.ipv6 }
    }

    /// What is of both.
    pub fn and(&self, other: &Self) -> Option<Self> {
        if self.ipv6 != other.ipv6 {
            return None;
        }
        let (a, b) = match (&self.proto, &other.proto) {
            (None, _) => return Some(other.clone()),
            (_, None) => return Some(self.clone()),
            (Some(a), Some(b)) if a != b => return None,
            _ => (self.ports, other.ports),
        };
        let ports = match (a, b) {
            (None, one) | (one, None) => one,
            (Some(a), Some(b)) if self.is_icmp() => {
                let code = match (a.1, b.1) {
                    (None, one) | (one, None) => one,
                    (a, b) if a == b => a,
                    _ => return None,
                };
                if a.0 != b.0 {
                    return None;
                }
                Some((a.0, code))
            }
            (Some(a), Some(b)) => {
                let (min, max) = (a.0.max(b.0), a.1.min(b.1));
                if max.is_some_and(|max| max < min) {
                    return None;
                }
                Some((min, max))
            }
        };
        Some(Self { ports, ..self.clone() })
    }

    fn is_icmp(&self) -> bool {
        matches!(self.proto.as_deref(), Some("icmp" | "icmpv6"))
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.proto.as_deref().unwrap_or("everything"))?;
        match self.ports {
            None => Ok(()),
            Some((kind, code)) if self.is_icmp() => {
                write!(f, " type {kind}")?;
                code.map_or(Ok(()), |code| write!(f, " code {code}"))
            }
            Some((min, Some(max))) if max != min => write!(f, " {min}-{max}"),
            Some((min, _)) => write!(f, " {min}"),
        }
    }
}

/// Flows as grants: those that differ by IP version alone are one, and what a wider one says as well, for the
/// same machines, is left out.
pub(super) fn merge(flows: impl Iterator<Item = (Flow, BTreeSet<Why>, bool, bool)>) -> Vec<Grant> {
    let flows: Vec<_> = flows.collect();
    let covered = |flow: &Flow, some: bool| {
        flows.iter().any(|(wide, _, few, blocked)| {
            wide != flow && !blocked && (!few || some) && wide.and(flow).as_ref() == Some(flow)
        })
    };
    // By text without the version: versions, reasons.
    let mut texts: BTreeMap<String, (bool, bool, BTreeSet<Why>, bool, bool)> = BTreeMap::new();
    for (flow, by, some, blocked) in &flows {
        if covered(flow, *some) {
            continue;
        }
        let at = texts.entry(flow.to_string()).or_insert((false, false, BTreeSet::new(), true, true));
        at.0 |= !flow.ipv6;
        at.1 |= flow.ipv6;
        at.2.extend(by.iter().cloned());
        at.3 &= *some;
        at.4 &= *blocked;
    }
    let grant = |(text, (v4, _, by, some, blocked)): (String, (bool, bool, BTreeSet<Why>, bool, bool))| {
        let what = if v4 || text.contains("v6") { text } else { format!("{text} (IPv6)") };
        Grant { what, by: by.into_iter().collect(), some, blocked }
    };
    texts.into_iter().map(grant).collect()
}
