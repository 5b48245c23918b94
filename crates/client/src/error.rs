//! What can go wrong with a client.

/// Why the server did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client itself cannot be made: a CA that is none.
    #[error("setting the client up")]
    Build {
        /// Why.
        source: reqwest::Error,
    },
    /// No answer.
    #[error(
        "{doing}: the server at {server} does not answer; does it run (`stackyard server status`)?"
    )]
    Unreachable {
        /// What was tried.
        doing: String,
        /// Where the server is.
        server: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It said no.
    #[error("{doing}: the server at {server} says {status}: {detail}")]
    Refused {
        /// What was tried.
        doing: String,
        /// Where the server is.
        server: String,
        /// Status of the answer.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// It said something else than it should.
    #[error(
        "{doing}: the answer of the server at {server} cannot be read; is it of another version?"
    )]
    Strange {
        /// What was tried.
        doing: String,
        /// Where the server is.
        server: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It is of an earlier version.
    #[error("the server at {server} is of an earlier version and cannot {needed}; {hint}")]
    TooOld {
        /// Where the server is.
        server: String,
        /// What it was asked for.
        needed: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// It told something as it went, and not all of it.
    #[error(
        "{doing}: the server at {server} broke off; does it still run, and is it of this version?"
    )]
    BrokenOff {
        /// What was tried.
        doing: String,
        /// Where the server is.
        server: String,
    },
}

impl ClientError {
    /// Status of the server's answer, if it answered with a problem.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
