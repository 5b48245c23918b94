//! Packages of a manifest.

use super::part;
use super::stack::Answer;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

part! {
    /// A package: the networks, servers, pools, stacks and other parts that it brings belong to the yard, and their
    /// names begin with its own.
    PackageEntry {
        /// Its name in this yard: lower case letters, digits, dashes.
        name: String,
        /// `CATALOG/NAME@VERSION`, or a directory relative to the manifest, which begins with `.` or `/`.
        package: String,
        /// SHA-256 of the package's files, as `sha256:` and 64 hex digits. A package of a catalog needs it;
        /// `stackyard catalog install` writes it.
        #[serde(default)]
        digest: Option<String>,
        /// Answers to its questions.
        #[serde(default)]
        answers: BTreeMap<String, Answer>,
    }
}
