//! Whether the server's store can write: bounded in time and in rate, so that probes cost nothing.

use stackyard_core::text::error_chain;
use stackyard_store::Store;
use std::time::{Duration, Instant};

/// Time for the store to write.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store writes once in this time, however often someone asks.
const RATE: Duration = Duration::from_secs(1);

/// Name of the setting that is written.
const SETTING: &str = "ready";

/// Whether the store could write when it was last asked to, and when that was.
#[derive(Debug, Default)]
pub(crate) struct Readiness(tokio::sync::Mutex<Option<(Instant, Result<(), &'static str>)>>);

impl Readiness {
    /// Lets the store write, unless it did a moment ago.
    pub async fn check(&self, store: &Store) -> Result<(), &'static str> {
        let mut last = self.0.lock().await;
        if let Some((_, result)) = last.filter(|(at, _)| at.elapsed() < RATE) {
            return result;
        }
        let now = stackyard_api::now().to_string();
        let result = match tokio::time::timeout(PATIENCE, store.set_setting(SETTING, &now)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!("not ready: {}", error_chain(&error));
                Err("the server's store does not write; its log says more")
            }
            Err(_) => Err("the server's store has not written within 2 s"),
        };
        *last = Some((Instant::now(), result));
        result
    }
}
