//! Yards brought up, changed, taken back and removed through the API, against a fake cloud.

use super::support::Running;
use reqwest::StatusCode;
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_fake::{Fake, Fault};
use stackyard_server::hub::HubTiming;
use std::time::Duration;

const SHOP: &str = "/api/v1/yards/shop";

/// So many servers, and a volume; `more` is put into the spec.
fn manifest(servers: usize, more: &str) -> String {
    format!(
        "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  cloud: fake\n  networks:\n    \
         - {{name: front, cidr: 10.20.0.0/24, router: {{external: public}}}}\n  volumes:\n    - {{name: data, size: 1Gi}}\n  \
         servers:\n    - {{name: web, count: {servers}, flavor: m1.nano, image: tiny}}\n{more}"
    )
}

fn wish(servers: usize) -> Value {
    json!({"manifest": manifest(servers, "")})
}

struct Ground {
    fake: Fake,
    running: Running,
    operator: String,
}

impl Ground {
    async fn new() -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        let running = Running::start_with_cloud(&fake).await;
        let operator = running.token("ann", Role::Operator).await;
        Self { fake, running, operator }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        self.running.call(method, path, Some(&self.operator), body).await
    }

    async fn good(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// Begins a run; its path.
    async fn begin(&self, wish: &Value) -> String {
        let run = self.good("POST", &format!("{SHOP}/runs"), Some(wish)).await;
        assert_eq!((run["state"].as_str(), run["actor"].as_str()), (Some("running"), Some("token ann")), "{run}");
        format!("{SHOP}/runs/{}", run["id"].as_str().unwrap())
    }

    /// The events of a run until its end, as name, id and data.
    async fn follow(&self, run: &str, last: Option<&str>) -> Vec<(String, String, Value)> {
        let request = self.running.http().get(format!("{}{run}/events", self.running.url)).bearer_auth(&self.operator);
        let request = last.iter().fold(request, |r, last| r.header("last-event-id", *last));
        let text = tokio::time::timeout(Duration::from_secs(30), async { request.send().await.unwrap().text().await });
        let text = text.await.unwrap_or_else(|_| panic!("the events of {run} have no end")).unwrap();
        let field = |event: &str, name: &str| {
            let line = event.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim().to_owned()
        };
        let events = text.split("\n\n").filter(|e| e.contains("data:"));
        events.map(|e| (field(e, "event"), field(e, "id"), serde_json::from_str(&field(e, "data")).unwrap())).collect()
    }

    /// Runs a wish to its end; the run.
    async fn run(&self, wish: &Value) -> Value {
        let run = self.begin(wish).await;
        self.follow(&run, None).await;
        self.good("GET", &run, None).await
    }
}

fn states(detail: &Value) -> Vec<&str> {
    let mut all: Vec<&str> = detail["steps"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_changed_taken_back_and_gone() {
    let ground = Ground::new().await;
    assert_eq!(ground.good("GET", "/api/v1/clouds", None).await, json!([{"name": "fake"}]));
    let plan = ground.good("POST", &format!("{SHOP}/plan"), Some(&wish(1))).await;
    assert_eq!((plan["cloud"].as_str(), plan["noop"].as_bool()), (Some("fake"), Some(false)));
    assert_eq!(plan["blockers"], json!([]));
    assert_eq!(plan["summary"]["create"], plan["plan"]["steps"].as_array().unwrap().len());
    assert_eq!(ground.fake.world().left(), Vec::<String>::new(), "a plan changes nothing");

    // What was planned is what is done, and nothing else.
    let mut first = wish(1);
    first["plan"] = json!("0000");
    let (status, said) = ground.ask("POST", &format!("{SHOP}/runs"), Some(&first)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    first["plan"] = plan["digest"].clone();
    let up = ground.run(&first).await;
    assert_eq!((up["run"]["state"].as_str(), up["run"]["kind"].as_str()), (Some("done"), Some("up")), "{up}");
    assert_eq!(states(&up), ["done"]);
    assert_eq!(ground.fake.world().count("servers"), 1);
    assert!(ground.good("POST", &format!("{SHOP}/plan"), Some(&wish(1))).await["noop"].as_bool().unwrap());

    let status = ground.good("GET", &format!("{SHOP}/status"), None).await;
    assert_eq!(
        (&status["health"], &status["in_sync"], &status["error"]),
        (&json!("ready"), &json!(true), &Value::Null),
        "{status}"
    );
    let yards = ground.good("GET", "/api/v1/yards", None).await;
    assert_eq!((yards[0]["cloud"].as_str(), &yards[0]["run"]["id"]), (Some("fake"), &up["run"]["id"]));

    // As YAML, as curl sends a file.
    let more = manifest(3, "  floatingIPs:\n    - {server: web-1}\n");
    let request = ground.running.http().post(format!("{}{SHOP}/runs", ground.running.url));
    let request = request.bearer_auth(&ground.operator).header("content-type", "application/yaml").body(more);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    ground.follow(&place, None).await;
    assert_eq!(ground.fake.world().count("servers"), 3);

    // Back to the first manifest, through a plan.
    let past = ground.good("GET", &format!("{SHOP}/manifests"), None).await;
    let past = past.as_array().unwrap();
    assert_eq!((past.len(), past[0]["actor"].as_str()), (2, Some("token ann")));
    let back = json!({"revision": past[1]["revision"]});
    let text = ground.good("GET", &format!("{SHOP}/manifests/{}", past[1]["revision"]), None).await;
    assert_eq!(text["manifest"], json!(manifest(1, "")));
    let plan = ground.good("POST", &format!("{SHOP}/plan"), Some(&back)).await;
    assert!(plan["summary"]["remove"].as_u64().unwrap() >= 3, "{plan}");
    assert_eq!(ground.run(&back).await["run"]["state"], "done");
    assert_eq!(ground.fake.world().count("servers"), 1);
    assert_eq!(ground.good("GET", &format!("{SHOP}/manifests"), None).await.as_array().unwrap().len(), 3);

    let plan = ground.good("POST", &format!("{SHOP}/plan"), Some(&json!({"remove": true}))).await;
    let gone = ground.run(&json!({"remove": true, "plan": plan["digest"], "allow_data_loss": true})).await;
    assert_eq!((gone["run"]["state"].as_str(), gone["run"]["kind"].as_str()), (Some("done"), Some("down")), "{gone}");
    assert_eq!(ground.fake.world().left(), Vec::<String>::new());
    assert_eq!(ground.good("GET", "/api/v1/yards", None).await, json!([]));
    // What was done stays known.
    let runs = ground.good("GET", &format!("{SHOP}/runs?limit=2"), None).await;
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["id"]), (2, &gone["run"]["id"]));
    let older = ground.good("GET", &format!("{SHOP}/runs?marker={}", runs[1]["id"].as_str().unwrap()), None).await;
    assert_eq!(older.as_array().unwrap().last().unwrap()["id"], up["run"]["id"]);
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_is_lost_only_with_a_word_for_it() {
    let ground = Ground::new().await;
    assert_eq!(ground.run(&wish(1)).await["run"]["state"], "done");
    let runs = format!("{SHOP}/runs");
    let without = json!({"manifest": manifest(1, "").replace("- {name: data, size: 1Gi}", "[]").replace("volumes:\n    []", "volumes: []")});
    let plan = ground.good("POST", &format!("{SHOP}/plan"), Some(&without)).await;
    assert_eq!(plan["summary"]["lose_data"], 1, "{plan}");
    let steps = plan["plan"]["steps"].as_array().unwrap();
    let marked: Vec<&Value> = steps.iter().filter(|s| s["loses_data"] == true).map(|s| &s["key"]["name"]).collect();
    assert_eq!(marked, ["data"]);
    for wish in [without.clone(), json!({"remove": true})] {
        let (status, said) = ground.ask("POST", &runs, Some(&wish)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(detail.contains("- volume data") && detail.contains("allow_data_loss"), "{said}");
    }
    assert_eq!(ground.fake.world().count("volumes"), 1);
    // What was refused is no run, and no manifest of the yard.
    assert_eq!(ground.good("GET", &runs, None).await.as_array().unwrap().len(), 1);
    assert_eq!(ground.good("GET", &format!("{SHOP}/manifests"), None).await.as_array().unwrap().len(), 1);
    let mut allowed = without;
    (allowed["allow_data_loss"], allowed["plan"]) = (true.into(), plan["digest"].clone());
    assert_eq!(ground.run(&allowed).await["run"]["state"], "done");
    assert_eq!(ground.fake.world().count("volumes"), 0);
    // Nothing is left that holds data, so that there is nothing to allow.
    assert_eq!(ground.run(&json!({"remove": true})).await["run"]["state"], "done");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_with_their_places() {
    let ground = Ground::new().await;
    let bad = json!({"manifest": manifest(1, "  netwoks: []\n").replace("flavor:", "flavour:")});
    for path in ["plan", "runs", "check"] {
        let (status, said) = ground.ask("POST", &format!("{SHOP}/{path}"), Some(&bad)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        let mistakes = said["mistakes"].as_array().unwrap();
        let at = |line: u64| mistakes.iter().find(|m| m["line"] == line).unwrap_or_else(|| panic!("{line}: {said}"));
        assert_eq!(at(12)["column"], 3);
        assert!(at(11).to_string().contains("flavour") && at(11).to_string().contains("flavor`"), "{said}");
    }
    for (body, status, text) in [
        (json!({}), StatusCode::BAD_REQUEST, "`manifest`"),
        (json!({"manifest": "", "remove": true}), StatusCode::BAD_REQUEST, "`remove`"),
        (json!({"remove": true}), StatusCode::NOT_FOUND, "no yard shop"),
        (json!({"revision": 7}), StatusCode::NOT_FOUND, "revision 7"),
        (json!({"manifest": "", "files": {"../x": ""}}), StatusCode::BAD_REQUEST, "../x"),
        (json!({"manifest": manifest(1, "").replace("shop", "depot")}), StatusCode::UNPROCESSABLE_ENTITY, "depot"),
        (json!({"manifest": manifest(1, "").replace("fake", "nowhere")}), StatusCode::UNPROCESSABLE_ENTITY, "nowhere"),
        (
            json!({"manifest": manifest(1, "").replace("tiny", "none")}),
            StatusCode::UNPROCESSABLE_ENTITY,
            "image `none`",
        ),
        (
            json!({"manifest": manifest(1, "  stacks:\n    - {name: site, compose: ./site.yaml}\n")}),
            StatusCode::UNPROCESSABLE_ENTITY,
            "./site.yaml",
        ),
    ] {
        let (got, said) = ground.ask("POST", &format!("{SHOP}/runs"), Some(&body)).await;
        assert_eq!(got, status, "{said}");
        assert!(said["detail"].as_str().unwrap().contains(text), "{said}");
    }
    // Files that come along are kept, and told to nobody.
    let files = json!({"manifest": manifest(1, "  keypairs:\n    - {name: me, publicKeyFile: ./me.pub}\n"),
        "files": {"me.pub": "ssh-ed25519 AAAA geheim"}});
    let checked = ground.good("POST", &format!("{SHOP}/check"), Some(&files)).await;
    assert_eq!(checked, json!({"yard": "shop", "cloud": "fake"}));
    assert_eq!(ground.run(&files).await["run"]["state"], "done");
    let past = ground.good("GET", &format!("{SHOP}/manifests"), None).await;
    let kept = ground.good("GET", &format!("{SHOP}/manifests/{}", past[0]["revision"]), None).await;
    assert_eq!(kept["files"], json!(["me.pub"]));
    assert!(!kept.to_string().contains("geheim"));
    // The next manifest has them without their being sent again.
    let next = json!({"manifest": manifest(2, "  keypairs:\n    - {name: me, publicKeyFile: ./me.pub}\n"),
        "revision": past[0]["revision"]});
    assert_eq!(ground.good("POST", &format!("{SHOP}/plan"), Some(&next)).await["summary"]["replace"], 0);
    // Nothing failed on the server's side, and no failed attempt was kept.
    assert_eq!(ground.good("GET", &format!("{SHOP}/runs"), None).await.as_array().unwrap().len(), 1);
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_run_at_a_time_which_can_be_cancelled() {
    let ground = Ground::new().await;
    ground.fake.world().boots_in(Duration::from_secs(60));
    let run = ground.begin(&wish(2)).await;
    for path in [format!("{SHOP}/runs"), SHOP.to_owned()] {
        let method = if path == SHOP { "DELETE" } else { "POST" };
        let (status, said) = ground.ask(method, &path, (method == "POST").then_some(&wish(1))).await;
        assert_eq!(status, StatusCode::CONFLICT, "{said}");
    }
    let (_, said) = ground.ask("POST", &format!("{SHOP}/runs"), Some(&wish(1))).await;
    assert!(said["detail"].as_str().unwrap().contains("token ann is at work on yard shop"), "{said}");
    while ground.fake.world().count("servers") < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let going = ground.good("GET", &run, None).await;
    assert_eq!(going["run"]["state"], "running");
    assert!(going["steps"].as_array().unwrap().iter().any(|s| s["state"] == "running"), "{going}");
    assert_eq!(ground.good("GET", "/api/v1/yards", None).await[0]["run"]["state"], "running");

    ground.good("POST", &format!("{run}/cancel"), None).await;
    let told = ground.follow(&run, None).await;
    let (name, _, end) = told.last().unwrap();
    assert_eq!((name.as_str(), end["run"]["state"].as_str()), ("run", Some("cancelled")));
    assert!(end["run"]["error"].as_str().unwrap().contains("token ann cancelled it"), "{end}");
    assert_eq!(ground.ask("POST", &format!("{run}/cancel"), None).await.0, StatusCode::CONFLICT);

    // Who saw everything up to an event is told what changed since.
    let (_, half, _) = &told[told.len() / 2];
    let rest = ground.follow(&run, Some(half)).await;
    assert!(rest.len() < told.len() && rest.last() == told.last(), "{rest:?}");
    assert!(rest.iter().all(|(_, id, _)| id.parse::<u64>().unwrap() >= half.parse().unwrap()));

    ground.fake.world().boots_in(Duration::from_millis(10));
    // The two that were being made have to be waited for, the fake's time for them is set.
    let next = json!({"remove": true, "allow_data_loss": true});
    assert_eq!(ground.run(&next).await["run"]["state"], "done");
    assert_eq!(ground.fake.world().left(), Vec::<String>::new());
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_says_why() {
    let ground = Ground::new().await;
    ground
        .fake
        .fail(|_, seen| (seen.method == "POST" && seen.path.ends_with("/volumes")).then_some(Fault::Status(413)));
    let run = ground.run(&wish(1)).await;
    assert_eq!(run["run"]["state"], "failed", "{run}");
    let steps = run["steps"].as_array().unwrap();
    let volume = steps.iter().find(|s| s["step"] == "volume data").unwrap();
    assert_eq!(volume["state"], "failed");
    assert!(volume["error"].as_str().unwrap().contains("a fault was injected"), "{volume}");
    assert!(run["run"]["error"].as_str().unwrap().contains("volume data"), "{run}");
    // What does not need it was done.
    assert!(steps.iter().any(|s| s["step"] == "server web-1" && s["state"] == "done"), "{run}");
    ground.fake.fail(|_, _| None);
    let again = ground.run(&wish(1)).await;
    assert_eq!(
        (again["run"]["state"].as_str(), again["steps"].as_array().unwrap().len()),
        (Some("done"), 1),
        "{again}"
    );
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_server_that_was_killed_is_interrupted_and_the_next_converges() {
    let ground = Ground::new().await;
    ground.fake.world().boots_in(Duration::from_secs(2));
    let run = ground.begin(&wish(2)).await;
    while ground.fake.world().count("servers") < 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Dropped, not stopped: it ends as if it were killed.
    let Ground { fake, running: Running { home, server, .. }, operator } = ground;
    drop(server);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let running = Running::start_in(home, HubTiming::default()).await;
    let ground = Ground { fake, running, operator };
    let was = ground.good("GET", &run, None).await;
    assert_eq!(was["run"]["state"], "interrupted", "{was}");
    assert!(was["run"]["ended"].is_string());
    assert_eq!(ground.follow(&run, None).await.last().unwrap().2["run"]["state"], "interrupted");
    assert_eq!(ground.run(&wish(2)).await["run"]["state"], "done");
    assert!(ground.good("POST", &format!("{SHOP}/plan"), Some(&wish(2))).await["noop"].as_bool().unwrap());
    assert_eq!(ground.fake.world().count("servers"), 2);
    // One that is stopped says so itself.
    ground.fake.world().boots_in(Duration::from_secs(60));
    let run = ground.begin(&wish(3)).await;
    let Ground { fake, running, operator } = ground;
    let ground =
        Ground { running: Running::start_in(running.stop().await, HubTiming::default()).await, fake, operator };
    assert_eq!(ground.good("GET", &run, None).await["run"]["state"], "interrupted");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changed_a_yard_meanwhile_is_not_written_over() {
    let ground = Ground::new().await;
    assert_eq!(ground.run(&wish(1)).await["run"]["state"], "done");
    let revision = ground.good("GET", "/api/v1/yards", None).await[0]["revision"].as_i64().unwrap();
    let send = async |tag: &str| {
        let request = ground.running.http().post(format!("{}{SHOP}/runs", ground.running.url));
        let answer = request.bearer_auth(&ground.operator).header("if-match", tag).json(&wish(2)).send().await.unwrap();
        (answer.status(), answer.headers().get("location").map(|l| l.to_str().unwrap().to_owned()))
    };
    assert_eq!(send(&format!("\"{}\"", revision - 1)).await.0, StatusCode::PRECONDITION_FAILED);
    let (status, place) = send(&format!("\"{revision}\"")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    ground.follow(&place.unwrap(), None).await;
    assert_eq!(send(&format!("\"{revision}\"")).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(ground.fake.world().count("servers"), 2);
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yard_that_the_command_line_brought_up_is_known_with_its_files() {
    let ground = Ground::new().await;
    let text = manifest(1, "    - {name: db, flavor: m1.nano, image: tiny, userDataFile: boot.sh}\n");
    let files = json!({"boot.sh": "#!/bin/sh\necho up\n"});
    ground.run(&json!({"manifest": text, "files": files})).await;
    let state = async || ground.good("GET", &format!("{SHOP}/status"), None).await;
    assert_eq!(state().await["in_sync"], true);

    // Kept again, as the command line does after each `up`: no other revision.
    let before = ground.running.admin.yard("shop").await.unwrap().1;
    let same = serde_json::from_value::<std::collections::BTreeMap<String, String>>(files).unwrap();
    ground.running.admin.keep_yard_with("shop", &text, same, None).await.unwrap();
    assert_eq!(ground.running.admin.yard("shop").await.unwrap().1, before);

    // Other content is another server.
    let other = [("boot.sh".to_owned(), "#!/bin/sh\n".to_owned())].into();
    let kept = ground.running.admin.keep_yard_with("shop", &text, other, None).await.unwrap();
    assert!(kept.revision > before);
    let status = state().await;
    assert_eq!((&status["health"], &status["in_sync"]), (&json!("ready"), &json!(false)), "{status}");

    // Without the file it makes no difference.
    ground.running.admin.keep_yard("shop", &text, None).await.unwrap();
    let status = state().await;
    assert_eq!(
        (&status["health"], &status["in_sync"], &status["error"]),
        (&json!("ready"), &json!(true), &Value::Null),
        "{status}"
    );

    for body in [json!({"remove": true}), json!({"manifest": "a: 1", "revision": 1}), json!({"manifest": "a\u{0}"})] {
        let (status, said) = ground.ask("PUT", SHOP, Some(&body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    }
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_a_run_would_change_is_not_in_sync() {
    let ground = Ground::new().await;
    let text = |port: u16| {
        manifest(
            1,
            &format!("  securityGroups: [{{name: g, rules: [{{proto: tcp, port: {port}, from: 10.0.0.0/8}}]}}]\n"),
        )
    };
    assert_eq!(ground.run(&json!({"manifest": text(80)})).await["run"]["state"], "done");
    let status = async || ground.good("GET", &format!("{SHOP}/status"), None).await;
    assert_eq!(status().await["in_sync"], true);
    ground.running.admin.keep_yard("shop", &text(81), None).await.unwrap();
    let status = status().await;
    assert!(status["resources"].as_array().unwrap().iter().all(|r| r["planned"] == "keep"), "{status}");
    assert_eq!(status["in_sync"], false, "{status}");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_log_of_a_server() {
    let ground = Ground::new().await;
    ground.run(&wish(1)).await;
    let (status, log) = ground.ask("GET", &format!("{SHOP}/servers/web-1/console?lines=5"), None).await;
    assert_eq!((status, log["text"].as_str()), (StatusCode::OK, Some("stackyard: join: DONE")), "{log}");
    assert!(log["server"] == "web-1" && log["id"].is_string(), "{log}");
    let (status, why) = ground.ask("GET", &format!("{SHOP}/servers/nosuch/console"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{why}");
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_of_a_catalog_comes_with_its_manifest() {
    let ground = Ground::new().await;
    // A version of a package that has so many servers, with the files that travel.
    let version = |version: &str, servers: u32| {
        let meta =
            format!("apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {{name: farm, version: '{version}'}}\n");
        let parts =
            format!("servers: [{{name: node, count: {servers}, flavor: m1.nano, image: tiny, network: front}}]\n");
        let tree =
            stackyard_catalog::Memory::new("").with("package.yaml", meta.clone()).with("yard.yaml", parts.clone());
        let digest = stackyard_catalog::content_digest(&tree);
        let below = format!(".stackyard/packages/main/farm@{version}");
        let files = json!({format!("{below}/package.yaml"): meta, format!("{below}/yard.yaml"): parts});
        let entry = format!("  packages: [{{name: db, package: main/farm@{version}, digest: '{digest}'}}]\n");
        (entry, files)
    };
    let (entry, files) = version("1", 1);
    let wish = json!({"manifest": manifest(1, &entry), "files": files});
    let plan = ground.good("POST", &format!("{SHOP}/plan"), Some(&wish)).await;
    assert!(plan["plan"]["steps"].to_string().contains("db-node-1"), "{plan}");
    assert_eq!(ground.run(&wish).await["run"]["state"], "done");
    assert_eq!(ground.fake.world().count("servers"), 2);
    assert!(ground.good("POST", &format!("{SHOP}/plan"), Some(&wish)).await["noop"].as_bool().unwrap());
    let status = ground.good("GET", &format!("{SHOP}/status"), None).await;
    assert_eq!(status["in_sync"], true, "{status}");

    // The picture knows parts of packages that are not there.
    let (entry, files) = version("2", 2);
    let next = manifest(1, &entry);
    let kept: std::collections::BTreeMap<String, String> = serde_json::from_value(files.clone()).unwrap();
    ground.running.admin.keep_yard_with("shop", &next, kept, None).await.unwrap();
    let graph = ground.good("GET", &format!("{SHOP}/graph"), None).await;
    let node = graph["nodes"].as_array().unwrap().iter().find(|n| n["id"] == "server/db-node-2");
    assert_eq!(node.map(|n| &n["health"]), Some(&json!("missing")), "{graph}");

    // Without the package, nothing is derived from the rest: what is there is not in the way.
    ground.running.admin.keep_yard("shop", &next, None).await.unwrap();
    let status = ground.good("GET", &format!("{SHOP}/status"), None).await;
    assert!(status["error"].as_str().unwrap().contains("the packages db did not come with the manifest"), "{status}");
    assert!(status["in_sync"] == false && status["resources"] == json!([]), "{status}");
    let graph = ground.good("GET", &format!("{SHOP}/graph"), None).await;
    assert!(graph["cloud"]["error"].as_str().unwrap().contains("did not come with the manifest"), "{graph}");
    // A file of another part that is missing hides no package.
    let (entry, with_package) = version("1", 1);
    let unsent = "    - {name: extra, flavor: m1.nano, image: tiny, userDataFile: boot.sh}\n";
    let text = manifest(1, &format!("{unsent}{entry}"));
    let kept = serde_json::from_value::<std::collections::BTreeMap<String, String>>(with_package).unwrap();
    ground.running.admin.keep_yard_with("shop", &text, kept, None).await.unwrap();
    let status = ground.good("GET", &format!("{SHOP}/status"), None).await;
    let planned = |name: &str| {
        let all = status["resources"].as_array().unwrap();
        all.iter().find(|r| r["kind"] == "server" && r["name"] == name).map(|r| r["planned"].clone())
    };
    assert_eq!((planned("db-node-1"), planned("extra")), (Some(json!("keep")), Some(json!("create"))), "{status}");

    // Other content than the pinned one is refused; so is none.
    let mut evil = files.clone();
    evil[".stackyard/packages/main/farm@2/yard.yaml"] = json!("servers: []\n");
    for (files, wanted) in [(evil, "have the digest"), (json!({}), "is not among the files")] {
        let wish = json!({"manifest": next, "files": files});
        let (status, said) = ground.ask("POST", &format!("{SHOP}/runs"), Some(&wish)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        assert!(said["detail"].as_str().unwrap().contains(wanted), "{said}");
    }
    assert_eq!(ground.run(&json!({"manifest": next, "files": files})).await["run"]["state"], "done");
    assert_eq!(ground.fake.world().count("servers"), 3);

    // Back, with the files that were kept with the older manifest.
    let past = ground.good("GET", &format!("{SHOP}/manifests"), None).await;
    let first = past.as_array().unwrap().last().unwrap()["revision"].clone();
    assert_eq!(ground.run(&json!({"revision": first})).await["run"]["state"], "done");
    assert_eq!(ground.fake.world().count("servers"), 2);
    let gone = ground.run(&json!({"remove": true, "allow_data_loss": true})).await;
    assert_eq!(gone["run"]["state"], "done", "{gone}");
    assert_eq!(ground.fake.world().left(), Vec::<String>::new());
    ground.running.stop().await;
}
