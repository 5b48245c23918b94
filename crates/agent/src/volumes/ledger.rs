//! A file for each volume that may be attached to this host.

use crate::Error;
use crate::state::{Durable, StateDir};
use serde::{Deserialize, Serialize};

/// What may be true of a volume; written before it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub(super) enum LedgerPhase {
    /// The server was asked to attach it, and may have done so. It is not mounted.
    Asked,
    /// It is attached, and may be mounted.
    Attached {
        /// Cinder's id.
        id: String,
    },
    /// It is not mounted, and the server was asked to detach it, or will be.
    Unmounted,
}

/// A volume in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LedgerEntry {
    pub(super) stack: String,
    /// Its key in the Compose file.
    pub(super) volume: String,
    #[serde(flatten)]
    pub(super) phase: LedgerPhase,
}

/// The ledger: files `volume-STACK:KEY.json`, next to the records of formats that were begun.
pub(super) struct VolumeLedger(StateDir);

const PREFIX: &str = "volume-";

fn file(stack: &str, key: &str) -> String {
    format!("{PREFIX}{stack}:{key}.json")
}

impl VolumeLedger {
    pub(super) fn open(state: &StateDir) -> Result<Self, Error> {
        StateDir::open(state.path().join("volume-ledger")).map(Self)
    }

    /// Its directory.
    pub(super) fn state(&self) -> &StateDir {
        &self.0
    }

    pub(super) fn read(&self, stack: &str, key: &str) -> Result<Option<LedgerPhase>, Error> {
        Ok(self.0.read::<LedgerEntry>(&file(stack, key))?.map(|e| e.phase))
    }

    pub(super) fn write(&self, stack: &str, key: &str, phase: LedgerPhase) -> Result<(), Error> {
        let entry = LedgerEntry { stack: stack.to_owned(), volume: key.to_owned(), phase };
        self.0.write(&file(stack, key), &entry, Durable::Yes)
    }

    pub(super) fn remove(&self, stack: &str, key: &str) -> Result<(), Error> {
        self.0.remove(&file(stack, key))
    }

    /// All of them.
    pub(super) fn all(&self) -> Result<Vec<LedgerEntry>, Error> {
        let dir = self.0.path();
        let mut all = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(Error::file("read directory", dir))? {
            let name = entry.map_err(Error::file("read directory", dir))?.file_name();
            if let Some(name) = name.to_str().filter(|n| n.starts_with(PREFIX) && n.ends_with(".json")) {
                all.extend(self.0.read::<LedgerEntry>(name)?);
            }
        }
        Ok(all)
    }
}
