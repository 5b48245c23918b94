//! Archives: a file or directory of this machine as a tar, the same bytes for the same content.
//!
//! Entries are sorted by name, belong to root and have no times; permissions are kept but for the bits that change
//! users. The top entry is called [`ARCHIVE_ROOT`]. Links stay links, and must not lead out of the tree: a container
//! would find something else there, or nothing.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use stackyard_core::stack::ARCHIVE_ROOT;
use stackyard_core::text::hex;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Bytes that the files of one archive may have: they are held in memory. A server allows fewer
/// (`stackyard server --files-limit`).
const MOST: u64 = 1 << 30;

/// Files, directories and links of one archive.
const ENTRIES: usize = 100_000;

/// Directories above one another.
const DEPTH: usize = 64;

/// A file or directory, packed.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedArchive {
    /// SHA-256 of the tar, 64 lowercase hex digits.
    pub digest: String,
    /// The tar.
    pub content: Bytes,
}

/// Shows no content.
impl std::fmt::Debug for PackedArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackedArchive").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Why something cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// It is not there.
    #[error("there is no such file or directory")]
    Absent,
    /// It is a directory without a file in it.
    #[error("it is an empty directory")]
    Empty,
    /// Something in it cannot be carried.
    #[error("{} {why}", .path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something in it cannot be read.
    #[error("reading {}: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn read(path: &Path) -> impl FnOnce(io::Error) -> PackError {
    let path = path.to_owned();
    move |source| PackError::Read { path, source }
}

fn refused(path: &Path, why: impl Into<String>) -> PackError {
    PackError::Refused { path: path.to_owned(), why: why.into() }
}

/// Packs a file or directory. `path` itself may be a link.
pub(crate) fn pack(path: &Path) -> Result<PackedArchive, PackError> {
    let root = path.canonicalize().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => PackError::Absent,
        _ => read(path)(e),
    })?;
    let mut tree = Tree { root: root.clone(), entries: Vec::new(), bytes: 0, keeps: false };
    tree.walk(&root, PathBuf::from(ARCHIVE_ROOT), 0)?;
    if !tree.keeps {
        return Err(PackError::Empty);
    }
    let content = tree.tar()?;
    Ok(PackedArchive { digest: hex(&Sha256::digest(&content)), content: content.into() })
}

/// What is to be packed, in the order of an archive.
struct Tree {
    root: PathBuf,
    entries: Vec<Entry>,
    bytes: u64,
    /// Whether there is any file but those that keep an empty directory in Git.
    keeps: bool,
}

struct Entry {
    path: PathBuf,
    /// In the archive.
    name: PathBuf,
    metadata: Metadata,
}

impl Tree {
    /// Notes `path` and all below it.
    fn walk(&mut self, path: &Path, name: PathBuf, depth: usize) -> Result<(), PackError> {
        let metadata = fs::symlink_metadata(path).map_err(read(path))?;
        let kind = metadata.file_type();
        if self.entries.len() >= ENTRIES || depth > DEPTH {
            return Err(refused(path, format!("is one too many: {ENTRIES} files and {DEPTH} levels are carried")));
        }
        if name.to_str().is_none() {
            return Err(refused(path, "has a name that is not UTF-8"));
        }
        if kind.is_symlink() {
            self.check_link(path)?;
        } else if kind.is_file() {
            self.bytes += metadata.len();
        } else if !kind.is_dir() {
            let what = if kind.is_socket() {
                "socket"
            } else if kind.is_fifo() {
                "pipe"
            } else {
                "device"
            };
            return Err(refused(path, format!("is a {what}, which cannot be carried to other machines")));
        }
        if self.bytes > MOST {
            return Err(refused(path, format!("is one too many: the files have more than {} MiB", MOST >> 20)));
        }
        let keeper = matches!(path.file_name().and_then(|n| n.to_str()), Some(".gitkeep" | ".gitignore"));
        self.keeps |= !(kind.is_dir() || keeper && depth > 0);
        self.entries.push(Entry { path: path.to_owned(), name: name.clone(), metadata });
        if !kind.is_dir() {
            return Ok(());
        }
        let inside: io::Result<Vec<_>> = fs::read_dir(path).and_then(|all| all.map(|e| Ok(e?.file_name())).collect());
        let mut inside = inside.map_err(read(path))?;
        inside.sort();
        inside.into_iter().try_for_each(|file| self.walk(&path.join(&file), name.join(&file), depth + 1))
    }

    /// Refuses a link that leads out of the tree, as it is written or as the machine follows it.
    fn check_link(&self, path: &Path) -> Result<(), PackError> {
        let target = fs::read_link(path).map_err(read(path))?;
        let out = || refused(path, format!("is a link to {}, which is not below what is mounted", target.display()));
        let mut at = path.parent().unwrap_or(path).to_owned();
        for part in target.components() {
            match part {
                Component::ParentDir => drop(at.pop()),
                Component::Normal(part) => at.push(part),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return Err(out()),
            }
            if !at.starts_with(&self.root) {
                return Err(out());
            }
        }
        // A link to nothing may stay: the container may bring its target.
        match path.canonicalize() {
            Ok(real) if !real.starts_with(&self.root) => Err(out()),
            _ => Ok(()),
        }
    }

    fn tar(self) -> Result<Vec<u8>, PackError> {
        let mut tar = Builder::new(Vec::with_capacity(usize::try_from(self.bytes).unwrap_or(0)));
        for entry in self.entries {
            let written = append(&mut tar, &entry);
            written.map_err(read(&entry.path))?;
        }
        tar.into_inner().map_err(read(&self.root))
    }
}

fn append(tar: &mut Builder<Vec<u8>>, entry: &Entry) -> io::Result<()> {
    let kind = entry.metadata.file_type();
    let mut header = Header::new_gnu();
    header.set_mode(entry.metadata.permissions().mode() & 0o777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    if kind.is_symlink() {
        // Links have no permissions; what they show differs between systems.
        header.set_mode(0o777);
        header.set_entry_type(EntryType::Symlink);
        tar.append_link(&mut header, &entry.name, fs::read_link(&entry.path)?)
    } else if kind.is_dir() {
        header.set_entry_type(EntryType::Directory);
        tar.append_data(&mut header, &entry.name, io::empty())
    } else {
        // Read whole: it may grow while it is read, and its length stands before it.
        let mut content = Vec::new();
        File::open(&entry.path)?.take(MOST).read_to_end(&mut content)?;
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, &entry.name, content.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn tree(dir: &Path) -> PathBuf {
        let tree = dir.join("conf");
        fs::create_dir_all(tree.join("init.d")).expect("made");
        fs::write(tree.join("init.d/run.sh"), "#!/bin/sh\n").expect("written");
        fs::set_permissions(tree.join("init.d/run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
        fs::write(tree.join("a.conf"), "a").expect("written");
        fs::set_permissions(tree.join("a.conf"), fs::Permissions::from_mode(0o600)).expect("set");
        symlink("init.d/run.sh", tree.join("run")).expect("linked");
        tree
    }

    #[test]
    fn the_same_content_is_the_same_archive() {
        let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let (one, two) = (tree(one.path()), tree(two.path()));
        let packed = pack(&one).expect("packed");
        assert_eq!(packed, pack(&two).expect("packed"));
        let mut tar = tar::Archive::new(&*packed.content);
        let entry = |e: io::Result<tar::Entry<'_, &[u8]>>| {
            let e = e.expect("an entry");
            let (header, path) = (e.header(), e.path().expect("a path").display().to_string());
            assert_eq!((header.uid().expect("uid"), header.mtime().expect("mtime")), (0, 0));
            (path, header.mode().expect("mode"))
        };
        let entries: Vec<(String, u32)> = tar.entries().expect("entries").map(entry).collect();
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["root", "root/a.conf", "root/init.d", "root/init.d/run.sh", "root/run"]);
        assert_eq!((entries[1].1, entries[3].1), (0o600, 0o755));
        // Permissions are content, names of what is mounted are not.
        fs::set_permissions(two.join("init.d/run.sh"), fs::Permissions::from_mode(0o644)).expect("set");
        assert_ne!(pack(&two).expect("packed").digest, packed.digest);
        let digest = |file: &str| pack(&one.join(file)).expect("packed").digest;
        assert_eq!(digest("run"), digest("init.d/run.sh"), "a link that is mounted is what it leads to");
    }

    #[test]
    fn what_cannot_be_carried_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let tree = tree(dir.path());
        let error = |path: &Path| pack(path).expect_err("refused").to_string();
        assert_eq!(error(&tree.join("none")), "there is no such file or directory");
        fs::write(dir.path().join("outside"), "x").expect("written");
        for target in ["/etc/passwd", "../outside", "../../conf/a.conf", "init.d/../../outside"] {
            symlink(target, tree.join("link")).expect("linked");
            let error = error(&tree);
            assert!(error.contains("conf/link is a link to") && error.contains(target), "{error}");
            fs::remove_file(tree.join("link")).expect("removed");
        }
        // Each is below as it is written; together they leave.
        symlink("..", tree.join("init.d/up")).expect("linked");
        symlink("init.d/up/../outside", tree.join("link")).expect("linked");
        assert!(error(&tree).contains("conf/link is a link to"), "{}", error(&tree));
        fs::remove_file(tree.join("link")).expect("removed");
        pack(&tree).expect("a link to a directory above it, inside");
        let _socket = UnixListener::bind(tree.join("socket")).expect("bound");
        assert!(error(&tree).ends_with("conf/socket is a socket, which cannot be carried to other machines"));
        assert!(error(&tree.join("socket")).contains("is a socket"));
    }

    #[test]
    fn a_directory_without_files_is_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("data/below")).expect("made");
        assert!(matches!(pack(&dir.path().join("data")), Err(PackError::Empty)));
        fs::write(dir.path().join("data/.gitkeep"), "").expect("written");
        assert!(matches!(pack(&dir.path().join("data")), Err(PackError::Empty)));
        fs::write(dir.path().join("data/.htaccess"), "").expect("written");
        pack(&dir.path().join("data")).expect("packed");
        fs::write(dir.path().join(".gitignore"), "x").expect("written");
        pack(&dir.path().join(".gitignore")).expect("a file that is mounted by its name");
    }
}
