//! Resources of a yard as they stand.

use serde::{Deserialize, Serialize};
use stackyard_core::yard::Kind;
use utoipa::ToSchema;

/// A resource as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResourceStatus {
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

impl ResourceStatus {
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
