//! Tokens for the API.

use super::etag::{ETag, Precondition};
use super::page::{ListPage, PageQuery, Pager};
use super::{Body, Path, Query};
use crate::access::Admin;
use crate::api_error::ApiError;
use crate::app::App;
use crate::app::ChangeCounters;
use crate::auth::{TokenKind, mint};
use crate::request::note;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use stackyard_api::{MintedToken, NewToken, Problem, Role, TokenView, now, time};
use stackyard_store::Token;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Which tokens.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TokenFilter {
    /// Only those with this role.
    role: Option<Role>,
}

fn view(token: Token) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        role: token.role,
        created: time(token.created),
        expires: token.expires.map(time),
        last_used: token.last_used.map(time),
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no token {id}"))
}

/// The token with an id or a name.
async fn find(app: &App, id: &str) -> Result<Token, ApiError> {
    let all = app.store().tokens().await?;
    all.into_iter().find(|t| t.id == id || t.name == id).ok_or_else(|| missing(id))
}

/// A token never changes; its name may become another's.
fn tag(token: &Token) -> ETag {
    ETag::of(&token.id)
}

/// Makes a token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "token", request_body = NewToken, security(("token" = [])),
    responses((status = 201, body = MintedToken), (status = "4XX", body = Problem)))]
async fn token_create(
    _: Admin,
    State(app): State<App>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<MintedToken>), ApiError> {
    if new.name.is_empty() || new.name.len() > 100 || new.name.chars().any(char::is_control) {
        return Err(ApiError::bad("`name` must be 1 to 100 characters without control characters"));
    }
    let (token, hash) = mint(TokenKind::Api).map_err(ApiError::internal)?;
    let id = uuid::Uuid::now_v7().to_string();
    let row = Token {
        id: id.clone(),
        name: new.name,
        role: new.role.name().to_owned(),
        created: now(),
        expires: new.ttl_s.map(|ttl| now() + i64::from(ttl) * 1000),
        last_used: None,
    };
    let until = row.expires.map(|at| format!(", until {}", time(at))).unwrap_or_default();
    note(format!("token {} with the role {}{until}", row.name, row.role));
    let _turn = app.inner().turns.tokens.lock().await;
    app.store().add_token(&row, &hash).await?;
    ChangeCounters::note(&app.inner().changes.tokens);
    Ok((StatusCode::CREATED, Json(MintedToken { id, token })))
}

/// All tokens, without the tokens
#[utoipa::path(get, path = "/api/v1/tokens", tag = "token", params(PageQuery, TokenFilter), security(("token" = [])),
    responses((status = 200, body = Vec<TokenView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn token_list(
    _: Admin,
    State(app): State<App>,
    Query(which): Query<TokenFilter>,
    page: Pager,
) -> Result<ListPage<TokenView>, ApiError> {
    let mut all = app.store().tokens().await?;
    all.retain(|t| which.role.is_none_or(|role| t.role == role.name()));
    Ok(page.cut(all, |t| t.name.clone()).map(view))
}

/// A token, by its id or name, without the token
#[utoipa::path(get, path = "/api/v1/tokens/{id}", tag = "token", security(("token" = [])),
    params(("id" = String, Path, description = "id or name")),
    responses((status = 200, body = TokenView, headers(("ETag" = String, description = "names this token"))),
        (status = "4XX", body = Problem)))]
async fn token_show(_: Admin, State(app): State<App>, Path(id): Path<String>) -> Result<impl IntoResponse, ApiError> {
    let token = find(&app, &id).await?;
    Ok((tag(&token).header(), Json(view(token))))
}

/// Revokes a token, by its id or name
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "token", security(("token" = [])),
    params(("id" = String, Path, description = "id or name"),
        ("If-Match" = Option<String>, Header, description = "only if it is still this token")),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn token_revoke(
    _: Admin,
    unchanged: Precondition,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let _turn = app.inner().turns.tokens.lock().await;
    let found = find(&app, &id).await?;
    note(format!("token {} with the role {}", found.name, found.role));
    unchanged.check(&format!("token {id}"), Some(&tag(&found)))?;
    if app.store().remove_token(&id).await? {
        ChangeCounters::note(&app.inner().changes.tokens);
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(missing(&id))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(token_create, token_list)).routes(routes!(token_show, token_revoke))
}
