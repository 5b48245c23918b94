//! An engine that does not tell of each container: no test can bring Docker into this state at will.

use super::{Engine, SandboxCache};
use crate::docker::Docker;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Containers: one is told of, one is being started again, one never answers, and one fails if the engine is `ill`.
async fn engine(ill: bool) -> (Engine, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, ill));
        }
    });
    let docker = Docker::connect_to(&format!("unix://{}", path.display())).await.unwrap();
    (Engine::new(docker, PathBuf::from("/nowhere")).with_resolver(), dir)
}

async fn serve(mut stream: UnixStream, ill: bool) {
    let (mut head, mut bytes) = (String::new(), [0; 4096]);
    while !head.contains("\r\n\r\n") {
        let Ok(length @ 1..) = stream.read(&mut bytes).await else { return };
        head += &String::from_utf8_lossy(&bytes[..length]);
    }
    let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
    let (status, body) = match path.rsplit("/containers/").next().unwrap() {
        "json" => (200, list(ill)),
        "stuck/json" => std::future::pending().await,
        "ill/json" => (500, json!({"message": "it is ill"})),
        inspect if inspect.ends_with("/json") => (200, container(inspect.trim_end_matches("/json"))),
        other if other.ends_with("/networks") => (200, json!([{"Id": "n1", "Name": "s_front", "Internal": true}])),
        _ => (200, json!({"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "25"})),
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nApi-Version: 1.44\r\n");
    let answer = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn list(ill: bool) -> Value {
    let one = |id: &str, state: &str| {
        json!({
            "Id": id, "State": state,
            "Labels": {"dev.stackyard.resolver": "[]", "dev.stackyard.stack": "s"},
            "NetworkSettings": {"Networks": {"s_front": {"NetworkID": "n1", "EndpointID": id}}},
        })
    };
    let mut all = vec![one("stuck", "running"), one("web", "running"), one("again", "restarting")];
    all.extend(ill.then(|| one("ill", "running")));
    all.into()
}

fn container(id: &str) -> Value {
    json!({
        "Id": id, "Name": format!("/{id}"),
        "State": {"Status": "running", "Running": true, "Pid": 7},
        "Config": {"Labels": {"dev.stackyard.service": id}},
        "NetworkSettings": {"SandboxKey": format!("/run/docker/netns/{id}")},
    })
}

#[tokio::test]
async fn one_container_does_not_hide_the_namespaces_of_others() {
    let ((engine, _dir), begun) = (engine(true).await, Instant::now());
    let mut cache = SandboxCache::default();
    let (found, problem) = engine.sandboxes(&mut cache).await.unwrap();
    let [web] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((web.path.to_str(), web.process, web.stack.as_str()), (Some("/run/docker/netns/web"), 7, "s"));
    assert!(web.is_internal && web.networks.contains("s_front"));
    let problem = problem.unwrap().to_string();
    assert!(problem.contains("inspect container"), "{problem}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn one_container_does_not_hide_others_from_a_report() {
    for ill in [false, true] {
        let (engine, _dir) = engine(ill).await;
        let look = engine.look_at("s").await.unwrap();
        let services: Vec<&str> = look.containers.iter().map(|c| c.service.as_str()).collect();
        let unseen = if ill { vec!["ill", "stuck"] } else { vec!["stuck"] };
        let found: BTreeSet<&str> = look.unseen.iter().map(String::as_str).collect();
        assert_eq!((services, found), (vec!["again", "web"], unseen.into_iter().collect()));
        let problem = look.problem.map(|e| stackyard_core::text::error_chain(&e));
        assert_eq!(problem.as_ref().is_some_and(|p| p.contains("it is ill")), ill, "{problem:?}");
    }
}
