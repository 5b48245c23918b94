//! Catalogs as archives and directories of others: read into memory, within limits, and without following links.

use crate::source::{Memory, normalise};
use flate2::read::GzDecoder;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tar::{Archive, EntryType};

/// Files of a catalog.
const FILES: usize = 20_000;
/// Bytes of one file.
const FILE_BYTES: u64 = 4 << 20;
/// Bytes of all files of a catalog, and of an archive once it is decompressed.
const BYTES: u64 = 64 << 20;
/// Directories above one another.
const DEPTH: usize = 16;
/// Bytes of a path.
const PATH_BYTES: usize = 255;

/// Why an archive or a directory is no catalog.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It cannot be read, or is no tar.
    #[error("cannot read {at}: {source}")]
    Read {
        /// The archive, directory or file.
        at: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something in it is refused.
    #[error("cannot take {at}: {why}")]
    Refused {
        /// The path in the archive or directory.
        at: String,
        /// The reason.
        why: String,
    },
}

fn refused(at: impl Into<String>, why: impl Into<String>) -> UnpackError {
    UnpackError::Refused { at: at.into(), why: why.into() }
}

/// A tree that grows within the limits.
struct BoundedTree {
    tree: Memory,
    files: usize,
    bytes: u64,
}

impl BoundedTree {
    fn new(name: &str) -> Self {
        Self { tree: Memory::new(name), files: 0, bytes: 0 }
    }

    /// Counts a file of this size, before it is read.
    fn admit(&mut self, path: &str, size: u64) -> Result<(), UnpackError> {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.files > FILES {
            return Err(refused(path, format!("a catalog has {FILES} files at most")));
        }
        if size > FILE_BYTES {
            return Err(refused(path, format!("it has {size} bytes; a file has {} MiB at most", FILE_BYTES >> 20)));
        }
        if self.bytes > BYTES {
            return Err(refused(path, format!("a catalog has {} MiB at most", BYTES >> 20)));
        }
        Ok(())
    }

    fn insert(&mut self, path: String, content: Vec<u8>) -> Result<(), UnpackError> {
        if self.tree.contains(&path) {
            return Err(refused(path, "it comes twice"));
        }
        self.tree.insert(path, content);
        Ok(())
    }
}

/// Reads a tar, or a tar that gzip compressed. `name` is the archive in messages.
///
/// # Errors
/// [`UnpackError`]: paths that are absolute or lead out of it, links, devices, more than the limits (64 MiB
/// decompressed, 4 MiB a file, 20,000 files, 16 directories above one another).
pub fn unpack(name: &str, archive: impl Read) -> Result<Memory, UnpackError> {
    let failed = |source| UnpackError::Read { at: name.to_owned(), source };
    let mut reader = BufReader::new(archive);
    let is_gzip = reader.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    if is_gzip { read_tar(name, GzDecoder::new(reader)) } else { read_tar(name, reader) }
}

fn read_tar(name: &str, reader: impl Read) -> Result<Memory, UnpackError> {
    let failed = |source| UnpackError::Read { at: name.to_owned(), source };
    // Headers and padding count, too: names of a tar may be as long as its files.
    let mut archive = Archive::new(reader.take(2 * BYTES));
    let mut tree = BoundedTree::new(name);
    let mut entries = 0;
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        entries += 1;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).chars().take(PATH_BYTES).collect::<String>();
        if entries > 2 * FILES {
            return Err(refused(shown, format!("an archive has {} entries at most", 2 * FILES)));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let path = std::str::from_utf8(&entry.path_bytes()).map(str::to_owned);
        let path = confined(&path.map_err(|_| refused(&shown, "its path is not UTF-8"))?)?;
        match kind {
            EntryType::Directory => {}
            _ if path.is_empty() => return Err(refused(shown, "it has no path")),
            EntryType::Regular | EntryType::Continuous => {
                tree.admit(&path, entry.size())?;
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(failed)?;
                tree.insert(path, content)?;
            }
            EntryType::Symlink | EntryType::Link => return Err(refused(shown, "it is a link")),
            _ => return Err(refused(shown, "it is neither a file nor a directory")),
        }
    }
    Ok(tree.tree)
}

/// A path without `.`; refused if it could lead out of the tree.
fn confined(path: &str) -> Result<String, UnpackError> {
    if path.len() > PATH_BYTES || path.split('/').count() > DEPTH + 1 {
        let shown: String = path.chars().take(PATH_BYTES).collect();
        return Err(refused(shown, format!("its path has more than {PATH_BYTES} bytes or {DEPTH} directories")));
    }
    if path.contains(char::is_control) {
        let shown = path.replace(char::is_control, "\u{fffd}");
        return Err(refused(shown, "its path has a control character"));
    }
    if path.split('/').any(|part| part == "..") || path.contains('\\') {
        return Err(refused(path, "its path leads out of the archive"));
    }
    normalise(path).ok_or_else(|| refused(path, "its path is absolute"))
}

/// Reads a directory of this machine, within the limits of an archive. Hidden files and directories are left out.
///
/// # Errors
/// [`UnpackError`], as of [`unpack`].
pub fn read_directory(dir: &Path) -> Result<Memory, UnpackError> {
    let mut tree = BoundedTree::new(&dir.display().to_string());
    walk(dir, "", &mut tree)?;
    Ok(tree.tree)
}

fn walk(dir: &Path, below: &str, tree: &mut BoundedTree) -> Result<(), UnpackError> {
    let failed = |source| UnpackError::Read { at: dir.display().to_string(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let full = entry.path();
        let shown = full.display().to_string();
        let name = entry.file_name().into_string().map_err(|_| refused(&shown, "its name is not UTF-8"))?;
        if name.starts_with('.') {
            continue;
        }
        let path = confined(&if below.is_empty() { name } else { format!("{below}/{name}") })?;
        let metadata = fs::symlink_metadata(&full).map_err(failed)?;
        if metadata.is_dir() {
            walk(&full, &path, tree)?;
        } else if metadata.is_file() {
            tree.admit(&shown, metadata.len())?;
            tree.insert(path, read_file(&full, metadata.len()).map_err(failed)?)?;
        } else if metadata.is_symlink() {
            return Err(refused(shown, "it is a link"));
        } else {
            return Err(refused(shown, "it is neither a file nor a directory"));
        }
    }
    Ok(())
}

/// A file that may grow while it is read.
fn read_file(path: &Path, size: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(size).read_to_end(&mut content)?;
    Ok(content)
}

/// A tree as a tar: the same bytes for the same files.
///
/// # Errors
/// A path that a tar cannot have.
pub fn pack_tree(tree: &Memory) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in tree.files() {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content)?;
    }
    builder.into_inner()
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
