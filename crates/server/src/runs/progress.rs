//! How far a run is: what the engine tells, kept so that it can be shown at any time.
//!
//! Nothing is queued for readers. Each step carries the number of its last change; who has seen
//! everything up to a number is told what changed since, however long it was away and however
//! slowly it reads.

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use stackyard_api::{RunStep, StepState};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::plan::{Action, Plan};
use std::collections::HashMap;
use tokio::sync::watch;

/// Notes of a step, or of the run, that are kept; the oldest go first.
const NOTES: usize = 20;

/// All that is known of how far a run is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProgressSnapshot {
    /// The steps, in the order of the plan.
    pub steps: Vec<RunStep>,
    /// What was said that is of no step.
    pub notes: Vec<String>,
}

/// How long steps took that were done: by what they are about and what was done, and by their kind.
#[derive(Debug, Default)]
pub struct DurationHistory(HashMap<(String, String), Vec<u64>>);

impl DurationHistory {
    /// By runs of before.
    pub fn of_runs(runs: impl IntoIterator<Item = ProgressSnapshot>) -> Self {
        let mut all = Self::default();
        for step in runs.into_iter().flat_map(|r| r.steps).filter(|s| s.state == StepState::Done) {
            if let (Some(action), Some(took)) = (step.action, step.took_ms) {
                let kind = kind(&step.step).to_owned();
                all.0.entry((kind, action.clone())).or_default().push(took);
                all.0.entry((step.step, action)).or_default().push(took);
            }
        }
        all.0.values_mut().for_each(|took| took.sort_unstable());
        all
    }

    /// The middle of what such a step took.
    fn of(&self, step: &str, action: Option<&str>) -> Option<u64> {
        let of = |name: &str| self.0.get(&(name.to_owned(), action?.to_owned()));
        let took = of(step).or_else(|| of(kind(step)))?;
        took.get(took.len() / 2).copied()
    }
}

/// `server web-1` is a server.
fn kind(step: &str) -> &str {
    step.rsplit_once(' ').map_or(step, |(kind, _)| kind)
}

#[derive(Debug, Default)]
struct ProgressState {
    now: ProgressSnapshot,
    by_name: HashMap<String, usize>,
    /// Parts of planned steps that are still to be done: a replacement is removed, then created.
    parts: HashMap<String, u8>,
}

/// How far a run is; by default nothing is known.
#[derive(Debug, Default)]
pub struct Progress {
    inner: Mutex<ProgressState>,
    seq: watch::Sender<u64>,
}

fn word(action: Action) -> String {
    serde_json::to_value(action).ok().and_then(|v| Some(v.as_str()?.to_owned())).unwrap_or_default()
}

impl ProgressState {
    fn step(&mut self, name: &str) -> &mut RunStep {
        let next = self.now.steps.len();
        let index = *self.by_name.entry(name.to_owned()).or_insert(next);
        if index == next {
            self.now.steps.push(RunStep {
                step: name.to_owned(),
                action: None,
                state: StepState::Waiting,
                doing: String::new(),
                amount: None,
                notes: Vec::new(),
                error: None,
                hint: None,
                took_ms: None,
                began_ms: None,
                usual_ms: None,
                after: Vec::new(),
                seq: 0,
            });
        }
        &mut self.now.steps[index]
    }
}

fn add(notes: &mut Vec<String>, text: String) {
    if notes.len() == NOTES {
        notes.remove(0);
    }
    notes.push(text);
}

impl Progress {
    /// Lists what a plan says is to be done.
    pub fn expect(&self, plan: &Plan) {
        let mut inner = self.lock();
        for step in plan.steps.iter().filter(|s| s.action != Action::Keep) {
            let name = step.key.to_string();
            *inner.parts.entry(name.clone()).or_default() += 1;
            let of = inner.step(&name);
            of.action = Some(word(step.action));
            let others = step.after.iter().filter_map(|i| plan.steps.get(*i)).filter(|s| s.key != step.key);
            for other in others.map(|s| s.key.to_string()) {
                if !of.after.contains(&other) {
                    of.after.push(other);
                }
            }
        }
        for stack in plan.stacks.iter().filter(|s| s.action == Action::Remove) {
            inner.step(&format!("stack {}", stack.name)).action = Some(word(stack.action));
        }
        self.changed(&mut inner, |_| ());
    }

    /// Lists steps that are to be done: of each, its name and what is done in a word.
    pub fn expect_steps(&self, steps: impl IntoIterator<Item = (String, String)>) {
        let mut inner = self.lock();
        for (name, action) in steps {
            inner.step(&name).action = Some(action);
        }
        self.changed(&mut inner, |_| ());
    }

    /// Says how long steps usually take.
    pub fn recall(&self, usual: &DurationHistory) {
        let mut inner = self.lock();
        for step in &mut inner.now.steps {
            step.usual_ms = usual.of(&step.step, step.action.as_deref());
        }
        self.changed(&mut inner, |_| ());
    }

    /// Says that something about the run changed that is no step.
    pub fn touch(&self) {
        self.seq.send_modify(|n| *n += 1);
    }

    /// Says what was learnt when a run had ended: what to do about steps that failed, and that those
    /// which were not begun never will be.
    pub fn conclude(&self, hints: impl IntoIterator<Item = (String, String)>) {
        let mut inner = self.lock();
        for (name, hint) in hints {
            inner.step(&name).hint = Some(hint);
        }
        let next = *self.seq.borrow() + 1;
        for step in &mut inner.now.steps {
            match step.state {
                // How far one got that was under way, the next run finds out.
                StepState::Waiting | StepState::Running => step.state = StepState::Skipped,
                StepState::Failed => {}
                StepState::Done | StepState::Skipped => continue,
            }
            step.seq = next;
        }
        drop(inner);
        self.seq.send_replace(next);
    }

    /// How far it is now, and the number of the last change.
    pub fn snapshot(&self) -> (ProgressSnapshot, u64) {
        let inner = self.lock();
        (inner.now.clone(), *self.seq.borrow())
    }

    /// A number that grows with each change.
    pub fn seq(&self) -> watch::Receiver<u64> {
        self.seq.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, ProgressState> {
        self.inner.lock()
    }

    fn changed<T>(&self, inner: &mut ProgressState, change: impl FnOnce(&mut ProgressState) -> T) -> T {
        let result = change(inner);
        self.seq.send_modify(|n| *n += 1);
        result
    }

    /// Counts a part of a step as done; whether it was the last one.
    fn part_done(&self, name: &str) -> bool {
        self.lock().parts.get_mut(name).is_none_or(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        })
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut RunStep)) {
        let mut inner = self.lock();
        let seq = *self.seq.borrow() + 1;
        let step = inner.step(name);
        change(step);
        step.seq = seq;
        self.seq.send_replace(seq);
    }
}

impl Onlooker for Progress {
    fn see(&self, event: Event) {
        match event {
            Event::Started { step, doing } => self.change(&step, |s| {
                (s.state, s.doing) = (StepState::Running, doing);
                s.began_ms.get_or_insert_with(stackyard_api::now);
            }),
            Event::Progress { step, doing, amount } => self.change(&step, |s| {
                if let Some(doing) = doing {
                    (s.doing, s.amount) = (doing, None);
                }
                s.amount = amount.or(s.amount);
            }),
            Event::Note { step: Some(step), text } => self.change(&step, |s| add(&mut s.notes, text)),
            Event::Note { step: None, text } => {
                let mut inner = self.lock();
                self.changed(&mut inner, |inner| add(&mut inner.now.notes, text));
            }
            Event::Done { step, did, took } => {
                let state = if self.part_done(&step) { StepState::Done } else { StepState::Waiting };
                self.change(&step, |s| {
                    s.state = state;
                    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                    s.took_ms = Some(s.took_ms.unwrap_or(0).saturating_add(took));
                    (s.doing, s.amount) = (did, None);
                })
            }
            Event::Failed { step, error } => self.change(&step, |s| {
                (s.state, s.error, s.amount) = (StepState::Failed, Some(error), None);
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::yard::plan::{StackStep, Step};
    use stackyard_core::yard::{Key, Kind};
    use std::time::Duration;

    fn plan() -> Plan {
        let step = |action, kind, name: &str| Step {
            key: Key::new(kind, name),
            action,
            id: None,
            changes: Vec::new(),
            reasons: Vec::new(),
            loses_data: false,
            after: Vec::new(),
        };
        Plan {
            yard: "shop".to_owned(),
            steps: vec![
                step(Action::Discard, Kind::Server, "db"),
                step(Action::Recreate, Kind::Server, "db"),
                step(Action::Keep, Kind::Network, "front"),
                step(Action::Create, Kind::Volume, "data"),
            ],
            stacks: vec![StackStep {
                name: "site".into(),
                action: Action::Create,
                services: vec![],
                reasons: vec![],
                notes: vec![],
            }],
            refusals: Vec::new(),
        }
    }

    fn begun(step: &str) -> Event {
        Event::Started { step: step.to_owned(), doing: "working".to_owned() }
    }

    fn done(step: &str) -> Event {
        Event::Done { step: step.to_owned(), did: "made".to_owned(), took: Duration::from_millis(5) }
    }

    #[test]
    fn a_replacement_is_done_when_both_its_halves_are() {
        let progress = Progress::default();
        progress.expect(&plan());
        let names = |p: &Progress| p.snapshot().0.steps.iter().map(|s| s.step.clone()).collect::<Vec<_>>();
        assert_eq!(names(&progress), ["server db", "volume data"]);
        let db = |p: &Progress| p.snapshot().0.steps[0].clone();
        assert_eq!(db(&progress).action.as_deref(), Some("recreate"));
        for (event, state) in [
            (begun("server db"), StepState::Running),
            (done("server db"), StepState::Waiting),
            (begun("server db"), StepState::Running),
            (done("server db"), StepState::Done),
        ] {
            progress.see(event);
            assert_eq!(db(&progress).state, state);
        }
        assert_eq!(db(&progress).took_ms, Some(10));
        progress.see(begun("service site/web"));
        assert_eq!(names(&progress).last().map(String::as_str), Some("service site/web"));
    }

    #[test]
    fn steps_know_what_they_wait_for_and_how_long_such_took() {
        let before = Progress::default();
        before.expect(&plan());
        let took =
            |step: &str, ms| Event::Done { step: step.into(), did: "made".into(), took: Duration::from_millis(ms) };
        before.see(took("volume data", 40));
        let usual = DurationHistory::of_runs([before.snapshot().0]);

        let (progress, mut plan) = (Progress::default(), plan());
        plan.steps[3].after = vec![2];
        plan.steps.push(Step { key: Key::new(Kind::Volume, "more"), ..plan.steps[3].clone() });
        progress.expect(&plan);
        progress.recall(&usual);
        let steps = progress.snapshot().0.steps;
        let told: Vec<_> = steps.iter().map(|s| (s.step.as_str(), s.usual_ms, s.after.len())).collect();
        assert_eq!(told, [("server db", None, 0), ("volume data", Some(40), 1), ("volume more", Some(40), 1)]);
    }

    #[test]
    fn who_was_away_is_told_what_changed_since() {
        let progress = Progress::default();
        progress.expect(&plan());
        progress.see(begun("server db"));
        let (_, seen) = progress.snapshot();
        progress.see(begun("volume data"));
        let failed = Event::Failed { step: "volume data".to_owned(), error: "no quota".to_owned() };
        progress.see(failed);
        (0..50).for_each(|n| progress.see(Event::Note { step: Some("volume data".to_owned()), text: n.to_string() }));
        let (now, seq) = progress.snapshot();
        let since: Vec<_> = now.steps.iter().filter(|s| s.seq > seen).map(|s| s.step.as_str()).collect();
        assert_eq!((since, seq), (vec!["volume data"], seen + 52));
        assert_eq!((now.steps[1].notes.len(), now.steps[1].notes[0].as_str()), (NOTES, "30"));

        progress.conclude([("volume data".to_owned(), "ask for more".to_owned())]);
        let (end, last) = progress.snapshot();
        assert!(end.steps.iter().all(|s| s.seq == last), "{end:?}");
        assert_eq!(end.steps[0].state, StepState::Skipped);
        assert_eq!(end.steps[1].hint.as_deref(), Some("ask for more"));
        let kept: ProgressSnapshot = serde_json::from_value(serde_json::to_value(&end).unwrap()).unwrap();
        assert_eq!(kept.steps[1].error.as_deref(), Some("no quota"));
    }
}
