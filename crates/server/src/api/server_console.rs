//! The console log of a yard's servers: what they say while they boot.

use super::{Path, Query};
use crate::access::Viewer;
use crate::api_error::ApiError;
use crate::app::App;
use crate::own_thread::on_own_thread;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use stackyard_api::{Problem, ServerConsole};
use stackyard_catalog::manifest::gist;
use stackyard_core::text::error_chain;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How much of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ConsoleQuery {
    /// So many of its last lines, 1 to 10000.
    #[param(default = 200, minimum = 1, maximum = 10_000)]
    lines: Option<u32>,
}

/// The end of the console log of a server or host of a yard, as its cloud has it
#[utoipa::path(get, path = "/api/v1/yards/{yard}/servers/{server}/console", tag = "yard", params(ConsoleQuery),
    security(("token" = [])), responses((status = 200, body = ServerConsole), (status = "4XX", body = Problem),
        (status = 502, description = "the cloud does not answer", body = Problem)))]
async fn server_console(
    _: Viewer,
    State(app): State<App>,
    Path((yard, server)): Path<(String, String)>,
    Query(which): Query<ConsoleQuery>,
) -> Result<Json<ServerConsole>, ApiError> {
    let Some(text) = app.manifest_of(&yard).await? else {
        return Err(ApiError::not_found(format!("there is no yard {yard} with a manifest")));
    };
    let cloud = gist(&format!("the manifest of {yard}"), &text)?.cloud;
    let lines = which.lines.unwrap_or(200).clamp(1, 10_000);
    let read = on_own_thread("console", move || async move {
        let cloud = app.runs().cloud(cloud.as_deref()).await?;
        match stackyard_yard::server_log(&cloud, &yard, &server, Some(lines)).await {
            Ok(Some((id, text))) => Ok(ServerConsole { server, id, text }),
            // It is being made, or was never started.
            Err(error) if error.is_conflict() => Err(ApiError::conflict(error_chain(&error))),
            Err(error) => Err(error.into()),
            Ok(None) => Err(ApiError::not_found(format!("the cloud has no server {server} of yard {yard}"))),
        }
    });
    read.await.map_err(ApiError::internal)?.map(Json)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(server_console))
}
