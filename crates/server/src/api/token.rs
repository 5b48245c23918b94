//! Tokens for the API.

use super::{App, Body, Changes, Path, Problem, now, time};
use crate::auth::{Admin, Kind, Role, mint};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stackyard_store::Token;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A token that is to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose it is, for people; no two have the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Seconds that it lasts; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

/// A token, without the token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub role: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends.
    pub expires: Option<String>,
    /// When it was last used, to some minutes.
    pub last_used: Option<String>,
}

/// A token that was just made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MintedToken {
    /// Its id.
    pub id: String,
    /// The token. It is shown this once.
    pub token: String,
}

/// Shows no token.
impl std::fmt::Debug for MintedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MintedToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes a token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "token", request_body = NewToken, security(("token" = [])),
    responses((status = 201, body = MintedToken), (status = "4XX", body = Problem)))]
async fn token_create(
    _: Admin,
    State(app): State<App>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<MintedToken>), Problem> {
    if new.name.is_empty() || new.name.len() > 100 || new.name.chars().any(char::is_control) {
        return Err(Problem::bad("`name` must be 1 to 100 characters without control characters"));
    }
    let (token, hash) = mint(Kind::Api).map_err(Problem::internal)?;
    let id = uuid::Uuid::now_v7().to_string();
    let row = Token {
        id: id.clone(),
        name: new.name,
        role: new.role.name().to_owned(),
        created: now(),
        expires: new.ttl_s.map(|ttl| now() + i64::from(ttl) * 1000),
        last_used: None,
    };
    app.store().add_token(&row, &hash).await?;
    Changes::note(&app.inner().changes.tokens);
    Ok((StatusCode::CREATED, Json(MintedToken { id, token })))
}

/// All tokens, without the tokens
#[utoipa::path(get, path = "/api/v1/tokens", tag = "token", security(("token" = [])),
    responses((status = 200, body = Vec<TokenView>), (status = "4XX", body = Problem)))]
async fn token_list(_: Admin, State(app): State<App>) -> Result<Json<Vec<TokenView>>, Problem> {
    let tokens = app.store().tokens().await?.into_iter().map(|t| TokenView {
        id: t.id,
        name: t.name,
        role: t.role,
        created: time(t.created),
        expires: t.expires.map(time),
        last_used: t.last_used.map(time),
    });
    Ok(Json(tokens.collect()))
}

/// Revokes a token, by its id or name
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "token", security(("token" = [])),
    params(("id" = String, Path, description = "id or name")),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn token_revoke(_: Admin, State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    if app.store().remove_token(&id).await? {
        Changes::note(&app.inner().changes.tokens);
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("there is no token {id}")))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(token_create, token_list)).routes(routes!(token_revoke))
}
