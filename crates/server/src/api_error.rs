//! What a handler answers instead: problem details (RFC 9457), with the status and headers that belong to them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stackyard_api::{Diagnostic, Problem};
use stackyard_catalog::Problems;
use stackyard_catalog::compose::open::OpenError;
use stackyard_core::text::error_chain;
use stackyard_yard::{DataLossRefused, Error, WorkError};
use std::ops::Deref;

/// An answer that says why the server did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    problem: Problem,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
}

impl Deref for ApiError {
    type Target = Problem;

    fn deref(&self) -> &Problem {
        &self.problem
    }
}

impl ApiError {
    /// An answer with `status`.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let problem =
            Problem { status: status.as_u16(), title, detail: detail.into(), mistakes: Vec::new(), request_id: None };
        Self { problem, retry_after: None }
    }

    /// 400: what was sent cannot be used.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: no token, or none that is good.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: not with this token.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: not as things are.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 412: something was changed by somebody else since it was read.
    pub fn changed(what: &str) -> Self {
        Self::failed_precondition(format!("{what} was changed by another caller since it was read; read it again"))
    }

    /// 412: something is not as the caller says.
    pub fn failed_precondition(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 422: it can be read, and makes no sense.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 429: later.
    pub fn too_many(detail: impl Into<String>, wait: u64) -> Self {
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 500: the server's fault, which its log tells.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        tracing::error!("{why}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says more")
    }

    /// What went wrong, without the status.
    pub fn into_detail(self) -> String {
        self.problem.detail
    }

    /// The same with mistakes of files that were sent.
    pub fn with_mistakes(mut self, mistakes: Vec<Diagnostic>) -> Self {
        self.problem.mistakes = mistakes;
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after;
        let problem = Problem { request_id: crate::request::id(), ..self.problem };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = retry {
            headers.insert(header::RETRY_AFTER, wait.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<stackyard_store::Error> for ApiError {
    fn from(error: stackyard_store::Error) -> Self {
        match error {
            stackyard_store::Error::Exists { .. } => Self::conflict(error.to_string()),
            other => Self::internal(error_chain(&other)),
        }
    }
}

/// A mistake of a file as the API tells it.
fn mistake(problem: &stackyard_catalog::Problem) -> Diagnostic {
    let place = &problem.place;
    let known = |n: usize| (place.line > 0).then_some(n);
    Diagnostic {
        file: place.file.to_string(),
        line: known(place.line),
        column: known(place.column),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}

impl From<Problems> for ApiError {
    fn from(problems: Problems) -> Self {
        (&problems).into()
    }
}

impl From<&Problems> for ApiError {
    fn from(problems: &Problems) -> Self {
        Self::unprocessable(problems.to_string()).with_mistakes(problems.iter().map(mistake).collect())
    }
}

impl From<stackyard_openstack::Error> for ApiError {
    fn from(error: stackyard_openstack::Error) -> Self {
        (&error).into()
    }
}

impl From<&stackyard_openstack::Error> for ApiError {
    fn from(error: &stackyard_openstack::Error) -> Self {
        let hint = error.hint().map(|h| format!("; {h}")).unwrap_or_default();
        let text = error_chain(error) + &hint;
        match error {
            stackyard_openstack::Error::Config { .. } => Self::unprocessable(text),
            _ => Self::new(StatusCode::BAD_GATEWAY, text),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Cloud { doing, source } => {
                let mut answer = Self::from(&**source);
                answer.problem.detail = format!("{doing}: {}", answer.problem.detail);
                answer
            }
            Error::Locked { .. } | Error::OtherScope { .. } => Self::conflict(error.to_string()),
            Error::DataLoss(_) => Self::unprocessable(format!("{error}\nhint: {}", DataLossRefused::HINT)),
            Error::Refused(_) => Self::unprocessable(error.to_string()),
            _ => Self::internal(error_chain(&error)),
        }
    }
}

impl From<DataLossRefused> for ApiError {
    fn from(refused: DataLossRefused) -> Self {
        Error::from(refused).into()
    }
}

impl From<WorkError> for ApiError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Yard(error) => error.into(),
            WorkError::Stack { ref source, .. } => {
                let mistakes = match source.downcast_ref() {
                    Some(OpenError::Mistakes(problems)) => Some(problems),
                    _ => source.downcast_ref::<Problems>(),
                };
                let mistakes = mistakes.map(|p| p.iter().map(mistake).collect()).unwrap_or_default();
                Self::unprocessable(error_chain(&error)).with_mistakes(mistakes)
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
    use stackyard_catalog::{Memory, manifest};
    use std::sync::Arc;

    #[test]
    fn mistakes_have_their_places() {
        let text = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  netwoks: []\n";
        let found = manifest::read_with("yard.yaml", text.to_owned(), Arc::new(Memory::default())).unwrap_err();
        let problem = ApiError::from(found);
        assert_eq!(problem.status, 422);
        let [mistake] = problem.mistakes.as_slice() else { panic!("{problem:?}") };
        assert_eq!((mistake.file.as_str(), mistake.line, mistake.column), ("yard.yaml", Some(5), Some(3)));
        assert!(mistake.message.contains("netwoks"), "{mistake:?}");
        assert!(mistake.hint.as_deref().unwrap_or(&mistake.message).contains("networks"), "{mistake:?}");
    }
}
