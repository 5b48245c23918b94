//! `COMPOSE_*` variables and the standard names of Compose files: what counts when a user names nothing.

use super::open::OpenError;
use crate::interpolate::Variables;
use std::path::{Path, PathBuf};

/// Names of Compose files, the first that is there counts; each with those of files that override it.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// The Compose files for who names none: those of `COMPOSE_FILE`, else the first of the standard names in
/// `dir` or above, with the file that overrides it.
pub(super) fn compose_files(variables: &Variables, dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    if let Some(list) = said(variables, "COMPOSE_FILE") {
        let separator = said(variables, "COMPOSE_PATH_SEPARATOR").unwrap_or(":");
        return Ok(list.split(separator).filter(|p| !p.is_empty()).map(|p| dir.join(p)).collect());
    }
    let start = std::path::absolute(dir).map_err(|source| OpenError::Read { path: dir.to_owned(), source })?;
    let found = |dir: &Path, names: &[&str]| names.iter().map(|n| dir.join(n)).find(|p| p.is_file());
    for dir in start.ancestors() {
        if let Some(file) = found(dir, &NAMES) {
            return Ok(std::iter::once(file).chain(found(dir, &OVERRIDES)).collect());
        }
    }
    Err(OpenError::NotFound { names: NAMES.join(", "), dir: start })
}

/// The files of variables for who names none: those of `COMPOSE_ENV_FILES`, which must be there.
pub(super) fn env_files(variables: &Variables) -> Option<Vec<PathBuf>> {
    let list = said(variables, "COMPOSE_ENV_FILES")?;
    Some(list.split(',').map(str::trim).filter(|p| !p.is_empty()).map(PathBuf::from).collect())
}

/// Whether `.env` does not count (`COMPOSE_DISABLE_ENV_FILE`).
pub(super) fn ignores_env_file(variables: &Variables) -> bool {
    said(variables, "COMPOSE_DISABLE_ENV_FILE").is_some_and(|v| matches!(v.to_lowercase().as_str(), "1" | "true" | "t"))
}

/// The active profiles for who names none (`COMPOSE_PROFILES`).
pub(super) fn profiles(variables: &Variables) -> Vec<String> {
    let list = said(variables, "COMPOSE_PROFILES").unwrap_or_default();
    list.split(',').map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

/// The name of the stack for who gives none (`COMPOSE_PROJECT_NAME`).
pub(super) fn project_name(variables: &Variables) -> Option<String> {
    said(variables, "COMPOSE_PROJECT_NAME").map(str::to_owned)
}

fn said<'v>(variables: &'v Variables, name: &str) -> Option<&'v str> {
    variables.get(name).filter(|v| !v.is_empty())
}
