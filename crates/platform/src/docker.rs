//! The connection to a Docker Engine.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::RwLock;

/// What the engine, or the way to it, says when a request fails.
pub use bollard::errors::Error as EngineError;

/// Where the engine listens when `DOCKER_HOST` says nothing.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Time for the engine to answer a request's headers; streams may last longer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A connection to a Docker Engine, with the API version that both sides speak.
///
/// Cheap to clone; clones share the connection pool.
#[derive(Debug, Clone)]
pub struct Docker {
    api: bollard::Docker,
    host: String,
    /// Read by what goes on even when nobody waits for it any more.
    under_way: Arc<RwLock<()>>,
}

/// No engine could be talked to.
#[derive(Debug, thiserror::Error)]
#[error("cannot talk to Docker Engine at {host}; is dockerd running, and may this user use it?")]
pub struct ConnectError {
    /// Address that was tried.
    pub host: String,
    /// What went wrong.
    #[source]
    pub source: bollard::errors::Error,
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` names, else to [`DEFAULT_HOST`].
    pub async fn connect() -> Result<Self, ConnectError> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|h| !h.is_empty());
        Self::connect_to(host.as_deref().unwrap_or(DEFAULT_HOST)).await
    }

    /// Connects to `host`: `unix:///path` or `tcp://address:port`.
    ///
    /// The API version becomes the highest one that both sides speak.
    pub async fn connect_to(host: &str) -> Result<Self, ConnectError> {
        let failed = |source| ConnectError { host: host.to_owned(), source };
        let api = bollard::Docker::connect_with_host(host).map_err(failed)?.with_timeout(TIMEOUT);
        let api = api.negotiate_version().await.map_err(failed)?;
        Ok(Self { api, host: host.to_owned(), under_way: Arc::default() })
    }

    /// The engine's API.
    pub fn api(&self) -> &bollard::Docker {
        &self.api
    }

    /// The engine's API for one request that may take up to `limit` to answer.
    pub fn patient(&self, limit: Duration) -> bollard::Docker {
        self.api.clone().with_timeout(limit)
    }

    /// Does `work` to its end, also when the caller is dropped: the engine does what it was told even when
    /// nobody hears its answer, so until then nobody can say what is there.
    pub(crate) async fn finish<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let going = self.under_way.clone().read_owned().await;
        let done = tokio::spawn(async move {
            let done = work.await;
            drop(going);
            done
        });
        match done.await {
            Ok(done) => done,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        }
    }

    /// Waits until containers that were being started, stopped or removed by a caller that was dropped
    /// are: what is seen of them then is what stays.
    pub async fn at_rest(&self) {
        drop(self.under_way.write().await);
    }

    /// Address of the engine, as given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the engine runs on this machine, so that its paths and process ids are ours.
    pub fn is_local(&self) -> bool {
        self.host.starts_with("unix://")
    }
}

/// Whether `error` is the engine's "there is no such thing" (HTTP 404).
pub fn is_not_found(error: &bollard::errors::Error) -> bool {
    status(error) == Some(404)
}

/// HTTP status of the engine's answer, when it answered.
pub fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}
