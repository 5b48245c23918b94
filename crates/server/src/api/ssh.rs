//! Joining over SSH.

use super::yard::check_name;
use super::{Body, Path};
use crate::access::{CallerScope, Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::join::check_labels;
use crate::ssh;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use stackyard_api::{PoolKey, Problem, SshEvent, SshJoin};
use stackyard_core::address::is_local;
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How often something is sent, so that nobody takes the connection for dead.
const PULSE: Duration = Duration::from_secs(10);

/// The public half of a pool's SSH key; the key is made if there is none
#[utoipa::path(post, path = "/api/v1/yards/{yard}/pools/{pool}/ssh-key", tag = "ssh", security(("token" = [])),
    responses((status = 200, body = PoolKey), (status = "4XX", body = Problem)))]
async fn ssh_key(
    _: Operator,
    State(app): State<App>,
    Path((yard, pool)): Path<(String, String)>,
) -> Result<Json<PoolKey>, ApiError> {
    check_name("yard", &yard)?;
    check_name("pool", &pool)?;
    Ok(Json(PoolKey { public_key: ssh::public_key(&app, &yard, &pool).await? }))
}

/// The public half of a pool's SSH key, if there is one
#[utoipa::path(get, path = "/api/v1/yards/{yard}/pools/{pool}/ssh-key", tag = "ssh", security(("token" = [])),
    responses((status = 200, body = PoolKey), (status = "4XX", body = Problem)))]
async fn ssh_key_show(
    _: Viewer,
    State(app): State<App>,
    Path((yard, pool)): Path<(String, String)>,
) -> Result<Json<PoolKey>, ApiError> {
    match ssh::known_public_key(&app, &yard, &pool).await? {
        Some(public_key) => Ok(Json(PoolKey { public_key })),
        None => Err(ApiError::not_found(format!("pool {pool} of yard {yard} has no SSH key yet"))),
    }
}

/// A machine has an address of its own: no name that leads anywhere, and none of the server's machine or its link.
fn check_address(text: &str) -> Result<(), ApiError> {
    match text.parse::<IpAddr>() {
        Ok(address) if !is_local(address) => Ok(()),
        Ok(_) => Err(ApiError::bad(format!("`address`: {text} leads to the server itself or to its link"))),
        Err(_) => Err(ApiError::bad(format!("`address`: {text:?} is no IP address"))),
    }
}

/// Installs agent and Docker Engine on a machine over SSH, and lets it join
///
/// The answer is one JSON value a line, while it goes on. It ends when the caller goes away.
#[utoipa::path(post, path = "/api/v1/ssh-joins", tag = "ssh", request_body = SshJoin, security(("token" = [])),
    responses((status = 200, body = SshEvent, content_type = "application/x-ndjson"), (status = "4XX", body = Problem)))]
async fn ssh_join(
    _: Operator,
    reach: CallerScope,
    State(app): State<App>,
    Body(request): Body<SshJoin>,
) -> Result<Response, ApiError> {
    check_name("yard", &request.join.yard)?;
    check_name("pool", request.join.pool.as_deref().unwrap_or_default())?;
    if let Some(name) = &request.join.name {
        check_name("host", name)?;
    }
    check_labels(&request.join.labels)?;
    check_address(&request.address)?;
    reach.need_yard(&request.join.yard).await?;
    let (lines, seen) = mpsc::channel(64);
    let work = Box::pin(async move { ssh::run(&app, request, &lines).await });
    let body = axum::body::Body::from_stream(stream::unfold(Some((work, seen)), |state| async {
        let (mut work, mut seen) = state?;
        let (mut events, state) = tokio::select! {
            biased;
            Some(line) = seen.recv() => (vec![SshEvent::Line(line)], Some((work, seen))),
            ended = &mut work => {
                let rest = std::iter::from_fn(|| seen.try_recv().ok()).map(SshEvent::Line);
                (rest.chain([SshEvent::End(ended.err())]).collect(), None)
            }
            () = tokio::time::sleep(PULSE) => (vec![SshEvent::Pulse], Some((work, seen))),
        };
        let text = events.drain(..).map(|e| serde_json::to_string(&e).unwrap_or_default() + "\n").collect::<String>();
        Some((Ok::<_, Infallible>(text), state))
    }));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ssh_key, ssh_key_show)).routes(routes!(ssh_join))
}
