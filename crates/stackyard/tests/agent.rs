//! The real agent against the real server, both as processes: joining, deployments, reports, and
//! reconnecting with back-off. There is no Docker Engine: the agent reports what it cannot run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest time that the test waits for anything.
const PATIENCE: Duration = Duration::from_secs(40);

/// A process that is killed at the end of its test.
struct Process(Child);

impl Process {
    /// SIGKILL.
    fn kill(&mut self) {
        self.0.kill().ok();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server's home and a host's files, on one port.
struct Fixture {
    dir: TempDir,
    port: u16,
}

impl Fixture {
    fn new() -> Self {
        // A free port. A restarted server must listen on the same one.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { dir: tempfile::tempdir().unwrap(), port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
        command.arg("--home").arg(self.path("home")).args(arguments).env_clear();
        command.env("DOCKER_HOST", format!("unix://{}", self.path("no-engine").display()));
        command.env("HOME", self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    fn serve(&self) -> Process {
        let server = Process(self.command(&["server", "--listen", &self.address()]).spawn().unwrap());
        self.until("the server", || self.run(&["server", "status"]).status.success());
        server
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Options for the paths of the agent's files.
    fn place(&self) -> [String; 4] {
        let text = |name| self.path(name).display().to_string();
        ["--config".to_owned(), text("agent.json"), "--state".to_owned(), text("state")]
    }

    /// Has this machine join as a host; the join token.
    fn join(&self, name: &str, label: &str) -> String {
        let line = self.ok(&["host", "join", "--yard", "shop", "--name", name, "--label", label]);
        let token = line.split_whitespace().find_map(|w| w.strip_prefix("STACKYARD_JOIN_TOKEN=")).unwrap();
        std::fs::write(self.path("token"), token).unwrap();
        assert!(self.join_command().args(self.place()).status().unwrap().success());
        token.to_owned()
    }

    /// `agent join` with the join token of [`Self::join`].
    fn join_command(&self) -> Command {
        let mut command = self.command(&["agent", "join", "--server"]);
        command.arg(format!("https://{}", self.address())).arg("--ca").arg(self.path("home/server/ca.pem"));
        command.arg("--token").arg(self.path("token"));
        command
    }

    fn agent(&self) -> Process {
        // Not Docker's own directory: Docker keeps asking a plugin that it found there.
        let plugins = self.path("plugins");
        Process(self.command(&["agent", "run", "--plugins"]).arg(plugins).args(self.place()).spawn().unwrap())
    }

    fn agent_knows(&self) -> (Option<i32>, Value) {
        let place = self.place();
        let mut arguments = vec!["--json", "agent", "status"];
        arguments.extend(place.iter().map(String::as_str));
        let output = self.run(&arguments);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }

    fn host(&self) -> Value {
        let hosts = self.json(&["--json", "host", "list", "--yard", "shop"]);
        assert_eq!(hosts.as_array().unwrap().len(), 1, "{hosts}");
        hosts[0].clone()
    }

    fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn desired(&self) -> Value {
        std::fs::read(self.path("state/desired.json"))
            .ok()
            .and_then(|t| serde_json::from_slice(&t).ok())
            .unwrap_or_default()
    }
}

/// Times of the next `count` connections to `port`, which get no answer.
fn callers(port: u16, count: usize) -> Vec<Instant> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    (0..count).map(|_| listener.accept().map(|_| Instant::now()).unwrap()).collect()
}

#[test]
fn an_agent_joins_deploys_reports_and_reconnects() {
    let fixture = Fixture::new();
    let mut server = fixture.serve();
    let token = fixture.join("web-1", "disk=ssd");
    // The token works for one machine, which does not keep it.
    assert!(!std::fs::read_to_string(fixture.path("agent.json")).unwrap().contains(&token));
    let elsewhere = fixture.path("elsewhere");
    let mut thief = fixture.join_command();
    thief.arg("--config").arg(elsewhere.join("agent.json")).arg("--state").arg(elsewhere.join("state"));
    std::fs::create_dir(&elsewhere).unwrap();
    assert!(!thief.status().unwrap().success());

    let mut agent = fixture.agent();
    fixture.until("the agent connects", || fixture.host()["connected"] == true);
    let host = fixture.host();
    assert_eq!((&host["name"], &host["labels"]["disk"]), (&"web-1".into(), &"ssd".into()), "{host}");
    assert_eq!(host["facts"]["agent"], env!("CARGO_PKG_VERSION"));

    // The agent stores the desired state, and reports why it cannot run it.
    let compose = "name: site\nservices: {app: {image: registry.example/app:1, environment: {KEY: geheim}}}\n";
    std::fs::write(fixture.path("compose.yaml"), compose).unwrap();
    let file = fixture.path("compose.yaml").display().to_string();
    fixture.ok(&["stack", "deploy", "--yard", "shop", "-f", &file, "--detach"]);
    fixture.until("the desired state is on disk", || fixture.desired()["parts"][0]["replicas"]["app-1"].is_object());
    let mode = std::fs::metadata(fixture.path("state/desired.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fixture.until("the report", || {
        let report = &fixture.host()["report"];
        report["revision"] == fixture.desired()["revision"] && report["parts"]["site"]["error"].is_string()
    });

    // Without a server, the agent keeps its state and retries at growing intervals.
    let before = fixture.desired();
    server.kill();
    let calls = callers(fixture.port, 4);
    let pauses: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Between half and all of 2, 4 and 8 seconds, or of 1, 2 and 4 if the first call came at once.
    for (n, pause) in pauses.iter().enumerate() {
        let (least, most) = (500 << n, (2000 << n) + 1000);
        assert!((least..most).contains(&pause.as_millis()), "pause {n}: {pauses:?}");
    }
    let (code, known) = fixture.agent_knows();
    assert!(code == Some(1) && known["runs"] == true && known["problem"].is_string(), "{known}");
    let server = fixture.serve();
    fixture.until("it comes back", || fixture.host()["connected"] == true);
    // Server and agent agree on the desired state after the restart.
    fixture.until("it reports again", || fixture.host()["report"]["parts"]["site"]["error"].is_string());
    assert_eq!(fixture.desired(), before);
    assert_eq!(fixture.host()["id"], host["id"]);

    // A restarted agent is the same host. The server refuses the agent of a removed host.
    agent.kill();
    fixture.until("it is away", || fixture.host()["connected"] == false);
    let _agent = fixture.agent();
    fixture.until("it is there again", || fixture.host()["connected"] == true);
    fixture.ok(&["host", "remove", "shop/web-1"]);
    fixture.until("it is refused", || {
        let (code, known) = fixture.agent_knows();
        code == Some(1) && known["problem"].as_str().is_some_and(|p| p.contains("removed or replaced"))
    });
    assert_eq!(fixture.json(&["--json", "host", "list"]), Value::Array(Vec::new()));
    drop(server);
}

/// A package whose template lists the hosts with the label `db`.
const PACKAGE: [(&str, &str); 3] = [
    (
        "package.yaml",
        "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: cluster, version: 1.0.0}\n\
         questions: [{name: size, type: int, default: 1}]\nsecrets: [{name: key, type: password}]\n",
    ),
    (
        "compose.yaml",
        "services:\n  db:\n    image: registry.example/db:${size}\n    command: ['--at=${host_address}']\n    \
         configs: [db]\n    deploy: {mode: global}\nconfigs: {db: {file: ./config/db.conf}}\n",
    ),
    ("config/db.conf.j2", "{% for h in hosts.db %}{{ h.name }}={{ h.address }}{% endfor %} {{ secrets.key }}\n"),
];

#[test]
fn a_package_is_deployed_to_a_host_that_joined() {
    let fixture = Fixture::new();
    let _server = fixture.serve();
    for (name, text) in PACKAGE {
        let path = fixture.path("cluster").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let dir = fixture.path("cluster").display().to_string();
    let diff = ["stack", "diff", "--yard", "shop", "--package", &dir];
    let deploy = ["stack", "deploy", "--yard", "shop", "--package", &dir, "--detach"];
    let fails = |arguments: &[&str]| {
        let output = fixture.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let error = fails(&deploy);
    assert!(error.contains("config/db.conf.j2:1") && error.contains("host join --label db=yes"), "{error}");
    fixture.join("db-1", "db=yes");
    let address = fixture.host()["address"].as_str().unwrap().to_owned();
    let error = fails(&[&deploy[..], &["--answer", "size=big"]].concat());
    assert!(error.contains("size: `big` is not allowed"), "{error}");
    let error = fails(&[&deploy[..], &["--set", "size=2"]].concat());
    assert!(error.contains("cannot be used with"), "{error}");

    let output = fixture.run(&diff);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "service db is new\n");
    let _agent = fixture.agent();
    fixture.ok(&deploy);
    fixture.until("the desired state is on disk", || fixture.desired()["parts"][0]["replicas"]["db-1"].is_object());
    let desired = fixture.desired().to_string();
    assert!(desired.contains(&format!("--at={address}")), "{desired}");

    // The server keeps the secret, and the package stays as it is until an answer changes.
    assert_eq!(fixture.ok(&diff), "No changes.\n");
    let output = fixture.run(&[&diff[..], &["--answer", "size=2"]].concat());
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "service db is changed: image\n");

    // The address stays until it is changed, to one that the host has.
    let error = fails(&["host", "address", "shop/db-1", "192.0.2.1"]);
    assert!(error.contains(&format!("reports {address}")), "{error}");
    let said = fixture.ok(&["host", "address", "shop/db-1", &address]);
    assert_eq!(said, format!("Others reach shop/db-1 at {address}.\n"));
    assert!(fixture.ok(&["host", "list"]).contains(&address));
}
