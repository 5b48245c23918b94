//! Object containers.

use super::super::observed::{Fields, Value};
use super::{Key, Kind, Maker, Spec};
use std::collections::BTreeMap;

impl Maker<'_> {
    pub(super) fn object_containers(&mut self) {
        let spec = self.spec;
        for (i, container) in spec.object_containers.iter().enumerate() {
            let path = format!("spec.objectContainers[{i}]");
            self.name(&path, &container.name);
            let mut fields = Fields::from([("purge", container.purge.into())]);
            fields.extend(container.public.map(|on| ("public", on.into())));
            let mut metadata = BTreeMap::new();
            for (key, value) in container.metadata.iter().flatten() {
                let place = format!("{path}.metadata");
                let key = key.to_ascii_lowercase();
                if key.is_empty() || key.len() > 128 || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                    self.trouble(place, format!("`{key}` cannot be a key"), Some("use letters, digits and dashes"));
                } else if key == "stackyard" || key.starts_with("stackyard-") {
                    self.trouble(place, format!("`{key}` is Stackyard's own"), Some("use another name"));
                } else if value.trim() != value || value.is_empty() || value.len() > 256 || !is_header(value) {
                    let message = format!("the value of `{key}` cannot be kept by the object store");
                    self.trouble(place, message, Some("use 1 to 256 visible ASCII characters and inner spaces"));
                } else if metadata.insert(key.clone(), value.clone()).is_some() {
                    self.trouble(place, format!("`{key}` is there twice, since case does not count"), None);
                }
            }
            if container.metadata.is_some() {
                fields.insert("metadata", Value::set(metadata.iter().map(|(k, v)| format!("{k}={v}"))));
            }
            let make = Spec::ObjectContainer { public: container.public, metadata, purge: container.purge };
            self.add(&path, Key::new(Kind::ObjectContainer, &container.name), make, fields, Vec::new());
        }
    }
}

/// Whether a text can be a header's value everywhere.
fn is_header(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}
