//! Volumes.

use super::super::words::Size;
use super::part;
use schemars::JsonSchema;
use serde::Deserialize;

part! {
    /// A volume.
    Volume {
        /// Name.
        name: String,
        /// Size. It can grow, but not shrink.
        #[schemars(with = "Size")]
        size: Size,
        /// Type; the cloud's default if absent.
        #[serde(default, rename = "type")]
        volume_type: Option<String>,
        /// Image it is filled from.
        #[serde(default)]
        image: Option<String>,
        /// Where it is.
        #[serde(default)]
        availability_zone: Option<String>,
    }
}
