//! How a manifest names a package: a directory, or a version in a catalog.

use crate::package::is_stack_name;
use std::fmt;
use std::str::FromStr;

/// A version of a package in a catalog: `CATALOG/NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogPackage {
    /// Name of the catalog on this machine.
    pub catalog: String,
    /// `metadata.name` of the package.
    pub name: String,
    /// `metadata.version` of the package.
    pub version: String,
}

impl fmt::Display for CatalogPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.catalog, self.name, self.version)
    }
}

/// A package as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageReference {
    /// A directory, relative to the manifest.
    Dir(String),
    /// A version in a catalog.
    Catalog(CatalogPackage),
}

impl fmt::Display for PackageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => f.write_str(dir),
            Self::Catalog(package) => package.fmt(f),
        }
    }
}

impl FromStr for PackageReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(['.', '/', '~']) {
            return Ok(Self::Dir(text.to_owned()));
        }
        let parts = text.split_once('@').and_then(|(path, version)| Some((path.split_once('/')?, version)));
        match parts {
            Some(((catalog, name), version))
                if is_catalog_name(catalog) && is_catalog_name(name) && is_version(version) =>
            {
                let [catalog, name, version] = [catalog, name, version].map(str::to_owned);
                Ok(Self::Catalog(CatalogPackage { catalog, name, version }))
            }
            _ => Err(format!("`{text}` is neither CATALOG/NAME@VERSION nor a directory such as `./{text}`")),
        }
    }
}

/// Whether a text can name a catalog or a package: as a stack, 64 bytes at most.
pub(crate) fn is_catalog_name(name: &str) -> bool {
    name.len() <= 64 && is_stack_name(name)
}

/// Whether a text can be a version: letters, digits, `.`, `_`, `+`, `-`, a letter or digit first, 64 bytes at most.
pub(crate) fn is_version(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_versions_are_told_apart() {
        let read = |text: &str| {
            text.parse::<PackageReference>().map(|r| (r.to_string(), matches!(r, PackageReference::Dir(_))))
        };
        for dir in ["./db", "../db", "/srv/db", "~/db", "./a/b@1"] {
            assert_eq!(read(dir), Ok((dir.to_owned(), true)));
        }
        assert_eq!(read("main/db@1.0.0-rc1+2"), Ok(("main/db@1.0.0-rc1+2".to_owned(), false)));
        for wrong in ["db", "main/db", "main/db@", "main/../db@1", "main/db@../1", "Main/db@1", "a/b/c@1", "@1", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
