//! Runs told as they go, as server-sent events.
//!
//! All steps come first, then those that change; who was away says which change it saw last, and is told
//! those since. Nothing is kept for readers.

use super::endless::until_ended;
use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::Caller;
use crate::runs::ActiveRun;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Serialize;
use stackyard_api::RunStep;
use stackyard_store::Run;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Time between two looks at a run that goes on: what changes meanwhile is told at once.
const GATHER: Duration = Duration::from_millis(200);

/// Time without an event after which a comment is sent.
const ALIVE: Duration = Duration::from_secs(15);

/// A run as it is told.
pub(super) trait FollowedRun: Clone + PartialEq + Serialize + Send + 'static {
    /// A run as it is kept.
    fn of(run: Run) -> Self;

    /// The run that goes on, of a yard or of what else has one at a time.
    fn going(app: &App, yard: &str) -> Option<Arc<ActiveRun>>;
    /// A number that grows when one begins or ends.
    fn changes(app: &App) -> watch::Receiver<u64>;
    /// Takes the steps out: they are told one by one.
    fn take_steps(&mut self) -> Vec<RunStep>;
    /// Whether it goes on no more.
    fn is_over(&self) -> bool;
}

/// What a reader of a run's events is told next.
struct RunFollower<T> {
    app: App,
    yard: String,
    id: String,
    going: Option<Arc<ActiveRun>>,
    /// Everything up to this number was told.
    seen: u64,
    told: VecDeque<Event>,
    /// As it was told last, without steps.
    run: Option<T>,
    over: bool,
    stopping: watch::Receiver<bool>,
}

impl<T: FollowedRun> RunFollower<T> {
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
            let (run, seq) = self.look().await?;
            self.tell(run, seq);
        }
    }

    /// Waits until something may have changed; nothing if the server stops.
    async fn wait(&mut self) -> Option<()> {
        let Self { app, yard, going: Some(going), seen, stopping, .. } = self else { return Some(()) };
        let mut seq = going.progress().seq();
        let mut runs = T::changes(app);
        let changed = async {
            let ended = T::going(app, yard).is_none_or(|g| !Arc::ptr_eq(&g, going));
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
    async fn look(&mut self) -> Option<(T, u64)> {
        let there = T::going(&self.app, &self.yard);
        self.going = there.filter(|g| g.run().new.id == self.id);
        match &self.going {
            Some(going) => {
                // Before the run is: what changes in between is told twice rather than never.
                let seq = *going.progress().seq().borrow();
                Some((T::of(going.run()), seq))
            }
            None => {
                let run = T::of(self.app.store().run(&self.yard, &self.id).await.ok()??);
                let seq = run.clone().take_steps().iter().map(|s| s.seq).max().unwrap_or(0);
                Some((run, seq))
            }
        }
    }

    fn tell(&mut self, mut run: T, seq: u64) {
        let mut new = run.take_steps();
        new.retain(|s| s.seq > self.seen || self.seen == 0);
        new.sort_by_key(|s| s.seq);
        for step in new {
            self.seen = self.seen.max(step.seq);
            self.say("step", &step);
        }
        self.seen = self.seen.max(seq);
        self.over = run.is_over();
        if self.over || self.run.as_ref() != Some(&run) {
            self.say("run", &run);
        }
        self.run = Some(run);
    }

    fn say(&mut self, event: &str, what: &impl Serialize) {
        let data = serde_json::to_string(what).unwrap_or_default();
        self.told.push_back(Event::default().event(event).id(self.seen.to_string()).data(data));
    }
}

/// The events of a run, until it ends or `caller` may read no more.
///
/// # Errors
/// 429
pub(super) fn follow<T: FollowedRun>(
    app: &App,
    caller: Caller,
    yard: String,
    id: String,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let followed = RunFollower::<T> {
        stopping: app.inner().stopping.subscribe(),
        app: app.clone(),
        yard,
        id,
        going: None,
        seen: last.unwrap_or(0),
        told: VecDeque::new(),
        run: None,
        over: false,
    };
    let events = unfold(followed, |mut f| async move { Some((Ok::<_, Infallible>(f.next().await?), f)) });
    let events = until_ended(app, caller, events)?;
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

/// A run that is kept under `key`, as it is now: the store knows it as it was a moment ago.
///
/// # Errors
/// 404
pub(super) async fn find<T: FollowedRun>(app: &App, key: &str, id: &str) -> Result<T, ApiError> {
    let Some(run) = app.store().run(key, id).await? else {
        return Err(ApiError::not_found(format!("there is no run {id}")));
    };
    Ok(T::of(current::<T>(app, run)))
}

/// A run as it is now.
pub(super) fn current<T: FollowedRun>(app: &App, run: Run) -> Run {
    match T::going(app, &run.new.yard).map(|g| g.run()) {
        Some(going) if going.new.id == run.new.id => going,
        _ => run,
    }
}
