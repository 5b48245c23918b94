//! Updates of a stack's services.

use super::etag::Precondition;
use super::stack::{changed, changes, check, tag};
use super::{Body, Path};
use crate::access::Operator;
use crate::api_error::ApiError;
use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use stackyard_api::{Problem, ServiceDefinition, StackChange, StackDefinition, StackUpdate};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What of a stack an update can change: images and environments, as they were deployed last
///
/// Values of variables may be secret: this needs the role operator.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}/definition", tag = "stack",
    security(("token" = [])), responses((status = 200, body = StackDefinition,
        headers(("ETag" = String, description = "of what can be changed of it"))), (status = "4XX", body = Problem)))]
async fn stack_definition(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
) -> Result<impl IntoResponse, ApiError> {
    let now = app.stacks().get(&yard, &name).await?;
    let header = tag(&now).header();
    let services = now.stack.services.into_iter();
    let services = services.map(|(n, s)| (n, ServiceDefinition { image: s.image, environment: s.environment }));
    Ok((header, Json(StackDefinition { services: services.collect() })))
}

/// What an update of services would change; nothing is changed
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/update/plan", tag = "stack",
    request_body = StackUpdate, security(("token" = [])),
    responses((status = 200, body = Vec<StackChange>), (status = "4XX", body = Problem)))]
async fn stack_update_plan(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(update): Body<StackUpdate>,
) -> Result<Json<Vec<StackChange>>, ApiError> {
    Ok(changes(app.stacks().plan_update(&yard, &name, &update.services).await?))
}

/// Updates services: other images, other environments; all else stays as it was deployed last
///
/// Answers when the server knows it; how far it is, the stack itself says. A stack of a yard's manifest is as the
/// manifest says again when the yard is brought up next.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/update", tag = "stack",
    request_body = StackUpdate,
    params(("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    security(("token" = [])), responses((status = 200, body = Vec<StackChange>,
        headers(("ETag" = String, description = "the new one"))), (status = "4XX", body = Problem)))]
async fn stack_update(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(update): Body<StackUpdate>,
) -> Result<impl IntoResponse, ApiError> {
    let _turn = app.inner().turns.stacks.lock().await;
    let before = check(&app, &unchanged, &yard, &name).await?;
    let changes = changes(app.stacks().update(&yard, &name, &update.services).await?);
    let now = changed(&app, before, &yard, &name).await?;
    Ok((tag(&now).header(), changes))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(stack_definition))
        .routes(routes!(stack_update_plan))
        .routes(routes!(stack_update))
}
