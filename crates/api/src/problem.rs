//! Problem details (RFC 9457), and mistakes in files.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Problem details (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Status of the answer.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What went wrong, and what to do.
    pub detail: String,
    /// Mistakes in files that were sent, with their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<Diagnostic>,
    /// Id of the request, as in `X-Request-Id`, the server's log and the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A mistake in a file that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
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
