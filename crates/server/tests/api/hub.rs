//! Agents' connections.

use super::support::{Agent, Running, facts};
use reqwest::StatusCode;
use stackyard_core::agent::{
    Bytes, Facts, Open, PROTOCOL, Part, PartReport, Replica, Report, Stream, ToAgent, ToServer, WINDOW, cost,
};
use stackyard_core::stack::Stack;
use stackyard_server::hub::{HubError, HubTiming, Output};
use std::collections::BTreeMap;
use std::time::Duration;

/// Here the tests say what hosts should run, and no stack does.
fn alone() -> HubTiming {
    HubTiming { stacks: false, ..HubTiming::default() }
}

fn part(name: &str) -> Part {
    Part::pack(Stack { name: name.to_owned(), ..Stack::default() }, BTreeMap::new(), BTreeMap::new())
}

fn logs() -> Open {
    Open::Logs { stack: "site".to_owned(), replicas: Vec::new(), follow: true, tail: None, since: None }
}

async fn desired(agent: &mut Agent) -> (u64, Vec<String>) {
    match agent.next().await {
        Some(ToAgent::Desired(desired)) => {
            (desired.revision, desired.parts.iter().map(|p| p.name().to_owned()).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn chunk(stream: u64, data: &[u8]) -> ToServer {
    ToServer::Chunk { stream, replica: None, from: Stream::Stdout, data: Bytes(data.to_vec()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_told_the_whole_and_reports() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    // Said while nobody listens.
    let first = hub.set_desired(&host.host, vec![part("site")]).await.unwrap();
    let mut agent = running.agent(&host.token, None).await;
    assert_eq!(desired(&mut agent).await, (first, vec!["site".to_owned()]));
    let second = hub.set_desired(&host.host, vec![part("site"), part("db")]).await.unwrap();
    assert!(second > first);
    assert_eq!(desired(&mut agent).await.0, second);
    // The same again is no news.
    assert_eq!(hub.set_desired(&host.host, vec![part("site"), part("db")]).await.unwrap(), second);
    assert!(agent.is_quiet().await);

    let report = Report { revision: second, settled: true, ..Report::default() };
    agent.send(&ToServer::Report(Box::new(report.clone()))).await;
    running.until("the report", || hub.seen(&host.host).is_some_and(|s| s.report.as_deref() == Some(&report))).await;
    let view = running.admin.host(&host.host).await.unwrap();
    assert!(view.connected && view.last_seen.is_some());
    assert_eq!((view.report, view.revision), (Some(report), second));
    // What the agent said of the machine is kept.
    assert_eq!(view.facts, facts("m"));
    drop(agent);
    running.until("the agent is gone", || hub.connected() == 0).await;
    assert!(!running.admin.host(&host.host).await.unwrap().connected);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_has_it_is_not_told_again_also_by_another_server() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let revision = running.server.app().hub().set_desired(&host.host, vec![part("site")]).await.unwrap();
    let mut agent = running.agent(&host.token, Some(revision)).await;
    assert!(agent.is_quiet().await);
    let home = running.stop().await;
    assert!(agent.next().await.is_none());

    let running = Running::start_in(home, alone()).await;
    let hub = running.server.app().hub().clone();
    let mut agent = running.agent(&host.token, Some(revision)).await;
    // As long as nobody says what should run, nothing is to be stopped.
    assert!(agent.is_quiet().await);
    assert_eq!(hub.set_desired(&host.host, vec![part("site")]).await.unwrap(), revision);
    assert!(agent.is_quiet().await);
    let next = hub.set_desired(&host.host, Vec::new()).await.unwrap();
    assert!(next > revision);
    assert_eq!(desired(&mut agent).await, (next, Vec::new()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newer_connection_of_a_host_stays() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    let mut old = running.agent(&host.token, None).await;
    running.until("the first", || hub.connected() == 1).await;
    let mut new = running.agent(&host.token, None).await;
    assert!(old.closed().await.contains("another connection"));
    drop(old);
    let revision = hub.set_desired(&host.host, vec![part("site")]).await.unwrap();
    assert_eq!(desired(&mut new).await.0, revision);
    assert_eq!(hub.connected(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_gets_its_own_parts_and_no_other() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let (one, two) = (running.host("shop", "web-1").await, running.host("shop", "web-2").await);
    let hub = running.server.app().hub().clone();
    let mut agents = [running.agent(&one.token, None).await, running.agent(&two.token, None).await];
    hub.set_desired(&one.host, vec![part("for-one")]).await.unwrap();
    hub.set_desired(&two.host, vec![part("for-two")]).await.unwrap();
    assert_eq!(desired(&mut agents[0]).await.1, ["for-one"]);
    assert_eq!(desired(&mut agents[1]).await.1, ["for-two"]);
    for agent in &mut agents {
        assert!(agent.is_quiet().await);
    }
    // A stream's number belongs to a connection: the other host cannot write into it.
    let mut stream = hub.open_stream(&one.host, logs()).unwrap();
    let Some(ToAgent::Open { stream: number, .. }) = agents[0].next().await else { panic!("no stream") };
    agents[1].send(&chunk(number, b"forged")).await;
    assert_eq!(agents[1].next().await, Some(ToAgent::Close { stream: number }));
    agents[0].send(&chunk(number, b"true")).await;
    let Some(Output::Chunk { data, .. }) = stream.next().await else { panic!("no chunk") };
    assert_eq!(data, b"true");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_go_both_ways_and_end() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    assert_eq!(hub.open_stream(&host.host, logs()).unwrap_err(), HubError::Away { host: host.host.clone() });
    let mut agent = running.agent(&host.token, None).await;
    running.until("the agent", || hub.connected() == 1).await;

    let mut stream = hub.open_stream(&host.host, logs()).unwrap();
    let Some(ToAgent::Open { stream: one, open }) = agent.next().await else { panic!("no stream") };
    assert_eq!(open, logs());
    let input = stream.input();
    input.send(b"ls\n".to_vec()).await;
    assert_eq!(agent.next().await, Some(ToAgent::Input { stream: one, data: Bytes(b"ls\n".to_vec()) }));
    input.resize(24, 80).await;
    assert_eq!(agent.next().await, Some(ToAgent::Resize { stream: one, rows: 24, columns: 80 }));
    let replica = Some(Replica { service: "web".to_owned(), index: 1 });
    let data = Bytes(vec![0, 255]);
    agent.send(&ToServer::Chunk { stream: one, replica: replica.clone(), from: Stream::Stderr, data }).await;
    agent.send(&ToServer::End { stream: one, status: Some(3), error: None }).await;
    assert_eq!(stream.next().await, Some(Output::Chunk { replica, from: Stream::Stderr, data: vec![0, 255] }));
    assert_eq!(stream.next().await, Some(Output::End { status: Some(3), error: None }));
    assert_eq!(stream.next().await, None);

    // Nobody looks any more: the agent is told.
    drop(hub.open_stream(&host.host, logs()).unwrap());
    let Some(ToAgent::Open { stream: two, .. }) = agent.next().await else { panic!("no stream") };
    assert_ne!(one, two);
    assert_eq!(agent.next().await, Some(ToAgent::Close { stream: two }));

    // The connection is lost while somebody looks.
    let mut stream = hub.open_stream(&host.host, logs()).unwrap();
    drop(agent);
    let Some(Output::End { error: Some(error), .. }) = stream.next().await else { panic!("no end") };
    assert!(error.contains("lost"), "{error}");
    assert_eq!(stream.next().await, None);
    running.stop().await;
}

/// Sends pieces of `size` bytes while there is room for them; how many.
async fn fill(agent: &mut Agent, stream: u64, size: usize, mut room: u32) -> u32 {
    let mut sent = 0;
    while let Some(less) = room.checked_sub(cost(size)) {
        agent.send(&chunk(stream, &vec![b'x'; size])).await;
        (room, sent) = (less, sent + 1);
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_up_its_own_stream_alone() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    let mut agent = running.agent(&host.token, None).await;
    running.until("the agent", || hub.connected() == 1).await;
    let mut slow = hub.open_stream(&host.host, logs()).unwrap();
    let Some(ToAgent::Open { stream, .. }) = agent.next().await else { panic!("no stream") };
    let mut pieces = fill(&mut agent, stream, 1000, WINDOW).await;
    // All else goes its way.
    let mut other = hub.open_stream(&host.host, logs()).unwrap();
    let Some(ToAgent::Open { stream: second, .. }) = agent.next().await else { panic!("no stream") };
    agent.send(&chunk(second, b"seen")).await;
    assert!(matches!(other.next().await, Some(Output::Chunk { data, .. }) if data == b"seen"));
    agent.send(&ToServer::Report(Box::default())).await;
    running.until("the report", || hub.seen(&host.host).is_some_and(|s| s.report.is_some())).await;
    // Nothing was lost, and what was read gives room for more.
    let read = pieces / 2 + 2;
    for _ in 0..read {
        assert!(matches!(slow.next().await, Some(Output::Chunk { .. })));
    }
    let Some(ToAgent::Credit { stream: credited, bytes }) = agent.next().await else { panic!("no credit") };
    assert!(credited == stream && bytes >= WINDOW / 2);
    pieces = pieces - read + fill(&mut agent, stream, 1000, bytes).await;
    agent.send(&ToServer::End { stream, status: Some(0), error: None }).await;
    while let Some(Output::Chunk { .. }) = slow.next().await {
        pieces -= 1;
    }
    assert_eq!(pieces, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_sends_more_than_it_may_loses_the_stream() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    let mut agent = running.agent(&host.token, None).await;
    running.until("the agent", || hub.connected() == 1).await;
    let mut unread = hub.open_stream(&host.host, logs()).unwrap();
    let Some(ToAgent::Open { stream, .. }) = agent.next().await else { panic!("no stream") };
    fill(&mut agent, stream, 1000, WINDOW).await;
    agent.send(&chunk(stream, &[0; 1000])).await;
    assert_eq!(agent.next().await, Some(ToAgent::Close { stream }));
    let last = loop {
        match unread.next().await {
            Some(Output::Chunk { .. }) => {}
            other => break other,
        }
    };
    let Some(Output::End { error: Some(error), .. }) = last else { panic!("{last:?}") };
    assert!(error.contains("more than was asked for"), "{error}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_waits_for_the_program_that_is_to_read_it() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    let mut agent = running.agent(&host.token, None).await;
    running.until("the agent", || hub.connected() == 1).await;
    let stream = hub.open_stream(&host.host, logs()).unwrap();
    let Some(ToAgent::Open { stream: number, .. }) = agent.next().await else { panic!("no stream") };
    let input = stream.input();
    let sending = tokio::spawn(async move { input.send(vec![b'x'; 1 << 20]).await });
    let (mut come, mut room) = (0, i64::from(WINDOW));
    while come < 1 << 20 {
        while let Some(message) = agent.soon().await {
            let ToAgent::Input { data, .. } = message else { panic!("{message:?}") };
            room -= i64::from(cost(data.0.len()));
            come += data.0.len();
            assert!(room >= 0, "more than there was room for");
        }
        // Nothing more comes until the program reads.
        let bytes = u32::try_from(i64::from(WINDOW) - room).unwrap();
        agent.send(&ToServer::Credit { stream: number, bytes }).await;
        room = i64::from(WINDOW);
    }
    sending.await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_speaks_otherwise_is_told_so() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hello = |protocol| ToServer::Hello { protocol, facts: Facts::default(), revision: None };

    let mut agent = running.dial(&host.token).await.unwrap();
    agent.send(&hello(PROTOCOL + 1)).await;
    assert!(agent.closed().await.contains("speaks protocol 3"));
    let mut agent = running.dial(&host.token).await.unwrap();
    agent.send(&ToServer::Report(Box::default())).await;
    assert!(agent.closed().await.contains("must be Hello"));
    for nonsense in ["", "{", "[]", "{\"type\":\"report\"}", "{\"type\":\"launch_missiles\"}"] {
        let mut agent = running.agent(&host.token, None).await;
        agent.text(nonsense.to_owned()).await;
        assert!(agent.closed().await.contains("not a message"), "{nonsense}");
    }
    let mut agent = running.agent(&host.token, None).await;
    agent.send(&hello(PROTOCOL)).await;
    assert!(agent.closed().await.contains("twice"));
    let (status, answer) = running.call("GET", "/api/v1/agent", Some(&host.token), None).await;
    assert!(status.is_client_error(), "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_is_given_up() {
    let timing = HubTiming {
        ping: Duration::from_millis(50),
        silence: Duration::from_millis(400),
        patience: Duration::from_millis(500),
        ..alone()
    };
    let running = Running::start_in(tempfile::tempdir().unwrap(), timing).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    // One that answers pings stays, for as long as somebody reads there.
    let mut agent = running.agent(&host.token, None).await;
    for _ in 0..4 {
        assert!(agent.is_quiet().await);
    }
    assert_eq!(hub.connected(), 1);
    // Not read any more, it answers no pings.
    running.until("the server gives it up", || hub.connected() == 0).await;
    // One that says nothing at all is not waited for.
    let mut mute = running.dial(&host.token).await.unwrap();
    assert!(mute.closed().await.contains("no Hello"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connection_pays_for_what_the_last_one_sent() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let hub = running.server.app().hub().clone();
    let told = |revision: u64| hub.seen(&host.host).and_then(|h| h.report).is_some_and(|r| r.revision == revision);
    let large = |revision: u64| {
        let part = PartReport { error: Some("x".repeat(4_000_000)), ..PartReport::default() };
        let parts = [("site".to_owned(), part)].into();
        ToServer::Report(Box::new(Report { revision, parts, ..Report::default() }))
    };
    let mut agent = running.agent(&host.token, None).await;
    // The first four are free, and the others wait for those before them: all six are paid for after seven seconds, however
    // slow this machine is.
    let begun = std::time::Instant::now();
    for revision in 1..=6 {
        agent.send(&large(revision)).await;
    }
    running.until("all reports", || told(6)).await;
    drop(agent);
    let mut agent = running.agent(&host.token, None).await;
    agent.send(&ToServer::Report(Box::new(Report { revision: 7, ..Report::default() }))).await;
    running.until("the report of the new connection", || told(7)).await;
    assert!(begun.elapsed() > Duration::from_secs(6), "{:?}", begun.elapsed());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_host_is_put_out() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let host = running.host("shop", "web-1").await;
    let mut agent = running.agent(&host.token, None).await;
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    running.admin.remove_host("shop/web-1").await.unwrap();
    assert!(agent.closed().await.contains("removed"));
    assert!(running.dial(&host.token).await.is_err());
    assert_eq!(running.admin.host(&host.host).await.unwrap_err().status(), Some(404));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_for_hosts_that_are_to_run_them() {
    let running = Running::start_in(tempfile::tempdir().unwrap(), alone()).await;
    let (one, two) = (running.host("shop", "web-1").await, running.host("shop", "web-2").await);
    let hub = running.server.app().hub().clone();
    // Without a tag, Docker would export all images of the name.
    let (name, other) = ("stackyard-test/hub", "stackyard-test/hub:other");
    let (id, foreign) = (image(name), image(other));
    let mut site = part("site");
    site.images.insert(name.to_owned(), id.clone());
    hub.set_desired(&one.host, vec![site]).await.unwrap();
    hub.set_desired(&two.host, vec![part("site")]).await.unwrap();

    let path = format!("/api/v1/images?reference={name}");
    assert_eq!(running.call("GET", &path, Some(&two.token), None).await.0, StatusCode::FORBIDDEN);
    for other in ["scratch", id.as_str(), ""] {
        let path = format!("/api/v1/images?reference={other}");
        assert_eq!(running.call("GET", &path, Some(&one.token), None).await.0, StatusCode::FORBIDDEN, "{other}");
    }
    let ca = running.home.path().join("server/ca.pem");
    let list = format!(
        "curl -fsS --cacert {} -H 'Authorization: Bearer {}' '{}{path}' | tar -xO manifest.json",
        ca.display(),
        one.token,
        running.url
    );
    let manifest =
        tokio::task::spawn_blocking(move || std::process::Command::new("sh").args(["-c", &list]).output().unwrap());
    let manifest = String::from_utf8(manifest.await.unwrap().stdout).unwrap();
    let hex = |id: &str| id.trim_start_matches("sha256:").to_owned();
    assert!(manifest.contains(&hex(&id)), "{manifest}");
    assert!(!manifest.contains(&hex(&foreign)) && !manifest.contains(other), "{manifest}");
    docker(&["image", "rm", name, other]);
    let (status, answer) = running.call("GET", &path, Some(&one.token), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    running.stop().await;
}

fn docker(arguments: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A small image of one file; its id.
fn image(name: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let content = format!("{:?}", std::time::SystemTime::now());
    std::fs::write(dir.path().join("file"), content).unwrap();
    let tar = dir.path().join("layer.tar");
    let status = std::process::Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(dir.path()).arg("file").status();
    assert!(status.unwrap().success());
    docker(&["import", tar.to_str().unwrap(), name]);
    docker(&["image", "inspect", "--format", "{{.Id}}", name])
}
