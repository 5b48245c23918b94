//! Sessions of the console: a token, or what Keystone says of somebody, traded for a cookie that no script can
//! read.

use super::Body;
use crate::access::Viewer;
use crate::api_error::ApiError;
use crate::app::App;
use crate::app::ChangeCounters;
use crate::audit;
use crate::auth::{self, Caller, KeystoneLogin};
use crate::request::Peer;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use stackyard_api::{
    AuditKind, ByCredential, ByPassword, NewSession, Problem, Role, SessionToken, SessionView, SignInView, now, time,
};
use stackyard_openstack::{Auth, CredentialRef, Domain, Ref, Scope};
use stackyard_store::{Person, Token};
use std::net::IpAddr;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A session lasts so many milliseconds, if its token does.
const LASTS: i64 = 7 * 24 * 3600 * 1000;

/// Longest name or secret that somebody signs in with, in bytes; Keystone's own are 255 and 4096.
const LONGEST: usize = 4096;

fn user(name: String, domain: Option<String>) -> Ref {
    Ref::Name { name, domain: Domain::Name(domain.unwrap_or_else(|| "Default".to_owned())) }
}

fn password_login(by: ByPassword, address: Option<IpAddr>) -> KeystoneLogin {
    let shown = format!("user {:?}", by.user);
    let project = user(by.project, by.project_domain.or_else(|| by.domain.clone()));
    let auth = Auth::Password { user: user(by.user, by.domain), password: by.password.into() };
    KeystoneLogin { cloud: by.cloud, auth, scope: Scope::Project(project), shown, address }
}

fn credential_login(by: ByCredential, address: Option<IpAddr>) -> KeystoneLogin {
    let shown = format!("application credential {:?}", by.credential);
    let id = match by.user {
        Some(name) => CredentialRef::Name(by.credential, user(name, by.domain)),
        None => CredentialRef::Id(by.credential),
    };
    let auth = Auth::ApplicationCredential { id, secret: by.secret.into() };
    KeystoneLogin { cloud: by.cloud, auth, scope: Scope::Default, shown, address }
}

fn token_view(name: String, role: Role) -> SessionView {
    SessionView { name, role, cloud: None, project: None, expires: None }
}

fn person_view(person: Person, role: Role) -> SessionView {
    let (cloud, project) = (Some(person.cloud), Some(person.project_name));
    SessionView { name: person.name, role, cloud, project, expires: Some(time(person.expires)) }
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
) -> Result<Response, ApiError> {
    auth::same_origin(&headers)?;
    let address = peer.and_then(|Extension(peer)| peer.address());
    let known = let_in(&app, address, new).await?;
    let (secret, expires) = begin(&app, &known, auth::TokenKind::Session).await?;
    let view = match known {
        SignedIn::Token(token) => token_view(token.name, auth::role(&token.role)?),
        SignedIn::Person(person, role) => person_view(person, role),
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
) -> Result<(StatusCode, Json<SessionToken>), ApiError> {
    if let NewSession::Token(_) = new {
        return Err(ApiError::unprocessable("a token is sent as it is; this is for accounts on a cloud"));
    }
    let known = let_in(&app, peer.and_then(|Extension(peer)| peer.address()), new).await?;
    let (token, expires) = begin(&app, &known, auth::TokenKind::Person).await?;
    Ok((StatusCode::CREATED, Json(SessionToken { token, expires: time(expires) })))
}

/// Lets somebody in, or says why not.
async fn let_in(app: &App, address: Option<IpAddr>, new: NewSession) -> Result<SignedIn, ApiError> {
    match new {
        NewSession::Token(token) => Ok(SignedIn::Token(crate::access::api_token(app, address, token.trim()).await?)),
        NewSession::Password(by) => {
            check(&[&by.user, &by.password, &by.project], [&by.domain, &by.project_domain])?;
            known(app, password_login(by, address)).await
        }
        NewSession::ApplicationCredential(by) => {
            check(&[&by.credential, &by.secret], [&by.user, &by.domain])?;
            known(app, credential_login(by, address)).await
        }
    }
}

/// Begins a session; its text, and when it ends.
async fn begin(app: &App, known: &SignedIn, kind: auth::TokenKind) -> Result<(String, i64), ApiError> {
    let (secret, hash) = auth::mint(kind).map_err(ApiError::internal)?;
    let actor = match known {
        SignedIn::Token(token) => format!("token {}", token.name),
        SignedIn::Person(person, _) => auth::shown(person),
    };
    let (path, result) = match kind {
        auth::TokenKind::Person => ("/api/v1/session/token", StatusCode::CREATED),
        _ => ("/api/v1/session", StatusCode::OK),
    };
    let entry = audit::new_entry(&actor, AuditKind::SignIn, &format!("POST {path}"), path);
    let entry = app.audit().begin(entry).await?;
    let expires = match known {
        SignedIn::Token(token) => {
            let expires = (now() + LASTS).min(token.expires.unwrap_or(i64::MAX));
            app.store().add_session(&hash, &token.id, expires, now()).await?;
            expires
        }
        SignedIn::Person(person, _) => {
            app.store().add_person(&hash, person, now()).await?;
            person.expires
        }
    };
    entry.end(result.as_u16(), false).await;
    tracing::info!(until = time(expires), "{actor} signed in");
    Ok((secret, expires))
}

/// Somebody who may sign in.
enum SignedIn {
    Token(Token),
    Person(Person, Role),
}

async fn known(app: &App, login: KeystoneLogin) -> Result<SignedIn, ApiError> {
    let shown = login.shown.clone();
    match app.keystones().sign_in(login, app.limiter(), now()).await {
        Ok((person, role)) => Ok(SignedIn::Person(person, role)),
        Err(problem) => {
            if matches!(problem.status, 401 | 403 | 429) {
                app.audit().sign_in_failed(&shown, "/api/v1/session", problem.status, &problem.detail).await;
            }
            Err(problem)
        }
    }
}

/// Refuses what no Keystone would take.
fn check(texts: &[&String], may: [&Option<String>; 2]) -> Result<(), ApiError> {
    let good = |text: &String| !text.is_empty() && text.len() <= LONGEST && !text.contains('\0');
    let all = texts.iter().copied().chain(may.into_iter().flatten());
    if all.into_iter().all(good) {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!("what is given must be 1 to {LONGEST} bytes of text without NUL")))
}

/// Who calls, and what they may do
#[utoipa::path(get, path = "/api/v1/session", tag = "session", security(("token" = [])),
    responses((status = 200, body = SessionView), (status = "4XX", body = Problem)))]
async fn session_show(Viewer(caller): Viewer) -> Result<Json<SessionView>, ApiError> {
    match caller {
        Caller::Token { name, role, .. } => Ok(Json(token_view(name, role))),
        Caller::Person { person, role, .. } => Ok(Json(person_view(person, role))),
        _ => Ok(Json(token_view("socket".to_owned(), Role::Admin))),
    }
}

/// Signs out: ends the session that calls
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", security(("token" = [])),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn session_delete(Viewer(caller): Viewer, State(app): State<App>) -> Result<Response, ApiError> {
    match caller {
        Caller::Token { session: Some(hash), .. } => app.store().remove_session(&hash).await?,
        Caller::Person { session, .. } => app.store().remove_person(&session).await?,
        _ => return Err(ApiError::conflict("this ends a session, and the caller has none")),
    };
    ChangeCounters::note(&app.inner().changes.tokens);
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &auth::cookie("", 0))?;
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) -> Result<(), ApiError> {
    let value = HeaderValue::from_str(cookie).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in_show))
        .routes(routes!(session_create, session_show, session_delete))
        .routes(routes!(session_token))
}
