//! The YAML documents of Compose files, each file read once; and the name that they give the stack.

use crate::diag::{Log, Place};
use crate::interpolate::{Variables, expand};
use crate::package::{shown, start_of};
use crate::source::Source;
use crate::yaml::{self, Node};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Files as trees, before anything of them is interpolated.
pub(crate) struct Documents<'a> {
    source: &'a dyn Source,
    known: RefCell<BTreeMap<String, Rc<Vec<Node>>>>,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, known: RefCell::default() }
    }

    /// The documents of a file in its order; `None` after noting at `place` or in the file why not.
    pub(crate) fn of(&self, path: &str, place: &Place, log: &Log) -> Option<Rc<Vec<Node>>> {
        if let Some(known) = self.known.borrow().get(path) {
            return Some(known.clone());
        }
        let name = shown(self.source, path);
        let bytes = self.source.read(path).map_err(|e| log.problem(place, format!("cannot read {name}: {e}"))).ok()?;
        let text = String::from_utf8(bytes).map_err(|_| log.problem(place, format!("{name} is not UTF-8"))).ok()?;
        let documents = Rc::new(yaml::parse_all(&name, &text).map_err(|p| log.push(p)).ok()?);
        self.known.borrow_mut().insert(path.to_owned(), documents.clone());
        Some(documents)
    }

    /// The `name` that the last of some files gives, in the form in which it can name a stack.
    pub(crate) fn name(&self, paths: &[String], variables: &Variables, log: &Log) -> Option<String> {
        let mut name = None;
        for path in paths {
            let documents = self.of(path, &start_of(self.source, path), log)?;
            for node in documents.iter().filter_map(|d| d.as_map()?.get("name")) {
                // What cannot be interpolated is told when the file is read.
                let Some(text) = node.as_text().and_then(|t| expand(t, variables).ok()).map(|e| e.text) else {
                    continue;
                };
                let normal = normal_name(&text);
                if normal != text && !normal.is_empty() {
                    log.warn(&node.place, format!("name: the stack is called `{normal}`, as `{text}` cannot name one"));
                }
                name = Some(normal).filter(|n| !n.is_empty()).or(name);
            }
        }
        name
    }
}

/// A text in the form in which it can name a stack, as Compose makes it: lower case, of `[a-z0-9_-]`.
pub(crate) fn normal_name(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept: String = lower.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
