//! What can go wrong with a stack.

use stackyard_core::stack::plan::{PlanError, Resource};
use stackyard_core::text::error_chain;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

/// Why something about a stack could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused.
    #[error("cannot {doing}")]
    Engine {
        /// What was tried, on what.
        doing: String,
        /// What the engine said.
        #[source]
        source: bollard::errors::Error,
    },
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
    /// The stack has no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Another process works on the stack.
    #[error("another process is at work on stack {stack} (it holds {}); wait for it or stop it", lock.display())]
    Locked {
        /// The stack.
        stack: String,
        /// File that it has locked.
        lock: PathBuf,
    },
    /// The service has no container.
    #[error("stack {stack} has no container of service {service}; `up` makes it{}", there_are(.known))]
    NoContainer {
        /// The stack.
        stack: String,
        /// The service.
        service: String,
        /// Services that have one.
        known: Vec<String>,
    },
    /// Files cannot be mounted into containers of another machine.
    #[error(
        "stack {stack} has configs or secrets, but the engine at {host} is on another machine \
             and cannot mount files of this one"
    )]
    NotLocal {
        /// The stack.
        stack: String,
        /// Address of the engine.
        host: String,
    },
    /// The path of a config's file leaves its directory.
    #[error("config {config} has a file with the path {path:?}; allowed are relative paths without `..`")]
    BadPath {
        /// The config or secret.
        config: String,
        /// The path.
        path: String,
    },
    /// An archive cannot be used.
    #[error("the archive of {files} cannot be used: {why}")]
    BadArchive {
        /// The path in the Compose file.
        files: String,
        /// What is wrong with it.
        why: String,
    },
    /// The engine is too old for a setting.
    #[error("service {service}: {setting} needs Docker Engine {engine} (API {needed}); this engine speaks API {has}")]
    TooOld {
        /// The service.
        service: String,
        /// The setting.
        setting: &'static str,
        /// Release of the engine that can do it.
        engine: &'static str,
        /// API version that it needs.
        needed: String,
        /// API version that is spoken.
        has: String,
    },
    /// A program of the service's `post_start` or `pre_stop` failed.
    #[error("cannot run {when} program `{command}`: {ended}; it last wrote: {}", or_nothing(.output))]
    Hook {
        /// The key of the service.
        when: &'static str,
        /// The program, without its arguments.
        command: String,
        /// How it ended.
        ended: String,
        /// The first of its output.
        output: String,
    },
    /// The container ended although it should run, or a job ended badly.
    #[error("ended with status {status}{}", if *.oom { " (out of memory)" } else { "" })]
    Ended {
        /// Exit status; 128 + signal number when a signal killed it.
        status: i64,
        /// The kernel killed it for want of memory.
        oom: bool,
    },
    /// The container keeps ending and being started again.
    #[error("ended {times} times and was started again each time, last with status {status}")]
    RestartLoop {
        /// Restarts seen.
        times: i64,
        /// Last exit status.
        status: i64,
    },
    /// The health test did not succeed in time.
    #[error("not healthy after {} s; its health test last said: {}", waited.as_secs(), or_nothing(.output))]
    Unhealthy {
        /// How long it had.
        waited: Duration,
        /// Last output of the test.
        output: String,
    },
    /// A job did not end in time.
    #[error("still running after {} s", waited.as_secs())]
    TooLong {
        /// How long it had.
        waited: Duration,
    },
    /// The container vanished while it was waited for.
    #[error("another program removed it while this one waited for it")]
    Vanished,
    /// A health test is needed where there is none.
    #[error("has no health test")]
    NoHealthTest,
    /// Some steps failed.
    #[error(transparent)]
    Steps(#[from] Failures),
}

impl Error {
    /// Wraps what the engine said about `doing` (`start container x`).
    pub(super) fn engine(doing: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let doing = doing.into();
        |source| Self::Engine { doing, source }
    }

    /// Wraps what the system said about `path`.
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

fn there_are(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!(" (there are: {})", known.join(", ")) }
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "(nothing)" } else { text }
}

/// Steps that failed, and those that were not begun because of them.
#[derive(Debug)]
pub struct Failures {
    /// The failed steps, in the order of failing.
    pub failed: Vec<Failure>,
    /// Steps that wait for a failed one.
    pub skipped: Vec<Resource>,
}

impl std::error::Error for Failures {}

impl Display for Failures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, failure) in self.failed.iter().enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{failure}")?;
        }
        if !self.skipped.is_empty() {
            let names: Vec<String> = self.skipped.iter().map(ToString::to_string).collect();
            write!(f, "\n\nnot begun because of this: {}", names.join(", "))?;
        }
        Ok(())
    }
}

/// One failed step.
#[derive(Debug)]
pub struct Failure {
    /// What it was about.
    pub resource: Resource,
    /// Why it failed.
    pub error: Box<Error>,
    /// Last lines of the container's log.
    pub log: Vec<String>,
    /// What to do or where to look.
    pub hint: Option<String>,
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.resource, error_chain(&*self.error))?;
        if !self.log.is_empty() {
            f.write_str("\n  the last lines of its log:")?;
            for line in &self.log {
                write!(f, "\n    {line}")?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}
