//! Stacks in a plan: what the Stackyard server has of them, against the manifest.

use super::Action;
use crate::health::Health;
use crate::rollout::Status;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// What is done about a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StackStep {
    /// Its name.
    pub name: String,
    /// What is done: one of `keep`, `create`, `change`, `await`, `remove`.
    pub action: Action,
    /// Services that are made, changed or removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceStep>,
    /// Why, beside the services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Sentences about its networks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What is done about a service of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ServiceStep {
    /// Its name.
    pub name: String,
    /// What is done: one of `create`, `change`, `remove`.
    pub action: Action,
    /// The parts of it that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// A stack as the server has it.
#[derive(Debug, Clone, Copy)]
pub struct Deployed<'a> {
    /// How it stands.
    pub status: &'a Status,
    /// It is being removed.
    pub removing: bool,
    /// It came from the yard's manifest, and not by hand.
    pub declared: bool,
}

impl StackStep {
    /// For a stack of the manifest. `services` are those that differ from what is `there`.
    ///
    /// A stack that was given up (its update is paused or was rolled back) is deployed again, as a
    /// server that is broken is made anew.
    pub fn wanted(name: &str, services: Vec<ServiceStep>, there: Option<Deployed<'_>>) -> Self {
        let step = |action, reasons| Self {
            name: name.to_owned(),
            action,
            services: services.clone(),
            reasons,
            notes: Vec::new(),
        };
        let Some(there) = there else { return step(Action::Create, Vec::new()) };
        if there.removing {
            return step(Action::Create, vec!["the one that is being removed goes first".to_owned()]);
        }
        if !services.is_empty() {
            return step(Action::Change, Vec::new());
        }
        if !there.declared {
            return step(Action::Change, vec!["it was deployed by hand, and is the manifest's from now on".to_owned()]);
        }
        let first = |text: &String| text.lines().next().unwrap_or_default().to_owned();
        let why: Vec<String> = there.status.reasons.iter().map(first).collect();
        match there.status.health {
            Health::Ready => step(Action::Keep, Vec::new()),
            Health::Failed => {
                step(Action::Change, vec![format!("it was given up, and is tried again: {}", why.join("; "))])
            }
            _ => step(Action::Await, why),
        }
    }

    /// For a stack that the manifest does not have any more.
    pub fn unwanted(name: &str, there: Deployed<'_>) -> Self {
        let reasons = if there.removing { vec!["it is being removed already".to_owned()] } else { Vec::new() };
        Self { name: name.to_owned(), action: Action::Remove, services: Vec::new(), reasons, notes: Vec::new() }
    }

    /// The same with sentences about its networks.
    #[must_use]
    pub fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }
}

impl Display for StackStep {
    /// A line for the stack, one more for each service and note.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (sign, verb) = super::text::words(self.action).unwrap_or(('=', "keep"));
        write!(f, "{sign} {verb:<8} stack {}", self.name)?;
        if !self.reasons.is_empty() {
            write!(f, ": {}", self.reasons.join("; "))?;
        }
        writeln!(f)?;
        for service in &self.services {
            let sign = super::text::words(service.action).map_or('=', |(sign, _)| sign);
            write!(f, "             {sign} service {}", service.name)?;
            if !service.parts.is_empty() {
                write!(f, ": {}", service.parts.join(", "))?;
            }
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "             note: {note}")?;
        }
        Ok(())
    }
}
