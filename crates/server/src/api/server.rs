//! The server itself.

use super::{App, Problem, time};
use crate::auth::Viewer;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// That the server works.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `ok`; a server that does not work answers with a problem.
    pub status: String,
}

/// What the server speaks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Version of Stackyard.
    pub version: String,
    /// Version of the protocol between server and agents.
    pub protocol: u32,
}

/// The server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServerView {
    /// Version of Stackyard.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started (RFC 3339).
    pub started: String,
    /// Where it listens, `address:port`.
    pub listen: Vec<String>,
    /// Names and addresses that its certificate is good for.
    pub names: Vec<String>,
    /// URL that hosts use unless told otherwise.
    pub url: String,
    /// Where it keeps what it knows, without a password.
    pub database: String,
    /// SHA-256 of the certificate of its CA (`GET /ca.pem`).
    pub ca_sha256: String,
    /// Clouds with whose Keystone people sign in.
    pub sign_in: Vec<String>,
    /// Agents that are connected.
    pub connected: usize,
}

/// Whether the server works: it answers, and its store does
#[utoipa::path(get, path = "/api/v1/health", tag = "server",
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
async fn health(State(app): State<App>) -> Result<Json<Health>, Problem> {
    app.store().ping().await.map_err(|e| {
        tracing::error!("{e}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server's store does not answer; its log says more")
    })?;
    Ok(Json(Health { status: "ok".to_owned() }))
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
