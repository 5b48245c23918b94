//! The files that a manifest of this machine names, for somebody elsewhere.

use super::{InstalledPackage, StackSource, Yard};
use crate::compose::open::{ARCHIVES, ArchivesByFile, open_and_tell};
use crate::finder::CarriedPackages;
use crate::reference::{CatalogPackage, PackageReference};
use crate::source::{Dir, Source};
use stackyard_core::stack::{Archive, Stack};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Archives that services of a stack mount, once for each path.
fn archives(stack: &Stack) -> Vec<Archive> {
    let by_path = stack.mounted_archives().map(|archive| (archive.source.as_str(), archive));
    by_path.collect::<BTreeMap<_, _>>().into_values().cloned().collect()
}

/// Texts of the files that a manifest names, and that those name, by their paths relative to it, as
/// [`super::read_with`] takes them. What is not below its directory, or no text, is left out. Of the files that stacks
/// carry to their hosts, the digests come along.
///
/// `path` is the manifest's own, from which `yard` was read.
pub fn companions(yard: &Yard, path: &Path) -> BTreeMap<String, String> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(dir) = dir.canonicalize() else { return BTreeMap::new() };
    let spec = &yard.manifest.spec;
    let keys = spec.keypairs.iter().filter_map(|k| k.public_key_file.as_ref());
    let data = spec.servers.iter().filter_map(|s| s.user_data_file.as_ref());
    let data = data.chain(spec.hosts.iter().filter_map(|h| h.user_data_file.as_ref()));
    let mut paths: BTreeSet<PathBuf> = keys.chain(data).map(|file| dir.join(file)).collect();
    let mut carried = ArchivesByFile::new();
    for stack in &yard.stacks {
        match &stack.source {
            StackSource::Compose(wanted) => {
                let Ok(opened) = open_and_tell(wanted) else { continue };
                paths.extend(opened.files);
                let mounted = archives(&opened.loaded.stack);
                let first = wanted.files.first().and_then(|f| below(&dir, &f.canonicalize().ok()?));
                carried.extend(first.filter(|_| !mounted.is_empty()).map(|first| (first, mounted)));
            }
            StackSource::Package { dir: package, .. } => paths.extend(inside(package)),
            // Their packages follow.
            StackSource::Installed(_) => {}
        }
    }
    let mut kept = BTreeMap::new();
    for package in &yard.packages {
        match &package.reference {
            PackageReference::Dir(of) => paths.extend(inside(&super::beside(&dir, of))),
            PackageReference::Catalog(of) => kept.extend(texts(package, of)),
        }
    }
    let mut files: BTreeMap<String, String> = paths.iter().filter_map(|path| text(&dir, path)).collect();
    files.extend(kept);
    if let (false, Ok(list)) = (carried.is_empty(), serde_json::to_string(&carried)) {
        files.insert(ARCHIVES.to_owned(), list);
    }
    files
}

/// Files that may come with a manifest: as many as one package may have.
pub const COMPANIONS: usize = crate::finder::FILES;
/// Bytes of these files as JSON: with the manifest they fit into one request to the server, of 16 MiB at most.
const COMPANION_BYTES: usize = 15 << 20;

/// Refuses files that a server would not take with a manifest.
///
/// # Errors
/// In words, with the limit and what to do.
pub fn check_companions(files: &BTreeMap<String, String>) -> Result<(), String> {
    let hint = "take what is not needed out of the directories of its packages, or divide the yard into several";
    if files.len() > COMPANIONS {
        let count = files.len();
        return Err(format!("the manifest names {count} files, and comes with {COMPANIONS} at most; {hint}"));
    }
    let bytes = serde_json::to_string(files).map_or(usize::MAX, |json| json.len());
    if bytes > COMPANION_BYTES {
        let (is, most) = (bytes.div_ceil(1 << 20), COMPANION_BYTES >> 20);
        return Err(format!(
            "the files that the manifest names have {is} MiB as JSON, and may have {most} MiB; {hint}"
        ));
    }
    Ok(())
}

/// Paths of the files in a package's directory.
fn inside(dir: &Path) -> Vec<PathBuf> {
    let Ok(package) = Dir::package(dir) else { return Vec::new() };
    let paths = package.list("").unwrap_or_default();
    package.root().into_iter().flat_map(|r| paths.iter().map(|p| r.join(p))).collect()
}

/// Texts of a catalog's package, by the paths under which they travel.
fn texts(package: &InstalledPackage, of: &CatalogPackage) -> BTreeMap<String, String> {
    let source = &package.package.source;
    let text = |path: &str| source.read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let paths = source.list("").unwrap_or_default();
    paths.iter().filter_map(|path| Some((CarriedPackages::path(of, path), text(path)?))).collect()
}

fn below(dir: &Path, full: &Path) -> Option<String> {
    Some(full.strip_prefix(dir).ok()?.to_str()?.to_owned())
}

fn text(dir: &Path, path: &Path) -> Option<(String, String)> {
    let full = path.canonicalize().ok()?;
    let text = std::fs::read_to_string(&full).ok().filter(|text| !text.contains('\0'))?;
    Some((below(dir, &full)?, text))
}

#[cfg(test)]
mod tests {
    use super::super::{load, read_with};
    use super::*;
    use crate::Memory;
    use crate::compose::open::open_in;
    use std::sync::Arc;

    #[test]
    fn a_manifest_with_its_companions_means_the_same_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        write("key.pub", b"ssh-ed25519 AAAA me");
        write("boot.sh", b"#!/bin/sh");
        write(
            "site/compose.yaml",
            b"services: {web: {image: 'web:${TAG}', env_file: ./env, configs: [c]}}\nconfigs: {c: {file: ./conf/c}}\n",
        );
        write("site/env", b"A=1\n");
        write("site/.env", b"TAG=7\n");
        write("site/conf/c", b"content");
        write("site/unused", b"x");
        write("unused", &[0xff]);
        let manifest = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  networks: [{name: n, cidr: 10.0.0.0/24}]\n  keypairs: [{name: k, publicKeyFile: key.pub}]\n  servers: [{name: s, flavor: f, image: i, network: n, userDataFile: ./boot.sh}]\n  stacks: [{name: site, compose: site/compose.yaml}]\n";
        write("yard.yaml", manifest.as_bytes());
        let path = dir.path().join("yard.yaml");
        let here = load(&path).unwrap();
        let files = companions(&here, &path);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["boot.sh", "key.pub", "site/.env", "site/compose.yaml", "site/conf/c", "site/env"]);
        let mut memory = Memory::new("");
        files.into_iter().for_each(|(path, text)| memory.insert(path, text));
        let memory = Arc::new(memory);
        let there = read_with("yard.yaml", manifest.to_owned(), memory.clone()).unwrap();
        assert_eq!(format!("{:?}", there.intended), format!("{:?}", here.intended));
        let StackSource::Compose(wanted) = &there.stacks[0].source else { panic!("no Compose file") };
        let web = &open_in(wanted, &memory).unwrap().stack.services["web"];
        assert_eq!((web.image.as_str(), web.environment["A"].as_str()), ("web:7", "1"));
    }

    #[test]
    fn files_that_a_server_refuses_are_told_before_they_are_sent() {
        let files = |count: usize, text: &str| (0..count).map(|i| (format!("f{i}"), text.to_owned())).collect();
        assert_eq!(check_companions(&files(COMPANIONS, "x")), Ok(()));
        let error = check_companions(&files(COMPANIONS + 1, "")).unwrap_err();
        assert!(error.contains("names 2001 files, and comes with 2000 at most"), "{error}");
        // Each line break is two bytes of JSON.
        let error = check_companions(&files(2, &"\n".repeat(4 << 20))).unwrap_err();
        assert!(error.contains("have 17 MiB as JSON, and may have 15 MiB"), "{error}");
    }

    #[test]
    fn carried_files_are_the_same_ones_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        write("site/more/compose.yaml", "services: {db: {image: d, volumes: ['./x:/x:ro']}}\n");
        write("site/more/x", "x");
        let web = "{image: w, volumes: ['./www:/www:ro', '../common:/c:ro', '.:/all:ro']}";
        write("site/compose.yaml", &format!("include: [./more/compose.yaml]\nservices: {{web: {web}}}\n"));
        write("site/www/index.html", "one");
        write("common/a", "a");
        let manifest = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  networks: [{name: n, cidr: 10.0.0.0/24}]\n  stacks: [{name: site, compose: site/compose.yaml}]\n";
        write("yard.yaml", manifest);
        let path = dir.path().join("yard.yaml");
        let here = load(&path).unwrap();
        let mut memory = Memory::new("");
        companions(&here, &path).into_iter().for_each(|(path, text)| memory.insert(path, text));
        let memory = Arc::new(memory);
        let there = read_with("yard.yaml", manifest.to_owned(), memory.clone()).unwrap();
        let wanted = |yard: &Yard| match &yard.stacks[0].source {
            StackSource::Compose(wanted) => wanted.clone(),
            _ => panic!("no Compose file"),
        };
        let there = open_in(&wanted(&there), &memory).unwrap().stack;
        let here = open_and_tell(&wanted(&here)).unwrap().loaded;
        assert_eq!(there.services, here.stack.services);
        let sources: Vec<String> = archives(&there).into_iter().map(|a| a.source).collect();
        assert_eq!(sources, [".", "../common", "./more/x", "./www"]);
    }
}
