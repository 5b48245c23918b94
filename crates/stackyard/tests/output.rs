//! Snapshots of the main outputs, in `tests/output`. Progress lines are left out, because steps run
//! in parallel.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stackyard_fake::Fake;
use std::fmt::Write;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// A directory with a manifest and the clouds.yaml of a fake cloud.
struct Fixture {
    fake: Fake,
    dir: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("clouds.yaml"), fake.clouds_yaml(&[("fake", "p")])).unwrap();
        Self { fake, dir }
    }

    fn manifest(&self, count: u32) {
        let text = format!(
            "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  cloud: fake\n  networks:\n    \
             - {{name: front, cidr: 10.20.0.0/24, router: {{external: public}}}}\n  volumes:\n    \
             - {{name: data, size: 1Gi}}\n  servers:\n    \
             - {{name: web, count: {count}, flavor: m1.nano, image: tiny, networks: [front]}}\n"
        );
        std::fs::write(self.dir.path().join("yard.yaml"), text).unwrap();
    }

    /// Runs verbs without a terminal, one after the other. Returns exit codes and outputs.
    async fn transcript(&self, verbs: &[&str]) -> String {
        let mut transcript = String::new();
        for verb in verbs {
            let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
            command.args(verb.split(' ')).current_dir(self.dir.path()).env_clear();
            command.env("STACKYARD_HOME", self.dir.path().join("home")).env("HOME", self.dir.path());
            command.env("OS_CLIENT_CONFIG_FILE", self.dir.path().join("clouds.yaml"));
            command.stdin(std::process::Stdio::null()).kill_on_drop(true);
            let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
            let output = output.unwrap_or_else(|_| panic!("{verb} hangs")).unwrap();
            let text = |bytes: Vec<u8>| self.redacted(&String::from_utf8(bytes).unwrap());
            let _ = write!(
                transcript,
                "$ stackyard {verb}\n{}{}exit code {}\n\n",
                text(output.stderr),
                text(output.stdout),
                output.status.code().unwrap()
            );
        }
        transcript
    }

    /// The text without progress lines, and without values that differ between runs.
    fn redacted(&self, text: &str) -> String {
        let text = text.replace(&self.dir.path().display().to_string(), "/dir");
        let lines = text.lines().filter(|line| !line.starts_with('['));
        lines.map(redacted_line).collect()
    }
}

/// A line with `N` for durations, numbers of requests and IDs.
fn redacted_line(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        let unit = words.get(i + 1).map_or("", |next| next.trim_end_matches(['.', ',', ')']));
        let is_measured = word.trim_start_matches('(').starts_with(|c: char| c.is_ascii_digit());
        let is_id = word.len() == 36 && word.matches('-').count() == 4;
        match word.strip_prefix('(') {
            _ if is_id => text += "N",
            open if is_measured && ["s", "requests"].contains(&unit) => text += open.map_or("N", |_| "(N"),
            _ => text += word,
        }
        text += if i + 1 < words.len() { " " } else { "\n" };
    }
    text
}

/// Compares a transcript with `tests/output/NAME.snap`.
fn check(name: &str, transcript: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("output");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, transcript));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yard() {
    let fixture = Fixture::new().await;
    fixture.manifest(1);
    let mut text = fixture.transcript(&["status", "plan", "up", "up --yes", "up", "status", "graph"]).await;
    fixture.manifest(2);
    text += &fixture.transcript(&["plan", "down", "down --yes", "down --yes --allow-data-loss", "down --yes"]).await;
    assert!(fixture.fake.world().left().is_empty());
    check("yard", &text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans() {
    let fixture = Fixture::new().await;
    fixture.manifest(1);
    let mut text = fixture.transcript(&["sweep --cloud fake"]).await;
    fixture.transcript(&["up --yes"]).await;
    std::fs::remove_dir_all(fixture.dir.path().join("home")).unwrap();
    text += &fixture.transcript(&["sweep --cloud fake --yard other"]).await;
    let found = fixture.transcript(&["sweep --cloud fake"]).await;
    assert!(found.contains("This machine does not know these yards."), "{found}");
    text += &fixture.transcript(&["sweep --cloud fake --yes"]).await;
    check("sweep", &text);
}

#[tokio::test]
async fn a_manifest() {
    let fixture = Fixture::new().await;
    let text = fixture.transcript(&["init --cloud fake --no-key", "init --cloud fake --no-key", "init --image none"]);
    let text = text.await + &fixture.transcript(&["init --cloud fake --image none --file other.yaml", "plan"]).await;
    check("init", &text);
}

#[tokio::test]
async fn without_a_server() {
    let fixture = Fixture::new().await;
    fixture.manifest(1);
    let verbs = [
        "server status",
        "server stop",
        "host list",
        "host replace shop/web",
        "stack list --yard shop",
        "stack update --yard shop site web",
        "stack scale --yard shop site web",
        "stack events --yard shop site --kind gone",
        "token list",
        "audit",
        "agent status --config none.json --state state",
        "agent join --server https://none --ca none.pem",
        "net doctor",
        "net ports",
        "net reach",
        "net path",
        "console none",
    ];
    check("without-server", &fixture.transcript(&verbs).await);
}

#[tokio::test]
async fn a_stacks_file() {
    let fixture = Fixture::new().await;
    let mut text = fixture.transcript(&["stack config"]).await;
    let write = |name: &str, text: &str| std::fs::write(fixture.dir.path().join(name), text).unwrap();
    write(
        "compose.yaml",
        "name: shop\nservices:\n  web: {image: 'web:${TAG}', command: serve --colour \"#fff\", ports: ['8080:80'], volumes: ['data:/d'], secrets: [key]}\n  \
         debug: {image: debug, profiles: [full], networks: [front]}\nvolumes: {data: }\nnetworks: {front: {driver: overlay}}\nsecrets: {key: {file: key}}\n",
    );
    write("compose.override.yaml", "services: {web: {environment: {PRICE: 5$$}}}\n");
    write(".env", "TAG=1\n");
    write("key", "hush");
    let verbs = [
        "stack config",
        "stack config --json",
        "stack config --profile full --services",
        "stack config --profile full --images",
        "stack config --volumes",
        "stack config --profile full --networks",
        "stack config --quiet",
        "stack config -f none.yaml",
        "stack config --services --images",
    ];
    text += &fixture.transcript(&verbs).await;
    write("compose.yaml", "services:\n  web: {image: 'web:${TAG}', prots: ['80'], ports: ['x:80']}\n");
    text += &fixture.transcript(&["stack config --set TAG=2 --quiet"]).await;
    assert!(!text.contains("hush"), "{text}");
    check("stack-config", &text);
}

#[tokio::test]
async fn mtu() {
    let fixture = Fixture::new().await;
    let verbs = [
        "net mtu vxlan geneve",
        "net mtu --payload 1500 vxlan:v6",
        "net mtu --underlay 1300 vxlan",
        "net mtu --network none --cloud fake",
        "net mtu nothing",
    ];
    check("mtu", &fixture.transcript(&verbs).await);
}

#[tokio::test]
async fn a_cloud_on_this_machine() {
    let fixture = Fixture::new().await;
    let verbs = ["cloud answers", "cloud answers --set profile=huge --set nonsense=1", "cloud down --purge"];
    check("cloud", &fixture.transcript(&verbs).await);
}
