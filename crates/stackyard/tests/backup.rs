//! `stackyard server backup` and `restore` as users run them, also killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../store/tests/store/place.rs"]
#[allow(dead_code, reason = "the tests of the store use all of it")]
mod place;

use place::Place;
use serde_json::Value;
use stackyard_server::backup::{self, Passphrase};
use stackyard_store::{Database, Error, StoreSnapshot};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SECRET: &str = "correct horse";

/// The program, with the passphrase in its environment.
fn stackyard(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
    command.arg("--home").arg(home).args(arguments).stdin(Stdio::null());
    for name in ["STACKYARD_SERVER", "STACKYARD_TOKEN", "STACKYARD_DATABASE"] {
        command.env_remove(name);
    }
    command.env("STACKYARD_PASSPHRASE", SECRET);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn run(home: &Path, arguments: &[&str]) -> String {
    ok(&stackyard(home, arguments).output().unwrap())
}

fn fails(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

/// A state directory with a server that runs, and stops with this.
struct RunningServer(TempDir);

impl RunningServer {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        run(home.path(), &["server", "--detach", "--listen", "127.0.0.1:0"]);
        for n in 0..20 {
            run(home.path(), &["token", "create", &format!("t{n}"), "--role", "viewer"]);
        }
        Self(home)
    }

    fn home(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        stackyard(self.home(), &["server", "stop"]).output().ok();
    }
}

#[test]
fn a_running_server_is_backed_up_and_restored() {
    let (server, files, there) = (RunningServer::start(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (file, other) = (path("backup.age"), path("other.age"));
    let printed = run(server.home(), &["server", "backup", &file]);
    assert!(printed.contains(&file) && printed.contains("tokens 20"), "{printed}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let json: Value = serde_json::from_str(&run(server.home(), &["--json", "server", "backup", &other])).unwrap();
    assert_eq!((&json["rows"]["tokens"], &json["database"]), (&20.into(), &"sqlite".into()));
    assert!(json["size"].as_u64().unwrap() > 1_000, "{json}");
    let piped = stackyard(server.home(), &["server", "backup", "-"]).output().unwrap();
    assert!(piped.status.success() && piped.stdout.starts_with(b"age-encryption.org/v1\n"));
    std::fs::write(&other, &piped.stdout).unwrap();
    for file in [&file, &other] {
        let printed = run(there.path(), &["server", "restore", file, "--check"]);
        assert!(printed.contains("is intact") && printed.contains("tokens 20"), "{printed}");
        assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 0);
    }
    // Who took them is in the audit log, and so is who made the tokens.
    let noted: Value = serde_json::from_str(&run(server.home(), &["--json", "audit", "--kind", "backup"])).unwrap();
    let uid = format!("uid {}", rustix::process::getuid().as_raw());
    assert_eq!(noted.as_array().unwrap().len(), 3, "{noted}");
    assert!(noted.as_array().unwrap().iter().all(|e| e["address"] == uid.as_str() && e["result"] == "done"), "{noted}");
    let options = ["--resource", "tokens", "--from", &uid, "--result", "done", "--since", "1h"];
    let made = run(server.home(), &[&["audit"], options.as_slice()].concat());
    assert!(made.contains("token t7 with the role viewer") && made.lines().count() > 20, "{made}");
    let error = fails(stackyard(server.home(), &["server", "restore", &file]));
    assert!(error.contains("process ") && error.contains("hint: stop it first"), "{error}");
    let printed = run(there.path(), &["server", "restore", &file]);
    assert!(printed.contains("is restored into") && printed.contains(" ago, at 20"), "{printed}");
    let error = fails(stackyard(there.path(), &["server", "restore", &file]));
    assert!(error.contains("cannot restore into") && error.contains("--replace"), "{error}");
    let again = run(there.path(), &["--json", "server", "restore", &file, "--replace"]);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert!(again["replaced"].as_str().unwrap().contains("server.replaced-2"), "{again}");
    // The same tokens, at another address.
    drop(server);
    run(there.path(), &["server", "--detach", "--listen", "127.0.0.1:0"]);
    let server = RunningServer(there);
    let tokens: Value = serde_json::from_str(&run(server.home(), &["--json", "token", "list"])).unwrap();
    assert_eq!(tokens.as_array().unwrap().len(), 20);
}

#[test]
fn a_database_in_the_environment_yields_to_the_options() {
    let (server, files) = (RunningServer::start(), tempfile::tempdir().unwrap());
    let file = files.path().join("backup").to_str().unwrap().to_owned();
    run(server.home(), &["server", "backup", &file]);
    let there = tempfile::tempdir().unwrap();
    let restore = |more: &[&str]| {
        let mut command = stackyard(there.path(), &["server", "restore", &file]);
        command.args(more).env("STACKYARD_DATABASE", "postgres://me@127.0.0.1:1/none");
        command
    };
    ok(&restore(&["--check"]).output().unwrap());
    let error = fails(restore(&[]));
    assert!(error.contains("127.0.0.1:1"), "{error}");
    ok(&restore(&["--sqlite"]).output().unwrap());
    assert!(there.path().join("server/stackyard.db").exists());
}

#[test]
fn a_passphrase_comes_from_a_file_or_the_environment_and_from_nowhere_else() {
    let (server, files) = (RunningServer::start(), tempfile::tempdir().unwrap());
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (file, good, bad, empty) = (path("backup"), path("good"), path("bad"), path("empty"));
    std::fs::write(&good, format!("{SECRET}\n")).unwrap();
    std::fs::write(&bad, "wrong\n").unwrap();
    std::fs::write(&empty, "\n").unwrap();
    let with = |passphrase: &str, verb: &str| {
        let mut command = stackyard(server.home(), &["server", verb, &file, "--passphrase-file", passphrase]);
        command.env_remove("STACKYARD_PASSPHRASE");
        if verb == "restore" {
            command.arg("--check");
        }
        command
    };
    ok(&with(&good, "backup").output().unwrap());
    ok(&with(&good, "restore").output().unwrap());
    ok(&stackyard(server.home(), &["server", "restore", "--check", &file]).output().unwrap());
    let error = fails(with(&bad, "restore"));
    assert!(error.contains("wrong passphrase") && error.contains("hint: "), "{error}");
    let error = fails(with(&empty, "backup"));
    assert!(error.contains("cannot use an empty passphrase"), "{error}");
    let error = fails(with(&path("none"), "backup"));
    assert!(error.contains("cannot read the passphrase in") && error.contains("No such file"), "{error}");
    let mut none = stackyard(server.home(), &["server", "backup", &file]);
    none.env_remove("STACKYARD_PASSPHRASE");
    let error = fails(none);
    assert!(error.contains("no terminal") && error.contains("--passphrase-file"), "{error}");
    let error = fails(stackyard(files.path(), &["server", "backup", &path("x")]));
    assert!(error.contains("there is none") && error.contains("--home"), "{error}");
    assert!(!files.path().join("x.new").exists());
    let error = fails(stackyard(server.home(), &["server", "restore", "--check", &good]));
    assert!(error.contains("not a backup of Stackyard"), "{error}");
}

/// All rows of a store, in order.
async fn rows(database: &Database) -> Vec<String> {
    let (snapshot, mut all) = (StoreSnapshot::begin(database).await.unwrap(), Vec::new());
    let read: Result<(), Error> = snapshot
        .read(|piece| {
            all.extend(piece.rows.iter().map(|row| format!("{} {row:?}", piece.table)));
            Ok(())
        })
        .await;
    read.unwrap();
    all.sort();
    all
}

/// Restores into `home`, kills that after a while, and completes it.
fn killed_and_completed(home: &Path, arguments: &[&str], after: Duration) -> bool {
    let mut child = stackyard(home, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let was_killed = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    loop {
        let output = stackyard(home, arguments).output().unwrap();
        let error = text(&output.stderr);
        if output.status.success() {
            return was_killed;
        }
        // It was complete, or PostgreSQL still rolls the killed one back.
        if error.contains("cannot restore into") && !home.join("server/restoring").exists() {
            assert!(home.join("server/ca.key").exists(), "{error}");
            return was_killed;
        }
        assert!(
            error.contains("another stackyard server uses") && start.elapsed() < Duration::from_secs(10),
            "{error}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_restoration_is_completed_by_the_next() {
    let server = RunningServer::start();
    let archives = server.home().join("server/archives/shop");
    std::fs::create_dir_all(&archives).unwrap();
    // SHA-256 of 4 MiB of zeros.
    let digest = "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8";
    std::fs::write(archives.join(format!("{digest}.tar")), vec![0; 4 << 20]).unwrap();
    run(server.home(), &["server", "stop"]);
    let file = server.home().join("backup");
    let passphrase = Passphrase::new(SECRET.to_owned()).unwrap();
    // Little work for the key, so that the kills hit all the rest.
    backup::write(server.home(), &passphrase, 2, std::fs::File::create(&file).unwrap()).await.unwrap();
    let of_sqlite = |home: &Path| Database::File(home.join("server/stackyard.db"));
    let expected = rows(&of_sqlite(server.home())).await;
    let key = std::fs::read(server.home().join("server/ca.key")).unwrap();

    let postgres = Place::postgres();
    let socket = postgres.dir().to_str().unwrap();
    let mut killed = 0;
    for is_postgres in [false, true] {
        let (mut took, rounds) = (Duration::ZERO, 24);
        for round in 0..=rounds {
            let home = tempfile::tempdir().unwrap();
            let mut arguments = vec!["server", "restore", file.to_str().unwrap()];
            let name = format!("r{round}");
            let url = format!("postgres://stackyard@localhost/{name}?host={socket}");
            if is_postgres {
                ok(&Command::new("createdb").args(["-h", socket, "-U", "stackyard", &name]).output().unwrap());
                arguments.extend(["--database", url.as_str()]);
            }
            let start = Instant::now();
            if round == 0 {
                run(home.path(), &arguments);
                took = start.elapsed();
            } else if killed_and_completed(home.path(), &arguments, took * round / rounds) {
                killed += 1;
            }
            let database = if is_postgres { Database::Url(url.clone()) } else { of_sqlite(home.path()) };
            assert_eq!(rows(&database).await, expected, "round {round}");
            assert_eq!(std::fs::read(home.path().join("server/ca.key")).unwrap(), key, "round {round}");
            assert!(!home.path().join("server/restoring").exists());
        }
        eprintln!("a restoration takes {took:?}");
    }
    assert!(killed > 20, "{killed} restorations were killed");
}
