//! Backup of a server, and its restoration.
//!
//! A backup is an age file (<https://age-encryption.org/v1>) for a passphrase, and in it a gzipped tar, so that
//! `age -d FILE | tar xz` unpacks it without Stackyard:
//!
//! ```text
//! backup.json                      format and id of the backup, version of Stackyard
//! server/ca.pem, ca.key ...        files of the server's directory
//! server/archives/<yard>/<digest>.tar
//! yards/<yard>@<scope>.yaml        manifests that were last applied
//! store.json                       version of the tables, and when they were copied
//! store/000001-hosts.json ...      rows of a table, as JSON
//! end.json                         how much there was of each kind
//! ```
//!
//! **Consistent while the server runs.** The tables are read in one transaction. A stack mounts archives that were
//! uploaded before it, and an upload is kept for ten minutes at least ([`crate::archive`]). So the archives are copied
//! first, then the transaction begins, then those are copied that came in between: every archive that a copied stack
//! mounts is there. All other files change at a start of the server alone, and are replaced whole.
//!
//! **Restored whole or not at all.** The backup is read twice: once to check all of it, and once to unpack it into
//! `server.restore/` next to the server's directory. Both directories are then exchanged in one step (renameat2(2)).
//! The new one has the file [`MARKER`] until everything is done, the transaction of a PostgreSQL database included. A
//! server does not start on a directory with it, and the next restoration may overwrite such a directory.

mod read;
mod restore;
mod write;

pub use read::check;
pub use restore::{RestoreRequest, RestoreTarget, RestoredServer, restore};
pub use write::{WORK_FACTOR, WrittenBackup, write, write_file};

use crate::daemon::{DaemonError, RESTORING as MARKER};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Version of the form of backups.
const FORMAT: u32 = 1;

/// The most bytes that a JSON entry may have: some rows of up to 16 MiB each, escaped.
const JSON_LIMIT: u64 = 256 << 20;

/// Files of the server's directory that a backup has, if they are there.
const FILES: [&str; 4] = ["settings.json", "ca.key", "ca.pem", "certificate.json"];

/// What went wrong with a backup or its restoration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or directory.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// The verb: `read`, `write` ...
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// There is no server in the state directory.
    #[error("cannot back up the server of {}: there is none", .0.display())]
    Absent(PathBuf),
    /// A restoration into the directory did not end.
    #[error("cannot back up the server of {}: a restoration into it did not end", .0.display())]
    Unfinished(PathBuf),
    /// Another process writes the same backup.
    #[error("cannot write {}: another process writes a backup to it", .0.display())]
    Busy(PathBuf),
    /// The target is no file that can be replaced.
    #[error("cannot write a backup to {}: it is not a regular file", .0.display())]
    Irregular(PathBuf),
    /// A restoration would refuse an entry of this size.
    #[error("cannot back up {path}: it has {size} bytes, and a backup takes {}", JSON_LIMIT)]
    TooLarge {
        /// Which entry.
        path: String,
        /// Its size, in bytes.
        size: u64,
    },
    /// The encryption failed.
    #[error("cannot encrypt the backup")]
    Encrypt(#[source] age::EncryptError),
    /// It is no age file for a passphrase.
    #[error("cannot read {name}: it is not a backup of Stackyard ({cause})")]
    Foreign {
        /// Name of the file.
        name: String,
        /// How that shows.
        cause: String,
    },
    /// The passphrase is another one.
    #[error("cannot decrypt {name}: wrong passphrase")]
    Passphrase {
        /// Name of the file.
        name: String,
    },
    /// The passphrase has no characters.
    #[error("cannot use an empty passphrase")]
    Empty,
    /// The file was cut, or is damaged.
    #[error("cannot read {name}: it is cut off or damaged ({cause})")]
    Damaged {
        /// Name of the file.
        name: String,
        /// How that shows.
        cause: String,
    },
    /// A newer version wrote it.
    #[error("cannot restore {name}: stackyard {version} wrote it with {newer}, and this is stackyard {this}")]
    Newer {
        /// Name of the file.
        name: String,
        /// Version of Stackyard that wrote it.
        version: String,
        /// What is newer, with the numbers of both.
        newer: String,
        /// Version of this program.
        this: &'static str,
    },
    /// The state directory is in use.
    #[error("cannot restore into {}: it has {there}", .path.display())]
    NotEmpty {
        /// Which directory.
        path: PathBuf,
        /// What is there.
        there: String,
    },
    /// The database has rows.
    #[error("cannot restore into the database {0}: it is not empty")]
    DatabaseNotEmpty(String),
    /// A server, or another restoration, uses the directory.
    #[error("cannot restore into {}: process {pid} uses it", .path.display())]
    Running {
        /// Which directory.
        path: PathBuf,
        /// Which process.
        pid: String,
    },
    /// The lock of the directory cannot be taken.
    #[error(transparent)]
    Daemon(DaemonError),
    /// The database.
    #[error(transparent)]
    Store(#[from] stackyard_store::Error),
}

impl BackupError {
    /// What the user can do, in the imperative.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Absent(_) => "name the state directory with --home, and back up a server that has run",
            Self::Unfinished(_) => "run the same `stackyard server restore` again",
            Self::Foreign { .. } => "name a file that `stackyard server backup` wrote",
            Self::Passphrase { .. } => "use the passphrase that the backup was made with; nothing else decrypts it",
            Self::Damaged { .. } => "use another copy of the backup",
            Self::Newer { .. } => "restore it with that version of stackyard, or a newer one",
            Self::NotEmpty { .. } | Self::DatabaseNotEmpty(_) => {
                "restore with another --home, or pass --replace to replace everything that is there"
            }
            Self::Running { .. } => "stop it first: `stackyard server stop`",
            _ => return None,
        })
    }
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { doing, path, source }
}

/// A passphrase. It shows itself to nobody.
#[derive(Debug, Clone)]
pub struct Passphrase(age::secrecy::SecretString);

impl Passphrase {
    /// This text as a passphrase.
    ///
    /// # Errors
    /// [`BackupError::Empty`]
    pub fn new(text: String) -> Result<Self, BackupError> {
        if text.is_empty() {
            return Err(BackupError::Empty);
        }
        Ok(Self(text.into()))
    }
}

/// The first entry.
#[derive(Debug, Serialize, Deserialize)]
struct BackupHeader {
    format: u32,
    id: String,
    version: String,
}

/// The entry before the rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoreHeader {
    schema: i64,
    /// Milliseconds since 1970.
    taken: i64,
    /// `sqlite` or `postgresql`.
    database: String,
}

/// The last entry, which tells what is there.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct BackupEnd {
    /// Rows by table; no table without rows.
    rows: BTreeMap<String, u64>,
    /// Files, archives included.
    files: u64,
    /// Bytes of these files.
    bytes: u64,
}

/// What a backup has.
#[derive(Debug, Clone, Serialize)]
pub struct BackupSummary {
    /// Id of the backup, unique.
    pub id: String,
    /// Version of Stackyard that wrote it.
    pub version: String,
    /// The moment whose state it has (RFC 3339, UTC).
    pub taken: String,
    /// The same, in milliseconds since 1970.
    #[serde(skip)]
    pub taken_ms: i64,
    /// Version of the tables.
    pub schema: i64,
    /// Kind of the database that it was taken from: `sqlite` or `postgresql`.
    pub database: String,
    /// Rows by table; tables without rows are absent.
    pub rows: BTreeMap<String, u64>,
    /// Number of files.
    pub files: u64,
    /// Bytes of these files together.
    pub bytes: u64,
    /// Files that it does not have because no server makes files of such names, by path. Only where it was just written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

impl BackupSummary {
    fn new(header: BackupHeader, store: StoreHeader, end: BackupEnd) -> Self {
        Self {
            id: header.id,
            version: header.version,
            taken: stackyard_api::time(store.taken),
            taken_ms: store.taken,
            schema: store.schema,
            database: store.database,
            rows: end.rows,
            files: end.files,
            bytes: end.bytes,
            skipped: Vec::new(),
        }
    }
}

/// Whether a backup may have a file of this path: relative to the state directory, parts separated by `/`.
fn is_known_file(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && !name.starts_with('.') && !name.bytes().any(|b| b == b'\\' || b.is_ascii_control())
    };
    let parts: Vec<&str> = path.split('/').collect();
    if !parts.iter().all(|part| is_name(part)) {
        return false;
    }
    match parts.as_slice() {
        ["server", name] => FILES.contains(name),
        ["server", "archives", _, name] => archive_digest(name).is_some(),
        ["server", "agents", _] => true,
        ["yards", name] => name.ends_with(".yaml"),
        _ => false,
    }
}

/// The digest in the name of an archive's file.
fn archive_digest(name: &str) -> Option<&str> {
    name.strip_suffix(".tar").filter(|digest| stackyard_core::stack::is_archive_digest(digest))
}
