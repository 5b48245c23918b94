//! The packages in the tree of a catalog: every outermost directory with a `package.yaml`.

use crate::finder::content_digest;
use crate::package::Package;
use crate::reference::{CatalogPackage, is_version};
use crate::source::Memory;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Directories above a package.
const DEPTH: usize = 4;

/// A package of a catalog.
#[derive(Debug, Clone)]
pub struct IndexedPackage {
    /// Catalog, name and version.
    pub id: CatalogPackage,
    /// What is in its `package.yaml`.
    pub package: Package,
    /// Its files.
    pub tree: Memory,
}

impl IndexedPackage {
    /// SHA-256 of its files; see [`content_digest`].
    pub fn digest(&self) -> String {
        content_digest(&self.tree)
    }
}

/// The packages of a catalog.
#[derive(Debug, Clone, Default)]
pub struct CatalogIndex {
    /// By name, and then from the oldest to the newest version.
    pub packages: Vec<IndexedPackage>,
    /// Directories that look like packages and are none, each with the reason.
    pub mistakes: Vec<String>,
}

impl CatalogIndex {
    /// Reads the packages in the tree of the catalog `catalog`.
    pub fn of(catalog: &str, tree: &Memory) -> Self {
        let mut index = Self::default();
        let mut seen: BTreeMap<CatalogPackage, String> = BTreeMap::new();
        for dir in package_dirs(tree) {
            match read(catalog, tree, &dir) {
                Ok(package) => match seen.insert(package.id.clone(), dir.clone()) {
                    None => index.packages.push(package),
                    Some(other) => index.mistakes.push(format!("{dir}: {} is also in {other}", package.id)),
                },
                Err(mistake) => index.mistakes.push(mistake),
            }
        }
        index
            .packages
            .sort_by(|a, b| a.id.name.cmp(&b.id.name).then_with(|| compare_versions(&a.id.version, &b.id.version)));
        index
    }

    /// A package by name, and by version; without a version its newest.
    pub fn get(&self, name: &str, version: Option<&str>) -> Option<&IndexedPackage> {
        let mut found = self.packages.iter().rev().filter(|p| p.id.name == name);
        found.find(|p| version.is_none_or(|v| p.id.version == v))
    }
}

/// Directories with a `package.yaml`; not those within another one.
fn package_dirs(tree: &Memory) -> Vec<String> {
    let mut dirs: Vec<String> = Vec::new();
    let found = tree.files().filter_map(|(path, _)| match path.rsplit_once('/') {
        Some((dir, "package.yaml")) => Some(dir.to_owned()),
        None if path == "package.yaml" => Some(String::new()),
        _ => None,
    });
    let mut found: Vec<String> = found.filter(|dir| dir.split('/').count() <= DEPTH).collect();
    found.sort_by_key(String::len);
    for dir in found {
        let is_inside = |outer: &String| outer.is_empty() || dir.starts_with(&format!("{outer}/"));
        if !dirs.iter().any(is_inside) {
            dirs.push(dir);
        }
    }
    dirs
}

fn read(catalog: &str, tree: &Memory, dir: &str) -> Result<IndexedPackage, String> {
    let shown = if dir.is_empty() { catalog.to_owned() } else { format!("{catalog}/{dir}") };
    let tree = tree.below(dir).renamed(&shown);
    let package = Package::load(Arc::new(tree.clone())).map_err(|e| e.to_string())?;
    if !is_version(&package.version) {
        return Err(format!(
            "{shown}/package.yaml: metadata.version: `{}` is not [A-Za-z0-9][A-Za-z0-9._+-]*",
            package.version
        ));
    }
    let (name, version) = (package.name.clone(), package.version.clone());
    let id = CatalogPackage { catalog: catalog.to_owned(), name, version };
    Ok(IndexedPackage { tree: tree.renamed(id.to_string()), package, id })
}

/// The order of versions: part by part, numbers by their value, and a version before the same one with more behind
/// it, unless that is text (`1.0-rc1` comes before `1.0`).
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| text.split(['.', '-', '_', '+']).map(str::to_owned).collect::<Vec<_>>();
    let (a, b) = (parts(a), parts(b));
    for i in 0..a.len().max(b.len()) {
        let order = match (a.get(i), b.get(i)) {
            (Some(a), Some(b)) => compare_parts(a, b),
            (Some(more), None) => longer(more),
            (None, Some(more)) => longer(more).reverse(),
            (None, None) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// How a version with this next part compares with one that ends.
fn longer(part: &str) -> Ordering {
    if part.parse::<u64>().is_ok() { Ordering::Greater } else { Ordering::Less }
}

/// Numbers come after texts.
fn compare_parts(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Greater,
        (Err(_), Ok(_)) => Ordering::Less,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str, version: &str) -> String {
        format!("apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {{name: {name}, version: '{version}'}}\n")
    }

    #[test]
    fn packages_are_found_with_all_their_versions() {
        let tree = Memory::new("")
            .with("top/db/1.9/package.yaml", meta("db", "1.9"))
            .with("top/db/1.10/package.yaml", meta("db", "1.10"))
            .with("top/db/1.10/config/package.yaml", "no package")
            .with("top/web/package.yaml", meta("web", "1"))
            .with("top/copy/package.yaml", meta("web", "1"))
            .with("top/bad/package.yaml", meta("bad", "../1"))
            .with("top/worse/package.yaml", "kind: Package\n")
            .with("a/b/c/d/e/package.yaml", meta("deep", "1"))
            .with("README.md", "x");
        let index = CatalogIndex::of("main", &tree);
        let names: Vec<String> = index.packages.iter().map(|p| p.id.to_string()).collect();
        assert_eq!(names, ["main/db@1.9", "main/db@1.10", "main/web@1"]);
        assert_eq!(index.get("db", None).unwrap().id.version, "1.10");
        assert_eq!(index.get("db", Some("1.9")).unwrap().id.version, "1.9");
        assert!(index.get("db", Some("2")).is_none());
        assert_eq!(index.get("db", None).unwrap().tree.files().count(), 2);
        let mistakes = index.mistakes.join("\n");
        assert!(mistakes.contains("main/web@1 is also in top/"), "{mistakes}");
        assert!(mistakes.contains("metadata.version: `../1`"), "{mistakes}");
        assert!(mistakes.contains("main/top/worse/package.yaml:1:1: : `apiVersion` is missing"), "{mistakes}");
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut versions = ["1.10", "1.9.1", "2.0", "1.9", "2.0-rc2", "2.0-rc1", "10", "1.9-beta"];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(versions, ["1.9-beta", "1.9", "1.9.1", "1.10", "2.0-rc1", "2.0-rc2", "2.0", "10"]);
    }
}
