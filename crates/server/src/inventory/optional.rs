//! Services that not every cloud has, that not every user may ask, and that a yard can do without.
//!
//! A listing that fails must not look like one without resources: a plan made of that would make a second volume
//! next to the first. So [`Inventory::unseen`] says what is not known, and who plans for a yard that has such
//! resources stops there ([`Inventory::take_of`]). For all others the failure is worth one line.

use super::Inventory;
use crate::error::Error;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::yard::Kind;
use stackyard_core::yard::intend::Intended;
use stackyard_openstack::{Cloud, Error as CloudError, Result, TransportError};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How long a service may take to list what nobody asks for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A kind of resources that is listed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Optional {
    /// The user's keypairs.
    Keypairs,
    /// Server groups.
    ServerGroups,
    /// Volumes.
    Volumes,
    /// Load balancers.
    LoadBalancers,
    /// Object containers.
    ObjectContainers,
}

impl Optional {
    /// Kinds of resources of yards that are found in this listing.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Keypairs => &[Kind::Keypair],
            Self::ServerGroups => &[Kind::ServerGroup],
            Self::Volumes => &[Kind::Volume, Kind::Attachment],
            Self::LoadBalancers => &[Kind::LoadBalancer],
            Self::ObjectContainers => &[Kind::ObjectContainer],
        }
    }

    /// Whether a yard with these kinds needs the listing.
    pub(crate) fn is_needed(self, kinds: &BTreeSet<Kind>) -> bool {
        self.kinds().iter().any(|k| kinds.contains(k))
    }
}

impl fmt::Display for Optional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keypairs => "keypairs (Nova)",
            Self::ServerGroups => "server groups (Nova)",
            Self::Volumes => "volumes (Cinder)",
            Self::LoadBalancers => "load balancers (Octavia)",
            Self::ObjectContainers => "object containers (Swift)",
        })
    }
}

/// A listing that failed.
#[derive(Debug)]
pub struct Unseen {
    /// Of what.
    pub what: Optional,
    /// What the service said.
    pub error: CloudError,
}

impl Unseen {
    /// Whether it says no more than that the user may not ask, which holds for as long as the cloud does.
    pub fn is_forbidden(&self) -> bool {
        self.error.status() == Some(403)
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be listed: {}", self.what, self.error)
    }
}

/// Asks for a listing: with patience if it is `needed`, else once or twice, and not for long.
pub(super) async fn ask<T>(cloud: &Cloud, needed: bool, question: impl AsyncFn(&Cloud) -> Result<T>) -> Result<T> {
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
        let told_later =
            |u: &Unseen| u.is_forbidden() && matches!(u.what, Optional::LoadBalancers | Optional::ObjectContainers);
        match self.unseen.iter().position(|u| u.what.is_needed(kinds) && !told_later(u)) {
            None => Ok(()),
            Some(at) => {
                let Unseen { what, error } = self.unseen.swap_remove(at);
                let cloud = &cloud.config().name;
                Err(Error::cloud(format!("cannot list {what}, which the yard has, in cloud {cloud}"))(error))
            }
        }
    }

    /// Lines about what is not known and not needed.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let failed = self.unseen.iter().filter(|u| !u.is_forbidden());
        failed.map(|u| format!("note: {u}; the yard goes on without, since it has none"))
    }

    /// Tells of them.
    pub fn warn(&self, onlooker: &dyn Onlooker) {
        self.warnings().for_each(|text| onlooker.see(Event::Note { step: None, text }));
    }
}
