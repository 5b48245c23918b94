//! Joining.

use super::support::{Running, request};
use reqwest::StatusCode;
use stackyard_api::NewJoin;
use stackyard_core::agent::{JoinRequest, Joined};
use std::process::Command;
use std::time::Duration;

fn join(yard: &str) -> NewJoin {
    NewJoin { yard: yard.to_owned(), pool: Some("web".to_owned()), ..NewJoin::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_joins_one_machine() {
    let running = Running::start().await;
    let labels = [("disk".to_owned(), "ssd".to_owned())];
    let ticket = running.ticket(NewJoin { labels: labels.into(), ..join("shop") }).await;
    assert_eq!(ticket.server, running.url);
    assert_eq!(ticket.ca_pem, running.ca);
    let (status, answer) = running.join(&ticket.token, &labelled("web-1.example.org", "disk", "hdd")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let joined: Joined = serde_json::from_value(answer).unwrap();
    let host = running.admin.host("shop/web-1").await.unwrap();
    assert_eq!((host.id.as_str(), host.pool.as_str(), host.connected), (joined.host.as_str(), "web", false));
    assert_eq!(host.labels.into_iter().collect::<Vec<_>>(), [("disk".to_owned(), "ssd".to_owned())]);
    assert_eq!(host.facts.cpus, 2);

    let (status, answer) = running.join(&ticket.token, &request("web-2")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(answer["detail"].as_str().unwrap().contains("used already"), "{answer}");
    assert_eq!(running.admin.hosts(Some("shop"), None).await.unwrap().len(), 1);
    running.stop().await;
}

fn labelled(name: &str, key: &str, value: &str) -> JoinRequest {
    JoinRequest { labels: [(key.to_owned(), value.to_owned())].into(), ..request(name) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_gives_itself_labels_only_if_its_token_says_so() {
    let running = Running::start().await;
    let ticket = running.ticket(join("shop")).await;
    let (status, answer) = running.join(&ticket.token, &labelled("web-1", "tier", "db")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(answer["detail"].as_str().unwrap().contains("it wants tier=db"), "{answer}");
    assert_eq!(running.join(&ticket.token, &request("web-1")).await.0, StatusCode::OK, "the token was not used up");

    let ticket = running.ticket(NewJoin { labels_from_machine: true, ..join("shop") }).await;
    assert_eq!(running.join(&ticket.token, &labelled("web-2", "tier", "db")).await.0, StatusCode::OK);
    assert_eq!(running.admin.host("shop/web-2").await.unwrap().labels["tier"], "db");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_got_lost_is_given_again() {
    let running = Running::start().await;
    let ticket = running.ticket(join("shop")).await;
    let first: Joined = serde_json::from_value(running.join(&ticket.token, &request("web-1")).await.1).unwrap();
    let again: Joined = serde_json::from_value(running.join(&ticket.token, &request("web-1")).await.1).unwrap();
    assert_eq!(again.host, first.host);
    assert_ne!(again.token, first.token);
    assert!(running.dial(&first.token).await.is_err(), "the first token is still good");
    let _agent = running.agent(&again.token, None).await;
    let mut other = request("web-1");
    other.nonce = "f".repeat(64);
    assert_eq!(running.join(&ticket.token, &other).await.0, StatusCode::FORBIDDEN);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_and_wrong_joins_are_told_why() {
    let running = Running::start().await;
    let ticket = running.ticket(NewJoin { ttl_s: Some(1), ..join("shop") }).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (status, answer) = running.join(&ticket.token, &request("web-1")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(answer["detail"].as_str().unwrap().contains("has ended"), "{answer}");
    let (status, answer) = running.join(&format!("syj_{}", "0".repeat(64)), &request("web-1")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(answer["detail"].as_str().unwrap().contains("unknown"), "{answer}");
    for (new, word) in [
        (NewJoin { yard: "no/yard".to_owned(), ..NewJoin::default() }, "yard"),
        (NewJoin { ttl_s: Some(0), ..join("shop") }, "ttl_s"),
        (NewJoin { ttl_s: Some(10_000_000), ..join("shop") }, "ttl_s"),
        (NewJoin { server: Some("elsewhere.example".to_owned()), ..join("shop") }, "--name elsewhere.example"),
        (NewJoin { labels: [("a b".to_owned(), String::new())].into(), ..join("shop") }, "label"),
        (NewJoin { replaces: Some("shop/nobody".to_owned()), ..join("shop") }, "nobody"),
    ] {
        let error = running.admin.new_join(&new).await.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let other = NewJoin { server: Some("localhost:1234".to_owned()), ..join("shop") };
    assert_eq!(running.ticket(other).await.server, "https://localhost:1234");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_replaced_and_its_token_with_it() {
    let running = Running::start().await;
    let old = running.host("shop", "web-1").await;
    let mut agent = running.agent(&old.token, None).await;
    running.until("the agent is connected", || running.server.app().hub().connected() == 1).await;
    let taken = running.admin.new_join(&NewJoin { name: Some("web-1".to_owned()), ..join("shop") }).await;
    assert_eq!(taken.unwrap_err().status(), Some(409));

    let new = NewJoin { name: Some("web-1".to_owned()), replaces: Some("shop/web-1".to_owned()), ..join("shop") };
    let ticket = running.ticket(new).await;
    // Until the new one is there, the old one stays.
    assert_eq!(running.admin.host("shop/web-1").await.unwrap().id, old.host);
    let (_, answer) = running.join(&ticket.token, &request("other")).await;
    let joined: Joined = serde_json::from_value(answer).unwrap();
    assert_eq!(running.admin.host("shop/web-1").await.unwrap().id, joined.host);
    assert!(agent.closed().await.contains("removed"));
    assert!(running.dial(&old.token).await.is_err());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_machines_join_at_once() {
    let running = std::sync::Arc::new(Running::start().await);
    let joins = (0..100).map(|n| {
        let running = running.clone();
        tokio::spawn(async move {
            let ticket = running.ticket(join("shop")).await;
            running.join(&ticket.token, &request(&format!("web-{n}"))).await.0
        })
    });
    for one in joins.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(running.admin.hosts(Some("shop"), Some("web")).await.unwrap().len(), 100);
}

/// The first half of the line that joins a machine, as it is printed: the CA is fetched unseen,
/// compared, and the script comes from whom it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_trusts_the_right_server_alone() {
    let running = Running::start().await;
    let ticket = running.ticket(join("shop")).await;
    let until = ticket.command.find("STACKYARD_JOIN_TOKEN").unwrap();
    let fetch = format!("{} cat $d/join.sh; rm -r $d", &ticket.command[..until]);
    let shell = |line: String| async move {
        tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &line]).output().unwrap()).await.unwrap()
    };
    let output = shell(fetch.clone()).await;
    assert!(String::from_utf8_lossy(&output.stdout).contains("agent join --server"), "{output:?}");
    let output = shell(fetch.replace(&ticket.ca_sha256, &"0".repeat(64))).await;
    assert!(!String::from_utf8_lossy(&output.stdout).contains("agent join"), "{output:?}");

    // The binary is this very process.
    let own = std::fs::metadata("/proc/self/exe").unwrap().len();
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let ca = running.home.path().join("server/ca.pem");
    let line = format!("curl -fsS --cacert {} {}/agent/{arch} | wc -c", ca.display(), running.url);
    let output = shell(line).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), own.to_string());
    assert_eq!(running.call("GET", "/agent/vax", None, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.call("GET", "/agent/..%2Fca.key", None, None).await.0, StatusCode::NOT_FOUND);
    running.stop().await;
}
