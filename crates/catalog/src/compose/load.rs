//! Compose files to one tree: extends, include, several files.

use super::{LoadContext, canonical, merge};
use crate::diag::Place;
use crate::interpolate::{Variables, expand_node};
use crate::package::start_of;
use crate::source::normalise;
use crate::yaml::{FieldReading, Fields, Kind, Map, Node};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Files open at once by include, services by extends: bounds the recursion.
const MAX_DEPTH: usize = 32;

/// All files of the project as one tree, with what could be read of them; `None` after noting why
/// there is none.
pub(crate) fn project(cx: &LoadContext<'_>) -> Option<Node> {
    let loader = Loader { cx, including: RefCell::default(), bases: RefCell::default(), incomplete: Cell::new(false) };
    let mut root = loader.files(&cx.project.paths, None, None, cx.variables)?;
    merge::prune(&mut root);
    // What a missing file defines is not missed.
    (!loader.incomplete.get()).then_some(root)
}

struct Loader<'a> {
    cx: &'a LoadContext<'a>,
    /// Files being included, outermost first, to notice circles.
    including: RefCell<Vec<String>>,
    /// Files that were read for `extends`, each once.
    bases: RefCell<BTreeMap<String, Option<Rc<Node>>>>,
    /// A file could not be read.
    incomplete: Cell<bool>,
}

/// Where a service stands that is being extended.
#[derive(Clone, PartialEq)]
struct ServicePath {
    file: String,
    name: String,
}

/// A file, whose services extend others.
struct OpenFile<'a> {
    path: &'a str,
    services: &'a Map,
    variables: &'a Variables,
}

impl Loader<'_> {
    /// Reads files and merges them in order, with what they include.
    fn files(&self, paths: &[String], base: Option<&str>, by: Option<&Place>, variables: &Variables) -> Option<Node> {
        let log = self.cx.log;
        let place = by.cloned().unwrap_or_else(|| start_of(self.cx.project.source, &paths.concat()));
        if let Some(path) = circle(&self.including.borrow(), paths) {
            log.problem(&place, format!("files include each other in a circle: {path}"));
            self.incomplete.set(true);
            return None;
        }
        self.including.borrow_mut().extend_from_slice(paths);
        let merged = self.merged(paths, base, by, variables);
        let depth = self.including.borrow().len() - paths.len();
        self.including.borrow_mut().truncate(depth);
        if merged.is_none() {
            self.incomplete.set(true);
        }
        merged
    }

    fn merged(&self, paths: &[String], base: Option<&str>, by: Option<&Place>, variables: &Variables) -> Option<Node> {
        let mut merged: Option<Node> = None;
        for path in paths {
            for mut node in self.file(path, base, by, variables)? {
                self.extend_all(&mut node, path, variables);
                merged = Some(over(merged, node));
            }
        }
        let mut root = merged?;
        self.include(&mut root, paths.first().map_or("", |p| dir_of(p)), variables);
        Some(root)
    }

    /// The documents of a file: parsed, interpolated, canonical; paths relative to the project.
    /// `base` is the directory that its relative paths start from; its own when absent.
    fn file(&self, path: &str, base: Option<&str>, by: Option<&Place>, variables: &Variables) -> Option<Vec<Node>> {
        let log = self.cx.log;
        let place = by.cloned().unwrap_or_else(|| start_of(self.cx.project.source, path));
        let documents = self.cx.documents.of(path, &place, log)?;
        let mut roots = Vec::new();
        for document in documents.iter() {
            let mut root = document.clone();
            if root.is_null() {
                root = Node::map(root.place, Map::default());
            }
            if root.as_map().is_none() {
                log.problem(&root.place, format!("a mapping is expected, not {}", root.describe()));
                return None;
            }
            expand_node(&mut root, variables, log);
            canonical::file(&mut root, log);
            canonical::rebase(&mut root, base.unwrap_or_else(|| dir_of(path)));
            roots.push(root);
        }
        Some(roots)
    }

    /// Carries out `extends` in all services of a file.
    fn extend_all(&self, root: &mut Node, path: &str, variables: &Variables) {
        let Some(services) = root.as_map().and_then(|m| m.get("services")).and_then(Node::as_map).cloned() else {
            return;
        };
        if !services.entries.iter().any(|(_, s)| s.as_map().is_some_and(|m| m.get("extends").is_some())) {
            return;
        }
        let file = OpenFile { path, services: &services, variables };
        let mut extended = Map::default();
        for (key, service) in &services.entries {
            let mut chain = vec![ServicePath { file: path.to_owned(), name: key.text.clone() }];
            let node = self.extend(&file, service, &mut chain).unwrap_or_else(|| {
                // Without its base it lacks things that nobody forgot.
                self.cx.log.silence(&service.place);
                let mut alone = service.clone();
                alone.as_map_mut().and_then(|m| m.remove("extends"));
                alone
            });
            extended.entries.push((key.clone(), node));
        }
        if let Some(node) = root.as_map_mut().and_then(|m| m.get_mut("services")) {
            node.kind = Kind::Map(extended);
        }
    }

    /// A service with its bases merged under it; `None` after noting a problem.
    fn extend(&self, file: &OpenFile<'_>, service: &Node, chain: &mut Vec<ServicePath>) -> Option<Node> {
        let log = self.cx.log;
        let Some(extends) = service.as_map().and_then(|m| m.get("extends")).filter(|n| !n.is_null()) else {
            return Some(service.clone());
        };
        let mut own = service.clone();
        own.as_map_mut().and_then(|m| m.remove("extends"));
        let (name, other) = match &extends.kind {
            Kind::Map(_) => {
                let fields = Fields::of(extends, "extends", log)?;
                let name = fields.need("service", extends).and_then(|n| n.string("extends.service", log));
                let file = fields.get("file").and_then(|n| n.string("extends.file", log));
                fields.finish(false, &[]);
                (name?, file)
            }
            _ => (extends.string("extends", log)?, None),
        };
        // A file that names itself means all of its documents.
        let path = other.as_ref().map(|o| normalise(o).unwrap_or_else(|| o.clone()));
        let next = ServicePath { file: path.clone().unwrap_or_else(|| file.path.to_owned()), name: name.clone() };
        if chain.contains(&next) || chain.len() > MAX_DEPTH {
            let way = way(chain, &next);
            log.problem(&extends.place, format!("services extend each other in a circle: {way}"));
            return None;
        }
        chain.push(next);
        let base = match path {
            None => {
                let base = find(file.services, &name, &extends.place, "this file", log)?;
                self.extend(file, base, chain)?
            }
            Some(path) => {
                let root = self.base(&path, &extends.place, file.variables)?;
                let services = root.as_map().and_then(|m| m.get("services")).and_then(Node::as_map);
                let empty = Map::default();
                let services = services.unwrap_or(&empty);
                let base = find(services, &name, &extends.place, other.as_deref().unwrap_or(&path), log)?;
                self.extend(&OpenFile { path: &path, services, variables: file.variables }, base, chain)?
            }
        };
        Some(merge::service(base, own))
    }

    /// A file that services extend those of.
    fn base(&self, path: &str, place: &Place, variables: &Variables) -> Option<Rc<Node>> {
        if let Some(known) = self.bases.borrow().get(path) {
            return known.clone();
        }
        let documents = self.file(path, None, Some(place), variables);
        let merged = documents.and_then(|all| all.into_iter().fold(None, |earlier, node| Some(over(earlier, node))));
        let node = merged.map(Rc::new);
        self.bases.borrow_mut().insert(path.to_owned(), node.clone());
        node
    }

    /// Carries out the top-level `include`: the entries of other projects, which must not
    /// clash with those that are there.
    fn include(&self, root: &mut Node, dir: &str, variables: &Variables) {
        let log = self.cx.log;
        let Some((_, list)) = root.as_map_mut().and_then(|m| m.remove("include")) else { return };
        if list.is_null() {
            return;
        }
        for (i, item) in list.items("include", log).iter().enumerate() {
            let path = format!("include[{i}]");
            let (paths, base, env_files) = match &item.kind {
                Kind::Map(_) => {
                    let Some(fields) = Fields::of(item, path.as_str(), log) else { continue };
                    fields.need("path", item);
                    let parts =
                        (fields.strings("path"), fields.string("project_directory"), fields.strings("env_file"));
                    fields.finish(false, &[]);
                    parts
                }
                _ => (item.strings(&path, log), None, Vec::new()),
            };
            let paths: Vec<String> = paths.iter().map(|p| canonical::join(dir, p)).collect();
            // Relative paths start at the project's directory, that of the first file unless said.
            let base = base.map(|b| canonical::join(dir, &b));
            let base = Some(base.unwrap_or_else(|| paths.first().map_or_else(String::new, |p| dir_of(p).to_owned())));
            let mut variables = variables.clone();
            for (name, value) in
                self.variables_of(item, dir, base.as_deref().unwrap_or_default(), &env_files, &variables)
            {
                variables.set_default(name, value);
            }
            if let Some(included) = self.files(&paths, base.as_deref(), Some(&item.place), &variables) {
                self.import(root, included, &item.place);
            }
        }
    }

    /// Variables of an included project: those of its files, or of `.env` in its directory if it names none.
    fn variables_of(
        &self,
        item: &Node,
        dir: &str,
        base: &str,
        env_files: &[String],
        variables: &Variables,
    ) -> BTreeMap<String, String> {
        let own = [canonical::join(base, ".env")];
        let required = !env_files.is_empty();
        let named: Vec<String> = env_files.iter().map(|f| canonical::join(dir, f)).collect();
        let options = super::dotenv::ReadOptions { required, raw: false };
        let mut all = BTreeMap::new();
        for file in if required { &named[..] } else { &own[..] } {
            let read = super::dotenv::read(file, &item.place, options, variables, &all, self.cx);
            all.extend(read);
        }
        all
    }

    fn import(&self, root: &mut Node, included: Node, place: &Place) {
        let Kind::Map(included) = included.kind else { return };
        let Some(map) = root.as_map_mut() else { return };
        for (key, section) in included.entries {
            if !matches!(key.text.as_str(), "services" | "networks" | "volumes" | "configs" | "secrets") {
                continue;
            }
            let Kind::Map(section) = section.kind else { continue };
            if map.get(&key.text).is_none_or(Node::is_null) {
                map.set(key.clone(), Node::map(place.clone(), Map::default()));
            }
            let Some(target) = map.get_mut(&key.text).and_then(Node::as_map_mut) else { continue };
            for (name, node) in section.entries {
                match target.get(&name.text) {
                    Some(there) if !merge::same(there, &node) => {
                        let message = format!("{}.{} is also defined by {}", key.text, name.text, there.place);
                        let hint = Some("rename one, or merge the files instead of including one".into());
                        self.cx.log.problem_hint(&node.place, message, hint);
                    }
                    Some(_) => {}
                    None => target.entries.push((name, node)),
                }
            }
        }
    }
}

fn find<'n>(services: &'n Map, name: &str, place: &Place, whence: &str, log: &crate::diag::Log) -> Option<&'n Node> {
    let found = services.get(name);
    if found.is_none() {
        let known = services.entries.iter().map(|(k, _)| k.text.as_str());
        let hint = crate::diag::did_you_mean(name, known);
        log.problem_hint(place, format!("extends: {whence} has no service `{name}`"), hint);
    }
    found
}

/// The way to a file that is open already, or one file too deep.
fn circle(open: &[String], paths: &[String]) -> Option<String> {
    let path = paths.iter().find(|p| open.contains(p) || open.len() >= MAX_DEPTH)?;
    Some(format!("{} -> {path}", open.join(" -> ")))
}

/// A tree over an earlier one, if there is one.
fn over(earlier: Option<Node>, node: Node) -> Node {
    match earlier {
        None => node,
        Some(earlier) => merge::files(earlier, node),
    }
}

/// The services that extend each other, from the first to `next`.
fn way(chain: &[ServicePath], next: &ServicePath) -> String {
    let first = chain.first().map_or("", |s| s.file.as_str());
    let shown = |s: &ServicePath| if s.file == first { s.name.clone() } else { format!("{} of {}", s.name, s.file) };
    chain.iter().chain([next]).map(shown).collect::<Vec<_>>().join(" -> ")
}

/// The directory of a path; empty for the project's own.
fn dir_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
