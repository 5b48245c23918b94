//! Resources that carry our mark and belong to no known yard.

use super::KnownYards;
use crate::error::Error;
use crate::inventory::{Inventory, Owned};
use crate::unseen::Unseen;
use stackyard_openstack::Cloud;

/// What a sweep finds.
#[derive(Debug, Default)]
pub struct Swept {
    /// Marked resources of yards without a record.
    pub orphans: Vec<Owned>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

/// Marked resources of the project and region whose yard is none of `known`.
///
/// # Errors
/// [`Error::Cloud`]
pub async fn sweep(cloud: &Cloud, known: &KnownYards) -> Result<Swept, Error> {
    let inventory = Inventory::take(cloud).await?;
    let mut orphans = inventory.owned();
    orphans.retain(|o| !known.has(&o.mark));
    orphans.sort();
    Ok(Swept { orphans, unseen: inventory.unseen })
}
