//! The record of yards: the manifest that was last applied, one file a yard, 0600. It says which
//! yards there ought to be; what there is, the cloud says.
//!
//! A yard is its name and its scope: `shop@1f0c8ab2d91e.yaml`. Older versions wrote `shop.yaml`, which says
//! nothing of the project.

use super::lock::{YardLock, trouble};
use crate::error::Error;
use stackyard_catalog::manifest;
use stackyard_core::yard::{Mark, Scope};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The directory with the records.
#[derive(Debug, Clone)]
pub struct Records {
    dir: PathBuf,
}

impl Records {
    /// The records in state directory `home`.
    pub fn new(home: &Path) -> Self {
        Self {
            dir: home.join("yards"),
        }
    }

    fn path(&self, yard: &str, scope: &Scope) -> PathBuf {
        self.dir.join(format!("{}.yaml", scope.owner(yard)))
    }

    fn older(&self, yard: &str) -> PathBuf {
        self.dir.join(format!("{yard}.yaml"))
    }

    fn make(&self) -> Result<(), Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(trouble("making", &self.dir))
    }

    /// Takes a yard's lock.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::File`].
    pub fn lock(&self, yard: &str, scope: &Scope) -> Result<YardLock, Error> {
        self.make()?;
        YardLock::take(self.dir.join(format!(".{}.lock", scope.owner(yard))))
    }

    /// Keeps a manifest; a crash leaves the old or the new one.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn keep(&self, yard: &str, scope: &Scope, manifest: &str) -> Result<(), Error> {
        self.make()?;
        let (path, new) = (
            self.path(yard, scope),
            self.dir.join(format!(".{}.new", scope.owner(yard))),
        );
        let write = || {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(manifest.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(trouble("writing", &path))
    }

    /// The manifest that was last applied to a yard; nothing if there is none. Without a scope, that of the only
    /// yard of this name.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn read(&self, yard: &str, scope: Option<&Scope>) -> Result<Option<String>, Error> {
        if let Some(scope) = scope {
            let manifest = read(&self.path(yard, scope))?;
            return if manifest.is_some() {
                Ok(manifest)
            } else {
                read(&self.older(yard))
            };
        }
        let known = self.known()?;
        let mut named = known.0.iter().filter(|(name, _)| name == yard);
        match (named.next(), named.next()) {
            (Some((_, Some(only))), None) => read(&self.path(yard, only)),
            (Some((_, None)), None) => read(&self.older(yard)),
            _ => Ok(None),
        }
    }

    /// Forgets a yard, and what an older version wrote of it for the same cloud.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn forget(&self, yard: &str, scope: &Scope) -> Result<(), Error> {
        let cloud = |text: String| {
            manifest::gist("a yard's record", &text)
                .ok()
                .map(|gist| gist.cloud)
        };
        let (path, older) = (self.path(yard, scope), self.older(yard));
        let (this, before) = (read(&path)?.and_then(cloud), read(&older)?.and_then(cloud));
        // Removed first, so that what is killed in between is done again.
        if before.is_some() && (this.is_none() || this == before) {
            remove(&older)?;
        }
        remove(&path)
    }

    /// The yards with a record.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn known(&self) -> Result<KnownYards, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(KnownYards::default()),
            Err(e) => return Err(trouble("reading", &self.dir)(e)),
        };
        let names = entries
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok());
        let yard = |name: &str| {
            let name = name.strip_suffix(".yaml").filter(|n| !n.starts_with('.'))?;
            match name.split_once('@') {
                Some((yard, scope)) => Some((yard.to_owned(), Some(Scope::parse(scope)?))),
                None => Some((name.to_owned(), None)),
            }
        };
        Ok(KnownYards(names.filter_map(|name| yard(&name)).collect()))
    }
}

/// Yards that have a record: name and scope, without one where an older version wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownYards(BTreeSet<(String, Option<Scope>)>);

impl KnownYards {
    /// Whether a mark is one of these yards. What an older version marked may be any of its name.
    pub fn has(&self, mark: &Mark) -> bool {
        let (yard, scope) = (&mark.yard, &mark.scope);
        self.0
            .iter()
            .any(|(name, of)| name == yard && (of == scope || scope.is_none()))
    }
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(trouble("reading", path)(e)),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(trouble("removing", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::yard::{Key, Kind};
    use std::os::unix::fs::PermissionsExt;

    fn scope(project: &str) -> Scope {
        Scope::of(project, "RegionOne")
    }

    fn mark(yard: &str, scope: &Scope) -> Mark {
        Mark::new(yard, scope, &Key::new(Kind::Network, "front"))
    }

    #[test]
    fn records_are_private_and_can_be_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let (records, one, two) = (Records::new(home.path()), scope("p1"), scope("p2"));
        assert_eq!(records.known().unwrap(), KnownYards::default());
        let lock = records.lock("shop", &one).unwrap();
        assert!(matches!(
            records.lock("shop", &one),
            Err(Error::Locked { .. })
        ));
        records.lock("shop", &two).unwrap();
        drop(lock);
        records.keep("shop", &one, "kind: Yard\n").unwrap();
        let path = home.path().join(format!("yards/shop@{one}.yaml"));
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let known = records.known().unwrap();
        assert!(known.has(&mark("shop", &one)) && known.has(&mark("shop", &one).older()));
        assert!(!known.has(&mark("shop", &two)) && !known.has(&mark("lab", &one)));
        for scope in [Some(&one), None] {
            assert_eq!(
                records.read("shop", scope).unwrap().as_deref(),
                Some("kind: Yard\n")
            );
        }
        assert_eq!(records.read("shop", Some(&two)).unwrap(), None);
        assert_eq!(records.read("lab", None).unwrap(), None);
        // With two of the name, only a scope says which.
        records.keep("shop", &two, "kind: Other\n").unwrap();
        assert_eq!(records.read("shop", None).unwrap(), None);
        records.forget("shop", &two).unwrap();
        records.forget("shop", &one).unwrap();
        records.forget("shop", &one).unwrap();
        assert_eq!(records.known().unwrap(), KnownYards::default());
    }

    #[test]
    fn records_of_older_versions_stay_until_their_yard_goes() {
        let home = tempfile::tempdir().unwrap();
        let (records, one, two) = (Records::new(home.path()), scope("p1"), scope("p2"));
        let text = |cloud: &str| {
            format!(
                "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec: {{cloud: {cloud}}}\n"
            )
        };
        records.make().unwrap();
        fs::write(home.path().join("yards/shop.yaml"), text("one")).unwrap();
        // Whose it is, it does not say.
        assert!(records.known().unwrap().has(&mark("shop", &one).older()));
        assert!(!records.known().unwrap().has(&mark("shop", &one)));
        assert_eq!(records.read("shop", None).unwrap(), Some(text("one")));
        records.keep("shop", &two, &text("two")).unwrap();
        records.forget("shop", &two).unwrap();
        assert!(records.known().unwrap().has(&mark("shop", &one).older()));
        records.keep("shop", &one, &text("one")).unwrap();
        records.forget("shop", &one).unwrap();
        assert_eq!(records.known().unwrap(), KnownYards::default());
    }

    #[test]
    fn a_lock_remembers_what_was_broken_off_until_it_is_settled() {
        let home = tempfile::tempdir().unwrap();
        let (records, one) = (Records::new(home.path()), scope("p1"));
        assert!(!records.lock("shop", &one).unwrap().is_unsettled());
        records.lock("shop", &one).unwrap().making().unwrap();
        for _ in 0..2 {
            assert!(records.lock("shop", &one).unwrap().is_unsettled());
        }
        assert!(!records.lock("lab", &one).unwrap().is_unsettled());
        assert!(!records.lock("shop", &scope("p2")).unwrap().is_unsettled());
        records.lock("shop", &one).unwrap().settled().unwrap();
        assert!(!records.lock("shop", &one).unwrap().is_unsettled());
    }
}
