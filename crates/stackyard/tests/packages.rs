//! Packages of catalogs in a manifest, by the binary against a fake cloud: from `catalog add` to `down`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use stackyard_fake::Fake;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

struct Fixture {
    fake: Fake,
    dir: TempDir,
}

const HEAD: &str = "# The shop.\napiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  cloud: fake\n  \
    networks:\n    - {name: front, cidr: 10.20.0.0/24} # for all\n";

/// `yard.yaml` of a version of the package `cluster`.
fn parts(port: u16) -> String {
    format!(
        "networks: [{{name: main, cidr: 10.9.0.0/24}}]\nvolumes: [{{name: data, size: 1Gi}}]\nsecurityGroups:\n  \
         - {{name: node, rules: [{{proto: tcp, port: {port}, from: node}}]}}\nservers:\n  - {{name: node, count: '${{nodes}}', \
         flavor: m1.nano, image: tiny, networks: [main, '${{network}}'], securityGroups: [node]}}\n  - {{name: store, \
         flavor: m1.nano, image: tiny, network: main, volumes: [data]}}\n"
    )
}

impl Fixture {
    async fn new() -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("clouds.yaml"), fake.clouds_yaml(&[("fake", "p")])).unwrap();
        let fixture = Self { fake, dir };
        fixture.write("yard.yaml", HEAD);
        fixture.version("1.9.0", &parts(5432));
        fixture
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(path)).unwrap()
    }

    /// A version of the package in the catalog's source.
    fn version(&self, version: &str, parts: &str) {
        let head = "apiVersion: stackyard.dev/v1\nkind: Package\n";
        let questions = "questions:\n  - {name: network, type: string, required: true, description: Network of clients.}\n  \
             - {name: nodes, type: int, default: 1, min: 1}\n";
        let meta = format!("metadata: {{name: cluster, version: {version}, title: A cluster}}\n");
        self.write(&format!("source/cluster/{version}/package.yaml"), &format!("{head}{meta}{questions}"));
        self.write(&format!("source/cluster/{version}/yard.yaml"), parts);
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
        command.args(arguments).current_dir(self.dir.path()).env_clear();
        command.env("STACKYARD_HOME", self.dir.path().join("home")).env("HOME", self.dir.path());
        command.env("OS_CLIENT_CONFIG_FILE", self.dir.path().join("clouds.yaml"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NO_PROGRESS", "1");
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{arguments:?} hangs")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
    }

    /// Runs a verb, which ends with this code; its output and errors.
    async fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let (ended, out, err) = self.run(arguments).await;
        assert_eq!(ended, Some(code), "{arguments:?}: {out}{err}");
        out + &err
    }

    /// Method and path of requests that change something, without ids.
    fn changes(&self) -> Vec<String> {
        let changes = self.fake.seen().into_iter().filter(|s| s.method != "GET" && !s.path.contains("tokens"));
        let without_ids = |path: &str| {
            let parts =
                path.split('/').map(|p| if p.chars().any(|c| c.is_ascii_digit()) && p.len() > 4 { "ID" } else { p });
            parts.collect::<Vec<_>>().join("/")
        };
        let mut changes: Vec<String> = changes.map(|s| format!("{} {}", s.method, without_ids(&s.path))).collect();
        changes.sort();
        changes
    }

    fn left(&self) -> Vec<String> {
        self.fake.world().left()
    }
}

const INSTALL: &[&str] =
    &["catalog", "install", "main/cluster", "--name", "db", "--answer", "network=front", "--answer", "nodes=2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_comes_changes_goes_back_and_goes() {
    let fixture = Fixture::new().await;
    fixture.ends(0, &["catalog", "add", "main", "source"]).await;
    let shown = fixture.ends(0, &["catalog", "show", "main/cluster"]).await;
    assert!(shown.contains("main/cluster@1.9.0: A cluster") && shown.contains("Network of clients."), "{shown}");
    assert!(fixture.ends(0, &["catalog", "search", "CLUST"]).await.contains("main/cluster"));
    assert!(!fixture.ends(0, &["catalog", "search", "other"]).await.contains("main/cluster"));

    // Without a terminal nothing is written that was not asked for.
    let refused = fixture.ends(1, INSTALL).await;
    assert!(refused.contains("pass --yes") && refused.contains("server db-node-2"), "{refused}");
    assert_eq!(fixture.read("yard.yaml"), HEAD);
    fixture.ends(0, &[INSTALL, &["--yes"]].concat()).await;
    let text = fixture.read("yard.yaml");
    assert!(text.starts_with(HEAD) && text.contains("package: main/cluster@1.9.0\n"), "{text}");

    let plan = fixture.ends(3, &["plan"]).await;
    let wanted = "\
+ create   network front
+ create   network db
+ create   subnet front/main
+ create   subnet db/main
+ create   security group db-node
+ create   rule db-node: tcp 5432 from db-node
";
    assert!(plan.starts_with(wanted), "{plan}");
    for line in [
        "port db-node-1/db",
        "port db-node-2/front",
        "server db-node-2",
        "volume db-data",
        "attachment db-store:db-data",
    ] {
        assert!(plan.contains(&format!("+ create   {line}\n")), "{line}\n{plan}");
    }
    fixture.ends(0, &["up", "--yes"]).await;
    fixture.ends(0, &["plan"]).await;
    assert_eq!(fixture.fake.world().count("servers"), 3);

    // A new version in the source changes nothing until the catalog is updated and the package upgraded.
    fixture.version("1.10.0", &parts(5433));
    fixture.ends(0, &["plan"]).await;
    assert!(fixture.ends(0, &["catalog", "upgrade", "db", "--yes"]).await.contains("is main/cluster@1.9.0 already"));
    assert!(fixture.ends(0, &["catalog", "update"]).await.contains("main: changed"));
    fixture.ends(0, &["plan"]).await;
    fixture.ends(0, &["catalog", "upgrade", "db", "--yes"]).await;
    let plan = fixture.ends(3, &["plan"]).await;
    assert!(plan.contains("+ create   rule db-node: tcp 5433 from db-node\n"), "{plan}");
    assert!(plan.contains("- remove   rule db-node: tcp 5432 from db-node\n"), "{plan}");
    assert_eq!(plan.lines().filter(|l| l.starts_with(['+', '-', '~', '!'])).count(), 2, "{plan}");
    fixture.ends(0, &["up", "--yes"]).await;

    // Back, and other answers.
    fixture.ends(0, &["catalog", "upgrade", "db", "--to", "1.9.0", "--yes"]).await;
    assert_eq!(fixture.read("yard.yaml"), text);
    fixture.write("yard.yaml", &text.replace("nodes: 2", "nodes: 1"));
    let plan = fixture.ends(3, &["plan"]).await;
    assert!(
        plan.contains("- remove   server db-node-2\n") && plan.contains("+ create   rule db-node: tcp 5432"),
        "{plan}"
    );
    fixture.ends(0, &["up", "--yes"]).await;

    // Its data is guarded as any other.
    fixture.ends(0, &["catalog", "uninstall", "db"]).await;
    assert_eq!(fixture.read("yard.yaml"), HEAD);
    assert!(fixture.ends(1, &["up", "--yes"]).await.contains("- volume db-data"));
    fixture.ends(0, &["up", "--yes", "--allow-data-loss"]).await;
    assert_eq!(fixture.fake.world().count("servers"), 0);

    fixture.write("yard.yaml", &text);
    fixture.ends(0, &["up", "--yes"]).await;
    fixture.ends(0, &["down", "--yes", "--allow-data-loss"]).await;
    assert_eq!(fixture.left(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_costs_what_the_same_manifest_by_hand_costs() {
    let package = Fixture::new().await;
    package.ends(0, &["catalog", "add", "main", "source"]).await;
    package.ends(0, &[INSTALL, &["--yes"]].concat()).await;
    package.ends(0, &["up", "--yes"]).await;
    let by_hand = Fixture::new().await;
    by_hand.write(
        "yard.yaml",
        &format!(
            "{HEAD}    - {{name: db, cidr: 10.9.0.0/24}}\n  volumes: [{{name: db-data, size: 1Gi}}]\n  securityGroups:\n    \
             - {{name: db-node, rules: [{{proto: tcp, port: 5432, from: db-node}}]}}\n  servers:\n    - {{name: db-node, count: 2, \
             flavor: m1.nano, image: tiny, networks: [db, front], securityGroups: [db-node]}}\n    - {{name: db-store, \
             flavor: m1.nano, image: tiny, network: db, volumes: [db-data]}}\n"
        ),
    );
    by_hand.ends(0, &["up", "--yes"]).await;
    assert_eq!(package.changes(), by_hand.changes());
    // How often a server is asked for until it is there depends on the machine.
    let different = |fixture: &Fixture| {
        fixture.fake.seen().into_iter().map(|seen| (seen.method, seen.path)).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(different(&package), different(&by_hand));
    // Each is the other's yard.
    package.write("yard.yaml", &by_hand.read("yard.yaml"));
    package.ends(0, &["plan"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_package_changes_neither_manifest_nor_cloud() {
    let fixture = Fixture::new().await;
    fixture.version("2.0.0", "servers: [{name: a, flavour: m}]\n");
    fixture.version("3.0.0", &parts(5432).replace("'${network}'", "'${nett}'"));
    fixture.ends(0, &["catalog", "add", "main", "source"]).await;
    fixture.fake.fail(|_, _| None);
    let install = |version: &'static str, answer: &'static str| {
        let fixture = &fixture;
        async move {
            let package = format!("main/cluster@{version}");
            let arguments = ["catalog", "install", &package, "--name", "db", "--answer", answer, "--yes"];
            fixture.ends(1, &arguments).await
        }
    };
    let bad = install("2.0.0", "network=front").await;
    assert!(
        bad.contains(
            "main/cluster@2.0.0/yard.yaml:1:21: servers[0]: unknown key `flavour` (package `db` of yard.yaml:10:7)"
        ),
        "{bad}"
    );
    assert!(install("3.0.0", "network=front").await.contains("the variable `nett` is not known"));
    assert!(
        install("9.0.0", "network=front").await.contains("there is no version 9.0.0; there are 1.9.0, 2.0.0, 3.0.0")
    );
    let bad = install("1.9.0", "nodes=none").await;
    assert!(bad.contains("yard.yaml:14:16: spec.packages[0].answers: nodes: `none` is not allowed"), "{bad}");
    assert!(bad.contains("network: an answer is required"), "{bad}");
    assert_eq!(fixture.read("yard.yaml"), HEAD);

    // Content that is not the pinned one, for `plan` and `up` alike.
    fixture
        .ends(0, &["catalog", "install", "main/cluster@1.9.0", "--name", "db", "--answer", "network=front", "--yes"])
        .await;
    fixture.version("1.9.0", &parts(22));
    assert!(fixture.ends(0, &["catalog", "update", "main"]).await.contains("changed"));
    for verb in [&["plan"][..], &["up", "--yes"]] {
        let refused = fixture.ends(1, verb).await;
        assert!(refused.contains("the files of main/cluster@1.9.0 have the digest sha256:"), "{refused}");
        assert!(refused.contains("`stackyard catalog upgrade db`"), "{refused}");
    }
    assert_eq!(fixture.changes(), Vec::<String>::new());
    fixture.ends(0, &["catalog", "upgrade", "db", "--to", "1.9.0", "--yes"]).await;
    assert!(fixture.ends(3, &["plan"]).await.contains("tcp 22 from db-node"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_that_names_its_second_and_third_host_is_installed() {
    let fixture = Fixture::new().await;
    let package = |path: &str, text: &str| fixture.write(&format!("source/ring/1.0.0/{path}"), text);
    package(
        "package.yaml",
        "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: ring, version: 1.0.0, title: A ring}\n",
    );
    package(
        "compose.yaml",
        "services: {ring: {image: ring, configs: [ring]}}\nconfigs: {ring: {file: ./config/ring.conf}}\n",
    );
    let template =
        "next = {{ hosts.ring[1].address }}\nlast = {{ hosts.ring[2].name }} in {{ hosts.ring[2].labels.rack }}\n";
    package("config/ring.conf.j2", template);
    fixture.ends(0, &["catalog", "add", "main", "source"]).await;
    let install = ["catalog", "install", "main/ring", "--yes"];
    let said = fixture.ends(0, &install).await;
    assert!(said.contains("stack ring of ring"), "{said}");
    assert!(fixture.read("yard.yaml").contains("package: main/ring@1.0.0\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalogs_come_from_archives_and_bad_ones_are_refused() {
    let fixture = Fixture::new().await;
    let tar = |arguments: &str| {
        let script = format!("cd '{}' && {arguments}", fixture.dir.path().display());
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    };
    tar("tar czf good.tgz source");
    fixture.ends(0, &["catalog", "add", "good", "good.tgz"]).await;
    let list = fixture.ends(0, &["--json", "catalog", "list"]).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((list[0]["name"].as_str(), list[1]["name"].as_str()), (Some("stackyard"), Some("good")));
    assert!(list[1]["digest"].as_str().unwrap().starts_with("sha256:"));

    tar(
        "ln -s /etc/passwd source/cluster/link && tar czf link.tgz source && tar czPf slip.tgz source/../source/cluster/1.9.0",
    );
    tar("rm source/cluster/link && head -c 5000000 /dev/zero > source/big && tar czf bomb.tgz source && rm source/big");
    for (archive, wanted) in [
        ("link.tgz", "cannot take source/cluster/link: it is a link"),
        ("slip.tgz", "its path leads out of the archive"),
        ("bomb.tgz", "cannot take source/big: it has 5000000 bytes; a file has 4 MiB at most"),
        ("clouds.yaml", "cannot read"),
        ("nowhere.tgz", "cannot read"),
        ("home", "no directory in it has a `package.yaml`"),
    ] {
        let refused = fixture.ends(1, &["catalog", "add", "bad", archive]).await;
        assert!(refused.contains(wanted), "{archive}: {refused}");
    }
    assert!(
        fixture
            .ends(1, &["catalog", "remove", "bad"])
            .await
            .contains("there is no catalog `bad`; there are stackyard, good")
    );
    fixture.ends(0, &["catalog", "remove", "good"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yard_goes_without_its_package() {
    let fixture = Fixture::new().await;
    fixture.ends(0, &["catalog", "add", "main", "source"]).await;
    fixture.ends(0, &[INSTALL, &["-y"]].concat()).await;
    fixture.ends(0, &["up", "-y"]).await;

    // The version of the manifest is gone from the catalog.
    std::fs::rename(fixture.dir.path().join("source/cluster/1.9.0"), fixture.dir.path().join("old")).unwrap();
    fixture.version("2.0.0", &parts(5432));
    fixture.ends(0, &["catalog", "update"]).await;
    for verb in ["plan", "status"] {
        let said = fixture.ends(1, &[verb]).await;
        assert!(said.contains("`stackyard catalog upgrade db` writes another version"), "{said}");
    }
    // The catalog is damaged: it is listed, and can be removed.
    let copy = fixture.dir.path().join("home/catalogs/main.tar");
    std::fs::write(&copy, "no tar").unwrap();
    assert!(fixture.ends(0, &["catalog", "list"]).await.contains("main"));
    fixture.ends(0, &["catalog", "search"]).await;
    fixture.ends(0, &["catalog", "remove", "main"]).await;
    assert!(!copy.exists());

    let said = fixture.ends(0, &["down", "-y", "--allow-data-loss"]).await;
    assert!(said.contains("there is no catalog `main`") && said.contains("removed all the same"), "{said}");
    assert_eq!(fixture.left(), Vec::<String>::new());

    // Another mistake is one as before.
    fixture.write("yard.yaml", &HEAD.replace("cidr:", "cider:"));
    assert!(fixture.ends(1, &["down", "-y"]).await.contains("cider"));
}
