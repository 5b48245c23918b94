//! The operations, over the agent's socket.

use super::{Fixture, answer, request};
use crate::network::cni::failure::code;
use crate::network::cni::protocol::{CONFIGURED, Command, Reply};
use crate::network::cni::{listen, verbs};
use serde_json::json;
use stackyard_wire::namespace::Namespace;
use std::path::Path;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

#[tokio::test]
async fn add_is_one_request_and_del_one() {
    let fixture = Fixture::new().await;
    fixture.add("first", json!({})).await;
    fixture.requests();
    let attached = fixture.add("second", json!({})).await;
    assert_eq!(fixture.requests(), ["POST /ports"]);
    assert_eq!(attached.addresses[0].gateway.map(|g| g.to_string()).as_deref(), Some("10.5.0.1"));
    assert_eq!(attached.routes[0].0.to_string(), "0.0.0.0/0");
    assert!(matches!(fixture.ask(&request(Command::Check, "second", json!({}))).await, Reply::Attached(_)));
    assert_eq!(fixture.requests(), Vec::<String>::new());
    for container in ["first", "second", "second"] {
        assert_eq!(fixture.ask(&request(Command::Del, container, json!({}))).await, Reply::Done);
    }
    assert_eq!(fixture.requests().len(), 2);
    assert_eq!(fixture.ports(), 0);
    let Reply::Failed(failure) = fixture.ask(&request(Command::Check, "second", json!({}))).await else { panic!() };
    assert_eq!(failure.code, code::DIFFERENT);
}

#[tokio::test]
async fn from_a_pool_an_add_asks_nothing() {
    let fixture = Fixture::new().await;
    let groups = json!({"pool": 2, "securityGroups": []});
    fixture.add("a", groups.clone()).await;
    fixture.manager.tend().await.unwrap();
    assert_eq!(fixture.ports(), 3);
    fixture.requests();
    fixture.add("b", groups.clone()).await;
    assert_eq!(fixture.requests(), Vec::<String>::new());
    fixture.manager.tend().await.unwrap();
    let requests = fixture.requests();
    assert!(requests.iter().any(|r| r.starts_with("PUT /ports/")), "it learns whose it is: {requests:?}");
    fixture.pass().await;
    assert_eq!(fixture.ports(), 4, "two in use, two ready");
    // One that wants more than the pool has is made.
    fixture.add("c", json!({"pool": 2, "args": {"cni": {"ips": ["10.5.0.200"]}}})).await;
    for container in ["a", "b", "c"] {
        assert_eq!(fixture.ask(&request(Command::Del, container, json!({}))).await, Reply::Done);
    }
    assert_eq!(fixture.ports(), 2);
    fixture.add("d", json!({"pool": 0})).await;
    assert_eq!(fixture.ports(), 1, "the pool is gone");
}

#[tokio::test]
async fn a_plugin_that_goes_away_has_its_attach_taken_back() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.begin(&request(Command::Add, "c", json!({}))).await;
    assert!(matches!(answer(&mut stream).await, Reply::Attached(_)));
    assert_eq!(fixture.ports(), 1);
    drop(stream);
    // Whoever comes next waits until that is done.
    assert_eq!(fixture.ask(&request(Command::Del, "c", json!({}))).await, Reply::Done);
    assert_eq!((fixture.ports(), fixture.fake_wiring.0.lock().unwrap().len()), (0, 0));
}

#[tokio::test]
async fn what_is_in_use_stays_and_what_is_not_goes() {
    let fixture = Fixture::new().await;
    let attached = fixture.add("c", json!({})).await;
    fixture.pass().await;
    assert_eq!(fixture.ports(), 1, "its host's end is there, and the container's is not here");
    fixture.fake_wiring.0.lock().unwrap().insert(attached.device.unwrap(), String::new());
    let view = fixture.manager.attachments().await.unwrap();
    assert!(view.endpoints.is_empty(), "the container's end was left here");
    fixture.fake_wiring.0.lock().unwrap().clear();
    fixture.pass().await;
    assert_eq!(fixture.ports(), 0);
}

#[tokio::test]
async fn what_was_begun_and_not_ended_goes() {
    let fixture = Fixture::new().await;
    let wanted = request(Command::Add, "c", json!({}));
    for ended in [true, false] {
        verbs::add(&fixture.manager, &wanted, None).await.unwrap();
        if ended {
            verbs::finish(&fixture.manager, &wanted).unwrap();
        }
        fixture.pass().await;
        assert_eq!(fixture.ports(), usize::from(ended));
    }
}

#[tokio::test]
async fn a_link_is_made_in_a_namespace_that_comes_with_the_request() {
    let fixture = Fixture::new().await;
    let path = fixture.dir.path().join("cni.sock");
    let wanted = request(Command::Add, "c", json!({"pool": 1, "securityGroups": []}));
    let line = format!("{}\n", serde_json::to_string(&wanted).unwrap());
    let sent = tokio::task::spawn_blocking(move || {
        let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        let namespace = Namespace::open(Path::new("/proc/self/ns/net")).unwrap();
        // In pieces: the file comes with the first of them.
        assert_eq!(crate::network::cni::shim::pass(&stream, &line.as_bytes()[..7], &namespace).unwrap(), 7);
        std::io::Write::write_all(&mut &stream, &line.as_bytes()[7..]).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    });
    let mut stream = BufReader::new(UnixStream::from_std(sent.await.unwrap()).unwrap());
    let Reply::Attached(attached) = answer(&mut stream).await else { panic!() };
    assert_eq!(attached.device, None);
    assert_eq!(fixture.fake_wiring.container_ends(), ["eth0"]);
    stream.get_mut().write_all(format!("{CONFIGURED}\n").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await, Reply::Done);
}

#[tokio::test]
async fn what_is_not_listed_is_given_back() {
    let fixture = Fixture::new().await;
    for container in ["a", "b", "c"] {
        fixture.add(container, json!({})).await;
    }
    fixture.add("d", json!({"name": "other"})).await;
    let Reply::Failed(failure) = fixture.ask(&request(Command::Gc, "", json!({}))).await else { panic!() };
    assert_eq!(failure.code, code::CONFIG);
    let listed = json!({"cni.dev/valid-attachments": [{"containerID": "b", "ifname": "eth0"}]});
    assert_eq!(fixture.ask(&request(Command::Gc, "", listed)).await, Reply::Done);
    let left: Vec<String> = fixture.manager.ledger.endpoints.all().into_keys().collect();
    assert_eq!(left, ["b@eth0", "d@eth0"]);
    assert_eq!(fixture.ports(), 2);
}

#[tokio::test]
async fn status_says_whether_an_attach_could_succeed() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.ask(&request(Command::Status, "", json!({}))).await, Reply::Done);
    let nowhere = request(Command::Status, "", json!({"network": "nowhere"}));
    let Reply::Failed(failure) = fixture.ask(&nowhere).await else { panic!() };
    assert_eq!(failure.code, code::UNAVAILABLE);
    let failure = verbs::add(&fixture.manager, &request(Command::Add, "c", json!({"network": "nowhere"})), None).await;
    assert_eq!(failure.unwrap_err().code, code::CONFIG);
}

#[tokio::test]
async fn a_second_agent_does_not_take_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/cni.sock");
    let first = listen(&path).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
        0o600
    );
    assert!(listen(&path).unwrap_err().to_string().contains("--cni-socket"));
    drop(first);
    listen(&path).unwrap();
}
