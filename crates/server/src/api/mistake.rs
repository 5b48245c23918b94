//! Mistakes of a manifest and its files, and what else keeps a yard from being worked on, as problems.

use super::Problem;
use crate::error::{Error, WorkError};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stackyard_catalog::Problems;
use stackyard_catalog::compose::open::OpenError;
use stackyard_core::text::error_chain;
use utoipa::ToSchema;

/// A mistake in a file that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mistake {
    /// The file: `yard.yaml` is the manifest itself.
    pub file: String,
    /// Line, from 1; absent when only the file is known.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong, with the offending text.
    pub message: String,
    /// What to do, as the nearest key that there is.
    pub hint: Option<String>,
}

impl From<&stackyard_catalog::Problem> for Mistake {
    fn from(problem: &stackyard_catalog::Problem) -> Self {
        let place = &problem.place;
        let known = |n: usize| (place.line > 0).then_some(n);
        Self {
            file: place.file.to_string(),
            line: known(place.line),
            column: known(place.column),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}

impl From<Problems> for Problem {
    fn from(problems: Problems) -> Self {
        (&problems).into()
    }
}

impl From<&Problems> for Problem {
    fn from(problems: &Problems) -> Self {
        let mistakes = problems.iter().map(Mistake::from).collect();
        Self { mistakes, ..Self::unprocessable(problems.to_string()) }
    }
}

impl From<stackyard_openstack::Error> for Problem {
    fn from(error: stackyard_openstack::Error) -> Self {
        (&error).into()
    }
}

impl From<&stackyard_openstack::Error> for Problem {
    fn from(error: &stackyard_openstack::Error) -> Self {
        let hint = error.hint().map(|h| format!("; {h}")).unwrap_or_default();
        let text = error_chain(error) + &hint;
        match error {
            stackyard_openstack::Error::Config { .. } => Self::unprocessable(text),
            _ => Self::new(StatusCode::BAD_GATEWAY, text),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::Cloud { doing, source } => {
                let told = Self::from(&**source);
                Self { detail: format!("{doing}: {}", told.detail), ..told }
            }
            Error::Locked { .. } | Error::OtherScope { .. } => Self::conflict(error.to_string()),
            Error::Refused(_) | Error::DataLoss(_) => Self::unprocessable(error.to_string()),
            _ => Self::internal(error_chain(&error)),
        }
    }
}

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Yard(error) => error.into(),
            WorkError::Stack { ref source, .. } => {
                let mistakes = match source.downcast_ref() {
                    Some(OpenError::Mistakes(problems)) => Some(problems),
                    _ => source.downcast_ref::<Problems>(),
                };
                let mistakes = mistakes.map(|p| Self::from(p).mistakes).unwrap_or_default();
                Self { mistakes, ..Self::unprocessable(error_chain(&error)) }
            }
            WorkError::Client(ref e) if e.status().is_some_and(|s| s == 400 || s == 422) => {
                Self::unprocessable(error_chain(&error))
            }
            other => Self::internal(error_chain(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_have_their_places() {
        let text = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  netwoks: []\n";
        let found = crate::runs::Wish::up(text.to_owned(), Default::default()).unwrap_err();
        let problem = Problem::from(found);
        assert_eq!(problem.status, 422);
        let [mistake] = problem.mistakes.as_slice() else { panic!("{problem:?}") };
        assert_eq!((mistake.file.as_str(), mistake.line, mistake.column), ("yard.yaml", Some(5), Some(3)));
        assert!(mistake.message.contains("netwoks"), "{mistake:?}");
        assert!(mistake.hint.as_deref().unwrap_or(&mistake.message).contains("networks"), "{mistake:?}");
    }
}
