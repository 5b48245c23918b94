//! Stacks.

use super::part;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

part! {
    /// A stack: a Compose file or a package over the yard's hosts.
    Stack {
        /// Name.
        name: String,
        /// The Compose file, or several of which later ones override earlier ones; relative to the
        /// manifest.
        #[serde(default)]
        compose: Option<OneOrMany>,
        /// In the place of a Compose file the directory of a package, relative to the manifest:
        /// `./shop`.
        #[serde(default)]
        package: Option<String>,
        /// Answers to the package's questions, by name.
        #[serde(default)]
        answers: BTreeMap<String, Answer>,
        /// Profiles that are active.
        #[serde(default)]
        profiles: Vec<String>,
        /// Files with variables; `.env` beside the Compose file if absent and there is one.
        #[serde(default)]
        env_file: Option<OneOrMany>,
        /// Variables for the Compose file; they win over those of the environment and of files.
        #[serde(default)]
        variables: BTreeMap<String, String>,
        /// Only hosts of this pool are used.
        #[serde(default)]
        pool: Option<String>,
    }
}

/// An answer to a question of a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Answer {
    /// Yes or no.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(yes) => yes.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}
