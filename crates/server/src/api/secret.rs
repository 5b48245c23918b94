//! Secrets of a yard: set by operators, read by nobody but who may open the socket.

use super::yard::check_name;
use super::{App, Body, Path, Problem, now, time};
use crate::auth::{Admin, Caller, Operator, Viewer};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Greatest secret, in bytes.
const GREATEST: usize = 512 << 10;

/// A secret without its value.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// When it was last set (RFC 3339).
    pub updated: String,
}

/// The value of a secret.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretValue {
    /// The value.
    pub value: String,
}

/// Shows no value.
impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretValue").finish_non_exhaustive()
    }
}

/// Names of a yard's secrets
#[utoipa::path(get, path = "/api/v1/yards/{yard}/secrets", tag = "secret", security(("token" = [])),
    responses((status = 200, body = Vec<SecretView>), (status = "4XX", body = Problem)))]
async fn secret_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
) -> Result<Json<Vec<SecretView>>, Problem> {
    let secrets = app.store().secrets(&yard).await?;
    Ok(Json(secrets.into_iter().map(|s| SecretView { name: s.name, updated: time(s.updated) }).collect()))
}

/// Sets a secret
#[utoipa::path(put, path = "/api/v1/yards/{yard}/secrets/{name}", tag = "secret", request_body = SecretValue,
    security(("token" = [])), responses((status = 204), (status = "4XX", body = Problem)))]
async fn secret_put(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(secret): Body<SecretValue>,
) -> Result<StatusCode, Problem> {
    check_name("yard", &yard)?;
    check_name("secret", &name)?;
    if secret.value.len() > GREATEST || secret.value.contains('\0') {
        return Err(Problem::bad(format!("a secret must be text of at most {GREATEST} bytes without NUL")));
    }
    app.store().set_secret(&yard, &name, &secret.value, now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The value of a secret; over the server's socket alone
#[utoipa::path(get, path = "/api/v1/yards/{yard}/secrets/{name}", tag = "secret", security(("token" = [])),
    responses((status = 200, body = SecretValue), (status = "4XX", body = Problem)))]
async fn secret_show(
    Admin(caller): Admin,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
) -> Result<Json<SecretValue>, Problem> {
    if caller != Caller::Socket {
        return Err(Problem::forbidden("secrets are read over the server's Unix socket alone"));
    }
    check_name("secret", &name)?;
    match app.store().secret(&yard, &name).await? {
        Some(value) => Ok(Json(SecretValue { value })),
        None => Err(Problem::not_found(format!("yard {yard} has no secret {name}"))),
    }
}

/// Removes a secret
#[utoipa::path(delete, path = "/api/v1/yards/{yard}/secrets/{name}", tag = "secret", security(("token" = [])),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn secret_delete(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    if app.store().remove_secret(&yard, &name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("yard {yard} has no secret {name}")))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(secret_list)).routes(routes!(secret_put, secret_show, secret_delete))
}
