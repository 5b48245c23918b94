//! A plan as people read it.

use super::super::Kind;
use super::{Action, Change, Plan, Step, Summary};
use std::fmt::{self, Display, Formatter};

impl Display for Plan {
    /// One line a resource, one more for each field that differs when there are several, the
    /// summary, and what is refused; what stays is only counted, but for stacks.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let Some((sign, verb)) = words(step.action) else { continue };
            write!(f, "{sign} {verb:<8} {}", step.key)?;
            write_why(step, f)?;
            writeln!(f)?;
        }
        self.stacks.iter().try_for_each(|stack| stack.fmt(f))?;
        writeln!(f, "{}", self.summary())?;
        for refusal in &self.refusals {
            writeln!(f, "cannot be done: {refusal}")?;
        }
        Ok(())
    }
}

/// Sign and verb of an action; none for what is not shown.
pub(super) fn words(action: Action) -> Option<(char, &'static str)> {
    Some(match action {
        Action::Keep | Action::Discard => return None,
        Action::Create => ('+', "create"),
        Action::Change => ('~', "change"),
        Action::Await => ('>', "wait for"),
        Action::Recreate => ('!', "replace"),
        Action::Remove => ('-', "remove"),
    })
}

fn write_why(step: &Step, f: &mut Formatter<'_>) -> fmt::Result {
    let reasons: Vec<&str> = step.reasons.iter().map(String::as_str).chain(step.lost()).collect();
    if !reasons.is_empty() {
        write!(f, ": {}", reasons.join("; "))?;
    }
    match step.changes.as_slice() {
        [] => Ok(()),
        [only] if reasons.is_empty() => write!(f, ": {only}"),
        many => many.iter().try_for_each(|change| write!(f, "\n             {change}")),
    }
}

impl Step {
    /// Which data is lost, in words.
    fn lost(&self) -> Option<&'static str> {
        self.loses_data.then_some(match self.key.kind {
            Kind::ObjectContainer => "its objects are lost",
            _ => "its data is lost",
        })
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.field, self.from, self.to)?;
        if self.replace { f.write_str(" (takes a replacement)") } else { Ok(()) }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.create, "to create"),
            (self.change, "to change"),
            (self.replace, "to replace"),
            (self.remove, "to remove"),
            (self.wait, "to wait for"),
        ];
        let mut said: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if said.is_empty() {
            said.push("nothing to do".into());
        }
        if self.keep > 0 {
            said.push(format!("{} unchanged", self.keep));
        }
        f.write_str(&said.join(", "))?;
        match self.lose_data {
            0 => Ok(()),
            1 => f.write_str("; the data of 1 resource is lost"),
            n => write!(f, "; the data of {n} resources is lost"),
        }
    }
}
