//! Measurements for Prometheus, and probes for supervisors: `/metrics`, `/livez`, `/readyz`.
//!
//! They are where such programs look for them, next to `/api/v1`, and are no part of the API's document. On the address of
//! `--metrics-listen`, which has no TLS and asks for no token, there is nothing else.

use crate::access::Viewer;
use crate::api_error::ApiError;
use crate::app::App;
use crate::metrics::{CONTENT_TYPE, Momentary};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::time::Instant;

/// Whether the process answers.
async fn live() -> &'static str {
    "ok\n"
}

/// Whether the server can do its work: it does not stop, and its store writes.
async fn ready(State(app): State<App>) -> Result<&'static str, ApiError> {
    let not_ready = |why: &str| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why);
    if *app.inner().stopping.borrow() {
        return Err(not_ready("the server stops"));
    }
    app.inner().readiness.check(app.store()).await.map(|()| "ok\n").map_err(not_ready)
}

async fn metrics(_: Viewer, State(app): State<App>) -> Result<Response, ApiError> {
    text(&app)
}

async fn metrics_for_all(State(app): State<App>) -> Result<Response, ApiError> {
    text(&app)
}

fn text(app: &App) -> Result<Response, ApiError> {
    let inner = app.inner();
    let connections = inner.connections.counts();
    let clouds = stackyard_openstack::traffic();
    let now = Momentary {
        agents: app.hub().connected(),
        streams: inner.endless.taken(),
        bodies: inner.bodies.taken(),
        runs: app.runs().active(),
        connections: (connections.unknown, connections.known),
        ended: connections.ended.to_vec(),
        cloud_requests: clouds.sent,
        cloud_retries: clouds.retried,
        failed_sign_ins: inner.audit.failed_sign_ins(),
        replaced_connections: inner.audit.replaced_connections(),
        audit_lost: inner.audit.lost(),
        certificate_ends: inner.certificate_ends,
        started: inner.started,
    };
    let text = inner.metrics.text(&now).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// What every listener has, with measurements for callers with a token.
pub(super) fn routes() -> Router<App> {
    probes().route("/metrics", get(metrics))
}

fn probes() -> Router<App> {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready))
}

/// All that is on the address of `--metrics-listen`.
pub(crate) fn open_router(app: &App) -> Router {
    probes().route("/metrics", get(metrics_for_all)).with_state(app.clone())
}

/// Counts a request, and measures the time to the head of its answer.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None if request.uri().path().starts_with("/api/") => "unknown".to_owned(),
        None => "console".to_owned(),
    };
    let response = next.run(request).await;
    app.inner().metrics.request(&route, method.as_str(), response.status().as_u16(), begun.elapsed());
    response
}
