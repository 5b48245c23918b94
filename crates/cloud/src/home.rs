//! The state directory, `$STACKYARD_HOME`.
//!
//! ```text
//! <home>/                      0700
//!   cloud/answers.yaml         what the user answered, kept for the next run
//!   cloud/secrets.yaml         generated secrets, 0600, never changed once made
//!   cloud/lock                 held by the process that changes the cloud
//!   stacks/<name>/             rendered configuration that containers mount (the engine's)
//!   images/                    locks and temporary files of image builds and uploads
//!   host.json                  whether KVM works, until the machine boots again
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Something went wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file or directory could not be used.
    #[error("{doing} {}", .path.display())]
    Io {
        /// What was tried: `reading`, `writing` ...
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process changes the cloud right now.
    #[error(
        "process {holder} is changing the cloud of {}; wait for it, or stop that: the next `stackyard cloud up` resumes",
        .path.display()
    )]
    Locked {
        /// The state directory.
        path: PathBuf,
        /// Process that holds the lock and what it does, as far as it is known.
        holder: String,
    },
    /// There is no place for state.
    #[error("no state directory: neither root nor HOME set; give one with --home")]
    Nowhere,
}

/// The state directory when the user names none: `/var/lib/stackyard` as root, else
/// `$XDG_DATA_HOME/stackyard` or `~/.local/share/stackyard`.
///
/// # Errors
/// [`HomeError::Nowhere`] without root, `XDG_DATA_HOME` and `HOME`.
pub fn default_dir() -> Result<PathBuf, HomeError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/stackyard"));
    }
    let env = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    env("XDG_DATA_HOME")
        .or_else(|| Some(env("HOME")?.join(".local/share")))
        .map(|data| data.join("stackyard"))
        .ok_or(HomeError::Nowhere)
}

/// The state directory of one cloud.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

/// Held while the cloud is being changed; the kernel frees it when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Home {
    /// The state in `dir`; nothing is made yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The stored answers.
    pub fn answers(&self) -> PathBuf {
        self.dir.join("cloud/answers.yaml")
    }

    /// The stored secrets.
    pub fn secrets(&self) -> PathBuf {
        self.dir.join("cloud/secrets.yaml")
    }

    /// Takes the lock that every change of the cloud needs; `doing` tells others what this process does.
    ///
    /// # Errors
    /// [`HomeError::Locked`] when another process has it.
    pub fn lock(&self, doing: &str) -> Result<Lock, HomeError> {
        let path = self.dir.join("cloud/lock");
        make_parent(&path)?;
        let io = |doing| {
            let path = path.clone();
            move |source| HomeError::Io { doing, path, source }
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("opening"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
                return Err(HomeError::Locked { path: self.dir.clone(), holder });
            }
            Err(fs::TryLockError::Error(source)) => return Err(io("locking")(source)),
        }
        file.set_len(0).map_err(io("writing"))?;
        writeln!(file, "{} ({doing})", std::process::id()).map_err(io("writing"))?;
        Ok(Lock { _file: file })
    }

    /// Forgets answers, secrets and rendered files; for `cloud down --purge`. The lock's
    /// file stays, since another process may be waiting on it.
    ///
    /// # Errors
    /// [`HomeError::Io`] when something could not be removed.
    pub fn purge(&self) -> Result<(), HomeError> {
        for path in [self.answers(), self.secrets(), self.dir.join("host.json")] {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(HomeError::Io { doing: "removing", path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads a file; `None` when there is none.
///
/// # Errors
/// [`HomeError::Io`] for every other trouble.
pub fn read(path: &Path) -> Result<Option<String>, HomeError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HomeError::Io { doing: "reading", path: path.to_owned(), source }),
    }
}

/// Writes a file with mode 0600 so that a crash leaves the old or the new content, never a
/// part: a temporary file beside it, synced, renamed over it.
///
/// # Errors
/// [`HomeError::Io`]
pub fn write_private(path: &Path, content: &str) -> Result<(), HomeError> {
    make_parent(path)?;
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|source| HomeError::Io { doing: "writing", path: path.to_owned(), source })
}

fn make_parent(path: &Path) -> Result<(), HomeError> {
    let Some(dir) = path.parent() else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| HomeError::Io {
        doing: "making",
        path: dir.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn private_files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cloud/secrets.yaml");
        write_private(&path, "a: 1\n").unwrap();
        write_private(&path, "b: 2\n").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("b: 2\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let held = home.lock("cloud up").unwrap();
        let error = home.lock("cloud down").unwrap_err().to_string();
        assert!(error.contains(&format!("process {} (cloud up) is", std::process::id())), "{error}");
        drop(held);
        home.lock("cloud down").unwrap();
    }
}
