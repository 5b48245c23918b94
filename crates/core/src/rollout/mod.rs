//! Bringing a stack out over many hosts, and keeping it as it should be.
//!
//! [`step`] looks at the versions of a stack, the hosts, what they report, and what is remembered,
//! and says what each host should run now ([`Part`]s) and what is to be remembered ([`State`]). It
//! is pure: no clock but the `now` that it is given. Whoever calls it does so again and again, when
//! something changed and from time to time; each call goes as far as it can. What it says is a
//! whole picture, so calls may be lost or doubled, and the caller may be killed between two.
//!
//! ```text
//! for each service, after those that it depends on:
//!
//!   look at its containers   failed ─> pause | continue | roll back (update_config)
//!        │
//!   take away what is too much: scaled down, or replaced by one that works (start-first)
//!        │
//!   add what is missing: scaled up, lost with a host, never there     ─> place::Board
//!        │                 (held back until its dependencies got there)
//!   replace what is outdated, so many at once (parallelism, delay, monitor, order):
//!        of another generation; on a host that is drained or no longer meets the constraints
//! ```
//!
//! ```text
//!             all work                     new version
//!  Starting ───────────> Done <──────────┐      │
//!                         │ new version  │      │
//!                         v      all work│      v
//!                     Updating ──────────┘   (Updating)
//!                      │     │ too many fail      ^
//!          roll back   │     v                    │
//!  RollingBack <───────┘   Paused ────────────────┤
//!    │       └──fails────────^                    │
//!    └─all work──> RolledBack ────────────────────┘
//! ```
//!
//! What it guarantees, as long as hosts do what they are told (property tests try):
//! - A container is told to a host only when all that it depends on works, wherever it is. Between two
//!   global services, only the container on the same host counts.
//! - A container that runs and is as it should be is not touched: its part says the same.
//! - While an update goes on and nothing fails, no more than `parallelism` containers of a service
//!   are missing (stop-first) or too many (start-first).
//! - A job runs once for each generation, not again when its host is lost.
//! - Hosts never get more than they have room for, nor two containers with one port.

mod dependencies;
mod names;
mod part;
mod seen;
mod service;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod version;

pub use seen::{HostReport, Seen};
pub use state::{Phase, Progress, Slot, State};
pub use status::{ReplicaStatus, ServiceStatus, Status};
pub use version::{Files, Packed, Version};

use self::dependencies::Waits;
use crate::agent::Part;
use crate::stack::place::{Board, Host, HostState};
use crate::stack::plan::PlanError;
use crate::stack::{Service, Stack};
use std::collections::{BTreeMap, BTreeSet};

/// What a step looks at.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Versions of the stack, the newest first. Those that containers are of must be among them.
    pub history: &'a [Version],
    /// The hosts of the yard.
    pub hosts: &'a [Host],
    /// What hosts report, by their ids; none of hosts that are not heard of.
    pub reports: &'a BTreeMap<String, HostReport<'a>>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// What a step decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What is to be remembered.
    pub state: State,
    /// What hosts should run of the stack, by their ids. A host that is not in it runs nothing of it.
    pub parts: BTreeMap<String, Part>,
    /// How it stands.
    pub status: Status,
}

/// One step.
struct Walk<'a> {
    input: Input<'a>,
    current: &'a Version,
    state: State,
    board: Board<'a>,
    /// Containers that there should be, by service.
    wanted: BTreeMap<String, usize>,
    /// Why containers have no host, by service, and how many.
    unplaced: BTreeMap<String, (usize, String)>,
    /// Hosts that global services are for, by service.
    global_hosts: BTreeMap<String, BTreeSet<String>>,
    /// What services wait for.
    waits: BTreeMap<String, Waits>,
}

/// Checks what can be checked before a stack is deployed.
///
/// # Errors
/// The first contradiction.
pub fn check(stack: &Stack) -> Result<(), PlanError> {
    crate::stack::plan::check_alone(stack)?;
    crate::stack::plan::check_engine_names(stack)?;
    crate::stack::cinder_volume::check(stack)?;
    for (name, service) in &stack.services {
        for other in service.shares() {
            let (this, that) = (&service.deploy, &stack.services[other].deploy);
            let starts = crate::stack::deploy::Order::StartFirst;
            let even = this.mode == that.mode && (this.replicas == that.replicas || this.mode.is_global());
            if !even || this.update.order == starts || that.update.order == starts {
                return Err(PlanError::Apart { service: name.clone(), other: other.to_owned() });
            }
        }
    }
    Ok(())
}

/// Looks and decides; nothing is decided without a version.
pub fn step(input: Input<'_>, state: State) -> Output {
    let Some(current) = input.history.first() else {
        return Output { state: State::default(), parts: BTreeMap::new(), status: Status::default() };
    };
    let board = Board::new(input.hosts, current.pool.as_deref());
    let (wanted, unplaced, global_hosts, waits) = Default::default();
    let mut walk = Walk { input, current, state, board, wanted, unplaced, global_hosts, waits };
    walk.adopt();
    walk.lose();
    walk.put();
    // A version that contradicts itself was refused before; should one be here, names will do.
    let order = crate::stack::plan::check_alone(&current.stack)
        .unwrap_or_else(|_| current.stack.services.keys().map(String::as_str).collect());
    for name in order {
        walk.service(name);
    }
    walk.names();
    walk.state.slots.sort_by(|a, b| (&a.replica, &a.host).cmp(&(&b.replica, &b.host)));
    let status = walk.status();
    Output { parts: walk.parts(), state: walk.state, status }
}

/// So many versions are kept to go back to, the newest among them.
const KEPT: usize = 5;

/// The version that a stack goes back to, the newest of `history` being what it is: the last one
/// that worked and is another.
pub fn before(history: &[Version]) -> Option<&Version> {
    let (newest, older) = history.split_first()?;
    older.iter().find(|v| v.worked && !v.is_like(newest))
}

/// The versions that are still needed: the last ones, the one to go back to, and those that
/// containers are of.
pub fn needed(history: Vec<Version>, state: &State) -> Vec<Version> {
    // Of those that have a generation, the one that it is read from.
    let of = |name: &String, generation: u64| definition(&history, name, generation).map(|(v, _)| v.number);
    let slots = state.slots.iter().filter_map(|s| of(&s.replica.service, s.generation));
    let goals = state.services.iter().flat_map(|(n, p)| [Some(p.generation), p.previous].map(|g| of(n, g?)));
    let mut used: BTreeSet<u64> = slots.chain(goals.flatten()).collect();
    used.extend(before(&history).map(|v| v.number));
    used.extend(history.iter().take(KEPT).map(|v| v.number));
    history.into_iter().filter(|v| used.contains(&v.number)).collect()
}

impl<'a> Walk<'a> {
    /// Turns to a new version.
    fn adopt(&mut self) {
        if self.state.version == self.current.number {
            return;
        }
        self.state.version = self.current.number;
        self.state.notes.clear();
        let services = &self.current.stack.services;
        self.state.services.retain(|name, _| services.contains_key(name));
        for (name, generation) in &self.current.generations {
            let there = self.state.slots.iter().any(|s| s.replica.service == *name);
            let known = self.state.services.contains_key(name);
            let progress = self.state.services.entry(name.clone()).or_default();
            let (was, phase) = (progress.generation, progress.phase);
            progress.generation = *generation;
            if !known || !there {
                progress.phase = Phase::Starting;
            } else if was != *generation || matches!(phase, Phase::Paused | Phase::RollingBack | Phase::RolledBack) {
                progress.previous = match phase {
                    Phase::Updating | Phase::Paused => progress.previous,
                    Phase::Starting => None,
                    Phase::Done | Phase::RollingBack | Phase::RolledBack => Some(was),
                }
                .filter(|b| b != generation);
                progress.phase = Phase::Updating;
            } else {
                continue;
            }
            (progress.reason, progress.batch, progress.open) = (None, None, false);
        }
    }

    /// Forgets containers of services that are no more, and of hosts that are lost.
    fn lose(&mut self) {
        let (board, current, history) = (&self.board, self.current, self.input.history);
        let (mut notes, mut slots) = (Vec::new(), std::mem::take(&mut self.state.slots));
        slots.retain(|slot| {
            if !current.stack.services.contains_key(&slot.replica.service) {
                return false;
            }
            match board.host(&slot.host) {
                Some(host) if host.state != HostState::Lost => true,
                host => {
                    let tied = definition(history, &slot.replica.service, slot.generation)
                        .is_some_and(|(v, service)| v.stack.is_tied(service));
                    if tied && slot.settled {
                        let name = host.map_or(slot.host.as_str(), |h| h.name.as_str());
                        notes.push((slot.replica.to_string(), format!("its volumes stayed on lost host {name}")));
                    }
                    false
                }
            }
        });
        self.state.slots = slots;
        self.state.notes.extend(notes);
    }

    /// Puts what there is on the board.
    fn put(&mut self) {
        for slot in &mut self.state.slots {
            let name = &slot.replica.service;
            if definition(self.input.history, name, slot.generation).is_none() {
                // Its version was forgotten: it cannot be described any more.
                slot.generation = self.current.generations.get(name).copied().unwrap_or_default();
            }
            if let Some((_, service)) = definition(self.input.history, name, slot.generation) {
                self.board.put(&slot.host, name, service);
            }
        }
    }

    /// The service `name` in a generation.
    fn definition(&self, name: &str, generation: u64) -> Option<(&'a Version, &'a Service)> {
        definition(self.input.history, name, generation)
    }

    /// What is known of a slot's container.
    fn look(&self, slot: &Slot) -> Seen {
        let Some((_, service)) = self.definition(&slot.replica.service, slot.generation) else { return Seen::Unknown };
        if slot.held {
            return Seen::Missing;
        }
        let job = self.current.stack.is_job(&slot.replica.service);
        seen::look(slot, service, job, self.input.reports.get(&slot.host), self.input.now)
    }
}

/// The service `name` in a generation.
fn definition<'a>(history: &'a [Version], name: &str, generation: u64) -> Option<(&'a Version, &'a Service)> {
    let version = history.iter().find(|v| v.generations.get(name) == Some(&generation))?;
    Some((version, version.stack.services.get(name)?))
}
