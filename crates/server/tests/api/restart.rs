//! What a restart of the server must not do to hosts that were well before it.

use crate::stacks::report;
use crate::support::Running;
use reqwest::StatusCode;
use serde_json::json;
use stackyard_api::{Role, StackDeploy};
use stackyard_core::agent::{ToAgent, ToServer};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{Config, Service, Stack};
use stackyard_server::daemon::Settings;
use stackyard_server::hub::HubTiming;
use std::time::{Duration, Instant};

/// Does as it is told for some seconds: how many containers the host was last told to run.
async fn obey(agent: &mut crate::support::Agent, seconds: u64) -> usize {
    let (end, mut told) = (Instant::now() + Duration::from_secs(seconds), 0);
    while let Ok(Some(message)) = tokio::time::timeout_at(end.into(), agent.next()).await {
        if let ToAgent::Desired(desired) = message {
            told = desired.parts.iter().map(|part| part.replicas.len()).sum();
            agent.send(&ToServer::Report(Box::new(report(&desired)))).await;
        }
    }
    told
}

/// Agents call again only after a pause that has grown while the server was away, longer than `--lost-after` may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_host_is_lost_before_its_agent_could_come_back() {
    let lost_soon = || Settings { lost_after: Some(1), ..Settings::default() };
    let home = tempfile::tempdir().unwrap();
    let running = Running::start_as(home, lost_soon(), HubTiming::default()).await;
    let (first, second) = (running.host("shop", "web-1").await, running.host("shop", "web-2").await);
    let mut one = running.agent(&first.token, None).await;
    let mut two = running.agent(&second.token, None).await;
    let mut web = Service { image: "registry.example/web:1".to_owned(), ..Service::default() };
    web.deploy.replicas = 4;
    let stack = Stack { name: "site".to_owned(), services: [("web".to_owned(), web)].into(), ..Stack::default() };
    let deploy = StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None };
    running.admin.deploy_stack("shop", "site", &deploy).await.unwrap();
    assert_eq!(tokio::join!(obey(&mut one, 3), obey(&mut two, 3)), (2, 2));

    // An agent that this server has seen is lost when it is away for a second.
    drop(two);
    assert_eq!(obey(&mut one, 4).await, 4);
    let mut two = running.agent(&second.token, None).await;
    obey(&mut two, 1).await;
    let before = obey(&mut one, 1).await;

    let home = running.stop().await;
    let running = Running::start_as(home, lost_soon(), HubTiming::default()).await;
    let mut two = running.agent(&second.token, None).await;
    assert_eq!(obey(&mut two, 5).await, 0, "the other host has not come back yet, and is not lost; it had {before}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_none_are_refused() {
    let running = Running::start().await;
    let operator = running.token("ann", Role::Operator).await;
    let refused = async |method: &str, path: &str, body: Option<serde_json::Value>| {
        let (status, answer) = running.call(method, path, Some(&operator), body.as_ref()).await;
        (status, answer["detail"].as_str().unwrap_or_default().to_owned())
    };
    // Names of configs become names of files on hosts.
    for name in ["/etc/evil", "../../tmp/evil", "..", "a b", "x\u{1b}[31m"] {
        let service = Service { image: "registry.example/web:1".to_owned(), ..Service::default() };
        let mut stack = Stack { name: "site".to_owned(), ..Stack::default() };
        stack.services.insert("web".to_owned(), service);
        stack.configs.insert(name.to_owned(), Config { files: Default::default() });
        let deploy = StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None };
        let body = serde_json::to_value(&deploy).unwrap();
        let (status, detail) = refused("PUT", "/api/v1/yards/shop/stacks/site", Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {detail}");
        assert!(detail.contains("config"), "{detail}");
    }
    // The server's own secrets are nobody else's to remove.
    let (status, _) = refused("DELETE", "/api/v1/yards/shop/secrets/.ssh-key-web", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let ssh = json!({"join": {"yard": "shop", "pool": "web", "name": "../x"}, "address": "192.0.2.1", "server_id": "s",
        "user": "debian"});
    let (status, detail) = refused("POST", "/api/v1/ssh-joins", Some(ssh)).await;
    assert!(status.is_client_error() && detail.contains("host \"../x\""), "{status}: {detail}");
    for address in ["127.0.0.1", "169.254.169.254", "::1", "localhost", "::ffff:127.0.0.1"] {
        let ssh = json!({"join": {"yard": "shop", "pool": "web", "name": "x"}, "address": address, "server_id": "s",
            "user": "debian"});
        let (status, detail) = refused("POST", "/api/v1/ssh-joins", Some(ssh)).await;
        assert!(status == StatusCode::BAD_REQUEST && detail.contains("`address`"), "{status}: {detail}");
    }
    running.stop().await;
}
