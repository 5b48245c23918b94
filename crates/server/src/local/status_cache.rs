//! Looks at the services of the cloud for those who watch.
//!
//! A look runs the health test of every service, which is a process in each of some thirty containers. So
//! there is one only while somebody watches: at once when Docker tells that something happened to a
//! container of the cloud, else once a minute; and it ends when nobody asked for a while.

use super::LocalCloud;
use crate::own_thread::on_own_thread;
use futures_util::StreamExt;
use parking_lot::{Mutex, MutexGuard};
use stackyard_api::now;
use stackyard_cloud::STACK;
use stackyard_cloud::status::{self, Status};
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::changes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(60);
/// Time after the first of several changes: what else happens meanwhile is seen by the same look.
const GATHER: Duration = Duration::from_secs(2);
/// So long after the last question nobody watches any more.
const IDLE: Duration = Duration::from_secs(600);
/// How long a question waits for the first look.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of the services.
#[derive(Debug, Clone, Default)]
pub struct StatusSnapshot {
    /// As they were at the last look that succeeded.
    pub status: Option<Arc<Status>>,
    /// When that was, in milliseconds since 1970.
    pub looked: Option<i64>,
    /// Why they could not be looked at since.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct CachedStatus {
    now: StatusSnapshot,
    asked: Option<Instant>,
    watched: bool,
}

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct StatusCache {
    state: Mutex<CachedStatus>,
    /// Number of looks.
    looks: watch::Sender<u64>,
}

impl StatusCache {
    fn state(&self) -> MutexGuard<'_, CachedStatus> {
        self.state.lock()
    }
}

impl LocalCloud {
    /// What is known of the services. Waits for the first look.
    pub async fn services(&self) -> StatusSnapshot {
        let sights = &self.0.sights;
        let mut looks = sights.looks.subscribe();
        {
            let mut state = sights.state();
            state.asked = Some(Instant::now());
            if state.watched && (state.now.status.is_some() || state.now.error.is_some()) {
                return state.now.clone();
            }
            if !state.watched {
                state.watched = true;
                tokio::spawn(self.clone().watch());
            }
        }
        let _ = tokio::time::timeout(PATIENCE, looks.changed()).await;
        sights.state().now.clone()
    }

    /// Looks again and again, until nobody watches.
    async fn watch(self) {
        let engine = Docker::connect().await.ok();
        let mut told = engine.as_ref().map(changes);
        loop {
            let changed = self.look().await;
            self.0.sights.looks.send_modify(|n| *n += 1);
            if changed {
                self.changed();
            }
            let happened = async {
                loop {
                    let next = match &mut told {
                        Some(stream) => stream.next().await,
                        None => std::future::pending().await,
                    };
                    match next {
                        Some(Ok(change)) if change.stack == STACK => break,
                        Some(Ok(_)) => {}
                        // The engine is gone; when it is back, the next watch hears it.
                        Some(Err(_)) | None => told = None,
                    }
                }
                tokio::time::sleep(GATHER).await;
            };
            let _ = tokio::time::timeout(EVERY, happened).await;
            let mut state = self.0.sights.state();
            let idle = state.asked.is_none_or(|at| at.elapsed() > IDLE);
            if idle || self.0.changes.is_closed() {
                state.watched = false;
                drop(state);
                // Whoever watches nevertheless asks again.
                self.changed();
                return;
            }
        }
    }

    /// Looks once; whether what is known changed by it.
    async fn look(&self) -> bool {
        let cloud = self.clone();
        let looked = on_own_thread("services", move || async move {
            let docker = Docker::connect().await.map_err(|e| error_chain(&e))?;
            let local = cloud.local().map_err(crate::api_error::ApiError::into_detail)?;
            status::look(&local, &docker).await.map_err(|e| error_chain(&e))
        });
        let looked = looked.await.flatten();
        let mut state = self.0.sights.state();
        match looked {
            Ok(status) => {
                let same = state.now.error.is_none() && state.now.status.as_deref() == Some(&status);
                state.now = StatusSnapshot { status: Some(Arc::new(status)), looked: Some(now()), error: None };
                !same
            }
            Err(error) => {
                let same = state.now.error.as_ref() == Some(&error);
                state.now.error = Some(error);
                !same
            }
        }
    }
}
