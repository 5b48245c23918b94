//! What happened to containers of stacks and hosts: what is kept in pages, and what comes as it happens.
//!
//! Numbers of events grow also over restarts of the server, so whoever was away says which one it saw last and is
//! told those since. What came before the server started is not kept.

use super::endless::until_ended;
use super::page::{ListPage, PageQuery, Pager};
use super::{Path, Query};
use crate::access::Viewer;
use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::Caller;
use crate::hub::EventFilter;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::{iter, unfold};
use serde::Deserialize;
use stackyard_api::{ContainerEvent, ContainerEventKind, Problem};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Time without an event after which a comment is sent.
const ALIVE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Only those of these services or replicas (`web`, `web-2`), also those of one host (`web@host-1`), with commas
    /// between them; all if absent.
    #[serde(default)]
    only: String,
    /// Only those of this kind.
    kind: Option<ContainerEventKind>,
}

/// What a stream of events begins with.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamStart {
    /// So many of those that were before, the newest; all that are kept if absent. After `Last-Event-ID` it counts not.
    tail: Option<u32>,
}

impl EventQuery {
    fn of_stack(self, yard: String, stack: String) -> EventFilter {
        EventFilter { yard: Some(yard), stack: Some(stack), ..self.filter() }
    }

    fn of_host(self, host: String) -> EventFilter {
        EventFilter { host: Some(host), ..self.filter() }
    }

    fn filter(self) -> EventFilter {
        let names = self.only.split(',').map(str::trim).filter(|n| !n.is_empty());
        EventFilter { only: names.map(str::to_owned).collect(), kind: self.kind, ..EventFilter::default() }
    }
}

/// A page of what is kept.
fn list(app: &App, page: &Pager, filter: &EventFilter) -> Result<ListPage<ContainerEvent>, ApiError> {
    let before = page.marker().map(str::parse).transpose();
    let before =
        before.map_err(|_| ApiError::bad("`marker` is the number of an event: `Link` of the page before has it"))?;
    let most = usize::try_from(page.reads()).unwrap_or(usize::MAX);
    Ok(page.of(app.hub().events_before(before, most, filter), |e| e.seq.to_string()))
}

/// What a reader is told next.
struct EventFollower {
    app: App,
    filter: EventFilter,
    /// Everything up to this number was told.
    seen: u64,
    told: VecDeque<ContainerEvent>,
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

impl EventFollower {
    /// The next event; nothing when the server stops.
    async fn next(&mut self) -> Option<ContainerEvent> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(event);
            }
            tokio::select! {
                _ = self.stopping.wait_for(|stop| *stop) => return None,
                changed = self.changes.changed() => changed.ok()?,
            }
            self.look();
        }
    }

    fn look(&mut self) {
        // Before the events are: what comes in between is looked for again rather than never.
        let last = self.app.hub().last_event();
        self.told.extend(self.app.hub().events_after(self.seen, &self.filter));
        self.seen = self.told.back().map_or(self.seen, |e| e.seq).max(last);
    }
}

/// What is kept and fits, then what comes, until `caller` may read no more.
fn stream(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    before: &StreamStart,
    filter: EventFilter,
) -> Result<Response, ApiError> {
    let last: Option<u64> = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let (changes, stopping) = (app.hub().changes(), app.inner().stopping.subscribe());
    // A number that is greater than all was told by a server whose clock was wrong.
    let seen = last.unwrap_or(0).min(app.hub().last_event());
    let mut following = EventFollower { app: app.clone(), filter, seen, told: VecDeque::new(), changes, stopping };
    following.look();
    if let (None, Some(tail)) = (last, before.tail) {
        let more = following.told.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        following.told.drain(..more);
    }
    // An id without data is no event, but remembered (WHATWG HTML, 9.2.6): who loses the connection before
    // anything happens goes on from here.
    let begin = Event::default().id(following.told.front().map_or(following.seen, |e| e.seq - 1).to_string());
    let events = unfold(following, |mut f| async move {
        let event = f.next().await?;
        let data = serde_json::to_string(&event).unwrap_or_default();
        Some((Event::default().event("container").id(event.seq.to_string()).data(data), f))
    });
    let events = until_ended(app, caller, iter([begin]).chain(events).map(Ok::<_, Infallible>))?;
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

/// What happened to a stack's containers lately, the newest first
///
/// As their hosts report it, since the server started: 5000 events of all hosts are kept.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}/events", tag = "stack", params(PageQuery, EventQuery),
    security(("token" = [])), responses((status = 200, body = Vec<ContainerEvent>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn stack_events(
    _: Viewer,
    State(app): State<App>,
    Path((yard, stack)): Path<(String, String)>,
    Query(which): Query<EventQuery>,
    page: Pager,
) -> Result<ListPage<ContainerEvent>, ApiError> {
    app.stacks().get(&yard, &stack).await?;
    list(&app, &page, &which.of_stack(yard, stack))
}

/// What happens to a stack's containers, as server-sent events
///
/// First what is kept, the oldest first. The data of each event `container` is a `ContainerEvent`, its id the event's
/// number. With `Last-Event-ID`, as browsers send it after the connection was lost, only what came since is told.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}/events/stream", tag = "stack",
    params(EventQuery, StreamStart, ("Last-Event-ID" = Option<String>, Header, description = "id of the last event that was seen")),
    security(("token" = [])), responses((status = 200, body = ContainerEvent, content_type = "text/event-stream"),
        (status = "4XX", body = Problem)))]
async fn stack_events_stream(
    Viewer(caller): Viewer,
    State(app): State<App>,
    Path((yard, stack)): Path<(String, String)>,
    Query(which): Query<EventQuery>,
    Query(before): Query<StreamStart>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    app.stacks().get(&yard, &stack).await?;
    stream(&app, caller, &headers, &before, which.of_stack(yard, stack))
}

/// What happened to a host's containers lately, the newest first
#[utoipa::path(get, path = "/api/v1/hosts/{id}/events", tag = "host", security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`"), PageQuery, EventQuery),
    responses((status = 200, body = Vec<ContainerEvent>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn host_events(
    _: Viewer,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(which): Query<EventQuery>,
    page: Pager,
) -> Result<ListPage<ContainerEvent>, ApiError> {
    let host = crate::host::find(&app, &id).await?;
    list(&app, &page, &which.of_host(host.id))
}

/// What happens to a host's containers, as server-sent events
///
/// As of a stack.
#[utoipa::path(get, path = "/api/v1/hosts/{id}/events/stream", tag = "host", security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`"), EventQuery, StreamStart,
        ("Last-Event-ID" = Option<String>, Header, description = "id of the last event that was seen")),
    responses((status = 200, body = ContainerEvent, content_type = "text/event-stream"), (status = "4XX", body = Problem)))]
async fn host_events_stream(
    Viewer(caller): Viewer,
    State(app): State<App>,
    Path(id): Path<String>,
    Query(which): Query<EventQuery>,
    Query(before): Query<StreamStart>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let host = crate::host::find(&app, &id).await?;
    stream(&app, caller, &headers, &before, which.of_host(host.id))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(stack_events))
        .routes(routes!(stack_events_stream))
        .routes(routes!(host_events))
        .routes(routes!(host_events_stream))
}
