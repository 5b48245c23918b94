//! What all handlers share.

use crate::api_error::ApiError;
use crate::archive::Archives;
use crate::audit::AuditLog;
use crate::auth::{AttemptLimiter, CallerSlots, Connections, Keystones};
use crate::cloud_watcher::CloudWatcher;
use crate::hub::Hub;
use crate::local::LocalCloud;
use crate::manifest;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::readiness::Readiness;
use crate::runs::Runs;
use crate::stack::Stacks;
use crate::volumes::Volumes;
use stackyard_catalog::Problems;
use stackyard_catalog::manifest::Outline;
use stackyard_core::yard::Scope;
use stackyard_store::Store;
use stackyard_yard::Records;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

/// What all handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<AppState>);

/// What an [`App`] is made of.
#[derive(Debug)]
pub(crate) struct AppState {
    pub store: Store,
    pub audit: AuditLog,
    pub hub: Hub,
    pub stacks: Stacks,
    /// Files that stacks carry to their hosts.
    pub archives: Archives,
    pub runs: Runs,
    pub ports: Ports,
    pub volumes: Volumes,
    pub local: LocalCloud,
    pub looks: CloudWatcher,
    pub limiter: AttemptLimiter,
    /// Answers without an end.
    pub endless: CallerSlots,
    /// Large bodies that are being read.
    pub bodies: CallerSlots,
    pub keystones: Keystones,
    /// Who is connected.
    pub connections: Connections,
    /// What Prometheus reads.
    pub metrics: Metrics,
    pub readiness: Readiness,
    /// End of the server's certificate, in seconds since 1970.
    pub certificate_ends: i64,
    /// State directory of the server.
    pub dir: PathBuf,
    /// `https://host:port` that hosts use unless told otherwise.
    pub url: String,
    pub ca_pem: String,
    pub ca_sha256: String,
    /// Names and addresses in the server's certificate.
    pub names: BTreeSet<String>,
    pub listen: Vec<String>,
    pub started: i64,
    pub changes: ChangeCounters,
    pub turns: WriteLocks,
    /// Becomes true when the server stops: answers without an end must end then.
    pub stopping: watch::Sender<bool>,
}

/// Held while something of a kind is looked at and changed, so that nobody is quicker in between. The store is
/// this process's alone.
#[derive(Debug, Default)]
pub(crate) struct WriteLocks {
    pub hosts: Mutex<()>,
    pub stacks: Mutex<()>,
    pub secrets: Mutex<()>,
    pub tokens: Mutex<()>,
}

/// Numbers that grow with changes of what nothing else watches.
#[derive(Debug, Default)]
pub(crate) struct ChangeCounters {
    pub yards: watch::Sender<u64>,
    /// Tokens and sessions.
    pub tokens: watch::Sender<u64>,
}

impl ChangeCounters {
    /// Says that something changed.
    pub fn note(of: &watch::Sender<u64>) {
        of.send_modify(|n| *n += 1);
    }
}

impl App {
    pub(crate) fn new(inner: AppState) -> Self {
        Self(Arc::new(inner))
    }

    /// What is kept.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The audit log.
    pub(crate) fn audit(&self) -> &AuditLog {
        &self.0.audit
    }

    /// The agents.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The stacks.
    pub fn stacks(&self) -> &Stacks {
        &self.0.stacks
    }

    /// Files that stacks carry to their hosts.
    pub(crate) fn archives(&self) -> &Archives {
        &self.0.archives
    }

    /// Runs of yards.
    pub fn runs(&self) -> &Runs {
        &self.0.runs
    }

    /// The cloud of this machine.
    pub fn local(&self) -> &LocalCloud {
        &self.0.local
    }

    /// Ports of containers.
    pub(crate) fn ports(&self) -> &Ports {
        &self.0.ports
    }

    /// Cinder volumes of stacks.
    pub(crate) fn volumes(&self) -> &Volumes {
        &self.0.volumes
    }

    /// Looks at clouds.
    pub(crate) fn looks(&self) -> &CloudWatcher {
        &self.0.looks
    }

    pub(crate) fn limiter(&self) -> &AttemptLimiter {
        &self.0.limiter
    }

    pub(crate) fn keystones(&self) -> &Keystones {
        &self.0.keystones
    }

    pub(crate) fn inner(&self) -> &AppState {
        &self.0
    }

    /// The records of the yards of this machine.
    pub(crate) fn records(&self) -> Records {
        Records::new(self.0.dir.parent().unwrap_or(&self.0.dir))
    }

    /// The manifest of a yard that was last applied: the server's, else the command line's of this machine.
    ///
    /// # Errors
    /// 500.
    pub(crate) async fn manifest_of(&self, yard: &str) -> Result<Option<String>, ApiError> {
        if let Some(kept) = self.store().yard(yard).await? {
            return Ok(Some(kept.manifest));
        }
        let scope = self.store().scope_of(yard).await?.as_deref().and_then(Scope::parse);
        self.records().read(yard, scope.as_ref()).map_err(ApiError::internal)
    }

    /// What a manifest of a yard, from [`Self::manifest_of`], means ([`manifest::outline_of`]).
    ///
    /// # Errors
    /// 500.
    pub(crate) async fn outline_of(
        &self,
        yard: &str,
        file: &str,
        text: &str,
    ) -> Result<Result<Outline, Problems>, ApiError> {
        Ok(manifest::outline_of(self.store(), yard, file, text).await?)
    }
}
