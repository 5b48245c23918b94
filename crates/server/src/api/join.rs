//! Joining: a token for one machine, and its use.

use super::Body;
use super::yard::check_name;
use crate::access::{CallerScope, Joiner, Operator};
use crate::api_error::ApiError;
use crate::app::App;
use crate::join;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use stackyard_api::{JoinTicket, NewJoin, Problem, time};
use stackyard_core::agent;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Makes a token for one machine to join with
#[utoipa::path(post, path = "/api/v1/joins", tag = "join", request_body = NewJoin, security(("token" = [])),
    responses((status = 201, body = JoinTicket), (status = "4XX", body = Problem)))]
async fn join_create(
    _: Operator,
    reach: CallerScope,
    State(app): State<App>,
    Body(request): Body<NewJoin>,
) -> Result<(StatusCode, Json<JoinTicket>), ApiError> {
    check_name("yard", &request.yard)?;
    for (what, name) in [("pool", &request.pool), ("host", &request.name)] {
        if let Some(name) = name {
            check_name(what, name)?;
        }
    }
    join::check_labels(&request.labels)?;
    reach.need_yard(&request.yard).await?;
    let (token, expires, server) = join::create(&app, request).await?;
    let inner = app.inner();
    let ticket = JoinTicket {
        command: join::command(&server, &inner.ca_sha256, &token),
        token,
        expires: time(expires),
        server,
        ca_pem: inner.ca_pem.clone(),
        ca_sha256: inner.ca_sha256.clone(),
    };
    Ok((StatusCode::CREATED, Json(ticket)))
}

/// Joins: trades a join token (as bearer) for a host's identity
///
/// Asked again with the same token and nonce while the token lasts, it answers for the same host with
/// a new agent token in place of the one before.
#[utoipa::path(post, path = "/api/v1/join", tag = "join", request_body = agent::JoinRequest, security(("token" = [])),
    responses((status = 200, body = agent::Joined), (status = "4XX", body = Problem)))]
async fn join_use(
    joiner: Joiner,
    State(app): State<App>,
    Body(request): Body<agent::JoinRequest>,
) -> Result<Json<agent::Joined>, ApiError> {
    join::redeem(&app, &joiner, request).await.map(Json)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(join_create)).routes(routes!(join_use))
}
