//! Services that not every cloud has, that not every user may ask, and that a yard can do without.
//!
//! A listing that fails must not look like one without resources: a plan made of that would make a second volume
//! next to the first. So [`crate::Inventory::unseen`] says what is not known, and who plans for a yard that has such
//! resources stops there ([`crate::Inventory::take_of`]). For all others the failure is worth one line.

use stackyard_core::yard::Kind;
use stackyard_openstack::Error as CloudError;
use std::collections::BTreeSet;
use std::fmt;

/// A kind of resources that is listed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptionalListing {
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

impl OptionalListing {
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

impl fmt::Display for OptionalListing {
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
pub struct FailedListing {
    /// Of what.
    pub what: OptionalListing,
    /// What the service said.
    pub error: CloudError,
}

impl FailedListing {
    /// Whether it says no more than that the user may not ask, which holds for as long as the cloud does.
    pub fn is_forbidden(&self) -> bool {
        self.error.status() == Some(403)
    }
}

impl fmt::Display for FailedListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be listed: {}", self.what, self.error)
    }
}
