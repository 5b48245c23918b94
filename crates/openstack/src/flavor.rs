//! Nova flavors.

use serde::Deserialize;
use serde::Serialize;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource};

/// A flavor.
#[derive(Debug, Clone, Deserialize)]
pub struct Flavor {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Memory, in MiB.
    pub ram: u64,
    /// Root disk, in GiB; 0 where the image's size or a volume decides.
    pub disk: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

/// A flavor to create (administrators).
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewFlavor {
    /// Name.
    pub name: String,
    /// Memory, in MiB.
    pub ram: u64,
    /// Root disk, in GiB.
    pub disk: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// Free text; where Stackyard puts its mark.
    pub description: String,
}

impl Resource for Flavor {
    type New = NewFlavor;
    const KIND: Kind = Kind {
        service: Service::Compute,
        noun: "flavor",
        path: "/flavors",
        list: "/flavors/detail",
        one: "flavor",
        many: "flavors",
        by_name: ByName::Scan,
        // 2.55 brought descriptions.
        microversion: Some("2.55"),
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}
