//! Reading typed values out of nodes, with complaints that name place, text and remedy.

use super::{Kind, Map, Node};
use crate::diag::{Log, did_you_mean};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What becomes of a key that the format knows and this crate does not carry out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldFate {
    /// It has no effect; the text says why. A warning.
    Ignored(&'static str),
    /// Leaving it out would change what the file means; the text says what to do. An error.
    Refused(&'static str),
}

/// A mapping being read: remembers which keys were asked for, so that others are unknown.
pub(crate) struct Fields<'n, 'l> {
    pub(crate) map: &'n Map,
    pub(crate) log: &'l Log,
    /// Name of the mapping in messages: `services.web`.
    pub(crate) path: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'n, 'l> Fields<'n, 'l> {
    /// Begins to read `node`, which must be a mapping; otherwise notes a problem.
    pub(crate) fn of(node: &'n Node, path: impl Into<String>, log: &'l Log) -> Option<Self> {
        let path = path.into();
        match &node.kind {
            Kind::Map(map) => Some(Self { map, log, path, asked: RefCell::default() }),
            _ => {
                let what = if path.is_empty() { "the file" } else { &path };
                log.problem(&node.place, format!("{what}: a mapping is expected, not {}", node.describe()));
                None
            }
        }
    }

    /// The same under another name in messages.
    pub(crate) fn named(self, path: String) -> Self {
        Self { path, ..self }
    }

    /// The value of a key; `None` when it is absent or null.
    pub(crate) fn get(&self, key: &'static str) -> Option<&'n Node> {
        self.asked.borrow_mut().push(key);
        self.map.get(key).filter(|n| !n.is_null())
    }

    /// As [`Fields::get`], but the key must be there; otherwise a problem at `place_of`.
    pub(crate) fn need(&self, key: &'static str, place_of: &Node) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            self.log.problem(&place_of.place, format!("{}: `{key}` is missing", self.path));
        }
        node
    }

    /// Path of a key, for messages.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn string(&self, key: &'static str) -> Option<String> {
        self.get(key).and_then(|n| n.string(&self.at(key), self.log))
    }

    pub(crate) fn bool(&self, key: &'static str) -> Option<bool> {
        self.get(key).and_then(|n| n.bool(&self.at(key), self.log))
    }

    pub(crate) fn int(&self, key: &'static str) -> Option<i64> {
        self.get(key).and_then(|n| n.int(&self.at(key), self.log))
    }

    /// A list of texts; one text alone counts as a list of one.
    pub(crate) fn strings(&self, key: &'static str) -> Vec<String> {
        self.get(key).map(|n| n.strings(&self.at(key), self.log)).unwrap_or_default()
    }

    pub(crate) fn text_map(&self, key: &'static str) -> BTreeMap<String, String> {
        self.get(key).map(|n| n.text_map(&self.at(key), self.log)).unwrap_or_default()
    }

    /// Notes a problem for every key that was not asked for and is not in `others`, a warning
    /// or problem for those that are. Keys starting with `x-` are extensions and allowed
    /// when `extensions` is set.
    pub(crate) fn finish(self, extensions: bool, others: &[(&'static str, FieldFate)]) {
        let asked = self.asked.into_inner();
        for (key, value) in &self.map.entries {
            let name = key.text.as_str();
            if asked.contains(&name) || (extensions && name.starts_with("x-")) {
                continue;
            }
            let path = if self.path.is_empty() { "the file".to_owned() } else { self.path.clone() };
            match others.iter().find(|(k, _)| *k == name) {
                Some((_, _)) if value.is_null() => {}
                Some((_, FieldFate::Ignored(why))) => {
                    self.log.warn(&key.place, format!("{path}: `{name}` has no effect: {why}"));
                }
                Some((_, FieldFate::Refused(what))) => {
                    self.log.problem_hint(
                        &key.place,
                        format!("{path}: `{name}` is not supported"),
                        Some((*what).to_owned()),
                    );
                }
                None => {
                    let known = asked.iter().copied().chain(others.iter().map(|(k, _)| *k));
                    let hint = did_you_mean(name, known);
                    self.log.problem_hint(&key.place, format!("{path}: unknown key `{name}`"), hint);
                }
            }
        }
    }
}

/// Typed readings of a node. Each notes a problem and gives `None` (or what could be read)
/// when the node is something else. `path` names the value in messages.
pub(crate) trait FieldReading {
    /// Text; any scalar but null.
    fn string(&self, path: &str, log: &Log) -> Option<String>;
    /// `true` or `false`; also `yes`, `on`, `y` and their opposites, as Compose takes them.
    fn bool(&self, path: &str, log: &Log) -> Option<bool>;
    /// A whole number: decimal, `0x`, `0o` or octal with a leading zero.
    fn int(&self, path: &str, log: &Log) -> Option<i64>;
    /// A list of texts, or one text.
    fn strings(&self, path: &str, log: &Log) -> Vec<String>;
    /// A mapping of texts; a null value is an empty text.
    fn text_map(&self, path: &str, log: &Log) -> BTreeMap<String, String>;
    /// The items of a list.
    fn items<'n>(&'n self, path: &str, log: &Log) -> &'n [Node];
    /// The entries of a mapping.
    fn entries<'n>(&'n self, path: &str, log: &Log) -> &'n [(super::Key, Node)];
}

impl FieldReading for Node {
    fn string(&self, path: &str, log: &Log) -> Option<String> {
        let text = self.as_text().map(str::to_owned);
        if text.is_none() {
            log.problem(&self.place, format!("{path}: text is expected, not {}", self.describe()));
        }
        text
    }

    fn bool(&self, path: &str, log: &Log) -> Option<bool> {
        match self.as_text().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "y") => Some(true),
            Some("false" | "no" | "off" | "n") => Some(false),
            _ => {
                log.problem(&self.place, format!("{path}: `true` or `false` is expected, not {}", self.describe()));
                None
            }
        }
    }

    fn int(&self, path: &str, log: &Log) -> Option<i64> {
        let value = self.as_text().and_then(parse_int);
        if value.is_none() {
            log.problem(&self.place, format!("{path}: a whole number is expected, not {}", self.describe()));
        }
        value
    }

    fn strings(&self, path: &str, log: &Log) -> Vec<String> {
        match &self.kind {
            Kind::List(items) => {
                items.iter().enumerate().filter_map(|(i, n)| n.string(&format!("{path}[{i}]"), log)).collect()
            }
            Kind::Scalar(_) => self.string(path, log).into_iter().collect(),
            Kind::Map(_) => {
                log.problem(&self.place, format!("{path}: a list is expected, not a mapping"));
                Vec::new()
            }
        }
    }

    fn text_map(&self, path: &str, log: &Log) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for (key, value) in self.entries(path, log) {
            let text =
                if value.is_null() { Some(String::new()) } else { value.string(&format!("{path}.{}", key.text), log) };
            map.extend(text.map(|t| (key.text.clone(), t)));
        }
        map
    }

    fn items<'n>(&'n self, path: &str, log: &Log) -> &'n [Node] {
        self.as_list().unwrap_or_else(|| {
            log.problem(&self.place, format!("{path}: a list is expected, not {}", self.describe()));
            &[]
        })
    }

    fn entries<'n>(&'n self, path: &str, log: &Log) -> &'n [(super::Key, Node)] {
        match self.as_map() {
            Some(map) => &map.entries,
            None => {
                log.problem(&self.place, format!("{path}: a mapping is expected, not {}", self.describe()));
                &[]
            }
        }
    }
}

/// A whole number as YAML writes it, old octal spelling included.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i64::from_str_radix(octal, 8)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    value.ok().map(|v: i64| sign * v)
}
