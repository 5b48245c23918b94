//! YAML as clouds.yaml needs it: scalars as they were written (a project id of digits, or one that
//! looks like `5e1234`, stays text) and the place of every node in the file.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// Nodes of one document at most, so that aliases of aliases cannot fill the memory.
const MOST_NODES: usize = 100_000;

/// A node and where it stands, in bytes. The range of a collection ends with its last content.
#[derive(Debug, Clone)]
pub(super) struct YamlNode {
    pub kind: NodeKind,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Scalar { text: String, plain: bool },
    Seq(Vec<YamlNode>),
    Map { entries: Vec<(YamlNode, YamlNode)>, flow: bool },
}

/// A node's meaning: places forgotten, aliases and merge keys (`<<`) resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text { text: String, plain: bool },
    Seq(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// Reads the only document of `text`; `None` when it holds nothing but comments.
///
/// # Errors
/// Words with line and column for text that is not YAML or holds several documents.
pub(super) fn parse(text: &str) -> Result<Option<YamlNode>, String> {
    let mut build = TreeBuilder { text, nodes: 0, anchors: HashMap::new() };
    let options = granit_parser::options! { emit_comments: false };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    while let Some(next) = parser.next() {
        let (event, span) = next.map_err(|e| said(&e))?;
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
            other => documents.push(build.node(&mut parser, other, span)?),
        }
    }
    if documents.len() > 1 {
        return Err("more than one YAML document in the file".to_owned());
    }
    Ok(documents.pop())
}

fn said(error: &granit_parser::ScanError) -> String {
    let at = error.marker();
    format!("line {}, column {}: {}", at.line(), at.col() + 1, error.info())
}

struct TreeBuilder<'a> {
    text: &'a str,
    nodes: usize,
    anchors: HashMap<usize, YamlNode>,
}

impl<'a> TreeBuilder<'a> {
    fn node(
        &mut self,
        parser: &mut Parser<'a, granit_parser::StrInput<'a>>,
        event: Event<'a>,
        span: Span,
    ) -> Result<YamlNode, String> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(format!("more than {MOST_NODES} nodes"));
        }
        let range = span.byte_range().ok_or("no byte offsets")?;
        let range = range.start.min(self.text.len())..range.end.min(self.text.len());
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let mut range = range;
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) && !text.ends_with("\n\n") {
                    // Blank lines behind a block scalar belong to it only where it keeps them (`|+`).
                    range.end = range.start + self.text[range.clone()].trim_end().len();
                }
                (YamlNode { kind: NodeKind::Scalar { text: text.into_owned(), plain }, span: range }, anchor)
            }
            Event::Alias(id) => {
                let target = self.anchors.get(&id).ok_or("an alias to a node that is not complete")?;
                let node = YamlNode { kind: target.kind.clone(), span: range };
                self.nodes += size(&node);
                (node, 0)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                let mut end = range.end;
                loop {
                    let (event, span) = self.next(parser)?;
                    if matches!(event, Event::SequenceEnd) {
                        end = end.max(flow_end(&span));
                        break;
                    }
                    let item = self.node(parser, event, span)?;
                    end = end.max(item.span.end);
                    items.push(item);
                }
                (YamlNode { kind: NodeKind::Seq(items), span: range.start..end }, anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                let mut entries = Vec::new();
                let mut end = range.end;
                loop {
                    let (event, span) = self.next(parser)?;
                    if matches!(event, Event::MappingEnd) {
                        end = end.max(flow_end(&span));
                        break;
                    }
                    let key = self.node(parser, event, span)?;
                    let (event, span) = self.next(parser)?;
                    let mut value = self.node(parser, event, span)?;
                    // An absent value is reported wherever the parser stood by then.
                    if matches!(&value.kind, NodeKind::Scalar { text, plain: true } if text.is_empty())
                        && value.span.is_empty()
                    {
                        value.span = key.span.end..key.span.end;
                    }
                    end = end.max(key.span.end).max(value.span.end);
                    entries.push((key, value));
                }
                (
                    YamlNode {
                        kind: NodeKind::Map { entries, flow: style == StructureStyle::Flow },
                        span: range.start..end,
                    },
                    anchor,
                )
            }
            other => return Err(format!("unexpected {other:?}")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn next(&self, parser: &mut Parser<'a, granit_parser::StrInput<'a>>) -> Result<(Event<'a>, Span), String> {
        parser.next().ok_or("unexpected end")?.map_err(|e| said(&e))
    }
}

/// The end event of a block collection has an empty span at some later token; that of a flow
/// collection covers its bracket.
fn flow_end(span: &Span) -> usize {
    span.byte_range().filter(|r| !r.is_empty()).map_or(0, |r| r.end)
}

fn size(node: &YamlNode) -> usize {
    1 + match &node.kind {
        NodeKind::Scalar { .. } => 0,
        NodeKind::Seq(items) => items.iter().map(size).sum(),
        NodeKind::Map { entries, .. } => entries.iter().map(|(k, v)| size(k) + size(v)).sum(),
    }
}

impl YamlNode {
    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What the node means.
    pub fn value(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => {
                Value::Null
            }
            NodeKind::Scalar { text, plain } => Value::Text { text: text.clone(), plain: *plain },
            NodeKind::Seq(items) => Value::Seq(items.iter().map(YamlNode::value).collect()),
            NodeKind::Map { entries, .. } => {
                let mut map = BTreeMap::new();
                for (key, value) in entries.iter().filter(|(k, _)| k.text() == Some("<<")) {
                    let _ = key;
                    let sources = match value.value() {
                        Value::Seq(items) => items,
                        one => vec![one],
                    };
                    for source in sources {
                        if let Value::Map(source) = source {
                            for (k, v) in source {
                                map.entry(k).or_insert(v);
                            }
                        }
                    }
                }
                for (key, value) in entries.iter().filter(|(k, _)| k.text() != Some("<<")) {
                    map.insert(key.text().unwrap_or_default().to_owned(), value.value());
                }
                Value::Map(map)
            }
        }
    }
}

impl Value {
    /// The entry `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.get(key).filter(|v| !matches!(v, Self::Null)),
            _ => None,
        }
    }

    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What it is, for errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text { .. } => "a text",
            Self::Seq(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// A mapping's keys, in order.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Map(map) => map.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The same with underscores for the dashes in keys, which clients do not tell apart.
    pub fn without_dashes(self) -> Value {
        match self {
            Self::Map(map) => {
                Self::Map(map.into_iter().map(|(k, v)| (k.replace('-', "_"), v.without_dashes())).collect())
            }
            other => other,
        }
    }

    /// Lays `other` over this, mapping by mapping.
    pub fn merge(&mut self, other: Value) {
        match (self, other) {
            (Self::Map(mine), Self::Map(theirs)) => {
                for (key, value) in theirs {
                    match mine.get_mut(&key) {
                        Some(old) => old.merge(value),
                        None => {
                            mine.insert(key, value);
                        }
                    }
                }
            }
            (_, Self::Null) => {}
            (mine, theirs) => *mine = theirs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(text).expect("yaml").map_or(Value::Null, |n| n.value())
    }

    #[test]
    fn scalars_stay_as_written() {
        let v = value("a: 0123\nb: 5e1234\nc: 'x''y'\nd: yes\ne:\nf: ~\ng: |\n  one\n  two\n");
        for (key, text) in [("a", "0123"), ("b", "5e1234"), ("c", "x'y"), ("d", "yes"), ("g", "one\ntwo\n")] {
            assert_eq!(v.get(key).and_then(Value::text), Some(text), "{key}");
        }
        assert_eq!((v.get("e"), v.get("f")), (None, None));
    }

    #[test]
    fn aliases_and_merge_keys() {
        let v = value("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\nlist: {<<: [*b, {z: 4}]}\n");
        assert_eq!(v.get("mine").and_then(|m| m.get("x")).and_then(Value::text), Some("1"));
        assert_eq!(v.get("mine").and_then(|m| m.get("y")).and_then(Value::text), Some("3"));
        assert_eq!(v.get("list").and_then(|m| m.get("z")).and_then(Value::text), Some("4"));
    }

    #[test]
    fn places_end_with_the_content() {
        let text = "a:\n  k: |\n    one\n    two\n\n# comment\nb: {x: 1} # more\nc: [1,\n  2]\nd:\ne: 'q'\n";
        let Some(YamlNode { kind: NodeKind::Map { entries, .. }, .. }) = parse(text).expect("yaml") else { panic!() };
        let slices: Vec<_> = entries.iter().map(|(_, v)| text[v.span.clone()].trim_end()).collect();
        assert_eq!(slices[1..], ["{x: 1}", "[1,\n  2]", "", "'q'"]);
        assert!(slices[0].ends_with("two"), "{slices:?}");
    }

    #[test]
    fn what_is_no_yaml() {
        assert!(parse("a: [1").is_err());
        assert!(parse("a: 1\n---\nb: 2\n").expect_err("two").contains("more than one"));
        assert!(parse("# nothing\n").expect("yaml").is_none());
        let bomb = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x]\n".to_owned(), |s, i| {
            let p = i - 1;
            s + &format!("a{i}: &a{i} [*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p}]\n")
        });
        assert!(parse(&bomb).is_err());
    }
}
