//! Watching Docker Engine.

use crate::backoff::Backoff;
use crate::host::{Docker, Host};
use crate::parts::Parts;
use futures_util::TryStreamExt;
use stackyard_core::text::error_chain;
use stackyard_platform::docker;
use stackyard_platform::stack::{Engine, changes};
use std::path::PathBuf;
use std::time::Duration;

/// Keeps a connection to the engine and passes on what happens to containers, for ever.
pub(crate) async fn watch(host: &Host, parts: &Parts) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    loop {
        match docker::Docker::connect().await {
            Ok(docker) => {
                let (version, root) = about(&docker).await;
                let engine = Engine::new(docker.clone(), host.state.path());
                host.say(format!("Docker Engine {version} answers"));
                host.docker.send_replace(Docker { engine: Some(engine), version, root, problem: String::new() });
                // What happened before is in nobody's events.
                parts.poke(None);
                host.changed.notify_one();
                let problem = follow(&docker, host, parts, &mut backoff).await;
                host.say(format!("Docker Engine is lost: {problem}"));
                lose(host, problem);
            }
            Err(e) => {
                let problem = error_chain(&e);
                if host.docker.borrow().problem != problem {
                    host.say(problem.clone());
                }
                lose(host, problem);
            }
        }
        host.changed.notify_one();
        tokio::time::sleep(backoff.next()).await;
    }
}

fn lose(host: &Host, problem: String) {
    host.docker.send_modify(|d| (d.engine, d.problem) = (None, problem));
}

/// Version and data directory.
async fn about(docker: &docker::Docker) -> (String, Option<PathBuf>) {
    let version = docker.api().version().await.ok().and_then(|v| v.version).unwrap_or_default();
    let root = docker.api().info().await.ok().and_then(|i| i.docker_root_dir).map(PathBuf::from);
    (version, root)
}

/// Passes events on until there are no more; returns why.
async fn follow(docker: &docker::Docker, host: &Host, parts: &Parts, backoff: &mut Backoff) -> String {
    let mut events = changes(docker);
    loop {
        match events.try_next().await {
            Ok(Some(change)) => {
                backoff.reset();
                host.ends.note(&change);
                parts.poke(Some(&change.stack));
                host.changed.notify_one();
            }
            Ok(None) => return "it closed the stream of its events".into(),
            Err(e) => return error_chain(&e),
        }
    }
}
