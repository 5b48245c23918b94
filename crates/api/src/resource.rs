//! The health of a yard's resources.

use serde::Serialize;
use stackyard_core::health::Health;
use stackyard_core::yard::Kind;
use stackyard_core::yard::plan::Action;
use utoipa::ToSchema;

/// A resource of a yard: how it is in the cloud, and what the next run does with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResourceStatus {
    /// Its kind.
    pub kind: Kind,
    /// Its name within the kind.
    pub name: String,
    /// How it is in the cloud, whatever the manifest says.
    pub health: Health,
    /// Why it is not ready, in the cloud's words; or why the next run replaces it.
    pub reason: Option<String>,
    /// What the next run does with it; `keep` where the cloud has it as the manifest says.
    pub planned: Action,
    /// What people want to know: addresses, sizes.
    pub detail: String,
    /// Its id in the cloud.
    pub id: Option<String>,
}

impl ResourceStatus {
    /// Health and difference from the manifest, for people.
    pub fn state_text(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        match (self.health, self.planned) {
            (Health::Missing, _) => "missing".to_owned(),
            (_, Action::Remove) => "not in the manifest".to_owned(),
            (Health::Ready, Action::Change | Action::Recreate | Action::Discard)
                if reason.is_empty() =>
            {
                "differs".to_owned()
            }
            (Health::Ready, _) if !reason.is_empty() => format!("to be replaced: {reason}"),
            (Health::Failed, _) => format!("FAILED: {reason}"),
            (_, _) if !reason.is_empty() => reason.to_owned(),
            (health, _) => health.to_string(),
        }
    }
}
