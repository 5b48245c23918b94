//! What becomes of each resource.

use super::super::intend::{Intended, Ref, Resource, Spec};
use super::super::observed::{COPY, DISK_STAYS, NO_DATA, OLDER_MARK, Observed, Seen, State, Value};
use super::super::words::Size;
use super::super::{Key, Kind};
use super::{Action, Change, Plan, Step};
use std::collections::{HashMap, HashSet};

/// Works on one plan.
pub(super) struct Planner<'a> {
    pub(super) intended: &'a Intended,
    pub(super) observed: &'a Observed,
    /// By key: which of the observed stays.
    keeper: HashMap<&'a Key, usize>,
    pub(super) wanted: HashMap<&'a Key, &'a Resource>,
    pub(super) steps: Vec<Step>,
    /// Step that makes, changes or keeps a resource.
    pub(super) making: HashMap<&'a Key, usize>,
    /// Step that removes one of the observed.
    pub(super) removing: HashMap<usize, usize>,
    refusals: Vec<String>,
}

/// What was decided about a resource before there are steps.
struct Decision {
    action: Action,
    changes: Vec<Change>,
    reasons: Vec<String>,
}

/// Fields that can be changed in place; all others take a replacement.
fn in_place(kind: Kind, field: &str) -> bool {
    match kind {
        Kind::Network | Kind::Router | Kind::ObjectContainer => true,
        Kind::LoadBalancer => matches!(field, "listeners" | "members" | "algorithms" | "health monitors"),
        Kind::Subnet => matches!(field, "gateway" | "dhcp" | "dns" | "pools"),
        Kind::Port => field != "network",
        Kind::Server => matches!(field, "metadata" | "tags"),
        Kind::Volume => field == "size",
        Kind::FloatingIp => field == "port",
        _ => false,
    }
}

impl<'a> Planner<'a> {
    pub(super) fn new(intended: &'a Intended, observed: &'a Observed) -> Self {
        let mut keeper: HashMap<&Key, usize> = HashMap::new();
        for (i, seen) in observed.resources.iter().enumerate() {
            let best = keeper.entry(&seen.key).or_insert(i);
            if seen.rank() < observed.resources[*best].rank() {
                *best = i;
            }
        }
        Self {
            intended,
            observed,
            keeper,
            wanted: intended.resources.iter().map(|r| (&r.key, r)).collect(),
            steps: Vec::new(),
            making: HashMap::new(),
            removing: HashMap::new(),
            refusals: Vec::new(),
        }
    }

    pub(super) fn decide(&mut self) {
        let mut decisions: HashMap<&Key, Decision> = HashMap::new();
        for resource in &self.intended.resources {
            let decision = self.resource(resource, &decisions);
            decisions.insert(&resource.key, decision);
        }
        // A server that is replaced gets a fresh disk, unless the disk is as another server left it.
        let disk_stays = |key: &Key| self.keeper.get(key).is_some_and(|i| self.observed.resources[*i].has(DISK_STAYS));
        for resource in &self.intended.resources {
            if let Spec::Server(server) = &resource.spec
                && let Some(boot) = &server.boot
                && decisions[&resource.key].action == Action::Recreate
                && !disk_stays(&resource.key)
                && let Some(disk) = decisions.get_mut(boot)
                && !matches!(disk.action, Action::Create | Action::Recreate)
            {
                disk.action = Action::Recreate;
                disk.reasons.push(format!("{} is replaced", resource.key));
            }
        }
        // A new server cannot have the keypair of another user.
        for resource in &self.intended.resources {
            if let Spec::Server(server) = &resource.spec
                && let Some(Ref::Own(pair)) = &server.key
                && matches!(decisions[&resource.key].action, Action::Create | Action::Recreate)
                && self.keeper.get(pair).is_some_and(|i| self.observed.resources[*i].state == State::Elsewhere)
                && let Some(keypair) = decisions.get_mut(pair)
            {
                keypair.action = Action::Create;
            }
        }
        self.removals(&decisions);
        for resource in &self.intended.resources {
            let Some(decision) = decisions.remove(&resource.key) else { continue };
            let seen = self.keeper.get(&resource.key).map(|i| &self.observed.resources[*i]);
            self.making.insert(&resource.key, self.steps.len());
            self.steps.push(Step {
                key: resource.key.clone(),
                action: decision.action,
                id: seen.map(|s| s.id.clone()),
                changes: decision.changes,
                reasons: decision.reasons,
                loses_data: decision.action == Action::Recreate && seen.is_some_and(holds_data),
                after: Vec::new(),
            });
        }
    }

    fn resource(&mut self, resource: &Resource, before: &HashMap<&Key, Decision>) -> Decision {
        let new = |action| Decision { action, changes: Vec::new(), reasons: Vec::new() };
        let Some(seen) = self.keeper.get(&resource.key).map(|i| &self.observed.resources[*i]) else {
            return new(Action::Create);
        };
        let mut decision = new(Action::Keep);
        for (field, to) in &resource.fields {
            let none = Value::Text(String::new());
            let from = seen.fields.get(field).unwrap_or(&none);
            if from == to {
                continue;
            }
            let mut replace = !in_place(resource.key.kind, field);
            if resource.key.kind == Kind::Volume && *field == "size" && shrinks(from, to) {
                self.refusals.push(format!(
                    "{}: it has {from} and cannot shrink to {to}; make a new volume under another name",
                    resource.key
                ));
                replace = false;
            }
            decision.changes.push(Change { field, from: from.clone(), to: to.clone(), replace });
        }
        if let Some(from) = seen.fields.get(OLDER_MARK) {
            let (from, to) = (from.clone(), (&self.observed.owner).into());
            decision.changes.push(Change { field: OLDER_MARK, from, to, replace: false });
        }
        let anew = |key: &Key| before.get(key).is_some_and(|d| d.action == Action::Recreate);
        if let State::Broken(why) | State::Marked(why) = &seen.state {
            decision.reasons.push(why.clone());
        }
        let baked = resource.needs.iter().filter(|n| n.baked && anew(&n.key));
        decision.reasons.extend(baked.map(|n| format!("{} is replaced", n.key)));
        if !decision.reasons.is_empty() || decision.changes.iter().any(|c| c.replace) {
            decision.action = Action::Recreate;
            return decision;
        }
        // These hold the address or id of another that can become another one in place.
        let holds = match resource.key.kind {
            Kind::FloatingIp => [Kind::Port, Kind::LoadBalancer].as_slice(),
            Kind::LoadBalancer => &[Kind::Port],
            _ => &[],
        };
        let other = resource.needs.iter().find(|n| holds.contains(&n.key.kind) && anew(&n.key));
        decision.reasons.extend(other.map(|n| format!("{} is replaced", n.key)));
        match &seen.state {
            State::Stopped(word) => decision.reasons.push(format!("it is {word}")),
            State::SetApart => decision.reasons.push("it was drained, and stays".to_owned()),
            State::Ready | State::Pending(_) | State::Marked(_) | State::Broken(_) | State::Elsewhere => {}
        }
        decision.action = match &seen.state {
            _ if !decision.changes.is_empty() || !decision.reasons.is_empty() => Action::Change,
            State::Pending(_) => Action::Await,
            _ => Action::Keep,
        };
        decision
    }

    /// Steps that remove: what nobody wants, doubles, and what is replaced; users first.
    fn removals(&mut self, decisions: &HashMap<&Key, Decision>) {
        let mut going: Vec<(usize, Action)> = Vec::new();
        for (i, seen) in self.observed.resources.iter().enumerate() {
            let keeper = self.keeper.get(&seen.key) == Some(&i);
            match decisions.get(&seen.key) {
                Some(d) if keeper && d.action == Action::Recreate => going.push((i, Action::Discard)),
                Some(_) if keeper => {}
                _ => going.push((i, Action::Remove)),
            }
        }
        let seen = |i: usize| &self.observed.resources[i];
        going.sort_by(|(a, _), (b, _)| {
            let (a, b) = (seen(*a), seen(*b));
            b.key.kind.cmp(&a.key.kind).then_with(|| (&a.key.name, a.rank()).cmp(&(&b.key.name, b.rank())))
        });
        // What goes with its owner needs no step: all owners of that key must go, and alone.
        let mut owners: HashMap<&Key, usize> = HashMap::new();
        for (i, _) in &going {
            *owners.entry(&seen(*i).key).or_default() += 1;
        }
        let mut all: HashMap<&Key, usize> = HashMap::new();
        for seen in &self.observed.resources {
            *all.entry(&seen.key).or_default() += 1;
        }
        for (i, action) in going {
            let seen = &self.observed.resources[i];
            if goes_along(seen)
                && seen.uses.first().is_some_and(|o| owners.get(o) == all.get(o) && owners.contains_key(o))
            {
                continue;
            }
            if let Some(count) = objects_that_stay(seen) {
                self.refusals.push(format!(
                    "{}: it holds {count} objects; empty it, or give it `purge: true` and run `up` before it goes",
                    seen.key
                ));
            }
            let mut reasons = Vec::new();
            if action == Action::Remove && self.wanted.contains_key(&seen.key) {
                let copy = "it has another volume's mark, as a restored backup has";
                reasons.push(if seen.has(COPY) { copy } else { "it is a double" }.to_owned());
            }
            // The keeper is the one in use or the oldest: the yard never used another one that is idle.
            let keeper = self.keeper[&seen.key];
            let double = keeper != i && !seen.has(COPY) && !self.observed.resources[keeper].has(NO_DATA);
            self.removing.insert(i, self.steps.len());
            self.steps.push(Step {
                key: seen.key.clone(),
                action,
                id: Some(seen.id.clone()),
                changes: Vec::new(),
                reasons,
                loses_data: holds_data(seen) && (seen.held || !double),
                after: Vec::new(),
            });
        }
        self.explain_renamed_pools();
    }

    /// Where a pool goes and another one is new, a rename may be meant: the first resource of each pool
    /// that goes and loses data says what that does.
    fn explain_renamed_pools(&mut self) {
        let is_new = |hosts: &[Key]| !hosts.is_empty() && !hosts.iter().any(|h| self.keeper.contains_key(h));
        let mut new = self.intended.pools.iter().filter(|p| is_new(&p.hosts)).map(|p| p.name.as_str());
        let Some(new) = new.next() else { return };
        let known: HashSet<&str> = self.intended.resources.iter().filter_map(|r| stem(&r.key)).collect();
        let mut told = HashSet::new();
        for step in self.steps.iter_mut().filter(|s| s.action == Action::Remove && s.loses_data) {
            let Some(old) = stem(&step.key).filter(|old| !known.contains(old)) else { continue };
            if told.insert(old.to_owned()) {
                step.reasons.push(format!(
                    "`{old}` is not in the manifest and `{new}` is new: to rename a pool is to remove it and create another"
                ));
            }
        }
    }

    pub(super) fn finish(mut self) -> Plan {
        self.connect();
        Plan { yard: self.intended.yard.clone(), steps: self.steps, stacks: Vec::new(), refusals: self.refusals }
    }
}

/// Whether the removal of the first that it uses takes it along.
pub(super) fn goes_along(seen: &Seen) -> bool {
    matches!(seen.key.kind, Kind::Rule | Kind::Attachment)
}

/// Whether data is lost when the resource is removed.
fn holds_data(seen: &Seen) -> bool {
    match seen.key.kind {
        Kind::Volume => !seen.has(NO_DATA),
        // Without `purge` it is not removed at all.
        Kind::ObjectContainer => has_objects(seen) && objects_that_stay(seen).is_none(),
        _ => false,
    }
}

/// What a volume of a numbered server or host is named after: `web` for `web-2/data`.
fn stem(key: &Key) -> Option<&str> {
    let (server, _) = key.name.split_once('/').filter(|_| key.kind == Kind::Volume)?;
    let (stem, number) = server.rsplit_once('-')?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some(stem)
}

fn has_objects(seen: &Seen) -> bool {
    matches!(seen.fields.get("objects"), Some(Value::Text(count)) if count != "0")
}

/// How many objects keep a container from being removed, if any do.
fn objects_that_stay(seen: &Seen) -> Option<&str> {
    let text = |field: &str| match seen.fields.get(field) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let held = seen.key.kind == Kind::ObjectContainer && text("purge") != Some("true");
    text("objects").filter(|count| held && *count != "0")
}

fn shrinks(from: &Value, to: &Value) -> bool {
    let size = |v: &Value| match v {
        Value::Text(text) => text.parse::<Size>().ok(),
        Value::Set(_) => None,
    };
    size(from).zip(size(to)).is_some_and(|(from, to)| to < from)
}
