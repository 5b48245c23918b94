//! The binary against a fake cloud on this machine: killed with SIGKILL at a hundred moments of
//! `up`, of scaling and of `down`, and while each kind of creation is under way. The next run
//! converges, and a sweep finds nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::{StreamExt, stream};
use serde_json::Value;
use stackyard_fake::{Fake, Fault};
use std::collections::BTreeSet;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::Command;

/// Yards, each of which is killed three times.
const YARDS: u64 = 34;
/// Yards at once.
const PARALLEL: usize = 12;
/// How long the cloud takes to answer.
const ANSWER: Duration = Duration::from_millis(8);
/// How long its servers take to boot.
const BOOT: Duration = Duration::from_millis(200);
/// How long it takes over a request whose caller is killed: the next run has just asked for the same, or has ended.
const LATE: [Duration; 2] = [Duration::from_millis(650), Duration::from_millis(1500)];

/// A fake cloud with a home, a clouds.yaml and a manifest of its own.
struct Fixture {
    fake: Fake,
    dir: TempDir,
    /// Whether `up` may lose data. Recovering from a kill must not need this.
    loses: AtomicBool,
}

impl Fixture {
    async fn new() -> Self {
        let fake = Fake::start(ANSWER).await.unwrap();
        fake.world().take_time(BOOT);
        let dir = tempfile::tempdir().unwrap();
        let clouds = fake.clouds_yaml(&[("fake", "p")]);
        std::fs::write(dir.path().join("clouds.yaml"), clouds).unwrap();
        Self { fake, dir, loses: AtomicBool::new(false) }
    }

    /// Writes the manifest: so many servers behind a balancer.
    fn manifest(&self, servers: usize) {
        let text = format!(
            "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  cloud: fake\n  networks:\n    \
             - {{name: front, cidr: 10.20.0.0/24, router: {{external: public}}}}\n  securityGroups:\n    \
             - {{name: web, rules: [{{proto: tcp, port: 80}}]}}\n  volumes:\n    - {{name: data, size: 1Gi}}\n  servers:\n    \
             - {{name: db, flavor: m1.nano, image: tiny, volumes: [data]}}\n    \
             - {{name: web, count: {servers}, flavor: m1.nano, image: tiny, securityGroups: [web], bootVolume: {{size: 1Gi}}}}\n  \
             loadBalancers:\n    - {{name: all, listeners: [{{port: 80, servers: [web], healthMonitor: {{}}}}]}}\n  \
             objectContainers:\n    - {{name: files, purge: true}}\n  floatingIPs:\n    - {{loadBalancer: all}}\n"
        );
        std::fs::write(self.dir.path().join("yard.yaml"), text).unwrap();
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
        command.args([verb, "--json"]);
        match verb {
            "sweep" => command.args(["--cloud", "fake", "--yard", "shop"]),
            "plan" => command.args(["-f", "yard.yaml"]),
            _ => command.args(["-f", "yard.yaml", "--yes"]),
        };
        if verb == "down" || verb == "up" && self.loses.load(Ordering::Relaxed) {
            command.arg("--allow-data-loss");
        }
        command.current_dir(self.dir.path()).env_clear();
        command.env("STACKYARD_HOME", self.dir.path().join("home"));
        command.env("OS_CLIENT_CONFIG_FILE", self.dir.path().join("clouds.yaml"));
        command.env("HOME", self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a verb to its end. The error has its output, if the exit code is another.
    async fn run(&self, verb: &str, code: i32) -> Result<Value, String> {
        let limit = Duration::from_secs(90);
        let ended = tokio::time::timeout(limit, self.command(verb).output()).await;
        let Output { status, stdout, stderr } = ended.map_err(|_| format!("{verb} hangs"))?.unwrap();
        let (printed, wrong) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if status.code() != Some(code) {
            return Err(format!("{verb} ended with {status}\n{printed}{wrong}"));
        }
        let last = printed.lines().last().unwrap_or_default();
        serde_json::from_str(last).map_err(|e| format!("{verb} printed {last:?}: {e}"))
    }

    /// Nothing is left to do, and there are so many servers.
    async fn is_up(&self, servers: usize) -> Result<(), String> {
        self.run("plan", 0).await?;
        let there = self.fake.world().count("servers");
        // With the database.
        if there == servers + 1 { Ok(()) } else { Err(format!("there are {there} servers")) }
    }

    /// Nothing is left, and a sweep finds nothing.
    async fn is_down(&self) -> Result<(), String> {
        let left = self.fake.world().left();
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}"));
        }
        let swept = self.run("sweep", 0).await?;
        if swept["found"].as_array().is_some_and(Vec::is_empty) { Ok(()) } else { Err(format!("sweep: {swept}")) }
    }

    /// Runs a verb and kills it after a while.
    async fn kill(&self, verb: &str, after: Duration) {
        let mut child = self.command(verb).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if tokio::time::timeout(after, child.wait()).await.is_err() {
            // SIGKILL.
            child.kill().await.unwrap();
        }
    }
}

/// A moment within `most`: spread, and the same in every run.
fn moment(n: u64, salt: u64, most: Duration) -> Duration {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros((n * 3 + salt + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % micros)
}

/// How long an up, a scaling and a down take when they are left alone.
async fn unharmed() -> [Duration; 3] {
    let fixture = Fixture::new().await;
    let mut took = [Duration::ZERO; 3];
    for (i, (verb, servers)) in [("up", 2), ("up", 4), ("down", 4)].into_iter().enumerate() {
        fixture.manifest(servers);
        let begun = Instant::now();
        fixture.run(verb, 0).await.unwrap();
        took[i] = begun.elapsed();
    }
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
    took
}

async fn killed(n: u64, took: [Duration; 3]) -> Result<(), String> {
    let fixture = Fixture::new().await;
    let (few, many) = if n.is_multiple_of(2) { (2, 4) } else { (4, 2) };
    fixture.manifest(few);
    fixture.kill("up", moment(n, 0, took[0])).await;
    if n.is_multiple_of(3) {
        fixture.run("up", 0).await?;
    }
    fixture.manifest(many);
    // Fewer servers are fewer boot volumes.
    fixture.loses.store(many < few, Ordering::Relaxed);
    fixture.kill("up", moment(n, 1, took[1])).await;
    if n % 3 == 1 {
        fixture.run("up", 0).await?;
    }
    fixture.kill("down", moment(n, 2, took[2])).await;

    fixture.run("up", 0).await?;
    fixture.is_up(many).await?;
    fixture.run("down", 0).await?;
    fixture.is_down().await
}

/// A path without the ids in it, which are others in each run.
fn kind(path: &str) -> String {
    let is_id = |part: &str| part.len() == 36 && part.split('-').count() == 5;
    let parts = path.split('/').map(|part| if is_id(part) { "ID" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Kills `up` while the cloud has a request that it will carry out after the next run has looked.
async fn killed_during(path: &str, next: &str, late: Duration) -> Result<(), String> {
    let fixture = Fixture::new().await;
    fixture.manifest(2);
    let (slow, held) = (path.to_owned(), AtomicBool::new(false));
    fixture.fake.fail(move |_, seen| {
        let meant = seen.method == "POST" && kind(&seen.path) == slow && !held.swap(true, Ordering::Relaxed);
        meant.then_some(Fault::DoneLate(late))
    });
    let mut up = fixture.command("up").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asked = async {
        while !fixture.fake.seen().iter().any(|s| s.method == "POST" && kind(&s.path) == path) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.map_err(|_| "was not asked for")?;
    up.kill().await.unwrap();
    let carried_out = Instant::now() + late + ANSWER * 10;
    fixture.run(next, 0).await?;
    tokio::time::sleep_until(carried_out.into()).await;
    if next == "up" {
        fixture.is_up(2).await?;
        fixture.run("down", 0).await?;
    }
    fixture.is_down().await
}

async fn all_well(runs: impl Iterator<Item = (String, impl Future<Output = Result<(), String>>)>) {
    let runs = runs.map(|(name, run)| async move { run.await.err().map(|e| format!("{name}: {e}")) });
    let wrong = stream::iter(runs).buffer_unordered(PARALLEL).filter_map(std::future::ready);
    let wrong: Vec<String> = wrong.collect().await;
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_a_hundred_moments() {
    let took = unharmed().await;
    all_well((0..YARDS).map(|n| (format!("yard {n}"), killed(n, took)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_cloud_makes_something() {
    let fixture = Fixture::new().await;
    fixture.manifest(2);
    fixture.run("up", 0).await.unwrap();
    let posts = fixture.fake.seen().into_iter().filter(|s| s.method == "POST");
    let paths: BTreeSet<String> = posts.map(|s| kind(&s.path)).collect();
    assert!(paths.len() > 10, "{paths:?}");
    let nexts = ["up", "down"].into_iter().flat_map(|next| LATE.map(|late| (next, late)));
    let cases = paths.iter().flat_map(|path| nexts.clone().map(move |(next, late)| (path, next, late)));
    all_well(cases.map(|(path, next, late)| {
        (format!("{path} after {} ms, then {next}", late.as_millis()), killed_during(path, next, late))
    }))
    .await;
}
