//! Yards and their manifests.

use crate::RunView;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stackyard_core::text::hex;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A yard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct YardView {
    /// Its name.
    pub name: String,
    /// Grows with each change of the manifest; also the entity tag.
    pub revision: i64,
    /// When it was last changed (RFC 3339).
    pub updated: String,
    /// Its cloud, if the manifest says.
    #[serde(default)]
    pub cloud: Option<String>,
    /// Its newest run, if the server has carried any out.
    #[serde(default)]
    pub run: Option<RunView>,
}

/// A manifest that a yard has or had.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ManifestView {
    /// Its revision.
    pub revision: i64,
    /// Who kept it, as in the audit log; empty if that was not written down.
    pub actor: String,
    /// When (RFC 3339).
    pub kept: String,
}

/// A manifest with its text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ManifestText {
    /// Its revision.
    pub revision: i64,
    /// Who kept it, as in the audit log; empty if that was not written down.
    pub actor: String,
    /// When (RFC 3339).
    pub kept: String,
    /// The text, YAML.
    pub manifest: String,
    /// Paths of the files that came with it. What is in them is not told, since it may be secret.
    pub files: Vec<String>,
    /// Stands for the text and the files' contents: SHA-256, hexadecimal.
    pub digest: String,
}

/// What [`ManifestText::digest`] says of a manifest and its files.
pub fn manifest_digest(text: &str, files: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for part in [text]
        .into_iter()
        .chain(files.iter().flat_map(|(path, text)| [path.as_str(), text]))
    {
        // Lengths, so that no two others make the same.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}
