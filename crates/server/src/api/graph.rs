//! A yard as it is.

use super::etag::digest;
use super::{Path, host, stack};
use crate::access::Viewer;
use crate::api_error::ApiError;
use crate::app::App;
use crate::cloud_watcher::CloudSnapshot;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stackyard_api::{Graph, GraphCloud, HostView, Problem, time};
use stackyard_catalog::manifest::AbsentPackages;
use stackyard_yard::{GraphInput, draw_graph};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A yard and the last look at its cloud.
pub(super) struct YardGraph {
    /// The manifest that was last applied, if one is known.
    pub(super) manifest: Option<String>,
    pub(super) sighting: CloudSnapshot,
    pub(super) hosts: Vec<HostView>,
    /// The graph, with its cloud but without the time of the look.
    pub(super) graph: Graph,
}

/// Looks at a yard; its cloud is looked at at most as often as `CloudWatcher` says.
pub(super) async fn look(app: &App, yard: &str) -> Result<YardGraph, ApiError> {
    look_at(app, yard, false).await
}

/// The same with a look at its cloud that is not older than the question.
pub(super) async fn look_anew(app: &App, yard: &str) -> Result<YardGraph, ApiError> {
    look_at(app, yard, true).await
}

async fn look_at(app: &App, yard: &str, anew: bool) -> Result<YardGraph, ApiError> {
    super::yard::check_name("yard", yard)?;
    let manifest = app.manifest_of(yard).await?;
    let (hosts, stacks) = (host::list(app, Some(yard), None).await?, stack::list(app, Some(yard)).await?);
    if manifest.is_none() && hosts.is_empty() && stacks.is_empty() {
        return Err(ApiError::not_found(format!("there is no yard {yard}, and no host or stack of one")));
    }
    // Files that the manifest names are where it was applied.
    let intended = match &manifest {
        Some(text) => Some(app.outline_of(yard, &format!("the manifest of {yard}"), text).await?),
        None => None,
    };
    let (intended, cloud, sighting) = match intended {
        Some(Ok(outline)) => {
            let name = outline.intended.cloud.clone();
            if anew {
                app.looks().forget(name.as_deref());
            }
            let mut sighting = app.looks().at(name.as_deref(), app.runs().of(yard).is_some()).await;
            // The picture lacks what these packages have not made yet.
            let absent = (!outline.absent.is_empty()).then(|| AbsentPackages(outline.absent).to_string());
            sighting.error = sighting.error.take().or(absent);
            let name = name.or_else(|| sighting.name.clone()).unwrap_or_default();
            (Some(outline.intended), Some(name), sighting)
        }
        Some(Err(mistakes)) => {
            let error = Some(format!("its manifest has mistakes: {mistakes}"));
            (None, Some(String::new()), CloudSnapshot { error, ..CloudSnapshot::default() })
        }
        None => (None, None, CloudSnapshot::default()),
    };
    let inventory = sighting.inventory.as_deref();
    let sight = GraphInput { inventory, intended: intended.as_ref(), hosts: &hosts, stacks: &stacks };
    let mut graph = draw_graph(yard, sight);
    graph.cloud = cloud.map(|name| GraphCloud { name, observed_at: None, error: sighting.error.clone() });
    Ok(YardGraph { manifest, sighting, hosts, graph })
}

/// An answer with an entity tag of all but the time of the look, which `stamp` adds, and of where the next page is;
/// 304 to who has it.
pub(super) fn tagged<T: Serialize>(
    headers: &HeaderMap,
    mut body: T,
    next: Option<&[(HeaderName, String); 1]>,
    looked: Option<i64>,
    stamp: impl FnOnce(&mut T) -> Option<&mut GraphCloud>,
) -> Response {
    let next = next.map(|[(_, page)]| page);
    let tag = format!("W/\"{}\"", digest(&(&body, next), 16));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|t| t.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    if let Some(cloud) = stamp(&mut body) {
        cloud.observed_at = looked.map(time);
    }
    ([(header::ETAG, tag)], Json(body)).into_response()
}

/// A yard as it is: what its cloud has, what its hosts run, and what joins what
///
/// The cloud is the one that the yard's manifest names, in the clouds.yaml of the server's machine. It
/// is looked at when somebody asks, and again every 15 seconds (3 while a run goes on) while somebody listens to
/// `GET /api/v1/events`, whose number `clouds` grows when it is not as it was. A cloud that does not
/// answer is no error: its last sight is told, and why there is none since.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/graph", tag = "yard", security(("token" = [])),
    params(("If-None-Match" = Option<String>, Header, description = "entity tag of the graph that the caller has")),
    responses((status = 200, body = Graph, headers(("ETag" = String, description = "of all but the time of the look"))),
        (status = 304, description = "the graph is as it was"), (status = "4XX", body = Problem)))]
async fn yard_graph(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let YardGraph { graph, sighting, .. } = look(&app, &yard).await?;
    Ok(tagged(&headers, graph, None, sighting.looked, |graph| graph.cloud.as_mut()))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(yard_graph))
}
