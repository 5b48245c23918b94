//! Cinder volumes that belong to stacks, as other parts of a yard see them.
//!
//! The Stackyard server creates, attaches and detaches them (`crates/server/src/volumes`). A yard's plan leaves them
//! alone; removing the yard removes them, as all of its volumes, with the word that this takes.

use stackyard_core::yard::{Key, Kind, Mark, Scope};
use stackyard_openstack::Volume;

/// Separates stack and volume in the key of such a volume; no name of a manifest has it.
const SEPARATOR: char = ':';

/// Metadata of a volume that was attached once, so that there may be data on it.
pub const HOLDS_DATA: &str = "stackyard.data";

/// The mark of a stack's volume. `volume` is its key in the Compose file.
pub fn mark(yard: &str, scope: &Scope, stack: &str, volume: &str) -> Mark {
    Mark::new(
        yard,
        scope,
        &Key::new(Kind::Volume, format!("{stack}{SEPARATOR}{volume}")),
    )
}

/// The yard, the stack and the key of a volume that belongs to a stack. None of other volumes.
pub fn whose(volume: &Volume) -> Option<(Mark, String, String)> {
    let mark = Mark::from_metadata(&volume.metadata).filter(|m| m.key.kind == Kind::Volume)?;
    let (stack, key) = mark.key.name.split_once(SEPARATOR)?;
    let (stack, key) = (stack.to_owned(), key.to_owned());
    Some((mark, stack, key))
}
