//! What somebody wants a yard to be.

use crate::manifest::file_tree;
use stackyard_catalog::Problems;
use stackyard_catalog::manifest::{self, Yard};
use stackyard_core::yard::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the manifest of a caller is called in messages.
pub const FILE: &str = "yard.yaml";

/// What somebody wants a yard to be.
#[derive(Debug)]
pub enum YardIntent {
    /// As a manifest says.
    Up {
        /// The manifest.
        yard: Box<Yard>,
        /// The files that came with it, text by path.
        files: BTreeMap<String, String>,
    },
    /// Gone.
    Down {
        /// Its cloud, if its manifest says.
        cloud: Option<String>,
        /// Whether it has pools of hosts.
        has_pools: bool,
        /// Kinds of resources that its manifest has; all that can fail to be listed, if it has mistakes by now.
        kinds: BTreeSet<Kind>,
    },
}

impl YardIntent {
    /// As a manifest says that comes with files.
    ///
    /// # Errors
    /// Every mistake.
    pub fn up(text: String, files: BTreeMap<String, String>) -> Result<Self, Problems> {
        let yard = manifest::read_with(FILE, text, Arc::new(file_tree(&files)))?;
        Ok(Self::Up { yard: Box::new(yard), files })
    }

    /// Gone, with all that it has; `text` is its manifest.
    ///
    /// # Errors
    /// If the manifest is no YAML.
    pub fn down(text: &str) -> Result<Self, Problems> {
        let gist = manifest::gist(FILE, text)?;
        Ok(Self::Down { cloud: gist.cloud, has_pools: gist.has_pools, kinds: manifest::removed_kinds(FILE, text) })
    }

    /// Its cloud, if the manifest says.
    pub(crate) fn cloud(&self) -> Option<&str> {
        match self {
            Self::Up { yard, .. } => yard.intended.cloud.as_deref(),
            Self::Down { cloud, .. } => cloud.as_deref(),
        }
    }
}
