//! The decision about one service.

use super::{Phase, Seen, Slot, Walk};
use crate::agent::{Replica, replica_name};
use crate::stack::Service;
use crate::stack::deploy::{Deploy, OnFailure, Order, Update};
use crate::stack::place::{HostState, Ties};
use std::collections::BTreeSet;

/// Containers that belong together: all of a replicated service, or those of a global one on a host.
struct Group {
    /// The one host that they may be on.
    host: Option<String>,
    /// How many there should be.
    count: usize,
}

/// One service while it is decided about.
struct Subject<'a> {
    name: &'a str,
    /// As it should be.
    service: &'a Service,
    /// How many, where and how: always as the newest version says.
    deploy: &'a Deploy,
    /// The generation that it should be of.
    generation: u64,
    job: bool,
    groups: Vec<Group>,
}

impl<'a> Walk<'a> {
    /// Brings a service as far as it can be brought now.
    pub(super) fn service(&mut self, name: &'a str) {
        // A failed update is rolled back at once, which is another goal; that one may fail, too.
        for _ in 0..2 {
            let Some(subject) = self.subject(name) else { return };
            self.refresh(&subject);
            if !self.judge(&subject) {
                return self.advance(&subject);
            }
        }
    }

    fn subject(&self, name: &'a str) -> Option<Subject<'a>> {
        let current: &'a Service = self.current.stack.services.get(name)?;
        let generation = self.state.services.get(name)?.generation;
        let service = self.definition(name, generation).map_or(current, |(_, s)| s);
        let deploy = &current.deploy;
        let groups = if deploy.mode.is_global() {
            let there = |host: &str| self.slots(name).any(|s| s.host == host);
            let neutron = self.current.stack.is_across_hosts(current);
            let hosts = self.board.hosts().filter(|h| match h.state {
                HostState::Ready if neutron && !h.has_ports() => there(&h.id),
                HostState::Ready => self.board.allows(h, current).is_ok(),
                HostState::Away => there(&h.id),
                HostState::Drained | HostState::Lost => false,
            });
            hosts.map(|h| Group { host: Some(h.id.clone()), count: 1 }).collect()
        } else {
            vec![Group { host: None, count: deploy.replicas as usize }]
        };
        Some(Subject { name, service, deploy, generation, job: self.current.stack.is_job(name), groups })
    }

    pub(super) fn slots<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Slot> {
        self.state.slots.iter().filter(move |s| s.replica.service == name)
    }

    /// Notes which containers work by now.
    fn refresh(&mut self, subject: &Subject<'_>) {
        let now = self.input.now;
        let phase = self.state.services.get(subject.name).map(|p| p.phase).unwrap_or_default();
        let monitor = match phase {
            Phase::Updating => millis(subject.deploy.update.monitor),
            Phase::RollingBack => millis(subject.deploy.rollback.monitor),
            _ => 0,
        };
        let seen: Vec<Seen> = self.state.slots.iter().map(|s| self.look(s)).collect();
        for (slot, seen) in self.state.slots.iter_mut().zip(seen) {
            if slot.replica.service != subject.name || slot.settled {
                continue;
            }
            match seen {
                Seen::Ready => {
                    let since = *slot.ready.get_or_insert(now);
                    slot.settled = now - since >= monitor;
                }
                Seen::Ended => slot.settled = true,
                Seen::Unknown => {}
                Seen::Missing | Seen::Working | Seen::Failed(_) => slot.ready = None,
            }
        }
    }

    /// Reacts to failures; true when the service has another goal now.
    fn judge(&mut self, subject: &Subject<'_>) -> bool {
        let phase = self.state.services.get(subject.name).map(|p| p.phase).unwrap_or_default();
        // An update answers for its own containers until they have worked long enough.
        let updates = matches!(phase, Phase::Updating | Phase::RollingBack);
        let fresh = |s: &&Slot| s.generation == subject.generation && !(updates && s.settled);
        let mut failed = self.slots(subject.name).filter(fresh).filter_map(|s| match self.look(s) {
            Seen::Failed(error) => Some((s, error)),
            _ => None,
        });
        let first = failed.next().map(|(slot, error)| {
            let host = self.board.host(&slot.host).map_or(slot.host.as_str(), |h| h.name.as_str());
            format!("{} on {host}: {error}", slot.replica)
        });
        let count = u64::from(first.is_some()) + failed.count() as u64;
        let total = subject.groups.iter().map(|g| g.count as u64).sum::<u64>().max(1);
        let Some(progress) = self.state.services.get_mut(subject.name) else { return false };
        let Some(first) = first else {
            if matches!(progress.phase, Phase::Starting | Phase::Updating | Phase::Done) {
                progress.reason = None;
            }
            return false;
        };
        let update: &Update = match progress.phase {
            Phase::Updating => &subject.deploy.update,
            Phase::RollingBack => &subject.deploy.rollback,
            Phase::Starting | Phase::Done => {
                progress.reason = Some(first);
                return false;
            }
            Phase::RolledBack | Phase::Paused => return false,
        };
        if subject.job || count * 1_000_000 <= u64::from(update.max_failures) * total {
            progress.reason = Some(first);
            return false;
        }
        match (update.on_failure, progress.previous) {
            (OnFailure::Continue, _) => {
                progress.reason = Some(first);
                false
            }
            (OnFailure::Rollback, Some(before)) if progress.phase == Phase::Updating => {
                progress.phase = Phase::RollingBack;
                progress.generation = before;
                progress.previous = None;
                (progress.reason, progress.batch, progress.open) = (Some(first), None, false);
                true
            }
            _ => {
                progress.phase = Phase::Paused;
                progress.reason = Some(first);
                false
            }
        }
    }

    /// Takes away, adds and replaces.
    fn advance(&mut self, subject: &Subject<'a>) {
        self.wanted.insert(subject.name.to_owned(), subject.groups.iter().map(|g| g.count).sum());
        let hosts: BTreeSet<String> = subject.groups.iter().filter_map(|g| g.host.clone()).collect();
        if subject.deploy.mode.is_global() {
            self.leave_hosts(subject.name, &hosts);
            self.global_hosts.insert(subject.name.to_owned(), hosts.clone());
        }
        if self.state.services.get(subject.name).is_some_and(|p| p.completed == Some(subject.generation)) {
            return self.after_job(subject);
        }
        for group in &subject.groups {
            self.thin(subject, group);
        }
        self.note_waits(subject.name, &hosts);
        self.release(subject.name);
        for group in &subject.groups {
            self.fill(subject, group);
        }
        if !self.waits_everywhere(subject.name) {
            self.replace(subject);
        }
        self.finish(subject);
    }

    /// A global service leaves hosts that are not for it.
    fn leave_hosts(&mut self, name: &str, hosts: &BTreeSet<String>) {
        let leaving: Vec<usize> = self.indices(name, |s| !hosts.contains(&s.host));
        self.drop_slots(&leaving);
    }

    /// A job that has ended needs no place: its containers stay for their logs where they can.
    fn after_job(&mut self, subject: &Subject<'_>) {
        let ready = |host: &str| self.board.host(host).is_some_and(|h| h.state != HostState::Drained);
        let leaving: Vec<usize> = self.indices(subject.name, |s| !ready(&s.host) || s.generation != subject.generation);
        self.drop_slots(&leaving);
        if let Some(progress) = self.state.services.get_mut(subject.name) {
            progress.phase = Phase::Done;
        }
    }

    /// Indices of the slots of `name` that `which` is true of.
    fn indices(&self, name: &str, which: impl Fn(&Slot) -> bool) -> Vec<usize> {
        let slots = self.state.slots.iter().enumerate();
        slots.filter(|(_, s)| s.replica.service == name && which(s)).map(|(i, _)| i).collect()
    }

    fn drop_slots(&mut self, indices: &[usize]) {
        for index in indices.iter().rev() {
            let slot = self.state.slots.remove(*index);
            if let Some((_, service)) = self.definition(&slot.replica.service, slot.generation) {
                self.board.remove(&slot.host, &slot.replica.service, service);
            }
        }
    }

    /// Whether a container has to be replaced: it is of another generation, or not where it may be.
    fn outdated(&self, subject: &Subject<'_>, slot: &Slot) -> bool {
        if slot.generation != subject.generation {
            return true;
        }
        let Some(host) = self.board.host(&slot.host) else { return true };
        let asked = crate::stack::place::Host { state: HostState::Ready, ..host.clone() };
        let elsewhere = match self.companion(subject, slot.replica.index) {
            Companion::None => false,
            Companion::Missing => true,
            Companion::On(with) => with != slot.host,
        };
        elsewhere || host.state == HostState::Drained || self.board.allows(&asked, self.placed_as(subject)).is_err()
    }

    /// The service whose constraints count.
    fn placed_as(&self, subject: &Subject<'a>) -> &'a Service {
        self.current.stack.services.get(subject.name).unwrap_or(subject.service)
    }

    /// Takes away what is too much.
    fn thin(&mut self, subject: &Subject<'_>, group: &Group) {
        loop {
            let all = self.indices(subject.name, |s| group.host.as_ref().is_none_or(|h| *h == s.host));
            if all.len() <= group.count {
                return;
            }
            let slot = |i: &&usize| &self.state.slots[**i];
            let old: Vec<usize> = all.iter().filter(|i| self.outdated(subject, slot(i))).copied().collect();
            let settled = all.iter().filter(|i| !old.contains(i) && slot(i).settled).count();
            // Of those that may go: held ones, then those that do not work, then those with high numbers.
            let worst = |of: &[usize]| {
                of.iter().copied().max_by_key(|i| {
                    let slot = &self.state.slots[*i];
                    (slot.held, !slot.settled, slot.replica.index)
                })
            };
            let surplus = all.len() - group.count;
            let leaving = if old.is_empty() {
                worst(&all)
            } else if settled + old.len() > group.count {
                worst(&old)
            } else if subject.deploy.update.order == Order::StopFirst || surplus > self.batch(subject) {
                worst(&all)
            } else {
                return;
            };
            let Some(leaving) = leaving else { return };
            self.drop_slots(&[leaving]);
        }
    }

    /// How many are replaced at once.
    fn batch(&self, subject: &Subject<'_>) -> usize {
        let rolling = self.state.services.get(subject.name).is_some_and(|p| p.phase == Phase::RollingBack);
        let update = if rolling { &subject.deploy.rollback } else { &subject.deploy.update };
        match update.parallelism {
            0 => usize::MAX,
            n => n as usize,
        }
    }

    /// Adds what is missing.
    fn fill(&mut self, subject: &Subject<'a>, group: &Group) {
        loop {
            let there = self.indices(subject.name, |s| group.host.as_ref().is_none_or(|h| *h == s.host)).len();
            if there >= group.count {
                return;
            }
            if let Err(why) = self.add(subject, group.host.as_deref()) {
                let entry = self.unplaced.entry(subject.name.to_owned()).or_insert((0, why));
                entry.0 += group.count - there;
                return;
            }
        }
    }

    /// Adds one container.
    fn add(&mut self, subject: &Subject<'a>, host: Option<&str>) -> Result<(), String> {
        let index = (1..)
            .find(|i| !self.slots(subject.name).any(|s| s.replica.index == *i && host.is_none_or(|h| h == s.host)));
        let index = index.unwrap_or(1);
        // What failed to be updated is replaced by what was there before.
        let progress = self.state.services.get(subject.name);
        let before = progress.filter(|p| p.phase == Phase::Paused).and_then(|p| p.previous);
        let generation = before.filter(|b| self.definition(subject.name, *b).is_some()).unwrap_or(subject.generation);
        let service = self.definition(subject.name, generation).map_or(subject.service, |(_, s)| s);
        let host = self.host_for(subject, service, index, host)?;
        let held = self.waits_on(subject.name, &host);
        let slot = Slot {
            replica: Replica { service: subject.name.to_owned(), index },
            host,
            generation,
            since: self.input.now,
            held,
            ready: None,
            settled: false,
            names: Default::default(),
        };
        self.board.put(&slot.host, subject.name, service);
        self.at_home(&slot, service);
        self.state.slots.push(slot);
        Ok(())
    }

    /// The host for a container.
    fn host_for(
        &self,
        subject: &Subject<'a>,
        service: &Service,
        index: u32,
        host: Option<&str>,
    ) -> Result<String, String> {
        let with = match self.companion(subject, index) {
            Companion::None => None,
            Companion::On(host) => Some(host),
            Companion::Missing => return Err("the service whose name spaces it shares has no host".into()),
        };
        let tied = self.current.stack.is_tied(service) && host.is_none();
        let home = self.state.homes.get(&replica_name(subject.name, index)).filter(|_| tied);
        let cinder = self.current.stack.cinder_volumes(service).next().is_some();
        let neutron = self.current.stack.is_across_hosts(service);
        let ties = Ties { home: home.map(String::as_str), with: with.as_deref(), cinder, neutron };
        // Where it may be, the newest version says; what it needs, its own.
        let mut asked = service.clone();
        asked.deploy.placement = subject.deploy.placement.clone();
        match host {
            Some(host) => {
                let name = self.board.host(host).map_or(host, |h| h.name.as_str());
                self.board.fits(host, subject.name, &asked, ties).map_err(|o| format!("{name}: {o}"))?;
                Ok(host.to_owned())
            }
            None => self.board.pick(subject.name, &asked, ties).map(|h| h.id.clone()).map_err(|u| u.to_string()),
        }
    }

    /// Where the container is whose name spaces the one with number `index` shares.
    fn companion(&self, subject: &Subject<'_>, index: u32) -> Companion {
        let Some(other) = subject.service.shares().into_iter().next() else { return Companion::None };
        if subject.deploy.mode.is_global() {
            return Companion::None;
        }
        let slot = self.slots(other).find(|s| s.replica.index == index);
        slot.map_or(Companion::Missing, |s| Companion::On(s.host.clone()))
    }

    /// Remembers where volumes are, and says when they are left behind.
    fn at_home(&mut self, slot: &Slot, service: &Service) {
        if !self.current.stack.is_tied(service)
            || self.current.stack.services[&slot.replica.service].deploy.mode.is_global()
        {
            return;
        }
        let name = slot.replica.to_string();
        let before = self.state.homes.insert(name.clone(), slot.host.clone());
        if let Some(before) = before.filter(|b| *b != slot.host) {
            let host = self.board.host(&before).map_or(before.as_str(), |h| h.name.as_str());
            let known = self.state.notes.get(&name).is_some_and(|n| n.contains("lost"));
            if !known {
                self.state.notes.insert(name, format!("its volumes stayed on {host}"));
            }
        }
    }

    /// Replaces what is outdated, as many as may be at once.
    fn replace(&mut self, subject: &Subject<'a>) {
        let Some(progress) = self.state.services.get(subject.name) else { return };
        let (phase, open, last) = (progress.phase, progress.open, progress.batch);
        let update = if phase == Phase::RollingBack { &subject.deploy.rollback } else { &subject.deploy.update };
        let fresh = self.indices(subject.name, |s| !s.settled && s.generation == subject.generation);
        let flying = fresh.iter().filter(|i| {
            let slot = &self.state.slots[**i];
            // One that failed is not waited for any more where that does not matter.
            !self.outdated(subject, slot) && !slot.held && !matches!(self.look(slot), Seen::Failed(_))
        });
        let flying = flying.count();
        if open && flying == 0 {
            if let Some(progress) = self.state.services.get_mut(subject.name) {
                (progress.open, progress.batch) = (false, Some(self.input.now));
            }
            if !update.delay.is_zero() {
                return;
            }
        }
        if flying == 0 && last.is_some_and(|t| self.input.now - t < millis(update.delay)) {
            return;
        }
        let allowed = if subject.job { usize::MAX } else { self.batch(subject).saturating_sub(flying) };
        let mut begun = false;
        for _ in 0..allowed {
            let may = |w: &Self, s: &Slot| {
                // A pause stops the update, but a drained host is left all the same.
                let moves = s.generation == subject.generation
                    || w.board.host(&s.host).is_some_and(|h| h.state == HostState::Drained);
                // A host that is away for a moment may come back: what it has is not given away yet.
                let away = w.board.host(&s.host).is_some_and(|h| h.state == HostState::Away);
                // One that is held back runs nowhere: it becomes the new one, and is held back as such.
                let waits = !s.held && w.waits_on(subject.name, &s.host);
                w.outdated(subject, s) && !away && !waits && (phase != Phase::Paused || moves)
            };
            let old = self.indices(subject.name, |s| may(self, s));
            let all = self.slots(subject.name).count();
            let wanted: usize = subject.groups.iter().map(|g| g.count).sum();
            // Those that are too many already will take the place of as many old ones.
            let left = old.len().saturating_sub(all.saturating_sub(wanted));
            let first = old.into_iter().min_by_key(|i| {
                let slot = &self.state.slots[*i];
                (self.look(slot).runs(), slot.replica.index)
            });
            let Some(first) = first.filter(|_| left > 0) else { break };
            if !self.replace_one(subject, first, update.order) {
                break;
            }
            begun = true;
        }
        if let Some(progress) = self.state.services.get_mut(subject.name).filter(|_| begun) {
            progress.open = true;
        }
    }

    /// Replaces one container; false when that cannot be done now.
    fn replace_one(&mut self, subject: &Subject<'a>, at: usize, order: Order) -> bool {
        let slot = self.state.slots[at].clone();
        let global = subject.deploy.mode.is_global();
        let fixed = global.then_some(slot.host.as_str());
        if order == Order::StartFirst && !subject.job && self.look(&slot).runs() && self.add(subject, fixed).is_ok() {
            return true;
        }
        let before = self.definition(subject.name, slot.generation).map(|(_, s)| s);
        if let Some(service) = before {
            self.board.remove(&slot.host, subject.name, service);
        }
        let index = slot.replica.index;
        let stays = self.host_for(subject, subject.service, index, Some(&slot.host));
        let stays = stays.ok().filter(|_| !self.moves(subject, &slot));
        let host = stays.map_or_else(|| self.host_for(subject, subject.service, index, fixed), Ok);
        match host {
            Ok(host) => {
                self.board.put(&host, subject.name, subject.service);
                let held = self.waits_on(subject.name, &host);
                let (ready, settled, since) = (None, false, self.input.now);
                let slot = Slot { host, generation: subject.generation, since, held, ready, settled, ..slot };
                self.at_home(&slot, subject.service);
                self.state.slots[at] = slot;
                true
            }
            Err(why) => {
                let drained = self.board.host(&slot.host).is_some_and(|h| h.state == HostState::Drained);
                let entry = self.unplaced.entry(subject.name.to_owned()).or_insert((0, why));
                entry.0 += 1;
                if drained {
                    self.state.slots.remove(at);
                } else if let Some(service) = before {
                    self.board.put(&slot.host, subject.name, service);
                }
                drained
            }
        }
    }

    /// Whether a container may not stay on its host.
    fn moves(&self, subject: &Subject<'_>, slot: &Slot) -> bool {
        self.outdated(subject, &Slot { generation: subject.generation, ..slot.clone() })
    }

    /// Notes the end of an update or a job.
    fn finish(&mut self, subject: &Subject<'_>) {
        let wanted: usize = subject.groups.iter().map(|g| g.count).sum();
        let all: Vec<&Slot> = self.slots(subject.name).collect();
        let done = all.len() == wanted && all.iter().all(|s| s.settled && !self.outdated(subject, s));
        let Some(progress) = self.state.services.get_mut(subject.name).filter(|_| done) else { return };
        if subject.job {
            progress.completed = Some(subject.generation);
        }
        progress.phase = match progress.phase {
            Phase::RollingBack => Phase::RolledBack,
            Phase::RolledBack => Phase::RolledBack,
            Phase::Paused => return,
            Phase::Starting | Phase::Updating | Phase::Done => {
                (progress.reason, progress.previous) = (None, None);
                Phase::Done
            }
        };
        (progress.open, progress.batch) = (false, None);
    }
}

/// Where a container is whose name spaces another one shares.
enum Companion {
    /// It shares none.
    None,
    /// That one has no host.
    Missing,
    /// On this host.
    On(String),
}

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
