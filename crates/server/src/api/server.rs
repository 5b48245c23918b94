//! The server itself.

use crate::access::Viewer;
use crate::api_error::ApiError;
use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use stackyard_api::{Problem, ServerHealth, ServerView, Version, time};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Whether the server works: it answers, and its store does
#[utoipa::path(get, path = "/api/v1/health", tag = "server",
    responses((status = 200, body = ServerHealth), (status = 503, body = Problem)))]
async fn health(State(app): State<App>) -> Result<Json<ServerHealth>, ApiError> {
    app.store().ping().await.map_err(|e| {
        tracing::error!("{e}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server's store does not answer; its log says more")
    })?;
    Ok(Json(ServerHealth { status: "ok".to_owned() }))
}

/// What the server speaks
#[utoipa::path(get, path = "/api/v1/version", tag = "server", responses((status = 200, body = Version)))]
async fn version() -> Json<Version> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Json(Version { version, protocol: stackyard_core::agent::PROTOCOL })
}

/// The server's address, process and certificate
#[utoipa::path(get, path = "/api/v1/server", tag = "server", security(("token" = [])),
    responses((status = 200, body = ServerView), (status = "4XX", body = Problem)))]
async fn server_show(_: Viewer, State(app): State<App>) -> Json<ServerView> {
    let inner = app.inner();
    Json(ServerView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: time(inner.started),
        listen: inner.listen.clone(),
        names: inner.names.iter().cloned().collect(),
        url: inner.url.clone(),
        database: app.store().database().to_owned(),
        ca_sha256: inner.ca_sha256.clone(),
        sign_in: app.keystones().clouds().to_vec(),
        connected: app.hub().connected(),
    })
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(version)).routes(routes!(server_show))
}
