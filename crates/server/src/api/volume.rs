//! Cinder volumes of a yard's stacks.

use super::page::{ListPage, PageQuery, Pager};
use super::{Path, Query};
use crate::access::{Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::volumes::{StackVolume, VolumeRemoveError};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use stackyard_api::{Problem, VolumeView};
use stackyard_yard::container_volume::HOLDS_DATA;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

impl From<VolumeRemoveError> for ApiError {
    fn from(error: VolumeRemoveError) -> Self {
        let text = error.to_string();
        match error {
            VolumeRemoveError::Missing(_) => Self::not_found(text),
            VolumeRemoveError::InUse(_) => Self::conflict(text),
            VolumeRemoveError::Cloud(_) => Self::new(StatusCode::BAD_GATEWAY, text),
        }
    }
}

async fn view(app: &App, yard: &str, volume: StackVolume) -> Result<VolumeView, ApiError> {
    let needed = app.stacks().needs_volume(yard, &volume.stack, &volume.key).await?;
    let StackVolume { stack, key, volume, server } = volume;
    Ok(VolumeView {
        id: volume.id,
        name: volume.name.unwrap_or_default(),
        stack,
        volume: key,
        size: volume.size,
        volume_type: volume.volume_type,
        status: volume.status,
        server,
        needed,
        created: volume.created_at,
    })
}

/// Cinder volumes of a yard's stacks, as the cloud has them now
#[utoipa::path(get, path = "/api/v1/yards/{yard}/volumes", tag = "volume", params(PageQuery), security(("token" = [])),
    responses((status = 200, body = Vec<VolumeView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem), (status = 502, body = Problem)))]
async fn volume_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    page: Pager,
) -> Result<ListPage<VolumeView>, ApiError> {
    let listed = app.volumes().list(&yard).await.map_err(VolumeRemoveError::Cloud)?;
    let mut views = Vec::new();
    for volume in listed {
        views.push(view(&app, &yard, volume).await?);
    }
    Ok(page.cut(views, |v| format!("{}/{}/{}", v.stack, v.volume, v.id)))
}

/// Whether the data may be lost.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct VolumeLoss {
    /// The data on the volume is lost: without this, nothing is removed.
    #[serde(default)]
    allow_data_loss: bool,
}

/// Removes a Cinder volume that no host has and no stack needs, with its data
#[utoipa::path(delete, path = "/api/v1/yards/{yard}/volumes/{volume}", tag = "volume", params(VolumeLoss),
    security(("token" = [])),
    responses((status = 202), (status = "4XX", body = Problem), (status = 502, body = Problem)))]
async fn volume_delete(
    _: Operator,
    State(app): State<App>,
    Path((yard, id)): Path<(String, String)>,
    Query(loss): Query<VolumeLoss>,
) -> Result<StatusCode, ApiError> {
    let (app, yard, id) = (&app, &yard, &id);
    let may_go = |volume: StackVolume| async move {
        let StackVolume { stack, key, .. } = &volume;
        // One that came to nothing is in the way of the next.
        let is_failed = volume.volume.status.starts_with("error") && !volume.volume.metadata.contains_key(HOLDS_DATA);
        if !is_failed && app.stacks().needs_volume(yard, stack, key).await? {
            let what =
                format!("stack {stack} needs volume {key}; remove the stack, or the volume from its file, first");
            return Err(ApiError::conflict(what));
        }
        if !loss.allow_data_loss {
            let hint = stackyard_yard::DataLossRefused::HINT;
            return Err(ApiError::conflict(format!("the data of volume {stack}/{key} ({id}) would be lost; {hint}")));
        }
        Ok(())
    };
    app.volumes().remove(yard, id, may_go).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(volume_list)).routes(routes!(volume_delete))
}
