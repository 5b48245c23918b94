//! What the agent's tests share: a hub, the agent in a process of its own that may be killed, a
//! real Docker Engine.

#![allow(clippy::unwrap_used, dead_code, missing_docs, reason = "tests; not every test file uses everything")]

mod hub;
#[path = "../../../platform/tests/common/mod.rs"]
pub mod platform;

pub use hub::Hub;
use stackyard_agent::run::{Options, run};
use stackyard_core::agent::{ContainerReport, ContainerState, Desired, Part, Replica, Report, replica_name};
use stackyard_core::progress::Event;
use stackyard_core::stack::{NetworkMode, RestartPolicy, Service, Stack};
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::Engine;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Directory of the agent that a process is to be.
const TASK: &str = "STACKYARD_TEST_AGENT";

/// Where Docker looks for plugins; a directory of the test unless it is set.
const PLUGINS: &str = "STACKYARD_TEST_PLUGINS";

/// To be called by a test named `the_agent_process` that is ignored.
pub async fn be_the_agent() {
    let dir = PathBuf::from(std::env::var(TASK).unwrap());
    let (config, state) = (dir.join("agent.json"), dir.join("state"));
    let plugins = std::env::var(PLUGINS).map_or_else(|_| dir.join("plugins"), PathBuf::from);
    let options = Options { config, state, plugins, reconcile: Duration::from_secs(5) };
    let say = |event: Event| match event {
        Event::Note { step, text } => eprintln!("agent: {}: {text}", step.unwrap_or_default()),
        Event::Failed { step, error } => eprintln!("agent: {step} FAILED: {error}"),
        Event::Done { step, did, .. } => eprintln!("agent: {step}: {did}"),
        _ => {}
    };
    run(options, Arc::new(say)).await.unwrap();
}

/// A host: a directory, a hub, and the agent's process.
pub struct Host {
    pub hub: Hub,
    pub docker: Docker,
    pub stack: String,
    pub dir: tempfile::TempDir,
    /// Where Docker looks for plugins, if it is to find the agent's.
    pub plugins: Option<PathBuf>,
    agent: Option<Child>,
}

impl Host {
    pub async fn new(name: &str) -> Self {
        let docker = Docker::connect().await.expect("these tests need a Docker Engine");
        platform::ensure_image(&docker).await;
        let hub = Hub::start().await;
        let dir = tempfile::tempdir().unwrap();
        let stack = format!("syagent-{name}-{}", std::process::id());
        let host = Self { hub, docker, stack, dir, plugins: None, agent: None };
        host.hub.inner.joins.lock().unwrap().insert("join-1".into(), None);
        host.configure(&host.hub.ca, Some("join-1"));
        host
    }

    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("agent.json")
    }

    pub fn configure(&self, ca: &str, token: Option<&str>) {
        let config = serde_json::json!({
            "server": self.hub.address(), "ca": ca, "name": "host", "token": token, "mtu": 1450,
        });
        std::fs::write(self.config_path(), config.to_string()).unwrap();
    }

    pub fn start(&mut self) {
        assert!(self.agent.is_none());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "the_agent_process", "--nocapture"])
            .env(TASK, self.dir.path())
            .envs(self.plugins.as_ref().map(|at| (PLUGINS, at)))
            .stdout(Stdio::null())
            .spawn();
        self.agent = Some(child.unwrap());
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        let mut child = self.agent.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn want(&self, revision: u64, parts: Vec<Part>) {
        self.hub.inner.desired.send_replace(Some(Desired { revision, parts }));
    }

    /// Waits until a revision is worked off without errors.
    pub async fn settled(&self, revision: u64) -> Report {
        self.hub
            .report(&format!("revision {revision} settled"), |r| {
                r.revision == revision && r.settled && r.parts.values().all(|p| p.error.is_none())
            })
            .await
    }

    pub fn engine(&self) -> Engine {
        Engine::new(self.docker.clone(), self.dir.path().join("state"))
    }

    /// Ids of the stack's running containers by service, straight from Docker.
    pub async fn running(&self) -> BTreeMap<String, String> {
        use stackyard_core::stack::observed::State;
        let seen = self.engine().look_at(&self.stack).await.unwrap();
        seen.containers.into_iter().filter(|s| s.state == State::Running).map(|s| (s.service, s.id)).collect()
    }

    /// Nothing of the stack is there any more.
    pub async fn nothing_left(&self) {
        let stack = Stack { name: self.stack.clone(), ..Stack::default() };
        let left = self.engine().observe(&stack).await.unwrap();
        assert!(left.containers.is_empty() && left.networks.is_empty(), "{left:?}");
    }

    pub fn state_file(&self, name: &str) -> PathBuf {
        self.dir.path().join("state").join(name)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.agent.is_some() {
            self.kill();
        }
        // Also what a failed test left.
        let (name, state) = (self.stack.clone(), self.dir.path().join("state"));
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = Engine::new(Docker::connect().await.unwrap(), state);
                let _ = engine.remove(&name, true, &()).await;
            });
        });
        let _ = cleaner.join();
    }
}

/// A part with replicas of a service each, all of one generation.
pub fn part(stack: &str, generation: u64, services: &[(&str, Service)]) -> Part {
    let mut whole = Stack { name: stack.to_owned(), ..Stack::default() };
    let (mut replicas, mut generations) = (BTreeMap::new(), BTreeMap::new());
    for (service, it) in services {
        let index = 1 + u32::try_from(replicas.values().filter(|r: &&Replica| r.service == *service).count()).unwrap();
        let name = replica_name(service, index);
        whole.services.insert(name.clone(), it.clone());
        replicas.insert(name.clone(), Replica { service: (*service).to_owned(), index });
        generations.insert(name, generation);
    }
    Part::pack(whole, replicas, generations)
}

/// A service that runs a shell line, on the stack's own network.
pub fn service(line: &str) -> Service {
    let mut service = platform::sh(line);
    service.network_mode = NetworkMode::default();
    service.restart = RestartPolicy::UnlessStopped;
    service.labels.insert("dev.stackyard.test".into(), "agent".into());
    service
}

/// A service that says something once and does nothing then.
pub fn speaker(text: &str) -> Service {
    service(&format!("echo {text}; trap 'exit 0' TERM; while :; do sleep 0.2; done"))
}

pub fn containers(report: &Report, stack: &str) -> BTreeMap<String, ContainerReport> {
    let of = |c: &ContainerReport| (c.replica.to_string(), c.clone());
    report.parts.get(stack).map(|p| p.containers.iter().map(of).collect()).unwrap_or_default()
}

pub fn all_run(report: &Report, stack: &str, count: usize) -> bool {
    let all = containers(report, stack);
    all.len() == count && all.values().all(|c| c.state == ContainerState::Running)
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never came: {what}");
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
