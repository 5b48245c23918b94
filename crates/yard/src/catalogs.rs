//! The catalogs of a machine: each is a copy of its source, kept as one tar below the state directory.
//!
//! A copy changes only when the user asks for it ([`Catalogs::update`]). So what was looked at is what is installed,
//! and a source that is away, or was changed by a stranger, makes no difference to yards.

use serde::{Deserialize, Serialize};
use stackyard_catalog::{
    CatalogIndex, CatalogPackage, FindError, IndexedPackage, Memory, PackageFinder, UnpackError,
    content_digest, pack_tree, read_directory, unpack,
};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file of a kept tar that says where the tree is from. Sources cannot have it: what is hidden is left out of
/// directories, and it replaces one of an archive.
const RECORD: &str = ".stackyard-catalog.json";

/// A catalog of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogRecord {
    /// Its name here.
    pub name: String,
    /// Directory or archive that it is a copy of; `built in` for the program's own.
    pub source: String,
    /// SHA-256 of its files, as `sha256:` and 64 hex digits.
    pub digest: String,
    /// Why it cannot be used; its source and digest are not known then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

impl CatalogRecord {
    /// A catalog whose copy cannot be used.
    fn damaged(name: &str, why: &CatalogError) -> Self {
        Self {
            name: name.to_owned(),
            source: String::new(),
            digest: String::new(),
            damage: Some(why.to_string()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct KeptRecord {
    source: String,
    digest: String,
}

/// Why a catalog cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The name cannot be one.
    #[error("`{0}` cannot name a catalog: use [a-z0-9][a-z0-9_-]*, 64 characters at most")]
    Name(String),
    /// There is a catalog of this name.
    #[error("there is a catalog `{name}` already, a copy of {origin}")]
    Taken {
        /// The name.
        name: String,
        /// What it is a copy of.
        origin: String,
    },
    /// There is no catalog of this name.
    #[error("there is no catalog `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The program's own catalog stays as it is.
    #[error("the catalog `{0}` is built in: it changes with the program")]
    BuiltIn(String),
    /// The source has no package.
    #[error("cannot take {origin} as a catalog: {why}")]
    NoCatalog {
        /// The source.
        origin: String,
        /// The reason.
        why: String,
    },
    /// The catalog has no such package, or not in this version.
    #[error("cannot find {package}: {why}")]
    NoPackage {
        /// Catalog and name.
        package: String,
        /// What there is.
        why: String,
    },
    /// The source cannot be read.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A file of the state directory cannot be read or written.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// The verb.
        doing: &'static str,
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// A kept copy is not what was kept.
    #[error("the copy of the catalog `{0}` is damaged; remove the catalog and add it again")]
    Damaged(String),
}

/// The catalogs of a machine.
#[derive(Debug, Clone)]
pub struct Catalogs {
    dir: PathBuf,
    built_in: Memory,
}

/// Name of the program's own catalog.
pub const BUILT_IN: &str = "stackyard";

impl Catalogs {
    /// Those below the state directory `home`, and the program's own, which has the tree `built_in`.
    pub fn new(home: &Path, built_in: Memory) -> Self {
        Self {
            dir: home.join("catalogs"),
            built_in,
        }
    }

    /// All catalogs, the program's own first, and damaged ones among them.
    ///
    /// # Errors
    /// [`CatalogError::File`] of their directory.
    pub fn list(&self) -> Result<Vec<CatalogRecord>, CatalogError> {
        let record = |name: &String| match self.open(name) {
            Ok((record, _)) => record,
            Err(why) => CatalogRecord::damaged(name, &why),
        };
        Ok(self.names()?.iter().map(record).collect())
    }

    /// Copies a directory or an archive (tar, or tar and gzip), and keeps the copy under this name.
    ///
    /// # Errors
    /// [`CatalogError`]; nothing is kept then.
    pub fn add(&self, name: &str, source: &str) -> Result<CatalogRecord, CatalogError> {
        let probe = format!("{name}/x@1").parse();
        if !matches!(probe, Ok(stackyard_catalog::PackageReference::Catalog(_))) {
            return Err(CatalogError::Name(name.to_owned()));
        }
        if let Ok((there, _)) = self.open(name) {
            let (name, origin) = (there.name, there.source);
            return Err(CatalogError::Taken { name, origin });
        }
        let path = std::path::absolute(source).map_err(file("find", Path::new(source)))?;
        self.keep(name, &path)
    }

    /// Copies the source of a catalog again. The record before and after.
    ///
    /// # Errors
    /// [`CatalogError`]; the old copy stays then.
    pub fn update(&self, name: &str) -> Result<(CatalogRecord, CatalogRecord), CatalogError> {
        let before = self.own(name)?;
        let after = self.keep(name, Path::new(&before.source))?;
        Ok((before, after))
    }

    /// Forgets a catalog, damaged or not. Yards that have packages of it need it for their next `up`.
    ///
    /// # Errors
    /// [`CatalogError`]
    pub fn remove(&self, name: &str) -> Result<CatalogRecord, CatalogError> {
        let record = match self.own(name) {
            Err(why @ (CatalogError::Unknown { .. } | CatalogError::BuiltIn(_))) => {
                return Err(why);
            }
            // What is damaged must not stay for ever.
            Err(why) => CatalogRecord::damaged(name, &why),
            Ok(record) => record,
        };
        let path = self.path(name);
        fs::remove_file(&path).map_err(file("remove", &path))?;
        Ok(record)
    }

    /// The packages of a catalog.
    ///
    /// # Errors
    /// [`CatalogError`]
    pub fn index(&self, name: &str) -> Result<CatalogIndex, CatalogError> {
        Ok(CatalogIndex::of(name, &self.open(name)?.1))
    }

    /// A package with the record of its catalog; its newest version if none is named.
    ///
    /// # Errors
    /// [`CatalogError`] of the catalog, or if it has no such package or version.
    pub fn package(
        &self,
        catalog: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<(CatalogRecord, IndexedPackage), CatalogError> {
        let (record, tree) = self.open(catalog)?;
        let index = CatalogIndex::of(catalog, &tree);
        match index.get(name, version) {
            Some(package) => Ok((record, package.clone())),
            None => Err(CatalogError::NoPackage {
                package: format!("{catalog}/{name}"),
                why: absent(&index, name, version),
            }),
        }
    }

    /// A catalog that is not the program's.
    fn own(&self, name: &str) -> Result<CatalogRecord, CatalogError> {
        match name {
            BUILT_IN => Err(CatalogError::BuiltIn(name.to_owned())),
            _ => Ok(self.open(name)?.0),
        }
    }

    fn names(&self) -> Result<Vec<String>, CatalogError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![BUILT_IN.to_owned()]),
            Err(e) => return Err(file("list", &self.dir)(e)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|e| {
                Some(
                    e.ok()?
                        .file_name()
                        .to_str()?
                        .strip_suffix(".tar")?
                        .to_owned(),
                )
            })
            .collect();
        names.sort();
        names.insert(0, BUILT_IN.to_owned());
        Ok(names)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.tar"))
    }

    fn open(&self, name: &str) -> Result<(CatalogRecord, Memory), CatalogError> {
        if name == BUILT_IN {
            let record = CatalogRecord {
                name: name.to_owned(),
                source: "built in".to_owned(),
                digest: content_digest(&self.built_in),
                damage: None,
            };
            return Ok((record, self.built_in.clone()));
        }
        let known = self.names()?;
        if !known.iter().any(|k| k == name) {
            let name = name.to_owned();
            return Err(CatalogError::Unknown { name, known });
        }
        let path = self.path(name);
        let kept = fs::File::open(&path).map_err(file("read", &path))?;
        let mut tree = unpack(&path.display().to_string(), kept)?;
        let damaged = || CatalogError::Damaged(name.to_owned());
        let record = tree.remove(RECORD).ok_or_else(damaged)?;
        let KeptRecord { source, digest } =
            serde_json::from_slice(&record).map_err(|_| damaged())?;
        if content_digest(&tree) != digest {
            return Err(damaged());
        }
        let name = name.to_owned();
        Ok((
            CatalogRecord {
                name,
                source,
                digest,
                damage: None,
            },
            tree,
        ))
    }

    /// Copies a source; the old copy stays until the new one is complete.
    fn keep(&self, name: &str, source: &Path) -> Result<CatalogRecord, CatalogError> {
        let shown = source.display().to_string();
        let mut tree = if source.is_dir() {
            read_directory(source)?
        } else {
            unpack(
                &shown,
                fs::File::open(source).map_err(file("read", source))?,
            )?
        };
        tree.remove(RECORD);
        let index = CatalogIndex::of(name, &tree);
        if index.packages.is_empty() {
            let none = "no directory in it has a `package.yaml`".to_owned();
            let why = index.mistakes.into_iter().next().unwrap_or(none);
            return Err(CatalogError::NoCatalog { origin: shown, why });
        }
        let digest = content_digest(&tree);
        let record = CatalogRecord {
            name: name.to_owned(),
            source: shown,
            digest: digest.clone(),
            damage: None,
        };
        let kept = serde_json::json!(KeptRecord {
            source: record.source.clone(),
            digest
        });
        tree.insert(RECORD, kept.to_string());
        let (path, new) = (self.path(name), self.dir.join(format!("{name}.new")));
        let packed = pack_tree(&tree).map_err(file("pack", &path))?;
        // With the record it may be one file or some bytes too many.
        unpack(&record.source, packed.as_slice())?;
        fs::create_dir_all(&self.dir).map_err(file("create", &self.dir))?;
        // On the disk before it has the name: a crash must not leave an empty file there.
        let mut written = fs::File::create(&new).map_err(file("write", &new))?;
        let synced = written.write_all(&packed).and_then(|()| written.sync_all());
        synced.map_err(file("write", &new))?;
        fs::rename(&new, &path).map_err(file("write", &path))?;
        Ok(record)
    }
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CatalogError {
    let path = path.display().to_string();
    move |source| CatalogError::File {
        doing,
        path,
        source,
    }
}

/// What a catalog has instead of a package.
fn absent(index: &CatalogIndex, name: &str, version: Option<&str>) -> String {
    let of_name = index.packages.iter().filter(|p| p.id.name == name);
    let versions: Vec<&str> = of_name.map(|p| p.id.version.as_str()).collect();
    match version {
        Some(version) if !versions.is_empty() => {
            format!(
                "there is no version {version}; there are {}",
                versions.join(", ")
            )
        }
        _ => "there is no such package; `stackyard catalog search` lists what there is".to_owned(),
    }
}

impl PackageFinder for Catalogs {
    fn find(&self, package: &CatalogPackage) -> Result<Memory, FindError> {
        let CatalogPackage {
            catalog,
            name,
            version,
        } = package;
        match self.package(catalog, name, Some(version)) {
            Ok((_, found)) => Ok(found.tree),
            Err(error) => Err(FindError {
                message: error.to_string(),
                hint: match error {
                    // The copy has other versions: the manifest's entry needs one of them.
                    CatalogError::NoPackage { .. } => None,
                    CatalogError::Damaged(_) => Some(
                        "`stackyard catalog remove` and `catalog add` copy it again".to_owned(),
                    ),
                    _ => Some(
                        "`stackyard catalog add` and `catalog update` fetch catalogs".to_owned(),
                    ),
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: &str) -> String {
        format!(
            "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {{name: db, version: '{version}'}}\n"
        )
    }

    #[test]
    fn a_catalog_is_a_copy_until_it_is_updated() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("db")).unwrap();
        fs::write(source.join("db/package.yaml"), package("1")).unwrap();
        let built_in = Memory::new("").with("own/package.yaml", package("1").replace("db", "own"));
        let catalogs = Catalogs::new(dir.path(), built_in);
        assert_eq!(catalogs.list().unwrap().len(), 1);
        let added = catalogs.add("main", source.to_str().unwrap()).unwrap();
        assert_eq!(catalogs.list().unwrap()[1], added);

        fs::write(source.join("db/package.yaml"), package("2")).unwrap();
        let versions = |catalogs: &Catalogs| -> Vec<String> {
            let index = catalogs.index("main").unwrap();
            index.packages.iter().map(|p| p.id.to_string()).collect()
        };
        assert_eq!(versions(&catalogs), ["main/db@1"]);
        let (before, after) = catalogs.update("main").unwrap();
        assert_eq!(
            (before, after.source.as_str()),
            (added, source.to_str().unwrap())
        );
        assert_eq!(versions(&catalogs), ["main/db@2"]);
        let error = catalogs
            .package("main", "db", Some("1"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "cannot find main/db: there is no version 1; there are 2"
        );

        // A source that is none any longer leaves the copy.
        fs::write(source.join("db/package.yaml"), "no: package\n").unwrap();
        let error = catalogs.update("main").unwrap_err().to_string();
        assert!(error.contains("main/db/package.yaml:1:1: "), "{error}");
        assert_eq!(versions(&catalogs), ["main/db@2"]);
        for (name, wanted) in [
            ("main", "there is a catalog `main` already"),
            (
                "stackyard",
                "there is a catalog `stackyard` already, a copy of built in",
            ),
            ("../x", "cannot name a catalog"),
        ] {
            let error = catalogs
                .add(name, source.to_str().unwrap())
                .unwrap_err()
                .to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(
            catalogs
                .remove("stackyard")
                .unwrap_err()
                .to_string()
                .contains("is built in")
        );
        catalogs.remove("main").unwrap();
        let error = catalogs.index("main").unwrap_err().to_string();
        assert_eq!(error, "there is no catalog `main`; there are stackyard");
    }

    #[test]
    fn an_archive_is_a_catalog_and_a_damaged_copy_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Memory::new("").with("top/db/package.yaml", package("1"));
        let archive = dir.path().join("c.tar");
        fs::write(&archive, pack_tree(&tree).unwrap()).unwrap();
        let catalogs = Catalogs::new(dir.path(), Memory::default());
        catalogs.add("main", archive.to_str().unwrap()).unwrap();
        let wanted = CatalogPackage {
            catalog: "main".into(),
            name: "db".into(),
            version: "1".into(),
        };
        assert_eq!(catalogs.find(&wanted).unwrap().files().count(), 1);

        // Another file in the kept tar than those whose digest was kept.
        let path = dir.path().join("catalogs/main.tar");
        let kept = unpack("kept", fs::File::open(&path).unwrap()).unwrap();
        fs::write(&path, pack_tree(&kept.with("evil", "x")).unwrap()).unwrap();
        let error = catalogs.find(&wanted).unwrap_err().to_string();
        assert!(
            error.contains("the copy of the catalog `main` is damaged"),
            "{error}"
        );
        // It is listed, with the others, and can be removed; so can one that is no tar at all.
        for content in [None, Some("no tar")] {
            content.inspect(|text| fs::write(&path, text).unwrap());
            let listed = catalogs.list().unwrap();
            assert_eq!((listed.len(), listed[1].name.as_str()), (2, "main"));
            assert!(listed[0].damage.is_none() && listed[1].damage.is_some());
            catalogs.remove("main").unwrap();
            assert!(!path.exists());
        }
        let unknown = catalogs.remove("main").unwrap_err().to_string();
        assert!(unknown.contains("there is no catalog `main`"), "{unknown}");
    }
}
