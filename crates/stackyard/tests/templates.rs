//! Packages that members of a project send to the server: an expensive template ends alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use stackyard_fake::Fake;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

const MANIFEST: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  cloud: fake\n  \
                        stacks:\n    - {name: site, package: ./site}\n";
const PACKAGE: &str = "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: site, version: 1.0.0}\n\
                       questions: [{name: greeting, type: string, default: hello}]\n\
                       secrets: [{name: word, type: password}]\n";
const COMPOSE: &str = "services: {web: {image: 'registry.example/web:1', configs: [{source: page, target: /page}]}}\n\
                       configs: {page: {file: config/page}}\n";

/// A request for a yard with a stack of a package with this template, planned by the server.
async fn plan(home: &Path, template: &str) -> Value {
    let files = json!({"site/package.yaml": PACKAGE, "site/compose.yaml": COMPOSE, "site/config/page.j2": template});
    let request = json!({"manifest": MANIFEST, "files": files}).to_string();
    let output = Command::new("curl")
        .args(["-sS", "-m", "120", "-H", "Content-Type: application/json", "-d", &request, "--unix-socket"])
        .arg(home.join("server/socket"))
        .arg("http://server/api/v1/yards/shop/plan")
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Most memory that a process ever had, in MiB.
fn most_memory(pid: i64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// A state directory whose server goes with it.
struct Home<'a>(&'a Path);

impl Drop for Home<'_> {
    fn drop(&mut self) {
        let mut stop = std::process::Command::new(env!("CARGO_BIN_EXE_stackyard"));
        stop.arg("--home").arg(self.0).args(["server", "stop"]).status().ok();
    }
}

#[tokio::test]
async fn a_template_that_takes_too_much_ends_alone() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("clouds.yaml"), fake.clouds_yaml(&[("fake", "p")])).unwrap();
    let home = dir.path().join("home");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
        command.arg("--home").arg(&home).args(arguments).env_remove("STACKYARD_SERVER").env_remove("STACKYARD_TOKEN");
        command
    };
    let clouds = dir.path().join("clouds.yaml").display().to_string();
    let start = ["server", "--detach", "--listen", "127.0.0.1:0", "--clouds", &clouds];
    let _home = Home(&home);
    assert!(command(&start).status().await.unwrap().success());
    let status: Value =
        serde_json::from_slice(&command(&["--json", "server", "status"]).output().await.unwrap().stdout).unwrap();
    let pid = status["pid"].as_i64().unwrap();

    let good = plan(&home, "{{ answers.greeting }} {{ secrets.word }}\n").await;
    assert_eq!(good["summary"]["create"], 1, "{good}");
    let mistake = plan(&home, "\n{{ answers.gretting }}").await;
    let detail = mistake["detail"].as_str().unwrap();
    assert_eq!(mistake["status"], 422);
    assert!(detail.contains("site/config/page.j2:2") && detail.contains("did you mean `greeting`"), "{detail}");

    let before = most_memory(pid);
    // What the catalog counts, and what it does not.
    let attacks: [(&str, &[&str]); 4] = [
        (
            "{% set n = namespace(x='aaaaaaaaaaaaaaaa') %}{% for a in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            &["page.j2:1: rendering it takes too much"],
        ),
        (
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
            &["page.j2:1: rendering it takes too much"],
        ),
        (
            "{% set n = namespace(x=[1]) %}{% for a in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
            &["more than 5 s of processor time"],
        ),
        // Each page costs the kernel time, so a slow machine's limit is the processor time.
        ("{{ (range(100000)|list) * 1000 }}", &["more than 256 MiB of memory", "more than 5 s of processor time"]),
    ];
    for (attack, whys) in attacks {
        let refused = plan(&home, attack).await;
        assert_eq!(refused["status"], 422, "{attack}: {refused}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(whys.iter().any(|why| detail.contains(why)), "{attack}: {refused}");
    }
    let more = most_memory(pid) - before;
    assert!(more < 50, "the server itself took {more} MiB more");
    let status = command(&["--json", "server", "status"]).output().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&status.stdout).unwrap()["pid"], pid);
    let again = plan(&home, "{{ answers.greeting }}\n").await;
    assert_eq!(again["summary"]["create"], 1, "{again}");
}
