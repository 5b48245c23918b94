//! Hosts that somebody wants made anew: marked, planned, taken back, replaced by a run.

use super::support::{Agent, Running, facts, request};
use base64::Engine as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use stackyard_api::Role;
use stackyard_core::agent::{AgentConfig, Facts, JoinRequest, Joined, PROTOCOL, ToServer};
use stackyard_fake::{Booted, Fake};
use std::collections::BTreeSet;
use std::time::Duration;

const SHOP: &str = "/api/v1/yards/shop";
const MANIFEST: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  cloud: fake\n  \
    networks:\n    - {name: front, cidr: 10.20.0.0/24, router: {external: public}}\n  \
    hosts:\n    - {pool: web, count: 2, flavor: m1.host, image: tiny}\n";

/// Plays the machines: each server that boots joins with the token of its user data.
#[derive(Default)]
struct Machines {
    joined: BTreeSet<String>,
    agents: Vec<Agent>,
}

impl Machines {
    async fn boot(&mut self, fake: &Fake, running: &Running) {
        let booted = fake.world().booted();
        for server in booted {
            if self.joined.insert(server.id.clone()) {
                self.agents.push(join(&server, running).await);
            }
        }
    }
}

async fn join(server: &Booted, running: &Running) -> Agent {
    let base64 = base64::engine::general_purpose::STANDARD;
    let text = String::from_utf8(base64.decode(&server.user_data).unwrap()).unwrap();
    let lines = text.lines().skip_while(|l| !l.contains("agent.json.new <<")).skip(1);
    let block: String = lines.take_while(|l| *l != "STACKYARD").collect();
    let config: AgentConfig = serde_json::from_slice(&base64.decode(block).unwrap()).unwrap();
    let facts = Facts { server_id: Some(server.id.clone()), ..facts(&server.name) };
    let wish = JoinRequest { facts: facts.clone(), ..request(&server.name) };
    let (status, answer) = running.join(&config.token.unwrap(), &wish).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let joined: Joined = serde_json::from_value(answer).unwrap();
    let mut agent = running.dial(&joined.token).await.unwrap();
    agent.send(&ToServer::Hello { protocol: PROTOCOL, facts, revision: None }).await;
    agent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_marked_planned_taken_back_and_replaced() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let running = Running::start_with_cloud(&fake).await;
    let ann = running.token("ann", Role::Operator).await;
    let mut machines = Machines::default();
    let ask = async |method: &str, path: &str, body: Option<&Value>| running.call(method, path, Some(&ann), body).await;
    let good = async |method: &str, path: &str, body: Option<&Value>| {
        let (status, answer) = ask(method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    };
    let state = async |run: &str| good("GET", run, None).await["run"]["state"].clone();
    let begun = good("POST", &format!("{SHOP}/runs"), Some(&json!({"manifest": MANIFEST}))).await;
    let run = format!("{SHOP}/runs/{}", begun["id"].as_str().unwrap());
    while state(&run).await == "running" {
        machines.boot(&fake, &running).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state(&run).await, "done");
    let before = good("GET", "/api/v1/hosts?yard=shop", None).await;
    assert_eq!(before.as_array().unwrap().len(), 2, "{before}");
    let revision = good("GET", &format!("{SHOP}/manifests"), None).await[0]["revision"].clone();
    let plan = async || good("POST", &format!("{SHOP}/plan"), Some(&json!({"revision": revision}))).await;
    let first = plan().await;
    assert_eq!(first["noop"], true, "{first}");

    // Refused: a machine that is none of a pool, whatever pool its owner wrote; one of a yard that nobody declared.
    running.host("shop", "extra").await;
    running.host("depot", "web-1").await;
    for (host, why) in
        [("shop%2Fextra", "it is of no pool in the manifest of yard shop"), ("depot%2Fweb-1", "no manifest")]
    {
        let (status, said) = ask("POST", &format!("/api/v1/hosts/{host}/replace"), None).await;
        let detail = said["detail"].as_str().unwrap_or_default();
        assert!(status == StatusCode::CONFLICT && detail.contains(why) && detail.contains("join"), "{status} {said}");
    }

    let mark = "/api/v1/hosts/shop%2Fweb-2/replace";
    let marked = good("POST", mark, None).await;
    assert_eq!((marked["replace"]["actor"].as_str(), marked["name"].as_str()), (Some("token ann"), Some("web-2")));
    let at = marked["replace"]["at"].as_str().unwrap();
    // Asked for by another, later: it stays the first one's.
    assert_eq!(running.admin.replace_host("shop/web-2").await.unwrap().replace.unwrap().actor, "token ann");
    let planned = plan().await;
    assert_eq!(planned["summary"]["replace"], 1, "{planned}");
    let steps = planned["plan"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|s| s["action"] == "recreate").unwrap();
    assert_eq!(step["reasons"], json!([format!("asked for by token ann at {at}")]));
    let status = good("GET", &format!("{SHOP}/status"), None).await;
    assert!(
        status["resources"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["name"] == "web-2" && r["reason"] == json!(format!("asked for by token ann at {at}")))
    );

    // Taken back; once more does no harm.
    let taken = ask("DELETE", mark, None).await.0;
    assert_eq!((taken, ask("DELETE", mark, None).await.0), (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT));
    assert_eq!(good("GET", "/api/v1/hosts/shop%2Fweb-2", None).await.get("replace"), None);
    assert_eq!(plan().await["noop"], true);
    // The plan of a mark that is gone is not carried out.
    let stale = json!({"revision": revision, "plan": planned["digest"]});
    assert_eq!(ask("POST", &format!("{SHOP}/runs"), Some(&stale)).await.0, StatusCode::CONFLICT);

    good("POST", mark, None).await;
    let wish = json!({"revision": revision, "plan": plan().await["digest"]});
    let begun = good("POST", &format!("{SHOP}/runs"), Some(&wish)).await;
    let run = format!("{SHOP}/runs/{}", begun["id"].as_str().unwrap());
    // The new machine does not boot yet, so the run goes on: too late.
    let (status, said) =
        ask("DELETE", &format!("/api/v1/hosts/{}/replace", before[0]["id"].as_str().unwrap()), None).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("a run of yard shop is active"), "{said}");
    while state(&run).await == "running" {
        machines.boot(&fake, &running).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state(&run).await, "done");
    let after = good("GET", "/api/v1/hosts?yard=shop&pool=web", None).await;
    let of = |hosts: &Value, name: &str| hosts.as_array().unwrap().iter().find(|h| h["name"] == name).cloned().unwrap();
    assert_eq!(of(&before, "web-1")["id"], of(&after, "web-1")["id"]);
    assert_ne!(of(&before, "web-2")["id"], of(&after, "web-2")["id"]);
    assert_ne!(of(&before, "web-2")["facts"]["server_id"], of(&after, "web-2")["facts"]["server_id"]);
    assert_eq!((of(&after, "web-2").get("replace"), fake.world().count("servers")), (None, 2));
    assert_eq!(plan().await["noop"], true);
    running.stop().await;
}
