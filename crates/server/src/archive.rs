//! Archives: the files that stacks carry to their hosts, on the server's disk.
//!
//! ```text
//! $STACKYARD_HOME/server/archives/<yard>/     0700
//!   <digest>.tar                              complete and flushed, 0600
//!   <digest>.<number>.new                     being received; a killed server may leave one
//! ```
//!
//! An archive is of one yard, though another yard may have one of the same content: who may deploy there must not get
//! at files by guessing their digests. [`Archives::collect`] removes those that no version of a stack mounts, but for
//! [`KEPT`] those that were just asked for or uploaded: their stack is on its way.

use crate::files;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use stackyard_core::stack::{Stack, is_archive_digest};
use stackyard_core::text::hex;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

/// MiB that the archives of one stack may have together, if the server was never told.
pub const DEFAULT_FILES_LIMIT: u32 = 64;

/// Time for which an archive stays that no stack mounts yet.
const KEPT: Duration = Duration::from_secs(600);

/// Archives that no stack mounts yet may have so many times the bytes of one stack, in a yard.
const STACKS_ON_THEIR_WAY: u64 = 4;

/// Why an archive was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// It is larger than those of a stack may be.
    #[error("the files have more than {0} bytes, which those of one stack may have together{hint}", hint = LIMIT_HINT)]
    TooLarge(u64),
    /// Too many archives wait for a stack.
    #[error(
        "yard {yard} has {bytes} bytes of files that no stack mounts yet; deploy their stacks, or try again in ten minutes"
    )]
    TooMany {
        /// The yard.
        yard: String,
        /// What they have.
        bytes: u64,
    },
    /// The bytes are others than the digest says.
    #[error("the files have the digest {got}, not {wanted}: were they changed on the way?")]
    Other {
        /// The digest that they were sent with.
        wanted: String,
        /// The digest that they have.
        got: String,
    },
    /// The sender stopped, or took too long.
    #[error("receiving the files")]
    Body(#[source] axum::Error),
    /// The disk.
    #[error("writing {}", .path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What to do about files that are too large.
pub(crate) const LIMIT_HINT: &str =
    "; `stackyard server --files-limit MIB` raises it, a named volume or the image can hold large data";

/// Yard and digest.
pub(crate) type ArchiveKey = (String, String);

/// The archives. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archives(Arc<ArchivesState>);

#[derive(Debug)]
struct ArchivesState {
    dir: PathBuf,
    limit: u64,
    number: AtomicU64,
    /// Those that a stack is about to mount, and since when.
    expected: Mutex<HashMap<ArchiveKey, Instant>>,
}

impl Archives {
    /// The archives below the server's directory; those of one stack may have `limit` bytes. Removes what was being
    /// received when the server ended.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(server: &Path, limit: u64) -> io::Result<Self> {
        let dir = server.join("archives");
        files::make_dir(&dir)?;
        let (number, expected) = (AtomicU64::new(0), Mutex::default());
        let archives = Self(Arc::new(ArchivesState { dir, limit, number, expected }));
        for (key, path) in archives.all()? {
            match key {
                // Their stacks may be on their way.
                Some(key) => drop(archives.0.expected.lock().insert(key, Instant::now())),
                None => fs::remove_file(path)?,
            }
        }
        Ok(archives)
    }

    /// Bytes that the archives of one stack may have together.
    pub(crate) fn limit(&self) -> u64 {
        self.0.limit
    }

    fn path(&self, yard: &str, digest: &str) -> PathBuf {
        self.0.dir.join(yard).join(format!("{digest}.tar"))
    }

    /// Length of an archive; `None` if there is none.
    fn size(&self, yard: &str, digest: &str) -> Option<u64> {
        fs::metadata(self.path(yard, digest)).ok().map(|m| m.len())
    }

    /// Which of these a yard does not have. Those that it has stay for a stack that is about to mount them.
    pub(crate) fn missing(&self, yard: &str, digests: &[String]) -> Vec<String> {
        let mut expected = self.0.expected.lock();
        let mut missing = Vec::new();
        for digest in digests {
            match self.size(yard, digest) {
                Some(_) => drop(expected.insert((yard.to_owned(), digest.clone()), Instant::now())),
                None => missing.push(digest.clone()),
            }
        }
        missing
    }

    /// An archive to be read, with its length; `None` if there is none.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) async fn read(&self, yard: &str, digest: &str) -> io::Result<Option<(File, u64)>> {
        match File::open(self.path(yard, digest)).await {
            Ok(file) => {
                let length = file.metadata().await?.len();
                Ok(Some((file, length)))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Receives an archive. It is there when this returns, whole and flushed, or not at all.
    ///
    /// # Errors
    /// [`ArchiveError`]
    pub(crate) async fn receive(&self, yard: &str, digest: &str, body: axum::body::Body) -> Result<(), ArchiveError> {
        let (dir, complete) = (self.0.dir.join(yard), self.path(yard, digest));
        self.check_room(yard)?;
        files::make_dir(&dir).map_err(disk(&dir))?;
        let new = NewFile(dir.join(format!("{digest}.{}.new", self.0.number.fetch_add(1, Ordering::Relaxed))));
        let got = self.write(&new.0, body).await?;
        if got != digest {
            return Err(ArchiveError::Other { wanted: digest.to_owned(), got });
        }
        let key = (yard.to_owned(), digest.to_owned());
        // Before it is there, so that it is never taken for one that nothing waits for.
        self.0.expected.lock().insert(key, Instant::now());
        fs::rename(&new.0, &complete).map_err(disk(&complete))?;
        fs::File::open(&dir).and_then(|d| d.sync_all()).map_err(disk(&dir))
    }

    /// Writes a body to a new file; its digest.
    async fn write(&self, path: &Path, body: axum::body::Body) -> Result<String, ArchiveError> {
        use futures_util::StreamExt;
        let mut file =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).await.map_err(disk(path))?;
        let (mut body, mut hash, mut length) = (body.into_data_stream(), Sha256::new(), 0);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(ArchiveError::Body)?;
            length += piece.len() as u64;
            if length > self.0.limit {
                return Err(ArchiveError::TooLarge(self.0.limit));
            }
            hash.update(&piece);
            file.write_all(&piece).await.map_err(disk(path))?;
        }
        file.flush().await.map_err(disk(path))?;
        file.sync_all().await.map_err(disk(path))?;
        Ok(hex(&hash.finalize()))
    }

    /// Refuses more archives than stacks that are on their way can need.
    fn check_room(&self, yard: &str) -> Result<(), ArchiveError> {
        let waiting: Vec<ArchiveKey> = self.0.expected.lock().keys().filter(|(y, _)| y == yard).cloned().collect();
        let bytes: u64 = waiting.iter().filter_map(|(yard, digest)| self.size(yard, digest)).sum();
        if bytes >= self.0.limit.saturating_mul(STACKS_ON_THEIR_WAY) {
            return Err(ArchiveError::TooMany { yard: yard.to_owned(), bytes });
        }
        Ok(())
    }

    /// Refuses a stack whose archives are too large or named as none is: why.
    pub(crate) fn check_stack(&self, stack: &Stack) -> Result<(), String> {
        let archives = stack.archives();
        if let Some(bad) = archives.values().find(|a| !a.is_well_named()) {
            return Err(format!(
                "{:?} is no digest of files; deploy the stack with `stackyard stack deploy`",
                bad.digest
            ));
        }
        let total = archives.values().fold(0_u64, |sum, a| sum.saturating_add(a.size));
        if total <= self.0.limit {
            return Ok(());
        }
        let mut all: Vec<_> = archives.into_values().collect();
        all.sort_by_key(|a| std::cmp::Reverse(a.size));
        let largest: Vec<String> = all.iter().take(3).map(|a| format!("{} has {}", a.source, a.size)).collect();
        Err(format!(
            "the files that stack {} carries to hosts have {total} bytes, and may have {}: {}{LIMIT_HINT}",
            stack.name,
            self.0.limit,
            largest.join(", ")
        ))
    }

    /// Refuses a stack of which archives are missing, or have another length: why. Those that it has are a version's
    /// from now on.
    pub(crate) fn take_for(&self, yard: &str, stack: &Stack) -> Result<(), String> {
        self.check_stack(stack)?;
        let archives = stack.archives();
        for archive in archives.values() {
            if self.size(yard, &archive.digest) != Some(archive.size) {
                return Err(format!(
                    "the server does not have the files {} of stack {} as they are to be (digest {}); deploy it again",
                    archive.source, stack.name, archive.digest
                ));
            }
        }
        let mut expected = self.0.expected.lock();
        for digest in archives.into_keys() {
            expected.remove(&(yard.to_owned(), digest.to_owned()));
        }
        Ok(())
    }

    /// Removes archives that are not `used`, by yard and digest, and that no stack is about to mount.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn collect(&self, used: &BTreeSet<ArchiveKey>) -> io::Result<()> {
        let mut expected = self.0.expected.lock();
        // Those that a version mounts have arrived.
        expected.retain(|key, since| !used.contains(key) && since.elapsed() < KEPT);
        for (key, path) in self.all()? {
            if let Some(key) = key
                && !used.contains(&key)
                && !expected.contains_key(&key)
            {
                fs::remove_file(&path)?;
                // Fails while the yard has others.
                let _ = path.parent().map(fs::remove_dir);
            }
        }
        Ok(())
    }

    /// All files, with what they are if they are archives.
    fn all(&self) -> io::Result<Vec<(Option<ArchiveKey>, PathBuf)>> {
        let mut all = Vec::new();
        for yard in fs::read_dir(&self.0.dir)? {
            let yard = yard?;
            for file in fs::read_dir(yard.path())? {
                let path = file?.path();
                let name = path.file_name().and_then(|n| n.to_str()?.strip_suffix(".tar"));
                let digest = name.filter(|d| is_archive_digest(d)).map(str::to_owned);
                all.push((digest.map(|d| (yard.file_name().to_string_lossy().into_owned(), d)), path));
            }
        }
        Ok(all)
    }
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::Disk { path, source }
}

/// A file that goes, unless it has another name by then.
struct NewFile(PathBuf);

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn digest(text: &str) -> String {
        hex(&Sha256::digest(text))
    }

    fn names(dir: &Path) -> Vec<PathBuf> {
        let all = fs::read_dir(dir.join("archives")).unwrap().flat_map(|y| fs::read_dir(y.unwrap().path()).unwrap());
        all.map(|f| f.unwrap().path()).collect()
    }

    #[tokio::test]
    async fn an_archive_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let archives = Archives::open(dir.path(), 10).unwrap();
        let one = digest("one");
        archives.receive("shop", &one, Body::from("one")).await.unwrap();
        archives.receive("shop", &one, Body::from("one")).await.unwrap();
        assert_eq!(archives.size("shop", &one), Some(3));
        assert!(archives.missing("shop", std::slice::from_ref(&one)).is_empty());
        assert_eq!(
            archives.missing("blog", std::slice::from_ref(&one)),
            std::slice::from_ref(&one),
            "another yard gets nothing of it"
        );
        let other = archives.receive("shop", &digest("two"), Body::from("one")).await.unwrap_err();
        assert!(matches!(other, ArchiveError::Other { .. }), "{other}");
        let long = "x".repeat(11);
        let large = archives.receive("shop", &digest(&long), Body::from(long)).await.unwrap_err();
        assert!(large.to_string().contains("--files-limit"), "{large}");
        let broken = futures_util::stream::iter([Ok("on"), Err(io::Error::other("gone"))]);
        let broken = archives.receive("shop", &digest("one!"), Body::from_stream(broken)).await.unwrap_err();
        assert!(matches!(broken, ArchiveError::Body(_)), "{broken}");
        assert_eq!(names(dir.path()).len(), 1, "{:?}", names(dir.path()));
        // A killed server leaves a part of one.
        fs::write(dir.path().join("archives/shop/x.7.new"), "half").unwrap();
        let again = Archives::open(dir.path(), 10).unwrap();
        assert_eq!(names(dir.path()), [again.path("shop", &one)]);
    }

    #[tokio::test]
    async fn what_no_stack_mounts_goes() {
        let dir = tempfile::tempdir().unwrap();
        let archives = Archives::open(dir.path(), 100).unwrap();
        let (one, two) = (digest("one"), digest("two"));
        archives.receive("shop", &one, Body::from("one")).await.unwrap();
        archives.receive("shop", &two, Body::from("two")).await.unwrap();
        archives.collect(&BTreeSet::new()).unwrap();
        assert_eq!(names(dir.path()).len(), 2, "their stacks are on their way");
        let used = BTreeSet::from([("shop".to_owned(), one.clone())]);
        archives.collect(&used).unwrap();
        assert_eq!(names(dir.path()).len(), 2, "so is that of the other");
        // As after ten minutes.
        archives.0.expected.lock().clear();
        archives.collect(&used).unwrap();
        assert_eq!(names(dir.path()), [archives.path("shop", &one)]);
        // A server that starts does not know what is on its way, until it has looked at its stacks.
        let archives = Archives::open(dir.path(), 100).unwrap();
        archives.collect(&BTreeSet::new()).unwrap();
        assert_eq!(names(dir.path()).len(), 1);
        archives.collect(&used).unwrap();
        archives.collect(&BTreeSet::new()).unwrap();
        assert!(fs::read_dir(dir.path().join("archives")).unwrap().next().is_none(), "nor a directory");
    }

    #[tokio::test]
    async fn uploads_without_a_stack_have_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let archives = Archives::open(dir.path(), 3).unwrap();
        for text in ["1aa", "2aa", "3aa", "4aa"] {
            archives.receive("shop", &digest(text), Body::from(text)).await.unwrap();
        }
        let error = archives.receive("shop", &digest("5aa"), Body::from("5aa")).await.unwrap_err();
        assert!(matches!(error, ArchiveError::TooMany { bytes: 12, .. }), "{error}");
        archives.receive("blog", &digest("5aa"), Body::from("5aa")).await.unwrap();
    }
}
