//! What callers may do: the layers and arguments by which handlers are guarded.
//!
//! [`identify`] finds out who calls before any handler runs, and [`guard`] how far the caller reaches. A handler's
//! first argument names the role that it needs ([`Viewer`], [`Operator`], [`Admin`], [`Agent`]); a handler that names
//! none is open to everyone.

mod reach;
mod session;

pub(crate) use reach::{CallerScope, YardOwnership, guard};
pub(crate) use session::ended;

use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::{Caller, Connection, NOTE_EVERY, TokenKind, digest, role};
use crate::request::Peer;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stackyard_api::{Role, now};
use stackyard_core::text::error_chain;
use stackyard_store::Token;
use std::net::IpAddr;
use std::sync::Arc;

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
    match TokenKind::of(token) {
        Some(TokenKind::Join) => Ok(Caller::Joiner { hash: digest(token) }),
        Some(TokenKind::Agent) => match app.store().host_of_token(&digest(token)).await? {
            Some(host) => Ok(Caller::Agent { host: host.id, name: format!("{}/{}", host.yard, host.name) }),
            None => {
                let why = "this agent's token is not, or no longer, good: was its host removed or replaced?";
                Err(refuse(app, Some(address), "agent token", why).await)
            }
        },
        Some(TokenKind::Person) => {
            let hash = digest(token);
            match app.store().person(&hash, now()).await? {
                Some(person) => Caller::person(person, hash),
                None => {
                    let why = "this token has ended; `stackyard token sign-in` gets another";
                    Err(refuse(app, Some(address), "token of a Keystone user", why).await)
                }
            }
        }
        _ => {
            let found = api_token(app, Some(address), token).await?;
            Ok(Caller::Token { role: role(&found.role)?, id: found.id, name: found.name, session: None })
        }
    }
}

/// The token for the API with this text, if it is good. Bad ones of an address are counted. A token has 256 random bits:
/// it is looked up first, so that a good one works whatever others at its address (NAT, a proxy, a container) have tried.
///
/// # Errors
/// 401, 429.
pub(crate) async fn api_token(app: &App, address: Option<IpAddr>, token: &str) -> Result<Token, ApiError> {
    let mut name = "token".to_owned();
    let refused = match TokenKind::of(token) {
        Some(TokenKind::Api) => match app.store().token(&digest(token)).await? {
            Some(found) if found.expires.is_some_and(|end| end <= now()) => {
                name = format!("token {}", found.name);
                "this token has ended"
            }
            Some(found) => {
                note_use(app, &found).await;
                return Ok(found);
            }
            None => "this token is not, or no longer, good: was it revoked?",
        },
        Some(_) => "this is no token for the API: make one with `stackyard token create`",
        None => "this is no token of a stackyard server",
    };
    Err(refuse(app, address, &name, refused).await)
}

/// Refuses a caller without a good token: it counts against the address, and is in the audit log as a sign-in of `name` that
/// failed. `name` never has the text of a token.
async fn refuse(app: &App, address: Option<IpAddr>, name: &str, why: &str) -> ApiError {
    let limited = address.and_then(|address| app.limiter().fail(address).err());
    let problem = limited.unwrap_or_else(|| ApiError::unauthorized(why));
    app.audit().sign_in_failed(name, "/api/v1/session", problem.status, why).await;
    problem
}

/// Writes down now and then that a token is used. Reads work on when the store cannot write, as on a full disk.
async fn note_use(app: &App, token: &Token) {
    if token.last_used.is_some_and(|at| at >= now() - NOTE_EVERY) {
        return;
    }
    if let Err(error) = app.store().used_token(&token.id, now()).await {
        tracing::warn!("{}", error_chain(&error));
    }
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
        match token.map(str::trim).filter(|t| TokenKind::of(t) == Some(TokenKind::Join)) {
            Some(token) => Ok(Self { hash: digest(token), address }),
            None => Err(ApiError::unauthorized("this needs a join token: make one with `stackyard host join`")),
        }
    }
}
