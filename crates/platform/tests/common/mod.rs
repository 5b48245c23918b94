//! What the tests against a real Docker Engine share.
//!
//! They need an engine that this user may talk to and a static busybox on this machine
//! (Debian: `busybox-static`); without these they fail. Every test has a stack of its own
//! and removes it at the end, also when it fails.

#![allow(clippy::unwrap_used, dead_code, missing_docs, reason = "tests; not every test file uses everything")]

use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::StreamExt;
use stackyard_core::progress::Event;
use stackyard_core::stack::plan::{Plan, container_name};
use stackyard_core::stack::{
    Config, Dependency, DependencyCondition, FileAccess, FileMount, HealthTest, Healthcheck, NetworkMode,
    RestartPolicy, Service, Stack,
};
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::{ApplyOptions, Engine, Error};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const IMAGE: &str = "stackyard-test/busybox:1";

/// A stack of a test with the engine that deploys it.
pub struct Yard {
    pub engine: Engine,
    pub stack: Stack,
    pub options: ApplyOptions,
    pub events: Arc<Mutex<Vec<Event>>>,
    state: tempfile::TempDir,
}

impl Yard {
    /// A stack with a name of its own, without services.
    pub async fn new(name: &str) -> Self {
        let docker = Docker::connect().await.expect("these tests need a Docker Engine");
        ensure_image(&docker).await;
        let state = tempfile::tempdir().unwrap();
        let name = format!("syengine-{name}-{}", std::process::id());
        Self {
            engine: Engine::new(docker, state.path()),
            stack: Stack { name, ..Stack::default() },
            options: ApplyOptions { settle: Duration::from_millis(500), ..ApplyOptions::default() },
            events: Arc::default(),
            state,
        }
    }

    pub fn state_dir(&self) -> &std::path::Path {
        self.state.path()
    }

    pub fn api(&self) -> &bollard::Docker {
        self.engine.docker().api()
    }

    pub fn add(&mut self, name: &str, service: Service) -> &mut Self {
        self.stack.services.insert(name.to_owned(), service);
        self
    }

    pub fn service(&mut self, name: &str) -> &mut Service {
        self.stack.services.get_mut(name).unwrap()
    }

    pub async fn plan(&self) -> Plan {
        self.engine.plan(&self.stack).await.unwrap()
    }

    /// Plans and applies.
    pub async fn try_up(&self) -> Result<Plan, Error> {
        let plan = self.engine.plan(&self.stack).await?;
        let events = self.events.clone();
        let onlooker = move |e: Event| events.lock().unwrap().push(e);
        self.engine.apply(&self.stack, &plan, &self.options, &onlooker).await?;
        Ok(plan)
    }

    pub async fn up(&self) -> Plan {
        self.try_up().await.unwrap_or_else(|e| panic!("{e}"))
    }

    /// Runs a shell line in a service; panics unless it succeeds.
    pub async fn sh(&self, service: &str, line: &str) -> String {
        let argv = ["/bin/sh", "-c", line].map(str::to_owned);
        let out = self.engine.exec(&self.stack.name, service, &argv, |_, _| {}).await.unwrap();
        assert_eq!(out.status, 0, "{line}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    }

    /// Id of a service's container.
    pub async fn id(&self, service: &str) -> String {
        let name = container_name(&self.stack.name, service);
        self.api().inspect_container(&name, None).await.unwrap().id.unwrap()
    }

    /// Id and start time of every container, to see whether anything was touched.
    pub async fn snapshot(&self) -> BTreeMap<String, (String, String)> {
        let mut all = BTreeMap::new();
        for name in self.stack.services.keys() {
            let container = container_name(&self.stack.name, name);
            if let Ok(c) = self.api().inspect_container(&container, None).await {
                all.insert(name.clone(), (c.id.unwrap(), c.state.unwrap().started_at.unwrap()));
            }
        }
        all
    }

    pub fn add_config(&mut self, name: &str, files: &[(&str, &str)]) {
        self.stack.configs.insert(name.to_owned(), config(files));
    }

    /// Removes everything and checks that nothing is left.
    pub async fn end(self) {
        self.engine.remove(&self.stack.name, true, &()).await.unwrap();
        let left = self.engine.observe(&self.stack).await.unwrap();
        assert!(left.containers.is_empty() && left.networks.values().all(|n| n.spec.is_none()), "{left:?}");
        assert!(left.volumes.values().all(|ours| !ours), "{left:?}");
        assert!(!self.state.path().join("stacks").join(&self.stack.name).exists());
    }
}

impl Drop for Yard {
    /// Cleans up after a test that failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (engine, name) = (self.engine.clone(), self.stack.name.clone());
            let cleaner = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let docker = Docker::connect().await.unwrap();
                    let engine = Engine::new(docker, engine.state());
                    let _ = engine.remove(&name, true, &()).await;
                });
            });
            let _ = cleaner.join();
        }
    }
}

/// A service that does nothing and ends quickly when asked to.
pub fn sleeper() -> Service {
    sh("trap 'exit 0' TERM; while :; do sleep 0.2; done")
}

/// A service that runs a shell line.
pub fn sh(line: &str) -> Service {
    Service {
        image: IMAGE.into(),
        command: Some(["/bin/sh", "-c", line].map(str::to_owned).to_vec()),
        stop_grace_period: Some(Duration::from_secs(1)),
        network_mode: NetworkMode::None,
        restart: RestartPolicy::No,
        ..Service::default()
    }
}

pub fn config(files: &[(&str, &str)]) -> Config {
    Config { files: files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect() }
}

pub fn mounted(source: &str, target: &str) -> FileMount {
    FileMount { source: source.into(), target: target.into(), access: FileAccess::default() }
}

pub fn check(line: &str) -> Healthcheck {
    Healthcheck {
        test: HealthTest::Shell(line.into()),
        interval: None,
        timeout: None,
        retries: None,
        start_period: None,
        start_interval: None,
    }
}

pub fn after(condition: DependencyCondition) -> Dependency {
    Dependency { condition, restart: false, required: true }
}

/// Makes the image of all tests from the host's static busybox, once.
pub async fn ensure_image(docker: &Docker) {
    // Importing twice at once would make two images with one name.
    let lock = std::fs::File::create(std::env::temp_dir().join("stackyard-test-image.lock")).unwrap();
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
    if docker.api().inspect_image(IMAGE).await.is_ok() {
        return;
    }
    let busybox =
        std::fs::read("/bin/busybox").expect("these tests need a static busybox: apt-get install busybox-static");
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        tar.append_data(&mut header, path, data).unwrap();
    };
    for dir in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
        add(dir, tar::EntryType::Directory, if dir == "tmp" { 0o1777 } else { 0o755 }, &[]);
    }
    add("etc/passwd", tar::EntryType::Regular, 0o644, b"root:x:0:0:root:/:/bin/sh\napp:x:42425:42425:app:/:/bin/sh\n");
    add("etc/group", tar::EntryType::Regular, 0o644, b"root:x:0:\napp:x:42425:\n");
    add("bin/busybox", tar::EntryType::Regular, 0o755, &busybox);
    for name in [
        "sh", "ls", "cat", "sleep", "echo", "id", "hostname", "touch", "rm", "mkdir", "mount", "grep", "nc", "httpd",
        "wget", "nslookup", "ps", "kill", "true", "false", "test", "stat", "df", "ip", "env", "wc", "nproc", "date",
        "seq", "umount", "sysctl",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox").unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    let (repo, tag) = IMAGE.rsplit_once(':').unwrap();
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(repo)
        .tag(tag)
        .changes(vec!["ENV PATH=/bin".into(), "CMD [\"/bin/sh\"]".into()])
        .build();
    let mut import =
        std::pin::pin!(docker.api().create_image(Some(options), Some(bollard::body_full(bytes.into())), None));
    while let Some(step) = import.next().await {
        step.unwrap();
    }
    drop(lock);
}

/// Removes a container that a test made beside the engine.
pub async fn force_remove(api: &bollard::Docker, name: &str) {
    let _ = api.remove_container(name, Some(RemoveContainerOptionsBuilder::new().force(true).v(true).build())).await;
}

/// State of a service's container, in the engine's words.
pub async fn container_state(yard: &Yard, service: &str) -> String {
    let name = container_name(&yard.stack.name, service);
    yard.api().inspect_container(&name, None).await.unwrap().state.unwrap().status.unwrap().to_string()
}
