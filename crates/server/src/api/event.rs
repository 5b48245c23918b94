//! What changed, as it happens.
//!
//! Each event says a number for every noun, which grows when something of it changes; the first one
//! comes at once. A reader that keeps the numbers it saw last knows after any loss of the
//! connection what to read again, so no event needs to be kept and none can be missed.

use super::endless::until_ended;
use crate::access::Viewer;
use crate::api_error::ApiError;
use crate::app::App;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use stackyard_api::{Problem, Revisions};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Time between two events. What changes meanwhile is told with the next one: a reader looks at all
/// hosts for each, and a thousand hosts report at any time.
const GATHER: Duration = Duration::from_millis(500);

/// Time without an event after which a comment is sent.
const ALIVE: Duration = Duration::from_secs(15);

/// What is watched, in the order of [`Revisions`].
struct WatchedCounters {
    started: i64,
    all: [watch::Receiver<u64>; 8],
    stopping: watch::Receiver<bool>,
    first: bool,
}

impl WatchedCounters {
    fn new(app: &App) -> Self {
        let inner = app.inner();
        let changes = &inner.changes;
        let all = [
            app.hub().changes(),
            app.stacks().revisions(),
            changes.yards.subscribe(),
            app.runs().revisions(),
            changes.tokens.subscribe(),
            app.audit().changes(),
            app.looks().changes(),
            app.local().changes(),
        ];
        Self { started: inner.started, all, stopping: inner.stopping.subscribe(), first: true }
    }

    /// The next numbers; nothing when the server stops.
    async fn next(&mut self) -> Option<Revisions> {
        if !self.first {
            let [hosts, stacks, yards, runs, tokens, audit, clouds, local] = &mut self.all;
            tokio::select! {
                _ = self.stopping.wait_for(|stop| *stop) => return None,
                changed = hosts.changed() => changed.ok()?,
                changed = stacks.changed() => changed.ok()?,
                changed = yards.changed() => changed.ok()?,
                changed = runs.changed() => changed.ok()?,
                changed = tokens.changed() => changed.ok()?,
                changed = audit.changed() => changed.ok()?,
                changed = clouds.changed() => changed.ok()?,
                changed = local.changed() => changed.ok()?,
            }
            tokio::time::sleep(GATHER).await;
        }
        self.first = false;
        let all = self.all.each_mut().map(|r| *r.borrow_and_update());
        let [hosts, stacks, yards, runs, tokens, audit, clouds, local] = all;
        Some(Revisions { server: self.started, hosts, stacks, yards, runs, tokens, audit, clouds, local })
    }
}

/// What changed, as server-sent events
///
/// The data of each event `revisions` is a JSON object of `Revisions`. The first comes at once.
#[utoipa::path(get, path = "/api/v1/events", tag = "event", security(("token" = [])),
    responses((status = 200, body = Revisions, content_type = "text/event-stream"), (status = "4XX", body = Problem)))]
async fn event_stream(Viewer(caller): Viewer, State(app): State<App>) -> Result<Response, ApiError> {
    let revisions =
        unfold(WatchedCounters::new(&app), |mut watched| async move { Some((watched.next().await?, watched)) });
    let events = revisions.map(|revisions| {
        let data = serde_json::to_string(&revisions).unwrap_or_default();
        Ok::<_, Infallible>(Event::default().event("revisions").data(data))
    });
    let events = until_ended(&app, caller, events)?;
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(event_stream))
}
