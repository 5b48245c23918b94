//! The life of a host, against a real Docker Engine: join, run, change, be cut off, be looked at,
//! be emptied.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Host, all_run, containers, eventually, mode, part, platform, service, speaker};
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use stackyard_core::agent::{Bytes, ContainerState, Open, Replica, ToAgent, ToServer, WINDOW};
use stackyard_core::stack::{Archive, HealthTest, Healthcheck, Mount, MountKind, Service};
use stackyard_platform::image::id_of;
use std::time::{Duration, Instant};

/// Not a test: the agent.
#[tokio::test]
#[ignore = "started by the other tests"]
async fn the_agent_process() {
    common::be_the_agent().await;
}

#[tokio::test]
async fn it_runs_what_the_server_says() {
    let mut host = Host::new("runs").await;
    let stack = host.stack.clone();
    let mut db = speaker("db");
    db.healthcheck = Some(Healthcheck {
        test: HealthTest::Shell("test -e /tmp/ready || { touch /tmp/ready; false; }".into()),
        interval: Some(Duration::from_secs(30)),
        timeout: None,
        retries: None,
        start_period: None,
        start_interval: None,
    });
    host.want(1, vec![part(&stack, 1, &[("web", speaker("one")), ("web", speaker("two")), ("db", db.clone())])]);
    host.start();
    let report = host.settled(1).await;
    let first = containers(&report, &stack);
    assert!(all_run(&report, &stack, 3), "{report:#?}");
    assert!(first.values().all(|c| c.generation == 1), "{first:#?}");
    let begun = Instant::now();
    host.hub.report("db is healthy", |r| containers(r, &stack)["db-1"].healthy == Some(true)).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "known before Docker's own first test");
    assert_eq!(first["web-1"].healthy, None);
    assert!(report.usage.memory > 0 && report.usage.disk > report.usage.disk_used, "{:?}", report.usage);
    let (facts, revision) = host.hub.inner.hello.borrow().clone().unwrap();
    assert!(!facts.docker.is_empty() && !facts.addresses.is_empty() && facts.mtu > 0, "{facts:?}");
    assert_eq!(revision, None);
    // Secrets are for root alone, and the join token is gone.
    for file in ["host.json", "desired.json", "status.json"] {
        assert_eq!(mode(&host.state_file(file)), 0o600, "{file}");
    }
    assert!(!std::fs::read_to_string(host.config_path()).unwrap().contains("join-1"));
    // Its network has the MTU that is configured.
    let network = host.docker.api().inspect_network(&format!("{stack}_default"), None).await.unwrap();
    assert_eq!(network.options.unwrap()["com.docker.network.driver.mtu"], "1450");
    // One replica changes: only that one is made anew.
    host.want(2, vec![part(&stack, 2, &[("web", speaker("one")), ("web", speaker("deux")), ("db", db)])]);
    let second = containers(&host.settled(2).await, &stack);
    assert_eq!(second["web-1"].id, first["web-1"].id);
    assert_ne!(second["web-2"].id, first["web-2"].id);
    assert!(second.values().all(|c| c.generation == 2), "{second:#?}");
    // What somebody removes comes again, without a word of the server.
    platform::force_remove(host.docker.api(), &second["web-1"].id).await;
    let id = second["web-1"].id.clone();
    let third =
        host.hub.report("web-1 again", |r| all_run(r, &stack, 3) && containers(r, &stack)["web-1"].id != id).await;
    assert_eq!(containers(&third, &stack)["db-1"].id, second["db-1"].id);
    host.want(3, Vec::new());
    let empty = host.hub.report("nothing", |r| r.revision == 3 && r.settled && r.parts.is_empty()).await;
    assert!(empty.parts.is_empty());
    host.nothing_left().await;
}

#[tokio::test]
async fn a_report_does_not_wait_for_a_health_test() {
    let mut host = Host::new("tests").await;
    let stack = host.stack.clone();
    let mut slow = speaker("slow");
    slow.healthcheck = Some(Healthcheck {
        test: HealthTest::Shell("sleep 8".into()),
        interval: Some(Duration::from_secs(120)),
        timeout: None,
        retries: None,
        start_period: None,
        start_interval: None,
    });
    host.want(1, vec![part(&stack, 1, &[("web", speaker("web")), ("slow", slow)])]);
    host.start();
    let before = containers(&host.settled(1).await, &stack)["web-1"].clone();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let options = bollard::query_parameters::RestartContainerOptionsBuilder::new().t(0).build();
    host.docker.api().restart_container(&before.id, Some(options)).await.unwrap();
    let begun = Instant::now();
    host.hub.report("the new start", |r| containers(r, &stack)["web-1"].started > before.started).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    host.hub.report("slow is healthy", |r| containers(r, &stack)["slow-1"].healthy == Some(true)).await;
    host.want(2, Vec::new());
    host.hub.report("nothing", |r| r.revision == 2 && r.settled && r.parts.is_empty()).await;
    host.nothing_left().await;
}

#[tokio::test]
async fn cut_off_it_goes_on() {
    let mut host = Host::new("cut").await;
    let stack = host.stack.clone();
    host.want(1, vec![part(&stack, 1, &[("web", speaker("one")), ("web", speaker("two"))])]);
    host.start();
    host.settled(1).await;
    let before = host.running().await;
    host.hub.vanish().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(host.running().await, before);
    // Started again without a server: the same containers, and what is lost meanwhile comes again.
    host.kill();
    platform::force_remove(host.docker.api(), &before["web-2"]).await;
    host.start();
    eventually("web-2 without a server", async || host.running().await.len() == 2).await;
    assert_eq!(host.running().await["web-1"], before["web-1"]);
    host.hub.listen().await;
    host.settled(1).await;
    let (_, revision) = host.hub.inner.hello.borrow().clone().unwrap();
    assert_eq!(revision, Some(1), "it says what it has");
    // A stack that went while it was away.
    host.kill();
    host.want(2, Vec::new());
    host.start();
    host.hub.report("nothing", |r| r.revision == 2 && r.settled && r.parts.is_empty()).await;
    host.nothing_left().await;
}

#[tokio::test]
async fn a_join_whose_answer_is_lost() {
    let mut host = Host::new("join").await;
    *host.hub.inner.lose.lock().unwrap() = 1;
    host.want(1, Vec::new());
    host.start();
    eventually("the lost join", async || host.hub.inner.joins.lock().unwrap()["join-1"].is_some()).await;
    host.kill();
    assert!(!host.state_file("host.json").exists() || host.hub.inner.hello.borrow().is_some());
    host.start();
    host.settled(1).await;
    // A used join token that comes back with the machine's user data changes nothing.
    host.kill();
    host.configure(&host.hub.ca, Some("join-1"));
    host.want(2, Vec::new());
    host.start();
    host.settled(2).await;
}

#[tokio::test]
async fn no_other_ca_is_trusted() {
    let mut host = Host::new("ca").await;
    let other = common::Hub::start().await;
    host.configure(&other.ca, Some("join-1"));
    host.start();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(host.hub.inner.joins.lock().unwrap()["join-1"], None, "the token was not told");
    let status = std::fs::read_to_string(host.state_file("status.json")).unwrap();
    assert!(status.contains("certificate"), "{status}");
}

#[tokio::test]
async fn a_newer_picture_takes_over() {
    let mut host = Host::new("newer").await;
    let stack = host.stack.clone();
    // Never becomes healthy: the engine would wait for two minutes.
    let mut sick = speaker("sick");
    sick.healthcheck = Some(platform::check("false"));
    host.want(1, vec![part(&stack, 1, &[("web", sick)])]);
    host.start();
    host.hub.report("it runs", |r| all_run(r, &stack, 1) && !r.settled).await;
    let begun = std::time::Instant::now();
    host.want(2, vec![part(&stack, 2, &[("web", speaker("well"))])]);
    host.settled(2).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn errors_are_reported_and_tried_again() {
    let mut host = Host::new("errors").await;
    let stack = host.stack.clone();
    let mut web = speaker("x");
    web.image = format!("stackyard-test/handed-{}:1", std::process::id());
    let mut wanted = part(&stack, 1, &[("web", web.clone())]);
    // An image of its own content, that only the server has.
    let id = own_image(&host, &web.image).await;
    let saved: Vec<_> = host.docker.api().export_image(&web.image).try_collect().await.unwrap();
    host.docker
        .api()
        .remove_image(&web.image, None::<bollard::query_parameters::RemoveImageOptions>, None)
        .await
        .unwrap();
    assert_eq!(id_of(&host.docker, &id).await.unwrap(), None);
    wanted.images.insert(web.image.clone(), id.clone());
    host.want(1, vec![wanted]);
    host.start();
    let failed = host.hub.report("an error", |r| r.parts.get(&stack).is_some_and(|p| p.error.is_some())).await;
    let error = failed.parts[&stack].error.clone().unwrap();
    assert!(failed.settled && error.contains(&web.image) && error.contains("no such image"), "{error}");
    host.hub.inner.images.lock().unwrap().insert((web.image.clone(), id.clone()), saved.concat());
    let report = host.settled(1).await;
    assert!(all_run(&report, &stack, 1), "{report:#?}");
    assert_eq!(id_of(&host.docker, &web.image).await.unwrap().as_ref(), Some(&id));
    let fetched = *host.hub.inner.fetched.lock().unwrap();
    host.kill();
    host.start();
    host.hub.inner.hello.send_replace(None);
    eventually("hello", async || host.hub.inner.hello.borrow().is_some()).await;
    host.settled(1).await;
    assert_eq!(*host.hub.inner.fetched.lock().unwrap(), fetched, "fetched once");
    // The version before used it: a roll back would want it.
    host.want(2, vec![part(&stack, 2, &[("web", speaker("x"))])]);
    host.settled(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(id_of(&host.docker, &web.image).await.unwrap().as_ref(), Some(&id));
    // Nobody can want it any more, also for an agent that did not fetch it itself.
    host.kill();
    host.want(3, Vec::new());
    host.start();
    host.hub.report("nothing", |r| r.revision == 3 && r.settled && r.parts.is_empty()).await;
    eventually("the image goes", async || id_of(&host.docker, &id).await.unwrap().is_none()).await;
}

/// A directory with a text and a program, packed.
fn packed(text: &str) -> (Archive, Vec<u8>) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut entry = |kind, name: &str, mode, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content).unwrap();
    };
    entry(tar::EntryType::Directory, "root", 0o755, b"");
    entry(tar::EntryType::Regular, "root/text", 0o644, text.as_bytes());
    entry(tar::EntryType::Regular, "root/run.sh", 0o755, b"#!/bin/sh\n");
    let bytes = tar.into_inner().unwrap();
    let digest = stackyard_core::text::hex(&Sha256::digest(&bytes));
    (Archive { source: "./conf".into(), digest, size: bytes.len() as u64 }, bytes)
}

/// A service that is healthy when it has `text` in a directory of `archive`.
fn reader(archive: &Archive, text: &str) -> Service {
    let mut service = speaker("x");
    let kind = MountKind::Archive(archive.clone());
    service.volumes.push(Mount { kind, target: "/conf".into(), read_only: true });
    let test = format!("test -x /conf/run.sh && grep -q {text} /conf/text && ! touch /conf/text 2>/dev/null");
    service.healthcheck = Some(Healthcheck {
        test: HealthTest::Shell(test),
        interval: Some(Duration::from_secs(30)),
        timeout: None,
        retries: None,
        start_period: None,
        start_interval: None,
    });
    service
}

#[tokio::test]
async fn files_come_from_the_server_once_and_go() {
    let mut host = Host::new("files").await;
    let stack = host.stack.clone();
    let ((one, bytes), (two, other)) = (packed("one"), packed("two"));
    let unpacked = |host: &Host| -> Vec<String> {
        let all = std::fs::read_dir(host.state_file("archives")).unwrap();
        all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    let failed = async |host: &Host, why: &str| {
        let says = |e: &String| e.contains("the files ./conf") && e.contains(why);
        host.hub.report(why, |r| r.parts.get(&stack).is_some_and(|p| p.error.as_ref().is_some_and(says))).await;
    };
    let wanted = [("web", reader(&one, "one")), ("web", reader(&one, "one")), ("db", reader(&one, "one"))];
    host.want(1, vec![part(&stack, 1, &wanted)]);
    host.start();
    failed(&host, "no such archive").await;
    let serve = |host: &Host, archive: &Archive, bytes: &[u8]| {
        host.hub.inner.archives.lock().unwrap().insert(archive.digest.clone(), bytes.to_vec());
    };
    serve(&host, &one, &other);
    failed(&host, "have the digest").await;
    assert!(unpacked(&host).is_empty(), "{:?}", unpacked(&host));
    serve(&host, &one, &bytes);
    assert!(all_run(&host.settled(1).await, &stack, 3));
    assert_eq!(mode(&host.state_file("archives")), 0o700);

    // Another agent finds it there, and removes what the killed one left half done.
    let fetched = *host.hub.inner.fetched.lock().unwrap();
    host.kill();
    std::fs::create_dir(host.state_file("archives/.new-killed")).unwrap();
    host.hub.inner.hello.send_replace(None);
    host.start();
    eventually("hello", async || host.hub.inner.hello.borrow().is_some()).await;
    host.settled(1).await;
    assert_eq!(*host.hub.inner.fetched.lock().unwrap(), fetched, "fetched once");
    assert_eq!(unpacked(&host), std::slice::from_ref(&one.digest));

    serve(&host, &two, &other);
    host.want(2, vec![part(&stack, 2, &[("web", reader(&two, "two"))])]);
    host.settled(2).await;
    eventually("the old files go", async || unpacked(&host) == [two.digest.clone()]).await;
    host.want(3, Vec::new());
    host.hub.report("nothing", |r| r.revision == 3 && r.settled && r.parts.is_empty()).await;
    eventually("all files go", async || unpacked(&host).is_empty()).await;
}

/// Makes an image that no other test has.
async fn own_image(host: &Host, reference: &str) -> String {
    let name = format!("{}-made", host.stack);
    let config = bollard::models::ContainerCreateBody {
        image: Some(platform::IMAGE.into()),
        cmd: Some(vec!["touch".into(), format!("/tmp/{name}")]),
        labels: Some([("dev.stackyard.test".into(), "agent".into())].into()),
        ..Default::default()
    };
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new().name(&name).build();
    let api = host.docker.api();
    api.create_container(Some(options), config).await.unwrap();
    api.start_container(&name, None).await.unwrap();
    let wait: Vec<_> = api.wait_container(&name, None).try_collect().await.unwrap();
    assert_eq!(wait[0].status_code, 0);
    let (repo, tag) = reference.rsplit_once(':').unwrap();
    let commit = bollard::query_parameters::CommitContainerOptionsBuilder::new().container(&name).repo(repo).tag(tag);
    let config = bollard::models::ContainerConfig { env: Some(vec!["PATH=/bin".into()]), ..Default::default() };
    api.commit_container(commit.build(), config).await.unwrap();
    platform::force_remove(api, &name).await;
    id_of(&host.docker, reference).await.unwrap().unwrap()
}

fn end(message: Option<&ToServer>) -> Option<(Option<i64>, Option<&str>)> {
    match message {
        Some(ToServer::End { status, error, .. }) => Some((*status, error.as_deref())),
        _ => None,
    }
}

#[tokio::test]
async fn logs_and_programs() {
    let mut host = Host::new("streams").await;
    let stack = host.stack.clone();
    let talker = service("echo begin $(hostname); sleep 1; echo end; while :; do sleep 0.2; done");
    host.want(1, vec![part(&stack, 1, &[("web", speaker("hello")), ("web", talker)])]);
    host.start();
    host.settled(1).await;
    let logs = |follow, tail, index: &[u32]| Open::Logs {
        stack: stack.clone(),
        replicas: index.iter().map(|i| Replica { service: "web".into(), index: *i }).collect(),
        follow,
        tail,
        since: None,
    };
    host.hub.order(ToAgent::Open { stream: 1, open: logs(false, None, &[]) }).await;
    let (text, last) = host.hub.stream(1, |_, e| e.is_some()).await;
    assert!(text.contains("hello\n") && text.contains("begin "), "{text}");
    assert_eq!(end(last.as_ref()), Some((None, None)));
    // A follower sees the next container too.
    host.hub.order(ToAgent::Open { stream: 2, open: logs(true, Some(1), &[1]) }).await;
    host.hub.stream(2, |t, _| t == "hello\n").await;
    host.want(2, vec![part(&stack, 2, &[("web", speaker("bonjour"))])]);
    let (text, _) = host.hub.stream(2, |t, _| t.contains("bonjour")).await;
    assert_eq!(text, "hello\nbonjour\n", "every line once");
    host.hub.order(ToAgent::Close { stream: 2 }).await;
    host.hub.stream(2, |_, e| end(e) == Some((None, None))).await;
    // Programs.
    let exec = |command: &str, tty, stdin| Open::Exec {
        stack: stack.clone(),
        replica: Replica { service: "web".into(), index: 1 },
        command: ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
        tty,
        stdin,
        user: Some("app".into()),
    };
    host.hub.order(ToAgent::Open { stream: 3, open: exec("id -u; echo oops >&2; exit 7", false, false) }).await;
    let (text, last) = host.hub.stream(3, |_, e| e.is_some()).await;
    assert!(text.contains("42425\n") && text.contains("oops\n"), "{text}");
    assert_eq!(end(last.as_ref()), Some((Some(7), None)));
    host.hub
        .order(ToAgent::Open { stream: 4, open: exec("while read x; do echo got $x; done; echo over", false, true) })
        .await;
    for text in ["one\n", "two\n", ""] {
        host.hub.order(ToAgent::Input { stream: 4, data: Bytes(text.into()) }).await;
    }
    let (text, last) = host.hub.stream(4, |_, e| e.is_some()).await;
    assert_eq!((text.as_str(), end(last.as_ref())), ("got one\ngot two\nover\n", Some((Some(0), None))));
    // A terminal, and its size.
    host.hub
        .order(ToAgent::Open { stream: 5, open: exec("read go; test -t 0 && stty size; exit 3", true, true) })
        .await;
    host.hub.order(ToAgent::Resize { stream: 5, rows: 33, columns: 111 }).await;
    host.hub.order(ToAgent::Input { stream: 5, data: Bytes(b"go\n".to_vec()) }).await;
    let (text, last) = host.hub.stream(5, |_, e| e.is_some()).await;
    assert_eq!(end(last.as_ref()), Some((Some(3), None)), "{text}");
    assert!(text.contains("go\r\n"), "{text:?}");
    // Nobody looks any more: it is ended.
    host.hub.order(ToAgent::Open { stream: 6, open: exec("exec sleep 987", false, false) }).await;
    eventually("sleep", async || processes(&host, "sleep 987").await).await;
    host.hub.order(ToAgent::Close { stream: 6 }).await;
    eventually("no sleep", async || !processes(&host, "sleep 987").await).await;
    // What is not there.
    let nobody = Open::Exec {
        stack: stack.clone(),
        replica: Replica { service: "db".into(), index: 4 },
        command: vec!["true".into()],
        tty: false,
        stdin: false,
        user: None,
    };
    host.hub.order(ToAgent::Open { stream: 7, open: nobody }).await;
    let (_, last) = host.hub.stream(7, |_, e| e.is_some()).await;
    assert!(end(last.as_ref()).unwrap().1.unwrap().contains("no container of service db-4"), "{last:?}");
    // Much output that nobody reads: it waits, and nothing else does. Read, all of it comes, in order.
    host.hub.leave_unread(8);
    host.hub.order(ToAgent::Open { stream: 8, open: exec("seq 1 50000", false, false) }).await;
    let window = WINDOW as usize;
    host.hub.stream(8, |text, _| text.len() > window * 3 / 4).await;
    host.hub.order(ToAgent::Open { stream: 9, open: exec("echo still here", false, false) }).await;
    host.hub.stream(9, |text, e| text == "still here\n" && e.is_some()).await;
    let (text, _) = host.hub.stream(8, |_, _| true).await;
    assert!(text.len() <= window, "{}", text.len());
    host.hub.read(8).await;
    let (text, _) = host.hub.stream(8, |_, e| e.is_some()).await;
    assert_eq!(text.lines().count(), 50000);
    assert!(text.ends_with("49999\n50000\n"));
}

async fn processes(host: &Host, wanted: &str) -> bool {
    let id = &host.running().await["web-1"];
    let top = host.docker.api().top_processes(id, None::<bollard::query_parameters::TopOptions>);
    top.await.unwrap().processes.unwrap().iter().any(|p| p.last().is_some_and(|c| c == wanted))
}

#[tokio::test]
async fn a_service_that_is_to_run_once_runs_once() {
    let mut host = Host::new("once").await;
    let stack = host.stack.clone();
    let mut once = service("echo done");
    once.restart = stackyard_core::stack::RestartPolicy::No;
    host.want(1, vec![part(&stack, 1, &[("once", once)])]);
    host.start();
    host.settled(1).await;
    let report = host
        .hub
        .report("it ended", |r| containers(r, &stack).values().all(|c| c.state == ContainerState::Exited(0)))
        .await;
    let started = containers(&report, &stack)["once-1"].started;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let report = host.settled(1).await;
    assert_eq!(containers(&report, &stack)["once-1"].started, started);
}
