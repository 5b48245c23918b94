//! A plan as people read it.

use super::{Action, Plan, Resource, Step, Summary};
use std::fmt::{self, Display, Formatter};

impl Display for Resource {
    /// The step's key in events: `container keystone`, `volume cloud_mariadb` ...
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Network(n) => ("network", n),
            Self::Volume(n) => ("volume", n),
            Self::Orphan(n) => ("orphan", n),
            Self::Container(n) => ("container", n),
            Self::Job(n) => ("job", n),
        };
        write!(f, "{kind} {name}")
    }
}

impl Display for Plan {
    /// One line a change, and the summary; what stays is only counted.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let changes: Vec<&Step> = self.steps.iter().filter(|s| s.action != Action::Keep).collect();
        let width = changes.iter().map(|s| s.resource.to_string().chars().count()).max().unwrap_or(0);
        for step in changes {
            let (sign, verb) = words(step);
            write!(f, "{sign} {:width$}  {verb}", step.resource.to_string())?;
            if !step.reasons.is_empty() {
                write!(f, ": {}", step.reasons.join("; "))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "{}", self.summary())
    }
}

/// Sign and verb of a step.
fn words(step: &Step) -> (char, &'static str) {
    match (&step.resource, step.action) {
        (_, Action::Keep) => (' ', "keep"),
        (_, Action::Remove) => ('-', "remove"),
        (Resource::Job(_), Action::Create) => ('>', "run"),
        (Resource::Job(_), Action::Recreate | Action::Start | Action::Restart) => ('>', "run again"),
        (_, Action::Await) => ('>', "wait for its end"),
        (_, Action::Create) => ('+', "create"),
        (_, Action::Recreate) => ('~', "recreate"),
        (_, Action::Start) => ('^', "start"),
        (_, Action::Restart) => ('^', "restart"),
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.create, "to create"),
            (self.recreate, "to recreate"),
            (self.start, "to start"),
            (self.jobs, if self.jobs == 1 { "job to run" } else { "jobs to run" }),
            (self.remove, "to remove"),
        ];
        let mut said: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if said.is_empty() {
            said.push("nothing to do".into());
        }
        if self.keep > 0 {
            said.push(format!("{} unchanged", self.keep));
        }
        f.write_str(&said.join(", "))
    }
}
