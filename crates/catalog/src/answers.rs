//! Answers to a package's questions: gathered from files and command lines, checked at once.

use crate::diag::{Log, Place, Problem, Problems, did_you_mean};
use crate::question::{Question, Value};
use crate::yaml::{self, FieldReading, Node};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Answers as they were given, not checked yet. Later ones replace earlier ones.
#[derive(Clone, Default)]
pub struct Answers {
    given: BTreeMap<String, Given>,
}

#[derive(Clone)]
struct Given {
    text: String,
    /// Where in a file; `None` for one given by `key=value`.
    place: Option<Place>,
}

/// Shows names only: an answer may be a password.
impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.given.keys()).finish()
    }
}

impl Answers {
    /// Reads a YAML mapping of names to values; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// When the text is not YAML, or not a flat mapping.
    pub fn from_yaml(file: &str, text: &str) -> Result<Self, Problems> {
        let node = yaml::parse(file, text)?;
        let log = Log::default();
        let answers = Self::from_node(&node, &log);
        log.finish()?;
        Ok(answers)
    }

    /// Reads a mapping of names to values.
    pub(crate) fn from_node(node: &Node, log: &Log) -> Self {
        let mut answers = Self::default();
        if node.is_null() {
            return answers;
        }
        for (key, value) in node.entries("answers", log) {
            // `name:` takes back what an earlier file said.
            if value.is_null() {
                continue;
            }
            if let Some(text) = value.string(&key.text, log) {
                answers.given.insert(key.text.clone(), Given { text, place: Some(value.place.clone()) });
            }
        }
        answers
    }

    /// Sets one answer.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.given.insert(name.into(), Given { text: value.into(), place: None });
    }

    /// Takes an answer in the form `name=value`.
    ///
    /// # Errors
    ///
    /// A message when there is no `=` or no name.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), String> {
        match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                self.set(name.trim(), value);
                Ok(())
            }
            _ => Err(format!("`{pair}` is not of the form name=value")),
        }
    }

    /// Takes over all answers of another set.
    pub fn merge(&mut self, later: Answers) {
        self.given.extend(later.given);
    }

    /// Forgets an answer, so that its default counts again.
    pub fn unset(&mut self, name: &str) {
        self.given.remove(name);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Checks the answers against the questions and fills in defaults.
    ///
    /// # Errors
    ///
    /// All bad answers at once.
    pub fn resolve(&self, questions: &[Question]) -> Result<ResolvedAnswers, AnswerErrors> {
        let mut errors = Vec::new();
        for (name, given) in &self.given {
            if !questions.iter().any(|q| q.name == *name) {
                let hint = did_you_mean(name, questions.iter().map(|q| q.name.as_str()));
                errors.push(AnswerError::Unknown { name: name.clone(), place: given.place.clone(), hint });
            }
        }
        let mut items: Vec<ResolvedAnswer> = Vec::new();
        for question in questions {
            let given = self.given.get(&question.name);
            let parsed = given.map(|g| (g, question.parse(&g.text)));
            let empty_default = question.default.as_ref().is_none_or(|d| *d == Value::Text(String::new()));
            let (value, origin) = match parsed {
                // An empty text for a question that may go unanswered is no answer.
                Some((g, _)) if g.text.is_empty() && !question.required && empty_default => match &question.default {
                    Some(value) => (value.clone(), Origin::Default),
                    None => (Value::None, Origin::Unanswered),
                },
                Some((_, Ok(value))) => (value, Origin::Given),
                Some((g, Err(allowed))) => {
                    errors.push(AnswerError::Invalid {
                        name: question.name.clone(),
                        value: if question.is_secret() { "******".into() } else { yaml::shorten(&g.text) },
                        place: g.place.clone(),
                        allowed,
                    });
                    (Value::None, Origin::Given)
                }
                None => match &question.default {
                    Some(value) => (value.clone(), Origin::Default),
                    None => (Value::None, Origin::Unanswered),
                },
            };
            items.push(ResolvedAnswer { name: question.name.clone(), value, origin, secret: question.is_secret() });
        }
        for question in questions {
            let answered = items.iter().any(|i| i.name == question.name && i.origin != Origin::Unanswered);
            if question.required && !answered && is_shown(question, &items) {
                errors.push(AnswerError::Missing { name: question.name.clone(), allowed: question.allowed() });
            }
        }
        if errors.is_empty() { Ok(ResolvedAnswers { items }) } else { Err(AnswerErrors(errors)) }
    }
}

fn is_shown(question: &Question, items: &[ResolvedAnswer]) -> bool {
    question
        .show_if
        .iter()
        .all(|(name, wanted)| items.iter().any(|i| i.name == *name && i.value.to_string() == *wanted))
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The user said so.
    Given,
    /// The package's default.
    Default,
    /// Neither: an optional question without an answer.
    Unanswered,
}

/// A checked answer.
#[derive(Clone)]
pub struct ResolvedAnswer {
    /// The question's name.
    pub name: String,
    /// The value. A password is in here too; do not print it.
    pub value: Value,
    /// Where the value comes from.
    pub origin: Origin,
    /// The value must not be shown.
    pub secret: bool,
}

impl ResolvedAnswer {
    /// The value for human eyes: a password is shown as `******`.
    pub fn shown(&self) -> String {
        if self.secret && self.value != Value::None { "******".into() } else { self.value.to_string() }
    }
}

impl fmt::Debug for ResolvedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({:?})", self.name, self.shown(), self.origin)
    }
}

impl Serialize for ResolvedAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut s = serializer.serialize_struct("Answer", 3)?;
        s.serialize_field("name", &self.name)?;
        if self.secret && self.value != Value::None {
            s.serialize_field("value", "******")?;
        } else {
            s.serialize_field("value", &self.value)?;
        }
        s.serialize_field("origin", &self.origin)?;
        s.end()
    }
}

/// All answers of a package, checked, in the order of its questions.
///
/// Display, Debug and Serialize hide passwords.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct ResolvedAnswers {
    items: Vec<ResolvedAnswer>,
}

impl ResolvedAnswers {
    /// The answers in the order of the questions.
    pub fn iter(&self) -> impl Iterator<Item = &ResolvedAnswer> {
        self.items.iter()
    }

    /// The value of a question; `None` when there is no such question or no answer.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.items.iter().find(|i| i.name == name).map(|i| &i.value).filter(|v| **v != Value::None)
    }

    /// The value of a question as text; empty when there is none.
    pub fn text(&self, name: &str) -> String {
        self.get(name).map(Value::to_string).unwrap_or_default()
    }

    /// The answers that were given, as a YAML file that [`Answers::from_yaml`] reads.
    /// Holds passwords in clear: write it with mode 0600.
    pub fn given_to_yaml(&self) -> String {
        let given = self.items.iter().filter(|i| i.origin == Origin::Given);
        // JSON strings are YAML, and there is nothing to get wrong in quoting them.
        given.map(|i| format!("{}: {}\n", i.name, serde_json::Value::from(i.value.to_string()))).collect()
    }
}

impl fmt::Display for ResolvedAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.items.iter().map(|i| i.name.len()).max().unwrap_or(0);
        for item in &self.items {
            let note = match item.origin {
                Origin::Given => "",
                Origin::Default => "  (default)",
                Origin::Unanswered => "  (not answered)",
            };
            writeln!(f, "{:width$}  {}{note}", item.name, item.shown())?;
        }
        Ok(())
    }
}

/// A bad answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No question has this name.
    #[error("{}unknown answer `{name}`{}", prefix(.place), suffix(.hint))]
    Unknown {
        /// Name as given.
        name: String,
        /// Where it was given, if in a file.
        place: Option<Place>,
        /// The nearest question.
        hint: Option<String>,
    },
    /// The value is not allowed.
    #[error("{}{name}: `{value}` is not allowed: it must be {allowed}", prefix(.place))]
    Invalid {
        /// The question.
        name: String,
        /// Value as given; hidden for passwords.
        value: String,
        /// Where it was given, if in a file.
        place: Option<Place>,
        /// What is allowed.
        allowed: String,
    },
    /// A required answer is missing.
    #[error("{name}: an answer is required: {allowed}")]
    Missing {
        /// The question.
        name: String,
        /// What is allowed.
        allowed: String,
    },
}

impl AnswerError {
    /// The error as a mistake at its own place, else at `entry`.
    pub(crate) fn at(&self, entry: &Place) -> Problem {
        let (place, message, hint) = match self {
            Self::Unknown { name, place, hint } => (place.clone(), format!("unknown answer `{name}`"), hint.clone()),
            Self::Invalid { name, value, place, allowed } => {
                (place.clone(), format!("{name}: `{value}` is not allowed: it must be {allowed}"), None)
            }
            Self::Missing { .. } => (None, self.to_string(), None),
        };
        Problem { place: place.unwrap_or_else(|| entry.clone()), message, hint }
    }
}

fn prefix(place: &Option<Place>) -> String {
    place.as_ref().map(|p| format!("{p}: ")).unwrap_or_default()
}

fn suffix(hint: &Option<String>) -> String {
    hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default()
}

/// All bad answers. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerErrors(pub Vec<AnswerError>);

impl fmt::Display for AnswerErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for AnswerErrors {}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
