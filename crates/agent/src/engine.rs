//! Keeps the connection to Docker Engine, and passes on what happens to containers.

use crate::backoff::Backoff;
use crate::context::{Context, EngineState};
use crate::stacks::Stacks;
use futures_util::TryStreamExt;
use stackyard_core::text::error_chain;
use stackyard_platform::docker;
use stackyard_platform::stack::{Engine, changes};
use std::path::PathBuf;
use std::time::Duration;

/// Keeps a connection to the engine and passes on what happens to containers, for ever.
pub(crate) async fn watch(context: &Context, stacks: &Stacks) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    loop {
        match docker::Docker::connect().await {
            Ok(docker) => {
                let (version, root) = about(&docker).await;
                let engine = Engine::new(docker.clone(), context.state.path()).with_resolver();
                context.say(format!("Docker Engine {version} answers"));
                context.docker.send_replace(EngineState {
                    engine: Some(engine),
                    version,
                    root,
                    problem: String::new(),
                });
                // What happened before is in nobody's events.
                stacks.poke(None);
                context.containers_changed();
                let problem = follow(&docker, context, stacks, &mut backoff).await;
                context.say(format!("Docker Engine is lost: {problem}"));
                lose(context, problem);
            }
            Err(e) => {
                let problem = error_chain(&e);
                if context.docker.borrow().problem != problem {
                    context.say(problem.clone());
                }
                lose(context, problem);
            }
        }
        context.changed.notify_one();
        tokio::time::sleep(backoff.next()).await;
    }
}

fn lose(context: &Context, problem: String) {
    context.docker.send_modify(|d| (d.engine, d.problem) = (None, problem));
}

/// Version and data directory.
async fn about(docker: &docker::Docker) -> (String, Option<PathBuf>) {
    let version = docker.api().version().await.ok().and_then(|v| v.version).unwrap_or_default();
    let root = docker.api().info().await.ok().and_then(|i| i.docker_root_dir).map(PathBuf::from);
    (version, root)
}

/// Passes events on until there are no more; returns why.
async fn follow(docker: &docker::Docker, context: &Context, stacks: &Stacks, backoff: &mut Backoff) -> String {
    let mut events = changes(docker);
    loop {
        match events.try_next().await {
            Ok(Some(change)) => {
                backoff.reset();
                stacks.exits.note(&change);
                stacks.poke(Some(&change.stack));
                context.containers_changed();
            }
            Ok(None) => return "it closed the stream of its events".into(),
            Err(e) => return error_chain(&e),
        }
    }
}
