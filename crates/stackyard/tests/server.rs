//! The server as users run it: in the background, stopped, killed, started again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A state directory whose server goes with it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_stackyard"))
            .arg("--home")
            .arg(self.0.path())
            .args(arguments)
            .env_remove("STACKYARD_SERVER")
            .env_remove("STACKYARD_TOKEN")
            .output()
            .unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn pid(&self) -> i64 {
        self.json(&["--json", "server", "status"])["pid"].as_i64().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["server", "stop"]);
    }
}

/// Options that listen on any free port. It is another one after a restart, which is nothing to
/// these tests.
const DETACH: [&str; 4] = ["server", "--detach", "--listen", "127.0.0.1:0"];

#[test]
fn a_server_in_the_background() {
    let home = Home::new();
    assert_eq!(home.run(&["server", "status"]).status.code(), Some(1));
    assert!(home.ok(&["server", "stop"]).contains("No server was running"));
    assert!(home.fails(&["host", "list"]).contains("does not answer"));

    assert!(home.ok(&DETACH).contains("The server is running: https://127.0.0.1:"));
    let pid = home.pid();
    assert!(home.ok(&DETACH).contains("is already running"));
    assert!(home.ok(&["server", "--detach"]).contains("is already running"));
    assert_eq!(home.pid(), pid);
    let error = home.fails(&["server", "--detach", "--listen", "127.0.0.1:1", "--name", "x.example"]);
    assert!(error.contains("--listen 127.0.0.1:0") && error.contains("no --name"), "{error}");
    let error = home.fails(&["server"]);
    assert!(error.contains(&format!("process {pid}")), "{error}");

    let start = Instant::now();
    assert!(home.ok(&["server", "stop"]).contains("is stopped"));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(!home.0.path().join("server/socket").exists());
}

#[test]
fn a_server_that_cannot_run_says_why() {
    let home = Home::new();
    let error = home.fails(&["server", "--detach", "--database", "postgres://me:hushhush@127.0.0.1:1/yards"]);
    assert!(error.contains("opening the store postgres://me@127.0.0.1:1/yards"), "{error}");
    assert!(!error.contains("hushhush"), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = home.fails(&["server", "--detach", "--listen", &address]);
    assert!(error.contains(&format!("listening on {address}")), "{error}");
}

/// The metrics at a port of this machine; nothing if nobody listens.
fn metrics_at(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    Some(answer)
}

#[test]
fn metrics_are_shown_where_they_were_last_told_to_be() {
    let home = Home::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (port, address) = (free.to_string(), format!("127.0.0.1:{free}"));
    home.ok(&[DETACH.as_slice(), &["--metrics-listen", &port]].concat());
    assert!(metrics_at(free).unwrap().contains("stackyard_build_info"));
    assert!(home.ok(&["server", "--detach", "--metrics-listen", &address]).contains("is already running"));
    let error = home.fails(&["server", "--detach", "--metrics-listen", ""]);
    assert!(error.contains(&format!("with --metrics-listen {address}")), "{error}");
    home.ok(&["server", "stop"]);
    home.ok(&["server", "--detach"]);
    assert!(metrics_at(free).is_some());
    home.ok(&["server", "stop"]);
    home.ok(&["server", "--detach", "--metrics-listen", ""]);
    assert_eq!(metrics_at(free), None);
    let wrong = home.run(&["server", "--metrics-listen", "x:y"]);
    assert_eq!(wrong.status.code(), Some(2));
    let error = String::from_utf8_lossy(&wrong.stderr);
    assert!(error.contains("expected ADDRESS:PORT"), "{error}");
}

#[test]
fn tokens_and_hosts() {
    let home = Home::new();
    home.ok(&DETACH);
    let url = home.json(&["--json", "server", "status"])["url"].as_str().unwrap().to_owned();
    let token = home.ok(&["token", "create", "ci", "--role", "operator", "--days", "7"]).trim().to_owned();
    assert!(home.ok(&["token", "list"]).contains("operator"));

    // With a token, over HTTPS.
    let ca = home.0.path().join("server/ca.pem");
    let remote = |arguments: &[&str], token: &str| {
        Command::new(env!("CARGO_BIN_EXE_stackyard"))
            .args(["--home", "/nonexistent"])
            .args(arguments)
            .env("STACKYARD_SERVER", &url)
            .env("STACKYARD_TOKEN", token)
            .env("STACKYARD_CA", &ca)
            .output()
            .unwrap()
    };
    let listed = remote(&["host", "list"], &token);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let refused = remote(&["token", "list"], &token);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("needs the role admin"));

    let join = home.ok(&["host", "join", "--yard", "shop", "--label", "disk=ssd"]);
    assert_eq!(join.lines().count(), 1);
    assert!(
        join.contains(&url) && join.contains("sha256sum -c") && join.contains("STACKYARD_JOIN_TOKEN=syj_"),
        "{join}"
    );
    assert!(home.fails(&["host", "drain", "shop/none"]).contains("there is no host shop/none"));
    assert!(home.fails(&["host", "remove", "shop/none"]).contains("there is no host shop/none"));
    home.ok(&["token", "revoke", "ci"]);
    let refused = remote(&["host", "list"], &token);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("revoked"));
    // No token is anywhere on disk.
    let secret = token.trim_start_matches("sya_");
    for entry in std::fs::read_dir(home.0.path().join("server")).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!content.windows(secret.len()).any(|w| w == secret.as_bytes()));
    }
}

fn kill(pid: i64) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    while Path::new(&format!("/proc/{pid}/cmdline")).exists()
        && !std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().is_empty()
    {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_in_the_middle_of_writes_it_keeps_acknowledged_ones() {
    let home = Home::new();
    let mut acknowledged = 0_usize;
    for round in 0..8_u64 {
        home.ok(&DETACH);
        let pid = home.pid();
        let url = home.json(&["--json", "server", "status"])["url"].as_str().unwrap().to_owned();
        let ca = home.0.path().join("server/ca.pem");
        let token = home.ok(&["token", "create", &format!("t{round}"), "--role", "admin"]).trim().to_owned();
        // A client that writes as fast as the server answers.
        let script = format!(
            "n=0; while curl -fsS -o /dev/null --cacert {} -X PUT -H 'Authorization: Bearer {token}' \
             -H 'Content-Type: application/json' -d '{{\"value\":\"x\"}}' {url}/api/v1/yards/shop/secrets/r{round}-$n; \
             do n=$((n+1)); done 2>/dev/null; echo $n",
            ca.display()
        );
        let writer = Command::new("sh").args(["-c", &script]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300 + round * 41));
        kill(pid);
        let output = writer.wait_with_output().unwrap();
        acknowledged += String::from_utf8_lossy(&output.stdout).trim().parse::<usize>().unwrap();
        home.ok(&DETACH);
        let tokens = home.json(&["--json", "token", "list"]);
        assert_eq!(tokens.as_array().unwrap().len(), usize::try_from(round).unwrap() + 1);
        let socket = home.0.path().join("server/socket");
        let list = Command::new("curl")
            .args([
                "-fsS",
                "--unix-socket",
                socket.to_str().unwrap(),
                "http://stackyard/api/v1/yards/shop/secrets?limit=1000",
            ])
            .output()
            .unwrap();
        let secrets: Value = serde_json::from_slice(&list.stdout).unwrap();
        let kept = secrets.as_array().unwrap().len();
        assert!(kept >= acknowledged, "{acknowledged} writes were acknowledged, {kept} are kept");
    }
    assert!(acknowledged > 8, "the writer did not get to write: {acknowledged}");
}
