//! Logs of a stack, and programs in its containers.

use serde::{Deserialize, Serialize};
use stackyard_core::agent::Bytes;
use utoipa::ToSchema;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StackLine {
    /// The replica that wrote it, `web-2`; absent where something is said of a host.
    pub replica: Option<String>,
    /// Name of its host.
    pub host: String,
    /// `stdout` or `stderr`; `error` for what went wrong with the log itself.
    pub stream: String,
    /// The line, without its end. Bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// From the one who runs a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecInput {
    /// Input, in Base64.
    #[schema(value_type = String)]
    Input(Bytes),
    /// No more input.
    Eof,
    /// Lines and columns of the terminal.
    Resize(u16, u16),
}

/// To the one who runs a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecOutput {
    /// Standard output, in Base64.
    #[schema(value_type = String)]
    Stdout(Bytes),
    /// Standard error, in Base64.
    #[schema(value_type = String)]
    Stderr(Bytes),
    /// The end: exit status, or what went wrong.
    End {
        /// Exit status.
        status: Option<i64>,
        /// What went wrong.
        error: Option<String>,
    },
}
