//! `${VAR}` in values of Compose files (Compose specification, "Interpolation").
//!
//! | form | gives |
//! |---|---|
//! | `$V`, `${V}` | the value; unset: nothing, with a warning (an error where variables are strict) |
//! | `${V:-d}`, `${V-d}` | `d` when `V` is unset or empty; when it is unset |
//! | `${V:?m}`, `${V?m}` | an error with `m` when `V` is unset or empty; when it is unset |
//! | `${V:+a}`, `${V+a}` | `a` when `V` is set and not empty; when it is set |
//! | `$$` | a dollar sign |
//! | `$` before anything else | a dollar sign (an error where variables are strict) |
//!
//! `d`, `m` and `a` may contain variables themselves. Keys are not interpolated.

use crate::diag::{Log, Place, did_you_mean};
use crate::yaml::{Kind, Node, Scalar, Style};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nesting of variables in defaults: bounds the recursion.
const MAX_DEPTH: usize = 32;
/// Bytes of a text with its variables replaced: bounds `A=$A$A` over many lines of a `.env` file.
const MAX_TEXT: usize = 1 << 20;
/// Bytes of all texts with their variables replaced, of one manifest or one stack: bounds one long value in many
/// places.
const MAX_TEXTS: u64 = 16 << 20;

/// What is left of [`MAX_TEXTS`]. Clones take from the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextBudget(Arc<AtomicU64>);

impl TextBudget {
    /// Takes bytes away; whether so many were left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(MAX_TEXTS).min(MAX_TEXTS + 1);
        self.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= MAX_TEXTS
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MAX_TEXTS
    }
}

/// What is said about a text for which nothing is left.
pub(crate) fn too_long_together() -> String {
    format!("the texts are longer than {} MiB together", MAX_TEXTS >> 20)
}

/// What variables in Compose files stand for.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    refused: BTreeMap<String, String>,
    strict: bool,
    budget: TextBudget,
}

impl Variables {
    /// Variables of an environment: an unset one is empty, with a warning.
    pub fn lenient(values: BTreeMap<String, String>) -> Self {
        Self { values, ..Self::default() }
    }

    /// Variables of a package: one that is not known is a mistake.
    pub fn strict(values: BTreeMap<String, String>) -> Self {
        Self { values, strict: true, ..Self::default() }
    }

    /// Takes the texts that it makes from this budget.
    pub(crate) fn with_budget(self, budget: TextBudget) -> Self {
        Self { budget, ..self }
    }

    /// What is left for the texts that it makes.
    pub(crate) fn budget(&self) -> &TextBudget {
        &self.budget
    }

    /// Adds or replaces a value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// Adds a value unless there is one.
    pub fn set_default(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.entry(name.into()).or_insert_with(|| value.into());
    }

    /// Makes the use of a name an error with this reason. For what must not get into a
    /// container's public description.
    pub fn refuse(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.refused.insert(name.into(), reason.into());
    }

    /// Whether the use of a name that is not known is a mistake.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// A text that cannot be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InterpolationFailure {
    /// Bytes from the beginning of the text.
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// The result of interpolating a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpandedText {
    pub(crate) text: String,
    /// Names that were unset and taken as empty, with their offsets in bytes.
    pub(crate) unset: Vec<(usize, String)>,
}

/// Interpolates one text.
pub(crate) fn expand(text: &str, variables: &Variables) -> Result<ExpandedText, InterpolationFailure> {
    let mut scanner = TextScanner { text, at: 0, variables, unset: Vec::new() };
    let expanded = scanner.run(false, true, 0)?;
    if !variables.budget.take(expanded.len()) {
        return Err(scanner.failure(0, &format!("with their variables {}", too_long_together()), None));
    }
    Ok(ExpandedText { text: expanded, unset: scanner.unset })
}

/// Interpolates all scalars below a node; notes failures at their places.
pub(crate) fn expand_node(node: &mut Node, variables: &Variables, log: &Log) {
    // One problem says it; thousands more would say nothing else.
    if variables.budget.is_spent() && log.failed() {
        return;
    }
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|n| expand_node(n, variables, log)),
        Kind::Map(map) => {
            for (key, value) in &mut map.entries {
                // What an extension holds has an effect only where it is used.
                if !key.text.starts_with("x-") {
                    expand_node(value, variables, log);
                }
            }
        }
        Kind::Scalar(scalar) if scalar.text.contains('$') => {
            match expand(&scalar.text, variables) {
                Ok(expanded) => {
                    for (offset, name) in &expanded.unset {
                        let place = place_within(&node.place, scalar, *offset);
                        log.warn(&place, format!("the variable `{name}` is not set; it is taken as empty"));
                    }
                    scalar.text = expanded.text;
                    if scalar.style == Style::Plain {
                        // `${X}` with an empty X is an empty text, not null.
                        scalar.style = Style::Quoted;
                    }
                }
                Err(failure) => {
                    let place = place_within(&node.place, scalar, failure.offset);
                    log.problem_hint(&place, failure.message, failure.hint);
                    // Its text is none that readers should judge.
                    log.silence(&node.place);
                }
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// The place of a byte of a scalar. Exact for scalars on one line without escapes.
fn place_within(start: &Place, scalar: &Scalar, offset: usize) -> Place {
    let before = scalar.text.get(..offset).unwrap_or_default();
    let mut place = start.clone();
    match scalar.style {
        Style::Plain => place.column += before.chars().count(),
        Style::Quoted => place.column += before.chars().count() + 1,
        Style::Block => {
            // The place of a block is that of its first line's text.
            place.line += before.matches('\n').count();
            place.column += before.rsplit('\n').next().unwrap_or_default().chars().count();
        }
    }
    place
}

struct TextScanner<'t> {
    text: &'t str,
    at: usize,
    variables: &'t Variables,
    unset: Vec<(usize, String)>,
}

impl TextScanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        if there {
            self.at += c.len_utf8();
        }
        there
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let fits = c == '_' || c.is_ascii_alphabetic() || (!name.is_empty() && c.is_ascii_digit());
            if !fits {
                break;
            }
            name.push(c);
            self.at += 1;
        }
        name
    }

    /// Up to the end of the text, or, inside braces, to the closing one, which is taken.
    /// Without `live`, what is read is thrown away and so may not fail for its values.
    fn run(&mut self, inside: bool, live: bool, depth: usize) -> Result<String, InterpolationFailure> {
        let start = self.at;
        if depth > MAX_DEPTH {
            return Err(self.failure(start, "variables are nested too deeply", None));
        }
        let mut out = String::new();
        loop {
            let at = self.at;
            match self.bump() {
                None if inside => {
                    return Err(self.failure(start, "`${` without its `}`", Some("write `$$` for a dollar sign")));
                }
                None => return Ok(out),
                Some('}') if inside => return Ok(out),
                Some('$') => {
                    out.push_str(&self.variable(at, live, depth)?);
                    if out.len() > MAX_TEXT {
                        let message = "with its variables the text is longer than 1 MiB";
                        return Err(self.failure(at, message, None));
                    }
                }
                Some(c) => out.push(c),
            }
        }
    }

    /// What follows a dollar sign at `at`.
    fn variable(&mut self, at: usize, live: bool, depth: usize) -> Result<String, InterpolationFailure> {
        if self.take('$') {
            return Ok("$".into());
        }
        let braced = self.take('{');
        let name = self.name();
        if name.is_empty() && !braced && !self.variables.strict {
            // Compose takes it for a dollar sign: `[0-9]+$`, `$(date)`.
            return Ok("$".into());
        }
        if name.is_empty() {
            let what = if braced { "`${` without a name" } else { "`$` without a name" };
            return Err(self.failure(at, what, Some("write `$$` for a dollar sign")));
        }
        if live && let Some(reason) = self.variables.refused.get(&name) {
            return Err(self.failure(at, &format!("`{name}` cannot be used here"), Some(reason)));
        }
        let value = self.variables.get(&name).map(str::to_owned);
        if !braced {
            return self.plain(at, name, value, live);
        }
        let colon = self.take(':');
        let present = value.as_ref().is_some_and(|v| !colon || !v.is_empty());
        match self.bump() {
            Some('}') if !colon => self.plain(at, name, value, live),
            Some('-') => {
                let default = self.run(true, live && !present, depth + 1)?;
                Ok(value.filter(|_| present).unwrap_or(default))
            }
            Some('+') => {
                let other = self.run(true, live && present, depth + 1)?;
                Ok(if present { other } else { String::new() })
            }
            Some('?') => {
                let message = self.run(true, live && !present, depth + 1)?;
                match value {
                    Some(value) if present => Ok(value),
                    _ if !live => Ok(String::new()),
                    _ if message.is_empty() => {
                        Err(self.failure(at, &format!("the variable `{name}` is required"), None))
                    }
                    _ => Err(self.failure(at, &format!("the variable `{name}` is required: {message}"), None)),
                }
            }
            _ => Err(self.failure(
                at,
                &format!("`${{{name}` is followed by something else than `}}` or `:-`, `-`, `:?`, `?`, `:+`, `+`"),
                Some("write `$$` for a dollar sign"),
            )),
        }
    }

    fn plain(
        &mut self,
        at: usize,
        name: String,
        value: Option<String>,
        live: bool,
    ) -> Result<String, InterpolationFailure> {
        match value {
            Some(value) => Ok(value),
            None if !live => Ok(String::new()),
            None if self.variables.strict => {
                let hint = did_you_mean(&name, self.variables.values.keys().map(String::as_str));
                let hint = hint
                    .unwrap_or_else(|| format!("give a default, `${{{name}:-...}}`, or add a question of that name"));
                Err(self.failure(at, &format!("the variable `{name}` is not known"), Some(&hint)))
            }
            None => {
                self.unset.push((at, name));
                Ok(String::new())
            }
        }
    }

    fn failure(&self, offset: usize, message: &str, hint: Option<&str>) -> InterpolationFailure {
        InterpolationFailure { offset, message: message.to_owned(), hint: hint.map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variables() -> Variables {
        let values = [("A", "x"), ("EMPTY", ""), ("B_2", "y")];
        Variables::lenient(values.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    fn go(text: &str) -> String {
        match expand(text, &variables()) {
            Ok(e) => e.text,
            Err(f) => format!("error at {}: {}", f.offset, f.message),
        }
    }

    #[test]
    fn forms() {
        for (text, expected) in [
            ("$A-${A}.$B_2", "x-x.y"),
            ("${NO:-d}${EMPTY:-d}${A:-d}", "ddx"),
            ("${NO-d}${EMPTY-d}${A-d}", "dx"),
            ("${NO:+a}${EMPTY:+a}${A:+a}", "a"),
            ("${NO+a}|${EMPTY+a}|${A+a}", "|a|a"),
            ("$$A $${A} 5$$", "$A ${A} 5$"),
            ("${NO:-${ALSO:-${A}}}!", "x!"),
            ("${NO:-a:b/c}", "a:b/c"),
            ("${A:-${NO:?never}}", "x"),
            ("${A?m}", "x"),
            ("${EMPTY?m}", ""),
            ("ä${A}", "äx"),
            ("cost: 5$", "cost: 5$"),
            ("$1 $(date) $-", "$1 $(date) $-"),
        ] {
            assert_eq!(go(text), expected, "{text}");
        }
    }

    #[test]
    fn failures() {
        for (text, expected) in [
            ("a ${EMPTY:?must be set}", "error at 2: the variable `EMPTY` is required: must be set"),
            ("${NO?}", "error at 0: the variable `NO` is required"),
            ("${A", "error at 0: `${A` is followed by something else than `}` or `:-`, `-`, `:?`, `?`, `:+`, `+`"),
            ("${NO:-x", "error at 6: `${` without its `}`"),
            ("${}", "error at 0: `${` without a name"),
            ("${A!}", "error at 0: `${A` is followed by something else than `}` or `:-`, `-`, `:?`, `?`, `:+`, `+`"),
        ] {
            assert_eq!(go(text), expected, "{text}");
        }
        assert!(go(&"${A:-".repeat(10_000)).contains("nested too deeply"));
    }

    #[test]
    fn unset_names_are_told() {
        let e = expand("a $NO", &variables()).expect("expanded");
        assert_eq!((e.text.as_str(), e.unset), ("a ", vec![(2, "NO".to_owned())]));
        let strict = Variables::strict(variables().values);
        assert_eq!(expand("5$", &strict).expect_err("strict").message, "`$` without a name");
        let f = expand("${B_3}", &strict).expect_err("strict");
        assert_eq!(f.hint.as_deref(), Some("did you mean `B_2`?"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[${}A:?+\\-_x ä\n]{0,60}") {
            let _ = expand(&text, &variables());
        }

        #[test]
        fn text_without_dollars_is_kept(text in "[^$]*") {
            prop_assert_eq!(expand(&text, &variables()).map(|e| e.text), Ok(text));
        }

        #[test]
        fn escaping_gives_the_text_back(text in "\\PC*") {
            let escaped = text.replace('$', "$$");
            prop_assert_eq!(expand(&escaped, &variables()).map(|e| e.text), Ok(text));
        }
    }
}
