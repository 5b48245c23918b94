//! What can go wrong on a host.

use std::path::PathBuf;

/// Why an agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is not valid: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no configuration.
    #[error(
        "there is no {}: this machine belongs to no yard; `stackyard host join`, where the server runs, prints the \
         command that changes this",
        path.display()
    )]
    NoConfig {
        /// Where it should be.
        path: PathBuf,
    },
    /// Another agent runs.
    #[error("another agent is at work in {} (it holds {}); stop it first", dir.display(), lock.display())]
    Locked {
        /// The state directory.
        dir: PathBuf,
        /// File that it has locked.
        lock: PathBuf,
    },
    /// The host has neither joined nor a token to join with.
    #[error(
        "this host has not joined a server and {} holds no join token; `stackyard host join`, where the server runs, \
         makes one",
        path.display()
    )]
    NoToken {
        /// The configuration.
        path: PathBuf,
    },
    /// No server answered, or one answered what no server says.
    #[error("cannot {doing} at {server}: {problem}")]
    Server {
        /// What was tried.
        doing: &'static str,
        /// Address of the server.
        server: String,
        /// What went wrong.
        problem: String,
    },
    /// The server refused.
    #[error("{server} refused to {doing}: {said} (HTTP status {status}){hint}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// Address of the server.
        server: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        said: String,
        /// What to do; empty or led by `; `.
        hint: &'static str,
    },
}

impl Error {
    /// Wraps what the system said about `path`.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}
