//! The cloud of the server's machine through the API. Nothing here changes the machine: what is asked for is
//! refused, by the answers, by the lock or by preflight. tests/cloud/api brings a cloud up and down.

use super::support::Running;
use reqwest::StatusCode;
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_cloud::home::Home;
use stackyard_store::NewRun;
use std::time::Duration;

const RUNS: &str = "/api/v1/local/runs";

struct Ground {
    running: Running,
    admin: String,
}

impl Ground {
    async fn new() -> Self {
        let running = Running::start().await;
        let admin = running.token("root", Role::Admin).await;
        Self { running, admin }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        self.running.call(method, path, Some(&self.admin), body).await
    }

    /// Why a run is not begun.
    async fn refused(&self, wish: Value) -> (StatusCode, String) {
        let (status, answer) = self.ask("POST", RUNS, Some(&wish)).await;
        (status, answer["detail"].as_str().unwrap_or_default().to_owned())
    }

    /// A run, when it has ended.
    async fn ended(&self, run: &str) -> Value {
        let path = format!("{RUNS}/{run}");
        let ended = async {
            loop {
                let (_, detail) = self.ask("GET", &path, None).await;
                if detail["run"]["state"] != "running" {
                    return detail;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the run has no end")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused() {
    let ground = Ground::new().await;
    let (status, view) = ground.ask("GET", "/api/v1/local", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&view["there"], &view["run"], &view["obstacles"]), (&json!(false), &Value::Null, &json!([])), "{view}");

    let (status, why) = ground.refused(json!({"kind": "down"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(why.contains("there is no cloud in"), "{why}");
    let (status, why) = ground.refused(json!({"kind": "down", "purge": "yes"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(why.contains("volumes"), "{why}");
    let bad = json!({"kind": "plan", "set": {"profile": "huge", "colour": "red"}});
    let (status, why) = ground.refused(bad).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(why.contains("profile: `huge` is not allowed") && why.contains("unknown answer `colour`"), "{why}");
    // Up takes a plan that somebody has seen.
    let (status, _) = ground.refused(json!({"kind": "up"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ground.ask("GET", RUNS, None).await.1, json!([]));
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_time_also_beside_the_command_line() {
    let ground = Ground::new().await;
    let home = Home::new(ground.running.home.path());
    let held = home.lock("stackyard cloud up").unwrap();
    let (status, why) = ground.refused(json!({"kind": "plan"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(why.contains(&format!("process {} (stackyard cloud up) is changing", std::process::id())), "{why}");
    drop(held);

    // No machine has this card: preflight ends it before any image is looked at.
    let wish = json!({"kind": "plan", "set": {"neutron_interface": "nosuch0"}});
    let (status, run) = ground.ask("POST", RUNS, Some(&wish)).await;
    assert_eq!((status, run["actor"].as_str()), (StatusCode::ACCEPTED, Some("token root")), "{run}");
    let id = run["id"].as_str().unwrap();
    let (status, why) = ground.refused(json!({"kind": "plan"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(why.contains("token root is at work") && why.contains(id), "{why}");
    let error = home.lock("stackyard cloud up").unwrap_err().to_string();
    assert!(error.contains("stackyard server, `plan` for token root"), "{error}");

    let detail = ground.ended(id).await;
    assert_eq!(detail["run"]["state"], "failed", "{detail}");
    assert!(detail["run"]["error"].as_str().unwrap().contains("preflight"), "{detail}");
    let outlook = &detail["outlook"];
    assert_eq!((&outlook["blocked"], &outlook["plan"]), (&json!(true), &Value::Null), "{outlook}");
    assert_eq!(outlook["set"], json!({"neutron_interface": "nosuch0"}));
    let problems = outlook["problems"].as_array().unwrap();
    assert!(problems.iter().any(|p| p["seen"].as_str().unwrap().contains("nosuch0")), "{outlook}");
    assert_eq!(detail["steps"][0]["step"], "preflight");
    assert!(!home.secrets().exists(), "a plan that failed left secrets");
    home.lock("the next").unwrap();

    // The events of a run that has ended are the same, and end.
    let request = ground.running.http().get(format!("{}{RUNS}/{id}/events", ground.running.url));
    let text = request.bearer_auth(&ground.admin).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("event: step") && text.contains("nosuch0") && text.contains("\"failed\""), "{text}");
    let (status, _) = ground.ask("POST", &format!("{RUNS}/{id}/cancel"), None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    // It is in the list of the cloud, and in that of no yard.
    assert_eq!(ground.ask("GET", RUNS, None).await.1[0]["id"], id);
    let (status, _) = ground.ask("GET", &format!("/api/v1/yards/@local/runs/{id}"), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    ground.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_killed_server_is_interrupted() {
    let ground = Ground::new().await;
    let run = NewRun {
        id: "0197-up".to_owned(),
        yard: "@local".to_owned(),
        kind: "up".to_owned(),
        revision: None,
        actor: "token root".to_owned(),
        began: 1_000,
        state: "running".to_owned(),
    };
    let outlook =
        json!({"set": {}, "unset": [], "force": false, "problems": [], "blocked": false, "warnings": [], "plan": null});
    let content = json!({"steps": [], "notes": ["half way"], "outlook": outlook});
    ground.running.server.app().store().begin_run(&run, &content).await.unwrap();
    let home = ground.running.stop().await;
    let running = Running::start_in(home, stackyard_server::hub::HubTiming::default()).await;
    let (_, detail) = running.call("GET", &format!("{RUNS}/0197-up"), Some(&ground.admin), None).await;
    assert_eq!((&detail["run"]["state"], &detail["notes"][0]), (&json!("interrupted"), &json!("half way")), "{detail}");
    assert_eq!(detail["outlook"], outlook);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_and_checks_are_those_of_the_command_line() {
    let ground = Ground::new().await;
    let (status, questions) = ground.ask("GET", "/api/v1/local/questions", None).await;
    assert_eq!(status, StatusCode::OK);
    let profile = &questions[0];
    assert_eq!((&profile["name"], &profile["kind"]), (&json!("profile"), &json!("enum")));
    assert_eq!((&profile["answer"], &profile["origin"]), (&json!("core"), &json!("default")));
    assert_eq!(profile["options"], json!(["core", "full"]));
    let body = json!({"set": {"neutron_interface": "nosuch0"}});
    let (status, report) = ground.ask("POST", "/api/v1/local/preflight", Some(&body)).await;
    assert_eq!((status, &report["blocked"]), (StatusCode::OK, &json!(true)), "{report}");
    let checks = report["checks"].as_array().unwrap();
    let card = checks.iter().find(|c| c["seen"].as_str().unwrap().contains("no interface nosuch0")).unwrap();
    assert!(card["result"] == "fail" && card["mend"].as_str().unwrap().contains("--unset neutron_interface"), "{card}");
    ground.running.stop().await;
}
