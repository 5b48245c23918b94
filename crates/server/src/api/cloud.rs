//! Clouds: entries of the server's own clouds.yaml.

use super::page::{ListPage, PageQuery, Pager};
use super::{Body, Path};
use crate::access::{CallerScope, Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::own_thread::on_own_thread;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use stackyard_api::{CloudChoices, CloudView, DraftText, Problem, YardDraft};
use stackyard_openstack::CloudConfig;
use stackyard_yard::{offer_of, write_manifest};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Names of the clouds that the server knows.
fn names(app: &App) -> Result<Vec<String>, ApiError> {
    let names = CloudConfig::names(app.runs().sources());
    let (names, _) = names.map_err(|e| {
        tracing::error!("{e}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server's clouds.yaml cannot be read; its log says more")
    })?;
    Ok(names)
}

/// What a cloud has to choose from.
async fn offer(app: &App, reach: &CallerScope, cloud: &str) -> Result<CloudChoices, ApiError> {
    reach.need_cloud(Some(cloud)).await?;
    if !names(app)?.iter().any(|n| n == cloud) {
        let detail =
            format!("the server's clouds.yaml has no cloud {cloud}; `GET /api/v1/clouds` tells those that it has");
        return Err(ApiError::not_found(detail));
    }
    let (runs, name) = (app.runs().clone(), cloud.to_owned());
    let asked = on_own_thread("offer", move || async move {
        let cloud = runs.cloud(Some(&name)).await?;
        Ok(offer_of(&cloud).await?)
    });
    asked.await.map_err(ApiError::internal)?
}

/// The clouds of the server's clouds.yaml that the caller may use; their names, and nothing of what is in it
///
/// The file is read anew each time.
#[utoipa::path(get, path = "/api/v1/clouds", tag = "cloud", params(PageQuery), security(("token" = [])),
    responses((status = 200, body = Vec<CloudView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem),
        (status = 503, description = "clouds.yaml cannot be read", body = Problem)))]
async fn cloud_list(
    _: Viewer,
    reach: CallerScope,
    State(app): State<App>,
    page: Pager,
) -> Result<ListPage<CloudView>, ApiError> {
    let mut clouds = Vec::new();
    for name in names(&app)? {
        if reach.has_cloud(Some(&name)).await? {
            clouds.push(CloudView { name });
        }
    }
    Ok(page.cut(clouds, |c| c.name.clone()))
}

/// What a cloud has to choose from for a first manifest; of each the first is the most sensible
///
/// The cloud is asked each time. What belongs to a yard is not in it.
#[utoipa::path(get, path = "/api/v1/clouds/{cloud}/offer", tag = "cloud", security(("token" = [])),
    responses((status = 200, body = CloudChoices), (status = "4XX", body = Problem),
        (status = 502, description = "the cloud does not answer", body = Problem),
        (status = 503, description = "clouds.yaml cannot be read", body = Problem)))]
async fn cloud_offer(
    _: Viewer,
    reach: CallerScope,
    State(app): State<App>,
    Path(cloud): Path<String>,
) -> Result<Json<CloudChoices>, ApiError> {
    Ok(Json(offer(&app, &reach, &cloud).await?))
}

/// A first manifest from a few choices, as `stackyard init` writes it; nothing is kept
///
/// The cloud is asked for what it has: what was chosen must be there, and comments of the manifest name the
/// rest.
#[utoipa::path(post, path = "/api/v1/clouds/{cloud}/draft", tag = "cloud", request_body = YardDraft,
    security(("token" = [])),
    responses((status = 200, body = DraftText), (status = "4XX", body = Problem),
        (status = 502, description = "the cloud does not answer", body = Problem),
        (status = 503, description = "clouds.yaml cannot be read", body = Problem)))]
async fn cloud_draft(
    _: Operator,
    reach: CallerScope,
    State(app): State<App>,
    Path(cloud): Path<String>,
    Body(draft): Body<YardDraft>,
) -> Result<Json<DraftText>, ApiError> {
    let offer = offer(&app, &reach, &cloud).await?;
    Ok(Json(match write_manifest(&draft, &cloud, &offer) {
        Ok(text) => DraftText { manifest: Some(text), faults: Vec::new() },
        Err(faults) => DraftText { manifest: None, faults },
    }))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(cloud_list)).routes(routes!(cloud_offer)).routes(routes!(cloud_draft))
}
