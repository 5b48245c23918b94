//! YAML as a tree in which every node knows its place.
//!
//! Compose needs more of YAML than serde gives: the text of a plain scalar as it was
//! written (`1.10` as an environment value, `0440` as a mode), the tags `!reset` and
//! `!override`, and places that survive merging and interpolation. So this module reads
//! the events of serde-saphyr's parser into [`Node`]s, with anchors, aliases and merge
//! keys resolved, and the rest of the crate reads those.
//!
//! Scalars follow the YAML 1.2 core schema, as Compose does: only `true` and `false` are
//! booleans (`yes`, `on` are text), and integers may be octal in the old spelling (`0440`).

mod de;
mod parse;
mod read;
mod span;

pub(crate) use de::from_node;
pub(crate) use parse::{parse, parse_all};
pub(crate) use read::{FieldFate, FieldReading, Fields, parse_int};
pub(crate) use span::{Entry, SpanSpot, SpotKind, spots};

use crate::diag::Place;

/// A node of a YAML document.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    pub(crate) merge: Merge,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Text, unescaped; what it means depends on who reads it.
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// A scalar.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: may be null.
    Plain,
    /// In quotes, or interpolated: text in any case.
    Quoted,
    /// `|` or `>`
    Block,
}

/// How a node joins an earlier file's (Compose specification, "Merge").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Merge {
    /// As the specification says for the kind of node.
    #[default]
    Join,
    /// `!override`: the node stands alone.
    Override,
    /// `!reset`: the key is taken away.
    Reset,
}

/// A mapping with text keys, in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<(Key, Node)>,
}

/// A mapping's key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) place: Place,
}

impl Map {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| v)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(k, _)| k.text == key).map(|(_, v)| v)
    }

    pub(crate) fn key(&self, key: &str) -> Option<&Key> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(k, _)| k)
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<(Key, Node)> {
        let at = self.entries.iter().position(|(k, _)| k.text == key)?;
        Some(self.entries.remove(at))
    }

    /// Sets a key, in its old position when it is there.
    pub(crate) fn set(&mut self, key: Key, value: Node) {
        match self.get_mut(&key.text) {
            Some(old) => *old = value,
            None => self.entries.push((key, value)),
        }
    }
}

impl Node {
    pub(crate) fn new(place: Place, kind: Kind) -> Self {
        Self { place, kind, merge: Merge::Join }
    }

    /// A text that did not stand in the file as such.
    pub(crate) fn text(place: Place, text: impl Into<String>) -> Self {
        Self::new(place, Kind::Scalar(Scalar { text: text.into(), style: Style::Quoted }))
    }

    pub(crate) fn null(place: Place) -> Self {
        Self::new(place, Kind::Scalar(Scalar { text: "~".into(), style: Style::Plain }))
    }

    /// The node as JSON; every scalar is its text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            _ if self.is_null() => serde_json::Value::Null,
            Kind::Scalar(scalar) => scalar.text.as_str().into(),
            Kind::List(list) => list.iter().map(Self::to_json).collect(),
            Kind::Map(map) => {
                let entries = map.entries.iter().map(|(key, node)| (key.text.clone(), node.to_json()));
                serde_json::Value::Object(entries.collect())
            }
        }
    }

    pub(crate) fn map(place: Place, map: Map) -> Self {
        Self::new(place, Kind::Map(map))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(s) if s.style == Style::Plain
            && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(list) => Some(list),
            _ => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(s) if !self.is_null() => Some(&s.text),
            _ => None,
        }
    }

    /// What the node is, for messages: "a mapping", "`text`".
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a mapping".into(),
            Kind::Scalar(_) if self.is_null() => "nothing".into(),
            Kind::Scalar(s) => format!("`{}`", shorten(&s.text)),
        }
    }
}

/// At most 60 characters of the first line of a text.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(60).collect();
    if short.len() < text.trim_end().len() {
        short.push_str("...");
    }
    short
}
