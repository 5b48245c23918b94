//! Small words of manifests: sizes, port ranges, name rules.

use crate::text::{is_name, parse_gib};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A size in GiB: `20Gi`, `20GiB`, `1Ti`, or a bare number of GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Size(
    /// In GiB.
    pub u64,
);

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        parse_gib(text).map(Self).ok_or_else(|| "a size in GiB is expected, as 20Gi or 1Ti".to_owned())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Gi", self.0)
    }
}

/// Ports from ... to: `80` or `8000-8100`. For ICMP type and code do not go here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PortRange {
    /// First.
    pub min: u16,
    /// Last.
    pub max: u16,
}

impl FromStr for PortRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let range = || Some(Self { min: min.trim().parse().ok()?, max: max.trim().parse().ok()? });
        range()
            .filter(|r| r.min > 0 && r.min <= r.max)
            .ok_or_else(|| "a port or a range of ports is expected, as 80 or 8000-8100".to_owned())
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

/// A share of a pool: a number of hosts, or a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl Share {
    /// So many of `all`: rounded down, one at least.
    pub fn of(self, all: u32) -> u32 {
        let n = match self {
            Self::Count(n) => n,
            Self::Percent(p) => u32::try_from(u64::from(all) * u64::from(p) / 100).unwrap_or(u32::MAX),
        };
        n.max(1)
    }
}

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a number of hosts or a percentage is expected, as 2 or 25%".to_owned();
        match text.trim().strip_suffix('%') {
            Some(p) => p.trim().parse().ok().filter(|p| (1..=100).contains(p)).map(Self::Percent).ok_or_else(wrong),
            None => text.trim().parse().ok().filter(|n| *n > 0).map(Self::Count).ok_or_else(wrong),
        }
    }
}

macro_rules! text_or_number {
    ($type:ident, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Form;
                impl Visitor<'_> for Form {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("text or a number")
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: Error>(self, n: u64) -> Result<$type, E> {
                        n.to_string().parse().map_err(E::custom)
                    }
                    fn visit_i64<E: Error>(self, n: i64) -> Result<$type, E> {
                        n.to_string().parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Form)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"anyOf": [{"type": "string", "pattern": $pattern}, {"type": "integer", "minimum": 1}]})
            }
        }
    };
}
text_or_number!(Size, "^[0-9]+ ?([GT](i|iB)?)?$");
text_or_number!(PortRange, "^[0-9]+(-[0-9]+)?$");
text_or_number!(Share, "^[0-9]+%?$");

/// Whether a text can name a yard: lower case letters, digits and dashes, as in a host name. No
/// underscore: see [`super::Mark::as_name`].
pub fn is_yard_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=40).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Whether a text can name a resource: letters, digits, `.`, `_`, `-`; at most 100 bytes.
pub fn is_resource_name(name: &str) -> bool {
    is_name(name, 100)
}
