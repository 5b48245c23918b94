//! A question to ask, and ways to have it answered in another place.

use stackyard_cloud::preflight::{self, Check, Input, Machine, Needs, Outcome, Report, Virtualization};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Address of the engine under test.
pub const DOCKER: &str = "unix:///var/run/docker.sock";

/// Variables by which [`elsewhere`] hands the question over.
const QUESTION: &str = "STACKYARD_TEST_QUESTION";
const ANSWER: &str = "STACKYARD_TEST_ANSWER";
/// A Unix socket that the process in the other place listens on.
const LISTEN: &str = "STACKYARD_TEST_LISTEN";

/// A harmless question about this machine: loopback, no ports, an own state directory.
///
/// KVM counts as tried, so that only tests of KVM start guests.
pub fn question() -> (TempDir, Input) {
    let home = tempfile::tempdir().unwrap();
    let input = Input {
        machine: Machine::this(),
        home: home.path().to_owned(),
        stack: format!("preflight-test-{}", std::process::id()),
        exists: false,
        docker: DOCKER.to_owned(),
        api_address: "127.0.0.1".parse().unwrap(),
        neutron_interface: None,
        external: Some("172.31.250.0/24".parse().unwrap()),
        external_mtu: 1500,
        tenant_mtu: 1442,
        virtualization: Virtualization::Auto,
        ports: vec![],
        needs: Needs { memory: 16, memory_comfort: 64, disk: 16, disk_comfort: 64, cpus: 1 },
        qemu_image: None,
        builds_images: false,
        // Without QEMU and engine nothing can start a guest.
        environment: BTreeMap::from([("PATH".to_owned(), "/nowhere".to_owned())]),
    };
    (home, input)
}

/// Answers the question in this process.
pub fn ask(input: &Input) -> Report {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let report = runtime.block_on(preflight::run(input));
    // A resolver that waits for name servers must not keep the test waiting.
    runtime.shutdown_background();
    report
}

/// The row `id`.
#[track_caller]
pub fn row<'a>(report: &'a Report, id: &str) -> &'a Check {
    report.get(id).unwrap_or_else(|| panic!("no row {id} in {report:#?}"))
}

/// Answers the question and checks the row `id`: its result, and what its text says. A row
/// that is not a pass must say what it means, and a blocker how to mend it.
#[track_caller]
pub fn expect(report: &Report, id: &str, result: Outcome, says: &str) {
    let row = row(report, id);
    let text =
        format!("{} | {} | {}", row.seen, row.means.as_deref().unwrap_or("-"), row.mend.as_deref().unwrap_or("-"));
    assert_eq!(row.result, result, "{id}: {text}");
    assert!(text.contains(says), "{id} does not say {says:?}: {text}");
    assert!(row.result == Outcome::Pass || row.means.is_some(), "{id} does not say what it means: {text}");
    assert!(row.result < Outcome::Warn || row.mend.is_some(), "{id} does not say how to mend it: {text}");
    assert_eq!(report.blocked(), report.count(Outcome::Fail) > 0);
}

/// Another place to answer a question in: `unshare` with these options, prepared by a script.
#[derive(Default)]
pub struct Place<'a> {
    /// Options of unshare(1): `-nm`.
    pub unshare: &'a str,
    /// Shell commands that prepare it; `--` ends them with the question being asked.
    pub script: &'a str,
    /// A Unix socket that somebody listens on.
    pub listen: Option<&'a str>,
    /// A command in front of the one that asks, such as `setpriv --reuid 65534`.
    pub through: &'a str,
}

impl<'a> Place<'a> {
    /// With options of unshare(1), prepared by a script.
    pub fn new(unshare: &'a str, script: &'a str) -> Self {
        Self { unshare, script, ..Self::default() }
    }
}

/// Answers the question in another place.
#[track_caller]
pub fn elsewhere(place: &Place, input: &Input) -> Report {
    let dir = tempfile::tempdir().unwrap();
    // Whoever asks may be a user that sees neither build directory nor other users' files.
    let program = dir.path().join("preflight-test");
    copy(&std::env::current_exe().unwrap(), &program);
    let answer = dir.path().join("answer.json");
    fs::write(&answer, "").unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(dir.path(), mode(0o755)).unwrap();
    fs::set_permissions(&answer, mode(0o666)).unwrap();

    let script =
        format!("{}\nexec {} \"$0\" --exact support::answer --ignored --nocapture", place.script, place.through);
    let mut command = Command::new("unshare");
    command
        .args(place.unshare.split_whitespace())
        .args(["sh", "-euc", &script])
        .arg(&program)
        .env(QUESTION, serde_json::to_string(input).unwrap())
        .env(ANSWER, &answer);
    if let Some(path) = place.listen {
        command.env(LISTEN, path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    serde_json::from_slice(&fs::read(&answer).unwrap()).unwrap()
}

/// Copies a program. By another process: a file that this one wrote could still be open for
/// writing in a child that another thread forks right now, and then it cannot be run.
#[track_caller]
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").args([from, to]).status().unwrap().success());
}

/// No test: the other end of [`elsewhere`].
#[test]
#[ignore = "is started by other tests, in a place of their own"]
fn answer() {
    let Ok(question) = std::env::var(QUESTION) else { return };
    let _listener = std::env::var(LISTEN).ok().map(|path| {
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::os::unix::net::UnixListener::bind(path).unwrap()
    });
    let report = ask(&serde_json::from_str(&question).unwrap());
    fs::write(std::env::var(ANSWER).unwrap(), serde_json::to_vec(&report).unwrap()).unwrap();
}

/// A directory that stands in for a machine.
pub struct Files {
    dir: TempDir,
}

impl Files {
    /// With these files in it, by their absolute paths.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self { dir }
    }

    /// The machine that it stands in for.
    pub fn machine(&self) -> Machine {
        Machine::at(self.dir.path())
    }

    /// Where the file `path` stands.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }
}

/// A real process with another name: a copied `sleep`. It ends with this value.
pub struct Sleeper {
    child: Child,
    _dir: TempDir,
}

impl Sleeper {
    /// Starts one called `name`.
    pub fn called(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join(name);
        copy(Path::new("/bin/sleep"), &program);
        let child = Command::new(&program).arg("600").stdin(Stdio::null()).spawn().unwrap();
        // The name is right once the program runs.
        let comm = format!("/proc/{}/comm", child.id());
        while !fs::read_to_string(&comm).is_ok_and(|c| name.starts_with(c.trim())) {
            std::thread::yield_now();
        }
        Self { child, _dir: dir }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that must succeed, and gives what it printed.
#[track_caller]
pub fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-euc", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
