//! The binary against a fake cloud: it refuses to lose data, or asks for each name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use stackyard_fake::Fake;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

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

    fn manifest(&self, volumes: &str) {
        let text = format!(
            "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  cloud: fake\n  networks: [{{name: \
             front}}]\n  volumes: [{volumes}]\n"
        );
        std::fs::write(self.dir.path().join("yard.yaml"), text).unwrap();
    }

    /// Runs a program in the manifest's directory with this standard input. Returns its exit code
    /// and its output.
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> (Option<i32>, String) {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path()).env_clear();
        command.env("STACKYARD_HOME", self.dir.path().join("home")).env("HOME", self.dir.path());
        command.env("OS_CLIENT_CONFIG_FILE", self.dir.path().join("clouds.yaml"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NO_PROGRESS", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that asks nothing does not read it.
        let _ = stdin.write_all(input.as_bytes()).await;
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{arguments:?} hangs")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code(), text(&ended.stdout) + &text(&ended.stderr))
    }

    /// Runs a verb without a terminal.
    async fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let (ended, output) = self.run(env!("CARGO_BIN_EXE_stackyard"), arguments, "").await;
        assert_eq!(ended, Some(code), "{arguments:?}: {output}");
        output
    }

    /// Runs a verb on a terminal, and types these lines.
    async fn types(&self, code: i32, verb: &str, lines: &str) -> String {
        let line = format!("{} {verb}", env!("CARGO_BIN_EXE_stackyard"));
        let (ended, output) = self.run("script", &["-qec", &line, "/dev/null"], lines).await;
        assert_eq!(ended, Some(code), "{verb}: {output}");
        output
    }

    fn volumes(&self) -> usize {
        self.fake.world().count("volumes")
    }
}

const DATA: &str = "{name: data, size: 1Gi}";
const MORE: &str = "{name: more, size: 1Gi}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_terminal_the_flag_is_required() {
    let fixture = Fixture::new().await;
    fixture.manifest(DATA);
    fixture.ends(0, &["up", "--yes"]).await;
    fixture.manifest("");
    let plan = fixture.ends(3, &["plan"]).await;
    assert!(plan.contains("- remove   volume data: its data is lost\n"), "{plan}");
    let json = fixture.ends(3, &["--json", "plan"]).await;
    let json: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((&json["summary"]["lose_data"], &json["plan"]["steps"][0]["loses_data"]), (&1.into(), &true.into()));

    fixture.fake.fail(|_, _| None);
    for verb in [&["up", "--yes"][..], &["up"], &["--json", "up", "--yes"], &["down", "--yes"], &["down"]] {
        let output = fixture.ends(1, verb).await;
        assert!(output.contains("- volume data") && output.contains("--allow-data-loss"), "{verb:?}: {output}");
    }
    std::fs::remove_dir_all(fixture.dir.path().join("home")).unwrap();
    let output = fixture.ends(1, &["sweep", "--cloud", "fake", "--yes"]).await;
    assert!(output.contains("- volume data"), "{output}");
    // A login is a POST, too.
    let changes: Vec<_> =
        fixture.fake.seen().into_iter().filter(|s| s.method != "GET" && !s.path.contains("tokens")).collect();
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(fixture.volumes(), 1);

    fixture.ends(0, &["up", "--yes", "--allow-data-loss"]).await;
    assert_eq!(fixture.volumes(), 0);
    // No resource that holds data is left.
    fixture.ends(0, &["down", "--yes"]).await;
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_the_user_types_each_name() {
    let fixture = Fixture::new().await;
    fixture.manifest(&format!("{DATA}, {MORE}"));
    fixture.ends(0, &["up", "--yes"]).await;
    fixture.manifest("");
    let output = fixture.types(1, "up", "data\ny\n").await;
    assert!(output.contains("This deletes the data of volume data. Type its name, `data`:"), "{output}");
    assert_eq!(fixture.volumes(), 2);
    let output = fixture.types(0, "up", "data\nmore\n").await;
    assert!(!output.contains("[y/N]"), "{output}");
    assert_eq!(fixture.volumes(), 0);
    // A `y` is enough if no data is lost, or if the flag allows the loss.
    fixture.manifest(DATA);
    assert!(fixture.types(0, "up", "y\n").await.contains("[y/N]"));
    fixture.manifest("");
    fixture.types(0, "up --allow-data-loss", "y\n").await;
    assert_eq!(fixture.volumes(), 0);

    fixture.manifest(DATA);
    fixture.ends(0, &["up", "--yes"]).await;
    fixture.types(1, "down", "y\n").await;
    assert_eq!(fixture.volumes(), 1);
    fixture.types(0, "down", "shop\n").await;
    assert_eq!(fixture.fake.world().left(), Vec::<String>::new());
}
