//! The cloud of this machine, as the server sees and changes it.
//!
//! ```text
//! begin ──> take it (one run) ── answers, lock ──> kept: run ──> preflight, images, plan ──┐
//!                                   │               (answered here)                        │
//!                                   └─> a problem: nothing was done        `plan`: it ends here, with the plan
//!                                                                          `up`: the plan that was said yes to
//!                                                                                ──> carry out ──> make ready
//! ```
//!
//! What is done are the functions of the crate `cloud`, as on the command line, under the lock of the same
//! state directory: `stackyard cloud up` there and a run here never meet. A run is kept in the store as
//! those of yards are, under a name that no yard can have ([`KEY`]); it outlives the browser that began it,
//! and to cancel it is to drop what is under way, so that the next one goes on. It ends when the engine has
//! done what it was told, so that a plan made then is one that can be said yes to.

mod status_cache;

pub use status_cache::StatusSnapshot;

use crate::api_error::ApiError;
use crate::own_thread::spawn_thread;
use crate::runs::{ActiveRun, RunEnd, RunReporter};
use parking_lot::{Mutex, MutexGuard};
use stackyard_api::{LocalPlan, LocalPreview, LocalStep, now};
use stackyard_catalog::Question;
use stackyard_cloud::home::{Home, HomeError};
use stackyard_cloud::preflight::{self, Input, Outcome};
use stackyard_cloud::up::{self, PreparedUp};
use stackyard_cloud::{AnswerChanges, Local, assets, down, ready};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::stack::plan::{Action, Plan};
use stackyard_core::text::error_chain;
use stackyard_platform::docker::{ConnectError, Docker};
use stackyard_store::{NewRun, Run, Store};
use status_cache::StatusCache;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// What the store keeps runs of the cloud under; no yard can be called so.
pub const KEY: &str = "@local";

/// Name under which a run keeps its [`LocalPreview`].
const OUTLOOK: &str = "outlook";

/// How long a server that stops waits until its run is written down.
const STOP: Duration = Duration::from_secs(5);

/// How long Docker Engine may take to say that it is there.
const ENGINE: Duration = Duration::from_secs(5);

/// What somebody wants the cloud to be.
#[derive(Debug, Clone)]
pub enum LocalIntent {
    /// To know what bringing it up would do. Images are made, nothing else.
    Plan {
        /// Answers.
        given: AnswerChanges,
        /// Go on in spite of what preflight says.
        force: bool,
    },
    /// Up, as the answers say.
    Up {
        /// Answers.
        given: AnswerChanges,
        /// Go on in spite of what preflight says.
        force: bool,
        /// Digest of the plan that somebody said yes to.
        plan: String,
    },
    /// Down.
    Down {
        /// With all its data.
        purge: bool,
    },
}

impl LocalIntent {
    fn word(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "plan",
            Self::Up { .. } => "up",
            Self::Down { .. } => "down",
        }
    }
}

fn steps(plan: &Plan) -> Vec<LocalStep> {
    let changes = plan.steps.iter().filter(|s| s.action != Action::Keep);
    let word = |action| serde_json::to_value(action).ok().and_then(|v| Some(v.as_str()?.to_owned()));
    let step = |s: &stackyard_core::stack::plan::Step| LocalStep {
        step: s.resource.to_string(),
        action: word(s.action).unwrap_or_default(),
        reasons: s.reasons.clone(),
    };
    changes.map(step).collect()
}

fn local_plan(prepared: &PreparedUp<'_>) -> LocalPlan {
    LocalPlan {
        steps: steps(&prepared.plan),
        summary: prepared.plan.summary().to_string(),
        noop: prepared.plan.is_noop(),
        disturbs: prepared.plan.disturbs(),
        digest: prepared.digest(),
    }
}

fn begin_preview(local: &Local, given: &AnswerChanges, force: bool) -> LocalPreview {
    let pairs = given.set.iter().filter_map(|pair| pair.split_once('='));
    let shown = pairs.filter(|(name, _)| !local.package().question(name).is_some_and(Question::is_secret));
    let set = shown.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    LocalPreview { set, unset: given.unset.clone(), force, ..LocalPreview::default() }
}

/// The preview that a run keeps, if it has one.
pub fn preview_of(run: &Run) -> Option<LocalPreview> {
    serde_json::from_value(run.content.get(OUTLOOK)?.clone()).ok()
}

/// The cloud of this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LocalCloud(Arc<LocalState>);

#[derive(Debug)]
struct LocalState {
    store: Store,
    home: PathBuf,
    /// Where its entry goes, if the server was told.
    clouds_yaml: Option<PathBuf>,
    going: Mutex<Option<Arc<ActiveRun>>>,
    /// Grows when a run begins or ends, and when services are not as they were.
    changes: watch::Sender<u64>,
    sights: StatusCache,
    /// Its sender goes with the server, and what runs then goes as if the process were killed.
    alive: watch::Receiver<()>,
}

/// The cloud is this run's alone until it is dropped.
struct LocalClaim {
    cloud: LocalCloud,
    going: Arc<ActiveRun>,
}

impl Drop for LocalClaim {
    fn drop(&mut self) {
        self.cloud.going().take();
        self.cloud.changed();
    }
}

/// Why answers, the package or the state directory cannot be used.
fn refused(error: &stackyard_cloud::Error) -> ApiError {
    use stackyard_cloud::Error;
    match error {
        Error::NoCloud(_) | Error::Home(HomeError::Locked { .. }) => ApiError::conflict(error_chain(error)),
        Error::Package(stackyard_catalog::Error::Answers(_))
        | Error::Answers(_)
        | Error::Pair(_)
        | Error::Unset { .. } => ApiError::unprocessable(error_chain(error)),
        _ => ApiError::internal(error_chain(error)),
    }
}

/// What preflight is to look for.
///
/// # Errors
/// 422 for bad answers.
pub(crate) fn examine(local: &Local, given: &AnswerChanges) -> Result<Input, ApiError> {
    up::examine(local, given).map_err(|e| match e {
        up::UpError::Local(e) => refused(&e),
        other => ApiError::internal(error_chain(&other)),
    })
}

impl LocalCloud {
    /// The cloud of state directory `home`; its entry goes into `clouds_yaml`, else where `cloud up`
    /// puts it. What it does goes without a word when the sender of `alive` does.
    pub fn new(store: Store, home: &Path, clouds_yaml: Option<PathBuf>, alive: watch::Receiver<()>) -> Self {
        Self(Arc::new(LocalState {
            store,
            home: home.to_owned(),
            clouds_yaml,
            going: Mutex::default(),
            changes: watch::Sender::new(0),
            sights: StatusCache::default(),
            alive,
        }))
    }

    /// A number that grows when a run begins or ends, and while somebody watches when services are not as
    /// they were.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|n| *n += 1);
    }

    fn going(&self) -> MutexGuard<'_, Option<Arc<ActiveRun>>> {
        self.0.going.lock()
    }

    /// The state directory.
    pub fn home(&self) -> &Path {
        &self.0.home
    }

    /// The package with the state directory.
    ///
    /// # Errors
    /// 500
    pub fn local(&self) -> Result<Local, ApiError> {
        let local = Local::embedded(Home::new(&self.0.home)).map_err(|e| refused(&e))?;
        Ok(local.with_clouds_yaml(self.0.clouds_yaml.clone()))
    }

    /// Whether a cloud was brought up from the state directory, and not purged.
    pub fn is_there(&self) -> bool {
        Home::new(&self.0.home).secrets().exists()
    }

    /// Why this server cannot bring a cloud up, and what would be needed; nothing if it can.
    pub async fn obstacles(&self) -> Vec<String> {
        let mut all = Vec::new();
        if !rustix::process::geteuid().is_root() {
            let user = rustix::process::geteuid().as_raw();
            all.push(format!(
                "the server runs as user {user}, and bridges, name spaces and firewall rules need root: start it as root"
            ));
        }
        all.extend(no_engine(Docker::connect(), ENGINE).await);
        all
    }

    /// The run that goes on, if there is one.
    pub fn running(&self) -> Option<Arc<ActiveRun>> {
        self.going().clone().filter(|g| g.has_begun())
    }

    fn claim(&self, word: &str, actor: &str) -> Result<LocalClaim, ApiError> {
        let new = NewRun {
            id: uuid::Uuid::now_v7().to_string(),
            yard: KEY.to_owned(),
            kind: word.to_owned(),
            revision: None,
            actor: actor.to_owned(),
            began: now(),
            state: String::new(),
        };
        let mut slot = self.going();
        if let Some(other) = &*slot {
            let other = other.row();
            let since = stackyard_api::time(other.began);
            return Err(ApiError::conflict(format!(
                "{} is at work on the cloud: `{}`, since {since}, run {}; wait for it, or cancel it",
                other.actor, other.kind, other.id
            )));
        }
        let going = Arc::new(ActiveRun::new(new));
        *slot = Some(going.clone());
        Ok(LocalClaim { cloud: self.clone(), going })
    }

    /// Begins a run; answers when it is under way.
    ///
    /// # Errors
    /// 409 where it cannot be, while another goes on, or when there is nothing to bring down; 422 for
    /// bad answers.
    pub async fn begin(&self, wish: LocalIntent, actor: &str) -> Result<Run, ApiError> {
        let obstacles = self.obstacles().await;
        if !obstacles.is_empty() {
            return Err(ApiError::conflict(obstacles.join("; ")));
        }
        let claim = self.claim(wish.word(), actor)?;
        let (told, hears) = oneshot::channel();
        let mut alive = self.0.alive.clone();
        // It goes on when whoever asked goes away.
        spawn_thread("cloud", async move || {
            let gone = async { while alive.changed().await.is_ok() {} };
            tokio::select! {
                () = claim.work(wish, told) => {}
                () = gone => {}
            }
        })
        .map_err(ApiError::internal)?;
        hears.await.unwrap_or_else(|_| Err(ApiError::internal("a run ended before it began")))
    }

    /// Cancels a run; whether it went on.
    pub fn cancel(&self, id: &str, actor: &str) -> bool {
        let going = self.running().filter(|g| g.row().id == id);
        going.is_some_and(|going| {
            going.cancel(actor);
            true
        })
    }

    fn is_idle(&self) -> bool {
        self.going().is_none()
    }

    /// Ends what goes on, since the server stops.
    pub async fn stop(&self) {
        let mut changes = self.changes();
        if let Some(going) = &*self.going() {
            going.interrupt();
        }
        let gone = async { while !self.is_idle() && changes.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(STOP, gone).await;
    }
}

impl LocalClaim {
    async fn work(self, wish: LocalIntent, told: oneshot::Sender<Result<Run, ApiError>>) {
        let store = &self.cloud.0.store;
        let begun = async {
            let local = self.cloud.local()?;
            let input = match &wish {
                LocalIntent::Plan { given, .. } | LocalIntent::Up { given, .. } => Some(examine(&local, given)?),
                LocalIntent::Down { .. } => {
                    local.entry().map_err(|e| refused(&e))?;
                    None
                }
            };
            let doing = format!("stackyard server, `{}` for {}", wish.word(), self.going.row().actor);
            let lock = local.home().lock(&doing).map_err(|e| refused(&e.into()))?;
            let docker = Docker::connect().await.map_err(|e| ApiError::conflict(error_chain(&e)))?;
            self.going.begin(store, None).await?;
            Ok::<_, ApiError>((local, input, docker, lock))
        };
        let (local, input, docker, _lock) = match begun.await {
            Ok(begun) => begun,
            Err(problem) => return drop(told.send(Err(problem))),
        };
        self.cloud.changed();
        told.send(Ok(self.going.run())).ok();
        let work = async {
            match self.carry_out(&wish, &local, &docker, input.as_ref()).await {
                Ok(()) => RunEnd::Well,
                Err(why) => RunEnd::Badly(why, Vec::new()),
            }
        };
        let ended = self.going.follow(store, work).await;
        // A server that stops has no time for it.
        if !matches!(ended, RunEnd::Interrupted) {
            docker.at_rest().await;
        }
        self.going.end(store, ended).await;
    }

    async fn carry_out(
        &self,
        wish: &LocalIntent,
        local: &Local,
        docker: &Docker,
        input: Option<&Input>,
    ) -> Result<(), String> {
        let ear = RunReporter(self.going.clone());
        let (given, force, yes) = match wish {
            LocalIntent::Down { purge } => {
                return down::run(local, docker, *purge, &ear).await.map_err(|e| error_chain(&e));
            }
            LocalIntent::Plan { given, force } => (given, *force, None),
            LocalIntent::Up { given, force, plan } => (given, *force, Some(plan)),
        };
        let Some(input) = input else { return Ok(()) };
        let mut outlook = begin_preview(local, given, force);
        self.preflight(&mut outlook, input, &ear).await;
        if outlook.blocked && !force {
            return Err("preflight found what stands in the way; nothing was done".to_owned());
        }
        let recipes = assets::recipes().map_err(|e| error_chain(&e))?;
        let prepared = up::prepare(local, docker, &recipes, given, input, &ear).await.map_err(|e| error_chain(&e))?;
        outlook.warnings = prepared.intended.rendered.warnings.iter().map(ToString::to_string).collect();
        let plan = local_plan(&prepared);
        let (digest, expected) = (plan.digest.clone(), plan.steps.clone());
        outlook.plan = Some(plan);
        self.attach(&outlook);
        let Some(yes) = yes else { return Ok(()) };
        if digest != *yes {
            return Err("the plan has changed since it was confirmed; plan again, and look at it".to_owned());
        }
        self.going.progress().expect_steps(expected.into_iter().map(|s| (s.step, s.action)));
        prepared.carry_out(&ear).await.map_err(|e| error_chain(&e))?;
        ready::run(local, &prepared.intended, docker, &recipes.tiny, &ear).await.map_err(|e| error_chain(&e))
    }

    /// Looks at the machine; what is wrong with it is kept with the run.
    async fn preflight(&self, outlook: &mut LocalPreview, input: &Input, ear: &RunReporter) {
        const STEP: &str = "preflight";
        let begun = Instant::now();
        ear.see(Event::Started { step: STEP.to_owned(), doing: "looking at this machine".to_owned() });
        let report = preflight::run(input).await;
        outlook.blocked = report.blocked();
        outlook.problems = report.at_least(Outcome::Warn).cloned().collect();
        self.attach(outlook);
        let did = match outlook.problems.len() {
            0 => "nothing to say".to_owned(),
            1 => "1 thing to know".to_owned(),
            n => format!("{n} things to know"),
        };
        ear.see(Event::Done { step: STEP.to_owned(), did, took: begun.elapsed() });
    }

    fn attach(&self, outlook: &LocalPreview) {
        self.going.attach(OUTLOOK, serde_json::to_value(outlook).unwrap_or_default());
    }
}

/// Why there is no engine for a cloud, if there is none within `limit`.
async fn no_engine(connecting: impl Future<Output = Result<Docker, ConnectError>>, limit: Duration) -> Option<String> {
    match tokio::time::timeout(limit, connecting).await {
        Ok(Ok(docker)) if docker.is_local() => None,
        Ok(Ok(docker)) => Some(format!(
            "the server's Docker Engine is at {}, and the cloud needs the one of its own machine: unset DOCKER_HOST",
            docker.host()
        )),
        Ok(Err(error)) => {
            Some(format!("the cloud needs Docker Engine on the server's machine: {}", error_chain(&error)))
        }
        Err(_) => Some(format!(
            "the cloud needs Docker Engine on the server's machine, which takes connections but did not answer within \
             {} seconds: see what keeps it (`docker version`, `journalctl -u docker`), or start it anew",
            limit.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_hangs_is_told_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        // It takes connections, and nobody reads them.
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let host = format!("unix://{}", path.display());
        let why = no_engine(Docker::connect_to(&host), Duration::from_secs(1)).await.unwrap();
        assert!(why.contains("did not answer within 1 seconds") && why.contains("docker version"), "{why}");
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_told() {
        let why = no_engine(Docker::connect_to("unix:///nowhere/sock"), ENGINE).await.unwrap();
        assert!(why.contains("unix:///nowhere/sock"), "{why}");
    }
}
