//! Clouds, and what they have to choose from.

use crate::DraftError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A cloud that the server knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloudView {
    /// Its name, for `spec.cloud` of a manifest.
    pub name: String,
}

/// A first manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DraftText {
    /// Its text; absent if there are mistakes in what was chosen.
    pub manifest: Option<String>,
    /// Mistakes.
    pub faults: Vec<DraftError>,
}

/// Something to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloudChoice {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Processors of a flavor.
    pub vcpus: u32,
    /// Disk in GiB: of a flavor what it has (0 is no limit), of an image what it needs.
    pub disk: u64,
    /// Memory in MiB: of a flavor what it has, of an image what it needs.
    pub ram: u64,
    /// Size of an image in bytes, if the cloud tells.
    pub size: Option<u64>,
    /// MTU of a network in bytes, if the cloud tells.
    pub mtu: Option<u32>,
    /// A network is another project's, which shares it.
    pub shared: bool,
}

/// What a cloud has to choose from; of each the first is the most sensible. What belongs to a yard is not
/// in it.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct CloudChoices {
    /// Flavors and what is in them. Those with a disk first, then the small ones.
    pub flavors: Vec<CloudChoice>,
    /// Active images and their sizes.
    pub images: Vec<CloudChoice>,
    /// External networks.
    pub externals: Vec<CloudChoice>,
    /// Networks that servers can be in.
    pub networks: Vec<CloudChoice>,
    /// The user's keypairs.
    pub keypairs: Vec<CloudChoice>,
    /// Whether there are load balancers.
    pub balances: bool,
    /// Whether there is an object store.
    pub stores: bool,
}

impl CloudChoices {
    /// The flavors on which a server from `image` can be; all of them if none fits, or if there is no such image.
    pub fn flavors_for(&self, image: Option<&str>) -> Vec<CloudChoice> {
        let needs = self.images.iter().find(|i| Some(i.name.as_str()) == image);
        let fits = |f: &&CloudChoice| {
            needs.is_none_or(|i| (f.disk == 0 || f.disk >= i.disk) && f.ram >= i.ram)
        };
        let fitting: Vec<CloudChoice> = self.flavors.iter().filter(fits).cloned().collect();
        if fitting.is_empty() {
            self.flavors.clone()
        } else {
            fitting
        }
    }
}
