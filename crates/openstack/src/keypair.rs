//! Nova keypairs.

use serde::Deserialize;
use serde_json::Value;

use crate::catalog::Service;
use crate::resource::{ByName, Kind, Resource, request};

/// The public half of a key. Its name is its id, and the only place for a mark.
#[derive(Debug, Clone, Deserialize)]
pub struct Keypair {
    /// Name, unique for the user.
    pub name: String,
    /// The public key.
    #[serde(default)]
    pub public_key: String,
    /// Its fingerprint.
    #[serde(default)]
    pub fingerprint: String,
}

request! {
    /// A key to upload. Keys that Nova would make are not supported: their private half would
    /// have been in its hands.
    NewKeypair {
        /// Name.
        name: String,
        /// The public key, as in authorized_keys.
        public_key: String,
    }
}

impl Resource for Keypair {
    type New = NewKeypair;
    const KIND: Kind = Kind {
        service: Service::Compute,
        noun: "keypair",
        path: "/os-keypairs",
        list: "",
        one: "keypair",
        many: "keypairs",
        by_name: ByName::Scan,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.name
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn unwrap(mut value: Value) -> Value {
        value.get_mut("keypair").map(Value::take).unwrap_or(value)
    }
}
