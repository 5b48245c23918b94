//! How the resources of a yard stand.

use crate::Session;
use serde::{Deserialize, Serialize};
use stackyard_core::yard::Kind;
use stackyard_core::yard::observed::State;
use stackyard_core::yard::plan::{Action, Step};
use utoipa::ToSchema;

/// A resource as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResourceNow {
    /// Its kind.
    pub kind: Kind,
    /// Its name within the kind.
    pub name: String,
    /// How it stands, in a word.
    pub state: ResourceState,
    /// More about the state: why it is broken, the cloud's word.
    pub why: Option<String>,
    /// What people want to know: addresses, sizes.
    pub detail: String,
    /// Its id in the cloud.
    pub id: Option<String>,
}

/// How a resource stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceState {
    /// As the manifest says.
    Ok,
    /// The manifest has it, the cloud does not.
    Missing,
    /// The cloud has it, the manifest does not.
    Unwanted,
    /// It differs from the manifest.
    Differs,
    /// It is on its way.
    Pending,
    /// It is stopped.
    Stopped,
    /// A host that was drained to be removed.
    SetApart,
    /// A host that works, and is to be made anew.
    Marked,
    /// It is of no use any more.
    Broken,
}

impl ResourceNow {
    /// The state for people.
    pub fn state_text(&self) -> String {
        let why = self.why.as_deref().unwrap_or_default();
        match self.state {
            ResourceState::Ok => "ok".to_owned(),
            ResourceState::Missing => "missing".to_owned(),
            ResourceState::Unwanted => "not in the manifest".to_owned(),
            ResourceState::Differs => "differs".to_owned(),
            ResourceState::Pending | ResourceState::Stopped => why.to_owned(),
            ResourceState::SetApart => "set apart".to_owned(),
            ResourceState::Marked => format!("to be replaced: {why}"),
            ResourceState::Broken => format!("BROKEN: {why}"),
        }
    }
}

impl Session<'_> {
    /// The resources of the yard, those that are missing and those that nobody wants among them;
    /// without rules of security groups.
    pub fn resources(&self) -> Vec<ResourceNow> {
        let notes = self.notes();
        let steps = self.plan.steps.iter().filter(|s| s.action != Action::Discard && s.key.kind != Kind::Rule);
        let now = |step: &Step| {
            let seen = self.observed.resources.iter().find(|s| s.key == step.key && Some(&s.id) == step.id.as_ref());
            let (state, why) = match (seen.map(|s| &s.state), step.action) {
                (None, _) => (ResourceState::Missing, None),
                (_, Action::Remove) => (ResourceState::Unwanted, None),
                (Some(State::Broken(why)), _) => (ResourceState::Broken, Some(why.clone())),
                (Some(State::Pending(word)), _) => (ResourceState::Pending, Some(word.clone())),
                (Some(State::Stopped(word)), _) => (ResourceState::Stopped, Some(word.clone())),
                (Some(State::SetApart), _) => (ResourceState::SetApart, None),
                (Some(State::Marked(why)), _) => (ResourceState::Marked, Some(why.clone())),
                (_, Action::Change | Action::Recreate) => (ResourceState::Differs, None),
                _ => (ResourceState::Ok, None),
            };
            let detail = match seen.map(|s| &s.state) {
                Some(State::Elsewhere) => "another user's".to_owned(),
                _ => notes.get(&step.key).cloned().unwrap_or_default(),
            };
            ResourceNow { kind: step.key.kind, name: step.key.name.clone(), state, why, detail, id: step.id.clone() }
        };
        steps.map(now).collect()
    }
}
