//! Changes of a stack's services: other images, other environments.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// What of a stack an update can change, as it was deployed last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StackDefinition {
    /// Its services by name.
    pub services: BTreeMap<String, ServiceDefinition>,
}

/// What of a service an update can change.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ServiceDefinition {
    /// Its image.
    pub image: String,
    /// Its environment: values by name.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for ServiceDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret.
        let names: Vec<&String> = self.environment.keys().collect();
        f.debug_struct("ServiceDefinition")
            .field("image", &self.image)
            .field("environment", &names)
            .finish()
    }
}

/// Changes of a stack's services.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StackUpdate {
    /// What is to be changed, by service.
    pub services: BTreeMap<String, ServiceUpdate>,
}

/// What is to be changed of a service.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceUpdate {
    /// Its image, `name[:tag][@digest]`; as it is if absent.
    pub image: Option<String>,
    /// Variables of its environment that get another value, or with `null` go; all others stay.
    pub environment: BTreeMap<String, Option<String>>,
}

impl fmt::Debug for ServiceUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret.
        let names: Vec<&String> = self.environment.keys().collect();
        f.debug_struct("ServiceUpdate")
            .field("image", &self.image)
            .field("environment", &names)
            .finish()
    }
}
