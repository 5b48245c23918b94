//! Packages of a manifest: the parts that they bring become the manifest's own, so that everything after reading
//! treats them alike.

use super::{FileBase, InstalledStack, StackSource, YardStack, beside};
use crate::answers::{Answers, ResolvedAnswers};
use crate::diag::{Log, Place, Problem};
use crate::error::Error;
use crate::finder::{PackageFinder, content_digest, snapshot};
use crate::fragment::{self, LISTS, append, name_of};
use crate::interpolate::TextBudget;
use crate::package::{COMPOSE, Package};
use crate::reference::{CatalogPackage, PackageReference};
use crate::render::{INSTANCE, variables};
use crate::source::{Dir, Memory, Source, normalise};
use crate::yaml::{Node, from_node};
use serde::Deserialize;
use stackyard_core::yard::manifest::{OneOrMany, PackageEntry};
use stackyard_core::yard::words::is_yard_name;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Packages of a manifest.
const ENTRIES: usize = 64;
/// Bytes of the files of all its packages, each counted once.
const BYTES: u64 = 16 << 20;

/// A package of a manifest.
#[derive(Debug, Clone)]
pub struct InstalledPackage {
    /// Name in the yard; unique within it.
    pub name: String,
    /// As the manifest names it.
    pub reference: PackageReference,
    /// SHA-256 of its files; absent for a directory whose files the manifest does not pin.
    pub digest: Option<String>,
    /// Its files.
    pub package: Package,
}

/// A stack of a package, in its `yard.yaml`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PackageStack {
    name: String,
    #[serde(default)]
    compose: Option<OneOrMany>,
    #[serde(default)]
    pool: Option<String>,
}

/// What the packages of a manifest brought.
#[derive(Default)]
pub(super) struct MergedPackages {
    pub(super) installed: Vec<InstalledPackage>,
    pub(super) stacks: Vec<YardStack>,
    origins: Vec<FragmentOrigin>,
    /// Entries without files: what they bring is not known.
    pub(super) absent: Vec<String>,
}

/// Where items of a manifest came from.
struct FragmentOrigin {
    instance: String,
    entry: Place,
    /// The file in the places of its items; of two packages with the same files, each has its own.
    file: Arc<str>,
    /// First item of each list.
    starts: BTreeMap<&'static str, usize>,
}

/// Reads the packages of a manifest and appends what they bring to its lists. Where nobody has the files of a
/// manifest ([`FileBase::Partial`]), packages are left out. Mistakes are noted in `log`.
pub(super) fn merge(root: &mut Node, base: &FileBase<'_>, finder: &dyn PackageFinder, log: &Log) -> MergedPackages {
    let mut merge = PackageMerge {
        base,
        finder,
        log,
        merged: MergedPackages::default(),
        names: BTreeMap::new(),
        read: BTreeMap::new(),
        bytes: 0,
        budget: TextBudget::default(),
    };
    let Some(spec) = root.as_map_mut().and_then(|m| m.get_mut("spec")).and_then(Node::as_map_mut) else {
        return merge.merged;
    };
    let Some((place, entries)) = spec.get("packages").and_then(|n| Some((n.place.clone(), n.as_list()?))) else {
        return merge.merged;
    };
    if entries.len() > ENTRIES {
        let message = format!("spec.packages: {} packages; a manifest has {ENTRIES} at most", entries.len());
        log.problem_hint(&place, message, Some("divide the yard into several".into()));
        return merge.merged;
    }
    let entries = entries.to_vec();
    for (list, key, _) in LISTS {
        for item in spec.get(list).and_then(Node::as_list).unwrap_or_default() {
            if let Some((name, node)) = name_of(item, key) {
                merge.names.entry((list, name.to_owned())).or_insert_with(|| node.place.clone());
            }
        }
    }
    for (i, node) in entries.iter().enumerate() {
        let path = format!("spec.packages[{i}]");
        let Some(entry) = from_node::<PackageEntry>(node, &path, log) else { continue };
        let package = PackageNode { entry, node, path };
        let Some(instance) = merge.check_name(&package) else { continue };
        let Some(found) = merge.find(&package) else { continue };
        merge.add(&package, instance, found, spec);
    }
    merge.merged
}

/// An entry of `spec.packages`.
struct PackageNode<'n> {
    entry: PackageEntry,
    node: &'n Node,
    path: String,
}

impl PackageNode<'_> {
    /// Where a key of the entry is, else the entry.
    fn place(&self, key: &str) -> &Place {
        self.node.as_map().and_then(|m| m.get(key)).map_or(&self.node.place, |n| &n.place)
    }

    fn problem(&self, key: &str, message: impl std::fmt::Display, hint: Option<String>) -> Problem {
        Problem { place: self.place(key).clone(), message: format!("{}.{key}: {message}", self.path), hint }
    }
}

struct PackageMerge<'a> {
    base: &'a FileBase<'a>,
    finder: &'a dyn PackageFinder,
    log: &'a Log,
    merged: MergedPackages,
    /// Where each name of a list is, the manifest's and those of packages.
    names: BTreeMap<(&'static str, String), Place>,
    /// By what entries name: entries of one package share its files.
    read: BTreeMap<String, PackageFiles>,
    /// Of the files that were read.
    bytes: u64,
    /// For what all packages bring.
    budget: TextBudget,
}

/// The files of a package.
#[derive(Clone)]
struct PackageFiles {
    source: Arc<dyn Source>,
    /// Of files that are in memory.
    digest: Option<String>,
    /// What `package.yaml` says, once an entry needed it.
    package: Option<Package>,
}

impl PackageMerge<'_> {
    fn check_name(&mut self, package: &PackageNode<'_>) -> Option<String> {
        let name = &package.entry.name;
        if !is_yard_name(name) {
            let hint = "use up to 40 lower case letters, digits and dashes";
            self.log.push(package.problem("name", format!("`{name}` cannot name a package"), Some(hint.into())));
            return None;
        }
        if let Some(other) = self.names.get(&("packages", name.clone())) {
            self.log.push(package.problem("name", format!("there is another package `{name}` in {other}"), None));
            return None;
        }
        // Both keep their secrets by this name.
        if let Some(other) = self.names.get(&("stacks", name.clone())) {
            let message = format!("there is a stack `{name}` in {other}");
            self.log.push(package.problem("name", message, Some("give one of them another name".into())));
            return None;
        }
        self.names.insert(("packages", name.clone()), package.place("name").clone());
        Some(name.clone())
    }

    /// The files of a package, with its digest if that is known and right.
    fn find(&mut self, package: &PackageNode<'_>) -> Option<InstalledPackage> {
        let read = package.entry.package.parse::<PackageReference>();
        let reference = read.map_err(|message| self.log.push(package.problem("package", message, None))).ok()?;
        let found = match &reference {
            PackageReference::Dir(dir) => self.directory(package, dir),
            PackageReference::Catalog(wanted) => self.of_catalog(package, wanted),
        };
        let (files, digest) = match found {
            Ok(found) => found,
            Err(problem) => {
                match problem {
                    Some(problem) => self.log.push(problem),
                    None => self.merged.absent.push(package.entry.name.clone()),
                }
                return None;
            }
        };
        let read = match files.package.map_or_else(|| Package::load(files.source), Ok) {
            Ok(read) => read,
            Err(error) => {
                self.tell(package, error);
                return None;
            }
        };
        if let Some(files) = self.read.get_mut(&key(&reference)) {
            files.package = Some(read.clone());
        }
        if let PackageReference::Catalog(wanted) = &reference
            && (read.name != wanted.name || read.version != wanted.version)
        {
            let message = format!("{wanted} has a package.yaml of {}@{}", read.name, read.version);
            self.log.push(package.problem("package", message, None));
            return None;
        }
        let name = package.entry.name.clone();
        Some(InstalledPackage { name, reference, digest, package: read })
    }

    /// Mistakes of `package.yaml`.
    fn tell(&self, package: &PackageNode<'_>, error: Error) {
        let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
        match error {
            Error::Files(problems) => {
                let name = &package.entry.name;
                problems.into_iter().for_each(|p| self.log.push(in_package(p, name, &package.node.place)));
            }
            other => self.log.push(package.problem("package", format!("{other}{cause}"), None)),
        }
    }
}

/// Files, and their digest if the manifest pins it.
type FoundFiles = (PackageFiles, Option<String>);

/// What two entries of one package have in common.
fn key(reference: &PackageReference) -> String {
    match reference {
        PackageReference::Dir(dir) => format!("./{}", normalise(dir).unwrap_or_else(|| dir.clone())),
        PackageReference::Catalog(wanted) => wanted.to_string(),
    }
}

impl PackageMerge<'_> {
    /// A directory's files. Without a problem if only the manifest's text is known.
    fn directory(&mut self, package: &PackageNode<'_>, dir: &str) -> Result<FoundFiles, Option<Problem>> {
        let refused = |e: String| Some(package.problem("package", e, None));
        let key = key(&PackageReference::Dir(dir.to_owned()));
        let files = match (self.read.get(&key), self.base) {
            (Some(files), _) => files.clone(),
            (None, FileBase::Dir(base)) => {
                let path = beside(base, dir);
                let opened = Dir::package(&path).map_err(|e| format!("cannot read {}: {e}", path.display()));
                let source: Arc<dyn Source> = Arc::new(opened.map_err(refused)?);
                // Whatever else is in a directory that is no package is not read.
                match package.entry.digest.is_some() && source.read("package.yaml").is_ok() {
                    true => self.keep(key, snapshot(source.as_ref()).map_err(refused)?).map_err(refused)?,
                    false => PackageFiles { source, digest: None, package: None },
                }
            }
            (None, FileBase::Files(files)) => {
                let tree = files.below(dir);
                if tree.files().next().is_none() {
                    return Err(Some(package.problem("package", super::absent(dir), Some(super::SEND.into()))));
                }
                self.keep(key, snapshot(&tree).map_err(refused)?).map_err(refused)?
            }
            (None, FileBase::Partial(files)) => {
                let tree = files.below(dir);
                if !tree.contains("package.yaml") {
                    return Err(None);
                }
                self.keep(key, snapshot(&tree).map_err(refused)?).map_err(refused)?
            }
        };
        match (&package.entry.digest, &files.digest) {
            (Some(_), Some(digest)) => {
                let hint = "look at the change, and write the new digest into the manifest";
                self.check_digest(package, dir, digest, hint)?;
                let digest = files.digest.clone();
                Ok((files, digest))
            }
            _ => Ok((files, None)),
        }
    }

    fn of_catalog(
        &mut self,
        package: &PackageNode<'_>,
        wanted: &CatalogPackage,
    ) -> Result<FoundFiles, Option<Problem>> {
        let problem = |message: String, hint| Some(package.problem("package", message, hint));
        let key = wanted.to_string();
        let files = match (self.read.get(&key), self.base) {
            (Some(files), _) => files.clone(),
            (None, base) => {
                let tree = match (self.finder.find(wanted), base) {
                    (Ok(tree), _) => tree,
                    (Err(_), FileBase::Partial(_)) => return Err(None),
                    (Err(e), _) => {
                        let name = &package.entry.name;
                        let other =
                            || format!("`stackyard catalog upgrade {name}` writes another version into the manifest");
                        return Err(problem(e.message, Some(e.hint.unwrap_or_else(other))));
                    }
                };
                let tree = snapshot(&tree).map_err(|e| problem(format!("{wanted}: {e}"), None))?;
                self.keep(key, tree).map_err(|e| problem(e, None))?
            }
        };
        let name = &package.entry.name;
        let hint = format!("look at the change and take it with `stackyard catalog upgrade {name}`");
        self.check_digest(package, &wanted.to_string(), files.digest.as_deref().unwrap_or_default(), &hint)?;
        let digest = files.digest.clone();
        Ok((files, digest))
    }

    /// Keeps the files of a package for all its entries.
    fn keep(&mut self, key: String, tree: Memory) -> Result<PackageFiles, String> {
        self.bytes += tree.files().map(|(_, content)| content.len() as u64).sum::<u64>();
        if self.bytes > BYTES {
            return Err(format!("with it, the packages of the manifest have more than {} MiB", BYTES >> 20));
        }
        let files = PackageFiles { digest: Some(content_digest(&tree)), source: Arc::new(tree), package: None };
        self.read.insert(key, files.clone());
        Ok(files)
    }

    /// Refuses a package whose content is not the one that the manifest pins.
    fn check_digest(
        &self,
        package: &PackageNode<'_>,
        shown: &str,
        is: &str,
        hint: &str,
    ) -> Result<(), Option<Problem>> {
        let (key, message) = match &package.entry.digest {
            Some(pinned) if pinned == is => return Ok(()),
            Some(pinned) => ("digest", format!("the files of {shown} have the digest {is}, not {pinned}")),
            None => ("package", format!("{shown} needs `digest`, which pins the content that was looked at")),
        };
        Err(Some(package.problem(key, message, Some(hint.to_owned()))))
    }

    /// Appends what a package brings.
    fn add(
        &mut self,
        package: &PackageNode<'_>,
        instance: String,
        found: InstalledPackage,
        spec: &mut crate::yaml::Map,
    ) {
        let null = Node::null(package.node.place.clone());
        let node = package.node.as_map().and_then(|m| m.get("answers")).unwrap_or(&null);
        let answers = Answers::from_node(node, self.log);
        let resolved = match answers.resolve(&found.package.questions) {
            Ok(resolved) => resolved,
            Err(errors) => {
                let place = package.place("answers");
                for error in errors.0 {
                    let Problem { place, message, hint } = error.at(place);
                    self.log.push(Problem { place, message: format!("{}.answers: {message}", package.path), hint });
                }
                return;
            }
        };
        let fragment =
            fragment::read(&found.package, &instance, &self.variables(&found, &instance, &resolved), self.log);
        let file = fragment.file.unwrap_or_else(|| package.node.place.file.clone());
        let mut origin = FragmentOrigin { instance, entry: package.node.place.clone(), file, starts: BTreeMap::new() };
        let mut lists = fragment.lists;
        let stacks = lists.remove("stacks");
        for (list, items) in lists {
            let items = self.unclashing(list, items, &origin);
            origin.starts.extend(append(spec, list, items).map(|start| (list, start)));
        }
        self.add_stacks(stacks, &found, &answers, &origin);
        self.merged.origins.push(origin);
        self.merged.installed.push(found);
    }

    fn variables(&self, found: &InstalledPackage, instance: &str, answers: &ResolvedAnswers) -> crate::Variables {
        let mut variables = variables(&found.package, answers, None);
        variables.set_default(INSTANCE, instance);
        variables.with_budget(self.budget.clone())
    }

    /// The items whose names nothing else has; the others are mistakes.
    fn unclashing(&mut self, list: &'static str, items: Vec<Node>, origin: &FragmentOrigin) -> Vec<Node> {
        let (key, word) =
            LISTS.iter().find(|(l, ..)| *l == list).map_or(("name", "part"), |(_, key, word)| (key, word));
        let mut free = Vec::new();
        for item in items {
            let Some((name, node)) = name_of(&item, key) else {
                free.push(item);
                continue;
            };
            let taken = self.names.insert((list, name.to_owned()), node.place.clone());
            let Some(other) = taken else {
                free.push(item);
                continue;
            };
            let message = format!("the {word} `{name}` is declared in {other}, too");
            let hint = format!("rename that one, or give the package another name than `{}`", origin.instance);
            self.log.push(Problem { place: node.place.clone(), message, hint: Some(hint) });
            // The names of the first one stay.
            self.names.insert((list, name.to_owned()), other);
        }
        free
    }

    /// The stacks of a package: those of its `yard.yaml`; without that list, its Compose file.
    fn add_stacks(
        &mut self,
        items: Option<Vec<Node>>,
        found: &InstalledPackage,
        answers: &Answers,
        origin: &FragmentOrigin,
    ) {
        let source = found.package.source.clone();
        let stacks: Vec<PackageStack> = match items {
            Some(items) => {
                let items = self.unclashing("stacks", items, origin);
                let read = |(i, item): (usize, &Node)| from_node(item, &format!("stacks[{i}]"), self.log);
                items.iter().enumerate().filter_map(read).collect()
            }
            None if source.list(COMPOSE).is_ok_and(|files| files == [COMPOSE]) => {
                let name = origin.instance.clone();
                self.names.insert(("stacks", name.clone()), origin.entry.clone());
                vec![PackageStack { name, compose: None, pool: None }]
            }
            None => Vec::new(),
        };
        let answers = Arc::new(answers.clone());
        for stack in stacks {
            let compose = stack.compose.map_or_else(|| vec![COMPOSE.to_owned()], |files| files.all().to_vec());
            let package = found.package.installed(&origin.instance, compose);
            let source = InstalledStack { package, answers: answers.clone(), instance: origin.instance.clone() };
            let source = StackSource::Installed(Box::new(source));
            self.merged.stacks.push(YardStack { name: stack.name, source, pool: stack.pool });
        }
    }
}

impl MergedPackages {
    /// A mistake in what a package brought, as one of that package, and with its place in the manifest.
    pub(super) fn explain(&self, mut problem: Problem) -> Problem {
        let Some(origin) = self.origins.iter().find(|o| Arc::ptr_eq(&o.file, &problem.place.file)) else {
            return problem;
        };
        if problem.place.file == origin.entry.file {
            return problem;
        }
        if let Some(message) = origin.own_path(&problem.message) {
            problem.message = message;
        }
        in_package(problem, &origin.instance, &origin.entry)
    }
}

impl FragmentOrigin {
    /// A message that begins with the path of an item in the manifest, with that in the package's file.
    fn own_path(&self, message: &str) -> Option<String> {
        let (list, rest) = message.strip_prefix("spec.")?.split_once('[')?;
        let (index, rest) = rest.split_once(']')?;
        let start = self.starts.get(list)?;
        Some(format!("{list}[{}]{rest}", index.parse::<usize>().ok()?.checked_sub(*start)?))
    }
}

fn in_package(problem: Problem, name: &str, entry: &Place) -> Problem {
    Problem { message: format!("{} (package `{name}` of {entry})", problem.message), ..problem }
}

#[cfg(test)]
#[path = "packages_tests.rs"]
mod tests;
