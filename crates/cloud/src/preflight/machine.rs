//! The machine that is looked at.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A machine, by the root of its files.
///
/// Tests give another root, with only those files in it that a check should see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The machine that this process runs on.
    pub fn this() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// A machine whose files stand below `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether this is the machine that this process runs on.
    pub fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where the file `path` (absolute) stands.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Content of a file; `None` when there is none, or it cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = std::fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Content of a small file without white space around it.
    pub fn line(&self, path: impl AsRef<Path>) -> Option<String> {
        Some(self.read(path)?.trim().to_owned())
    }

    /// A number in a small file.
    pub fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.line(path)?.parse().ok()
    }

    /// Whether `path` exists.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Names in a directory, sorted; empty when there is none.
    pub fn names(&self, dir: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(dir)) else { return vec![] };
        let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Where `program` stands in the directories of `search` (as in `PATH`).
    pub fn program(&self, program: &str, search: &str) -> Option<PathBuf> {
        search.split(':').filter(|d| d.starts_with('/')).map(|d| self.path(d).join(program)).find(|p| p.is_file())
    }

    /// Release of the running kernel.
    pub fn kernel(&self) -> String {
        self.line("/proc/sys/kernel/osrelease").unwrap_or_default()
    }

    /// A value of /proc/meminfo in MiB: `MemTotal`, `MemAvailable` ...
    pub fn memory(&self, key: &str) -> Option<u64> {
        let text = self.read("/proc/meminfo")?;
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
    }
}
