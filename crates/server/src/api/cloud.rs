//! Clouds: entries of the server's own clouds.yaml.

use super::page::{Listed, Page, Pager};
use super::{App, Problem};
use crate::auth::{Reach, Viewer};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stackyard_openstack::CloudConfig;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A cloud that the server knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloudView {
    /// Its name, for `spec.cloud` of a manifest.
    pub name: String,
}

/// The clouds of the server's clouds.yaml that the caller may use; their names, and nothing of what is in it
///
/// The file is read anew each time.
#[utoipa::path(get, path = "/api/v1/clouds", tag = "cloud", params(Page), security(("token" = [])),
    responses((status = 200, body = Vec<CloudView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem),
        (status = 503, description = "clouds.yaml cannot be read", body = Problem)))]
async fn cloud_list(
    _: Viewer,
    reach: Reach,
    State(app): State<App>,
    page: Pager,
) -> Result<Listed<CloudView>, Problem> {
    let names = CloudConfig::names(app.runs().sources());
    let (names, _) = names.map_err(|e| {
        tracing::error!("{e}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server's clouds.yaml cannot be read; its log says more")
    })?;
    let mut clouds = Vec::new();
    for name in names {
        if reach.has_cloud(Some(&name)).await? {
            clouds.push(CloudView { name });
        }
    }
    Ok(page.cut(clouds, |c| c.name.clone()))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(cloud_list))
}
