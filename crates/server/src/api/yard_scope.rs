//! Whose a yard's name is on this server: that of one project in one region.

use super::yard::check_name;
use super::{Body, Path};
use crate::access::{Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use stackyard_api::{Problem, YardScope};
use stackyard_core::yard::Scope;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Project and region of a yard
#[utoipa::path(get, path = "/api/v1/yards/{yard}/scope", tag = "yard", security(("token" = [])),
    responses((status = 200, body = YardScope), (status = "4XX", body = Problem)))]
async fn scope_show(_: Viewer, State(app): State<App>, Path(yard): Path<String>) -> Result<Json<YardScope>, ApiError> {
    check_name("yard", &yard)?;
    Ok(Json(YardScope { scope: app.store().scope_of(&yard).await? }))
}

/// Says which project and region a yard is in
///
/// The first who says it has the name on this server, until the yard is gone. 409 if the yard of this name is in
/// another project or region.
#[utoipa::path(put, path = "/api/v1/yards/{yard}/scope", tag = "yard", security(("token" = [])),
    request_body = YardScope, responses((status = 204), (status = "4XX", body = Problem)))]
async fn scope_take(
    _: Operator,
    State(app): State<App>,
    Path(yard): Path<String>,
    Body(wanted): Body<YardScope>,
) -> Result<StatusCode, ApiError> {
    check_name("yard", &yard)?;
    let Some(scope) = wanted.scope.as_deref().and_then(Scope::parse) else {
        return Err(ApiError::bad("`scope` must be 12 hexadecimal digits"));
    };
    if app.store().take_scope(&yard, scope.as_str()).await? == scope.as_str() {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::conflict(format!("the yard {yard} that this server knows is in another project or region")))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(scope_show, scope_take))
}
