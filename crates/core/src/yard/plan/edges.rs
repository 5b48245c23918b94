//! What waits for what.

use super::super::intend::Spec;
use super::super::observed::Value;
use super::super::{Key, Kind};
use super::Action;
use super::decide::{Planner, goes_along};
use std::collections::{HashMap, HashSet};

impl Planner<'_> {
    pub(super) fn connect(&mut self) {
        let mut after: Vec<HashSet<usize>> = vec![HashSet::new(); self.steps.len()];
        self.removals_after_users(&mut after);
        self.makings_after_needs(&mut after);
        self.makings_after_room(&mut after);
        self.pools_in_turns(&mut after);
        for (step, after) in self.steps.iter_mut().zip(after) {
            let mut after: Vec<usize> = after.into_iter().collect();
            after.sort_unstable();
            step.after = after;
        }
    }

    /// The step that takes observed resource `i` away: its own, or its owner's.
    fn leaving(&self, i: usize, by_key: &HashMap<&Key, Vec<usize>>) -> Vec<usize> {
        if let Some(step) = self.removing.get(&i) {
            return vec![*step];
        }
        let seen = &self.observed.resources[i];
        match seen.uses.first() {
            Some(owner) if goes_along(seen) => {
                by_key.get(owner).into_iter().flatten().filter_map(|o| self.removing.get(o)).copied().collect()
            }
            _ => Vec::new(),
        }
    }

    fn by_key(&self) -> HashMap<&Key, Vec<usize>> {
        let mut by_key: HashMap<&Key, Vec<usize>> = HashMap::new();
        for (i, seen) in self.observed.resources.iter().enumerate() {
            by_key.entry(&seen.key).or_default().push(i);
        }
        by_key
    }

    fn removals_after_users(&self, after: &mut [HashSet<usize>]) {
        let by_key = self.by_key();
        for (i, user) in self.observed.resources.iter().enumerate() {
            let leaving = self.leaving(i, &by_key);
            // What goes along with its owner does not hold it.
            let along = goes_along(user) && !self.removing.contains_key(&i);
            for used in user.uses.iter().skip(usize::from(along)).flat_map(|k| by_key.get(k).into_iter().flatten()) {
                let Some(going) = self.removing.get(used) else { continue };
                after[*going].extend(leaving.iter().filter(|l| *l != going));
                // A port that leaves a group does so by a change; so does a floating IP that
                // leaves a router, unless its port goes, which takes it off, too.
                let by_change = match self.steps[*going].key.kind {
                    Kind::SecurityGroup => true,
                    Kind::Interface => {
                        let to = |k: &&Key| matches!(k.kind, Kind::Port | Kind::LoadBalancer);
                        let port = user.uses.iter().find(to);
                        let ports = port.and_then(|p| by_key.get(p)).into_iter().flatten();
                        let leaves: Vec<usize> = ports.filter_map(|p| self.removing.get(p)).copied().collect();
                        after[*going].extend(&leaves);
                        leaves.is_empty()
                    }
                    _ => false,
                };
                if by_change
                    && let Some(change) = self.making.get(&user.key)
                    && self.steps[*change].action == Action::Change
                {
                    after[*going].insert(*change);
                }
            }
        }
    }

    fn makings_after_needs(&self, after: &mut [HashSet<usize>]) {
        for (i, seen) in self.observed.resources.iter().enumerate() {
            if let (Some(going), Some(making)) = (self.removing.get(&i), self.making.get(&seen.key))
                && self.steps[*going].action == Action::Discard
            {
                after[*making].insert(*going);
            }
        }
        for resource in &self.intended.resources {
            let step = self.making[&resource.key];
            if self.steps[step].action == Action::Keep {
                continue;
            }
            let needs = resource.needs.iter().filter_map(|n| self.making.get(&n.key));
            after[step].extend(needs.filter(|n| self.steps[**n].action != Action::Keep));
        }
    }

    /// What takes a place that another one leaves: an address, a foot in a router, a volume.
    fn makings_after_room(&self, after: &mut [HashSet<usize>]) {
        let by_key = self.by_key();
        let mut addresses: HashMap<(Option<&Value>, &str), Vec<usize>> = HashMap::new();
        let mut feet: HashMap<(&str, &Value), Vec<usize>> = HashMap::new();
        let mut volumes: HashMap<&Key, Vec<usize>> = HashMap::new();
        for (i, seen) in self.observed.resources.iter().enumerate() {
            let leaving = self.leaving(i, &by_key);
            if leaving.is_empty() {
                continue;
            }
            match (seen.key.kind, seen.fields.get("addresses")) {
                (Kind::Port, Some(Value::Set(taken))) => {
                    for address in taken {
                        addresses.entry((seen.fields.get("network"), address)).or_default().extend(&leaving);
                    }
                }
                (Kind::Interface, _) => {
                    let subnet = seen.uses.iter().find(|k| k.kind == Kind::Subnet);
                    let subnet = subnet.and_then(|k| by_key.get(k)).and_then(|of| of.first());
                    if let Some(cidr) = subnet.and_then(|i| self.observed.resources[*i].fields.get("cidr")) {
                        feet.entry((router(&seen.key), cidr)).or_default().extend(leaving);
                    }
                }
                (Kind::Attachment, _) => {
                    if let Some(volume) = seen.uses.iter().find(|k| k.kind == Kind::Volume) {
                        volumes.entry(volume).or_default().extend(leaving);
                    }
                }
                _ => {}
            }
        }
        for resource in &self.intended.resources {
            let step = self.making[&resource.key];
            if !matches!(self.steps[step].action, Action::Create | Action::Recreate) {
                continue;
            }
            match &resource.spec {
                Spec::Port { .. } => {
                    if let Some(Value::Set(wanted)) = resource.fields.get("addresses") {
                        let network = resource.fields.get("network");
                        let room = wanted.iter().filter_map(|a| addresses.get(&(network, a.as_str())));
                        after[step].extend(room.flatten());
                    }
                }
                Spec::Interface { subnet, .. } => {
                    let cidr = self.wanted.get(subnet).and_then(|s| s.fields.get("cidr"));
                    let same = cidr.and_then(|c| feet.get(&(router(&resource.key), c)));
                    after[step].extend(same.into_iter().flatten());
                }
                Spec::Attachment { .. } => {
                    let volume = resource.needs.iter().find(|n| n.key.kind == Kind::Volume);
                    after[step].extend(volume.and_then(|v| volumes.get(&v.key)).into_iter().flatten());
                }
                // It gets its volume as it is made.
                Spec::Server(server) => {
                    let disk = server.host.as_ref().and_then(|h| h.disk.as_ref());
                    after[step].extend(disk.and_then(|d| volumes.get(&d.volume)).into_iter().flatten());
                }
                _ => {}
            }
        }
    }
}

/// The router's part of an interface's name.
fn router(interface: &Key) -> &str {
    interface.name.split(':').next().unwrap_or_default()
}
