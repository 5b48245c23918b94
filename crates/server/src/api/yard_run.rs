//! Runs: bringing yards up and removing them in the server's process, followed as they go.

use super::yard::at;
use super::yard_plan::{Wished, YardWish, read};
use super::{App, Path, Problem, Query, now, time};
use crate::auth::{Operator, Reach, Viewer, ended};
use crate::runs::{Going, RunKind, RunState, RunStep, Snapshot, StepState};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use futures_util::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};
use stackyard_store::Run;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Time between two looks at a run that goes on: what changes meanwhile is told at once.
const GATHER: Duration = Duration::from_millis(200);

/// Time without an event after which a comment is sent.
const ALIVE: Duration = Duration::from_secs(15);

/// A run of a yard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Its id; ids grow with time.
    pub id: String,
    /// The yard.
    pub yard: String,
    /// What it does.
    pub kind: RunKind,
    /// Revision of the manifest; none for a removal.
    pub revision: Option<i64>,
    /// Who began it, as in the audit log.
    pub who: String,
    /// When (RFC 3339).
    pub began: String,
    /// When it ended (RFC 3339).
    pub ended: Option<String>,
    /// How it stands, or ended.
    pub state: RunState,
    /// Why it did not end well.
    pub error: Option<String>,
    /// Steps, and how many of them were done and failed.
    pub steps: RunCounts,
}

/// Steps of a run, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunCounts {
    /// All.
    pub all: usize,
    /// Those that were done.
    pub done: usize,
    /// Those that failed.
    pub failed: usize,
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    pub run: RunView,
    /// Its steps.
    pub steps: Vec<RunStep>,
    /// What was said that is of no step.
    pub notes: Vec<String>,
}

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

/// What an event of a run tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RunEvent {
    /// A step that is new, or has changed.
    Step(RunStep),
    /// The run, without its steps.
    Run(RunDetail),
}

impl From<Run> for RunDetail {
    fn from(run: Run) -> Self {
        let Snapshot { steps, notes } = serde_json::from_value(run.content).unwrap_or_default();
        let count = |state| steps.iter().filter(|s| s.state == state).count();
        let counts = RunCounts { all: steps.len(), done: count(StepState::Done), failed: count(StepState::Failed) };
        let view = RunView {
            id: run.new.id,
            yard: run.new.yard,
            kind: if run.new.kind == "down" { RunKind::Down } else { RunKind::Up },
            revision: run.new.revision,
            who: run.new.who,
            began: time(run.new.began),
            ended: run.ended.map(time),
            state: RunState::of(&run.new.state),
            error: run.error,
            steps: counts,
        };
        Self { run: view, steps, notes }
    }
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        RunDetail::from(run).run
    }
}

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Only runs older than the one with this id.
    before: Option<String>,
    /// So many at most, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Runs of a yard, the newest first
#[utoipa::path(get, path = "/api/v1/yards/{yard}/runs", tag = "run", params(Page), security(("token" = [])),
    responses((status = 200, body = Vec<RunView>), (status = "4XX", body = Problem)))]
async fn run_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<RunView>>, Problem> {
    let limit = page.limit.unwrap_or(50).clamp(1, 200);
    let runs = app.store().runs(&yard, page.before.as_deref(), limit).await?;
    let now = |run: Run| current(&app, run);
    Ok(Json(runs.into_iter().map(|run| now(run).into()).collect()))
}

/// A run as it is now: the store knows it as it was a moment ago.
pub(super) fn current(app: &App, run: Run) -> Run {
    match app.runs().of(&run.new.yard).map(|g| g.run()) {
        Some(going) if going.new.id == run.new.id => going,
        _ => run,
    }
}

async fn find(app: &App, yard: &str, id: &str) -> Result<Run, Problem> {
    match app.store().run(yard, id).await? {
        Some(run) => Ok(current(app, run)),
        None => Err(Problem::not_found(format!("yard {yard} has no run {id}"))),
    }
}

/// Begins a run: the yard becomes what the wish says
///
/// Answers when it is under way, with where it can be followed. Nothing was done if the answer is a
/// problem: 409 while another run of the yard goes on (also `stackyard up` on the server's machine) or
/// if `plan` names another plan, 422 with the mistakes of the manifest, or with what stands in the way.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/runs", tag = "run", security(("token" = [])),
    params(("If-Match" = Option<String>, Header, description = "revision of the yard's manifest that is to be changed"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be no such yard")),
    request_body(content((YardWish = "application/json"), (String = "application/yaml"))),
    responses((status = 202, body = RunView, headers(("Location" = String, description = "the run"))),
        (status = "4XX", body = Problem), (status = 502, description = "the cloud does not answer", body = Problem)))]
async fn run_begin(
    Operator(caller): Operator,
    reach: Reach,
    State(app): State<App>,
    Path(yard): Path<String>,
    headers: HeaderMap,
    Wished(wish): Wished,
) -> Result<Response, Problem> {
    let at = at(&reach, &yard, &headers).await?;
    let plan = wish.plan.clone();
    let wish = read(app.store(), &reach, &yard, wish).await?;
    let run = app.runs().begin(&yard, wish, &caller.who().unwrap_or_default(), plan, at).await?;
    super::Changes::note(&app.inner().changes.yards);
    let place = format!("/api/v1/yards/{yard}/runs/{}", run.new.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(RunView::from(run))).into_response())
}

/// A run with its steps
#[utoipa::path(get, path = "/api/v1/yards/{yard}/runs/{run}", tag = "run", security(("token" = [])),
    responses((status = 200, body = RunDetail), (status = "4XX", body = Problem)))]
async fn run_show(
    _: Viewer,
    State(app): State<App>,
    Path((yard, run)): Path<(String, String)>,
) -> Result<Json<RunDetail>, Problem> {
    Ok(Json(find(&app, &yard, &run).await?.into()))
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
) -> Result<StatusCode, Problem> {
    if app.runs().cancel(&yard, &run, &caller.who().unwrap_or_default()) {
        return Ok(StatusCode::ACCEPTED);
    }
    let run: RunView = find(&app, &yard, &run).await?.into();
    Err(Problem::conflict(format!("run {} has ended at {}", run.id, run.ended.unwrap_or_else(|| time(now())))))
}

/// What a reader of a run's events is told next.
struct Followed {
    app: App,
    yard: String,
    id: String,
    going: Option<Arc<Going>>,
    /// Everything up to this number was told.
    seen: u64,
    told: VecDeque<Event>,
    run: Option<RunDetail>,
    over: bool,
    stopping: watch::Receiver<bool>,
}

impl Followed {
    /// The next event; nothing when there are no more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if self.run.is_some() {
                self.wait().await?;
            }
            let (detail, seq) = self.look().await?;
            self.tell(detail, seq);
        }
    }

    /// Waits until something may have changed; nothing if the server stops.
    async fn wait(&mut self) -> Option<()> {
        let Self { app, yard, going: Some(going), seen, stopping, .. } = self else { return Some(()) };
        let mut seq = going.progress().seq();
        let mut runs = app.runs().revisions();
        let changed = async {
            let ended = app.runs().of(yard).is_none_or(|g| !Arc::ptr_eq(&g, going));
            if ended || *seq.borrow_and_update() > *seen {
                return;
            }
            tokio::select! {
                _ = seq.changed() => {}
                _ = runs.changed() => {}
            }
        };
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return None,
            () = changed => {}
        }
        tokio::time::sleep(GATHER).await;
        Some(())
    }

    /// The run as it is, and the number of its last change.
    async fn look(&mut self) -> Option<(RunDetail, u64)> {
        let there = self.app.runs().of(&self.yard);
        self.going = there.filter(|g| g.run().new.id == self.id);
        match &self.going {
            Some(going) => {
                // Before the run is: what changes in between is told twice rather than never.
                let seq = *going.progress().seq().borrow();
                Some((going.run().into(), seq))
            }
            None => {
                let detail = RunDetail::from(self.app.store().run(&self.yard, &self.id).await.ok()??);
                let seq = detail.steps.iter().map(|s| s.seq).max().unwrap_or(0);
                Some((detail, seq))
            }
        }
    }

    fn tell(&mut self, detail: RunDetail, seq: u64) {
        let mut new: Vec<&RunStep> = detail.steps.iter().filter(|s| s.seq > self.seen || self.seen == 0).collect();
        new.sort_by_key(|s| s.seq);
        for step in new {
            self.seen = self.seen.max(step.seq);
            let data = serde_json::to_string(&RunEvent::Step(step.clone())).unwrap_or_default();
            self.told.push_back(Event::default().event("step").id(self.seen.to_string()).data(data));
        }
        self.seen = self.seen.max(seq);
        self.over = detail.run.state != RunState::Running;
        let before = self.run.as_ref();
        if self.over || before.is_none_or(|b| b.run != detail.run || b.notes != detail.notes) {
            let end = RunEvent::Run(RunDetail { steps: Vec::new(), ..detail.clone() });
            let data = serde_json::to_string(&end).unwrap_or_default();
            self.told.push_back(Event::default().event("run").id(self.seen.to_string()).data(data));
        }
        self.run = Some(detail);
    }
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
) -> Result<Response, Problem> {
    find(&app, &yard, &run).await?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let followed = Followed {
        stopping: app.inner().stopping.subscribe(),
        app: app.clone(),
        yard,
        id: run,
        going: None,
        seen: last.unwrap_or(0),
        told: VecDeque::new(),
        run: None,
        over: false,
    };
    let events = unfold(followed, |mut f| async move { Some((Ok::<_, Infallible>(f.next().await?), f)) });
    let events = events.take_until(ended(app, caller).boxed());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(run_list, run_begin))
        .routes(routes!(run_show))
        .routes(routes!(run_cancel))
        .routes(routes!(run_events))
}
