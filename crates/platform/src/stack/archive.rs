//! Archives on the host: what a stack carries along, unpacked.
//!
//! ```text
//! <state>/archives/            0700
//!   <digest>/root              the file or directory that containers mount, read-only
//!   .new-*                     being unpacked; a killed process may leave one
//! ```
//!
//! A directory named by a digest is always complete: it is unpacked under another name, flushed and renamed. Owners are
//! root, permissions are those of the archive. Other users of the host get no further than `archives`.

use super::Error;
use super::apply::blocking;
use rustix::fs::syncfs;
use sha2::{Digest, Sha256};
use stackyard_core::stack::{ARCHIVE_ROOT, Archive, is_archive_digest};
use stackyard_core::text::hex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use tar::EntryType;

/// Begins the names of what is not complete.
const NEW: &str = ".new-";

/// The archives of a host, below its state directory.
#[derive(Debug, Clone)]
pub struct Archives {
    dir: PathBuf,
}

impl Archives {
    /// The archives below the state directory `state`.
    pub fn new(state: &Path) -> Self {
        Self { dir: state.join("archives") }
    }

    /// Path of what containers mount.
    pub(super) fn mounted(&self, archive: &Archive) -> PathBuf {
        self.dir.join(&archive.digest).join(ARCHIVE_ROOT)
    }

    /// Whether an archive is there, complete.
    pub fn has(&self, digest: &str) -> bool {
        self.dir.join(digest).is_dir()
    }

    /// A file without a name for the bytes of an archive: it goes with the process.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn scratch(&self) -> Result<File, Error> {
        self.make()?;
        tempfile::tempfile_in(&self.dir).map_err(Error::file("write in", &self.dir))
    }

    /// Unpacks an archive whose bytes are in `file`.
    ///
    /// # Errors
    /// [`Error::BadArchive`] if the bytes are others than `archive` says, or no such archive; [`Error::File`].
    pub async fn unpack(&self, archive: &Archive, file: File) -> Result<(), Error> {
        let (archives, archive) = (self.clone(), archive.clone());
        blocking(move || archives.unpack_now(&archive, file)).await
    }

    fn unpack_now(&self, archive: &Archive, mut file: File) -> Result<(), Error> {
        let bad = |why: String| Error::BadArchive { files: archive.source.clone(), why };
        let read = |e: io::Error| bad(e.to_string());
        if !archive.is_well_named() {
            return Err(bad(format!("{:?} is no digest", archive.digest)));
        }
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        let digest = digest(&mut file).map_err(read)?;
        if digest != archive.digest {
            return Err(bad(format!("its bytes have the digest {digest}, not {}", archive.digest)));
        }
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        self.make()?;
        let new = tempfile::Builder::new().prefix(NEW).tempdir_in(&self.dir);
        let new = new.map_err(Error::file("make a directory in", &self.dir))?;
        entries(new.path(), file).map_err(read)?;
        let flush = File::open(new.path()).and_then(|d| syncfs(&d).map_err(io::Error::from));
        flush.map_err(Error::file("flush", new.path()))?;
        let complete = self.dir.join(&archive.digest);
        match fs::rename(new.path(), &complete) {
            // Another process was first, with the same content.
            Err(_) if complete.is_dir() => return Ok(()),
            renamed => renamed.map_err(Error::file("write", &complete))?,
        }
        drop(new.keep());
        File::open(&self.dir).and_then(|d| d.sync_all()).map_err(Error::file("flush", &self.dir))
    }

    /// Removes what a killed process left half done.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn sweep(&self) -> Result<(), Error> {
        self.remove(|name| name.starts_with(NEW)).map(drop)
    }

    /// Removes complete archives that are not `used`; the digests of those that went.
    ///
    /// # Errors
    /// [`Error::File`]
    pub async fn collect(&self, used: BTreeSet<String>) -> Result<Vec<String>, Error> {
        let archives = self.clone();
        blocking(move || archives.collect_now(&used)).await
    }

    fn collect_now(&self, used: &BTreeSet<String>) -> Result<Vec<String>, Error> {
        self.remove(|name| is_archive_digest(name) && !used.contains(name))
    }

    /// The digest of the archive that `path`, a mount's source, is of.
    pub fn digest_of(&self, path: &str) -> Option<String> {
        let below = Path::new(path).strip_prefix(&self.dir).ok()?;
        let first = below.components().next()?.as_os_str().to_str()?;
        Some(first.to_owned()).filter(|d| is_archive_digest(d))
    }

    fn remove(&self, goes: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let mut gone = Vec::new();
        for path in super::files::entries(&self.dir)? {
            let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|n| goes(n)) else { continue };
            // Under another name first: a directory named by a digest is complete, also while it goes.
            let going = self.dir.join(format!("{NEW}gone-{name}"));
            fs::rename(&path, &going).map_err(Error::file("remove", &path))?;
            fs::remove_dir_all(&going).map_err(Error::file("remove", &going))?;
            gone.push(name.to_owned());
        }
        Ok(gone)
    }

    fn make(&self) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(Error::file("make directory", &self.dir))
    }
}

fn digest(file: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&piece[..n]),
        }
    }
}

/// Unpacks the entries of a tar below `dir`. Nothing is written through a link: each entry's directory is one that an
/// entry before it made.
fn entries(dir: &Path, tar: impl Read) -> io::Result<()> {
    let wrong = |path: &Path, why: &str| io::Error::other(format!("its entry {path:?} {why}"));
    let mut made: BTreeMap<PathBuf, u32> = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let plain = path.components().all(|c| matches!(c, Component::Normal(_))) && path.starts_with(ARCHIVE_ROOT);
        let parent = path.parent().unwrap_or(Path::new(""));
        if !plain || !(parent.as_os_str().is_empty() || made.contains_key(parent)) {
            return Err(wrong(&path, "is in no directory of the archive"));
        }
        let (at, mode) = (dir.join(&path), entry.header().mode()? & 0o777);
        match entry.header().entry_type() {
            EntryType::Directory => {
                DirBuilder::new().mode(0o700).create(&at)?;
                made.insert(path, mode);
            }
            EntryType::Regular => {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at)?;
                io::copy(&mut entry, &mut file)?;
                file.set_permissions(Permissions::from_mode(mode))?;
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.ok_or_else(|| wrong(&path, "is a link to nothing"))?;
                symlink(target, &at)?;
            }
            _ => return Err(wrong(&path, "is neither a file nor a directory nor a link")),
        }
    }
    // At the end, since nothing can be written into a directory that is read-only.
    for (path, mode) in made.iter().rev() {
        fs::set_permissions(dir.join(path), Permissions::from_mode(*mode))?;
    }
    // Docker would follow a link there, to files of the host.
    match fs::symlink_metadata(dir.join(ARCHIVE_ROOT)) {
        Ok(root) if !root.is_symlink() => Ok(()),
        Ok(_) => Err(wrong(Path::new(ARCHIVE_ROOT), "is a link")),
        Err(_) => Err(io::Error::other("it is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tar::{Builder, Header};

    fn entry(tar: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, mode: u32, content: &str) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        if kind == EntryType::Symlink {
            header.set_size(0);
            tar.append_link(&mut header, path, content).expect("a link");
        } else {
            header.set_size(content.len() as u64);
            // Not `set_path`, which takes no path that leaves the archive.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, content.as_bytes()).expect("an entry");
        }
    }

    fn packed(entries: &[(EntryType, &str, u32, &str)]) -> (Archive, File) {
        let mut tar = Builder::new(Vec::new());
        entries.iter().for_each(|(kind, path, mode, content)| entry(&mut tar, *kind, path, *mode, content));
        let bytes = tar.into_inner().expect("a tar");
        let digest = hex(&Sha256::digest(&bytes));
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("written");
        (Archive { source: "./x".into(), digest, size: bytes.len() as u64 }, file)
    }

    const DIR: EntryType = EntryType::Directory;
    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;

    #[test]
    fn permissions_and_links_survive() {
        let state = tempfile::tempdir().expect("a directory");
        let archives = Archives::new(state.path());
        let (archive, file) = packed(&[
            (DIR, "root", 0o555, ""),
            (DIR, "root/bin", 0o750, ""),
            (FILE, "root/bin/run.sh", 0o4755, "#!/bin/sh\n"),
            (LINK, "root/run", 0o777, "bin/run.sh"),
        ]);
        let again = file.try_clone().expect("a handle");
        archives.unpack_now(&archive, file).expect("unpacked");
        archives.unpack_now(&archive, again).expect("unpacked twice");
        let root = archives.mounted(&archive);
        let mode = |path: &str| fs::metadata(root.join(path)).expect("there").permissions().mode() & 0o7777;
        assert_eq!((mode(""), mode("bin"), mode("bin/run.sh")), (0o555, 0o750, 0o755), "and no set-user-id bit");
        assert_eq!(fs::read(root.join("run")).expect("through the link"), b"#!/bin/sh\n");
        assert_eq!(fs::metadata(state.path().join("archives")).expect("there").permissions().mode() & 0o777, 0o700);
        assert_eq!(archives.digest_of(root.to_str().expect("UTF-8")).as_deref(), Some(archive.digest.as_str()));
        // The read-only directory goes, too, and nothing is left.
        assert_eq!(archives.collect_now(&BTreeSet::from([archive.digest.clone()])).expect("collected"), [""; 0]);
        assert_eq!(archives.collect_now(&BTreeSet::new()).expect("collected"), [archive.digest]);
        assert_eq!(fs::read_dir(state.path().join("archives")).expect("there").count(), 0);
    }

    #[test]
    fn nothing_is_written_elsewhere() {
        let state = tempfile::tempdir().expect("a directory");
        let archives = Archives::new(state.path());
        let outside = state.path().join("outside");
        fs::create_dir(&outside).expect("made");
        let to = outside.to_str().expect("UTF-8");
        for entries in [
            &[(DIR, "root", 0o755, ""), (LINK, "root/l", 0o777, to), (FILE, "root/l/x", 0o644, "x")][..],
            &[(LINK, "root", 0o777, to), (FILE, "root/x", 0o644, "x")],
            &[(LINK, "root", 0o777, to)],
            &[(FILE, "root/../../../outside/x", 0o644, "x")],
            &[(FILE, "x", 0o644, "x")],
            &[(DIR, "root", 0o755, ""), (LINK, "root/x", 0o777, to), (FILE, "root/x", 0o644, "x")],
            &[(DIR, "root", 0o755, ""), (EntryType::Char, "root/null", 0o666, "")],
            &[],
        ] {
            let (archive, file) = packed(entries);
            let error = archives.unpack_now(&archive, file).expect_err("refused");
            assert!(matches!(error, Error::BadArchive { .. }), "{error}");
            assert!(!archives.has(&archive.digest), "{entries:?}");
        }
        assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
        assert_eq!(fs::read_dir(state.path().join("archives")).expect("there").count(), 0, "no half of one is left");
    }

    #[test]
    fn bytes_must_be_those_that_were_asked_for() {
        let state = tempfile::tempdir().expect("a directory");
        let archives = Archives::new(state.path());
        let (archive, _) = packed(&[(FILE, "root", 0o644, "one")]);
        let (_, other) = packed(&[(FILE, "root", 0o644, "two")]);
        let error = archives.unpack_now(&archive, other).expect_err("refused").to_string();
        assert!(error.contains("./x") && error.contains(&archive.digest), "{error}");
        fs::create_dir_all(state.path().join("archives/.new-killed")).expect("left behind");
        archives.sweep().expect("swept");
        assert_eq!(fs::read_dir(state.path().join("archives")).expect("there").count(), 0);
    }
}
