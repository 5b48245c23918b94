//! The cloud of the server's own machine: its services, what the machine is like, runs that change it.
//!
//! For admins alone: whoever brings it up has root's work done on the machine.

use super::follow::{self, FollowedRun, current};
use super::page::{ListPage, PageQuery, Pager};
use super::stack_stream::streamed;
use super::{Body, Path, Query};
use crate::access::Admin;
use crate::api_error::ApiError;
use crate::app::App;
use crate::local::{KEY, LocalIntent, examine, preview_of};
use crate::runs::{ActiveRun, ProgressSnapshot};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use stackyard_api::{
    AnswerOrigin, LocalAnswers, LocalDetail, LocalQuestion, LocalRequest, LocalRun, LocalService, LocalServices,
    LocalView, Problem, QuestionType, RunCounts, RunState, RunStep, ServiceHealth, StackLine, time,
};
use stackyard_catalog::Origin;
use stackyard_cloud::preflight::{self, Report};
use stackyard_cloud::{AnswerChanges, STACK, up};
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::{Error as EngineError, HealthCheck, LogOptions, ServiceStatus, Source};
use stackyard_store::Run;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

impl FollowedRun for LocalDetail {
    fn of(run: Run) -> Self {
        let outlook = preview_of(&run);
        let ProgressSnapshot { steps, notes } = serde_json::from_value(run.content).unwrap_or_default();
        let view = LocalRun {
            id: run.new.id,
            kind: run.new.kind,
            actor: run.new.actor,
            began: time(run.new.began),
            ended: run.ended.map(time),
            state: RunState::of(&run.new.state),
            error: run.error,
            steps: RunCounts::of(&steps),
        };
        Self { run: view, steps, notes, outlook }
    }

    fn going(app: &App, _: &str) -> Option<Arc<ActiveRun>> {
        app.local().running()
    }

    fn changes(app: &App) -> watch::Receiver<u64> {
        app.local().changes()
    }

    fn take_steps(&mut self) -> Vec<RunStep> {
        std::mem::take(&mut self.steps)
    }

    fn is_over(&self) -> bool {
        self.run.state != RunState::Running
    }
}

fn given(set: BTreeMap<String, String>, unset: Vec<String>) -> AnswerChanges {
    AnswerChanges { file: None, set: set.into_iter().map(|(name, value)| format!("{name}={value}")).collect(), unset }
}

impl TryFrom<LocalRequest> for LocalIntent {
    type Error = ApiError;

    fn try_from(wish: LocalRequest) -> Result<Self, ApiError> {
        Ok(match wish {
            LocalRequest::Plan { set, unset, force } => Self::Plan { given: given(set, unset), force },
            LocalRequest::Up { set, unset, force, plan } => Self::Up { given: given(set, unset), force, plan },
            LocalRequest::Down { purge } => match purge.as_deref() {
                None => Self::Down { purge: false },
                Some("purge") => Self::Down { purge: true },
                Some(_) => {
                    let why =
                        "`purge` must be the word \"purge\": all servers, volumes, objects and images of the cloud go";
                    return Err(ApiError::unprocessable(why));
                }
            },
        })
    }
}

/// The cloud of the server's machine
#[utoipa::path(get, path = "/api/v1/local", tag = "local", security(("token" = [])),
    responses((status = 200, body = LocalView), (status = "4XX", body = Problem)))]
async fn local_show(_: Admin, State(app): State<App>) -> Result<Json<LocalView>, ApiError> {
    let newest = app.store().runs(KEY, None, None, 1).await?.into_iter().next();
    let local = app.local();
    Ok(Json(LocalView {
        obstacles: local.obstacles().await,
        home: local.home().display().to_string(),
        there: local.is_there(),
        run: newest.map(|run| LocalDetail::of(current::<LocalDetail>(&app, run)).run),
    }))
}

fn service_view(of: &ServiceStatus) -> LocalService {
    let (health, reason) = match &of.health {
        HealthCheck::Healthy => (ServiceHealth::Healthy, None),
        HealthCheck::Unhealthy { output } => (ServiceHealth::Unhealthy, Some(output.trim().to_owned())),
        HealthCheck::Untested => (ServiceHealth::Untested, None),
        HealthCheck::Completed => (ServiceHealth::Completed, None),
        HealthCheck::Down => (ServiceHealth::Down, None),
    };
    LocalService {
        service: of.service.clone(),
        container: of.id.clone(),
        job: of.job,
        image: of.image.clone(),
        state: of.state,
        exit_status: of.exit_status,
        health,
        ok: of.is_well(),
        reason,
        restarts: of.restarts,
        started: of.started_at.clone(),
        memory: of.memory,
    }
}

fn question_type(of: stackyard_catalog::QuestionType) -> QuestionType {
    use stackyard_catalog::QuestionType as Type;
    match of {
        Type::String => QuestionType::String,
        Type::Int => QuestionType::Int,
        Type::Bool => QuestionType::Bool,
        Type::Enum => QuestionType::Enum,
        Type::Ip => QuestionType::Ip,
        Type::Cidr => QuestionType::Cidr,
        Type::Hostname => QuestionType::Hostname,
        Type::Interface => QuestionType::Interface,
        Type::Password => QuestionType::Password,
    }
}

fn answer_origin(of: Origin) -> AnswerOrigin {
    match of {
        Origin::Given => AnswerOrigin::Given,
        Origin::Default => AnswerOrigin::Default,
        Origin::Unanswered => AnswerOrigin::Unanswered,
    }
}

/// Services of the cloud with their health, by a real request to each
///
/// The first question waits for the look. While somebody asks, they are looked at once a minute, and when
/// Docker tells of a change; `local` of the events tells that something differs.
#[utoipa::path(get, path = "/api/v1/local/services", tag = "local", security(("token" = [])),
    responses((status = 200, body = LocalServices), (status = "4XX", body = Problem)))]
async fn local_services(_: Admin, State(app): State<App>) -> Json<LocalServices> {
    let seen = app.local().services().await;
    let status = seen.status.as_deref();
    Json(LocalServices {
        healthy: status.is_some_and(|s| s.healthy),
        memory: status.map_or(0, |s| s.memory),
        services: status.map(|s| s.services.iter().map(service_view).collect()).unwrap_or_default(),
        observed_at: seen.looked.map(time),
        error: seen.error,
    })
}

/// Questions of the cloud's package, with the answers that count
#[utoipa::path(get, path = "/api/v1/local/questions", tag = "local", security(("token" = [])),
    responses((status = 200, body = Vec<LocalQuestion>), (status = "4XX", body = Problem)))]
async fn local_questions(_: Admin, State(app): State<App>) -> Result<Json<Vec<LocalQuestion>>, ApiError> {
    let local = app.local().local()?;
    let answers = local.answers(&AnswerChanges::default()).map_err(|e| ApiError::conflict(error_chain(&e)))?;
    let questions = local.asked(&answers).into_iter().map(|asked| {
        let q = asked.question;
        LocalQuestion {
            name: q.name.clone(),
            label: q.label.clone(),
            description: q.description.clone(),
            kind: question_type(q.kind),
            options: q.options.clone(),
            min: q.min,
            max: q.max,
            allowed: q.allowed(),
            required: q.required,
            show_if: q.show_if.clone(),
            group: q.group.clone(),
            answer: asked.shown,
            origin: answer_origin(asked.origin),
        }
    });
    Ok(Json(questions.collect()))
}

/// Checks what the machine is like for the cloud
///
/// Takes seconds: a guest is started where that was not tried since the machine booted. Changes nothing.
#[utoipa::path(post, path = "/api/v1/local/preflight", tag = "local", request_body = LocalAnswers, security(("token" = [])),
    responses((status = 200, body = Report), (status = "4XX", body = Problem)))]
async fn local_preflight(
    _: Admin,
    State(app): State<App>,
    Body(answers): Body<LocalAnswers>,
) -> Result<Json<Report>, ApiError> {
    let local = app.local().local()?;
    let given = given(answers.set, answers.unset);
    let input = examine(&local, &given)?;
    Ok(Json(preflight::run(&input).await))
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunFilter {
    /// Only those that stand, or ended, so.
    state: Option<RunState>,
}

/// Runs of the cloud, the newest first
#[utoipa::path(get, path = "/api/v1/local/runs", tag = "local", params(PageQuery, RunFilter), security(("token" = [])),
    responses((status = 200, body = Vec<LocalRun>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn local_run_list(
    _: Admin,
    State(app): State<App>,
    Query(which): Query<RunFilter>,
    page: Pager,
) -> Result<ListPage<LocalRun>, ApiError> {
    let runs = app.store().runs(KEY, which.state.map(RunState::word), page.marker(), page.reads()).await?;
    let now = |run: Run| LocalDetail::of(current::<LocalDetail>(&app, run)).run;
    Ok(page.of(runs, |run| run.new.id.clone()).map(now))
}

/// Begins a run: a plan, up, or down
///
/// Answers when it is under way, with where it can be followed. Nothing was done if the answer is a problem:
/// 409 where the server cannot (`obstacles` of the cloud says why), while another run goes on (also
/// `stackyard cloud up` on the machine), or when there is nothing to bring down; 422 for bad answers.
#[utoipa::path(post, path = "/api/v1/local/runs", tag = "local", request_body = LocalRequest, security(("token" = [])),
    responses((status = 202, body = LocalRun, headers(("Location" = String, description = "the run"))),
        (status = "4XX", body = Problem)))]
async fn local_run_begin(
    Admin(caller): Admin,
    State(app): State<App>,
    Body(wish): Body<LocalRequest>,
) -> Result<Response, ApiError> {
    let run = app.local().begin(wish.try_into()?, &caller.actor().unwrap_or_default()).await?;
    let place = format!("/api/v1/local/runs/{}", run.new.id);
    let run = LocalDetail::of(run).run;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(run)).into_response())
}

/// A run of the cloud with its steps
#[utoipa::path(get, path = "/api/v1/local/runs/{run}", tag = "local", security(("token" = [])),
    responses((status = 200, body = LocalDetail), (status = "4XX", body = Problem)))]
async fn local_run_show(
    _: Admin,
    State(app): State<App>,
    Path(run): Path<String>,
) -> Result<Json<LocalDetail>, ApiError> {
    Ok(Json(follow::find(&app, KEY, &run).await?))
}

/// Cancels a run of the cloud: it stops where it is
///
/// What was made stays; the next run goes on from there. The run ends when the engine has done what it was told.
#[utoipa::path(post, path = "/api/v1/local/runs/{run}/cancel", tag = "local", security(("token" = [])),
    responses((status = 202, description = "it is told to stop"), (status = "4XX", body = Problem)))]
async fn local_run_cancel(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(run): Path<String>,
) -> Result<StatusCode, ApiError> {
    if app.local().cancel(&run, &caller.actor().unwrap_or_default()) {
        return Ok(StatusCode::ACCEPTED);
    }
    let LocalDetail { run, .. } = follow::find(&app, KEY, &run).await?;
    Err(ApiError::conflict(format!("run {} has ended at {}", run.id, run.ended.unwrap_or_default())))
}

/// A run of the cloud as it goes, as server-sent events
///
/// The data of each event `step` is a `RunStep`: all steps first, then those that change. Events `run` are a
/// `LocalDetail` without steps; the one whose run does not go on any more is the last. With `Last-Event-ID`,
/// as browsers send it after the connection was lost, only what changed since is told.
#[utoipa::path(get, path = "/api/v1/local/runs/{run}/events", tag = "local", security(("token" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "id of the last event that was seen")),
    responses((status = 200, body = LocalDetail, content_type = "text/event-stream"), (status = "4XX", body = Problem)))]
async fn local_run_events(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    follow::find::<LocalDetail>(&app, KEY, &run).await?;
    follow::follow::<LocalDetail>(&app, caller, KEY.to_owned(), run, &headers)
}

/// Which logs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Services with commas between them; all if absent.
    #[serde(default)]
    only: String,
    /// Go on with new lines.
    #[serde(default)]
    follow: bool,
    /// So many lines of each service that were written before; all if absent.
    tail: Option<u32>,
    /// Not older, in seconds since 1970.
    since: Option<i64>,
}

/// Logs of the cloud's services, mixed as they come: one JSON object a line
#[utoipa::path(get, path = "/api/v1/local/logs", tag = "local", params(LogQuery), security(("token" = [])),
    responses((status = 200, body = StackLine, content_type = "application/x-ndjson"), (status = "4XX", body = Problem)))]
async fn local_logs(
    Admin(caller): Admin,
    State(app): State<App>,
    Query(logs): Query<LogQuery>,
) -> Result<Response, ApiError> {
    let docker = Docker::connect().await.map_err(|e| ApiError::conflict(error_chain(&e)))?;
    let only: Vec<String> = logs.only.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let options = LogOptions {
        follow: logs.follow,
        tail: logs.tail.map(|n| n as usize),
        since: logs.since,
        ..LogOptions::default()
    };
    let engine = up::engine(&app.local().local()?, &docker);
    let lines = engine.logs(STACK, &only, options).await.map_err(|e| match e {
        EngineError::NoContainer { .. } => ApiError::not_found(error_chain(&e)),
        other => ApiError::conflict(error_chain(&other)),
    })?;
    let line = |replica: Option<String>, stream: &str, text: String| StackLine {
        replica,
        host: "local".to_owned(),
        stream: stream.to_owned(),
        text,
    };
    let lines = lines.map(move |read| match read {
        Ok(read) if read.source == Source::Stderr => line(Some(read.service), "stderr", read.text),
        Ok(read) => line(Some(read.service), "stdout", read.text),
        Err(error) => line(None, "error", error_chain(&error)),
    });
    streamed(lines, &app, caller)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(local_show))
        .routes(routes!(local_services))
        .routes(routes!(local_questions))
        .routes(routes!(local_preflight))
        .routes(routes!(local_run_list, local_run_begin))
        .routes(routes!(local_run_show))
        .routes(routes!(local_run_cancel))
        .routes(routes!(local_run_events))
        .routes(routes!(local_logs))
}
