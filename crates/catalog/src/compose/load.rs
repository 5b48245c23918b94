//! Compose files to one tree: extends, include, several files.

use super::{LoadContext, canonical, merge};
use crate::diag::Place;
use crate::interpolate::{Variables, expand_node};
use crate::package::{shown, start_of};
use crate::source::normalise;
use crate::yaml::{self, FieldReading, Fields, Kind, Map, Node};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Files open at once by extends and include: bounds the recursion.
const MAX_DEPTH: usize = 32;

/// All files of the project as one tree; `None` after noting why not.
pub(crate) fn project(cx: &LoadContext<'_>) -> Option<Node> {
    let loader = Loader { cx, including: RefCell::default(), extending: RefCell::default(), cache: RefCell::default() };
    let mut root = loader.files(&cx.project.paths, None, None, cx.variables)?;
    merge::prune(&mut root);
    (!cx.log.failed()).then_some(root)
}

struct Loader<'a> {
    cx: &'a LoadContext<'a>,
    /// Files being included, outermost first, to notice circles.
    including: RefCell<Vec<String>>,
    /// Files being read for `extends`, outermost first.
    extending: RefCell<Vec<String>>,
    /// Files that were read for `extends`, each once.
    cache: RefCell<BTreeMap<String, Option<Node>>>,
}

impl Loader<'_> {
    /// Reads files and merges them in order, with what they include.
    fn files(&self, paths: &[String], base: Option<&str>, by: Option<&Place>, variables: &Variables) -> Option<Node> {
        let log = self.cx.log;
        let place = by.cloned().unwrap_or_else(|| start_of(self.cx.project.source, &paths.concat()));
        if let Some(path) = circle(&self.including.borrow(), paths) {
            log.problem(&place, format!("files include each other in a circle: {path}"));
            return None;
        }
        self.including.borrow_mut().extend_from_slice(paths);
        let merged = self.merged(paths, base, by, variables);
        let depth = self.including.borrow().len() - paths.len();
        self.including.borrow_mut().truncate(depth);
        merged
    }

    fn merged(&self, paths: &[String], base: Option<&str>, by: Option<&Place>, variables: &Variables) -> Option<Node> {
        let mut merged: Option<Node> = None;
        for path in paths {
            let node = self.file(path, base, by, variables)?;
            merged = match merged {
                None => Some(node),
                Some(earlier) => Some(merge::files(earlier, node)),
            };
        }
        let mut root = merged?;
        self.include(&mut root, paths.first().map_or("", |p| dir_of(p)), variables);
        Some(root)
    }

    /// One file: parsed, interpolated, canonical, extended; paths relative to the project.
    /// `base` is the directory that its relative paths start from; its own when absent.
    fn file(&self, path: &str, base: Option<&str>, by: Option<&Place>, variables: &Variables) -> Option<Node> {
        let log = self.cx.log;
        let place = by.cloned().unwrap_or_else(|| start_of(self.cx.project.source, path));
        if let Some(path) = circle(&self.extending.borrow(), &[path.to_owned()]) {
            log.problem(&place, format!("files extend each other in a circle: {path}"));
            return None;
        }
        let mut root = self.parse(path, &place)?;
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
        self.extending.borrow_mut().push(path.to_owned());
        self.extend_all(&mut root, variables);
        self.extending.borrow_mut().pop();
        Some(root)
    }

    fn parse(&self, path: &str, place: &Place) -> Option<Node> {
        let source = self.cx.project.source;
        let bytes = source
            .read(path)
            .map_err(|e| self.cx.log.problem(place, format!("cannot read {}: {e}", shown(source, path))))
            .ok()?;
        let text = String::from_utf8(bytes)
            .map_err(|_| self.cx.log.problem(place, format!("{} is not UTF-8", shown(source, path))))
            .ok()?;
        yaml::parse(&shown(source, path), &text).map_err(|p| self.cx.log.push(p)).ok()
    }

    /// Carries out `extends` in all services of a file.
    fn extend_all(&self, root: &mut Node, variables: &Variables) {
        let Some(services) = root.as_map().and_then(|m| m.get("services")).and_then(Node::as_map).cloned() else {
            return;
        };
        if !services.entries.iter().any(|(_, s)| s.as_map().is_some_and(|m| m.get("extends").is_some())) {
            return;
        }
        let mut extended = Map::default();
        for (key, service) in &services.entries {
            let mut chain = vec![key.text.clone()];
            let node = self.extend(&services, service, &mut chain, variables);
            extended.entries.push((key.clone(), node.unwrap_or_else(|| service.clone())));
        }
        if let Some(node) = root.as_map_mut().and_then(|m| m.get_mut("services")) {
            node.kind = Kind::Map(extended);
        }
    }

    /// A service with its bases merged under it; `None` after noting a problem.
    fn extend(&self, services: &Map, service: &Node, chain: &mut Vec<String>, variables: &Variables) -> Option<Node> {
        let log = self.cx.log;
        let Some(extends) = service.as_map().and_then(|m| m.get("extends")) else {
            return Some(service.clone());
        };
        let mut own = service.clone();
        own.as_map_mut().and_then(|m| m.remove("extends"));
        let (name, file) = match &extends.kind {
            Kind::Map(_) => {
                let fields = Fields::of(extends, "extends", log)?;
                let name = fields.need("service", extends).and_then(|n| n.string("extends.service", log));
                let file = fields.get("file").and_then(|n| n.string("extends.file", log));
                fields.finish(false, &[]);
                (name?, file)
            }
            _ => (extends.string("extends", log)?, None),
        };
        let base = match file {
            None => {
                if chain.contains(&name) || chain.len() > MAX_DEPTH {
                    let chain = chain.join(" -> ");
                    log.problem(&extends.place, format!("services extend each other in a circle: {chain} -> {name}"));
                    return None;
                }
                chain.push(name.clone());
                let base = find(services, &name, &extends.place, "this file", log)?;
                self.extend(services, base, chain, variables)?
            }
            Some(file) => {
                let other = self.extended_file(&file, &extends.place, variables)?;
                let services = other.as_map().and_then(|m| m.get("services")).and_then(Node::as_map);
                let empty = Map::default();
                find(services.unwrap_or(&empty), &name, &extends.place, &file, log)?.clone()
            }
        };
        Some(merge::service(base, own))
    }

    fn extended_file(&self, file: &str, place: &Place, variables: &Variables) -> Option<Node> {
        let path = normalise(file).unwrap_or_else(|| file.to_owned());
        if let Some(known) = self.cache.borrow().get(&path) {
            return known.clone();
        }
        let node = self.file(&path, None, Some(place), variables);
        self.cache.borrow_mut().insert(path, node.clone());
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
            let base = base.map(|b| canonical::join(dir, &b));
            let mut variables = variables.clone();
            for file in env_files {
                let file = canonical::join(dir, &file);
                for (name, value) in super::dotenv::read(&file, &item.place, true, &variables, self.cx) {
                    variables.set_default(name, value);
                }
            }
            if let Some(included) = self.files(&paths, base.as_deref(), Some(&item.place), &variables) {
                self.import(root, included, &item.place);
            }
        }
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

/// The directory of a path; empty for the project's own.
fn dir_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
