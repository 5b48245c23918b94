//! What services wait for: `depends_on` across hosts.
//!
//! A container waits for all containers of the services that it depends on, on whatever host. Between two
//! global services it waits for the one on its own host alone: the agent of a host needs the switch of that
//! host, and a host whose switch is broken holds back no other. A host that the other service is not for
//! (its constraints) waits for all of it, as a replicated service does.

use super::{Seen, Slot, Walk};
use crate::stack::{Dependency, DependencyCondition};
use std::collections::{BTreeMap, BTreeSet};

/// What a service waits for, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waits {
    /// All of its containers wait.
    Everywhere(String),
    /// Those on these hosts wait, by the hosts' ids.
    On(BTreeMap<String, String>),
}

impl Walk<'_> {
    /// Notes what a service waits for; `hosts` are those of a global one, by their ids.
    pub(super) fn note_waits(&mut self, name: &str, hosts: &BTreeSet<String>) {
        let is_global = self.global_hosts.contains_key(name);
        let waits = if is_global {
            let goal = self.state.services.get(name).map(|p| p.generation);
            // One that is there as it should be waits for nothing, whatever became of the other since.
            let is_there =
                |host: &String| self.slots(name).any(|s| s.host == *host && !s.held && Some(s.generation) == goal);
            let waiting = hosts.iter().filter(|host| !is_there(host));
            let on: BTreeMap<String, String> =
                waiting.filter_map(|host| Some((host.clone(), self.unmet(name, Some(host))?))).collect();
            (!on.is_empty()).then_some(Waits::On(on))
        } else {
            self.unmet(name, None).map(Waits::Everywhere)
        };
        if let Some(waits) = waits {
            self.waits.insert(name.to_owned(), waits);
        }
    }

    /// Whether the container of a service on a host has to wait.
    pub(super) fn waits_on(&self, name: &str, host: &str) -> bool {
        match self.waits.get(name) {
            None => false,
            Some(Waits::Everywhere(_)) => true,
            Some(Waits::On(hosts)) => hosts.contains_key(host),
        }
    }

    /// Whether no container of a service may be touched, wherever it is.
    pub(super) fn waits_everywhere(&self, name: &str) -> bool {
        matches!(self.waits.get(name), Some(Waits::Everywhere(_)))
    }

    /// What a service waits for, for people.
    pub(super) fn wait_of(&self, name: &str) -> Option<String> {
        match self.waits.get(name)? {
            Waits::Everywhere(why) => Some(why.clone()),
            Waits::On(hosts) => {
                let (host, why) = hosts.first_key_value()?;
                let named = self.board.host(host).map_or(host.as_str(), |h| h.name.as_str());
                let others = match hosts.len() - 1 {
                    0 => String::new(),
                    n => format!(", and {n} more hosts wait"),
                };
                Some(format!("{named}: {why}{others}"))
            }
        }
    }

    /// Lets go what was held back.
    pub(super) fn release(&mut self, name: &str) {
        let now = self.input.now;
        let mut slots = std::mem::take(&mut self.state.slots);
        for slot in slots.iter_mut().filter(|s| s.held && s.replica.service == name) {
            if !self.waits_on(name, &slot.host) {
                (slot.held, slot.since) = (false, now);
            }
        }
        self.state.slots = slots;
    }

    /// What the containers of a service wait for, in words: those on `host`, or all of them.
    fn unmet(&self, name: &str, host: Option<&str>) -> Option<String> {
        let service = self.current.stack.services.get(name)?;
        service.depends_on.iter().find_map(|(other, dependency)| {
            let is_local = |host: &&str| self.global_hosts.get(other).is_some_and(|hosts| hosts.contains(*host));
            match host.filter(is_local) {
                Some(host) => self.unmet_here(other, dependency, host),
                None => self.unmet_anywhere(other, dependency),
            }
        })
    }

    /// What is waited for of a global service on a host.
    fn unmet_here(&self, other: &str, dependency: &Dependency, host: &str) -> Option<String> {
        let progress = self.state.services.get(other)?;
        let busy = progress.phase.is_busy() || self.waits_on(other, host);
        let there: Vec<&Slot> = self.slots(other).filter(|s| s.host == host).collect();
        let fresh = |s: &&&Slot| !busy || s.generation == progress.generation;
        let met = match dependency.condition {
            DependencyCondition::CompletedSuccessfully => {
                let ended =
                    |s: &Slot| s.generation == progress.generation && (s.settled || self.look(s) == Seen::Ended);
                progress.completed == Some(progress.generation) || there.iter().any(|s| ended(s))
            }
            condition => there.iter().filter(fresh).any(|s| self.is_met(condition, s)),
        };
        let failure = there.iter().find_map(|s| match self.look(s) {
            Seen::Failed(error) => Some(format!("{}: {error}", s.replica)),
            _ => None,
        });
        let given_up = !dependency.required && (!busy || failure.is_some());
        (!met && !given_up).then(|| wait(other, dependency.condition, failure.as_deref()))
    }

    /// What is waited for of a service on all hosts.
    fn unmet_anywhere(&self, other: &str, dependency: &Dependency) -> Option<String> {
        let progress = self.state.services.get(other)?;
        let busy = progress.phase.is_busy() || self.waits_everywhere(other);
        let wanted = self.wanted.get(other).copied().unwrap_or(0);
        let met = match dependency.condition {
            DependencyCondition::CompletedSuccessfully => {
                progress.completed == Some(progress.generation) || wanted == 0
            }
            condition => {
                let there = self.slots(other).filter(|s| !busy || s.generation == progress.generation);
                there.filter(|s| self.is_met(condition, s)).count() >= if busy { wanted } else { wanted.min(1) }
            }
        };
        let given_up = !dependency.required && (!busy || progress.reason.is_some());
        (!met && !given_up).then(|| wait(other, dependency.condition, progress.reason.as_deref()))
    }

    /// Whether a container is as far as a dependency on it asks.
    fn is_met(&self, condition: DependencyCondition, slot: &Slot) -> bool {
        match (condition, self.look(slot)) {
            (DependencyCondition::Started, seen) => seen.runs() || seen == Seen::Ended,
            (_, seen) => matches!(seen, Seen::Ready | Seen::Ended),
        }
    }
}

fn wait(other: &str, condition: DependencyCondition, reason: Option<&str>) -> String {
    let what = match condition {
        DependencyCondition::Started => "has started",
        DependencyCondition::Healthy => "is healthy",
        DependencyCondition::CompletedSuccessfully => "has ended",
    };
    let why = reason.and_then(|r| r.lines().next()).map(|r| format!(" ({r})")).unwrap_or_default();
    format!("waits until {other} {what}{why}")
}
