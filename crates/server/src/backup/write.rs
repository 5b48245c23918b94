//! A backup is written.

use super::{
    BackupEnd, BackupError, BackupHeader, BackupSummary, FILES, FORMAT, JSON_LIMIT, MARKER, Passphrase, StoreHeader,
    file, is_known_file,
};
use crate::audit;
use crate::daemon::Settings;
use crate::paths;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::OFlags;
use serde::Serialize;
use stackyard_api::AuditKind;
use stackyard_core::text::error_chain;
use stackyard_store::{Database, NewEntry, StoreSnapshot, TableRows};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Logarithm of scrypt's work factor: 128 MiB of memory and less than a second (OWASP, "Password Storage").
pub const WORK_FACTOR: u8 = 17;

/// A backup that is on the disk.
#[derive(Debug, Clone, Serialize)]
pub struct WrittenBackup {
    /// The file.
    pub file: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// What it has.
    #[serde(flatten)]
    pub summary: BackupSummary,
}

/// Backs the server of state directory `home` up to `path`, which is replaced once the backup is complete. The file has
/// mode 0600. The server may run.
///
/// # Errors
/// [`BackupError`]
pub async fn write_file(home: &Path, passphrase: &Passphrase, path: &Path) -> Result<WrittenBackup, BackupError> {
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return Err(BackupError::Irregular(path.to_owned()));
    }
    let mut name = path.file_name().ok_or_else(|| BackupError::Irregular(path.to_owned()))?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut out = open_alone(&new, path)?;
    let written = async {
        let summary = write(home, passphrase, WORK_FACTOR, &mut out).await?;
        out.sync_all().map_err(file("write", &new))?;
        fs::rename(&new, path).map_err(file("write", path))?;
        let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|d| d.sync_all()).map_err(file("write", dir))?;
        let size = out.metadata().map_err(file("read", path))?.len();
        Ok(WrittenBackup { file: path.to_owned(), size, summary })
    };
    let written = written.await;
    if written.is_err() {
        fs::remove_file(&new).ok();
    }
    written
}

/// Opens the file that becomes `path`, empty, for this process alone. A killed one leaves it, and it is taken over.
fn open_alone(new: &Path, path: &Path) -> Result<File, BackupError> {
    // No link that another user of the directory put there, and no file that others can read.
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).custom_flags(no_link).open(new);
    let out = open.map_err(file("write", new))?;
    out.set_permissions(Permissions::from_mode(0o600)).map_err(file("protect", new))?;
    match out.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(path.to_owned())),
        Err(TryLockError::Error(error)) => return Err(file("lock", new)(error)),
    }
    out.set_len(0).map_err(file("write", new))?;
    Ok(out)
}

/// Writes down that a backup is taken: it has the CA's key and every secret. The backup itself has the entry. One that
/// cannot be written, as on a full disk, stops no backup.
async fn note_in_audit_log(database: &Database) {
    let entry = NewEntry {
        address: Some(format!("uid {}", rustix::process::getuid().as_raw())),
        detail: Some("all tables, the CA with its key, the files of stacks".to_owned()),
        outcome: Some(audit::outcome(200)),
        ..audit::new_entry("command line", AuditKind::Backup, "BACKUP", "/api/v1/server")
    };
    match stackyard_store::note_backup(database, &entry).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!("the audit log has no entry of this backup: the store is of another version"),
        Err(error) => tracing::warn!("the audit log has no entry of this backup: {}", error_chain(&error)),
    }
}

/// Backs the server of state directory `home` up to `out`. scrypt's work is 2 to the power of `work_factor`; use
/// [`WORK_FACTOR`].
///
/// # Errors
/// [`BackupError`]
pub async fn write(
    home: &Path,
    passphrase: &Passphrase,
    work_factor: u8,
    out: impl Write,
) -> Result<BackupSummary, BackupError> {
    let dir = paths::dir(home);
    if dir.join(MARKER).exists() {
        return Err(BackupError::Unfinished(home.to_owned()));
    }
    if !dir.join("ca.key").exists() {
        return Err(BackupError::Absent(home.to_owned()));
    }
    let settings = Settings::last(&dir).map_err(file("read the settings in", &dir))?;
    let database = settings.database.map_or_else(|| Database::File(dir.join("stackyard.db")), Database::Url);
    note_in_audit_log(&database).await;

    let mut recipient = age::scrypt::Recipient::new(passphrase.0.clone());
    recipient.set_work_factor(work_factor);
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).map_err(BackupError::Encrypt)?;
    let encrypted = encryptor.wrap_output(out).map_err(file("write", Path::new("the backup")))?;
    let mut tar = BackupTar {
        tar: tar::Builder::new(GzEncoder::new(encrypted, Compression::default())),
        end: BackupEnd::default(),
        skipped: Vec::new(),
        now: stackyard_api::now(),
    };
    let header = BackupHeader {
        format: FORMAT,
        id: uuid::Uuid::now_v7().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    tar.json("backup.json", &header)?;
    for name in FILES {
        tar.file(home, &format!("server/{name}"))?;
    }
    for name in names(&dir.join("agents"))? {
        tar.file(home, &format!("server/agents/{name}"))?;
    }
    for name in names(&home.join("yards"))?.iter().filter(|n| n.ends_with(".yaml") && !n.starts_with('.')) {
        tar.file(home, &format!("yards/{name}"))?;
    }
    let mut copied = BTreeSet::new();
    tar.archives(home, &mut copied)?;
    let snapshot = StoreSnapshot::begin(&database).await?;
    let kind = if matches!(database, Database::File(_)) { "sqlite" } else { "postgresql" };
    let store = StoreHeader { schema: snapshot.schema(), taken: stackyard_api::now(), database: kind.to_owned() };
    tar.archives(home, &mut copied)?;
    tar.json("store.json", &store)?;
    let mut number = 0;
    snapshot
        .read(|rows| {
            number += 1;
            tar.rows(number, &rows)
        })
        .await?;
    let (end, skipped) = tar.finish()?;
    Ok(BackupSummary { skipped, ..BackupSummary::new(header, store, end) })
}

/// Whether an entry is as small as a restoration needs it.
fn fits(path: &str, size: u64) -> Result<(), BackupError> {
    if size > JSON_LIMIT { Err(BackupError::TooLarge { path: path.to_owned(), size }) } else { Ok(()) }
}

/// Names in a directory, in order; none if it is not there. Names that are no UTF-8 are not the server's.
fn names(dir: &Path) -> Result<BTreeSet<String>, BackupError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(e) => return Err(file("read", dir)(e)),
    };
    let names: io::Result<Vec<_>> = entries.map(|e| e.map(|e| e.file_name().into_string())).collect();
    Ok(names.map_err(file("read", dir))?.into_iter().flatten().collect())
}

/// The tar of a backup, and what it has so far.
struct BackupTar<W: Write> {
    tar: tar::Builder<GzEncoder<age::stream::StreamWriter<W>>>,
    end: BackupEnd,
    /// Files that a restoration would refuse.
    skipped: Vec<String>,
    /// Time of the entries, in milliseconds since 1970.
    now: i64,
}

impl<W: Write> BackupTar<W> {
    fn entry(&mut self, path: &str, size: u64, content: impl io::Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now / 1000).unwrap_or_default());
        self.tar.append_data(&mut header, path, content).map_err(file("write to the backup", Path::new(path)))
    }

    fn json(&mut self, path: &str, value: &impl Serialize) -> Result<(), BackupError> {
        let text = serde_json::to_vec(value).map_err(|e| file("write to the backup", Path::new(path))(e.into()))?;
        fits(path, text.len() as u64)?;
        self.entry(path, text.len() as u64, text.as_slice())
    }

    /// Adds a file below `home`; nothing if it is not there.
    fn file(&mut self, home: &Path, path: &str) -> Result<(), BackupError> {
        if !is_known_file(path) {
            self.skipped.push(path.to_owned());
            return Ok(());
        }
        let from = home.join(path);
        let opened = match File::open(&from) {
            Ok(opened) => opened,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(file("read", &from)(e)),
        };
        let meta = opened.metadata().map_err(file("read", &from))?;
        if !meta.is_file() {
            return Ok(());
        }
        self.entry(path, meta.len(), opened)?;
        self.end.files += 1;
        self.end.bytes += meta.len();
        Ok(())
    }

    /// Adds the archives that are not `copied` yet.
    fn archives(&mut self, home: &Path, copied: &mut BTreeSet<String>) -> Result<(), BackupError> {
        let dir = paths::dir(home).join("archives");
        for yard in names(&dir)?.iter().filter(|yard| dir.join(yard).is_dir()) {
            for name in names(&dir.join(yard))?.iter().filter(|name| super::archive_digest(name).is_some()) {
                let path = format!("server/archives/{yard}/{name}");
                if copied.insert(path.clone()) {
                    self.file(home, &path)?;
                }
            }
        }
        Ok(())
    }

    fn rows(&mut self, number: u32, rows: &TableRows) -> Result<(), BackupError> {
        *self.end.rows.entry(rows.table.clone()).or_default() += rows.rows.len() as u64;
        self.json(&format!("store/{number:06}-{}.json", rows.table), rows)
    }

    fn finish(mut self) -> Result<(BackupEnd, Vec<String>), BackupError> {
        let end = self.end.clone();
        self.json("end.json", &end)?;
        let compressed = self.tar.into_inner().and_then(GzEncoder::finish);
        let out = compressed.and_then(age::stream::StreamWriter::finish).and_then(|mut out| out.flush());
        out.map_err(file("write", Path::new("the backup")))?;
        Ok((end, self.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_no_restoration_reads_is_refused() {
        assert!(fits("store/000001-runs.json", JSON_LIMIT).is_ok());
        let error = fits("store/000001-runs.json", JSON_LIMIT + 1).unwrap_err();
        assert!(error.to_string().contains("store/000001-runs.json"), "{error}");
    }
}
