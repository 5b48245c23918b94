//! The binary against a fake cloud: what would lose data is refused, or asked for by name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use stackyard_fake::Fake;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Ground {
    fake: Fake,
    dir: TempDir,
}

impl Ground {
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

    /// Runs a program in the manifest's directory, with this on its standard input; exit code and
    /// all that it printed.
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> (Option<i32>, String) {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path()).env_clear();
        command.env("STACKYARD_HOME", self.dir.path().join("home")).env("HOME", self.dir.path());
        command.env("OS_CLIENT_CONFIG_FILE", self.dir.path().join("clouds.yaml"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NO_PROGRESS", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that asks nothing does not read it.
        let _ = stdin.write_all(input.as_bytes()).await;
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{arguments:?} hangs")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code(), text(&ended.stdout) + &text(&ended.stderr))
    }

    /// Runs a verb without a terminal.
    async fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let (ended, said) = self.run(env!("CARGO_BIN_EXE_stackyard"), arguments, "").await;
        assert_eq!(ended, Some(code), "{arguments:?}: {said}");
        said
    }

    /// Runs a verb on a terminal, where these lines are typed.
    async fn types(&self, code: i32, verb: &str, lines: &str) -> String {
        let line = format!("{} {verb}", env!("CARGO_BIN_EXE_stackyard"));
        let (ended, said) = self.run("script", &["-qec", &line, "/dev/null"], lines).await;
        assert_eq!(ended, Some(code), "{verb}: {said}");
        said
    }

    fn volumes(&self) -> usize {
        self.fake.world().count("volumes")
    }
}

const DATA: &str = "{name: data, size: 1Gi}";
const MORE: &str = "{name: more, size: 1Gi}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_terminal_it_takes_the_flag() {
    let ground = Ground::new().await;
    ground.manifest(DATA);
    ground.ends(0, &["up", "--yes"]).await;
    ground.manifest("");
    let plan = ground.ends(3, &["plan"]).await;
    assert!(plan.contains("- remove   volume data: its data is lost\n"), "{plan}");
    let json = ground.ends(3, &["--json", "plan"]).await;
    let json: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((&json["summary"]["lose_data"], &json["plan"]["steps"][0]["loses_data"]), (&1.into(), &true.into()));

    ground.fake.fail(|_, _| None);
    for verb in [&["up", "--yes"][..], &["up"], &["--json", "up", "--yes"], &["down", "--yes"], &["down"]] {
        let said = ground.ends(1, verb).await;
        assert!(said.contains("- volume data") && said.contains("--allow-data-loss"), "{verb:?}: {said}");
    }
    std::fs::remove_dir_all(ground.dir.path().join("home")).unwrap();
    let said = ground.ends(1, &["sweep", "--cloud", "fake", "--yes"]).await;
    assert!(said.contains("- volume data"), "{said}");
    // A login is a POST, too.
    let changes: Vec<_> =
        ground.fake.seen().into_iter().filter(|s| s.method != "GET" && !s.path.contains("tokens")).collect();
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(ground.volumes(), 1);

    ground.ends(0, &["up", "--yes", "--allow-data-loss"]).await;
    assert_eq!(ground.volumes(), 0);
    // Nothing is left that holds data.
    ground.ends(0, &["down", "--yes"]).await;
    assert_eq!(ground.fake.world().left(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_each_name_is_typed() {
    let ground = Ground::new().await;
    ground.manifest(&format!("{DATA}, {MORE}"));
    ground.ends(0, &["up", "--yes"]).await;
    ground.manifest("");
    let said = ground.types(1, "up", "data\ny\n").await;
    assert!(said.contains("This deletes the data of volume data. Type its name, `data`:"), "{said}");
    assert_eq!(ground.volumes(), 2);
    let said = ground.types(0, "up", "data\nmore\n").await;
    assert!(!said.contains("[y/N]"), "{said}");
    assert_eq!(ground.volumes(), 0);
    // Where nothing is lost, a `y` is enough; also where the flag allows it.
    ground.manifest(DATA);
    assert!(ground.types(0, "up", "y\n").await.contains("[y/N]"));
    ground.manifest("");
    ground.types(0, "up --allow-data-loss", "y\n").await;
    assert_eq!(ground.volumes(), 0);

    ground.manifest(DATA);
    ground.ends(0, &["up", "--yes"]).await;
    ground.types(1, "down", "y\n").await;
    assert_eq!(ground.volumes(), 1);
    ground.types(0, "down", "shop\n").await;
    assert_eq!(ground.fake.world().left(), Vec::<String>::new());
}
