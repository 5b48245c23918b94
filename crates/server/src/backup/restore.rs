//! A backup is restored.

use super::read::{BackupEntry, drain, read};
use super::{BackupError, BackupSummary, MARKER, Passphrase, file};
use crate::daemon::{DaemonError, ProcessLock, Settings};
use crate::{files, paths};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use stackyard_store::{Database, StoreLoader};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The database of the restored server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTarget {
    /// The one that the backup's server had: SQLite, or PostgreSQL at the same URL.
    AsBefore,
    /// SQLite in the state directory.
    Sqlite,
    /// PostgreSQL at this URL.
    Url(String),
}

/// What is to be restored, and over what.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    /// The backup.
    pub file: &'a Path,
    /// Its passphrase.
    pub passphrase: &'a Passphrase,
    /// The database.
    pub target: RestoreTarget,
    /// Replace what the state directory and the database have.
    pub replace: bool,
}

/// A server that was restored. It does not run yet.
#[derive(Debug, Clone, Serialize)]
pub struct RestoredServer {
    /// What the backup has.
    #[serde(flatten)]
    pub summary: BackupSummary,
    /// The server's directory.
    pub dir: PathBuf,
    /// Where the store is now, without a password.
    pub store: String,
    /// Where the replaced directory is, if it had a server, with the manifests of yards that were replaced.
    pub replaced: Option<PathBuf>,
}

/// What the first reading learned.
#[derive(Default)]
struct Checked {
    settings: Settings,
    /// Manifests that were last applied, by path below the state directory.
    yards: BTreeMap<String, Vec<u8>>,
}

/// Restores a server into state directory `home`. Nothing is changed unless all of the backup is intact. A killed
/// restoration is completed by the next one.
///
/// # Errors
/// [`BackupError`]
pub async fn restore(home: &Path, request: RestoreRequest<'_>) -> Result<RestoredServer, BackupError> {
    let mut source = File::open(request.file).map_err(file("read", request.file))?;
    if !source.metadata().map_err(file("read", request.file))?.is_file() {
        // It is read twice.
        return Err(BackupError::Irregular(request.file.to_owned()));
    }
    let name = request.file.display().to_string();
    let mut checked = Checked::default();
    let summary = read(&name, &source, request.passphrase, async |entry| checked.take(entry)).await?;

    let dir = paths::dir(home);
    files::make_dir(&dir).map_err(file("create", &dir))?;
    let _lock = lock(&dir)?;
    // A restoration that did not end has asked already.
    let replace = request.replace || dir.join(MARKER).exists();
    if !replace {
        refuse_other_server(&dir)?;
        refuse_other_yards(home, &checked.yards)?;
    }
    let mut settings = checked.settings;
    settings.database = match request.target {
        RestoreTarget::AsBefore => settings.database,
        RestoreTarget::Sqlite => None,
        RestoreTarget::Url(url) => Some(url),
    };
    let next = Staging::begin(home)?;
    let database = settings.database.clone();
    let database = database.map_or_else(|| Database::File(next.dir.join("stackyard.db")), Database::Url);
    let mut loader = StoreLoader::begin(&database, summary.schema, replace).await.map_err(of_store)?;
    source.rewind().map_err(file("read", request.file))?;
    let again = read(&name, &source, request.passphrase, async |entry| match entry {
        BackupEntry::File(path, content) => next.unpack(path, content),
        BackupEntry::Rows(rows) => Ok(loader.insert(&rows).await?),
    });
    if again.await?.id != summary.id {
        return Err(BackupError::Damaged { name, cause: "it was replaced while it was read".to_owned() });
    }
    settings.keep(&next.dir).map_err(file("write the settings in", &next.dir))?;
    let _next_lock = ProcessLock::take(&next.dir).map_err(BackupError::Daemon)?;
    let replaced = if settings.database.is_some() {
        let replaced = next.publish(home, &dir)?;
        loader.commit().await?;
        replaced
    } else {
        loader.commit().await?;
        next.publish(home, &dir)?
    };
    // Only now: a restoration that failed before has changed nothing, and the marker keeps servers away until all is done.
    let replaced = put_manifests(home, &dir, replaced)?;
    fs::remove_file(dir.join(MARKER)).and_then(|()| sync_dir(&dir)).map_err(file("complete", &dir))?;
    let store = match settings.database {
        Some(_) => database.shown(),
        None => dir.join("stackyard.db").display().to_string(),
    };
    Ok(RestoredServer { summary, dir, store, replaced })
}

impl Checked {
    fn take(&mut self, entry: BackupEntry<'_>) -> Result<(), BackupError> {
        let BackupEntry::File(path, content) = entry else { return Ok(()) };
        if path != "server/settings.json" && !path.starts_with("yards/") {
            return drain(content);
        }
        let mut text = Vec::new();
        content.read_to_end(&mut text).map_err(file("read", Path::new(path)))?;
        if path.starts_with("yards/") {
            self.yards.insert(path.to_owned(), text);
        } else {
            self.settings = serde_json::from_slice(&text).map_err(|e| file("read", Path::new(path))(e.into()))?;
        }
        Ok(())
    }
}

fn of_store(error: stackyard_store::Error) -> BackupError {
    match error {
        stackyard_store::Error::NotEmpty { database } => BackupError::DatabaseNotEmpty(database),
        other => other.into(),
    }
}

/// Keeps servers and other restorations away from a directory.
fn lock(dir: &Path) -> Result<ProcessLock, BackupError> {
    ProcessLock::take(dir).map_err(|error| match error {
        DaemonError::Running { dir, pid } => BackupError::Running { path: dir, pid },
        other => BackupError::Daemon(other),
    })
}

/// What is in a server's directory although no server ever ran on it.
const NOTHING: [&str; 4] = ["archives", "lock", "log", "socket"];

/// Whether the directory has something that a server made and needs.
fn refuse_other_server(dir: &Path) -> Result<(), BackupError> {
    match of_a_server(dir).map_err(file("read", dir))? {
        Some(there) => Err(BackupError::NotEmpty { path: dir.to_owned(), there }),
        None => Ok(()),
    }
}

/// The first file of a server in a directory.
fn of_a_server(dir: &Path) -> io::Result<Option<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.into_iter().find(|name| !NOTHING.contains(&name.as_str())))
}

/// Whether there are other manifests of the same yards.
fn refuse_other_yards(home: &Path, yards: &BTreeMap<String, Vec<u8>>) -> Result<(), BackupError> {
    for (path, manifest) in yards {
        match fs::read(home.join(path)) {
            Ok(there) if there != *manifest => {
                return Err(BackupError::NotEmpty { path: home.to_owned(), there: format!("another {path}") });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file("read", &home.join(path))(error)),
        }
    }
    Ok(())
}

/// The directory in which a server is put together.
struct Staging {
    dir: PathBuf,
}

impl Staging {
    /// Begins with an empty one. One that an earlier restoration left is removed, unless it is a server's that was
    /// being replaced: that is kept.
    fn begin(home: &Path) -> Result<Self, BackupError> {
        let dir = home.join("server.restore");
        if dir.exists() {
            set_aside(home, &dir)?;
        }
        files::make_dir(&dir).map_err(file("create", &dir))?;
        let marker = dir.join(MARKER);
        let text = "A backup is being restored here. Run `stackyard server restore` again if it was interrupted.\n";
        files::write_private(&marker, text.as_bytes()).map_err(file("write", &marker))?;
        Ok(Self { dir })
    }

    /// Writes a file of a backup. Manifests of yards are below `yards` until they are put into their place.
    fn unpack(&self, path: &str, content: &mut dyn Read) -> Result<(), BackupError> {
        let to = self.dir.join(path.strip_prefix("server/").unwrap_or(path));
        if let Some(parent) = to.parent() {
            files::make_dir(parent).map_err(file("create", parent))?;
        }
        let open = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&to);
        let mut out = open.map_err(file("create", &to))?;
        io::copy(content, &mut out).and_then(|_| out.sync_all()).map_err(file("write", &to))
    }

    /// Takes the place of the server's directory in one step; returns where the old one is, if it had a server.
    fn publish(self, home: &Path, dir: &Path) -> Result<Option<PathBuf>, BackupError> {
        sync_dir(&self.dir).map_err(file("write", &self.dir))?;
        renameat_with(CWD, &self.dir, CWD, dir, RenameFlags::EXCHANGE)
            .map_err(|error| file("put the restored server into", dir)(error.into()))?;
        sync_dir(home).map_err(file("write", home))?;
        set_aside(home, &self.dir)
    }
}

/// Moves the manifests of yards from the restored server's directory to their place. Those that they replace are kept in
/// the directory of the replaced server; returns where that is.
fn put_manifests(home: &Path, dir: &Path, mut kept: Option<PathBuf>) -> Result<Option<PathBuf>, BackupError> {
    let (staged, place) = (dir.join("yards"), home.join("yards"));
    let entries = match fs::read_dir(&staged) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(kept),
        Err(error) => return Err(file("read", &staged)(error)),
    };
    files::make_dir(&place).map_err(file("create", &place))?;
    for entry in entries {
        let name = entry.map_err(file("read", &staged))?.file_name();
        let (from, to) = (staged.join(&name), place.join(&name));
        if to.exists() && fs::read(&to).ok() != fs::read(&from).ok() {
            let old = kept.get_or_insert_with(|| replaced_dir(home)).join("yards");
            files::make_dir(&old).map_err(file("create", &old))?;
            let old = old.join(&name);
            fs::rename(&to, &old).map_err(file("rename", &to))?;
        }
        fs::rename(&from, &to).map_err(file("write", &to))?;
    }
    sync_dir(&place).map_err(file("write", &place))?;
    fs::remove_dir(&staged).map_err(file("remove", &staged))?;
    Ok(kept)
}

/// A name for what a restoration replaces.
fn replaced_dir(home: &Path) -> PathBuf {
    let now = stackyard_api::time(stackyard_api::now()).replace([':', '-'], "");
    home.join(format!("server.replaced-{now}"))
}

/// Removes a directory without a server, or of a restoration that did not end; renames any other one.
fn set_aside(home: &Path, dir: &Path) -> Result<Option<PathBuf>, BackupError> {
    if dir.join(MARKER).exists() || of_a_server(dir).map_err(file("read", dir))?.is_none() {
        fs::remove_dir_all(dir).map_err(file("remove", dir))?;
        return Ok(None);
    }
    let kept = replaced_dir(home);
    fs::rename(dir, &kept).map_err(file("rename", dir))?;
    Ok(Some(kept))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
