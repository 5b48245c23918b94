//! The real agent against the real server, both as processes: joining, what should run, reports,
//! and coming back with back-off. There is no Docker Engine in it: what cannot run is reported.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A process that ends with its test.
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
struct Ground {
    dir: TempDir,
    port: u16,
}

impl Ground {
    fn new() -> Self {
        // Free a moment ago; a server that is started again listens where it did.
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

    /// Options that say where the host's files are.
    fn place(&self) -> [String; 4] {
        let text = |name| self.path(name).display().to_string();
        ["--config".to_owned(), text("agent.json"), "--state".to_owned(), text("state")]
    }

    fn agent(&self) -> Process {
        // Docker asks whoever listened where it looks for plugins.
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

/// Times at which somebody comes to `port`, where nobody answers any more: so many.
fn callers(port: u16, count: usize) -> Vec<Instant> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    (0..count).map(|_| listener.accept().map(|_| Instant::now()).unwrap()).collect()
}

#[test]
fn an_agent_joins_is_told_reports_and_comes_back() {
    let ground = Ground::new();
    let mut server = ground.serve();
    let line = ground.ok(&["host", "join", "--yard", "shop", "--name", "web-1", "--label", "disk=ssd"]);
    let token = line.split_whitespace().find_map(|w| w.strip_prefix("STACKYARD_JOIN_TOKEN=")).unwrap();
    std::fs::write(ground.path("token"), token).unwrap();
    let url = format!("https://{}", ground.address());
    let (ca, file) = (ground.path("home/server/ca.pem"), ground.path("token"));
    let mut join = ground.command(&["agent", "join", "--server", &url]);
    join.arg("--ca").arg(&ca).arg("--token").arg(&file).args(ground.place());
    assert!(join.status().unwrap().success());
    // The token is good for one machine, and it is gone from this one.
    assert!(!std::fs::read_to_string(ground.path("agent.json")).unwrap().contains(token));
    let elsewhere = ground.path("elsewhere");
    let mut thief = ground.command(&["agent", "join", "--server", &url]);
    thief.arg("--ca").arg(&ca).arg("--token").arg(&file);
    thief.arg("--config").arg(elsewhere.join("agent.json")).arg("--state").arg(elsewhere.join("state"));
    std::fs::create_dir(&elsewhere).unwrap();
    assert!(!thief.status().unwrap().success());

    let mut agent = ground.agent();
    ground.until("the agent connects", || ground.host()["connected"] == true);
    let host = ground.host();
    assert_eq!((&host["name"], &host["labels"]["disk"]), (&"web-1".into(), &"ssd".into()), "{host}");
    assert_eq!(host["facts"]["agent"], env!("CARGO_PKG_VERSION"));

    // What should run there comes to its disk, and what keeps it from running to the server.
    let compose = "name: site\nservices: {app: {image: registry.example/app:1, environment: {KEY: geheim}}}\n";
    std::fs::write(ground.path("compose.yaml"), compose).unwrap();
    let file = ground.path("compose.yaml").display().to_string();
    ground.ok(&["stack", "deploy", "--yard", "shop", "-f", &file, "--detach"]);
    ground.until("the desired state is on disk", || ground.desired()["parts"][0]["replicas"]["app-1"].is_object());
    let mode = std::fs::metadata(ground.path("state/desired.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    ground.until("the report", || {
        let report = &ground.host()["report"];
        report["revision"] == ground.desired()["revision"] && report["parts"]["site"]["error"].is_string()
    });

    // Cut off, it stays, keeps what it was told, and calls less and less often.
    let before = ground.desired();
    server.kill();
    let calls = callers(ground.port, 4);
    let pauses: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Between half and all of 2, 4 and 8 seconds, or of 1, 2 and 4 if the first call came at once.
    for (n, pause) in pauses.iter().enumerate() {
        let (least, most) = (500 << n, (2000 << n) + 1000);
        assert!((least..most).contains(&pause.as_millis()), "pause {n}: {pauses:?}");
    }
    let (code, known) = ground.agent_knows();
    assert!(code == Some(1) && known["runs"] == true && known["problem"].is_string(), "{known}");
    let server = ground.serve();
    ground.until("it comes back", || ground.host()["connected"] == true);
    // The server remembers what it told, and the agent what it was told.
    ground.until("it reports again", || ground.host()["report"]["parts"]["site"]["error"].is_string());
    assert_eq!(ground.desired(), before);
    assert_eq!(ground.host()["id"], host["id"]);

    // Killed and started again it is the same host; removed, it is let in no more.
    agent.kill();
    ground.until("it is away", || ground.host()["connected"] == false);
    let _agent = ground.agent();
    ground.until("it is there again", || ground.host()["connected"] == true);
    ground.ok(&["host", "remove", "shop/web-1"]);
    ground.until("it is refused", || {
        let (code, known) = ground.agent_knows();
        code == Some(1) && known["problem"].as_str().is_some_and(|p| p.contains("removed or replaced"))
    });
    assert_eq!(ground.json(&["--json", "host", "list"]), Value::Array(Vec::new()));
    drop(server);
}
