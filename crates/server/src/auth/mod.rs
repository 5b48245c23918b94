//! Who calls, and what they may do.
//!
//! Over the Unix socket everybody is admin: who may open it is a matter of the file's mode. Over
//! HTTPS a token says who calls: one for the API (with a role), or an agent's (for its own host
//! and nothing else); or a session of somebody who signed in, with a token or with Keystone. Handlers name the role that they need as an argument ([`Viewer`],
//! [`Operator`], [`Admin`], [`Agent`]); a handler that names none is open to everybody.
//! How far somebody reaches who signed in with Keystone, [`Reach`] knows.

mod connections;
mod keystone;
mod limit;
mod places;
mod reach;
mod session;
mod token;

pub(crate) use connections::{Connection, Connections};
pub use keystone::SignIn;
pub(crate) use keystone::{Keystones, Login};
pub(crate) use limit::{Limiter, network};
pub(crate) use places::{Place, Places};
pub(crate) use reach::{Reach, Whose, guard};
pub(crate) use session::{COOKIE, cookie, ended, same_origin};
pub(crate) use token::{Kind, digest, mint};

use crate::api::App;
use crate::api_error::ApiError;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stackyard_api::{Role, now};
use stackyard_store::{Person, Token};
use std::net::IpAddr;
use std::sync::Arc;

/// A use of a token is written down again after so many milliseconds.
const NOTE_EVERY: i64 = 5 * 60_000;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The Unix socket.
    Socket,
    /// HTTPS, from this address.
    Remote(IpAddr),
}

impl Peer {
    /// The address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Socket => None,
            Self::Remote(address) => Some(address),
        }
    }
}

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
    pub(crate) fn who(&self) -> Option<String> {
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

/// Finds out who calls, before anything else happens.
pub(crate) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let header = request.headers().get(AUTHORIZATION);
    let caller = match (peer, header) {
        (Some(Peer::Socket), _) => Ok(Caller::Socket),
        // The console itself is everybody's.
        (Some(Peer::Remote(address)), None) if request.uri().path().starts_with("/api/") => {
            session::caller(&app, address, request.method(), request.headers()).await
        }
        (_, None) => Ok(Caller::Nobody),
        (Some(Peer::Remote(address)), Some(header)) => {
            let token = header.to_str().ok().and_then(|h| h.strip_prefix("Bearer ")).map(str::trim);
            bearer(&app, address, token.unwrap_or_default()).await
        }
        (None, Some(_)) => Err(ApiError::internal("a connection without a peer")),
    };
    match caller {
        Ok(caller) => {
            if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
                connection.is_of(&caller);
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn bearer(app: &App, address: IpAddr, token: &str) -> Result<Caller, ApiError> {
    match Kind::of(token) {
        Some(Kind::Join) => {
            app.limiter().check(address)?;
            Ok(Caller::Joiner { hash: digest(token) })
        }
        Some(Kind::Agent) => {
            app.limiter().check(address)?;
            match app.store().host_of_token(&digest(token)).await? {
                Some(host) => Ok(Caller::Agent { host: host.id, name: format!("{}/{}", host.yard, host.name) }),
                None => {
                    app.limiter().failed(address);
                    let why = "this agent's token is not, or no longer, good: was its host removed or replaced?";
                    Err(ApiError::unauthorized(why))
                }
            }
        }
        Some(Kind::Person) => {
            app.limiter().check(address)?;
            let hash = digest(token);
            match app.store().person(&hash, now()).await? {
                Some(person) => Caller::person(person, hash),
                None => {
                    app.limiter().failed(address);
                    Err(ApiError::unauthorized("this token has ended; `stackyard token sign-in` gets another"))
                }
            }
        }
        _ => {
            let found = api_token(app, Some(address), token).await?;
            Ok(Caller::Token { role: role(&found.role)?, id: found.id, name: found.name, session: None })
        }
    }
}

/// The token for the API with this text, if it is good. Bad ones of an address are counted.
///
/// # Errors
/// 401, 429.
pub(crate) async fn api_token(app: &App, address: Option<IpAddr>, token: &str) -> Result<Token, ApiError> {
    address.map_or(Ok(()), |a| app.limiter().check(a))?;
    let refused = match Kind::of(token) {
        Some(Kind::Api) => match app.store().token(&digest(token)).await? {
            Some(found) if found.expires.is_some_and(|end| end <= now()) => "this token has ended",
            Some(found) => {
                if found.last_used.is_none_or(|at| at < now() - NOTE_EVERY) {
                    app.store().used_token(&found.id, now()).await?;
                }
                return Ok(found);
            }
            None => "this token is not, or no longer, good: was it revoked?",
        },
        Some(_) => "this is no token for the API: make one with `stackyard token create`",
        None => "this is no token of a stackyard server",
    };
    if let Some(address) = address {
        app.limiter().failed(address);
    }
    Err(ApiError::unauthorized(refused))
}

/// The role that a token's row names.
///
/// # Errors
/// 500.
pub(crate) fn role(name: &str) -> Result<Role, ApiError> {
    Role::from_name(name).ok_or_else(|| ApiError::internal(format!("a token has the unknown role {name}")))
}

/// What `identify` found out.
fn caller(parts: &Parts) -> Caller {
    parts.extensions.get::<Caller>().cloned().unwrap_or(Caller::Nobody)
}

fn need(parts: &Parts, role: Role) -> Result<Caller, ApiError> {
    let caller = caller(parts);
    match (&caller, caller.role()) {
        (_, Some(has)) if has >= role => Ok(caller),
        (_, Some(has)) => Err(ApiError::forbidden(format!(
            "this needs the role {}, and the caller has the role {}",
            role.name(),
            has.name()
        ))),
        (Caller::Nobody, None) => Err(ApiError::unauthorized("this needs a token: send `Authorization: Bearer TOKEN`")),
        (_, None) => Err(ApiError::forbidden("a host's token is good for that host alone")),
    }
}

macro_rules! role {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug)]
        #[allow(dead_code, reason = "most handlers only need to know that the caller may")]
        pub(crate) struct $name(pub Caller);

        impl FromRequestParts<App> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
                need(parts, Role::$name).map(Self)
            }
        }
    };
}

role!(Viewer, "A caller who may read.");
role!(Operator, "A caller who may change yards, hosts and stacks.");
role!(Admin, "A caller who may do everything.");

/// The agent of a host, by the host's id.
#[derive(Debug)]
pub(crate) struct Agent(pub String);

impl FromRequestParts<App> for Agent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        match caller(parts) {
            Caller::Agent { host, .. } => Ok(Self(host)),
            Caller::Nobody => Err(ApiError::unauthorized("this needs an agent's token")),
            _ => Err(ApiError::forbidden("this is for agents of hosts")),
        }
    }
}

/// The bearer of a join token, by the token's SHA-256, and where it calls from.
#[derive(Debug)]
pub(crate) struct Joiner {
    pub hash: String,
    pub address: Option<IpAddr>,
}

impl FromRequestParts<App> for Joiner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let address = match parts.extensions.get::<Peer>() {
            Some(Peer::Remote(address)) => Some(*address),
            _ => None,
        };
        if let Caller::Joiner { hash } = caller(parts) {
            return Ok(Self { hash, address });
        }
        // Over the socket everybody is admin, so the token is looked at here.
        let token = parts.headers.get(AUTHORIZATION).and_then(|h| h.to_str().ok()?.strip_prefix("Bearer "));
        match token.map(str::trim).filter(|t| Kind::of(t) == Some(Kind::Join)) {
            Some(token) => Ok(Self { hash: digest(token), address }),
            None => Err(ApiError::unauthorized("this needs a join token: make one with `stackyard host join`")),
        }
    }
}
