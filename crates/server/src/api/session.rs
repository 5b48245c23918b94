//! Sessions of the console: a token, traded for a cookie that no script can read.

use super::{App, Body, Changes, Problem, now, time};
use crate::auth::{self, Caller, Peer, Viewer};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A session lasts so many milliseconds, if its token does.
const LASTS: i64 = 7 * 24 * 3600 * 1000;

/// Somebody who signs in.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// A token for the API.
    pub token: String,
}

/// Shows no token.
impl std::fmt::Debug for NewSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSession").finish_non_exhaustive()
    }
}

/// Who calls.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Name of the token, or `socket`.
    pub name: String,
    /// What the caller may do.
    pub role: auth::Role,
}

/// Signs in: trades a token for a session in a cookie
///
/// The session ends with the token, after seven days, or with `DELETE`.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = NewSession,
    responses((status = 200, body = SessionView,
        headers(("Set-Cookie" = String, description = "the session; no script can read it"))),
        (status = "4XX", body = Problem)))]
async fn session_create(
    peer: Option<Extension<Peer>>,
    State(app): State<App>,
    headers: HeaderMap,
    Body(new): Body<NewSession>,
) -> Result<Response, Problem> {
    auth::same_origin(&headers)?;
    let address = peer.and_then(|Extension(peer)| peer.address());
    let token = auth::api_token(&app, address, new.token.trim()).await?;
    let who = format!("token {}", token.name);
    let entry = app.store().audit_begin(now(), &who, "POST /api/v1/session", "/api/v1/session").await?;
    let (secret, hash) = auth::mint(auth::Kind::Session).map_err(Problem::internal)?;
    let expires = (now() + LASTS).min(token.expires.unwrap_or(i64::MAX));
    app.store().add_session(&hash, &token.id, expires, now()).await?;
    app.store().audit_end(&entry, StatusCode::OK.as_str()).await?;
    Changes::note(&app.inner().changes.audit);
    tracing::info!(token = token.name, until = time(expires), "signed in to the console");
    let view = SessionView { name: token.name, role: auth::role(&token.role)? };
    let mut response = Json(view).into_response();
    set_cookie(&mut response, &auth::cookie(&secret, (expires - now()) / 1000))?;
    Ok(response)
}

/// Who calls, and what they may do
#[utoipa::path(get, path = "/api/v1/session", tag = "session", security(("token" = [])),
    responses((status = 200, body = SessionView), (status = "4XX", body = Problem)))]
async fn session_show(Viewer(caller): Viewer) -> Result<Json<SessionView>, Problem> {
    match caller {
        Caller::Token { name, role, .. } => Ok(Json(SessionView { name, role })),
        _ => Ok(Json(SessionView { name: "socket".to_owned(), role: auth::Role::Admin })),
    }
}

/// Signs out: ends the session that calls
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", security(("token" = [])),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn session_delete(Viewer(caller): Viewer, State(app): State<App>) -> Result<Response, Problem> {
    let Caller::Token { session: Some(hash), .. } = caller else {
        return Err(Problem::conflict("this ends a session of the console, and the caller has none"));
    };
    app.store().remove_session(&hash).await?;
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
    OpenApiRouter::new().routes(routes!(session_create, session_show, session_delete))
}
