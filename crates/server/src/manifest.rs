//! Manifests that the server keeps.

use crate::api_error::ApiError;
use stackyard_api::now;
use stackyard_catalog::manifest::{Outline, gist, outline_with};
use stackyard_catalog::{Memory, Problems};
use stackyard_store::Store;
use std::collections::BTreeMap;

/// Keeps a manifest and the files that came with it; its revision. One that the yard has already is not
/// kept again.
pub(crate) async fn keep_manifest(
    store: &Store,
    yard: &str,
    text: &str,
    files: &BTreeMap<String, String>,
    actor: &str,
    at: Option<i64>,
) -> Result<i64, ApiError> {
    if let Some(there) = store.yard(yard).await? {
        if at.is_some_and(|at| at != there.revision) {
            return Err(ApiError::changed(&format!("yard {yard}")));
        }
        let last = store.manifest(yard, there.revision).await?;
        if last.is_some_and(|m| m.text == text && m.files == *files) {
            return Ok(there.revision);
        }
    }
    let revision = store.keep_yard(yard, text, files, actor, at, now()).await?;
    revision.ok_or_else(|| ApiError::changed(&format!("yard {yard}")))
}

/// What a manifest of a yard means; `file` is its name in messages. Packages are read from the files that the server keeps
/// with it; of those that it lacks, the outline has the names.
///
/// # Errors
/// Of the store; inside, the mistakes of the manifest.
pub(crate) async fn outline_of(
    store: &Store,
    yard: &str,
    file: &str,
    text: &str,
) -> Result<Result<Outline, Problems>, stackyard_store::Error> {
    let mut files = Memory::default();
    if gist(file, text).is_ok_and(|gist| gist.has_packages)
        && let Some(kept) = store.yard(yard).await?
        && let Some(manifest) = store.manifest(yard, kept.revision).await?
    {
        files = file_tree(&manifest.files);
    }
    Ok(outline_with(file, text, &files))
}

/// The files that came with a manifest, by their paths.
pub(crate) fn file_tree(files: &BTreeMap<String, String>) -> Memory {
    let mut tree = Memory::default();
    files.iter().for_each(|(path, text)| tree.insert(path.strip_prefix("./").unwrap_or(path), text.as_bytes()));
    tree
}
