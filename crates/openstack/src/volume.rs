//! Cinder volumes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::{ByName, Kind, Resource, request};

/// A volume.
#[derive(Debug, Clone, Deserialize)]
pub struct Volume {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// `creating`, `available`, `in-use`, `error` ...
    #[serde(default)]
    pub status: String,
    /// Size, in GiB.
    pub size: u64,
    /// Key and value pairs; where Stackyard puts its mark.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When it was created; sorts by time.
    #[serde(default)]
    pub created_at: String,
    /// Type's name.
    pub volume_type: Option<String>,
    /// Where it is.
    pub availability_zone: Option<String>,
    /// Where it is attached.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

/// A volume's place at a server.
#[derive(Debug, Clone, Deserialize)]
pub struct Attachment {
    /// The server's id.
    pub server_id: String,
    /// The device the hypervisor had in mind; the guest may name it otherwise.
    #[serde(default)]
    pub device: Option<String>,
}

request! {
    /// A volume to create.
    NewVolume {
        /// Name.
        name: String,
        /// Size, in GiB.
        size: u64,
        /// Free text.
        description: String,
        /// Type's name.
        volume_type: Option<String>,
        /// Image it is filled from.
        #[serde(rename = "imageRef")]
        image: Option<String>,
        /// Snapshot it is filled from.
        snapshot_id: Option<String>,
        /// Key and value pairs; where Stackyard puts its mark.
        metadata: BTreeMap<String, String>,
        /// Where it may be.
        availability_zone: Option<String>,
    }
}

impl Resource for Volume {
    type New = NewVolume;
    const KIND: Kind = Kind {
        service: Service::Volume,
        noun: "volume",
        path: "/volumes",
        list: "/volumes/detail",
        one: "volume",
        many: "volumes",
        by_name: ByName::Query,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
    fn status(&self) -> &str {
        &self.status
    }
}

impl Cloud {
    /// Sets a key of a volume's metadata; other keys stay.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn set_volume_metadata(&self, volume: &str, key: &str, value: &str) -> Result<()> {
        let path = format!("/volumes/{}/metadata", segment(volume));
        let call = self.call(crate::Method::POST, Service::Volume, path).on("volume", volume);
        call.json(&json!({"metadata": {key: value}})).idempotent().done().await
    }

    /// Grows a volume to `size` GiB; while attached this needs microversion 3.42.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn extend_volume(&self, volume: &str, size: u64) -> Result<()> {
        let call = self.call(crate::Method::POST, Service::Volume, format!("/volumes/{}/action", segment(volume)));
        call.on("volume", volume)
            .microversion(Some("3.42"))
            .json(&json!({"os-extend": {"new_size": size}}))
            .done()
            .await
    }
}
