//! Where packages of catalogs come from, and what identifies their content.

use crate::reference::CatalogPackage;
use crate::source::{Memory, Source};
use sha2::{Digest, Sha256};
use stackyard_core::text::hex;

/// Finds packages of catalogs.
pub trait PackageFinder {
    /// The files of a version of a package.
    ///
    /// # Errors
    /// [`FindError`] if no such catalog, package or version is known.
    fn find(&self, package: &CatalogPackage) -> Result<Memory, FindError>;
}

/// Why a package is not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
pub struct FindError {
    /// The catalog, package or version that is missing.
    pub message: String,
    /// What to do about it; nothing if the catalog is there, so that another version of it is needed.
    pub hint: Option<String>,
}

/// No catalogs at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCatalogs;

impl PackageFinder for NoCatalogs {
    fn find(&self, package: &CatalogPackage) -> Result<Memory, FindError> {
        let message = format!("the package {package} is not available: no catalog is known here");
        Err(FindError { message, hint: Some("use a package in a directory, such as `./package`".into()) })
    }
}

/// Packages of catalogs that came with a manifest, among its files.
#[derive(Debug, Clone, Copy)]
pub struct CarriedPackages<'a>(pub &'a Memory);

/// Where files of a manifest have the packages of catalogs.
const CARRIED: &str = ".stackyard/packages";

impl CarriedPackages<'_> {
    /// Path of a package's file among the files of a manifest.
    pub(crate) fn path(package: &CatalogPackage, file: &str) -> String {
        format!("{CARRIED}/{package}/{file}")
    }
}

impl PackageFinder for CarriedPackages<'_> {
    fn find(&self, package: &CatalogPackage) -> Result<Memory, FindError> {
        let tree = self.0.below(&format!("{CARRIED}/{package}")).renamed(package.to_string());
        if tree.files().next().is_some() {
            return Ok(tree);
        }
        Err(FindError {
            message: format!("the package {package} is not among the files that came with the manifest"),
            hint: Some("bring the yard up once with `stackyard up`, which sends it along".into()),
        })
    }
}

/// The digest of a tree, `sha256:` and 64 lowercase hex digits: of the path and content of each file in the order of
/// paths, each with its length in bytes before it (64 bits, big endian).
pub fn content_digest(tree: &Memory) -> String {
    let mut hash = Sha256::new();
    for (path, content) in tree.files() {
        for part in [path.as_bytes(), content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    format!("sha256:{}", hex(&hash.finalize()))
}

/// Files that one package may have.
pub(crate) const FILES: usize = 2000;
/// Bytes of all files of a package: it travels with manifests.
const BYTES: u64 = 4 << 20;

/// Reads all files of a package. Catalogs and manifests carry texts alone.
///
/// # Errors
/// A phrase about the file that cannot be read, is no text, or is one too many.
pub(crate) fn snapshot(source: &dyn Source) -> Result<Memory, String> {
    let paths = source.list("").map_err(|e| format!("listing its files: {e}"))?;
    if paths.len() > FILES {
        return Err(format!("it has {} files; a package has {FILES} at most", paths.len()));
    }
    let mut tree = Memory::new(source.name());
    let mut bytes = 0;
    for path in paths {
        let content = source.read(&path).map_err(|e| format!("reading {path}: {e}"))?;
        bytes += content.len() as u64;
        if bytes > BYTES {
            return Err(format!("its files have more than {} MiB", BYTES >> 20));
        }
        if content.contains(&0) || std::str::from_utf8(&content).is_err() {
            return Err(format!("its file {path} is no UTF-8 text"));
        }
        tree.insert(path, content);
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_paths_from_content() {
        let one = Memory::new("a").with("ab", "c");
        assert_eq!(content_digest(&one), content_digest(&one.clone().renamed("b")));
        assert_ne!(content_digest(&one), content_digest(&Memory::new("").with("a", "bc")));
        assert_ne!(content_digest(&one), content_digest(&Memory::new("").with("ab", "c").with("d", "")));
        assert_eq!(content_digest(&one).len(), 71);
    }

    #[test]
    fn a_package_is_text_and_small() {
        let refused = |tree: Memory| snapshot(&tree).unwrap_err();
        assert_eq!(refused(Memory::new("").with("logo.png", [0xff, 1])), "its file logo.png is no UTF-8 text");
        assert_eq!(refused(Memory::new("").with("x", "a\0b")), "its file x is no UTF-8 text");
        assert_eq!(refused(Memory::new("").with("x", vec![b'a'; 5 << 20])), "its files have more than 4 MiB");
        let mut many = Memory::new("");
        (0..=FILES).for_each(|i| many.insert(format!("{i}"), ""));
        assert_eq!(refused(many), "it has 2001 files; a package has 2000 at most");
    }
}
