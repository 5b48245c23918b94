//! The lock of a yard: one run at a time.

use crate::error::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a lock's file says from the first resource that is made until all is well.
const MAKING: &[u8] = b"making\n";

/// Held while a yard is changed; the kernel frees it when the process ends. Its file tells the next run whether
/// this one was killed.
#[derive(Debug)]
pub struct YardLock {
    file: File,
    path: PathBuf,
    unsettled: bool,
}

impl YardLock {
    /// Takes the lock whose file is at `path`.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::File`].
    pub(super) fn take(path: PathBuf) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(trouble("opening", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path }),
            Err(TryLockError::Error(e)) => return Err(trouble("locking", &path)(e)),
        }
        let unsettled = file.metadata().map_err(trouble("reading", &path))?.len() > 0;
        Ok(Self {
            file,
            path,
            unsettled,
        })
    }

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
        self.file
            .write_all_at(MAKING, 0)
            .map_err(trouble("writing", &self.path))
    }

    /// Notes that nothing is open any more.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn settled(&self) -> Result<(), Error> {
        self.file
            .set_len(0)
            .map_err(trouble("emptying", &self.path))
    }
}

pub(super) fn trouble(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        doing,
        path,
        source,
    }
}
