//! Object containers.

use super::part;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

part! {
    /// A container of objects. In the cloud it is called `stackyard_<yard>__<scope>_<name>`.
    ObjectContainer {
        /// Name.
        name: String,
        /// Whether everybody may read and list it.
        #[serde(default)]
        public: Option<bool>,
        /// Metadata of your own: letters, digits and dashes in its keys, which are the same in
        /// upper and lower case.
        #[serde(default)]
        metadata: Option<BTreeMap<String, String>>,
        /// Whether its objects may go with it; unless said, a container is only removed when it
        /// is empty.
        #[serde(default)]
        purge: bool,
    }
}
