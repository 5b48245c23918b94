//! A container's network namespace: its end of a port's link moves there, and gets addresses and routes.
//!
//! A process that sets up one container enters the container's namespace and stays there; what it still has
//! to do where it came from goes over a [`Kernel`] that it has opened before.

use crate::Error;
use rustix::fs::{FsWord, fstatfs};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file system of namespaces (`NSFS_MAGIC`, linux/magic.h).
const NSFS: FsWord = 0x6e73_6673;

/// A network namespace, by a file of it: `/run/netns/NAME`, `/proc/PID/ns/net`.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    pub(crate) path: PathBuf,
}

impl Namespace {
    /// Opens one.
    ///
    /// # Errors
    /// What the system says; not found means that there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::of(File::open(path)?, path))
    }

    /// One that somebody else has opened, and what it is to be called in messages.
    pub fn of(file: impl Into<File>, path: &Path) -> Self {
        Self { file: file.into(), path: path.to_owned() }
    }

    /// Whether this thread is in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_current(&self) -> io::Result<bool> {
        let (it, own) = (self.file.metadata()?, std::fs::metadata("/proc/thread-self/ns/net")?);
        Ok((it.dev(), it.ino()) == (own.dev(), own.ino()))
    }

    /// Whether it is one: where one was, its file stays for a while, as an empty one.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_there(&self) -> io::Result<bool> {
        Ok(fstatfs(&self.file)?.f_type == NSFS)
    }

    /// Moves this thread there, for good.
    ///
    /// # Errors
    /// [`Error::Kernel`]: it is no network namespace, or the process may not.
    pub fn enter(&self) -> Result<(), Error> {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| Error::kernel(format!("enter network namespace {}", self.path.display()))(e.into()))
    }

    /// Opens sockets in there, on a thread of its own. They stay in that namespace wherever they are used.
    ///
    /// # Errors
    /// Those of [`Namespace::enter`], and [`Error::Kernel`] if `open` fails.
    pub fn open_sockets<T: Send>(&self, open: impl FnOnce() -> io::Result<T> + Send) -> Result<T, Error> {
        let failed = Error::kernel(format!("open sockets in network namespace {}", self.path.display()));
        self.within(|| open().map_err(failed))
    }

    /// Does something in there, on a thread of its own.
    ///
    /// # Errors
    /// Those of [`Namespace::enter`], and of the work.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
        let ended = || Error::kernel(format!("work in {}", self.path.display()))(io::Error::other("the thread ended"));
        std::thread::scope(|scope| {
            scope.spawn(|| self.enter().and_then(|()| work())).join().unwrap_or_else(|_| Err(ended()))
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
