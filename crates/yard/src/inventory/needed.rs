//! What a yard needs to be known, and what it can do without.

use super::Inventory;
use crate::error::Error;
use crate::unseen::{FailedListing, OptionalListing};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::Kind;
use stackyard_core::yard::intend::Intended;
use stackyard_openstack::{Cloud, Error as CloudError, Result, TransportError};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a service may take to list what nobody asks for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for a listing: with patience if it is `needed`, else once or twice, and not for long.
pub(super) async fn ask<T>(
    cloud: &Cloud,
    needed: bool,
    question: impl AsyncFn(&Cloud) -> Result<T>,
) -> Result<T> {
    if needed {
        return question(cloud).await;
    }
    let cloud = cloud.without_retries();
    match tokio::time::timeout(PATIENCE, question(&cloud)).await {
        Ok(answer) => answer,
        Err(_) => Err(CloudError::Transport(Box::new(TransportError {
            what: "listing".to_owned(),
            url: "the service".to_owned(),
            message: format!("nothing came within {} s", PATIENCE.as_secs()),
            unsent: false,
            timed_out: true,
            attempts: 1,
        }))),
    }
}

impl Inventory {
    /// Lists everything that a yard is made of; what else cannot be listed is [`Self::unseen`].
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn take_of(cloud: &Cloud, yard: &Intended) -> std::result::Result<Self, Error> {
        let kinds = yard.kinds();
        let mut inventory = Self::take_for(cloud, |what| what.is_needed(&kinds)).await?;
        inventory.needs(&kinds, cloud)?;
        Ok(inventory)
    }

    /// Fails if something is not known that a plan for a yard with these kinds is made of.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    fn needs(&mut self, kinds: &BTreeSet<Kind>, cloud: &Cloud) -> std::result::Result<(), Error> {
        // What the user may not use at all stands in the way of single steps only: preflight says so.
        let told_later = |u: &FailedListing| {
            u.is_forbidden()
                && matches!(
                    u.what,
                    OptionalListing::LoadBalancers | OptionalListing::ObjectContainers
                )
        };
        match self
            .unseen
            .iter()
            .position(|u| u.what.is_needed(kinds) && !told_later(u))
        {
            None => Ok(()),
            Some(at) => {
                let FailedListing { what, error } = self.unseen.swap_remove(at);
                let cloud = &cloud.config().name;
                Err(Error::cloud(format!(
                    "cannot list {what}, which the yard has, in cloud {cloud}"
                ))(error))
            }
        }
    }

    /// Lines about what is not known and not needed.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let failed = self.unseen.iter().filter(|u| !u.is_forbidden());
        failed.map(|u| format!("note: {u}; the yard has none and does not need it"))
    }

    /// Tells of them.
    pub fn warn(&self, onlooker: &dyn Onlooker) {
        self.warnings()
            .for_each(|text| onlooker.see(Event::Note { step: None, text }));
    }
}
