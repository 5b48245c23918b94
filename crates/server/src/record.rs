//! The record of yards: the manifest that was last applied, one file a yard, 0600. It says which
//! yards there ought to be; what there is, the cloud says.

use crate::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The directory with the records.
#[derive(Debug, Clone)]
pub struct Records {
    dir: PathBuf,
}

/// What a lock's file says from the first resource that is made until all is well.
const MAKING: &[u8] = b"making\n";

/// Held while a yard is changed; the kernel frees it when the process ends. Its file tells who takes
/// it next whether a run was broken off.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    unsettled: bool,
}

impl Lock {
    /// Whether an earlier run began to make resources and did not end well: the cloud may have
    /// been at work on what it had asked for when this lock was taken.
    pub fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Notes that resources will be made.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn making(&self) -> Result<(), Error> {
        self.file.write_all_at(MAKING, 0).map_err(trouble("writing", &self.path))
    }

    /// Notes that nothing is open any more.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn settled(&self) -> Result<(), Error> {
        self.file.set_len(0).map_err(trouble("emptying", &self.path))
    }
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
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Locked { path }),
            Err(fs::TryLockError::Error(e)) => return Err(trouble("locking", &path)(e)),
        }
        let unsettled = file.metadata().map_err(trouble("reading", &path))?.len() > 0;
        Ok(Lock { file, path, unsettled })
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

    #[test]
    fn a_lock_remembers_what_was_broken_off_until_it_is_settled() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        assert!(!records.lock("shop").unwrap().is_unsettled());
        records.lock("shop").unwrap().making().unwrap();
        for _ in 0..2 {
            assert!(records.lock("shop").unwrap().is_unsettled());
        }
        assert!(!records.lock("lab").unwrap().is_unsettled());
        records.lock("shop").unwrap().settled().unwrap();
        assert!(!records.lock("shop").unwrap().is_unsettled());
    }
}
