//! The record of yards: the manifest that was last applied, one file a yard, 0600. It says which
//! yards there ought to be; what there is, the cloud says.

use crate::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The directory with the records.
#[derive(Debug, Clone)]
pub struct Records {
    dir: PathBuf,
}

/// Held while a yard is changed; the kernel frees it when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

fn trouble(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { doing, path, source }
}

impl Records {
    /// The records in state directory `home`.
    pub fn new(home: &Path) -> Self {
        Self { dir: home.join("yards") }
    }

    fn path(&self, yard: &str) -> PathBuf {
        self.dir.join(format!("{yard}.yaml"))
    }

    fn make(&self) -> Result<(), Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(trouble("making", &self.dir))
    }

    /// Takes a yard's lock.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::File`].
    pub fn lock(&self, yard: &str) -> Result<Lock, Error> {
        self.make()?;
        let path = self.dir.join(format!(".{yard}.lock"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(trouble("opening", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Locked { path }),
            Err(fs::TryLockError::Error(e)) => Err(trouble("locking", &path)(e)),
        }
    }

    /// Keeps a manifest; a crash leaves the old or the new one.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn keep(&self, yard: &str, manifest: &str) -> Result<(), Error> {
        self.make()?;
        let (path, new) = (self.path(yard), self.dir.join(format!(".{yard}.new")));
        let write = || {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            file.write_all(manifest.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(trouble("writing", &path))
    }

    /// The manifest that was last applied, if there is one.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn read(&self, yard: &str) -> Result<Option<String>, Error> {
        let path = self.path(yard);
        match fs::read_to_string(&path) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(trouble("reading", &path)(e)),
        }
    }

    /// Forgets a yard.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn forget(&self, yard: &str) -> Result<(), Error> {
        let path = self.path(yard);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(trouble("removing", &path)(e)),
            _ => Ok(()),
        }
    }

    /// Names of the yards with a record.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn yards(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(trouble("reading", &self.dir)(e)),
        };
        let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
        let mut yards: Vec<String> =
            names.filter(|n| !n.starts_with('.')).filter_map(|n| n.strip_suffix(".yaml").map(str::to_owned)).collect();
        yards.sort();
        Ok(yards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn records_are_private_and_can_be_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        assert!(records.yards().unwrap().is_empty());
        let lock = records.lock("shop").unwrap();
        assert!(matches!(records.lock("shop"), Err(Error::Locked { .. })));
        drop(lock);
        records.keep("shop", "kind: Yard\n").unwrap();
        let mode = fs::metadata(home.path().join("yards/shop.yaml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(records.yards().unwrap(), ["shop"]);
        assert_eq!(records.read("shop").unwrap().as_deref(), Some("kind: Yard\n"));
        assert_eq!(records.read("lab").unwrap(), None);
        records.forget("shop").unwrap();
        records.forget("shop").unwrap();
        assert!(records.yards().unwrap().is_empty());
    }
}
