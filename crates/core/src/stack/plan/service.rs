//! The decision about one service.

use super::super::observed::{Container, Observed, State};
use super::super::spec::Spec;
use super::super::{Service, Stack};
use super::{Action, After, Resource, Step};
use std::collections::BTreeSet;

/// What the decision about one service needs.
pub(super) struct Planner<'a> {
    stack: &'a Stack,
    observed: &'a Observed,
    /// Containers that are removed.
    orphans: Vec<Resource>,
    /// Services before this one whose containers are made anew.
    anew: BTreeSet<&'a str>,
    /// Services before this one whose containers are started or restarted.
    started: BTreeSet<&'a str>,
}

impl<'a> Planner<'a> {
    /// Knows what is removed; services come by [`Self::service`], each after those it waits for.
    pub(super) fn new(stack: &'a Stack, observed: &'a Observed, orphans: Vec<Resource>) -> Self {
        Self { stack, observed, orphans, anew: BTreeSet::new(), started: BTreeSet::new() }
    }

    /// The step for the service `name`, whose container is `seen`.
    pub(super) fn service(&mut self, name: &'a str, seen: Option<&Container>) -> Step {
        let step = self.decide(name, seen);
        match step.action {
            Action::Create | Action::Recreate => drop(self.anew.insert(name)),
            Action::Start | Action::Restart => drop(self.started.insert(name)),
            _ => {}
        }
        step
    }

    fn decide(&self, name: &str, seen: Option<&Container>) -> Step {
        let service = &self.stack.services[name];
        let image = self.observed.images.get(&service.image).map_or("", |i| i.id.as_str());
        let mut step = Step::new(self.stack.resource(name), Action::Create);
        step.spec = Spec::of(self.stack, service, image);
        step.after = self.after(service);
        if let Some(seen) = seen {
            step.id = Some(seen.id.clone());
            let job = matches!(step.resource, Resource::Job(_));
            step.reasons = step.spec.changed(&seen.spec);
            // What a job did stays done, whatever becomes of its surroundings.
            if !(job && seen.state == State::Exited(0)) {
                step.reasons.extend(self.surroundings(service, seen));
            }
            step.action = if step.reasons.is_empty() { self.keep(service, seen, &mut step) } else { Action::Recreate };
        }
        if matches!(step.action, Action::Create | Action::Recreate) {
            // An orphan may hold a port or a lock that this one needs.
            step.after.extend(self.orphans.iter().cloned().map(After::softly));
        }
        step
    }

    /// Why a container with the right spec will not do.
    fn surroundings(&self, service: &Service, seen: &Container) -> Vec<String> {
        let mut reasons = Vec::new();
        match seen.state {
            State::Created => reasons.push("it was left half made".into()),
            State::Dead => reasons.push("it was left half removed".into()),
            _ => {}
        }
        let shares = service.shares();
        for other in service.follows() {
            let now = self.observed.container(self.stack, other);
            let moved = now.is_some_and(|c| seen.follows.get(other).is_some_and(|id| *id != c.id));
            if self.anew.contains(other) || moved {
                let why = if shares.contains(other) { "whose name spaces it shares," } else { "which it follows," };
                reasons.push(format!("{other}, {why} is recreated"));
            }
        }
        for key in self.stack.attachments(service).keys() {
            let name = self.stack.network(key).name;
            let then = seen.networks.get(&name).filter(|id| !id.is_empty());
            if then.is_some_and(|id| self.observed.networks.get(&name).is_none_or(|n| n.id != *id)) {
                reasons.push(format!("network {name} is another one now"));
            }
        }
        reasons
    }

    /// What becomes of a container that will do.
    fn keep(&self, service: &Service, seen: &Container, step: &mut Step) -> Action {
        let job = matches!(step.resource, Resource::Job(_));
        let (action, reason) = match seen.state {
            State::Exited(0) if job => (Action::Keep, None),
            State::Exited(status) if job => (Action::Recreate, Some(format!("it ended with status {status}"))),
            State::Running | State::Restarting | State::Paused if job => (Action::Await, None),
            State::Restarting => (Action::Restart, Some("it keeps ending".to_owned())),
            State::Paused => (Action::Start, Some("it is paused".to_owned())),
            State::Exited(status) => (Action::Start, Some(format!("it ended with status {status}"))),
            // Reasons of their own came before.
            State::Created | State::Dead => (Action::Recreate, None),
            State::Running => match service.shares().into_iter().find(|o| self.started_since(o, seen)) {
                // The kernel made new name spaces at that start; this one still has the old.
                Some(other) => {
                    (Action::Restart, Some(format!("{other}, whose name spaces it shares, was started since")))
                }
                None => (Action::Keep, None),
            },
        };
        step.reasons.extend(reason);
        action
    }

    /// Whether the container of `other` was or will be started after `seen` was.
    fn started_since(&self, other: &str, seen: &Container) -> bool {
        let there = self.observed.container(self.stack, other);
        self.started.contains(other)
            || there.is_some_and(|c| c.state == State::Running && c.started > seen.started && seen.started.is_some())
    }

    fn after(&self, service: &Service) -> Vec<After> {
        let mut after = Vec::new();
        for (other, dependency) in &service.depends_on {
            if self.stack.services.contains_key(other) {
                let resource = self.stack.resource(other);
                after.push(After { resource, condition: dependency.condition, required: dependency.required });
            }
        }
        for other in service.shares() {
            if !service.depends_on.contains_key(other) {
                after.push(After::started(self.stack.resource(other)));
            }
        }
        for key in self.stack.attachments(service).keys() {
            let network = self.stack.network(key);
            if !network.external {
                after.push(After::started(Resource::Network(network.name)));
            }
        }
        for key in service.volume_keys() {
            if let Some(volume) = self.stack.volumes.get(key).filter(|v| !v.external) {
                after.push(After::started(Resource::Volume(volume.name.clone())));
            }
        }
        after
    }
}
