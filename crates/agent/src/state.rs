//! The state directory: what an agent must not forget.
//!
//! | file | what | lost, it |
//! |---|---|---|
//! | `lock` | held by the running agent | |
//! | `host.json` | id of the host, its token | must join again |
//! | `nonce.json` | nonce of the join that goes on | cannot ask for a join again that was answered |
//! | `desired.json` | what should run here | waits for the server to say it |
//! | `images.json` | images that came from the server | never removes those |
//! | `names.json` | names of containers on other hosts | waits for the server to tell them |
//! | `mtu.json` | MTU of container networks | finds it anew |
//! | `status.json` | for `stackyard agent status` | is written anew |
//! | `volume-ledger/` | volumes that may be attached here | does not give back volumes of stacks that it no longer has |
//! | `volumes/` | where volumes are mounted | makes it again |
//! | `stacks/` | configs and secrets that are mounted | is written anew |

use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where an agent keeps its state unless told otherwise.
pub const DEFAULT_DIR: &str = "/var/lib/stackyard-agent";

/// Whether a file must outlive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

/// A state directory.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// Keeps other agents out as long as it lives; the system releases it when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl StateDir {
    /// Opens a state directory, which is made when it is missing.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let dir = dir.into();
        // Docker mounts files of it, and wants to know them from the root.
        let dir = std::path::absolute(&dir).map_err(Error::file("make directory", &dir))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(Error::file("make directory", &dir))?;
        Ok(Self(dir))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes its lock.
    ///
    /// # Errors
    /// [`Error::Locked`] when another agent runs.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.0.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { dir: self.0.clone(), lock: path }),
            Err(TryLockError::Error(e)) => Err(Error::file("lock", path)(e)),
        }
    }

    /// Whether an agent runs.
    pub fn is_locked(&self) -> bool {
        matches!(self.lock(), Err(Error::Locked { .. }))
    }

    /// Reads a file; nothing when it is not there.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.0.join(name);
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::file("read", &path))?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::Invalid { path, problem: e.to_string() })
    }

    /// Writes a file so that it is there wholly or as it was before.
    pub(crate) fn write(&self, name: &str, value: &impl Serialize, durable: Durable) -> Result<(), Error> {
        let path = self.0.join(name);
        let bytes =
            serde_json::to_vec(value).map_err(|e| Error::Invalid { path: path.clone(), problem: e.to_string() })?;
        write_private(&path, &bytes, durable)
    }

    /// Removes a file; one that is gone is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(e)),
            _ => Ok(()),
        }
    }
}

/// Writes a file of mode 0600 beside, flushes and renames it.
pub(crate) fn write_private(path: &Path, content: &[u8], durable: Durable) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new-{}", std::process::id()));
    let beside = PathBuf::from(beside);
    // What a killed process with our number left may have another mode.
    let _ = std::fs::remove_file(&beside);
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        if durable == Durable::Yes {
            file.sync_all()?;
        }
        std::fs::rename(&beside, path)?;
        match path.parent() {
            Some(dir) if durable == Durable::Yes => File::open(dir)?.sync_all(),
            _ => Ok(()),
        }
    };
    written().map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path().join("state")).unwrap();
        assert_eq!(state.read::<u32>("x.json").unwrap(), None);
        state.write("x.json", &1_u32, Durable::Yes).unwrap();
        state.write("x.json", &2_u32, Durable::No).unwrap();
        assert_eq!(state.read::<u32>("x.json").unwrap(), Some(2));
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state.path().join("x.json")), mode(state.path())), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 1, "nothing is left beside");
        state.remove("x.json").unwrap();
        state.remove("x.json").unwrap();
    }

    #[test]
    fn one_agent_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let lock = state.lock().unwrap();
        assert!(matches!(state.lock(), Err(Error::Locked { .. })));
        assert!(state.is_locked());
        drop(lock);
        assert!(!state.is_locked());
    }
}
