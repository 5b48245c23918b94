//! Runs: bringing yards up and removing them in the server's process, followed as they go.

use super::follow::{self, FollowedRun, current};
use super::page::{ListPage, PageQuery, Pager};
use super::yard::{at, changes, check_name};
use super::yard_plan::{YardRequestBody, read};
use super::{Path, Query};
use crate::access::{CallerScope, Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::runs::{ActiveRun, ProgressSnapshot, RunTerms};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stackyard_api::{Problem, RunCounts, RunDetail, RunKind, RunState, RunStep, RunView, YardRequest, now, time};
use stackyard_store::Run;
use std::sync::Arc;
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// An event of a run as it comes over the wire: the fields of a server-sent event (HTML standard, 9.2).
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: axum writes the fields")]
struct RunMessage {
    /// `step` or `run`.
    event: String,
    /// Number of the change that is told last.
    id: String,
    /// JSON: a `RunStep` or a `RunDetail`.
    data: String,
}

impl FollowedRun for RunDetail {
    fn of(run: Run) -> Self {
        let ProgressSnapshot { steps, notes } = serde_json::from_value(run.content).unwrap_or_default();
        let counts = RunCounts::of(&steps);
        let view = RunView {
            id: run.new.id,
            yard: run.new.yard,
            kind: if run.new.kind == "down" { RunKind::Down } else { RunKind::Up },
            revision: run.new.revision,
            actor: run.new.actor,
            began: time(run.new.began),
            ended: run.ended.map(time),
            state: RunState::of(&run.new.state),
            error: run.error,
            steps: counts,
        };
        Self { run: view, steps, notes }
    }

    fn going(app: &App, yard: &str) -> Option<Arc<ActiveRun>> {
        app.runs().of(yard)
    }

    fn changes(app: &App) -> watch::Receiver<u64> {
        app.runs().revisions()
    }

    fn take_steps(&mut self) -> Vec<RunStep> {
        std::mem::take(&mut self.steps)
    }

    fn is_over(&self) -> bool {
        self.run.state != RunState::Running
    }
}

/// A run without its steps.
pub(super) fn run_view(run: Run) -> RunView {
    RunDetail::of(run).run
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunFilter {
    /// Only those that stand, or ended, so.
    state: Option<RunState>,
}

/// Runs of a yard, the newest first
#[utoipa::path(get, path = "/api/v1/yards/{yard}/runs", tag = "run", params(PageQuery, RunFilter), security(("token" = [])),
    responses((status = 200, body = Vec<RunView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn run_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    Query(which): Query<RunFilter>,
    page: Pager,
) -> Result<ListPage<RunView>, ApiError> {
    check_name("yard", &yard)?;
    let state = which.state.map(RunState::word);
    let runs = app.store().runs(&yard, state, page.marker(), page.reads()).await?;
    Ok(page.of(runs, |run| run.new.id.clone()).map(|run| run_view(current::<RunDetail>(&app, run))))
}

async fn find(app: &App, yard: &str, id: &str) -> Result<RunDetail, ApiError> {
    check_name("yard", yard)?;
    follow::find(app, yard, id).await
}

/// Begins a run: the yard becomes what the wish says
///
/// Answers when it is under way, with where it can be followed. Nothing was done if the answer is a
/// problem: 409 while another run of the yard goes on (also `stackyard up` on the server's machine) or
/// if `plan` names another plan, 422 with the mistakes of the manifest, with what stands in the way, or
/// with what would lose its data without `allow_data_loss`.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/runs", tag = "run", security(("token" = [])),
    params(("If-Match" = Option<String>, Header, description = "revision of the yard's manifest that is to be changed"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be no such yard")),
    request_body(content((YardRequest = "application/json"), (String = "application/yaml"))),
    responses((status = 202, body = RunView, headers(("Location" = String, description = "the run"))),
        (status = "4XX", body = Problem), (status = 502, description = "the cloud does not answer", body = Problem)))]
async fn run_begin(
    Operator(caller): Operator,
    reach: CallerScope,
    State(app): State<App>,
    Path(yard): Path<String>,
    headers: HeaderMap,
    YardRequestBody(wish): YardRequestBody,
) -> Result<Response, ApiError> {
    let at = at(&reach, &yard, &headers).await?;
    crate::request::note(asked_run(&app, &yard, &wish).await?);
    let (plan, allow_data_loss) = (wish.plan.clone(), wish.allow_data_loss);
    let terms = RunTerms { plan, allow_data_loss, at };
    let wish = read(app.store(), &reach, &yard, wish).await?;
    let run = app.runs().begin(&yard, wish, &caller.actor().unwrap_or_default(), terms).await?;
    crate::app::ChangeCounters::note(&app.inner().changes.yards);
    let place = format!("/api/v1/yards/{yard}/runs/{}", run.new.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(run_view(run))).into_response())
}

/// What a run is asked to do, for the audit log.
async fn asked_run(app: &App, yard: &str, wish: &YardRequest) -> Result<String, ApiError> {
    let data = if wish.allow_data_loss { ", data may be lost" } else { "" };
    Ok(match (&wish.manifest, wish.revision) {
        _ if wish.remove => format!("down{data}"),
        (Some(manifest), _) => {
            let (_, changes) = changes(app, yard, manifest, &wish.files).await?;
            format!("up with a manifest{data}: {changes}")
        }
        (None, Some(revision)) => format!("up with the manifest of revision {revision}{data}"),
        (None, None) => format!("up with the manifest that it has{data}"),
    })
}

/// A run with its steps
#[utoipa::path(get, path = "/api/v1/yards/{yard}/runs/{run}", tag = "run", security(("token" = [])),
    responses((status = 200, body = RunDetail), (status = "4XX", body = Problem)))]
async fn run_show(
    _: Viewer,
    State(app): State<App>,
    Path((yard, run)): Path<(String, String)>,
) -> Result<Json<RunDetail>, ApiError> {
    Ok(Json(find(&app, &yard, &run).await?))
}

/// Cancels a run: it stops where it is
///
/// What was made stays; the next run goes on from there.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/runs/{run}/cancel", tag = "run", security(("token" = [])),
    responses((status = 202, description = "it is told to stop"), (status = "4XX", body = Problem)))]
async fn run_cancel(
    Operator(caller): Operator,
    State(app): State<App>,
    Path((yard, run)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    if app.runs().cancel(&yard, &run, &caller.actor().unwrap_or_default()) {
        return Ok(StatusCode::ACCEPTED);
    }
    let RunDetail { run, .. } = find(&app, &yard, &run).await?;
    Err(ApiError::conflict(format!("run {} has ended at {}", run.id, run.ended.unwrap_or_else(|| time(now())))))
}

/// A run as it goes, as server-sent events
///
/// The data of each event `step` is a `RunStep`: all steps first, then those that change. Events `run`
/// are a `RunDetail` without steps; the one whose run does not go on any more is the last. With
/// `Last-Event-ID`, as browsers send it after the connection was lost, only what changed since is told.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/runs/{run}/events", tag = "run", security(("token" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "id of the last event that was seen")),
    responses((status = 200, body = RunMessage, content_type = "text/event-stream"), (status = "4XX", body = Problem)))]
async fn run_events(
    Viewer(caller): Viewer,
    State(app): State<App>,
    Path((yard, run)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    find(&app, &yard, &run).await?;
    follow::follow::<RunDetail>(&app, caller, yard, run, &headers)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(run_list, run_begin))
        .routes(routes!(run_show))
        .routes(routes!(run_cancel))
        .routes(routes!(run_events))
}
