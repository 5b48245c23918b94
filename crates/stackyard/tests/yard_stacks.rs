//! A manifest with stacks, by the binary: against a fake cloud, with a real server, a real agent
//! and Docker Engine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use stackyard_api::AuditFilter;
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
        let entries = self.client().audit(&AuditFilter::default(), None, 1000).await.unwrap();
        entries.iter().filter(|e| !e.verb.starts_with("GET")).count()
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
             docker volume ls -q --filter name=^{0} | xargs -r docker volume rm; docker rmi -f {1}",
            self.tag, self.image
        );
        let _ = std::process::Command::new("sh").args(["-c", &clean]).output();
    }
}

/// The secret with this name in the text that the server keeps of a package.
fn value_of(name: &str, kept: &str) -> String {
    let values = kept.lines().filter_map(|line| line.split_once(": "));
    let value = values.filter(|(key, _)| *key == name).map(|(_, value)| value).next();
    value.unwrap_or_else(|| panic!("no {name} in {} lines", kept.lines().count())).trim_matches('"').to_owned()
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
async fn verbs_of_a_stack_that_was_deployed_by_hand() {
    let mut fixture = Fixture::new("verb").await;
    fixture.begin().await;
    let (yard, stack) = (fixture.tag.clone(), fixture.stack());
    let (yard, stack) = (yard.as_str(), stack.as_str());
    fixture.with_stack("exec sleep 1000");
    let compose = fixture.dir.path().join("compose.yaml");
    let text = std::fs::read_to_string(&compose).unwrap();
    std::fs::write(&compose, text + "    ports: ['127.0.0.1::80', '53/udp']\n").unwrap();
    let diff = ["stack", "diff", "--yard", yard, "-f", "compose.yaml", "-n", stack];
    let mut deploy = diff;
    deploy[1] = "deploy";

    let before = fixture.changes().await;
    assert_eq!(fixture.ends(3, &diff).await.out, "service web is new\n");
    assert!(fixture.client().stacks(yard).await.unwrap().is_empty());
    assert_eq!(fixture.changes().await, before, "a diff changes nothing");
    fixture.ends(0, &deploy).await;
    assert_eq!(fixture.ends(0, &diff).await.out, "No changes.\n");

    let all = fixture.ends(0, &["--json", "stack", "port", "--yard", yard, stack]).await.last();
    let targets: Vec<&Value> = all.as_array().unwrap().iter().map(|port| &port["target"]).collect();
    assert_eq!(targets, [&json!(53), &json!(80)], "{all}");
    assert!(all[0]["address"].is_string() && all[0]["published"].as_u64() > Some(0), "{all}");
    let web = fixture.ends(0, &["--json", "stack", "port", "--yard", yard, stack, "web", "80"]).await.last();
    assert_eq!((&web[0]["address"], &web[0]["container"]), (&json!("127.0.0.1"), &json!("web-1")));
    let engine = docker(&["port", &format!("{stack}-web-1-1"), "80"]).await;
    assert_eq!(engine.trim(), format!("127.0.0.1:{}", web[0]["published"]));
    let none = fixture.ends(1, &["stack", "port", "--yard", yard, stack, "web@here", "443"]).await.err;
    assert!(none.contains("cannot find a published port 443/tcp of web@here"), "{none}");

    let top = fixture.ends(0, &["stack", "top", "--yard", yard, stack, "web"]).await.out;
    assert!(top.starts_with("web-1 on here\n") && top.contains("PID") && top.contains("sleep 1000"), "{top}");
    let shown = fixture.ends(0, &["stack", "ps", "--yard", yard, stack]).await.out;
    assert!(shown.contains("->80/tcp"), "{shown}");

    fixture.with_stack("exec sleep 2000");
    assert_eq!(fixture.ends(3, &diff).await.out, "service web is changed: command, ports\n");
    fixture.ends(0, &["stack", "remove", "--yard", yard, stack]).await;
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
    let password = value_of("db", &kept);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_of_a_catalog_over_hosts() {
    let mut fixture = Fixture::new("inst").await;
    fixture.begin().await;
    let source = fixture.dir.path().join("source/shop");
    std::fs::create_dir_all(source.join("config")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(source.join(name), text).unwrap();
    let compose = |image: &str| {
        format!(
            "services:\n  web:\n    image: {image}\n    command: [sh, -c, 'exec sleep 1000']\n    stop_grace_period: 0s\n    \
             healthcheck: {{test: [CMD, 'true'], interval: 1s}}\n    environment: {{OF: '${{instance}}'}}\n    secrets: [conf]\n    \
             cap_add: [NET_RAW]\nsecrets: {{conf: {{file: ./config/conf}}}}\n"
        )
    };
    let version = |version: &str, text: &str| {
        let meta = format!("metadata: {{name: shop, version: '{version}'}}\n");
        let body = "questions: [{name: title, type: string, required: true}]\nsecrets: [{name: db, type: password}]\n";
        write("package.yaml", &format!("apiVersion: stackyard.dev/v1\nkind: Package\n{meta}{body}"));
        write("config/conf.j2", text);
    };
    version("1", "{{ answers.title }} {{ secrets.db }}\n");
    write("compose.yaml", &compose(&fixture.image));
    write("jobs.yaml", &compose(&fixture.image));
    write("yard.yaml", "stacks: [{name: main}, {name: jobs, compose: jobs.yaml}]\n");
    fixture.manifest("");
    fixture.ends(0, &["catalog", "add", "main", "source"]).await;
    let name = fixture.stack();
    let install = ["catalog", "install", "main/shop", "--name", &name, "--answer", "title=Ours"];
    let review = fixture.ends(1, &install).await.err;
    assert!(review.contains("wants service web: capabilities NET_RAW"), "{review}");
    fixture.ends(0, &[&install[..], &["--yes"]].concat()).await;
    let plan = fixture.ends(3, &["plan"]).await;
    assert!(plan.err.contains(&format!("note: package {name}: service web: capabilities NET_RAW")), "{}", plan.err);
    fixture.ends(0, &["up", "--yes"]).await;

    // Both stacks have the package's one secret, under its name.
    let kept = fixture.client().secret(&fixture.tag, &format!("package.{name}")).await.unwrap();
    let password = value_of("db", &kept);
    let conf = async |stack: &str| {
        let filter = format!("label=dev.stackyard.stack={stack}");
        let filters = ["ps", "-q", "--filter", &filter];
        let container = docker(&filters).await;
        docker(&["exec", container.trim(), "sh", "-c", "echo $OF; cat /run/secrets/conf"]).await
    };
    let jobs = format!("{name}-jobs");
    assert_eq!(fixture.containers().await, 2);
    for stack in [&name, &jobs] {
        assert_eq!(conf(stack).await, format!("{name}\nOurs {password}\n"), "{stack}");
    }

    // The server can tell what the yard has from the files that came along.
    let (_, revision) = fixture.client().yard(&fixture.tag).await.unwrap();
    let manifest = fixture.client().manifest(&fixture.tag, revision).await.unwrap();
    assert!(manifest.files.iter().any(|path| path.ends_with("main/shop@1/package.yaml")), "{:?}", manifest.files);

    version("2", "{{ answers.title }}: {{ secrets.db }}\n");
    fixture.ends(0, &["catalog", "update"]).await;
    fixture.ends(0, &["catalog", "upgrade", &name, "--yes"]).await;
    fixture.ends(0, &["up", "--yes"]).await;
    assert_eq!(conf(&name).await, format!("{name}\nOurs: {password}\n"));

    fixture.ends(0, &["catalog", "uninstall", &name]).await;
    fixture.ends(0, &["up", "--yes"]).await;
    assert_eq!(fixture.containers().await, 0);
    fixture.ends(0, &["down", "--yes"]).await;
    assert!(fixture.client().secrets(&fixture.tag).await.unwrap().is_empty());
}

/// An image with PostgreSQL of this machine that reads the variables of Docker's official image.
async fn postgresql_image(dir: &std::path::Path, image: &str) {
    let entry = r#"#!/bin/sh
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
export PATH="/bin:$bin"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" -A scram-sha-256 --locale=C -E UTF8
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp
"#;
    let root = dir.join("pg");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("entry"), entry).unwrap();
    let script = format!(
        r#"set -e
        cd '{root}'
        mkdir -p bin etc tmp usr/lib usr/share/zoneinfo var/lib/postgresql/stackyard
        cp /bin/busybox bin/busybox
        for a in sh echo ls cat; do ln -s busybox bin/$a; done
        chmod 755 entry
        chmod 1777 tmp
        cp -a /usr/lib/postgresql usr/lib/
        cp -a /usr/share/postgresql usr/share/
        cp -a /usr/share/zoneinfo/UTC usr/share/zoneinfo/
        ln -sf "$(echo /usr/lib/postgresql/*/bin/pg_isready)" bin/pg_isready
        echo 'postgres:x:999:999::/:/bin/sh' > etc/passwd
        chown 999:999 var/lib/postgresql/stackyard
        for binary in $(echo /usr/lib/postgresql/*/bin/{{postgres,initdb,pg_isready}}) $(echo /usr/lib/postgresql/*/lib/dict_snowball.so); do
            ldd $binary | grep -o '/[^ ]*' | while read library; do
                mkdir -p ".$(dirname $library)"
                cp -L "$library" ".$library"
            done
        done
        tar -c . | docker import --change 'USER postgres' --change 'ENTRYPOINT ["/entry"]' - {image}"#,
        root = root.display()
    );
    let made = Command::new("bash").args(["-c", &script]).stdout(Stdio::null()).status().await.unwrap();
    assert!(made.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_postgresql_package_serves_a_database() {
    let mut fixture = Fixture::new("pgsql").await;
    let image = format!("stackyard-test/{}-pg:1", fixture.tag);
    postgresql_image(fixture.dir.path(), &image).await;
    docker(&["rmi", "-f", &fixture.image]).await;
    fixture.image = image.clone();
    fixture.begin().await;
    fixture.manifest("");
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (name, first) = (fixture.stack(), port());
    let (image_answer, port_answer) = (format!("image={image}"), format!("port={first}"));
    let install = ["catalog", "install", "stackyard/postgresql", "--name", &name, "--yes"];
    let answers = ["-a", &image_answer, "-a", &port_answer, "-a", "storage=local"];
    fixture.ends(0, &[&install[..], &answers].concat()).await;
    fixture.ends(0, &["up", "--yes"]).await;
    let kept = fixture.client().secret(&fixture.tag, &format!("package.{name}")).await.unwrap();
    let password = value_of("password", &kept);
    let psql = async |port: u16, statement: &str| {
        let target = format!("host=127.0.0.1 port={port} user=app dbname=app connect_timeout=10");
        let mut command = Command::new("psql");
        command.args([&target, "-v", "ON_ERROR_STOP=1", "-Atc", statement]).env("PGPASSWORD", &password);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    psql(first, "create table sold (item text); insert into sold values ('tea')").await;

    // Another port is another container, with the same data and the same password.
    let second = port();
    let text = std::fs::read_to_string(fixture.dir.path().join("yard.yaml")).unwrap();
    let changed = text.replace(&format!("port: {first}"), &format!("port: {second}"));
    assert_ne!(text, changed);
    std::fs::write(fixture.dir.path().join("yard.yaml"), changed).unwrap();
    fixture.ends(0, &["up", "--yes"]).await;
    assert_eq!(psql(second, "select item from sold").await, "tea\n");
    fixture.ends(0, &["down", "--yes"]).await;
    assert_eq!(fixture.containers().await, 0);
    let volumes = docker(&["volume", "ls", "-q", "--filter", &format!("name=^{}", fixture.tag)]).await;
    assert_eq!(volumes.lines().count(), 1, "data outlives its stack: {volumes}");
}
