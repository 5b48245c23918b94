//! Outputs for a broken cloud: one hint for each error, and one line for a service that the yard
//! does not use.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use stackyard_fake::{Fake, Fault};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

const NETWORK: &str = "networks: [{name: front, cidr: 10.20.0.0/24}]";

/// A directory with a manifest and a clouds.yaml.
struct Fixture(TempDir);

/// Exit code and output of a verb.
struct CommandOutput {
    code: Option<i32>,
    out: String,
    err: String,
}

impl CommandOutput {
    fn hints(&self) -> Vec<&str> {
        self.err.lines().filter_map(|l| l.strip_prefix("hint: ")).collect()
    }
}

impl Fixture {
    fn new(clouds: &str, spec: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("clouds.yaml"), clouds).unwrap();
        let fixture = Self(dir);
        fixture.manifest(spec);
        fixture
    }

    fn manifest(&self, spec: &str) {
        let text = format!("apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  {spec}\n");
        std::fs::write(self.0.path().join("yard.yaml"), text).unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> CommandOutput {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
        command.args(arguments).current_dir(self.0.path()).env_clear();
        command.env("STACKYARD_HOME", self.0.path().join("home")).env("HOME", self.0.path());
        command.env("OS_CLIENT_CONFIG_FILE", self.0.path().join("clouds.yaml"));
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        CommandOutput { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The only hint of `plan`, which must be the same with `--json`.
    async fn hint(&self) -> String {
        let output = self.run(&["plan"]).await;
        assert_eq!(output.code, Some(1), "{}", output.err);
        let [hint] = output.hints()[..] else { panic!("{}", output.err) };
        let output = self.run(&["plan", "--json"]).await;
        let error: Value = serde_json::from_str(output.out.lines().last().unwrap()).unwrap();
        assert_eq!(error["hint"], hint, "{error}");
        assert_eq!(output.err, "");
        hint.to_owned()
    }
}

fn clouds(entries: &[(&str, Value)]) -> String {
    let entries: serde_json::Map<String, Value> = entries.iter().map(|(n, e)| ((*n).to_owned(), e.clone())).collect();
    json!({"clouds": entries}).to_string()
}

fn entry(auth_url: &str) -> Value {
    json!({"auth": {"auth_url": auth_url, "username": "u", "password": "p", "project_name": "p"}, "region_name": "R"})
}

#[tokio::test]
async fn an_invalid_configuration_has_a_hint() {
    let address = "http://127.0.0.1:9/v3";
    let mut by_saml = entry(address);
    by_saml["auth_type"] = "v3oidcpassword".into();
    for (clouds, words) in [
        (clouds(&[("here", entry(address)), ("there", entry(address))]), ["--cloud or OS_CLOUD", "here, there"]),
        (clouds(&[("here", json!({"profile": "ovh"}))]), ["auth_url", "region_name"]),
        (clouds(&[("here", by_saml)]), ["v3applicationcredential", "openstack token issue"]),
        (clouds(&[("here", entry(address))]), ["address", "firewall"]),
    ] {
        let hint = Fixture::new(&clouds, NETWORK).hint().await;
        assert!(words.iter().all(|word| hint.contains(word)), "{hint}");
    }
}

#[tokio::test]
async fn an_unknown_token_has_a_hint() {
    for (status, message) in [(404, "Could not recognize Fernet token."), (401, "The request requires authentication.")]
    {
        let body = json!({"error": {"code": status, "message": message}}).to_string();
        let address = answers(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len()), body).await;
        let entry = json!({"auth_type": "v3token", "auth": {"auth_url": address, "token": "gAAAA"}});
        let hint = Fixture::new(&clouds(&[("here", entry)]), NETWORK).hint().await;
        assert!(hint.contains("get another one"), "{hint}");
    }
}

#[tokio::test]
async fn a_redirected_keystone_has_a_hint() {
    let head = "HTTP/1.1 301 X\r\nLocation: https://cloud.example:5000/v3/auth/tokens\r\nContent-Length: 0\r\n";
    let address = answers(head.to_owned(), String::new()).await;
    let fixture = Fixture::new(&clouds(&[("here", entry(&address))]), NETWORK);
    assert!(fixture.run(&["plan"]).await.err.contains("it is at https://cloud.example:5000/v3/auth/tokens"));
    let hint = fixture.hint().await;
    assert!(hint.contains("auth_url") && hint.contains("(https://cloud.example:5000/v3)"), "{hint}");
}

/// The address of a Keystone that gives this answer to every request.
async fn answers(head: String, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v3", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_broken_service_that_the_yard_does_not_use_is_one_note() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let fixture = Fixture::new(&fake.clouds_yaml(&[("fake", "p")]), NETWORK);
    fake.fail(|_, seen| seen.path.contains("/object/").then_some(Fault::Status(401)));
    let is_note = |line: &&str| line.contains("object containers (Swift) cannot be listed") && line.contains("401");
    for (verb, code) in
        [(&["plan"][..], 3), (&["up", "--yes"], 0), (&["plan"], 0), (&["status"], 0), (&["down", "--yes"], 0)]
    {
        let output = fixture.run(verb).await;
        assert_eq!(output.code, Some(code), "{verb:?}: {}{}", output.out, output.err);
        assert_eq!(output.err.lines().filter(is_note).count(), 1, "{verb:?}: {}", output.err);
        assert!(output.hints().is_empty());
    }
    assert!(fake.world().left().is_empty());
    let output = fixture.run(&["plan", "--json"]).await;
    assert_eq!(output.out.lines().filter(|l| l.contains("\"note\"")).filter(is_note).count(), 1, "{}", output.out);
}

#[tokio::test]
async fn a_broken_service_that_the_yard_uses_is_an_error() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let spec = format!("{NETWORK}\n  volumes: [{{name: data, size: 1Gi}}]");
    let fixture = Fixture::new(&fake.clouds_yaml(&[("fake", "p")]), &spec);
    let output = fixture.run(&["up", "--yes"]).await;
    assert_eq!(output.code, Some(0), "{}", output.err);
    fake.fail(|_, seen| seen.path.contains("/volumes/detail").then_some(Fault::Status(403)));
    let hint = fixture.hint().await;
    assert!(hint.contains("role"), "{hint}");
    let output = fixture.run(&["down", "--yes"]).await;
    assert_eq!(output.code, Some(1));
    assert!(
        output.err.contains("volumes (Cinder) of yard shop may still be there") && output.hints().len() == 1,
        "{}",
        output.err
    );
    let left = fake.world().left();
    assert!(left.len() == 1 && left[0].starts_with("volumes/"), "{left:?}");
    fake.fail(|_, _| None);
    assert_eq!(fixture.run(&["down", "--yes", "--allow-data-loss"]).await.code, Some(0));
    assert!(fake.world().left().is_empty());
}
