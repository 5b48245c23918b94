//! Sessions of the console: a token, or what Keystone says of somebody, traded for a cookie that no script can
//! read.

use super::{App, Body, Changes, Problem, now, time};
use crate::auth::{self, Caller, Login, Peer, Viewer};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use stackyard_openstack::{Auth, CredentialRef, Domain, Ref, Scope};
use stackyard_store::{Person, Token};
use std::net::IpAddr;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A session lasts so many milliseconds, if its token does.
const LASTS: i64 = 7 * 24 * 3600 * 1000;

/// Longest name or secret that somebody signs in with, in bytes; Keystone's own are 255 and 4096.
const LONGEST: usize = 4096;

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
        f.debug_struct("ByPassword").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Shows no secret.
impl std::fmt::Debug for ByCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByCredential").field("credential", &self.credential).finish_non_exhaustive()
    }
}

fn user(name: String, domain: Option<String>) -> Ref {
    Ref::Name { name, domain: Domain::Name(domain.unwrap_or_else(|| "Default".to_owned())) }
}

impl ByPassword {
    fn login(self, address: Option<IpAddr>) -> Login {
        let shown = format!("user {:?}", self.user);
        let project = user(self.project, self.project_domain.or_else(|| self.domain.clone()));
        let auth = Auth::Password { user: user(self.user, self.domain), password: self.password.into() };
        Login { cloud: self.cloud, auth, scope: Scope::Project(project), shown, address }
    }
}

impl ByCredential {
    fn login(self, address: Option<IpAddr>) -> Login {
        let shown = format!("application credential {:?}", self.credential);
        let id = match self.user {
            Some(name) => CredentialRef::Name(self.credential, user(name, self.domain)),
            None => CredentialRef::Id(self.credential),
        };
        let auth = Auth::ApplicationCredential { id, secret: self.secret.into() };
        Login { cloud: self.cloud, auth, scope: Scope::Default, shown, address }
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
        f.debug_struct("SessionToken").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Who calls.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Name of the token, `socket`, or the user's as `user@domain`.
    pub name: String,
    /// What the caller may do.
    pub role: auth::Role,
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

impl SessionView {
    fn token(name: String, role: auth::Role) -> Self {
        Self { name, role, cloud: None, project: None, expires: None }
    }

    fn person(person: Person, role: auth::Role) -> Self {
        let (cloud, project) = (Some(person.cloud), Some(person.project_name));
        Self { name: person.name, role, cloud, project, expires: Some(time(person.expires)) }
    }
}

/// With what people can sign in, besides tokens
#[utoipa::path(get, path = "/api/v1/sign-in", tag = "session", responses((status = 200, body = SignInView)))]
async fn sign_in_show(State(app): State<App>) -> Json<SignInView> {
    Json(SignInView { clouds: app.keystones().clouds().to_vec() })
}

/// Signs in: trades a token, or what Keystone says of somebody, for a session in a cookie
///
/// The session ends with the token, after seven days, or with `DELETE`; that of somebody whom Keystone let in
/// ends with Keystone's own token, and after a day. Where Keystone lets in nobody who has a role here, it is 403.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = NewSession,
    responses((status = 200, body = SessionView,
        headers(("Set-Cookie" = String, description = "the session; no script can read it"))),
        (status = "4XX", body = Problem), (status = 502, description = "Keystone does not answer", body = Problem),
        (status = 503, description = "the server does not know the cloud", body = Problem)))]
async fn session_create(
    peer: Option<Extension<Peer>>,
    State(app): State<App>,
    headers: HeaderMap,
    Body(new): Body<NewSession>,
) -> Result<Response, Problem> {
    auth::same_origin(&headers)?;
    let address = peer.and_then(|Extension(peer)| peer.address());
    let known = let_in(&app, address, new).await?;
    let (secret, expires) = begin(&app, &known, auth::Kind::Session).await?;
    let view = match known {
        Known::Token(token) => SessionView::token(token.name, auth::role(&token.role)?),
        Known::Person(person, role) => SessionView::person(person, role),
    };
    let mut response = Json(view).into_response();
    set_cookie(&mut response, &auth::cookie(&secret, (expires - now()) / 1000))?;
    Ok(response)
}

/// Signs in with Keystone, for requests with `Authorization: Bearer`
///
/// The token is good for as long as a session of the console would be; `DELETE /api/v1/session` ends it before.
#[utoipa::path(post, path = "/api/v1/session/token", tag = "session", request_body = NewSession,
    responses((status = 201, body = SessionToken), (status = "4XX", body = Problem),
        (status = 502, description = "Keystone does not answer", body = Problem),
        (status = 503, description = "the server does not know the cloud", body = Problem)))]
async fn session_token(
    peer: Option<Extension<Peer>>,
    State(app): State<App>,
    Body(new): Body<NewSession>,
) -> Result<(StatusCode, Json<SessionToken>), Problem> {
    if let NewSession::Token(_) = new {
        return Err(Problem::unprocessable("a token is sent as it is; this is for accounts on a cloud"));
    }
    let known = let_in(&app, peer.and_then(|Extension(peer)| peer.address()), new).await?;
    let (token, expires) = begin(&app, &known, auth::Kind::Person).await?;
    Ok((StatusCode::CREATED, Json(SessionToken { token, expires: time(expires) })))
}

/// Lets somebody in, or says why not.
async fn let_in(app: &App, address: Option<IpAddr>, new: NewSession) -> Result<Known, Problem> {
    match new {
        NewSession::Token(token) => Ok(Known::Token(auth::api_token(app, address, token.trim()).await?)),
        NewSession::Password(by) => {
            check(&[&by.user, &by.password, &by.project], [&by.domain, &by.project_domain])?;
            known(app, by.login(address)).await
        }
        NewSession::ApplicationCredential(by) => {
            check(&[&by.credential, &by.secret], [&by.user, &by.domain])?;
            known(app, by.login(address)).await
        }
    }
}

/// Begins a session; its text, and when it ends.
async fn begin(app: &App, known: &Known, kind: auth::Kind) -> Result<(String, i64), Problem> {
    let (secret, hash) = auth::mint(kind).map_err(Problem::internal)?;
    let who = match known {
        Known::Token(token) => format!("token {}", token.name),
        Known::Person(person, _) => auth::shown(person),
    };
    let (path, result) = match kind {
        auth::Kind::Person => ("/api/v1/session/token", StatusCode::CREATED),
        _ => ("/api/v1/session", StatusCode::OK),
    };
    let entry = app.store().audit_begin(now(), &who, &format!("POST {path}"), path).await?;
    let expires = match known {
        Known::Token(token) => {
            let expires = (now() + LASTS).min(token.expires.unwrap_or(i64::MAX));
            app.store().add_session(&hash, &token.id, expires, now()).await?;
            expires
        }
        Known::Person(person, _) => {
            app.store().add_person(&hash, person, now()).await?;
            person.expires
        }
    };
    app.store().audit_end(&entry, result.as_str()).await?;
    Changes::note(&app.inner().changes.audit);
    tracing::info!(until = time(expires), "{who} signed in");
    Ok((secret, expires))
}

/// Somebody who may sign in.
enum Known {
    Token(Token),
    Person(Person, auth::Role),
}

async fn known(app: &App, login: Login) -> Result<Known, Problem> {
    let (person, role) = app.keystones().sign_in(login, app.limiter(), now()).await?;
    Ok(Known::Person(person, role))
}

/// Refuses what no Keystone would take.
fn check(texts: &[&String], may: [&Option<String>; 2]) -> Result<(), Problem> {
    let good = |text: &String| !text.is_empty() && text.len() <= LONGEST && !text.contains('\0');
    let all = texts.iter().copied().chain(may.into_iter().flatten());
    if all.into_iter().all(good) {
        return Ok(());
    }
    Err(Problem::unprocessable(format!("what is given must be 1 to {LONGEST} bytes of text without NUL")))
}

/// Who calls, and what they may do
#[utoipa::path(get, path = "/api/v1/session", tag = "session", security(("token" = [])),
    responses((status = 200, body = SessionView), (status = "4XX", body = Problem)))]
async fn session_show(Viewer(caller): Viewer) -> Result<Json<SessionView>, Problem> {
    match caller {
        Caller::Token { name, role, .. } => Ok(Json(SessionView::token(name, role))),
        Caller::Person { person, role, .. } => Ok(Json(SessionView::person(person, role))),
        _ => Ok(Json(SessionView::token("socket".to_owned(), auth::Role::Admin))),
    }
}

/// Signs out: ends the session that calls
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", security(("token" = [])),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn session_delete(Viewer(caller): Viewer, State(app): State<App>) -> Result<Response, Problem> {
    match caller {
        Caller::Token { session: Some(hash), .. } => app.store().remove_session(&hash).await?,
        Caller::Person { session, .. } => app.store().remove_person(&session).await?,
        _ => return Err(Problem::conflict("this ends a session, and the caller has none")),
    };
    Changes::note(&app.inner().changes.tokens);
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &auth::cookie("", 0))?;
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) -> Result<(), Problem> {
    let value = HeaderValue::from_str(cookie).map_err(Problem::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in_show))
        .routes(routes!(session_create, session_show, session_delete))
        .routes(routes!(session_token))
}
