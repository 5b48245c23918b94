//! A backup is read, and all of it checked.

use super::{
    BackupEnd, BackupError, BackupHeader, BackupSummary, FORMAT, JSON_LIMIT, Passphrase, StoreHeader, archive_digest,
    file, is_known_file,
};
use age::DecryptError;
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use stackyard_core::text::hex;
use stackyard_store::{SCHEMA, TableRows};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The most work that a backup may ask for: 1 GiB of memory.
const MOST_WORK: u8 = 20;

/// What a backup hands over.
pub(super) enum BackupEntry<'a> {
    /// A file, by its path below the state directory.
    File(&'a str, &'a mut dyn Read),
    /// Rows.
    Rows(TableRows),
}

/// Checks a whole backup, and changes nothing.
///
/// # Errors
/// [`BackupError`]
pub async fn check(path: &Path, passphrase: &Passphrase) -> Result<BackupSummary, BackupError> {
    let source = File::open(path).map_err(file("read", path))?;
    read(&path.display().to_string(), source, passphrase, async |entry| match entry {
        BackupEntry::File(_, content) => drain(content),
        BackupEntry::Rows(_) => Ok(()),
    })
    .await
}

/// Reads on to the end. An error of reading is a damage, which [`read`] finds as well.
pub(super) fn drain(content: &mut dyn Read) -> Result<(), BackupError> {
    io::copy(content, &mut io::sink()).map(drop).map_err(file("read", Path::new("the backup")))
}

/// Reads a backup, called `name`, and hands its parts to `take` in order. Ends with an error unless every byte of it was
/// there and is what was written. `take` must read each file to its end.
pub(super) async fn read(
    name: &str,
    source: impl Read,
    passphrase: &Passphrase,
    mut take: impl AsyncFnMut(BackupEntry<'_>) -> Result<(), BackupError>,
) -> Result<BackupSummary, BackupError> {
    let damaged = |cause: String| BackupError::Damaged { name: name.to_owned(), cause };
    let broken = |error: io::Error| damaged(error.to_string());
    let plain = decrypt(name, source, passphrase)?;
    let mut tar = tar::Archive::new(GzDecoder::new(plain));
    let (mut header, mut store, mut end, mut seen) = (None, None, None, BackupEnd::default());
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.to_str().map(str::to_owned);
        let path = path.ok_or_else(|| damaged("an entry's name is not text".to_owned()))?;
        if end.is_some() || (header.is_none() && path != "backup.json") {
            return Err(damaged(format!("{path} is out of place")));
        }
        match path.as_str() {
            "backup.json" => header = Some(known_format(name, json(name, &path, &mut entry)?)?),
            "store.json" => {
                let next: StoreHeader = json(name, &path, &mut entry)?;
                known_schema(name, header.as_ref(), &next)?;
                store = Some(next);
            }
            "end.json" => end = Some(json::<BackupEnd>(name, &path, &mut entry)?),
            _ if path.starts_with("store/") && store.is_some() => {
                let rows: TableRows = json(name, &path, &mut entry)?;
                *seen.rows.entry(rows.table.clone()).or_default() += rows.rows.len() as u64;
                take(BackupEntry::Rows(rows)).await?;
            }
            _ if is_known_file(&path) => {
                seen.files += 1;
                seen.bytes += entry.size();
                let mut hashing = HashingReader { inner: entry, hash: Sha256::new(), failed: None };
                let taken = take(BackupEntry::File(&path, &mut hashing)).await;
                if let Some(cause) = hashing.failed.take() {
                    return Err(damaged(cause));
                }
                taken?;
                intact(&path, hashing).map_err(damaged)?;
            }
            _ => return Err(damaged(format!("{path} is not a part of a backup"))),
        }
    }
    ended(tar.into_inner()).map_err(broken)?;
    let (Some(header), Some(store), Some(end)) = (header, store, end) else {
        return Err(damaged("its end is missing".to_owned()));
    };
    if end != seen {
        return Err(damaged(format!("it has {seen:?} where its end tells of {end:?}")));
    }
    Ok(BackupSummary::new(header, store, end))
}

fn decrypt<R: Read>(
    name: &str,
    source: R,
    passphrase: &Passphrase,
) -> Result<age::stream::StreamReader<BufReader<R>>, BackupError> {
    let name = name.to_owned();
    let foreign = |cause: &str| BackupError::Foreign { name: name.clone(), cause: cause.to_owned() };
    let failed = |error: DecryptError| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            BackupError::Passphrase { name: name.clone() }
        }
        DecryptError::NoMatchingKeys => foreign("it is encrypted for a key, not for a passphrase"),
        DecryptError::Io(e) if e.kind() != io::ErrorKind::UnexpectedEof => file("read", Path::new(&name))(e),
        DecryptError::Io(e) => BackupError::Damaged { name: name.clone(), cause: e.to_string() },
        DecryptError::ExcessiveWork { required, .. } => {
            foreign(&format!("its key needs 2^{required} units of work, and 2^{MOST_WORK} are allowed"))
        }
        other => foreign(&other.to_string()),
    };
    let decryptor = age::Decryptor::new_buffered(BufReader::new(source)).map_err(failed)?;
    let mut identity = age::scrypt::Identity::new(passphrase.0.clone());
    identity.set_max_work_factor(MOST_WORK);
    decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(failed)
}

/// Reads what follows the last entry: the tar's padding, and the end marks of both layers, which prove that nothing is
/// missing.
fn ended<R: Read>(mut compressed: GzDecoder<R>) -> io::Result<()> {
    io::copy(&mut compressed, &mut io::sink())?;
    match io::copy(&mut compressed.into_inner(), &mut io::sink())? {
        0 => Ok(()),
        more => Err(io::Error::other(format!("{more} bytes follow its end"))),
    }
}

fn json<T: DeserializeOwned>(name: &str, path: &str, entry: &mut impl Read) -> Result<T, BackupError> {
    let damaged = |cause: String| BackupError::Damaged { name: name.to_owned(), cause: format!("{path}: {cause}") };
    let mut text = Vec::new();
    entry.take(JSON_LIMIT).read_to_end(&mut text).map_err(|e| damaged(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))
}

fn known_format(name: &str, header: BackupHeader) -> Result<BackupHeader, BackupError> {
    if header.format <= FORMAT {
        return Ok(header);
    }
    let newer = format!("format {} of backups (known: {FORMAT})", header.format);
    Err(newer_than_this(name, &header.version, newer))
}

fn known_schema(name: &str, header: Option<&BackupHeader>, store: &StoreHeader) -> Result<(), BackupError> {
    if store.schema <= SCHEMA {
        return Ok(());
    }
    let newer = format!("version {} of the tables (known: up to {SCHEMA})", store.schema);
    Err(newer_than_this(name, header.map(|h| h.version.as_str()).unwrap_or_default(), newer))
}

fn newer_than_this(name: &str, version: &str, newer: String) -> BackupError {
    let (name, version) = (name.to_owned(), version.to_owned());
    BackupError::Newer { name, version, newer, this: env!("CARGO_PKG_VERSION") }
}

/// Whether the content of an archive is what its name tells.
fn intact<R>(path: &str, read: HashingReader<R>) -> Result<(), String> {
    let name = path.rsplit('/').next().unwrap_or_default();
    match archive_digest(name).filter(|_| path.starts_with("server/archives/")) {
        Some(digest) if hex(&read.hash.finalize()) != digest => Err(format!("{path} has another content")),
        _ => Ok(()),
    }
}

/// Hashes what is read, and remembers an error of reading.
struct HashingReader<R> {
    inner: R,
    hash: Sha256,
    failed: Option<String>,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(n) => {
                self.hash.update(&buffer[..n]);
                Ok(n)
            }
            Err(error) => {
                self.failed = Some(error.to_string());
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const HEADER: (&str, &str) = ("backup.json", r#"{"format": 1, "id": "x", "version": "9.8.7"}"#);
    const STORE: (&str, &str) = ("store.json", r#"{"schema": 6, "taken": 0, "database": "sqlite"}"#);

    /// A backup with these entries, whatever they are.
    fn made_of(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        let plain = tar.into_inner().unwrap().finish().unwrap();
        let mut recipient = age::scrypt::Recipient::new("x".to_owned().into());
        recipient.set_work_factor(2);
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
        let mut out = encryptor.wrap_output(Vec::new()).unwrap();
        out.write_all(&plain).unwrap();
        out.finish().unwrap()
    }

    async fn checked(entries: &[(&str, &str)]) -> Result<BackupSummary, BackupError> {
        let (file, passphrase) = (tempfile::NamedTempFile::new().unwrap(), Passphrase::new("x".to_owned()).unwrap());
        std::fs::write(file.path(), made_of(entries)).unwrap();
        check(file.path(), &passphrase).await
    }

    #[tokio::test]
    async fn a_newer_backup_is_refused_in_words() {
        let format = ("backup.json", r#"{"format": 2, "id": "x", "version": "9.8.7"}"#);
        let schema = ("store.json", r#"{"schema": 99, "taken": 0, "database": "sqlite"}"#);
        for entries in [&[format][..], &[HEADER, schema]] {
            let error = checked(entries).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains("stackyard 9.8.7 wrote it with") && error.hint().is_some(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_backup_writes_nowhere_but_where_it_belongs() {
        let end = |files: u64| format!(r#"{{"rows": {{}}, "files": {files}, "bytes": {}}}"#, files * 2);
        checked(&[HEADER, ("yards/shop.yaml", "{}"), STORE, ("end.json", &end(1))]).await.unwrap();
        for path in [
            "../evil",
            "/etc/evil",
            "server/../evil",
            "server/evil",
            "server/restoring",
            "server/archives/../ca.key",
            "server/archives/shop/evil",
            "server/agents/.",
            "server/agents/a/b",
            "yards/.lock.yaml",
            "yards/../x.yaml",
            "server//ca.key",
        ] {
            let error = checked(&[HEADER, (path, "{}"), STORE, ("end.json", &end(1))]).await.unwrap_err();
            assert!(matches!(error, BackupError::Damaged { .. }), "{path}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_part_that_is_missing_shows() {
        let end = r#"{"rows": {"hosts": 1}, "files": 0, "bytes": 0}"#;
        let rows = r#"{"table": "hosts", "columns": ["id"], "rows": [["a"]]}"#;
        let whole = [HEADER, STORE, ("store/000001-hosts.json", rows), ("end.json", end)];
        checked(&whole).await.unwrap();
        for missing in 0..whole.len() {
            let mut entries = whole.to_vec();
            entries.remove(missing);
            let error = checked(&entries).await.unwrap_err();
            assert!(matches!(error, BackupError::Damaged { .. }), "{missing}: {error:?}");
        }
        let archive = format!("server/archives/shop/{}.tar", "0".repeat(64));
        let end = r#"{"rows": {}, "files": 1, "bytes": 1}"#;
        let error = checked(&[HEADER, (&archive, "x"), STORE, ("end.json", end)]).await.unwrap_err();
        assert!(error.to_string().contains("has another content"), "{error}");
    }
}
