//! Pools are replaced a few hosts at a time.
//!
//! A host that works is removed only once others of its pool are back, so that no more than the
//! pool's `maxUnavailable` are away at once. Broken ones are away already: they are replaced
//! first, all at once.
//!
//! Where hosts have to go together (their network is replaced), there is no such order: a host
//! could only come back after all others have gone. Then the whole pool goes at once.

use super::super::Key;
use super::super::intend::Spec;
use super::super::observed::State;
use super::Action;
use super::decide::Planner;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A host that is replaced: the steps that take it away and bring it back.
struct Turn {
    pool: usize,
    broken: bool,
    discard: usize,
    recreate: usize,
}

impl Planner<'_> {
    /// Puts replacements of a pool's hosts in order.
    pub(super) fn pools_in_turns(&self, after: &mut [HashSet<usize>]) {
        let turns = self.turns();
        self.disks_grow_while_free(&turns, after);
        let gone: HashMap<usize, usize> = turns.iter().enumerate().map(|(i, t)| (t.discard, i)).collect();
        let mut together: BTreeSet<usize> = BTreeSet::new();
        for (i, turn) in turns.iter().enumerate() {
            if let Some(other) = waits_for_another(turn.recreate, i, after, &gone) {
                together.extend([turn.pool, turns[other].pool]);
            }
        }
        for (number, pool) in self.intended.pools.iter().enumerate() {
            if together.contains(&number) {
                continue;
            }
            let mine: Vec<&Turn> = turns.iter().filter(|t| t.pool == number).collect();
            let (broken, working): (Vec<&Turn>, Vec<&Turn>) = mine.into_iter().partition(|t| t.broken);
            for (i, turn) in working.iter().enumerate() {
                after[turn.discard].extend(broken.iter().map(|b| b.recreate));
                if let Some(before) = i.checked_sub(pool.at_once) {
                    after[turn.discard].insert(working[before].recreate);
                }
            }
        }
    }

    /// A volume that grows while its host is replaced does so while no server has it, which every
    /// storage can.
    fn disks_grow_while_free(&self, turns: &[Turn], after: &mut [HashSet<usize>]) {
        for turn in turns {
            let spec = self.wanted.get(&self.steps[turn.recreate].key).map(|r| &r.spec);
            let Some(Spec::Server(server)) = spec else { continue };
            let disk = server.host.as_ref().and_then(|h| h.disk.as_ref());
            if let Some(change) = disk.and_then(|d| self.making.get(&d.volume))
                && self.steps[*change].action == Action::Change
            {
                after[*change].insert(turn.discard);
            }
        }
    }

    fn turns(&self) -> Vec<Turn> {
        let discards: HashMap<&Key, (usize, bool)> = self
            .removing
            .iter()
            .filter(|(_, step)| self.steps[**step].action == Action::Discard)
            .map(|(seen, step)| {
                let seen = &self.observed.resources[*seen];
                (&seen.key, (*step, matches!(seen.state, State::Broken(_))))
            })
            .collect();
        let mut turns = Vec::new();
        for (pool, hosts) in self.intended.pools.iter().enumerate() {
            for key in &hosts.hosts {
                if let (Some((discard, broken)), Some(recreate)) = (discards.get(key), self.making.get(key)) {
                    turns.push(Turn { pool, broken: *broken, discard: *discard, recreate: *recreate });
                }
            }
        }
        turns
    }
}

/// Another turn whose removal this step waits for.
fn waits_for_another(step: usize, own: usize, after: &[HashSet<usize>], gone: &HashMap<usize, usize>) -> Option<usize> {
    let (mut open, mut known) = (vec![step], HashSet::from([step]));
    while let Some(step) = open.pop() {
        if let Some(turn) = gone.get(&step)
            && *turn != own
        {
            return Some(*turn);
        }
        open.extend(after[step].iter().filter(|s| known.insert(**s)));
    }
    None
}
