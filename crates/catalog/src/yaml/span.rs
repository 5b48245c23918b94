//! Where in a text the parts of a YAML document stand, for changes in place: comments and layout around
//! them stay as they are.
//!
//! Unlike [`super::Node`] nothing is resolved: an alias is an alias, and a merge key a key like others.

use serde_saphyr::granit_parser::{self, Event, Parser, Span, StrInput, StructureStyle};
use std::ops::Range;

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpanSpot {
    /// Its bytes, brackets and quotes included. Of a block collection from its first part to its last.
    pub(crate) at: Range<usize>,
    pub(crate) kind: SpotKind,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SpotKind {
    Scalar(String),
    List {
        flow: bool,
        items: Vec<SpanSpot>,
    },
    Map {
        flow: bool,
        entries: Vec<Entry>,
    },
    /// An alias, or something with an anchor or a tag: used elsewhere, or more than it looks.
    Other,
}

/// An entry of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Range<usize>,
    pub(crate) value: SpanSpot,
}

impl SpanSpot {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            SpotKind::Map { entries, .. } => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }
}

/// The parts of the only document of a text; nothing if it is no YAML, or none whose parts can be told.
pub(crate) fn spots(text: &str) -> Option<SpanSpot> {
    let options = granit_parser::options! { emit_comments: false };
    let mut walk = SpanWalk { parser: Parser::new_from_str_with_options(text, options), depth: 0 };
    loop {
        let (event, span) = walk.next()?;
        match event {
            Event::StreamEnd => return None,
            event if event.is_node() => return walk.spot(event, &span),
            _ => {}
        }
    }
}

/// Nesting that is followed.
const MAX_DEPTH: usize = 100;

struct SpanWalk<'t> {
    parser: Parser<'t, StrInput<'t>>,
    depth: usize,
}

impl<'t> SpanWalk<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        self.parser.next_event()?.ok()
    }

    fn spot(&mut self, event: Event<'t>, span: &Span) -> Option<SpanSpot> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let more = event.anchor_id().is_some() || event.tag().is_some();
        let begin = span.byte_range()?;
        let mut spot = match event {
            Event::Scalar(text, ..) => SpanSpot { at: begin, kind: SpotKind::Scalar(text.into_owned()) },
            Event::SequenceStart(style, ..) => self.list(style == StructureStyle::Flow, &begin)?,
            Event::MappingStart(style, ..) => self.map(style == StructureStyle::Flow, &begin)?,
            _ => SpanSpot { at: begin, kind: SpotKind::Other },
        };
        if more {
            spot.kind = SpotKind::Other;
        }
        self.depth -= 1;
        Some(spot)
    }

    fn list(&mut self, flow: bool, begin: &Range<usize>) -> Option<SpanSpot> {
        let mut items: Vec<SpanSpot> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => {
                    let inner = items.first().map(|f| f.at.start).zip(items.last().map(|l| l.at.end));
                    let at = around(flow, begin, inner, &span.byte_range()?);
                    return Some(SpanSpot { at, kind: SpotKind::List { flow, items } });
                }
                event if event.is_node() => items.push(self.spot(event, &span)?),
                _ => {}
            }
        }
    }

    fn map(&mut self, flow: bool, begin: &Range<usize>) -> Option<SpanSpot> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::MappingEnd => {
                    let inner = entries.first().map(|f| f.key_at.start).zip(entries.last().map(|l| l.value.at.end));
                    let at = around(flow, begin, inner, &span.byte_range()?);
                    return Some(SpanSpot { at, kind: SpotKind::Map { flow, entries } });
                }
                event if event.is_node() => {
                    let SpanSpot { at: key_at, kind: SpotKind::Scalar(key) } = self.spot(event, &span)? else {
                        return None;
                    };
                    let (event, span) = self.next()?;
                    let value = self.spot(event, &span)?;
                    entries.push(Entry { key, key_at, value });
                }
                _ => {}
            }
        }
    }
}

/// A collection with its brackets; without brackets, its parts.
fn around(flow: bool, begin: &Range<usize>, inner: Option<(usize, usize)>, end: &Range<usize>) -> Range<usize> {
    match inner {
        _ if flow => begin.start..end.end,
        Some((start, end)) => start..end,
        None => begin.start..begin.start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut<'t>(text: &'t str, spot: &SpanSpot) -> &'t str {
        &text[spot.at.clone()]
    }

    #[test]
    fn parts_are_where_they_are() {
        let text = "# über\na:\n  - {x: 1, 'y': \"2\"}  # one\n  - x: ü   # two\n    z: [a, b]\nb: []\nc:\nd: *e\n";
        // `*e` has no anchor: no document.
        assert_eq!(spots(text), None);
        let text = text.replace("d: *e\n", "d: &f {x: 1}\n");
        let root = spots(&text).unwrap();
        let list = &root.get("a").unwrap().value;
        let SpotKind::List { flow: false, items } = &list.kind else { panic!("{list:?}") };
        assert_eq!(cut(&text, &items[0]), "{x: 1, 'y': \"2\"}");
        assert_eq!(cut(&text, &items[0].get("y").unwrap().value), "\"2\"");
        assert_eq!(&text[items[0].get("y").unwrap().key_at.clone()], "'y'");
        assert_eq!(cut(&text, &items[1]), "x: ü   # two\n    z: [a, b]");
        assert_eq!(cut(&text, &items[1].get("z").unwrap().value), "[a, b]");
        assert_eq!(cut(&text, &items[1].get("x").unwrap().value), "ü");
        assert_eq!(cut(&text, &root.get("b").unwrap().value), "[]");
        assert_eq!(root.get("d").unwrap().value.kind, SpotKind::Other);
        assert!(matches!(&root.get("c").unwrap().value.kind, SpotKind::Scalar(t) if t == "~" || t.is_empty()));
        assert_eq!(spots("a: [1"), None);
        assert_eq!(spots(&"[".repeat(1000)), None);
    }
}
