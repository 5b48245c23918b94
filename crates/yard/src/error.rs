//! What can go wrong with a yard.

use crate::data_loss::DataLossRefused;
use crate::unseen::FailedListing;
use stackyard_client::{ClientError, WaitError};
use stackyard_core::yard::Key;
use std::fmt;
use std::path::PathBuf;

/// Why a yard could not be brought to where it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cloud refused or did not answer.
    #[error("{doing}")]
    Cloud {
        /// What was tried.
        doing: String,
        /// What the cloud said.
        source: Box<stackyard_openstack::Error>,
    },
    /// The server that hosts join refused or did not answer.
    #[error("{doing}: {said}")]
    Service {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        said: String,
    },
    /// Steps of the plan failed.
    #[error(transparent)]
    Steps(#[from] Failures),
    /// What cannot be done and was asked for; nothing was done.
    #[error("this cannot be carried out:\n- {}", .0.join("\n- "))]
    Refused(
        /// Why.
        Vec<String>,
    ),
    /// Data would be lost, and the caller did not allow that; nothing was done by this plan.
    #[error(transparent)]
    DataLoss(#[from] DataLossRefused),
    /// Something is still there after all was removed.
    #[error("still there: {}", list(.0))]
    Left(
        /// What is left.
        Vec<Key>,
    ),
    /// What the cloud has of some kinds could not be looked at; what does not belong to it was removed.
    #[error("{} of yard {yard} may still be there: {}{}", whats(.unseen), reasons(.unseen), and_so(.steps))]
    FailedListing {
        /// The yard.
        yard: String,
        /// What could not be looked at.
        unseen: Vec<FailedListing>,
        /// What failed, maybe because of that.
        steps: Option<Failures>,
    },
    /// A file of the state directory.
    #[error("{doing} {}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The Stackyard server has a yard of this name in another project or region.
    #[error(
        "the Stackyard server has a yard {yard} of another project or region; give this yard another name, \
        remove that one (`stackyard down`), or use another server (--server)"
    )]
    OtherScope {
        /// The yard.
        yard: String,
    },
    /// Another process works on the yard.
    #[error("another stackyard process works on this yard; wait for it, or stop it ({})", .path.display())]
    Locked {
        /// The lock's file.
        path: PathBuf,
    },
}

impl Error {
    pub(crate) fn cloud(
        doing: impl Into<String>,
    ) -> impl FnOnce(stackyard_openstack::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Cloud {
            doing,
            source: Box::new(source),
        }
    }
}

/// Why a yard with its stacks could not be brought up or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// There is no server, and one is needed.
    #[error("{needs}, and no server answers; {start}")]
    NoServer {
        /// What needs it.
        needs: String,
        /// What to do.
        start: &'static str,
        /// What happened to the one that was asked.
        source: Option<ClientError>,
    },
    /// The files of a stack are of no use.
    #[error("stack {stack}")]
    Stack {
        /// The stack.
        stack: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The cloud.
    #[error(transparent)]
    Yard(#[from] Error),
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Stacks do not come up, or do not go.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cloud { source, .. } => source.hint(),
            Self::DataLoss(_) => Some(DataLossRefused::HINT.to_owned()),
            Self::FailedListing { .. } => Some(
                "run `stackyard down` again once the service answers: it removes what is left"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn whats(unseen: &[FailedListing]) -> String {
    unseen
        .iter()
        .map(|u| u.what.to_string())
        .collect::<Vec<_>>()
        .join(" and ")
}

fn reasons(unseen: &[FailedListing]) -> String {
    unseen
        .iter()
        .map(|u| u.error.to_string())
        .collect::<Vec<_>>()
        .join("; ")
}

fn and_so(steps: &Option<Failures>) -> String {
    steps
        .as_ref()
        .map(|failures| format!("\n{failures}"))
        .unwrap_or_default()
}

fn list(keys: &[Key]) -> String {
    keys.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl From<DataLossRefused> for WorkError {
    fn from(refused: DataLossRefused) -> Self {
        Self::Yard(refused.into())
    }
}

/// A step that failed.
#[derive(Debug)]
pub struct Failure {
    /// About what.
    pub key: Key,
    /// What happened, with all that helps to mend it.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

/// All steps that failed, and those that were not begun because of them.
#[derive(Debug, Default)]
pub struct Failures {
    /// Failed.
    pub failed: Vec<Failure>,
    /// Not begun.
    pub skipped: Vec<Key>,
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.failed.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("\n"))?;
        if !self.skipped.is_empty() {
            write!(
                f,
                "\nnot done, since it needs what failed: {}",
                list(&self.skipped)
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Failures {}
