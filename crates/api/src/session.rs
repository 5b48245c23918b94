//! Sessions of people who sign in.

use crate::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Somebody who signs in, in one of these ways.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewSession {
    /// With a token for the API.
    Token(String),
    /// With a cloud's Keystone, as a user of it.
    Password(ByPassword),
    /// With a cloud's Keystone, by an application credential.
    ApplicationCredential(ByCredential),
}

/// A user of a cloud's Keystone.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByPassword {
    /// One of `GET /api/v1/sign-in`; the only one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
    /// The user's name.
    pub user: String,
    /// Name of the user's domain; `Default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The password. It is sent to Keystone, and kept nowhere.
    pub password: String,
    /// Name of the project.
    pub project: String,
    /// Name of the project's domain; the user's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_domain: Option<String>,
}

/// An application credential of a cloud's Keystone, which brings its project.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByCredential {
    /// One of `GET /api/v1/sign-in`; the only one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
    /// Its id; its name where `user` is given.
    pub credential: String,
    /// Its secret. It is sent to Keystone, and kept nowhere.
    pub secret: String,
    /// Name of the user whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Name of that user's domain; `Default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// Shows no token, no password and no secret.
impl std::fmt::Debug for NewSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSession").finish_non_exhaustive()
    }
}

/// Shows no password.
impl std::fmt::Debug for ByPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByPassword")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Shows no secret.
impl std::fmt::Debug for ByCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByCredential")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// With what people can sign in, besides tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SignInView {
    /// Clouds whose Keystone is asked; empty if there is none.
    pub clouds: Vec<String>,
}

/// What somebody got who signed in for requests with `Authorization: Bearer`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionToken {
    /// The token. It is shown this once.
    pub token: String,
    /// When it ends (RFC 3339).
    pub expires: String,
}

/// Shows no token.
impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionToken")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Who calls.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Name of the token, `socket`, or the user's as `user@domain`.
    pub name: String,
    /// What the caller may do.
    pub role: Role,
    /// Cloud that the user signed in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
    /// Project that the user signed in to: only its yards are shown, unless the role is `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When the session of a user ends (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}
