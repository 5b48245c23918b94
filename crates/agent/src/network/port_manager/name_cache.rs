//! Ids of what options name, so that the cloud is asked once.

use stackyard_openstack::{Resource, SecurityGroup};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What the group is called that ports get unless they say otherwise.
pub(crate) const DEFAULT_GROUP: &str = "default";

/// Ids by noun and name.
#[derive(Default)]
pub(crate) struct NameCache(Mutex<HashMap<(&'static str, String), String>>);

impl NameCache {
    /// Forgets all: something that was named is not there any more.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The id of the project's group `default`, once `learn_default_group` has asked for it.
    pub(crate) fn default_group(&self) -> Option<String> {
        self.known(SecurityGroup::KIND.noun, DEFAULT_GROUP)
    }

    /// What is known under a name.
    pub(crate) fn known(&self, noun: &'static str, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(noun, name.to_owned())).cloned()
    }

    /// Notes down what a name means.
    pub(crate) fn learn(&self, noun: &'static str, name: &str, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((noun, name.to_owned()), id.to_owned());
    }
}
