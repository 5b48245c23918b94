//! What agents call.

use super::Query;
use crate::access::Agent;
use crate::api_error::ApiError;
use crate::app::App;
use crate::audit;
use crate::hub::{self, ConnectionAudit};
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stackyard_api::{AuditKind, Problem};
use stackyard_platform::docker::{Docker, is_not_found};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Greatest message from an agent, in bytes: a report of a thousand containers has less.
const MESSAGE: usize = 4 << 20;

/// Buffers of a connection, in bytes. There is one connection a host, mostly idle.
const BUFFER: usize = 4 << 10;

/// The agent's WebSocket: messages of `core::agent`, JSON, one to a text frame
#[utoipa::path(get, path = "/api/v1/agent", tag = "agent", security(("token" = [])),
    responses((status = 101, description = "a WebSocket"), (status = "4XX", body = Problem)))]
async fn agent_connect(
    Agent(host): Agent,
    State(app): State<App>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|r| ApiError::new(r.status(), r.body_text()))?;
    let Some(host) = app.store().host(&host).await? else {
        return Err(ApiError::unauthorized("the host was removed"));
    };
    let (hub, ports, volumes) = (app.hub().clone(), app.ports().clone(), app.volumes().clone());
    let name = format!("agent {}/{}", host.yard, host.name);
    let entry = audit::new_entry(&name, AuditKind::Agent, "CONNECT", &format!("/api/v1/hosts/{}", host.id));
    let audit = ConnectionAudit { log: app.audit().clone(), entry };
    let upgrade =
        upgrade.read_buffer_size(BUFFER).write_buffer_size(0).max_message_size(MESSAGE).max_frame_size(MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| hub::serve(hub, ports, volumes, host, audit, socket)))
}

/// Which image.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Image {
    /// Its name, as the host's desired state has it.
    reference: String,
}

/// An image that exists only at the server, as `docker save` writes it
///
/// Only images that the desired state of the calling agent's host names.
#[utoipa::path(get, path = "/api/v1/images", tag = "agent", params(Image), security(("token" = [])),
    responses((status = 200, content_type = "application/x-tar"), (status = "4XX", body = Problem)))]
async fn image_fetch(
    Agent(host): Agent,
    State(app): State<App>,
    Query(image): Query<Image>,
) -> Result<Response, ApiError> {
    let desired = app.hub().desired(&host);
    let id = desired.iter().flat_map(|d| &d.parts).find_map(|p| p.images.get(&image.reference));
    let Some(id) = id else {
        return Err(ApiError::forbidden(format!(
            "no stack on this host uses the image {} of the server",
            image.reference
        )));
    };
    let engine = Docker::connect().await.map_err(|e| ApiError::internal(format!("{e}: {}", e.source)))?;
    match engine.api().inspect_image(id).await {
        Ok(_) => {}
        Err(error) if is_not_found(&error) => {
            return Err(ApiError::not_found(format!(
                "the server's Docker Engine no longer has image {id} ({})",
                image.reference
            )));
        }
        Err(error) => return Err(ApiError::internal(error)),
    }
    // By the id that was checked at the deployment: a name without a tag would export all images of that name. The agent
    // gives the image its name.
    let tar = futures_util::StreamExt::boxed(async_stream(engine, id));
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/x-tar")], Body::from_stream(tar)).into_response())
}

/// The engine's stream, with the engine's client in it.
fn async_stream(
    engine: Docker,
    id: &str,
) -> impl futures_util::Stream<Item = Result<axum::body::Bytes, std::io::Error>> + use<> {
    let stream = engine.api().export_image(id);
    futures_util::StreamExt::map(stream, |piece| piece.map_err(std::io::Error::other))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(agent_connect)).routes(routes!(image_fetch))
}
