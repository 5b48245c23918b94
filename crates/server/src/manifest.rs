//! Manifests that the server keeps.

use crate::api_error::ApiError;
use stackyard_api::now;
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
