//! One run: what the store knows of it, how far it is, how it is stopped and how it ends.

use super::Progress;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value};
use stackyard_api::{RunState, now};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_store::{NewRun, Run, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the store is told how far a run is.
const KEEP_EVERY: Duration = Duration::from_secs(2);

/// Why a run is to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StopReason {
    No,
    /// Somebody wants it.
    Cancelled(String),
    /// The server stops.
    Server,
}

/// A run that goes on.
#[derive(Debug)]
pub struct ActiveRun {
    new: Mutex<NewRun>,
    progress: Progress,
    /// What is kept beside the steps, by name.
    more: Mutex<Map<String, Value>>,
    stop: watch::Sender<StopReason>,
}

/// How the work of a run ended.
pub(crate) enum RunEnd {
    Well,
    /// Why, and what to do about steps.
    Badly(String, Vec<(String, String)>),
    Cancelled(String),
    /// By the end of the server.
    Interrupted,
}

/// Hears on behalf of a run.
pub(crate) struct RunReporter(pub Arc<ActiveRun>);

impl Onlooker for RunReporter {
    fn see(&self, event: Event) {
        self.0.progress.see(event);
    }
}

impl ActiveRun {
    /// One that has not begun yet.
    pub(crate) fn new(new: NewRun) -> Self {
        let (progress, more) = (Progress::default(), Mutex::default());
        Self { new: Mutex::new(new), progress, more, stop: watch::Sender::new(StopReason::No) }
    }

    pub(crate) fn row(&self) -> MutexGuard<'_, NewRun> {
        self.new.lock()
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether it has begun: one that still looks has not.
    pub(crate) fn has_begun(&self) -> bool {
        !self.row().state.is_empty()
    }

    /// The run as the store has it, with how far it is now.
    pub fn run(&self) -> Run {
        Run { new: self.row().clone(), ended: None, error: None, content: self.content() }
    }

    /// Says something that is kept with the run beside its steps.
    pub(crate) fn attach(&self, name: &str, value: Value) {
        self.more.lock().insert(name.to_owned(), value);
        self.progress.touch();
    }

    /// What the store keeps of it.
    fn content(&self) -> Value {
        let mut content = serde_json::to_value(self.progress.snapshot().0).unwrap_or_default();
        if let Some(fields) = content.as_object_mut() {
            fields.extend(self.more.lock().clone());
        }
        content
    }

    /// Writes down that it begins.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn begin(&self, store: &Store, revision: Option<i64>) -> Result<(), stackyard_store::Error> {
        let new = {
            let mut new = self.row();
            (new.revision, new.state) = (revision, RunState::Running.word().to_owned());
            new.clone()
        };
        store.begin_run(&new, &self.content()).await
    }

    /// Has it stop where it is, on behalf of `who`.
    pub(crate) fn cancel(&self, actor: &str) {
        self.stop.send_replace(StopReason::Cancelled(actor.to_owned()));
    }

    /// Has it stop where it is, since the server stops.
    pub(crate) fn interrupt(&self) {
        self.stop.send_replace(StopReason::Server);
    }

    /// Waits for the work's end, or until the run is stopped; writes down how far it is meanwhile.
    pub(crate) async fn follow(&self, store: &Store, work: impl Future<Output = RunEnd>) -> RunEnd {
        let id = self.row().id.clone();
        let mut stop = self.stop.subscribe();
        let mut kept = 0;
        let mut tick = tokio::time::interval(KEEP_EVERY);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => return ended,
                // The sender goes with the run alone.
                stopped = stop.wait_for(|s| *s != StopReason::No) => return match stopped.as_deref() {
                    Ok(StopReason::Cancelled(actor)) => RunEnd::Cancelled(actor.clone()),
                    _ => RunEnd::Interrupted,
                },
                _ = tick.tick() => {
                    let seq = *self.progress.seq().borrow();
                    if seq > kept && let Err(error) = store.note_run(&id, &self.content()).await {
                        tracing::warn!("{error}: how far run {id} is will be written down later");
                        continue;
                    }
                    kept = seq;
                }
            }
        }
    }

    /// Writes down how it ended, and returns that.
    pub(crate) async fn end(&self, store: &Store, ended: RunEnd) -> RunState {
        let (state, error, hints) = match ended {
            RunEnd::Well => (RunState::Done, None, Vec::new()),
            RunEnd::Badly(error, hints) => (RunState::Failed, Some(error), hints),
            RunEnd::Cancelled(actor) => {
                (RunState::Cancelled, Some(format!("{actor} cancelled it; the next run resumes")), Vec::new())
            }
            RunEnd::Interrupted => (RunState::Interrupted, None, Vec::new()),
        };
        self.progress.conclude(hints);
        let (id, yard) = {
            let row = self.row();
            (row.id.clone(), row.yard.clone())
        };
        let ended = store.end_run(&id, state.word(), error.as_deref(), &self.content(), now()).await;
        if let Err(error) = ended {
            tracing::error!("{error}: that run {id} of {yard} ended as {} is lost", state.word());
        }
        state
    }
}
