//! Questions of a package: what a user may or must decide, with types and limits.

use crate::diag::{Log, did_you_mean};
use crate::yaml::{FieldReading, Fields, Node};
use ipnet::IpNet;
use regex::Regex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A value of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Not answered, and no default.
    None,
    /// true or false
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other type.
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Text(t) => f.write_str(t),
        }
    }
}

/// Type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// true or false
    Bool,
    /// One of the options.
    Enum,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A network as address/prefix.
    Cidr,
    /// A host name or domain name (RFC 1123).
    Hostname,
    /// A network interface's name as Linux takes it.
    Interface,
    /// A text that is never shown.
    Password,
}

const TYPES: &[(&str, QuestionType)] = &[
    ("string", QuestionType::String),
    ("int", QuestionType::Int),
    ("bool", QuestionType::Bool),
    ("enum", QuestionType::Enum),
    ("ip", QuestionType::Ip),
    ("cidr", QuestionType::Cidr),
    ("hostname", QuestionType::Hostname),
    ("interface", QuestionType::Interface),
    ("password", QuestionType::Password),
];

/// A question.
#[derive(Debug, Clone)]
pub struct Question {
    /// Name: of the answer, and of the variable in Compose files and templates.
    pub name: String,
    /// A few words for a form.
    pub label: String,
    /// What the answer does.
    pub description: String,
    /// Type of the answer.
    pub kind: QuestionType,
    /// An answer is needed (and there is no default).
    pub required: bool,
    /// Answer of one who gives none.
    pub default: Option<Value>,
    /// Values of an `enum`.
    pub options: Vec<String>,
    /// Least value of an `int`.
    pub min: Option<i64>,
    /// Greatest value of an `int`.
    pub max: Option<i64>,
    /// Least number of characters.
    pub min_length: Option<usize>,
    /// Greatest number of characters.
    pub max_length: Option<usize>,
    /// Regular expression that the whole text must match.
    pub pattern: Option<Regex>,
    /// Asked only when all these answers have these values.
    pub show_if: BTreeMap<String, String>,
    /// Heading in a form.
    pub group: Option<String>,
}

impl Question {
    /// Reads one question; `None` after noting what is wrong.
    pub(crate) fn read(node: &Node, log: &Log) -> Option<Self> {
        let fields = Fields::of(node, "questions", log)?;
        let name = fields.need("name", node)?.string("questions.name", log)?;
        let fields = fields.named(format!("question `{name}`"));
        if !is_variable(&name) {
            let message = format!("the question name `{name}` is not [A-Za-z_][A-Za-z0-9_]*");
            log.problem(&node.place, message);
        }
        let kind = fields.need("type", node).and_then(|n| read_type(n, &fields.at("type"), log));
        let count = |key| fields.int(key).and_then(|v| usize::try_from(v).ok());
        let mut question = Self {
            label: fields.string("label").unwrap_or_else(|| name.clone()),
            description: fields.string("description").unwrap_or_default(),
            kind: kind.unwrap_or(QuestionType::String),
            required: fields.bool("required").unwrap_or(false),
            default: None,
            options: fields.strings("options"),
            min: fields.int("min"),
            max: fields.int("max"),
            min_length: count("min_length"),
            max_length: count("max_length"),
            pattern: fields.get("pattern").and_then(|n| read_pattern(n, &fields.at("pattern"), log)),
            show_if: fields.text_map("show_if"),
            group: fields.string("group"),
            name,
        };
        let default = fields.get("default");
        fields.finish(true, &[]);
        if question.kind == QuestionType::Enum && question.options.is_empty() {
            log.problem(&node.place, format!("question `{}`: an enum needs `options`", question.name));
        }
        if let (Some(node), Some(_)) = (default, kind) {
            question.default = question.read_default(node, log);
        }
        Some(question)
    }

    fn read_default(&self, node: &Node, log: &Log) -> Option<Value> {
        let text = node.string(&format!("question `{}`.default", self.name), log)?;
        // "Nothing" is always a fit default of a text that may go unanswered.
        let texts = !matches!(self.kind, QuestionType::Int | QuestionType::Bool | QuestionType::Enum);
        if text.is_empty() && !self.required && texts {
            return Some(Value::Text(text));
        }
        match self.parse(&text) {
            Ok(value) => Some(value),
            Err(allowed) => {
                let message = format!("question `{}`: the default `{text}` is not {allowed}", self.name);
                log.problem(&node.place, message);
                None
            }
        }
    }

    /// Reads an answer in text form and checks it.
    ///
    /// # Errors
    ///
    /// What is allowed instead, as a phrase: "an IPv4 or IPv6 address".
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let (value, fits) = match self.kind {
            QuestionType::Bool => match text {
                "true" => (Value::Bool(true), true),
                "false" => (Value::Bool(false), true),
                _ => (Value::None, false),
            },
            QuestionType::Int => match text.parse::<i64>() {
                Ok(i) => (Value::Int(i), self.min.is_none_or(|m| i >= m) && self.max.is_none_or(|m| i <= m)),
                Err(_) => (Value::None, false),
            },
            QuestionType::Enum => (Value::Text(text.into()), self.options.iter().any(|o| o == text)),
            QuestionType::Ip => (Value::Text(text.into()), text.parse::<IpAddr>().is_ok()),
            QuestionType::Cidr => (Value::Text(text.into()), text.parse::<IpNet>().is_ok()),
            QuestionType::Hostname => (Value::Text(text.into()), is_hostname(text)),
            QuestionType::Interface => (Value::Text(text.into()), is_interface(text)),
            QuestionType::String | QuestionType::Password => (Value::Text(text.into()), true),
        };
        let length = text.chars().count();
        let fits = fits
            && self.min_length.is_none_or(|m| length >= m)
            && self.max_length.is_none_or(|m| length <= m)
            && self.pattern.as_ref().is_none_or(|p| p.find(text).is_some_and(|m| m.range() == (0..text.len())));
        if fits { Ok(value) } else { Err(self.allowed()) }
    }

    /// What an answer may be, as a phrase for messages and forms.
    pub fn allowed(&self) -> String {
        let mut allowed = match self.kind {
            QuestionType::String => "a text".to_owned(),
            QuestionType::Password => "a password".to_owned(),
            QuestionType::Bool => "`true` or `false`".to_owned(),
            QuestionType::Int => "a whole number".to_owned(),
            QuestionType::Enum => {
                let options: Vec<_> = self.options.iter().map(|o| format!("`{o}`")).collect();
                format!("one of {}", options.join(", "))
            }
            QuestionType::Ip => "an IPv4 or IPv6 address".to_owned(),
            QuestionType::Cidr => "a network such as 10.0.0.0/24".to_owned(),
            QuestionType::Hostname => "a host name (letters, digits, `-`, `.`)".to_owned(),
            QuestionType::Interface => "a network interface's name (at most 15 characters)".to_owned(),
        };
        match (self.min, self.max) {
            (Some(min), Some(max)) => allowed.push_str(&format!(" from {min} to {max}")),
            (Some(min), None) => allowed.push_str(&format!(", {min} or more")),
            (None, Some(max)) => allowed.push_str(&format!(", {max} or less")),
            (None, None) => {}
        }
        match (self.min_length, self.max_length) {
            (Some(min), Some(max)) => allowed.push_str(&format!(" of {min} to {max} characters")),
            (Some(min), None) => allowed.push_str(&format!(" of {min} characters or more")),
            (None, Some(max)) => allowed.push_str(&format!(" of at most {max} characters")),
            (None, None) => {}
        }
        if let Some(pattern) = &self.pattern {
            allowed.push_str(&format!(" that matches /{pattern}/"));
        }
        allowed
    }

    /// Whether values of this question must not be shown.
    pub fn is_secret(&self) -> bool {
        self.kind == QuestionType::Password
    }
}

fn read_type(node: &Node, path: &str, log: &Log) -> Option<QuestionType> {
    let text = node.string(path, log)?;
    let found = TYPES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    if found.is_none() {
        let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
        let hint = did_you_mean(&text, names.iter().copied());
        let hint = hint.unwrap_or_else(|| format!("there are {}", names.join(", ")));
        log.problem_hint(&node.place, format!("{path}: unknown type `{text}`"), Some(hint));
    }
    found
}

fn read_pattern(node: &Node, path: &str, log: &Log) -> Option<Regex> {
    let text = node.string(path, log)?;
    Regex::new(&text)
        .map_err(|e| {
            let reason = e.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            log.problem(&node.place, format!("{path}: `{text}` is not a regular expression: {reason}"));
        })
        .ok()
}

pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

fn is_hostname(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.chars().all(|c| c == '-' || c.is_ascii_alphanumeric())
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// As `dev_valid_name` in Linux' net/core/dev.c: below IFNAMSIZ, no slash, colon or space.
fn is_interface(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text != "."
        && text != ".."
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
}
