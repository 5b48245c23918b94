//! What a yard is to be, and what that would do.

use serde::{Deserialize, Serialize};
use stackyard_core::yard::plan::{Plan, Summary};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a yard is to be: as `manifest` says, or as it was at `revision`, or gone (`remove`).
///
/// Files that the manifest names (`compose: ./site/compose.yaml`) come along in `files`, by their paths
/// relative to it. Nothing else is read: no file, no variable and no program of the server's machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct YardRequest {
    /// The manifest, YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Files that it names: text by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// A revision that the yard had. Beside `manifest`, only the files of it are meant, where `files`
    /// has no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Remove the yard.
    #[serde(default)]
    pub remove: bool,
    /// Digest of the plan that somebody said yes to: if something else would be done by now, nothing
    /// is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Lose the data that the plan marks (`loses_data`). Without it, a run whose plan loses data is
    /// refused (422). With `plan`, a run that changes the yard loses what that plan marks and nothing
    /// else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_data_loss: bool,
}

/// What would be done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct YardPlan {
    /// The cloud.
    pub cloud: String,
    /// The plan, with the steps that keep what is there.
    pub plan: Plan,
    /// Counts of its steps.
    pub summary: Summary,
    /// There is nothing to do.
    pub noop: bool,
    /// Why it cannot be carried out.
    pub blockers: Vec<String>,
    /// What in the files has no effect.
    pub warnings: Vec<String>,
    /// Names this plan, for the run that is to carry out no other.
    pub digest: String,
}

/// That a manifest has no mistakes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ManifestChecked {
    /// The yard's name.
    pub yard: String,
    /// Its cloud, if it says.
    pub cloud: Option<String>,
}
