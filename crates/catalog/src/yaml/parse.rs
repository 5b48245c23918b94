//! Parser events to nodes: anchors, aliases, merge keys, tags, and limits on all of them.

use super::{Key, Kind, Map, Merge, Node, Scalar, Style};
use crate::diag::{Place, Problem};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, StrInput, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// Nesting, after aliases are resolved: bounds recursion of everything that walks a tree.
const MAX_DEPTH: usize = 100;
/// Nodes of a document, after aliases are resolved: bounds "billion laughs".
const MAX_NODES: usize = 200_000;

/// Reads the YAML documents of a text, in order; at least one.
///
/// # Errors
///
/// As [`parse`], but for a second document.
pub(crate) fn parse_all(file: &str, text: &str) -> Result<Vec<Node>, Problem> {
    builder(file, text).documents(true)
}

/// Reads one YAML document.
///
/// `file` is the name used in places. An empty document is a null node.
///
/// # Errors
///
/// The first mistake of syntax; a second document; a key that is not text or comes twice;
/// an alias within its own anchor; nesting or expansion beyond the limits.
pub(crate) fn parse(file: &str, text: &str) -> Result<Node, Problem> {
    let mut documents = builder(file, text).documents(false)?;
    Ok(documents.swap_remove(0))
}

fn builder<'t>(file: &str, text: &'t str) -> Builder<'t> {
    let options = granit_parser::options! { emit_comments: false };
    Builder {
        file: file.into(),
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
    }
}

struct Builder<'t> {
    file: Arc<str>,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, AnchoredNode>,
    nodes: usize,
}

/// A finished node behind an anchor, with its cost.
struct AnchoredNode {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// A node with its nesting below.
struct BuiltNode {
    node: Node,
    depth: usize,
}

impl<'t> Builder<'t> {
    fn place(&self, span: &Span) -> Place {
        Place { file: self.file.clone(), line: span.start.line(), column: span.start.col() + 1 }
    }

    fn next(&mut self) -> Result<(Event<'t>, Place), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let place = self.place(&span);
                Ok((event, place))
            }
            Some(Err(e)) => Err(Problem {
                place: Place { file: self.file.clone(), line: e.marker().line(), column: e.marker().col() + 1 },
                message: format!("not valid YAML: {}", e.info()),
                hint: None,
            }),
            None => Ok((Event::StreamEnd, Place::file(&self.file))),
        }
    }

    /// All documents, or with `several` unset the only one; a null node where there is none.
    fn documents(&mut self, several: bool) -> Result<Vec<Node>, Problem> {
        let mut roots = Vec::new();
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if !several && !roots.is_empty() => {
                    return Err(problem(place, "a second YAML document begins here", "one document a file is read"));
                }
                event if event.is_node() => roots.push(self.node(event, place, 0)?.node),
                _ => {}
            }
        }
        if roots.is_empty() {
            roots.push(Node::null(Place { file: self.file.clone(), line: 1, column: 1 }));
        }
        Ok(roots)
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<BuiltNode, Problem> {
        self.charge(1, &place)?;
        if depth >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        let anchor = event.anchor_id();
        let before = self.nodes;
        let merge = event.tag().map_or(Merge::Join, merge_of);
        let (kind, below) = match event {
            Event::Alias(id) => return self.alias(id, place, depth),
            Event::Scalar(text, style, _, tag) => {
                let is_str = tag.is_some_and(|t| t.core_suffix() == Some("str"));
                let style = match style {
                    ScalarStyle::Plain if is_str => Style::Quoted,
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    _ => Style::Block,
                };
                (Kind::Scalar(Scalar { text: text.into_owned(), style }), 0)
            }
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => return Err(problem(place, "a value was expected here", "check the indentation")),
        };
        let node = Node { place, kind, merge };
        if let Some(id) = anchor {
            let nodes = self.nodes - before + 1;
            self.charge(nodes, &node.place)?;
            self.anchors.insert(id, AnchoredNode { node: node.clone(), nodes, depth: below });
        }
        Ok(BuiltNode { node, depth: below })
    }

    fn alias(&mut self, id: usize, place: Place, depth: usize) -> Result<BuiltNode, Problem> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(problem(place, "an alias stands within its own anchor", "a value cannot contain itself"));
        };
        if depth + anchored.depth >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        let (nodes, below) = (anchored.nodes, anchored.depth);
        self.charge(nodes, &place)?;
        let node = self.anchors.get(&id).map(|a| a.node.clone());
        Ok(BuiltNode { node: node.unwrap_or_else(|| Node::null(place)), depth: below })
    }

    fn charge(&mut self, nodes: usize, place: &Place) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, aliases resolved");
            return Err(problem(place.clone(), message, "use fewer aliases of aliases"));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(Kind, usize), Problem> {
        let mut items = Vec::new();
        let mut below = 0;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::SequenceEnd => return Ok((Kind::List(items), below)),
                event if event.is_node() => {
                    let built = self.node(event, place, depth + 1)?;
                    below = below.max(built.depth + 1);
                    items.push(built.node);
                }
                Event::StreamEnd => return Err(problem(place, "the file ends within a list", "close it")),
                _ => {}
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<(Kind, usize), Problem> {
        let mut map = Map::default();
        let mut merged = Vec::new();
        let mut below = 0;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::MappingEnd => break,
                Event::StreamEnd => return Err(problem(place, "the file ends within a mapping", "close it")),
                event if event.is_node() => {
                    let key = self.node(event, place, depth + 1)?.node;
                    let value = self.value(depth, &mut below)?;
                    match &key.kind {
                        Kind::Scalar(s) if s.style == Style::Plain && s.text == "<<" => merged.push(value),
                        Kind::Scalar(s) => {
                            if let Some(first) = map.key(&s.text) {
                                let message = format!(
                                    "the key `{}` comes twice; it is also in line {}",
                                    s.text, first.place.line
                                );
                                return Err(problem(key.place, message, "keep one of them"));
                            }
                            map.entries.push((Key { text: s.text.clone(), place: key.place }, value));
                        }
                        _ => return Err(problem(key.place, "a key is a list or a mapping", "write text as key")),
                    }
                }
                _ => {}
            }
        }
        for value in merged {
            merge_in(&mut map, value)?;
        }
        Ok((Kind::Map(map), below))
    }

    fn value(&mut self, depth: usize, below: &mut usize) -> Result<Node, Problem> {
        loop {
            let (event, place) = self.next()?;
            if event.is_node() {
                let built = self.node(event, place, depth + 1)?;
                *below = (*below).max(built.depth + 1);
                return Ok(built.node);
            }
            if matches!(event, Event::StreamEnd | Event::MappingEnd) {
                return Err(problem(place, "a key without a value", "write `key: value`"));
            }
        }
    }
}

/// `<<: *base` or `<<: [*first, *second]` (YAML 1.1 merge key): keys that are there win,
/// then the earlier mapping.
fn merge_in(map: &mut Map, value: Node) -> Result<(), Problem> {
    match value.kind {
        Kind::Map(base) => {
            for (key, value) in base.entries {
                if map.get(&key.text).is_none() {
                    map.entries.push((key, value));
                }
            }
            Ok(())
        }
        Kind::List(items) => items.into_iter().try_for_each(|item| match item.kind {
            Kind::Map(_) => merge_in(map, item),
            _ => Err(problem(item.place, "`<<` takes mappings only", "point it at an anchored mapping")),
        }),
        Kind::Scalar(_) => Err(problem(value.place, "`<<` takes mappings only", "point it at an anchored mapping")),
    }
}

fn merge_of(tag: &Tag) -> Merge {
    match tag.suffix() {
        "reset" => Merge::Reset,
        "override" => Merge::Override,
        _ => Merge::Join,
    }
}

fn too_deep(place: Place) -> Problem {
    problem(place, format!("nested deeper than {MAX_DEPTH}"), "flatten it")
}

fn problem(place: Place, message: impl Into<String>, hint: &str) -> Problem {
    Problem { place, message: message.into(), hint: Some(hint.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.kind {
            _ if node.is_null() => "null".into(),
            Kind::Scalar(s) => format!("{:?}", s.text),
            Kind::List(l) => format!("[{}]", l.iter().map(show).collect::<Vec<_>>().join(", ")),
            Kind::Map(m) => {
                let items = m.entries.iter().map(|(k, v)| format!("{}: {}", k.text, show(v)));
                format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn read(text: &str) -> String {
        match parse("f", text) {
            Ok(node) => show(&node),
            Err(e) => format!("error: {e}"),
        }
    }

    #[test]
    fn keeps_the_text_of_scalars() {
        assert_eq!(
            read("a: 1.10\nb: 0440\nc: yes\nd:\ne: ''\nf: \"x\\ty\"\n"),
            r#"{a: "1.10", b: "0440", c: "yes", d: null, e: "", f: "x\ty"}"#
        );
        assert_eq!(read(""), "null");
        assert_eq!(read("# only a comment\n"), "null");
    }

    #[test]
    fn anchors_and_merge_keys() {
        assert_eq!(
            read("x: &a {p: 1, q: 2}\ny: &b {q: 3, r: 4}\nz: {<<: [*a, *b], p: 9}\nw:\n  <<: *a\n"),
            r#"{x: {p: "1", q: "2"}, y: {q: "3", r: "4"}, z: {p: "9", q: "2", r: "4"}, w: {p: "1", q: "2"}}"#
        );
    }

    #[test]
    fn errors_have_places() {
        assert_eq!(
            read("a: 1\nb: 2\na: 3\n"),
            "error: f:3:1: the key `a` comes twice; it is also in line 1; keep one of them"
        );
        assert_eq!(
            read("a: &x [*x]\n"),
            "error: f:1:8: an alias stands within its own anchor; a value cannot contain itself"
        );
        assert!(read("a: [1\n").starts_with("error: f:1:4: not valid YAML:"), "{}", read("a: [1\n"));
        assert!(read("a: *nope\n").contains("f:1:4"), "{}", read("a: *nope\n"));
        assert!(read("a: 1\n---\nb: 2\n").contains("second YAML document"));
        assert!(read("? [a]\n: 1\n").contains("a key is a list"));
    }

    #[test]
    fn bombs_are_refused() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let prev = format!("*a{}, ", i - 1).repeat(10);
            laughs.push_str(&format!("a{i}: &a{i} [{prev}]\n"));
        }
        assert!(read(&laughs).contains("more than 200000 values"));
        let mut deep = String::from("a0: &a0 [x]\n");
        for i in 1..5000 {
            deep.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        }
        assert!(read(&deep).contains("nested deeper than 100"));
        assert!(read(&"[".repeat(100_000)).starts_with("error"));
        assert!(read(&"{a: ".repeat(100_000)).starts_with("error"));
    }
}
