//! Secrets of a yard: set by operators, read by nobody but who may open the socket.

use super::etag::{ETag, Precondition};
use super::page::{ListPage, PageQuery, Pager};
use super::yard::check_name;
use super::{Body, Path};
use crate::access::{Admin, Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use stackyard_api::{Problem, SecretValue, SecretView, now, time};
use stackyard_store::SecretName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Greatest secret, in bytes.
const GREATEST: usize = 512 << 10;

/// The tag of a secret, if there is one.
async fn tag(app: &App, yard: &str, name: &str) -> Result<Option<ETag>, ApiError> {
    let all = app.store().secrets(yard).await?;
    Ok(all.into_iter().find(|s| s.name == name).map(|s| ETag::revision(s.updated)))
}

/// Names of a yard's secrets
#[utoipa::path(get, path = "/api/v1/yards/{yard}/secrets", tag = "secret", params(PageQuery),
    security(("token" = [])), responses((status = 200, body = Vec<SecretView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn secret_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    page: Pager,
) -> Result<ListPage<SecretView>, ApiError> {
    let view = |s: SecretName| SecretView { name: s.name, updated: time(s.updated), revision: s.updated };
    Ok(page.cut(app.store().secrets(&yard).await?, |s| s.name.clone()).map(view))
}

/// Sets a secret
#[utoipa::path(put, path = "/api/v1/yards/{yard}/secrets/{name}", tag = "secret", request_body = SecretValue,
    params(("If-Match" = Option<String>, Header, description = "revision that is to be changed"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none")),
    security(("token" = [])), responses((status = 204, headers(("ETag" = String, description = "new revision"))),
        (status = "4XX", body = Problem)))]
async fn secret_put(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(secret): Body<SecretValue>,
) -> Result<impl IntoResponse, ApiError> {
    check_name("yard", &yard)?;
    check_name("secret", &name)?;
    if secret.value.len() > GREATEST || secret.value.contains('\0') {
        return Err(ApiError::bad(format!("a secret must be text of at most {GREATEST} bytes without NUL")));
    }
    let _turn = app.inner().turns.secrets.lock().await;
    let there = tag(&app, &yard, &name).await?;
    crate::request::note(if there.is_some() { "another value" } else { "a new secret" });
    unchanged.check(&format!("secret {name}"), there.as_ref())?;
    app.store().set_secret(&yard, &name, &secret.value, now()).await?;
    Ok((StatusCode::NO_CONTENT, tag(&app, &yard, &name).await?.map(ETag::header), ()))
}

/// The value of a secret; over the server's socket alone
#[utoipa::path(get, path = "/api/v1/yards/{yard}/secrets/{name}", tag = "secret", security(("token" = [])),
    responses((status = 200, body = SecretValue), (status = "4XX", body = Problem)))]
async fn secret_show(
    Admin(caller): Admin,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
) -> Result<Json<SecretValue>, ApiError> {
    if caller != Caller::Socket {
        return Err(ApiError::forbidden("secrets are read over the server's Unix socket alone"));
    }
    check_name("secret", &name)?;
    match app.store().secret(&yard, &name).await? {
        Some(value) => Ok(Json(SecretValue { value })),
        None => Err(ApiError::not_found(format!("yard {yard} has no secret {name}"))),
    }
}

/// Removes a secret
#[utoipa::path(delete, path = "/api/v1/yards/{yard}/secrets/{name}", tag = "secret",
    params(("If-Match" = Option<String>, Header, description = "revision that is to be removed")),
    security(("token" = [])), responses((status = 204), (status = "4XX", body = Problem)))]
async fn secret_delete(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    check_name("secret", &name)?;
    let _turn = app.inner().turns.secrets.lock().await;
    if let Some(is) = tag(&app, &yard, &name).await? {
        unchanged.check(&format!("secret {name}"), Some(&is))?;
    }
    if app.store().remove_secret(&yard, &name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::not_found(format!("yard {yard} has no secret {name}")))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(secret_list)).routes(routes!(secret_put, secret_show, secret_delete))
}
