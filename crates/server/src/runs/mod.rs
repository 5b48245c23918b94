//! Runs: yards brought up and removed in the server's own process.
//!
//! ```text
//! begin ──> take the yard ── look, plan ──> kept: manifest, run ──> carry out ──> how it ended
//!           (one run a yard)  │                (answered here)        │
//!                             └─> a problem: nothing was done         ├─> cancelled: dropped
//!                                                                     └─> killed with its server
//! ```
//!
//! What is done is [`UpOperation`] and [`DownOperation`], as on the command line, with the lock and the record
//! of the same state directory: a `stackyard up` there and a run here never meet. To cancel is to drop
//! what is under way, which to the engine is the same as being killed, so that the next run goes on.
//! A run without an end in the store is of a server that was killed; the next start says so.

mod active_run;
mod progress;
mod request;

pub use active_run::ActiveRun;
pub(crate) use active_run::{RunEnd, RunReporter};
pub use progress::{DurationHistory, Progress, ProgressSnapshot};
pub use request::{FILE, YardIntent};

use crate::api_error::ApiError;
use crate::manifest::keep_manifest;
use crate::metrics::Metrics;
use crate::own_thread::spawn_thread;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};
use stackyard_api::{RunKind, RunState, now};
use stackyard_catalog::manifest::Yard;
use stackyard_client::Client;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::text::error_chain;
use stackyard_core::yard::Kind;
use stackyard_core::yard::plan::Plan;
use stackyard_openstack::{Cloud, Sources};
use stackyard_store::{NewRun, Run, Store};
use stackyard_yard::{
    DataLoss, DeclaredStacks, DownOperation, Error, HookTargets, Records, TemplateRenderer, UpOperation, WorkError,
    connect, scope,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long a server that stops waits until its runs are written down.
const STOP: Duration = Duration::from_secs(5);

/// Runs of a yard that say how long steps usually take.
const HISTORY: u32 = 20;

/// What is to be done, before anybody says yes.
#[derive(Debug)]
pub struct PlanPreview {
    /// The plan.
    pub plan: Plan,
    /// Why it cannot be carried out.
    pub blockers: Vec<String>,
    /// What in the files has no effect.
    pub warnings: Vec<String>,
    /// The cloud.
    pub cloud: String,
}

impl PlanPreview {
    /// SHA-256 of the plan, in hexadecimal digits: who says yes to it says yes to no other.
    pub fn digest(&self) -> String {
        digest(&self.plan)
    }
}

fn digest(plan: &Plan) -> String {
    stackyard_core::text::hex(&Sha256::digest(serde_json::to_vec(plan).unwrap_or_default()))
}

/// The runs of all yards. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runs(Arc<RunsState>);

#[derive(Debug)]
struct RunsState {
    store: Store,
    home: PathBuf,
    sources: Sources,
    renderer: TemplateRenderer,
    /// Where requests of join commands may go: manifests come from callers.
    hook_targets: HookTargets,
    going: Mutex<HashMap<String, Arc<ActiveRun>>>,
    /// Grows when a run begins or ends.
    changes: watch::Sender<u64>,
    /// Its sender goes with the server, and what runs then goes as if the process were killed.
    alive: watch::Receiver<()>,
    /// Counts runs that end.
    metrics: Metrics,
}

/// A yard that is this run's alone until it is dropped.
struct YardClaim {
    runs: Runs,
    yard: String,
    going: Arc<ActiveRun>,
}

impl Drop for YardClaim {
    fn drop(&mut self) {
        self.runs.going().remove(&self.yard);
        self.runs.changed();
    }
}

/// What a run needs, put together before anything is looked at.
struct RunContext {
    client: Client,
    cloud: Cloud,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl RunContext {
    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock())
    }
}

impl Runs {
    /// The runs of the server of state directory `home`, which finds its clouds in `sources` and has
    /// templates of packages rendered by `renderer`. Runs that its predecessor did not end are interrupted. They go without a word when the sender of
    /// `alive` does.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        store: Store,
        home: &Path,
        sources: Sources,
        renderer: TemplateRenderer,
        hook_targets: HookTargets,
        alive: watch::Receiver<()>,
        metrics: Metrics,
    ) -> Result<Self, stackyard_store::Error> {
        store.end_runs(RunState::Interrupted.word(), now()).await?;
        let (going, changes) = (Mutex::default(), watch::Sender::new(0));
        Ok(Self(Arc::new(RunsState {
            store,
            home: home.to_owned(),
            sources,
            renderer,
            hook_targets,
            going,
            changes,
            alive,
            metrics,
        })))
    }

    /// Where clouds are found.
    pub fn sources(&self) -> &Sources {
        &self.0.sources
    }

    /// A number that grows when a run begins or ends.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|n| *n += 1);
    }

    fn going(&self) -> MutexGuard<'_, HashMap<String, Arc<ActiveRun>>> {
        self.0.going.lock()
    }

    /// How many runs go on.
    pub fn active(&self) -> usize {
        self.going().len()
    }

    /// The run of a yard that goes on, if there is one.
    pub fn of(&self, yard: &str) -> Option<Arc<ActiveRun>> {
        self.going().get(yard).filter(|g| g.has_begun()).cloned()
    }

    fn claim(&self, yard: &str, kind: RunKind, actor: &str) -> Result<YardClaim, ApiError> {
        let id = uuid::Uuid::now_v7().to_string();
        let kind = match kind {
            RunKind::Up => "up",
            RunKind::Down => "down",
        };
        let (yard, actor) = (yard.to_owned(), actor.to_owned());
        let new = NewRun {
            id,
            yard: yard.clone(),
            kind: kind.to_owned(),
            revision: None,
            actor,
            began: now(),
            state: String::new(),
        };
        let mut all = self.going();
        if let Some(other) = all.get(&yard) {
            let other = other.row();
            let since = stackyard_api::time(other.began);
            return Err(ApiError::conflict(format!(
                "{} is at work on yard {yard}: `{}`, since {since}, run {}; wait for it, or cancel it",
                other.actor, other.kind, other.id
            )));
        }
        let going = Arc::new(ActiveRun::new(new));
        all.insert(yard.clone(), going.clone());
        Ok(YardClaim { runs: self.clone(), yard, going })
    }

    /// What a wish would do. Changes nothing.
    ///
    /// # Errors
    /// 422 with the mistakes of the manifest or its files, 502 if the cloud does not answer.
    pub async fn plan(&self, yard: &str, wish: &YardIntent) -> Result<PlanPreview, ApiError> {
        let ground = self.ground(wish.cloud(), Arc::new(())).await?;
        let say = say(&ground.warnings);
        let name = ground.cloud.config().name.clone();
        let (plan, blockers) = match wish {
            YardIntent::Up { yard, .. } => {
                let stacks = DeclaredStacks::look(yard, Some(&ground.client), &self.0.renderer, &say).await?;
                let operation = UpOperation::look(yard, &ground.cloud, Some(&ground.client), stacks, &say).await?;
                let operation = operation.limit_hooks(self.0.hook_targets.clone());
                known_here(&yard.intended.yard, operation.service())?;
                operation.snapshot.inventory.warnings().for_each(&say);
                let blockers = operation.preflight().await?.blockers;
                (operation.plan, blockers)
            }
            YardIntent::Down { kinds, .. } => {
                let removal =
                    DownOperation::look(yard, kinds.clone(), &ground.cloud, Some(&ground.client), &say).await?;
                known_here(yard, removal.service())?;
                let blockers = removal.plan.refusals.clone();
                (removal.plan, blockers)
            }
        };
        Ok(PlanPreview { plan, blockers, warnings: ground.warnings(), cloud: name })
    }

    /// The cloud with this name, connected; without one the only one, as on the command line.
    ///
    /// # Errors
    /// 422 if there is no such cloud, 502 if it does not answer.
    pub async fn cloud(&self, name: Option<&str>) -> Result<Cloud, ApiError> {
        Ok(connect(name, &self.0.sources, Arc::new(())).await?)
    }

    /// A client of this very server.
    ///
    /// # Errors
    /// 500
    pub fn client(&self) -> Result<Client, ApiError> {
        Client::socket(&crate::paths::socket(&self.0.home)).map_err(ApiError::internal)
    }

    async fn ground(&self, cloud: Option<&str>, onlooker: Arc<dyn Onlooker>) -> Result<RunContext, ApiError> {
        let cloud = connect(cloud, &self.0.sources, onlooker).await?;
        Ok(RunContext { client: self.client()?, cloud, warnings: Arc::default() })
    }

    /// Begins a run on the caller's terms; answers when it is under way.
    ///
    /// # Errors
    /// As of [`Self::plan`]; 409 while another run goes on, or if the plan is not the one of the terms;
    /// 412 if the revision is another; 422 if data would be lost that may not.
    pub async fn begin(&self, yard: &str, wish: YardIntent, actor: &str, terms: RunTerms) -> Result<Run, ApiError> {
        let kind = if matches!(wish, YardIntent::Up { .. }) { RunKind::Up } else { RunKind::Down };
        let claim = self.claim(yard, kind, actor)?;
        let (told, hears) = oneshot::channel();
        let start = RunStart { terms, told };
        let mut alive = self.0.alive.clone();
        // It goes on when whoever asked goes away.
        spawn_thread("yard", async move || {
            let gone = async { while alive.changed().await.is_ok() {} };
            let work = async {
                match wish {
                    YardIntent::Up { yard, files } => claim.up(&yard, &files, start).await,
                    YardIntent::Down { cloud, has_pools, kinds } => {
                        claim.down(cloud.as_deref(), has_pools, kinds, start).await
                    }
                }
            };
            tokio::select! {
                () = work => {}
                () = gone => {}
            }
        })
        .map_err(ApiError::internal)?;
        hears.await.unwrap_or_else(|_| Err(ApiError::internal("a run ended before it began")))
    }

    /// Cancels a run; whether it went on.
    pub fn cancel(&self, yard: &str, id: &str, actor: &str) -> bool {
        match self.of(yard).filter(|g| g.row().id == id) {
            Some(going) => {
                going.cancel(actor);
                true
            }
            None => false,
        }
    }

    fn is_idle(&self) -> bool {
        self.going().is_empty()
    }

    /// Ends all runs, since the server stops.
    pub async fn stop(&self) {
        let mut changes = self.revisions();
        self.going().values().for_each(|g| g.interrupt());
        let gone = async { while !self.is_idle() && changes.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(STOP, gone).await;
    }
}

/// What a caller has said about a run in addition to what the yard is to be.
#[derive(Debug, Clone, Default)]
pub struct RunTerms {
    /// Digest of the plan that somebody said yes to, if anybody did.
    pub plan: Option<String>,
    /// Whether the data that the plan marks may be lost.
    pub allow_data_loss: bool,
    /// Revision of the yard's manifest that is to be changed (0: there must be none).
    pub at: Option<i64>,
}

impl RunTerms {
    /// Which data a run with this plan may lose: what was confirmed if a plan was, else what it takes.
    fn loss(&self, plan: &Plan) -> DataLoss {
        match (self.allow_data_loss, &self.plan) {
            (true, Some(_)) => DataLoss::confirmed(plan),
            (allowed, _) => DataLoss::allowed_if(allowed),
        }
    }
}

/// How a run begins.
struct RunStart {
    terms: RunTerms,
    told: oneshot::Sender<Result<Run, ApiError>>,
}

impl RunStart {
    /// Whether a plan is the one that somebody said yes to.
    fn check(&self, plan: &Plan) -> Result<(), ApiError> {
        match &self.terms.plan {
            Some(expected) if *expected != digest(plan) => {
                Err(ApiError::conflict("the plan has changed since it was confirmed; plan again, and look at it"))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a yard whose name is another project's at this server, which keeps manifests and runs by name.
fn known_here(yard: &str, service: Option<&Client>) -> Result<(), ApiError> {
    service.map(drop).ok_or_else(|| Error::OtherScope { yard: yard.to_owned() }.into())
}

fn say(warnings: &Arc<Mutex<Vec<String>>>) -> impl Fn(String) + Send + Sync + use<> {
    let warnings = warnings.clone();
    move |text| warnings.lock().push(text)
}

impl YardClaim {
    fn store(&self) -> &Store {
        &self.runs.0.store
    }

    fn note(&self, text: String) {
        self.going.progress().see(Event::Note { step: None, text });
    }

    async fn up(self, yard: &Yard, files: &BTreeMap<String, String>, start: RunStart) {
        let records = Records::new(&self.runs.0.home);
        let say = |text: String| self.note(text);
        let looked = async {
            let ground =
                self.runs.ground(yard.intended.cloud.as_deref(), Arc::new(RunReporter(self.going.clone()))).await?;
            let lock = records.lock(&self.yard, &scope(&ground.cloud).await?)?;
            let renderer = &self.runs.0.renderer;
            let stacks = DeclaredStacks::look(yard, Some(&ground.client), renderer, &say).await?;
            Ok::<_, ApiError>((lock, ground, stacks))
        };
        let (lock, ground, stacks) = match looked.await {
            Ok(looked) => looked,
            Err(problem) => return drop(start.told.send(Err(problem))),
        };
        let looked = async {
            let operation = UpOperation::look(yard, &ground.cloud, Some(&ground.client), stacks, &say).await?;
            let operation = operation.limit_hooks(self.runs.0.hook_targets.clone());
            known_here(&self.yard, operation.service())?;
            operation.snapshot.inventory.warnings().for_each(|text| self.note(text));
            start.check(&operation.plan)?;
            let found = operation.preflight().await?;
            if !found.blockers.is_empty() {
                return Err(Error::Refused(found.blockers).into());
            }
            let loss = start.terms.loss(&operation.plan);
            loss.check(&operation.plan)?;
            operation.take_name().await?;
            let revision = self.keep(yard, files, start.terms.at).await?;
            // First, so that a sweep takes nothing from a yard that is just coming up.
            records.keep(&self.yard, &operation.snapshot.inventory.scope, &yard.text)?;
            self.begin(&operation.plan, Some(revision)).await?;
            Ok::<_, ApiError>((operation, found.choices, loss))
        };
        let (operation, choices, loss) = match looked.await {
            Ok(looked) => looked,
            Err(problem) => return drop(start.told.send(Err(problem))),
        };
        let ear = RunReporter(self.going.clone());
        start.told.send(Ok(self.going.run())).ok();
        let work = async { ended(operation.carry_out(&lock, &choices, &loss, &ear).await.map(drop)) };
        let result = self.going.follow(self.store(), work).await;
        let state = self.going.end(self.store(), result).await;
        self.runs.0.metrics.run_ended(RunKind::Up, state);
    }

    async fn down(self, cloud: Option<&str>, has_pools: bool, kinds: BTreeSet<Kind>, start: RunStart) {
        let records = Records::new(&self.runs.0.home);
        let say = |text: String| self.note(text);
        let looked = async {
            let ground = self.runs.ground(cloud, Arc::new(RunReporter(self.going.clone()))).await?;
            let scope = scope(&ground.cloud).await?;
            let lock = records.lock(&self.yard, &scope)?;
            Ok::<_, ApiError>((lock, scope, ground))
        };
        let (lock, scope, ground) = match looked.await {
            Ok(looked) => looked,
            Err(problem) => return drop(start.told.send(Err(problem))),
        };
        // All goes, also what the cloud makes late of a run that was killed.
        let loss = DataLoss::allowed_if(start.terms.allow_data_loss);
        let looked = async {
            let removal = DownOperation::look(&self.yard, kinds, &ground.cloud, Some(&ground.client), &say).await?;
            known_here(&self.yard, removal.service())?;
            start.check(&removal.plan)?;
            if !removal.plan.refusals.is_empty() {
                return Err(Error::Refused(removal.plan.refusals).into());
            }
            loss.check(&removal.plan)?;
            let there = self.store().yard(&self.yard).await?.map_or(0, |y| y.revision);
            if start.terms.at.is_some_and(|at| at != there) {
                return Err(ApiError::changed(&format!("yard {}", self.yard)));
            }
            self.begin(&removal.plan, None).await?;
            Ok::<_, ApiError>(removal)
        };
        let removal = match looked.await {
            Ok(removal) => removal,
            Err(problem) => return drop(start.told.send(Err(problem))),
        };
        let ear = RunReporter(self.going.clone());
        start.told.send(Ok(self.going.run())).ok();
        let work = async {
            removal.carry_out(&lock, has_pools, &loss, &ear, &say).await?;
            records.forget(&self.yard, &scope).map_err(WorkError::from)
        };
        let mut result = self.going.follow(self.store(), async { ended(work.await) }).await;
        if matches!(result, RunEnd::Well)
            && let Err(error) = self.store().yard_is_gone(&self.yard, None).await
        {
            result = RunEnd::Badly(format!("forgetting the yard: {error}"), Vec::new());
        }
        let state = self.going.end(self.store(), result).await;
        self.runs.0.metrics.run_ended(RunKind::Down, state);
    }

    /// Keeps the manifest; its revision.
    async fn keep(&self, yard: &Yard, files: &BTreeMap<String, String>, at: Option<i64>) -> Result<i64, ApiError> {
        let actor = self.going.row().actor.clone();
        keep_manifest(self.store(), &self.yard, &yard.text, files, &actor, at).await
    }

    /// Writes down that the run begins.
    async fn begin(&self, plan: &Plan, revision: Option<i64>) -> Result<(), ApiError> {
        self.going.progress().expect(plan);
        let before = self.store().runs(&self.yard, None, None, HISTORY).await?;
        let before = before.into_iter().filter_map(|run| serde_json::from_value(run.content).ok());
        self.going.progress().recall(&DurationHistory::of_runs(before));
        self.going.begin(self.store(), revision).await?;
        self.runs.changed();
        Ok(())
    }
}

/// How work on a yard ended.
fn ended(result: Result<(), WorkError>) -> RunEnd {
    let Err(error) = result else { return RunEnd::Well };
    let hints = match &error {
        WorkError::Yard(Error::Steps(failures)) => {
            failures.failed.iter().filter_map(|f| Some((f.key.to_string(), f.hint.clone()?))).collect()
        }
        _ => Vec::new(),
    };
    let hint = match &error {
        WorkError::Yard(error) => error.hint().map(|hint| format!("; {hint}")),
        _ => None,
    };
    RunEnd::Badly(error_chain(&error) + &hint.unwrap_or_default(), hints)
}
