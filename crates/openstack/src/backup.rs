//! Cinder backups.

use serde::Deserialize;
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::{ByName, Kind, Resource, request};

/// A backup of a volume.
#[derive(Debug, Clone, Deserialize)]
pub struct Backup {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// `creating`, `available`, `restoring`, `error` ...
    #[serde(default)]
    pub status: String,
    /// The volume's id.
    #[serde(default)]
    pub volume_id: Option<String>,
    /// Size, in GiB.
    #[serde(default)]
    pub size: Option<u64>,
    /// Why it failed.
    #[serde(default)]
    pub fail_reason: Option<String>,
    /// Free text; where Stackyard puts its mark.
    #[serde(default)]
    pub description: Option<String>,
}

request! {
    /// A backup to make.
    NewBackup {
        /// The volume's id.
        volume_id: String,
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Object container.
        container: Option<String>,
        /// Whether it may be made while the volume is attached.
        force: Option<bool>,
        /// Whether it builds on the one before.
        incremental: Option<bool>,
    }
}

impl Resource for Backup {
    type New = NewBackup;
    const KIND: Kind = Kind {
        service: Service::Volume,
        noun: "backup",
        path: "/backups",
        list: "/backups/detail",
        one: "backup",
        many: "backups",
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
    fn reason(&self) -> Option<String> {
        self.fail_reason.clone()
    }
}

impl Cloud {
    /// Restores a backup into a volume, which it overwrites.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn restore_backup(&self, backup: &str, volume: &str) -> Result<()> {
        let call = self.call(crate::Method::POST, Service::Volume, format!("/backups/{}/restore", segment(backup)));
        call.on("backup", backup).json(&json!({"restore": {"volume_id": volume}})).done().await
    }
}
