//! Who calls.
//!
//! Over the Unix socket everyone is admin: the mode of the file says who may open it. Over HTTPS a token says who
//! calls: one for the API (with a role), or an agent's (for its own host and nothing else); or a session of a user
//! who signed in, with a token or with Keystone. `crate::access` decides what they may do.

mod attempt_limiter;
mod caller_slots;
mod connections;
mod keystone;
mod session;
mod token;

pub(crate) use attempt_limiter::AttemptLimiter;
pub(crate) use caller_slots::{CallerSlot, CallerSlots};
pub(crate) use connections::{Connection, Connections};
pub use keystone::SignIn;
pub(crate) use keystone::{KeystoneLogin, Keystones};
pub(crate) use session::{COOKIE, cookie, same_origin, secret as session_secret};
pub(crate) use token::{TokenKind, digest, mint};

use crate::api_error::ApiError;
use stackyard_api::Role;
use stackyard_store::Person;

/// A use of a token is written down again after so many milliseconds.
pub(crate) const NOTE_EVERY: i64 = 5 * 60_000;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who may open the server's socket.
    Socket,
    /// The bearer of a token for the API.
    Token {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Its role.
        role: Role,
        /// SHA-256 of the session, if it came by one.
        session: Option<String>,
    },
    /// Somebody who signed in with Keystone.
    Person {
        /// Who.
        person: Person,
        /// Its role.
        role: Role,
        /// SHA-256 of the session.
        session: String,
    },
    /// The agent of a host.
    Agent {
        /// Id of the host.
        host: String,
        /// Yard and name of the host, for people.
        name: String,
    },
    /// The bearer of a join token, by its text. Whether it is good is seen when it is used.
    Joiner {
        /// SHA-256 of the token.
        hash: String,
    },
    /// Somebody without a token.
    Nobody,
}

impl Caller {
    /// What the caller may do.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Socket => Some(Role::Admin),
            Self::Token { role, .. } | Self::Person { role, .. } => Some(*role),
            _ => None,
        }
    }

    /// What tells callers apart whose requests are counted; none for those who are not known, and for the socket.
    pub(crate) fn key(&self) -> Option<String> {
        match self {
            Self::Token { id, .. } => Some(format!("token {id}")),
            Self::Person { person, .. } => Some(shown(person)),
            Self::Agent { host, .. } => Some(format!("agent {host}")),
            Self::Socket | Self::Joiner { .. } | Self::Nobody => None,
        }
    }

    /// The caller, for the audit log. Nothing for those who are not known.
    pub(crate) fn actor(&self) -> Option<String> {
        match self {
            Self::Socket => Some("socket".to_owned()),
            Self::Token { name, .. } => Some(format!("token {name}")),
            Self::Person { person, .. } => Some(shown(person)),
            Self::Agent { name, .. } => Some(format!("agent {name}")),
            Self::Joiner { .. } | Self::Nobody => None,
        }
    }
}

/// Somebody who signed in with Keystone, for the audit log.
pub(crate) fn shown(person: &Person) -> String {
    format!("user {} of {}/{}", person.name, person.cloud, person.project_name)
}

/// The role that a token's row names.
///
/// # Errors
/// 500.
pub(crate) fn role(name: &str) -> Result<Role, ApiError> {
    Role::from_name(name).ok_or_else(|| ApiError::internal(format!("a token has the unknown role {name}")))
}
