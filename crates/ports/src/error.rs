//! Why a container gets no port, or not all of what it asked for.

use stackyard_core::text::error_chain;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request for a container's port failed. Its text is for the user who started the container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be carried out as it is; the text says what to change.
    #[error("{0}")]
    Refused(String),
    /// The cloud refused, or did not answer.
    #[error("{doing}: {}{}", error_chain(answer.as_ref()), hint(answer))]
    Cloud {
        /// What was tried, on which resource.
        doing: String,
        /// What the cloud answered. No `source`: the text above has all of it.
        answer: Box<stackyard_openstack::Error>,
    },
    /// A request failed, and what it had made so far could not be removed again.
    #[error("{cause}; then, {cleanup}")]
    LeftOver {
        /// Why the request failed.
        cause: Box<Error>,
        /// Why the removal failed.
        cleanup: Box<Error>,
    },
}

fn hint(answer: &stackyard_openstack::Error) -> String {
    answer
        .hint()
        .map(|hint| format!("; {hint}"))
        .unwrap_or_default()
}

impl Error {
    /// A request that cannot be carried out as it is.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    /// Wraps an answer of the cloud to an attempt at `doing`.
    pub fn cloud(doing: impl Into<String>) -> impl FnOnce(stackyard_openstack::Error) -> Self {
        let doing = doing.into();
        move |answer| Self::Cloud {
            doing,
            answer: Box::new(answer),
        }
    }

    /// This error, after an attempt to remove what had been made before it.
    #[must_use]
    pub fn after_cleanup(self, cleanup: Result<()>) -> Self {
        match cleanup {
            Ok(()) => self,
            Err(cleanup) => Self::LeftOver {
                cause: Box::new(self),
                cleanup: Box::new(cleanup),
            },
        }
    }

    /// Whether the cloud answered that the resource does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Cloud { answer, .. } if answer.is_not_found())
    }

    /// Whether the cloud answered that this user may not (403).
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Cloud { answer, .. } if answer.status() == Some(403))
    }

    /// Whether the cloud lets a port send from its own MAC address alone, as OVN's driver does.
    pub(crate) fn is_own_mac_only(&self) -> bool {
        matches!(self, Self::Cloud { answer, .. } if answer.is_own_mac_only())
    }
}
