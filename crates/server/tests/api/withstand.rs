//! Callers that want the server to stop: none of them may hold up anybody else.

use super::stacks::report;
use super::support::{Agent, Running};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::StatusCode;
use serde_json::json;
use stackyard_api::{Role, StackDeploy};
use stackyard_core::agent::{Bytes, Stream, ToAgent, ToServer, WINDOW, cost};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{Service, Stack};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What any answer may take while somebody attacks; a busy machine in mind.
const SOON: Duration = Duration::from_secs(10);

/// A line of a log, in bytes.
const LINE: usize = 8 << 10;

/// What an agent sends on each stream: the room that is left, and the lines that it sent.
type Streams = Arc<Mutex<BTreeMap<u64, (u32, usize)>>>;

/// An agent whose one container writes as fast as it is read.
async fn chatty(mut agent: Agent, streams: Streams) {
    loop {
        // The room of all streams is used up first, then what comes is heard.
        let next = {
            let mut streams = streams.lock().unwrap();
            let free = streams.iter_mut().find(|(_, (room, _))| *room >= cost(LINE));
            free.map(|(number, (room, lines))| {
                (*room, *lines) = (*room - cost(LINE), *lines + 1);
                *number
            })
        };
        if let Some(stream) = next {
            let data = Bytes([vec![b'x'; LINE - 1], b"\n".to_vec()].concat());
            agent.send(&ToServer::Chunk { stream, replica: None, from: Stream::Stdout, data }).await;
            tokio::task::yield_now().await;
        }
        let message = match next {
            Some(_) => match tokio::time::timeout(Duration::ZERO, agent.next()).await {
                Ok(message) => message,
                Err(_) => continue,
            },
            None => agent.next().await,
        };
        let mut streams = streams.lock().unwrap();
        match message {
            Some(ToAgent::Desired(desired)) => {
                drop(streams);
                agent.send(&ToServer::Report(Box::new(report(&desired)))).await;
            }
            Some(ToAgent::Open { stream, .. }) => drop(streams.insert(stream, (WINDOW, 0))),
            Some(ToAgent::Credit { stream, bytes }) => {
                streams.get_mut(&stream).into_iter().for_each(|(room, _)| *room += bytes);
            }
            Some(ToAgent::Close { stream }) => drop(streams.remove(&stream)),
            Some(_) => {}
            None => return,
        }
    }
}

/// A stack of one container that writes all the time.
fn stack() -> StackDeploy {
    let web = Service { image: "registry.example/web:1".to_owned(), ..Service::default() };
    let services = [("web".to_owned(), web)].into();
    let stack = Stack { name: "site".to_owned(), services, ..Stack::default() };
    StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None }
}

/// Asks for the server's health on a connection of its own.
async fn is_well(running: &Running) {
    let begun = Instant::now();
    let health = running.http().get(format!("{}/api/v1/health", running.url)).send();
    let health = tokio::time::timeout(SOON, health).await.expect("no answer").unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_nobody_reads_hold_up_nobody() {
    let running = Running::start().await;
    let host = running.host("shop", "web-1").await;
    let streams = Streams::default();
    tokio::spawn(chatty(running.agent(&host.token, None).await, streams.clone()));
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    running.admin.deploy_stack("shop", "site", &stack()).await.unwrap();
    let runs = || {
        let report = running.server.app().hub().seen(&host.host).and_then(|s| s.report);
        report.is_some_and(|r| r.parts.contains_key("site"))
    };
    running.until("the container", runs).await;

    let viewer = running.token("viewer", Role::Viewer).await;
    let id = running.admin.tokens().await.unwrap().into_iter().find(|t| t.name == "viewer").unwrap().id;
    let logs = format!("{}/api/v1/yards/shop/stacks/site/logs?follow=true", running.url);
    let mut unread = Vec::new();
    for _ in 0..5 {
        unread.push(running.http().get(&logs).bearer_auth(&viewer).send().await.unwrap());
    }
    let stuck = || {
        let streams = streams.lock().unwrap();
        streams.len() == 5 && streams.values().all(|(room, lines)| *room < cost(LINE) && *lines > 0)
    };
    running.until("all streams are stuck", stuck).await;
    // What changes tokens has the server look after each stream's own, though its answer is stuck.
    for n in 0..5 {
        running.token(&format!("other-{n}"), Role::Viewer).await;
        is_well(&running).await;
    }
    assert_eq!(running.admin.hosts(None, None).await.unwrap().len(), 1);
    // An order reaches the host, and its report the server.
    let before = running.server.app().hub().seen(&host.host).and_then(|s| s.report).unwrap().revision;
    running.admin.scale_stack("shop", "site", [("web".to_owned(), 2)].into()).await.unwrap();
    let reported =
        || running.server.app().hub().seen(&host.host).and_then(|s| s.report).is_some_and(|r| r.revision > before);
    running.until("the order", reported).await;
    // Another reader of the same host reads on.
    let mut read = running.http().get(&logs).bearer_auth(&viewer).send().await.unwrap();
    for _ in 0..100 {
        tokio::time::timeout(SOON, read.chunk()).await.expect("nothing to read").unwrap().unwrap();
    }
    // A token that ends ends its streams, read or not.
    running.admin.revoke_token(&id).await.unwrap();
    running.until("all streams are closed", || streams.lock().unwrap().is_empty()).await;
    drop((unread, read));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_has_so_many_streams_and_no_more() {
    let running = Running::start().await;
    let (greedy, other) = (running.token("greedy", Role::Viewer).await, running.token("other", Role::Viewer).await);
    let events = |token: &str| running.http().get(format!("{}/api/v1/events", running.url)).bearer_auth(token).send();
    let mut open = Vec::new();
    let refused = loop {
        let answer = events(&greedy).await.unwrap();
        if answer.status() != StatusCode::OK {
            break answer;
        }
        open.push(answer);
        assert!(open.len() <= 100);
    };
    assert_eq!((refused.status(), open.len()), (StatusCode::TOO_MANY_REQUESTS, 100));
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("100 streams"));
    assert_eq!(events(&other).await.unwrap().status(), StatusCode::OK);
    open.pop();
    let again = async {
        while events(&greedy).await.unwrap().status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, again).await.expect("a place that was left is free");
    drop(open);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_keep_nobody_out() {
    let running = Running::start().await;
    let host = running.host("shop", "web-1").await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(running.server.listening()[0]).await.unwrap());
    }
    is_well(&running).await;
    let agent = tokio::time::timeout(SOON, running.dial(&host.token)).await.expect("no connection").unwrap();
    drop((silent, agent));
    running.stop().await;
}

/// Sends the head of a request (`POST /path`) with a body and part of it; the answer's first line, and all of it.
pub async fn half_sent(running: &Running, request: &str, token: &str, head: &str, part: &[u8]) -> (String, String) {
    let mut connection = running.connection().await.unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: server\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\n{head}\r\n\r\n"
    );
    let head = if token.is_empty() { head.replace("authorization: Bearer \r\n", "") } else { head };
    connection.write_all(head.as_bytes()).await.unwrap();
    // The server may have answered and closed before all was sent.
    connection.write_all(part).await.ok();
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, connection.read_to_end(&mut answer)).await.expect("no answer").ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.lines().next().unwrap_or_default().to_owned(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_known_sends_little() {
    let running = Running::start().await;
    let join = format!("syj_{}", "0".repeat(64));
    for (path, token) in [("/api/v1/session", ""), ("/api/v1/session/token", ""), ("/api/v1/join", join.as_str())] {
        let request = format!("POST {path}");
        let (status, answer) = half_sent(&running, &request, token, "content-length: 16777216", b"{").await;
        assert!(status.contains("413"), "{path}: {answer}");
        assert!(answer.contains("may have 65536"), "{path}: {answer}");
        // In pieces, without a length.
        let piece = format!("11170\r\n\"{}", "x".repeat(0x11170));
        let (status, answer) =
            half_sent(&running, &request, token, "transfer-encoding: chunked", piece.as_bytes()).await;
        assert!(status.contains("413"), "{path}: {answer}");
    }
    let (status, _) = running.call("POST", "/api/v1/session", None, Some(&json!({"token": "x".repeat(60_000)}))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_sends_so_many_large_bodies_at_once() {
    let running = Running::start().await;
    let operator = running.token("operator", Role::Operator).await;
    let other = running.token("other", Role::Operator).await;
    let path = "/api/v1/yards/shop/plan";
    // Five, in any order: one of them is refused, and the others wait for the rest of their bodies.
    let request = format!("POST {path}");
    let mut sent = FuturesUnordered::new();
    for _ in 0..5 {
        sent.push(half_sent(&running, &request, &operator, "content-length: 1000000", b"{"));
    }
    let (status, answer) = sent.next().await.unwrap();
    assert!(status.contains("429"), "{answer}");
    assert!(answer.contains("4 requests with more than 64 KiB"), "{answer}");
    let large = json!({"manifest": "x".repeat(1_000_000)});
    assert_eq!(running.call("POST", path, Some(&other), Some(&large)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let small = json!({"manifest": "x"});
    assert_eq!(running.call("POST", path, Some(&operator), Some(&small)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    drop(sent);
    running.stop().await;
}
