//! Keypairs.

use super::part;
use schemars::JsonSchema;
use serde::Deserialize;

part! {
    /// The public half of an SSH key.
    Keypair {
        /// Name.
        name: String,
        /// The key itself, as in authorized_keys.
        #[serde(default)]
        public_key: Option<String>,
        /// A file with it, relative to the manifest.
        #[serde(default)]
        public_key_file: Option<String>,
    }
}
