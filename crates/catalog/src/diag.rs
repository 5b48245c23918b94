//! Places in files, problems found there, and the log that gathers them.
//!
//! Readers do not stop at the first mistake: they note a [`Problem`] and go on with a
//! harmless stand-in, so that a user sees all mistakes of a file at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub(crate) use stackyard_core::text::did_you_mean;

/// A place in a text file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// File as the user knows it.
    pub file: Arc<str>,
    /// Line, from 1; 0 when only the file is known.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// A place of which only the file is known.
    pub fn file(name: &str) -> Self {
        Self { file: name.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}:{}", self.file, self.line, self.column) }
    }
}

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What is wrong, with the offending text.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = self.hint.iter().map(|hint| format!("; {hint}")).collect::<String>();
        f.write_str(&harmless(format!("{}: {}{hint}", self.place, self.message)))
    }
}

/// A text of a stranger's file without what moves a terminal's cursor or changes its colours.
pub(crate) fn harmless(text: String) -> String {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(acts) { text.replace(acts, "\u{fffd}") } else { text }
}

/// All mistakes found in one go, in the order of their places. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// The same number of mistakes, each told in another way.
    pub(crate) fn map(self, tell: impl FnMut(Problem) -> Problem) -> Self {
        Self(self.0.into_iter().map(tell).collect())
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Something that a user should know and that stops nothing: a key that has no effect here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Where it is.
    pub place: Place,
    /// What has no effect, and why.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&harmless(format!("{}: {}", self.place, self.message)))
    }
}

/// Gathers problems and warnings of one reading.
#[derive(Debug, Default)]
pub(crate) struct Log {
    problems: RefCell<Vec<Problem>>,
    /// Places of values that could not be read: nothing that follows from it is a mistake of its own.
    silent: RefCell<BTreeSet<Place>>,
    warnings: RefCell<Vec<Warning>>,
}

impl Log {
    pub(crate) fn problem(&self, place: &Place, message: impl Into<String>) {
        self.push(Problem { place: place.clone(), message: message.into(), hint: None });
    }

    pub(crate) fn problem_hint(&self, place: &Place, message: impl Into<String>, hint: Option<String>) {
        self.push(Problem { place: place.clone(), message: message.into(), hint });
    }

    /// Notes a problem once: what stands behind an anchor is read once per alias.
    pub(crate) fn push(&self, problem: Problem) {
        if self.silent.borrow().contains(&problem.place) {
            return;
        }
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Notes no further problem at a place.
    pub(crate) fn silence(&self, place: &Place) {
        self.silent.borrow_mut().insert(place.clone());
    }

    pub(crate) fn warn(&self, place: &Place, message: impl Into<String>) {
        let warning = Warning { place: place.clone(), message: message.into() };
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    pub(crate) fn failed(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// The warnings, or the problems when there are any.
    pub(crate) fn finish(self) -> Result<Vec<Warning>, Problems> {
        let mut problems = self.problems.into_inner();
        if problems.is_empty() {
            let mut warnings = self.warnings.into_inner();
            warnings.sort();
            return Ok(warnings);
        }
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        Err(Problems(problems))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_does_not_act_on_a_terminal() {
        let place = Place { file: "a\u{1b}]0;x\u{7}".into(), line: 1, column: 2 };
        let (message, hint) = ("b\r\u{9b}2K\n  c".to_owned(), Some("d\u{8}".to_owned()));
        let warning = Warning { place: place.clone(), message: message.clone() };
        let shown = "a\u{fffd}]0;x\u{fffd}:1:2: b\u{fffd}\u{fffd}2K\n  c";
        assert_eq!(warning.to_string(), shown);
        assert_eq!(Problem { place, message, hint }.to_string(), format!("{shown}; d\u{fffd}"));
    }

    #[test]
    fn problems_come_in_order_and_once() {
        let log = Log::default();
        let place = |line| Place { file: "a".into(), line, column: 1 };
        log.problem(&place(3), "late");
        log.problem(&place(1), "early");
        log.problem(&place(3), "late");
        let problems = log.finish().expect_err("two problems");
        assert_eq!(problems.to_string(), "a:1:1: early\na:3:1: late");
    }
}
