//! A manifest with stacks, by the binary: against a fake cloud, with a real server, a real agent
//! and Docker Engine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use stackyard_client::Client;
use stackyard_fake::Fake;
use stackyard_server::daemon;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A fake cloud, a state directory, and a host that joined by hand.
struct Fixture {
    fake: Fake,
    dir: TempDir,
    agent: Option<Child>,
    image: String,
    /// In the names of all that is made.
    tag: String,
}

/// Exit code and output of a verb.
struct CommandOutput {
    code: Option<i32>,
    out: String,
    err: String,
}

impl CommandOutput {
    fn last(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

async fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

impl Fixture {
    async fn new(name: &str) -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let clouds = fake.clouds_yaml(&[("fake", "p")]);
        std::fs::write(dir.path().join("clouds.yaml"), clouds).unwrap();
        let tag = format!("sy{name}{}", std::process::id());
        let fixture = Self { fake, dir, agent: None, image: format!("stackyard-test/{tag}:1"), tag };
        fixture.build().await;
        fixture
    }

    /// An image of nothing but busybox, which no registry has.
    async fn build(&self) {
        let root = self.dir.path().join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in ["sh", "sleep", "true", "cat", "echo"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let make =
            format!("tar -C '{}' -c . | docker import --change 'ENV PATH=/bin' - {}", root.display(), self.image);
        let made = Command::new("sh").args(["-c", &make]).stdout(Stdio::null()).status().await.unwrap();
        assert!(made.success());
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
        command.args(arguments).current_dir(self.dir.path()).env_clear();
        command.env("STACKYARD_HOME", self.home()).env("HOME", self.dir.path()).env("NO_PROGRESS", "1");
        command.env("OS_CLIENT_CONFIG_FILE", self.dir.path().join("clouds.yaml"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> CommandOutput {
        let output = tokio::time::timeout(Duration::from_secs(120), self.command(arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("{arguments:?} hangs")).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        CommandOutput { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a verb, whose exit code must be this one.
    async fn ends(&self, code: i32, arguments: &[&str]) -> CommandOutput {
        let output = self.run(arguments).await;
        assert_eq!(output.code, Some(code), "{arguments:?}: {}{}", output.out, output.err);
        output
    }

    /// A server, and this machine as a host of the yard.
    async fn begin(&mut self) {
        self.ends(0, &["server", "--detach", "--listen", "127.0.0.1:0"]).await;
        let ticket = self.ends(0, &["--json", "host", "join", "--yard", &self.tag, "--name", "here"]).await.last();
        let config =
            json!({"server": [ticket["server"]], "ca": ticket["ca_pem"], "token": ticket["token"], "name": "here"});
        let path = self.dir.path().join("agent.json");
        let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
        std::io::Write::write_all(&mut file, config.to_string().as_bytes()).unwrap();
        let mut agent =
            self.command(&["agent", "run", "--config", "agent.json", "--state", "agent", "--plugins", "plugins"]);
        self.agent = Some(agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(30);
        while self.ends(0, &["--json", "host", "list"]).await.last()[0]["connected"] != true {
            assert!(Instant::now() < until, "the agent does not connect");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn client(&self) -> Client {
        Client::socket(&daemon::socket(&self.home())).unwrap()
    }

    /// Requests to the server that may have changed something.
    async fn changes(&self) -> usize {
        self.client().audit(None, None, 1000).await.unwrap().len()
    }

    fn stack(&self) -> String {
        format!("{}-site", self.tag)
    }

    /// Writes the manifest with these lines about stacks.
    fn manifest(&self, stacks: &str) {
        let head = "apiVersion: stackyard.dev/v1\nkind: Yard";
        let text = format!(
            "{head}\nmetadata: {{name: {}}}\nspec:\n  cloud: fake\n  networks:\n    \
             - {{name: front, cidr: 10.20.0.0/24}}\n{stacks}",
            self.tag
        );
        std::fs::write(self.dir.path().join("yard.yaml"), text).unwrap();
    }

    /// The manifest with a stack whose container runs this.
    fn with_stack(&self, command: &str) {
        let compose = format!(
            "services:\n  web:\n    image: {}\n    command: [sh, -c, '{command}']\n    stop_grace_period: 0s\n    \
             healthcheck: {{test: [CMD, 'true'], interval: 1s}}\n    deploy: {{update_config: {{monitor: 1s}}}}\n",
            self.image
        );
        std::fs::write(self.dir.path().join("compose.yaml"), compose).unwrap();
        self.manifest(&format!("  stacks:\n    - {{name: {}, compose: compose.yaml}}\n", self.stack()));
    }

    async fn containers(&self) -> usize {
        docker(&["ps", "-aq", "--filter", &format!("name=^{}", self.tag)]).await.lines().count()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // The agent would bring back what is removed.
        if let Some(agent) = self.agent.as_mut() {
            let _ = agent.start_kill();
        }
        let home = self.home();
        let stop = std::process::Command::new(env!("CARGO_BIN_EXE_stackyard"));
        let _ = { stop }.arg("--home").arg(home).args(["server", "stop"]).output();
        let clean = format!(
            "docker ps -aq --filter name=^{0} | xargs -r docker rm -f; docker network ls -q --filter name=^{0} | xargs -r docker network rm; \
             docker rmi -f {1}",
            self.tag, self.image
        );
        let _ = std::process::Command::new("sh").args(["-c", &clean]).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yard_with_stacks() {
    let mut fixture = Fixture::new("site").await;
    fixture.with_stack("echo up; exec sleep 1000");
    // Without a server nothing is begun.
    for verb in [&["plan"][..], &["up", "--yes"]] {
        let output = fixture.ends(1, verb).await;
        assert!(
            output.err.contains("has stacks") && output.err.contains("stackyard server --detach"),
            "{}",
            output.err
        );
    }
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
    fixture.begin().await;

    let output = fixture.ends(3, &["plan"]).await;
    assert!(
        output.out.contains(&format!("+ create   stack {}\n             + service web\n", fixture.stack())),
        "{}",
        output.out
    );
    assert!(output.out.contains("3 to create"), "{}", output.out);
    let plan = fixture.ends(3, &["--json", "plan"]).await.last();
    assert_eq!((&plan["summary"]["create"], &plan["plan"]["stacks"][0]["action"]), (&json!(3), &json!("create")));
    let up = fixture.ends(0, &["--json", "up", "--yes"]).await;
    assert!(up.out.contains(&format!("\"step\":\"service {}/web\"", fixture.stack())), "{}", up.out);
    assert_eq!(up.last()["stacks"][fixture.stack()]["health"], "ready");
    assert_eq!(fixture.containers().await, 1);

    // Again: no change anywhere, and quick.
    fixture.fake.fail(|_, _| None);
    let before = fixture.changes().await;
    fixture.ends(0, &["plan"]).await;
    let up = fixture.ends(0, &["--json", "up", "--yes"]).await.last();
    assert_eq!((&up["changed"], &up["mutating_requests"]), (&json!(false), &json!(0)));
    assert!(up["took_s"].as_f64().unwrap() < 3.0, "{up}");
    assert_eq!(fixture.changes().await, before);

    let status = fixture.ends(0, &["status"]).await.out;
    assert!(status.contains("web") && status.contains("1/1") && status.contains("here"), "{status}");
    let status = fixture.ends(0, &["--json", "status"]).await.last();
    assert_eq!(status["stacks"][0]["services"][0]["hosts"], json!({"here": 1}));
    let tree = fixture.ends(0, &["graph"]).await.out;
    assert!(tree.contains("host here") && tree.contains(&format!("service {}/web  ready", fixture.stack())), "{tree}");
    let svg = fixture.ends(0, &["graph", "--svg"]).await.out;
    assert!(svg.contains(&format!("stack {}: 1 of 1 ready", fixture.stack())), "{svg}");

    // The same graph from the command line, which looks itself, and from the server.
    let own = fixture.ends(0, &["--json", "graph"]).await.last();
    let mut asked = fixture.client().graph(&fixture.tag).await.unwrap();
    let cloud = asked.cloud.as_mut().unwrap();
    assert!(cloud.observed_at.take().is_some(), "{cloud:?}");
    assert_eq!(own, serde_json::to_value(&asked).unwrap());
    let container = own["nodes"].as_array().unwrap().iter().find(|n| n["kind"] == "container").unwrap();
    assert_eq!((&container["health"], &container["parent"]), (&json!("ready"), &json!("host/here")));

    // A rollout that fails says why, and with which words.
    fixture.with_stack("echo the reason is this; exit 7");
    let output = fixture.ends(3, &["plan"]).await;
    assert!(output.out.contains("~ service web: command") && output.out.contains("1 to change"), "{}", output.out);
    let output = fixture.ends(1, &["up", "--yes"]).await;
    assert!(output.err.contains("given up") && output.err.contains("the reason is this"), "{}", output.err);
    let status = fixture.ends(1, &["status"]).await.out;
    assert!(status.contains("FAILED"), "{status}");
    // The same again is tried again.
    let output = fixture.ends(3, &["plan"]).await;
    assert!(output.out.contains("it was given up, and is tried again"), "{}", output.out);
    fixture.with_stack("echo better; exec sleep 1000");
    fixture.ends(0, &["up", "--yes"]).await;
    fixture.ends(0, &["status"]).await;

    // Taken out of the manifest, it goes.
    fixture.manifest("");
    let output = fixture.ends(3, &["plan"]).await;
    assert!(output.out.contains(&format!("- remove   stack {}", fixture.stack())), "{}", output.out);
    fixture.ends(0, &["up", "--yes"]).await;
    assert_eq!(fixture.containers().await, 0);
    fixture.ends(0, &["plan"]).await;
    fixture.ends(0, &["down", "--yes"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_over_hosts() {
    let mut fixture = Fixture::new("pack").await;
    fixture.begin().await;
    let package = fixture.dir.path().join("shop");
    std::fs::create_dir_all(package.join("config")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(package.join(name), text).unwrap();
    write(
        "package.yaml",
        "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: shop, version: '1'}\n\
         questions: [{name: title, type: string, required: true}, {name: replicas, type: int, default: 1}]\n\
         secrets: [{name: db, type: password}]\n",
    );
    write(
        "compose.yaml",
        &format!(
            "services:\n  web:\n    image: {}\n    command: [sh, -c, 'exec sleep 1000']\n    stop_grace_period: 0s\n    \
             healthcheck: {{test: [CMD, 'true'], interval: 1s}}\n    secrets: [conf]\n    deploy: {{replicas: $replicas}}\n\
             secrets: {{conf: {{file: ./config/conf}}}}\n",
            fixture.image
        ),
    );
    write("config/conf.j2", "{{ answers.title }} {{ secrets.db }}\n");
    let stacks = |answers: &str| {
        format!("  stacks:\n    - {{name: {}, package: ./shop, answers: {{{answers}}}}}\n", fixture.stack())
    };
    fixture.manifest(&stacks("replicas: 1"));
    let output = fixture.ends(1, &["plan"]).await;
    assert!(output.err.contains("title"), "{}", output.err);

    fixture.manifest(&stacks("title: Ours"));
    let key = format!("package.{}", fixture.stack());
    let plan = fixture.ends(3, &["plan"]).await;
    assert!(fixture.client().secrets(&fixture.tag).await.unwrap().is_empty(), "a plan keeps nothing");
    let up = fixture.ends(0, &["up", "--yes"]).await;
    let kept = fixture.client().secret(&fixture.tag, &key).await.unwrap();
    let password = kept.trim().strip_prefix("db: ").unwrap().trim_matches('"').to_owned();
    assert_eq!(password.len(), 32);
    let container = docker(&["ps", "-q", "--filter", &format!("name=^{}", fixture.tag)]).await;
    let there = docker(&["exec", container.trim(), "cat", "/run/secrets/conf"]).await;
    assert_eq!(there, format!("Ours {password}\n"));

    // The secret is made once.
    let before = fixture.changes().await;
    let again = fixture.ends(0, &["up", "--yes"]).await;
    assert_eq!(fixture.changes().await, before);
    fixture.manifest(&stacks("title: Ours, replicas: 2"));
    let more = fixture.ends(0, &["up", "--yes"]).await;
    assert_eq!(fixture.containers().await, 2);
    assert_eq!(fixture.client().secret(&fixture.tag, &key).await.unwrap(), kept);
    for output in [plan, up, again, more] {
        assert!(!output.out.contains(&password) && !output.err.contains(&password));
    }

    fixture.ends(0, &["down", "--yes"]).await;
    assert_eq!(fixture.containers().await, 0);
    assert!(fixture.client().secrets(&fixture.tag).await.unwrap().is_empty());
}
