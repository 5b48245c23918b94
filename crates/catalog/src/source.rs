//! Where files of a package come from: a directory, or a tree held in memory.
//!
//! Paths are relative to the root, with `/` between parts. The trait is all that the rest
//! of the crate sees of a file system, so that a program can carry its packages inside.

use parking_lot::Mutex;
use stackyard_core::stack::Archive;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A tree of files.
pub trait Source: Send + Sync {
    /// Content of a file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] when there is none, or what the file system says.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// Paths of all files at or below a directory, sorted, relative to the root.
    ///
    /// # Errors
    ///
    /// What the file system says; a directory that is not there is an empty list.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Whether a directory is there (has at least one file somewhere below it).
    fn is_dir(&self, path: &str) -> bool {
        self.list(path).is_ok_and(|files| files.iter().any(|f| f != path))
    }

    /// Path on this machine of what `path` names, whether it is there or not; `None` when the tree is in memory.
    ///
    /// # Errors
    ///
    /// When the path leads out of a source that may not be left.
    fn locate(&self, path: &str) -> io::Result<Option<PathBuf>> {
        let _ = path;
        Ok(None)
    }

    /// The archive that a service mounts as `source`, where only its digest came along.
    fn archive(&self, source: &str) -> Option<Archive> {
        let _ = source;
        None
    }

    /// Absolute path of the root on this machine; `None` when the tree is in memory.
    fn root(&self) -> Option<&Path>;

    /// Name of the root in messages; empty when paths speak for themselves.
    fn name(&self) -> String {
        self.root().map(|r| r.display().to_string()).unwrap_or_default()
    }
}

/// Files below a directory of this machine.
#[derive(Debug, Clone)]
pub struct Dir {
    root: PathBuf,
    confined: bool,
}

impl Dir {
    /// A directory whose files may not be left: `..` and absolute paths are refused. For packages.
    ///
    /// # Errors
    ///
    /// When the directory is not there.
    pub fn package(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: root.as_ref().canonicalize()?, confined: true })
    }

    /// A directory from which any path of the machine may be named. For a user's Compose files.
    ///
    /// # Errors
    ///
    /// When the directory is not there.
    pub fn project(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: root.as_ref().canonicalize()?, confined: false })
    }

    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        if self.confined && !is_confined(path) {
            let message = format!("`{path}` leads out of the package");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let full = self.root.join(path);
        self.check_link(&full)?;
        Ok(full)
    }

    /// Refuses links that lead out of a package.
    fn check_link(&self, full: &Path) -> io::Result<()> {
        // What is not there is for the caller to find out.
        let Ok(real) = full.canonicalize() else { return Ok(()) };
        if self.confined && !real.starts_with(&self.root) {
            let message = format!("`{}` is a link out of the package", full.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(())
    }

    fn walk(&self, dir: &Path, prefix: &str, depth: usize, out: &mut Vec<String>) -> io::Result<()> {
        if depth > 32 {
            return Err(io::Error::other(format!("`{prefix}` is nested deeper than 32 directories")));
        }
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(io::Error::other(format!("a file name in `{prefix}` is not UTF-8")));
            };
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            self.check_link(&entry.path())?;
            // Follows links, as reading does.
            let meta = std::fs::metadata(entry.path())?;
            if meta.is_dir() {
                self.walk(&entry.path(), &path, depth + 1, out)?;
            } else {
                out.push(path);
            }
        }
        Ok(())
    }
}

impl Source for Dir {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.resolve(path)?)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let path = self.resolve(dir)?;
        // A path that leaves the root, which only a project may have, stays as it is.
        let dir = normalise(dir).unwrap_or_else(|| dir.trim_end_matches('/').to_owned());
        let mut files = Vec::new();
        if path.is_dir() {
            self.walk(&path, &dir, 0, &mut files)?;
        } else if path.is_file() {
            files.push(dir);
        }
        files.sort();
        Ok(files)
    }

    fn is_dir(&self, path: &str) -> bool {
        self.resolve(path).is_ok_and(|p| p.is_dir())
    }

    fn locate(&self, path: &str) -> io::Result<Option<PathBuf>> {
        self.resolve(path).map(Some)
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

/// Another source, and what was read from it.
pub struct WatchedSource<'a> {
    inner: &'a dyn Source,
    read: Mutex<BTreeSet<String>>,
}

impl<'a> WatchedSource<'a> {
    /// Watches a source.
    pub fn new(inner: &'a dyn Source) -> Self {
        Self { inner, read: Mutex::default() }
    }

    /// Paths of the files that were read so far.
    pub fn paths(self) -> BTreeSet<String> {
        self.read.into_inner()
    }
}

impl Source for WatchedSource<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let content = self.inner.read(path)?;
        self.read.lock().insert(path.to_owned());
        Ok(content)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn is_dir(&self, path: &str) -> bool {
        self.inner.is_dir(path)
    }

    fn locate(&self, path: &str) -> io::Result<Option<PathBuf>> {
        self.inner.locate(path)
    }

    fn archive(&self, source: &str) -> Option<Archive> {
        self.inner.archive(source)
    }

    fn root(&self) -> Option<&Path> {
        self.inner.root()
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

/// A tree in memory, and the archives whose content stayed where they were packed.
pub(crate) struct Shipped<'a> {
    /// The tree.
    pub(crate) tree: &'a Memory,
    /// By what services mount.
    pub(crate) archives: BTreeMap<String, Archive>,
}

impl Source for Shipped<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.tree.read(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.tree.list(dir)
    }

    fn archive(&self, source: &str) -> Option<Archive> {
        self.archives.get(source).cloned()
    }

    fn root(&self) -> Option<&Path> {
        None
    }

    fn name(&self) -> String {
        self.tree.name()
    }
}

/// Files in memory, for packages that a program carries and for tests.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    name: String,
}

impl Memory {
    /// An empty tree; `name` stands before paths in messages and may be empty.
    pub fn new(name: impl Into<String>) -> Self {
        Self { files: BTreeMap::new(), name: name.into() }
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// The files below a directory, as a tree of their own that is named after it.
    pub fn below(&self, dir: &str) -> Self {
        let mut tree = Self::new(dir);
        if let Some(dir) = normalise(dir) {
            let prefix = if dir.is_empty() { dir } else { dir + "/" };
            let inside = self.files.iter().filter_map(|(path, content)| Some((path.strip_prefix(&prefix)?, content)));
            tree.files.extend(inside.map(|(path, content)| (path.to_owned(), content.clone())));
        }
        tree
    }

    /// The same tree under another name in messages.
    #[must_use]
    pub fn renamed(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Takes a file away; its content, if it was there.
    pub fn remove(&mut self, path: &str) -> Option<Vec<u8>> {
        self.files.remove(path)
    }

    /// Whether there is a file at a path.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// All files, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// As [`Memory::insert`], for building in one expression.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.insert(path, content);
        self
    }
}

impl Source for Memory {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let found = normalise(path).and_then(|p| self.files.get(&p));
        found.cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let Some(dir) = normalise(dir) else { return Ok(Vec::new()) };
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        Ok(self.files.keys().filter(|f| **f == dir || f.starts_with(&prefix)).cloned().collect())
    }

    fn root(&self) -> Option<&Path> {
        None
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Whether a path stays below its root.
fn is_confined(path: &str) -> bool {
    normalise(path).is_some()
}

/// A relative path without `.` and `..`; `None` when it is absolute or leads above its root.
pub(crate) fn normalise(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::Normal(p) => parts.push(p.to_str()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(normalise("./config/./a/../b").as_deref(), Some("config/b"));
        assert_eq!(normalise(".").as_deref(), Some(""));
        assert_eq!(normalise("../x"), None);
        assert_eq!(normalise("a/../../x"), None);
        assert_eq!(normalise("/x"), None);
    }

    #[test]
    fn a_package_cannot_be_left() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("p")).expect("made");
        std::fs::write(dir.path().join("secret"), "x").expect("written");
        std::fs::write(dir.path().join("p/file"), "y").expect("written");
        let package = Dir::package(dir.path().join("p")).expect("there");
        assert_eq!(package.read("file").expect("read"), b"y");
        let error = package.read("../secret").expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        std::os::unix::fs::symlink("../secret", dir.path().join("p/link")).expect("linked");
        assert_eq!(package.read("link").expect_err("refused").kind(), io::ErrorKind::PermissionDenied);
        assert!(package.list("").is_err());
        assert!(Dir::project(dir.path().join("p")).expect("there").read("../secret").is_ok());
    }

    #[test]
    fn both_list_alike() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("config/a")).expect("made");
        let mut memory = Memory::new("");
        for path in ["config/a/x", "config/y", "config.yaml"] {
            std::fs::write(dir.path().join(path), path).expect("written");
            memory.insert(path, path);
        }
        let disk = Dir::package(dir.path()).expect("there");
        for at in ["config", "./config", "config/a", "nothing", "config.yaml", ""] {
            let disk = disk.list(at).expect("listed").iter().filter_map(|p| normalise(p)).collect::<Vec<_>>();
            assert_eq!(disk, memory.list(at).expect("listed"), "{at}");
        }
        assert!(memory.is_dir("config") && !memory.is_dir("config.yaml") && !memory.is_dir("nothing"));
        let below = memory.below("./config");
        assert_eq!(below.list("").expect("listed"), ["a/x", "y"]);
        assert!(memory.below("../config").list("").expect("listed").is_empty());
    }
}
