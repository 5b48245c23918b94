//! The plan: what must be done so that the cloud has a yard as intended.
//!
//! [`plan`] is pure: the same input gives the same plan. Carried out wholly or in part, planned
//! again, it never does a thing twice.
//!
//! | seen | intended | step |
//! |---|---|---|
//! | nothing | resource | create |
//! | fields differ that can be changed; stopped | resource | change |
//! | fields differ that cannot; broken; marked; made from what is replaced | resource | discard, then recreate |
//! | still becoming | resource | wait |
//! | as intended | resource | keep |
//! | a double: the one that is used stays, else the oldest | resource | remove |
//! | resource | nothing | remove |
//!
//! A step that removes what holds data says so ([`Step::loses_data`]): a volume, or an object
//! container with objects. It is carried out only with a word of its own for it, so what holds no
//! data must not ask for one: what is being removed already, a double that nothing uses, and what
//! observation says is empty ([`NO_DATA`](super::observed::NO_DATA)).
//!
//! Steps form a graph without cycles. What is made waits for what it needs; what is removed waits
//! for the removal of all that use it. From removing to making lead two kinds of edges (a security
//! group goes after its ports have left it, a router's foot after the floating IPs); what is made
//! and waits for a removal (for an address, a subnet's place at a router, a volume) waits for none
//! of these. Hosts of a pool are replaced a few at a time.

mod decide;
mod edges;
mod pools;
mod stacks;
mod text;

pub use stacks::{Deployed, ServiceStep, StackStep};

use super::intend::Intended;
// `Value` alone is "anything" to utoipa.
use super::observed::{Observed, Value as FieldValue};
use super::{Key, Kind};
use serde::Serialize;

/// What must be done, as a graph of steps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Plan {
    /// Name of the yard.
    pub yard: String,
    /// The steps: first those that remove.
    pub steps: Vec<Step>,
    /// What is done about stacks: those that go before the steps, all others after them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackStep>,
    /// Why it must not be carried out, in words: what cannot be done and was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PlanStep)]
pub struct Step {
    /// About what.
    pub key: Key,
    /// What is done.
    pub action: Action,
    /// Id of what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Fields that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Why, beside the fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Whether data is lost: of the volume that is removed or replaced, or the container's objects.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub loses_data: bool,
    /// Indexes of the steps that must have ended well before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<usize>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlanAction)]
pub enum Action {
    /// Nothing.
    Keep,
    /// Make it.
    Create,
    /// Change it in place.
    Change,
    /// Wait until it is ready.
    Await,
    /// First half of a replacement: remove it.
    Discard,
    /// Second half of a replacement: make it anew.
    Recreate,
    /// Remove it.
    Remove,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PlanChange)]
pub struct Change {
    /// The field.
    pub field: &'static str,
    /// What it is.
    pub from: FieldValue,
    /// What it should be.
    pub to: FieldValue,
    /// Whether that takes a replacement.
    pub replace: bool,
}

/// Counts of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
#[schema(as = PlanSummary)]
pub struct Summary {
    /// To make.
    pub create: usize,
    /// To change in place.
    pub change: usize,
    /// To replace.
    pub replace: usize,
    /// To remove.
    pub remove: usize,
    /// To wait for.
    pub wait: usize,
    /// Unchanged.
    pub keep: usize,
    /// Those of the replaced and removed whose data is lost.
    pub lose_data: usize,
}

/// Works out what must be done so that the cloud has the yard as intended. What cannot be done
/// is in [`Plan::refusals`].
pub fn plan(intended: &Intended, observed: &Observed) -> Plan {
    let mut planner = decide::Planner::new(intended, observed);
    planner.decide();
    planner.finish()
}

/// Works out what must be done so that nothing is left of the yard.
pub fn removal(yard: &str, observed: &Observed) -> Plan {
    plan(&Intended { yard: yard.to_owned(), ..Intended::default() }, observed)
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_noop(&self) -> bool {
        self.refusals.is_empty() && self.actions().all(|a| a == Action::Keep)
    }

    /// Actions of all steps, those about stacks among them.
    fn actions(&self) -> impl Iterator<Item = Action> {
        self.steps.iter().map(|s| s.action).chain(self.stacks.iter().map(|s| s.action))
    }

    /// Counts of its steps.
    pub fn summary(&self) -> Summary {
        let mut sum = Summary::default();
        for action in self.actions() {
            match action {
                Action::Keep => sum.keep += 1,
                Action::Create => sum.create += 1,
                Action::Change => sum.change += 1,
                Action::Await => sum.wait += 1,
                Action::Discard => {}
                Action::Recreate => sum.replace += 1,
                Action::Remove => sum.remove += 1,
            }
        }
        sum.lose_data = self.losses().count();
        sum
    }

    /// The steps that take data away, each resource once.
    pub fn losses(&self) -> impl Iterator<Item = &Step> {
        let takes = |s: &&Step| s.loses_data && matches!(s.action, Action::Remove | Action::Discard);
        self.steps.iter().filter(takes)
    }

    /// Whether something that exists is removed or replaced.
    pub fn destroys(&self) -> bool {
        self.actions().any(|a| matches!(a, Action::Remove | Action::Discard))
    }

    /// The steps that make, change or keep, by kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |s| s.key.kind == kind)
    }
}
