//! Containers of objects.

use super::Observer;
use stackyard_core::yard::observed::{Fields, Seen, State, Value};

/// Metadata in which a container keeps whether its objects may go with it.
pub(crate) const PURGE: &str = "stackyard-purge";
/// Metadata with the mark, for people: what is found by its name needs none.
pub(crate) const CONTAINER_MARK: &str = "stackyard";
/// Who may read a public container.
pub(crate) const PUBLIC: &str = ".r:*,.rlistings";

impl Observer<'_> {
    pub(super) fn object_containers(&self, resources: &mut Vec<Seen>) {
        for c in self.all.containers.there().into_iter().flatten() {
            let metadata = c.detail.metadata.iter();
            let own =
                metadata.filter(|(k, _)| *k != CONTAINER_MARK && !k.starts_with("stackyard-"));
            let purge = c.detail.metadata.get(PURGE).is_some_and(|v| v == "true");
            let fields = Fields::from([
                (
                    "public",
                    c.detail.read.split(',').any(|r| r.trim() == ".r:*").into(),
                ),
                ("metadata", Value::set(own.map(|(k, v)| format!("{k}={v}")))),
                ("purge", purge.into()),
                ("objects", c.detail.count.into()),
            ]);
            resources.extend(self.seen(&c.name, "", false, State::Ready, fields, Vec::new()));
        }
    }
}
