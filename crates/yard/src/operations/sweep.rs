//! Resources that carry our mark and belong to no known yard.

use super::KnownYards;
use crate::error::Error;
use crate::inventory::{Inventory, MarkedResource};
use crate::unseen::FailedListing;
use stackyard_openstack::Cloud;

/// What a sweep finds.
#[derive(Debug, Default)]
pub struct SweepResult {
    /// Marked resources of yards without a record.
    pub orphans: Vec<MarkedResource>,
    /// What could not be looked at.
    pub unseen: Vec<FailedListing>,
}

/// Marked resources of the project and region whose yard is none of `known`.
///
/// # Errors
/// [`Error::Cloud`]
pub async fn sweep(cloud: &Cloud, known: &KnownYards) -> Result<SweepResult, Error> {
    let inventory = Inventory::take(cloud).await?;
    let mut orphans = inventory.owned();
    orphans.retain(|o| !known.has(&o.mark));
    orphans.sort();
    Ok(SweepResult {
        orphans,
        unseen: inventory.unseen,
    })
}
