//! serde over [`Node`]s: types that derive `Deserialize` are read with places in all errors.
//!
//! Scalars follow the reader of this module's siblings: what is asked for as text is text as it
//! was written (`1.10`, `no`), `true` and `false` are the only booleans.

use super::read::parse_int;
use super::{Kind, Node, Style};
use crate::diag::{Log, Place, Problem, did_you_mean};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Display};

/// Reads a node; a mistake is noted in `log`. `path` names the node in messages.
pub(crate) fn from_node<T: DeserializeOwned>(node: &Node, path: &str, log: &Log) -> Option<T> {
    match T::deserialize(Reader { node, path: path.to_owned() }) {
        Ok(value) => Some(value),
        Err(e) => {
            log.push(e.problem(node, path));
            None
        }
    }
}

/// What went wrong, and where as soon as somebody knows.
#[derive(Debug)]
struct Error {
    at: Option<(Place, String)>,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// Sets the place, unless it was set further inside.
    fn at(mut self, place: &Place, path: &str) -> Self {
        self.at.get_or_insert_with(|| (place.clone(), path.to_owned()));
        self
    }

    fn problem(self, node: &Node, path: &str) -> Problem {
        let (place, path) = self.at.unwrap_or_else(|| (node.place.clone(), path.to_owned()));
        let message = if path.is_empty() { self.message } else { format!("{path}: {}", self.message) };
        Problem { place, message, hint: self.hint }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self { at: None, message: message.to_string(), hint: None }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("unknown key `{field}`");
        let hint = did_you_mean(field, expected.iter().copied())
            .or_else(|| Some(format!("known here are {}", expected.join(", "))));
        Self { at: None, message, hint }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("`{variant}` is not one of {}", expected.join(", "));
        Self { at: None, message, hint: did_you_mean(variant, expected.iter().copied()) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { at: None, message: format!("`{field}` is missing"), hint: None }
    }
}

/// Reads one node.
struct Reader<'n> {
    node: &'n Node,
    path: String,
}

impl Reader<'_> {
    fn wrong(&self, expected: &str) -> Error {
        let message = format!("{expected} is expected, not {}", self.node.describe());
        Error { at: Some((self.node.place.clone(), self.path.clone())), message, hint: None }
    }

    /// An error of a visitor: says what the offending text was.
    fn blame(&self, error: Error) -> Error {
        let offending = self.node.describe();
        let known = error.at.is_some() || error.message.contains(&offending);
        let message = if known || self.node.as_text().is_none() {
            error.message
        } else {
            format!("{offending}: {}", error.message)
        };
        Error { message, ..error }.at(&self.node.place, &self.path)
    }

    fn text(&self, expected: &str) -> Result<&str, Error> {
        self.node.as_text().ok_or_else(|| self.wrong(expected))
    }
}

macro_rules! integers {
    ($($method:ident => $visit:ident: $type:ty),*) => { $(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.node.as_text().and_then(parse_int).and_then(|n| <$type>::try_from(n).ok());
            let number = number.ok_or_else(|| self.wrong("a whole number"))?;
            visitor.$visit(number).map_err(|e| self.blame(e))
        }
    )* };
}

impl<'n> de::Deserializer<'n> for Reader<'n> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
            Kind::Scalar(_) if self.node.is_null() => visitor.visit_unit().map_err(|_: Error| self.wrong("a value")),
            Kind::Scalar(s) => {
                let result = match (s.style, s.text.as_str()) {
                    // Bare words and numbers that a visitor does not take otherwise are text.
                    (Style::Plain, "true") => visitor.visit_bool(true),
                    (Style::Plain, "false") => visitor.visit_bool(false),
                    (_, text) => visitor.visit_str(text),
                };
                result.map_err(|e| self.blame(e))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.as_text() {
            Some("true" | "True" | "TRUE") => visitor.visit_bool(true),
            Some("false" | "False" | "FALSE") => visitor.visit_bool(false),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    integers!(deserialize_i8 => visit_i8: i8, deserialize_i16 => visit_i16: i16, deserialize_i32 => visit_i32: i32,
        deserialize_i64 => visit_i64: i64, deserialize_u8 => visit_u8: u8, deserialize_u16 => visit_u16: u16,
        deserialize_u32 => visit_u32: u32, deserialize_u64 => visit_u64: u64);

    fn deserialize_f32<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.node.as_text().and_then(|t| t.parse().ok()).ok_or_else(|| self.wrong("a number"))?;
        visitor.visit_f64(number).map_err(|e| self.blame(e))
    }

    fn deserialize_char<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = self.text("text")?;
        visitor.visit_str(text).map_err(|e| self.blame(e))
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_unit() } else { Err(self.wrong("nothing")) }
    }

    fn deserialize_unit_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        let items = match &self.node.kind {
            Kind::List(items) => items.as_slice(),
            // A key with nothing behind it.
            Kind::Scalar(_) if self.node.is_null() => &[],
            _ => return Err(self.wrong("a list")),
        };
        let list = List { items: items.iter().enumerate(), path: &self.path };
        visitor.visit_seq(list).map_err(|e| self.blame(e))
    }

    fn deserialize_tuple<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        let Kind::Map(map) = &self.node.kind else { return Err(self.wrong("a mapping")) };
        let entries = MapEntries { entries: map.entries.iter(), value: None, path: &self.path };
        visitor.visit_map(entries).map_err(|e| self.blame(e))
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text: StrDeserializer<'_, Error> = self.text("text")?.into_deserializer();
        visitor.visit_enum(text).map_err(|e| self.blame(e))
    }

    fn deserialize_identifier<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct List<'n, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
    path: &'p str,
}

impl<'n> SeqAccess<'n> for List<'n, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((i, node)) = self.items.next() else { return Ok(None) };
        let path = format!("{}[{i}]", self.path);
        seed.deserialize(Reader { node, path: path.clone() }).map(Some).map_err(|e| e.at(&node.place, &path))
    }
}

struct MapEntries<'n, 'p> {
    entries: std::slice::Iter<'n, (super::Key, Node)>,
    value: Option<(&'n super::Key, &'n Node)>,
    path: &'p str,
}

impl<'n> MapAccess<'n> for MapEntries<'n, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        let text: StrDeserializer<'_, Error> = key.text.as_str().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|e| e.at(&key.place, self.path))
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, node)) = self.value.take() else { return Err(de::Error::custom("a value without its key")) };
        let path = if self.path.is_empty() { key.text.clone() } else { format!("{}.{}", self.path, key.text) };
        seed.deserialize(Reader { node, path: path.clone() }).map_err(|e| e.at(&node.place, &path))
    }
}
